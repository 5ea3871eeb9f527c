"""Spike trains: no spike is lost unsaid, each falls into its bin, and nothing wrong gets in."""

import pickle
import re
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import sqsnn
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import WriteError

times_of_a_unit = st.lists(st.floats(0, 9.99), max_size=20, unique=True).map(sorted)


def bits(units):
    """A train of that many units, (T, units)."""
    shape = st.tuples(st.integers(1, 12), st.just(units))
    return arrays.arrays(np.uint8, shape, elements=st.integers(0, 1))


@pytest.mark.filterwarnings("ignore:.* spikes are merged")
@given(st.lists(times_of_a_unit, min_size=1, max_size=3), st.sampled_from([1 / 64, 0.125, 0.5]))
def test_every_spike_is_in_a_bin_or_counted_as_merged_or_too_many_would_be(units, width):
    total = 2 * sum(map(len, units))
    full = 2 * sum(len({floor(time / width) for time in times}) for times in units)
    if total - full > total / 10:
        with pytest.raises(ValueError, match=f"{total - full} of {total} spikes are merged"):
            SpikeTrains.from_times([units, units[::-1]], width, stop=10.0)
        return
    trains = SpikeTrains.from_times([units, units[::-1]], width, stop=10.0)
    assert (trains.count, trains.merged) == (full, total - full)
    assert trains.units == len(units) and len(trains) == 2


@pytest.mark.filterwarnings("ignore:.* spikes are merged")
@given(st.lists(st.floats(1e-3, 1), min_size=3, max_size=50))
def test_the_bin_width_of_the_refusal_is_taken(intervals):
    times = np.cumsum(intervals)
    try:
        SpikeTrains.from_times(times, 10.0)
    except ValueError as error:
        advised = re.search(r"choose bin_width (\S+) s or less", str(error))
        assert advised is not None
        assert SpikeTrains.from_times(times, float(advised[1])).merged <= len(times) / 10


def test_times_in_another_unit_than_seconds_are_asked_about():
    times = 50.0 * np.arange(1, 400)  # 20 per second, in milliseconds
    said = r"makes 19,950,001 bins of 399 spikes: 19,950 s with 0\.02 spikes per second\. Are the"
    with pytest.raises(ValueError, match=said):
        SpikeTrains.from_times(times, 0.001)
    assert SpikeTrains.from_times(times / 1000, 0.001).count == 399
    # Few bins, or full ones, raise no doubt.
    assert SpikeTrains.from_times([0.1], 0.001, stop=10_000.0).bins == 10**7
    assert SpikeTrains.from_times(10.0 * np.arange(1, 1200), 0.001).bins > 10**7


@given(
    st.integers(0, 10**6), st.integers(1, 10**4), st.integers(0, 6), st.integers(-(10**6), 10**6)
)
@example(3, 1, 1, 0)
@example(3, 1, 1, -3)
def test_decimal_times_fall_into_the_bins_of_exact_arithmetic(time, width, digits, start):
    """3 * 0.1 s in bins of 0.1 s is bin 3, though 0.3 / 0.1 is 2.9999999999999996."""
    scale = 10**digits
    exact = floor(Fraction(time, scale) / Fraction(width, scale))
    found = SpikeTrains.from_times([[(start + time) / scale]], width / scale, start / scale)
    assert found.bins == exact + 1 and found.spikes[0][-1, 0] == 1


