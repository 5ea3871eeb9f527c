"""Whatever happens to a file of events, it is read or refused: no other error, no endless loop.

What is damaged is cut anywhere, or has bytes changed, removed, swapped or added. Changed bytes may
give other events; these are then within the sensor. The zips have a checksum per member, so that
they give the same events, or an error that names the file.
"""

from dataclasses import replace

import event_files
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqsnn.data.dataset_spec import EventSpec, Sensor
from sqsnn.data.hdf5_recordings import open_hdf5
from sqsnn.data.nmnist import open_nmnist
from sqsnn.data.specs import SPECS
from sqsnn.errors import DataError

BUDGET = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
NMNIST = SPECS["nmnist"]
SENSOR = Sensor(24)
THREE = replace(SPECS["braille"], class_names=("a", "b", "c"), events=EventSpec(SENSOR, None, 1))

places = st.floats(0, 1, exclude_max=True)
few_bytes = st.binary(min_size=1, max_size=9)
damages = st.one_of(
    st.tuples(st.just("cut"), places),
    st.tuples(st.just("flip"), places, st.integers(1, 255)),
    st.tuples(st.just("delete"), places, st.integers(1, 9)),
    st.tuples(st.just("insert"), places, few_bytes),
    st.tuples(st.just("swap"), places, places),
    st.tuples(st.just("append"), few_bytes),
)


def damage(raw, kind, *how):
    """The bytes of a file after an accident."""
    changed = bytearray(raw)
    first = int(how[0] * len(raw)) if kind != "append" else len(raw)
    match kind:
        case "cut":
            del changed[first:]
        case "flip":
            changed[first] ^= how[1]
        case "delete":
            del changed[first : first + how[1]]
        case "insert":
            changed[first:first] = how[1]
        case "swap":
            second = int(how[1] * len(raw))
            changed[first], changed[second] = changed[second], changed[first]
        case "append":
            changed += how[0]
    return bytes(changed)


def test_every_kind_of_damage_does_what_it_says():
    raw = b"abcd"
    assert damage(raw, "cut", 0.5) == b"ab"
    assert damage(raw, "flip", 0.5, 1) == b"abbd"
    assert damage(raw, "delete", 0.25, 2) == b"ad"
    assert damage(raw, "insert", 0.5, b"xy") == b"abxycd"
    assert damage(raw, "swap", 0.0, 0.75) == b"dbca"
    assert damage(raw, "append", b"xy") == b"abcdxy"


@st.composite
def members(draw):
    """Valid members of a zip: sorted times, some overflows of the clock."""
    found = {}
    for number in range(draw(st.integers(1, 3))):
        times = sorted(draw(st.lists(st.integers(0, 2**23 - 1), min_size=1, max_size=12)))
        cells = st.tuples(st.integers(0, 33), st.integers(0, 33), st.booleans())
        name = f"Train/{draw(st.integers(0, 9))}/{number:05d}.bin"
        found[name] = [(time, *draw(cells)) for time in times]
    return found


def rows_of(recordings):
    return [
        (one.label, list(zip(*(column.tolist() for column in one.events), strict=True)))
        for one in recordings
    ]


@given(members())
@BUDGET
def test_valid_zips_are_read_as_they_were_written(tmp_path, events):
    path = tmp_path / "Train.zip"
    raw = {name: event_files.nmnist_member(rows) for name, rows in events.items()}
    path.write_bytes(event_files.nmnist_zip(raw))
    expected = [(int(name.split("/")[1]), rows) for name, rows in sorted(events.items())]
    assert rows_of(open_nmnist(NMNIST, path, "train").read()) == expected


@given(members(), damages)
@BUDGET
def test_a_damaged_zip_gives_the_same_events_or_an_error(tmp_path, events, accident):
    path = tmp_path / "Train.zip"
    raw = {name: event_files.nmnist_member(rows) for name, rows in events.items()}
    path.write_bytes(damage(event_files.nmnist_zip(raw), *accident))
    try:
        found = rows_of(open_nmnist(NMNIST, path, "train").read())
    except DataError as error:
        assert "Train.zip is broken, at " in str(error)
    else:
        written = [rows for _, rows in sorted(events.items())]
        # The names of members have no checksum: labels, order and hidden names may change.
        assert all(rows in written for _, rows in found)


