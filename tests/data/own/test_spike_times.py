"""Files of recorded spikes: every format gives the spikes it holds, and names what is wrong."""

from pathlib import Path

import h5py
import numpy as np
import own_hostile
import pytest
import spike_files
from own_files import npz, zip_of

import sqsnn
from sqsnn.errors import ConfigError, DataError

TIMES, ENDS, NUMBERS = [0.1, 0.2, 0.15, 0.3], [2, 2, 4], [5, 6, 8]


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def bins(trains):
    return [train.T.tolist() for train in trains]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "time,unit,train\n0.1,3,0\n0.2,7,0\n0.25,3,0\n0,7,1\n"),
        (
            "a.tsv",
            "\ufeffUnit\tTrain\tTime\r\n7\t1\t0\r\n\r\n3\t0\t.1\r\n7\t0\t2e-1\r\n3\t0\t0.25\r\n",
        ),
        ("a.txt", "# by hand\ntrain   time  unit\n0 0.1 3\n0 0.25 3\n# more\n 0 0.2 7\n1 0 7"),
        ("a.csv", '"time","unit","train"\n0.1,"3",0\n"0.2",7,0\n0.25,3,0\n0,7,1\n'),
    ],
)
def test_tables_of_any_order_are_read(write, name, text):
    trains = sqsnn.read_spike_trains(write(name, text), 0.1)
    assert bins(trains) == [[[0, 1, 1], [0, 0, 1]], [[0], [1]]]


def test_spikes_of_many_units_may_alternate(write):
    lines = [f"{time / 10},{time % 3}" for time in range(300)]
    (train,) = sqsnn.read_spike_trains(write("a.csv", "\n".join(["time,unit", *lines])), 0.1)
    assert np.array_equal(train, np.tile(np.eye(3), (100, 1)))


@pytest.mark.parametrize("text", ["100\n300\n", "time\n100\n300", "# ms\n\n100\n#\n300\n"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
def test_a_column_of_times_needs_no_name(write, suffix, text):
    found = sqsnn.read_spike_trains(write(f"a{suffix}", text), 0.1, time_unit="ms", stop=0.5)
    assert bins(found) == [[[0, 1, 0, 1, 0]]]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1000), ("us", 10**6)])
def test_times_are_in_the_unit_of_the_file_and_arguments_in_seconds(write, unit, factor):
    held = {"times": np.arange(1, 50) * factor // 1 if factor > 1 else np.arange(1, 50.0)}
    held["stop"] = np.array(60 * factor)
    found = sqsnn.read_spike_trains(write("a.npz", npz(held)), 0.5, time_unit=unit, start=1.0)
    assert found.bins == 118 and np.flatnonzero(found.spikes[0]).tolist() == list(range(0, 98, 2))


def test_arrays_of_times_may_have_trains_units_and_stops(write):
    held = {
        "times": np.array([0.1, 0.3, 0.1], np.float32),
        "trains": np.array([0, 0, 2]),
        "units": np.array([4, 1, 4]),
        "stop": np.array([0.5, 0.2, 0.3]),
    }
    found = sqsnn.read_spike_trains(write("a.npz", npz(held)), 0.1)
    assert bins(found) == [
        [[0, 0, 0, 1, 0], [0, 1, 0, 0, 0]],
        [[0, 0], [0, 0]],
        [[0, 0, 0], [0, 1, 0]],
    ]


ONE_EACH = [[[1], [0]], [[0], [1]]]  # two trains of one bin, in each of which another unit fires


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time,trial,unit\n0,2,1\n0,1,2\n", ONE_EACH[::-1]),  # numbers from 1, in their order
        ("time,train,unit\n0,10,-3\n0,9,7\n", ONE_EACH[::-1]),
        ("time,train,unit\n0,1.0,+1\n0,2.0,02\n", ONE_EACH),
        ("time,trial,unit\n0,go,left\n0,1,right\n", ONE_EACH),  # names, as they first appear
        ("time,trial,unit\n0,b,2\n0,a,10\n", ONE_EACH),
        (f"time,trial,unit\n0,{10**18 + 1},B\n0,{10**18},A\n", ONE_EACH),
    ],
)
def test_trains_and_units_have_any_labels(write, text, expected):
    assert bins(sqsnn.read_spike_trains(write("a.csv", text), 0.1)) == expected