@pytest.mark.parametrize("width", [0.1, 0.001, 1e-4, 0.05, 0.7, 1 / 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_multiples_of_the_bin_width_begin_their_bins(width, dtype):
    times = (np.arange(2000) * width).astype(dtype)
    trains = SpikeTrains.from_times(times, width)
    assert trains.bins == 2000 == trains.count


@given(bits(3), st.sampled_from([0.001, 0.1, 1 / 3, 7.0]), st.sampled_from([0.0, -2.5, 1e4]))
def test_times_of_the_centres_of_bins_give_the_bins_back(train, width, start):
    times = [start + (np.flatnonzero(unit) + 0.5) * width for unit in train.T]
    again = SpikeTrains.from_times([times], width, start, start + len(train) * width)
    assert np.array_equal(again.spikes[0], train) and again.merged == 0


def test_a_spike_just_before_the_end_lies_in_the_last_bin():
    trains = SpikeTrains.from_times([[0.0, float(np.nextafter(0.3, 0))]], 0.1, stop=0.3)
    assert trains.spikes[0][:, 0].tolist() == [1, 0, 1]


def test_a_recording_ends_at_its_stop_or_else_with_its_last_spike():
    times = [[0.1, 0.25], [0.4]]
    assert list(map(len, SpikeTrains.from_times(times, 0.1))) == [3, 5]
    assert list(map(len, SpikeTrains.from_times(times, 0.1, stop=0.95))) == [10, 10]
    assert list(map(len, SpikeTrains.from_times(times, 0.1, stop=[0.3, 2.0]))) == [3, 20]
    silent = SpikeTrains.from_times([[], [0.4]], 0.1, stop=0.5)
    assert silent.spikes[0].tolist() == [[0]] * 5
    whole = SpikeTrains.from_times([[[], [0.15]]], 0.1)  # a silent unit beside one that fires
    assert whole.spikes[0].tolist() == [[0, 0], [0, 1]]


def test_one_array_is_one_train_and_lists_of_arrays_are_units():
    times = np.array([0.1, 0.3])
    for given_times in (times, [0.1, 0.3], [times], [[times]], torch.tensor(times)):
        assert SpikeTrains.from_times(given_times, 0.1).spikes[0].tolist() == [[0], [1], [0], [1]]
    assert SpikeTrains.from_times([[times, [0.2]]], 0.1).units == 2
    assert SpikeTrains.from_times(np.array([1, 3]), 1.0).count == 2


def test_merged_spikes_are_counted_and_said():
    said = (
        r"2 of 20 spikes are merged .*: bin_width is 0\.1 s, the shortest interval 0\.01 s; choose "
        r"bin_width below 0\.01 s"
    )
    with pytest.warns(UserWarning, match=said) as caught:
        trains = SpikeTrains.from_times([[0.01, 0.02, 0.05], np.arange(17) + 0.5], 0.1)
    assert not Path(caught[0].filename).is_relative_to(Path(sqsnn.__file__).parent)
    assert (trains.count, trains.merged) == (18, 2)
    assert trains[:1].merged == 2  # what a part was cut from


@given(st.lists(bits(2), min_size=1, max_size=4))
def test_padded_trains_and_their_presence_give_the_trains_back(trains):
    held = SpikeTrains.from_bins(trains, 0.1)
    spikes, present = held.padded()
    assert spikes.shape == (max(map(len, trains)), len(trains), 2)
    assert spikes.dtype == np.float32 and not spikes[~present].any()
    parts = [spikes[present[:, number], number] for number in range(len(trains))]
    assert_same(SpikeTrains.from_bins(parts, 0.1), held)


def assert_same(one, other):
    assert (one.bin_width, one.merged, len(one)) == (other.bin_width, other.merged, len(other))
    assert all(map(np.array_equal, one, other))


@pytest.mark.parametrize(
    "trains",
    [
        np.array([[0, 1, 1], [1, 0, 0]]),
        np.array([[0, 1, 1], [1, 0, 0]], bool)[..., None],
        torch.tensor([[0.0, 1, 1], [1, 0, 0]], requires_grad=True),
        [[0, 1, 1], [1, 0, 0]],
        ([False, True, True], torch.tensor([[1], [0], [0]])),
    ],
    ids=["integers", "truth values", "tensor", "lists", "mixed"],
)
def test_bins_of_every_kind_are_taken(trains):
    found = SpikeTrains.from_bins(trains)
    assert [train.tolist() for train in found] == [[[0], [1], [1]], [[1], [0], [0]]]
    assert SpikeTrains.from_bins(found) is found


def test_figures_follow_from_the_bins():
    trains = SpikeTrains.from_bins([[[0, 1], [1, 1]], [[0, 0], [0, 1], [0, 0]]])
    assert (len(trains), trains.units, trains.bins, trains.count) == (2, 2, 5, 4)
    assert trains.rate.tolist() == [1 / 5, 3 / 5]
    assert repr(trains) == (
        "SpikeTrains(trains=2, units=2, bins=5, spikes=4, bin_width=None, merged=0)"
    )


def test_trains_cannot_be_written_and_are_no_views():
    given_bits = np.array([[0, 1, 0]], np.uint8)
    trains = SpikeTrains.from_bins(given_bits)
    given_bits[:] = 1
    assert trains.count == 1
    with pytest.raises(ValueError, match="read-only"):
        trains[0][0] = 1
    assert_same(pickle.loads(pickle.dumps(trains)), trains)


@given(st.lists(bits(1), min_size=1, max_size=4), st.integers(1, 4))
def test_windows_put_together_are_the_trains(trains, length):
    windows = SpikeTrains.from_bins(trains).windows(length)
    assert max(map(len, windows)) <= length
    assert len(windows) == sum(-(-len(train) // length) for train in trains)
    assert np.array_equal(np.concatenate(list(windows)), np.concatenate(trains))


def test_a_split_cuts_each_train_in_time():
    trains = SpikeTrains.from_bins([np.arange(10) % 2, np.arange(5) % 3 == 0])
    first, rest = trains.split(0.8)
    assert list(map(len, first)) == [8, 4] and list(map(len, rest)) == [2, 1]
    for whole, parts in zip(trains, zip(first, rest, strict=True), strict=True):
        assert np.array_equal(np.concatenate(parts), whole)
    with pytest.raises(ValueError, match=r"fraction is 0\.92, but train 1 has 5 bins"):
        trains.split(0.92)
    with pytest.raises(ValueError, match=r"fraction must lie between 0 and 1, but is 1\.5"):
        trains.split(1.5)


@pytest.mark.usefixtures("own_checks")
@pytest.mark.parametrize(
    ("trains", "error", "message"),
    [
        ([], ValueError, "trains must hold at least one train"),
        (np.zeros((0, 3)), ValueError, "trains must hold at least one train"),
        (np.zeros(3), ValueError, r"the shape \(n, T\) or .* has \(3,\); one train is \[trains\]"),
        (np.zeros((2, 3, 1, 1)), ValueError, r"the shape \(n, T\) or"),
        ([[0, 1], []], ValueError, r"trains\[1\] must .*at least one bin, but has \(0,\)"),
        (np.zeros((2, 0)), ValueError, r"trains\[0\] must .*at least one bin"),
        ([[0, 1, 2]], ValueError, r"trains\[0\] must hold 0 and 1 only, but holds 2 at bin 2"),
        ([[[0, 1], [0, 0.5]]], ValueError, r"holds 0\.5 at bin 1, unit 1"),
        ([[0, -1]], ValueError, "holds -1 at bin 1"),
        ([[0, np.nan]], ValueError, "holds nan at bin 1"),
        (torch.tensor([[0.0, np.inf]]), ValueError, "holds inf at bin 1"),
        ([[0, 1], [[0, 1], [1, 1]]], ValueError, r"trains\[1\] has 2 units, but trains\[0\] has 1"),
        ([["0", "1"]], TypeError, r"trains\[0\] must be an array of numbers, but holds <U1"),
        ([[0, None]], TypeError, "holds object"),
        (np.array([[0], [0, 1]], object), TypeError, "trains must .*holds object"),
        ([[0, [0, 1]]], TypeError, r"trains\[0\] must be an array of numbers, but"),
        ([[0, 1j]], TypeError, "holds complex128"),
        (None, TypeError, "trains must be an array of numbers"),
        ("0101", TypeError, "trains must be an array of numbers"),
    ],
)
def test_what_is_no_train_of_bins_is_refused_by_name(trains, error, message):
    with pytest.raises(error, match=message):
        SpikeTrains.from_bins(trains)


@pytest.mark.usefixtures("own_checks")
@pytest.mark.parametrize(
    ("times", "given_more", "error", "message"),
    [
        ([], {}, ValueError, "times must hold at least one train"),
        ([[0.1], []], {}, ValueError, r"times\[1\] has no spikes, .*: give stop"),
        ([[0.1, 0.3, 0.2]], {}, ValueError, r"times\[0\]\[2\] .*later .* is 0\.2 s after 0\.3 s"),
        ([[0.1, 0.1]], {}, ValueError, r"times\[0\]\[1\] .*later .*the same, but is 0\.1 s"),
        ([[[0.1], [0.2, -1]]], {}, ValueError, r"times\[0\]\[1\]\[1\] .*at least the start, 0 s"),
        ([[0.1, np.nan]], {}, ValueError, r"times\[0\]\[1\] must be a finite time, but is nan"),
        ([[np.inf, -np.inf]], {}, ValueError, r"times\[0\]\[0\] must be a finite time"),
        ([[0.1, 0.5]], {"stop": 0.5}, ValueError, r"times\[0\]\[1\] must be before the stop, 0\.5"),
        ([[0.1]], {"stop": [1, 2]}, ValueError, r"one per train \(1\), but holds 2"),
        ([[0.1]], {"stop": 0}, ValueError, "stop must be after the start, 0 s, but is 0 s"),
        ([[0.1]], {"stop": np.nan}, ValueError, "stop must be finite, but is nan"),
        ([[0.1]], {"stop": "1"}, TypeError, "stop must be a number, but is '1'"),
        ([[0.1]], {"stop": [None]}, TypeError, r"stop\[0\] must be a number, but is None"),
        ([[0.1]], {"start": None}, TypeError, "start must be a number, but is None"),
        ([[0.1]], {"bin_width": 0}, ValueError, "bin_width must be above 0, but is 0"),
        ([[0.1]], {"bin_width": -1.0}, ValueError, "bin_width must be above 0, but is -1"),
        ([[0.1]], {"bin_width": np.nan}, ValueError, "bin_width must be finite, but is nan"),
        (
            [[0.1]],
            {"bin_width": 10**400},
            ValueError,
            "bin_width must be finite, but is an integer",
        ),
        ([[0.1]], {"bin_width": True}, TypeError, "bin_width must be a number, but is True"),
        ([[0.1], [[0.1], [0.2]]], {}, ValueError, r"times\[1\] has 2 units, but times\[0\] has 1"),
        (["a"], {}, TypeError, "times must be an array of numbers, but holds <U1"),
        ([[0.1, {}]], {}, TypeError, r"times\[0\] must be an array of numbers, but holds object"),
        ([np.ones((2, 2))], {}, ValueError, r"times\[0\] must be an array \(K,\) of times in sec"),
        ([[True]], {}, ValueError, r"times\[0\] must be an array \(K,\) .* holds bool"),
        (0.5, {}, ValueError, r"times must be an array \(K,\)"),
    ],
)
def test_times_that_do_not_fit_are_refused_by_name(times, given_more, error, message):
    with pytest.raises(error, match=message):
        SpikeTrains.from_times(times, **{"bin_width": 0.1, **given_more})


def test_too_many_bins_are_refused_before_they_are_made(monkeypatch):
    with pytest.raises(ValueError, match=r"bin_width is 1e-300 s, but a time of 1 s in float64"):
        SpikeTrains.from_times([[1.0]], 1e-300)
    with pytest.raises(ValueError, match=r"a time of 1000 s in float32 is known to 0\.0001 s only"):
        SpikeTrains.from_times(np.array([1000.0], np.float32), 1e-4)
    monkeypatch.setenv("SQSNN_LARGEST", "1e-8")
    assert SpikeTrains.from_times([[0.5]], 0.1, stop=1.0).bins == 10
    with pytest.raises(ValueError, match=r"makes 11 bins, but there may be 10: .*\$SQSNN_LARGEST"):
        SpikeTrains.from_times([[0.5]], 0.1, stop=1.1)


def test_bins_keep_their_width():
    trains = SpikeTrains.from_bins([[0, 1]], 0.1)
    assert SpikeTrains.from_bins(trains, 0.1) is trains
    with pytest.raises(ValueError, match=r"bin_width is 0\.2, but trains have bins of 0\.1 s"):
        SpikeTrains.from_bins(trains, 0.2)
    with pytest.raises(ValueError, match="bin_width must be above 0"):
        SpikeTrains.from_bins([[0, 1]], 0.0)


def test_a_written_file_gives_the_trains_back(tmp_path):
    trains = SpikeTrains((np.eye(3, 2, dtype=np.uint8), np.array([[1, 0]], np.uint8)), 0.05, 3)
    trains.to_npz(tmp_path / "a.npz")
    assert_same(sqsnn.read_spike_trains(tmp_path / "a.npz"), trains)
    with pytest.raises(ValueError, match=r"path must end in \.npz"):
        trains.to_npz(tmp_path / "a.csv")
    with pytest.raises(WriteError, match="cannot be written"):
        trains.to_npz(tmp_path / "absent" / "a.npz")