@given(st.lists(st.binary(min_size=5, max_size=5), min_size=1, max_size=20), damages)
@BUDGET
def test_a_damaged_member_gives_events_within_the_sensor_or_an_error(tmp_path, events, accident):
    path = tmp_path / "Train.zip"
    raw = damage(b"".join(events), *accident)
    path.write_bytes(event_files.nmnist_zip({"Train/3/1.bin": raw}))
    try:
        (recording,) = open_nmnist(NMNIST, path, "train").read()
    except DataError as error:
        assert "Train.zip is broken, at Train/3/1.bin, byte " in str(error)
    else:
        times, x, y, _ = recording.events
        assert len(times) and (np.diff(times, prepend=0) >= 0).all()
        assert x.max() < NMNIST.events.sensor.columns and y.max() < NMNIST.events.sensor.rows


@pytest.fixture(scope="module")
def hdf5(tmp_path_factory):
    """A valid file of six recordings, and what is in it."""
    path = tmp_path_factory.mktemp("hdf5") / "train.h5"
    times = [[0.25 * event for event in range(number + 1)] for number in range(6)]
    units = [[(5 * event) % 24 for event in range(number + 1)] for number in range(6)]
    event_files.write_hdf5(path, times, units, [0, 1, 2, 0, 1, 2], ["a", "b", "c"])
    return path.read_bytes(), rows_of(open_hdf5(THREE, path, "train").read())


@given(damages)
@BUDGET
def test_a_damaged_hdf5_file_gives_events_within_the_sensor_or_an_error(tmp_path, hdf5, accident):
    path = tmp_path / "train.h5"
    raw, written = hdf5
    path.write_bytes(damage(raw, *accident))
    try:
        found = list(open_hdf5(THREE, path, "train").read())
    except DataError as error:
        assert "train.h5 is broken, at " in str(error)
    else:
        for recording in found:
            times, units, _, _ = recording.events
            assert 0 <= recording.label < 3
            assert len(times) and (np.diff(times, prepend=0) >= 0).all()
            assert units.min() >= 0 and units.max() < SENSOR.columns
        if accident[0] in ("cut", "append"):
            assert rows_of(found) == written


@given(st.integers(0, 2**16), st.integers(1, 255))
@BUDGET
def test_damage_among_the_lists_of_an_hdf5_file_ends(tmp_path, hdf5, byte, change):
    """Where HDF5 keeps lists is where it walks for ever over an object of size 0."""
    path = tmp_path / "train.h5"
    raw = bytearray(hdf5[0])
    heap = raw.index(b"GCOL")
    raw[heap + byte % (len(raw) - heap)] ^= change
    path.write_bytes(raw)
    try:
        list(open_hdf5(THREE, path, "train").read())
    except DataError as error:
        assert "train.h5 is broken, at " in str(error)


def test_an_object_of_size_0_is_refused_before_hdf5_sees_it(tmp_path, hdf5):
    path = tmp_path / "train.h5"
    raw = bytearray(hdf5[0])
    first = raw.index(b"GCOL") + 16
    raw[first : first + 16] = bytes(16)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=f"byte {first}: expected a list .* found one of 0 in"):
        open_hdf5(THREE, path, "train")


def test_lists_of_a_type_that_does_not_exist_are_refused_before_hdf5_sees_them(tmp_path, hdf5):
    path = tmp_path / "train.h5"
    raw = bytearray(hdf5[0])
    raw[raw.index(b"\x19\0\0\0\x10") + 1] ^= 5  # a datatype of lists: class and version, then type
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"expected lists of .*, found lists of an unknown kind"):
        open_hdf5(THREE, path, "train")


def test_a_list_that_is_longer_than_its_object_is_refused_before_memory_is_spent(tmp_path, hdf5):
    path = tmp_path / "train.h5"
    path.write_bytes(hdf5[0])
    with h5py.File(path) as file:
        place = file["spikes/times"].id.get_offset() + 3 * 16  # pyright: ignore
    raw = bytearray(hdf5[0])
    raw[place : place + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="times, list 3: expected 8589934588 bytes, found 16"):
        open_hdf5(THREE, path, "train")


@pytest.mark.parametrize(
    "packing", [{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}]
)
def test_lists_in_chunks_are_read_and_compared_too(tmp_path, hdf5, packing):
    path = tmp_path / "train.h5"
    path.write_bytes(hdf5[0])
    with h5py.File(path, "r+") as file:
        for name in ("spikes/times", "spikes/units"):
            rows = file[name][()]  # pyright: ignore
            kind = file[name].dtype  # pyright: ignore
            del file[name]
            made = file.create_dataset(name, (6,), kind, chunks=(4,), maxshape=(None,), **packing)
            for number, row in enumerate(rows):
                made[number] = row
    assert rows_of(open_hdf5(THREE, path, "train").read()) == hdf5[1]