@pytest.mark.parametrize(
    ("trains", "units", "expected"),
    [
        ([2, 1], [1, 2], ONE_EACH[::-1]),
        ([2.0, 1.0], [-1.0, 5.0], ONE_EACH[::-1]),  # as MATLAB keeps whole numbers
        (["b", "a"], ["B", "A"], ONE_EACH),
        (np.array([2**64 - 1, 0], np.uint64), [0, 10**18], ONE_EACH[::-1]),
    ],
)
def test_arrays_of_labels_may_be_numbers_or_names(write, trains, units, expected):
    held = {"times": np.zeros(2), "trains": np.array(trains), "units": np.array(units)}
    assert bins(sqsnn.read_spike_trains(write("a.npz", npz(held)), 0.1)) == expected


def test_trains_with_a_stop_each_are_numbered_from_0(write):
    numbered = write("a.csv", "time,train\n0.1,0\n0.1,2\n")
    assert bins(sqsnn.read_spike_trains(numbered, 0.1, stop=[0.2, 0.1, 0.3])) == [
        [[0, 1]],
        [[0]],
        [[0, 1, 0]],
    ]
    for first, label in (("0", "3"), ("0", "-1"), ("stay", "'stay'")):
        named = write("b.csv", f"time,train\n0.1,{first}\n0.1,{label}\n")
        assert len(sqsnn.read_spike_trains(named, 0.1, stop=1.0)) == 2
        said = f"line [23]: expected a train from 0 to 2, one per stop, found {label}"
        with pytest.raises(DataError, match=said):
            sqsnn.read_spike_trains(named, 0.1, stop=[1.0, 1.0, 1.0])


def test_one_unit_may_be_chosen_without_a_list_and_by_its_name(write):
    path = write("a.csv", "time,unit\n0,left\n0.1,right\n")
    for chosen in ("right", ["right"]):
        assert bins(sqsnn.read_spike_trains(path, 0.1, units=chosen)) == [[[0, 1]]]
    numbered = write("b.csv", "time,unit\n0,4\n0.1,7\n")
    for chosen in (7, "7"):
        assert bins(sqsnn.read_spike_trains(numbered, 0.1, units=chosen)) == [[[0, 1]]]
    with pytest.raises(ConfigError, match=r"units names up, .*; it may be one of 'left', 'right'"):
        sqsnn.read_spike_trains(path, 0.1, units="up")


def test_arrays_of_bins_may_be_padded(write):
    held = {"spikes": np.array([[0, 1, 0], [1, 0, 0]]), "lengths": np.array([3, 1])}
    path = write("a.npz", npz(held))
    assert bins(sqsnn.read_spike_trains(path)) == [[[0, 1, 0]], [[1]]]
    assert sqsnn.read_spike_trains(path, 0.1).bin_width == 0.1


def test_units_of_nwb_are_channels_of_one_train(write):
    path = write("a.nwb", spike_files.nwb(TIMES, np.array(ENDS, np.uint8), NUMBERS))
    found = sqsnn.read_spike_trains(path, 0.1)
    assert bins(found) == [[[0, 1, 1, 0], [0, 0, 0, 0], [0, 1, 0, 1]]]
    falling = write("b.nwb", spike_files.nwb(TIMES, ENDS, NUMBERS[::-1]))
    assert bins(sqsnn.read_spike_trains(falling, 0.1)) == [
        [[0, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]]
    ]
    chosen = sqsnn.read_spike_trains(path, 0.1, units=[8, 5], stop=0.5)
    assert bins(chosen) == [[[0, 1, 0, 1, 0], [0, 1, 1, 0, 0]]]
    assert sqsnn.read_spike_trains(path, 0.1, units=[6], stop=0.5).count == 0
    with pytest.raises(DataError, match=r"train 0: expected a spike, or a stop, .*found neither"):
        sqsnn.read_spike_trains(path, 0.1, units=[6])


def test_units_are_chosen_by_number_and_all_are_read_only_if_few(write):
    lines = [f"{unit / 10},{unit}" for unit in range(9)]
    path = write("a.csv", "\n".join(["time,unit", *lines]))
    with pytest.raises(ConfigError, match=r"holds 9 units, and at most 8 .*; choose by units: it"):
        sqsnn.read_spike_trains(path, 0.1)
    assert bins(sqsnn.read_spike_trains(path, 0.1, units=[2, 1])) == [[[0, 0, 1], [0, 1, 0]]]
    with pytest.raises(ConfigError, match=r"units names 9, which .*a\.csv does not hold"):
        sqsnn.read_spike_trains(path, 0.1, units=[9])
    binned = write("a.npz", npz({"spikes": np.eye(9)[None]}))
    assert bins(sqsnn.read_spike_trains(binned, units=[8])) == [[[0] * 8 + [1]]]
    with pytest.raises(ConfigError, match="holds 9 units"):
        sqsnn.read_spike_trains(binned)
    nwb = write("a.nwb", spike_files.nwb(np.arange(9.0), np.arange(1, 10), np.arange(9)))
    with pytest.raises(ConfigError, match="holds 9 units"):
        sqsnn.read_spike_trains(nwb, 0.1)
    for wrong in ([], [1, 1], list(range(9))):
        with pytest.raises(ValueError, match="units must name from 1 to 8 different units"):
            sqsnn.read_spike_trains(path, 0.1, units=wrong)


def test_merged_spikes_are_counted_and_said_of_the_line_that_reads(write):
    lines = "\n".join(map(str, [0.01, 0.02, *range(1, 20)]))
    with pytest.warns(UserWarning, match="1 of 21 spikes are merged") as caught:
        assert sqsnn.read_spike_trains(write("a.txt", lines), 0.1).merged == 1
    assert not Path(caught[0].filename).is_relative_to(Path(sqsnn.__file__).parent)
    with pytest.raises(DataError, match=r"a\.txt: 20 of 21 spikes are merged .* At most 10% may"):
        sqsnn.read_spike_trains(write("a.txt", lines), 100.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time\n0.2\n0.1\n", r"line 3: .* found 0\.1 s after 0\.2 s: sort the times of each train"),
        ("time\n0.1\n# again\n0.1\n", r"line 4: expected later .* the same, found 0\.1 s"),
        ("time,unit\n2,0\n1,1\n1,0\n", r"line 4 \(train 0, unit 0\): expected later"),
        ("time\n-0.1\n", "line 2: expected at least the start, 0 s, found -0.1 s"),
        ("time\n0.1\nnan\n", r"line 3, column 'time': .* found a missing value \('nan'\)"),
        ("time\n0.1\ninf\n", "line 3, column 'time': .* found inf, which is infinite"),
        ("time\n1e999\n", "line 2, column 'time': .* too large"),
        ("0.1\nspike\n", "line 2, column 'time': expected a number, found 'spike'"),
        ("0,1\n", "line 1: .* found '0'; several columns need a header line such as time,train"),
        ("time;unit\n", "line 1: expected the names of the columns, .* found 'time;unit'"),
        ("time,time\n1,2\n", "line 1: expected one column time, .* found time, time"),
        ("train,unit\n1,2\n", "line 1: expected one column time"),
        ("time,units\n1,2\n", "found 'units'; did you mean 'unit'"),
        ("time,unit\n1,0\n2\n", "line 3: expected 2 values, found 1"),
        ("time,unit\n1,0,0\n", "line 2: expected 2 values, found 3"),
        ("time,unit\n1,\n", "line 2, column 'unit': expected a label, found a missing value"),
        ("time,unit\n1,0\n2,nan\n", "line 3, column 'unit': expected a label, found a missing"),
        ("time,unit\n1,1\n2,0.5\n", "line 3, column 'unit': expected a whole number or a name"),
        ("time,trial\n1,1e99\n", "line 2, column 'trial': expected a whole number or a name"),
        ("time,train,trial\n1,0,0\n", r"one column time, and train \(or trial\) and unit once"),
        ("time,trial\n2,go\n1,go\n1,no\n", r"line 3 \(train go, unit 0\): expected later"),
        ('time\n"0.1\n0.2"\n', "line 2: expected pairs of quotation marks"),
        ("", "expected samples, found an empty file"),
        ("# nothing\n\n", "expected a line with the time of a spike, found none"),
        ("time\n", "expected times below the names of the columns, found none"),
        (b"0.1\n\xff\n", "line 2: expected text in UTF-8, found the byte 0xFF"),
        ("0.1\n0.2".encode("utf-16"), "line 1: expected text in UTF-8, found a NUL byte"),
        (b"0.1\r0.2\r", "line 1: expected lines that end with a line feed"),
        ("1e8", r"makes 1,000,000,001 bins of 1 spike: .*Are the times in another unit"),
        ("1e300", r"bin_width is 0\.1 s, but a time of 1e\+300 s"),
    ],
)
def test_what_is_wrong_with_a_table_is_named_with_its_line(write, text, message):
    with pytest.raises(DataError, match=rf"a\.csv.*{message}"):
        sqsnn.read_spike_trains(write("a.csv", text), 0.1)


T = np.array([0.1, 0.2])


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"times": T[::-1]}, r"times\[1\]: expected later"),
        ({"times": [0.1, 0.1]}, r"times\[1\]: expected later .* the same"),
        ({"times": [-1.0, 1]}, r"times\[0\]: expected at least the start"),
        ({"times": [0.1, np.nan]}, r"times\[1\]: expected a finite time"),
        ({"times": ["0.1"]}, r"times: expected times of shape \(K,\), found <U3"),
        ({"times": [True]}, r"times: expected times of shape \(K,\), found bool"),
        ({"times": [[0.1]]}, r"times: expected times of shape \(K,\), found float64 of shape \(1,"),
        ({"times": T[:0]}, "times: expected an array with values"),
        ({"times": T, "trains": [0]}, r"trains: expected whole numbers or names, \(2,\), found"),
        (
            {"times": T, "trains": [0, 0.5]},
            r"trains\[1\]: expected a whole number or a name, .*0\.5",
        ),
        ({"times": T, "trains": [0, np.nan]}, r"trains\[1\]: expected a whole number or a name"),
        ({"times": T, "trains": [True, False]}, "trains: expected whole numbers or names"),
        (
            {"times": T, "trains": [0, 2], "stop": [1, 1]},
            r"times\[1\]: expected a train from 0 to 1",
        ),
        (
            {"times": T, "units": [0, 1e18]},
            r"units\[1\]: expected a whole number or a name, .*1e\+18",
        ),
        ({"times": T, "stop": 0.2}, r"times\[1\]: expected before the stop, 0\.2 s, found 0\.2 s"),
        ({"times": T, "stop": -1.0}, "stop: expected positive, finite numbers, found -1"),
        ({"times": T, "stop": [[1.0]]}, "stop: expected a number or one per train"),
        ({"times": T, "stop": 1e12}, "10,000,000,000,000 bins of 2 spikes: .*another unit"),
        ({"times": T, "spikes": [[0]]}, "expected only lengths, .* beside spikes, found times"),
        ({"times": T, "lengths": [1]}, "expected only trains, units, stop beside times, found len"),
        ({"tims": T}, "found 'tims'; did you mean 'times'"),
        ({"stop": 1.0}, "expected an array of spikes .* or times, found stop"),
        ({"spikes": [[0, 2]]}, r"spikes\[0\] must hold 0 and 1 only, but holds 2 at bin 1"),
        ({"spikes": [[np.nan]]}, r"spikes\[0\] .* holds nan at bin 0"),
        ({"spikes": [0, 1]}, r"spikes: expected the shape \(n, T\) or \(n, T, N\), found \(2,\)"),
        ({"spikes": [["a"]]}, r"spikes\[0\] must be an array of numbers, but holds <U1"),
        ({"spikes": [[0, 1]], "lengths": [3]}, r"lengths\[0\]: expected from 1 to 2 bins, found 3"),
        ({"spikes": [[0, 1]], "lengths": [0]}, r"lengths\[0\]: expected from 1 to 2 bins, found 0"),
        ({"spikes": [[0, 1]], "lengths": [1, 1]}, r"lengths: expected whole numbers, \(1,\)"),
        ({"spikes": [[0, 1]], "bin_width": 0.0}, "bin_width: expected positive, finite numbers"),
        ({"spikes": [[0, 1]], "bin_width": [1.0]}, "bin_width: expected a number, found"),
        ({"spikes": [[0, 1]], "merged": -1}, "merged: expected a whole number from 0"),
    ],
)
def test_what_is_wrong_with_arrays_is_named(write, held, message):
    path = write("a.npz", npz({name: np.asarray(values) for name, values in held.items()}))
    with pytest.raises(DataError, match=rf"a\.npz.*{message}"):
        sqsnn.read_spike_trains(path, 0.1)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (
            (TIMES, [2, 1, 4], NUMBERS),
            "index, value 1: expected at least the end before, 2, found 1",
        ),
        ((TIMES, [2, 2, 5], NUMBERS), "index: expected 4 as the last end, .* found 5"),
        ((TIMES, [2, 2, 3], NUMBERS), "index: expected 4 as the last end, .* found 3"),
        ((TIMES, [-1, 2, 4], NUMBERS), "index, value 0: expected a whole number from 0"),
        ((TIMES, [2, 4], NUMBERS), r"index: expected one end for each of 3 units \(units/id\)"),
        ((TIMES, [2.0, 4.0], [1, 2]), "index: expected a list of whole numbers, found float64"),
        ((TIMES, ENDS, [5, 5, 8]), "units/id: expected another number for each unit"),
        ((TIMES, [1, 4], [1, 2]), r"spike_times, value 2 \(train 0, unit 2\): expected later"),
        (([0.1, np.nan], [2], [1]), "spike_times, value 1: expected a finite time"),
        ((["a", "b"], [2], [1]), "spike_times: expected a list of fractional numbers"),
        (([[0.1, 0.2]], [1], [1]), r"spike_times: .* found float64 of shape \(1, 2\)"),
        (([0.1, 1e12], [2], [1]), "bins of 2 spikes: .*Are the times in another unit"),
    ],
)
def test_what_is_wrong_with_units_of_nwb_is_named(write, held, message):
    with pytest.raises(DataError, match=rf"a\.nwb.*{message}"):
        sqsnn.read_spike_trains(write("a.nwb", spike_files.nwb(*held)), 0.1)


def test_files_without_what_their_suffix_promises_are_refused(write, tmp_path):
    whole = spike_files.nwb(TIMES, ENDS, NUMBERS)
    for content in (
        whole[: len(whole) // 2],
        b"units",
        whole.replace(b"spike_times_index", b"x" * 17),
    ):
        with pytest.raises(
            DataError, match=r"a\.nwb.*expected a whole NWB file with units/spike_t"
        ):
            sqsnn.read_spike_trains(write("a.nwb", content), 0.1)
    with h5py.File(tmp_path / "b.nwb", "w") as file:
        file.create_group("units/spike_times")
        file["units/spike_times_index"], file["units/id"] = [2], [1]
    with pytest.raises(DataError, match="units/spike_times: expected values, found a group"):
        sqsnn.read_spike_trains(tmp_path / "b.nwb", 0.1)
    with h5py.File(tmp_path / "c.nwb", "w") as file:
        file["units"] = TIMES
    with pytest.raises(DataError, match="expected a group that holds spike_times_index, found val"):
        sqsnn.read_spike_trains(tmp_path / "c.nwb", 0.1)
    for content in (b"time\n0.1\n", npz({"times": T})[:-30]):
        said = (
            r"a\.npz: expected a whole file as numpy\.savez writes it, found no whole zip archive"
        )
        with pytest.raises(DataError, match=said):
            sqsnn.read_spike_trains(write("a.npz", content), 0.1)
    with pytest.raises(DataError, match="does not exist"):
        sqsnn.read_spike_trains(tmp_path / "absent.csv", 0.1)
    with pytest.raises(DataError, match=r"is no file, but own data are one: \.npz, \.csv, \.tsv"):
        (tmp_path / "b.csv").mkdir()
        sqsnn.read_spike_trains(tmp_path / "b.csv", 0.1)
    with pytest.raises(ConfigError, match=r"has the suffix '\.mat'; files of spikes may be \.npz"):
        sqsnn.read_spike_trains(tmp_path / "a.mat", 0.1)


def test_objects_are_never_unpickled_and_no_memory_is_spent_on_promises(write, tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").touch, ())

    np.savez(tmp_path / "a.npz", times=np.array([Harm()], dtype=object))
    with pytest.raises(DataError, match=r"times: .*Python objects, which only pickle could read"):
        sqsnn.read_spike_trains(tmp_path / "a.npz", 0.1)
    assert not (tmp_path / "harm").exists()
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    content = zip_of({"times.npy": own_hostile.npy_member(header, bytes(64))})
    with pytest.raises(DataError, match=r"times: expected 8,000,000,000,000 bytes .* found 64"):
        sqsnn.read_spike_trains(write("a.npz", content), 0.1)


@pytest.mark.parametrize("held", [{"spikes": (10**6, 1)}, {"times": (1,), "stop": (10**6,)}])
def test_a_few_bytes_cannot_promise_millions_of_trains(write, held):
    arrays = {name: np.ones(shape, np.uint8) for name, shape in held.items()}
    with pytest.raises(DataError, match=r"its trains: expected at most .*SQSNN_LARGEST"):
        sqsnn.read_spike_trains(write("a.npz", npz(arrays, compressed=True)), 1.0)


def test_a_file_cannot_promise_more_bins_than_memory_allows(write, monkeypatch):
    path = write("a.csv", "1\n")
    monkeypatch.setenv("SQSNN_LARGEST", "1e-6")
    assert sqsnn.read_spike_trains(path, 0.00101).bins == 991
    with pytest.raises(DataError, match=r"0\.001 s: expected at most 1,000 bytes .* found 1,001"):
        sqsnn.read_spike_trains(path, 0.001)


@pytest.mark.usefixtures("own_checks")
def test_arguments_must_fit_each_other_and_the_file(write):
    times, binned = write("a.csv", "0.1\n"), write("a.npz", npz({"spikes": np.eye(2)}))
    with pytest.raises(ConfigError, match=r"a\.csv holds times of spikes: choose bin_width"):
        sqsnn.read_spike_trains(times)
    for argument in ({"time_unit": "ms"}, {"start": 0.1}, {"stop": 1.0}):
        with pytest.raises(ConfigError, match=f"holds bins, but {next(iter(argument))} is about"):
            sqsnn.read_spike_trains(binned, **argument)
    with_width = write("b.npz", npz({"spikes": np.eye(2), "bin_width": np.array(0.1)}))
    with pytest.raises(ConfigError, match=r"bin_width is 0\.2, but .*b\.npz holds bins of 0\.1 s"):
        sqsnn.read_spike_trains(with_width, 0.2)
    with_stop = write("c.npz", npz({"times": T, "stop": np.array(1.0)}))
    with pytest.raises(ConfigError, match=r"c\.npz holds stop, so that the argument stop must be"):
        sqsnn.read_spike_trains(with_stop, 0.1, stop=2.0)
    for argument, message in (
        ({"bin_width": 0}, "bin_width must be above 0"),
        ({"start": np.inf}, "start must be finite"),
        ({"stop": -1}, "stop must be after the start"),
        ({"time_unit": "min"}, "time_unit is 'min'; it may be one of s, ms, us"),
        ({"units": []}, "units must name from 1 to 8 different units, but is"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            sqsnn.read_spike_trains(times, **{"bin_width": 0.1, **argument})
        assert not isinstance(caught.value, ConfigError)
    for units in (0.5, [True], np.array([0])):
        with pytest.raises(TypeError, match="units must be whole numbers or names, but holds"):
            sqsnn.read_spike_trains(times, 0.1, units=units)
