"""A folder of recordings: its classes and parts, and whatever is damaged or out of place."""

import sys
from types import ModuleType

import event_files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqsnn.data.dataset_spec import Sensor
from sqsnn.data.own.event_folder import open_event_folder
from sqsnn.errors import ConfigError, DataError
from sqsnn.runs.loading import load_data
from sqsnn.settings.run import from_flat

FIRST = [(5, 1, 2, True), (9, 3, 0, False)]
SECOND = [(100, 7, 4, False)]


@pytest.fixture
def write(tmp_path):
    def write(name, raw):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(
            raw if isinstance(raw, bytes) else event_files.nmnist_member(raw)
        )
        return tmp_path

    return write


def rows_of(recordings):
    return [
        (one.where, one.label, list(zip(*(column.tolist() for column in one.events), strict=True)))
        for one in recordings.read()
    ]


def test_each_sub_folder_is_a_class(write):
    write("left/b.bin", FIRST)
    write("left/.hidden", b"")
    folder = write("right/a.bin", SECOND)
    (part,) = open_event_folder(folder).values()
    assert part.class_names == ("left", "right") and part.count == 2
    assert part.sensor == Sensor(8, 5, 2)  # the smallest that holds all events
    # Times count from the first event of each recording.
    assert rows_of(part) == [
        ("left/b.bin", 0, [(0, 1, 2, True), (4, 3, 0, False)]),
        ("right/a.bin", 1, [(0, 7, 4, False)]),
    ]


def test_train_and_test_are_parts_of_one_sensor(write):
    write("Train/a/1.bin", FIRST)
    write("Train/b/1.bin", FIRST)
    folder = write("Test/b/1.bin", SECOND)
    parts = open_event_folder(folder)
    assert [*parts] == ["train", "test"] and parts["train"].sensor == parts["test"].sensor
    assert rows_of(parts["test"]) == [("b/1.bin", 1, [(0, 7, 4, False)])]
    write("Test/c/1.bin", SECOND)
    with pytest.raises(DataError, match=r"c: expected a class of the training part, .* 'a', 'b'"):
        open_event_folder(folder)


def test_events_beyond_a_given_sensor_are_refused(write):
    (part,) = open_event_folder(write("a/1.bin", SECOND), Sensor(7, 7, 2)).values()
    with pytest.raises(DataError, match=r"1\.bin: expected x from 0 to 6, found 7"):
        rows_of(part)


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        (
            "a/1.txt",
            b"x",
            r"1\.txt: expected a recording, \.bin or \.aedat or \.aedat4, found something else",
        ),
        ("1.bin", b"x", r"1\.bin: expected a folder per class, with its recordings, found a file"),
        ("a/.hidden", b"x", "a: expected recordings, found none"),
        ("a/1.bin", b"", r"1\.bin, byte 0: expected events of 5 bytes"),
        ("a/1.bin", b"12", r"1\.bin, byte 0: expected events of 5 bytes"),
    ],
)
def test_what_is_out_of_place_is_named(write, name, raw, message):
    with pytest.raises(DataError, match=message):
        open_event_folder(write(name, raw))


def test_an_empty_folder_and_a_file_are_refused(tmp_path):
    with pytest.raises(
        DataError, match="expected a folder per class, with its recordings, found none"
    ):
        open_event_folder(tmp_path)
    with pytest.raises(DataError, match="expected a folder of event recordings"):
        open_event_folder(tmp_path / "absent")


@given(st.binary(max_size=60))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_events_within_the_sensor_or_an_error(write, raw):
    folder = write("a/1.bin", raw)
    try:
        (part,) = open_event_folder(folder).values()
    except DataError as error:
        assert "1.bin, byte " in str(error)
        return
    ((_, label, rows),) = rows_of(part)
    assert label == 0 and rows and min(time for time, *_ in rows) == 0


AEDAT4 = np.array([(7, 3, 4, True), (9, 0, 1, False)], "<u8, <u2, <u2, ?")
AEDAT4.dtype.names = ("t", "x", "y", "on")


def stand_in(monkeypatch, read):
    """tonic's reader of .aedat4 without its package, which only reads and never writes them."""
    module = ModuleType("tonic.io")
    module.read_aedat4 = read  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "aedat", ModuleType("aedat"))
    monkeypatch.setitem(sys.modules, "tonic", ModuleType("tonic"))
    monkeypatch.setitem(sys.modules, "tonic.io", module)


def test_recordings_of_cameras_are_read_through_tonic(write, monkeypatch):
    stand_in(monkeypatch, lambda path: AEDAT4)
    (part,) = open_event_folder(write("a/1.aedat4", b"x")).values()
    assert part.sensor == Sensor(4, 5, 2)
    assert rows_of(part)[0][2] == [(0, 3, 4, True), (2, 0, 1, False)]


def test_what_tonic_cannot_read_is_refused(write, monkeypatch):
    folder = write("a/1.aedat4", b"x")
    stand_in(monkeypatch, lambda path: AEDAT4[["x", "y"]])
    with pytest.raises(DataError, match=r"1\.aedat4: expected a whole file of events, found"):
        open_event_folder(folder)
    stand_in(monkeypatch, lambda path: AEDAT4[:0])
    with pytest.raises(DataError, match=r"1\.aedat4: expected events, found none"):
        open_event_folder(folder)
    far = AEDAT4.copy()
    far["t"][1] = 2**60
    stand_in(monkeypatch, lambda path: far)
    with pytest.raises(
        DataError, match=r"1\.aedat4, event 1: expected time in microseconds from 0"
    ):
        open_event_folder(folder)


def test_a_missing_package_is_named(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "aedat", None)
    with pytest.raises(ConfigError, match=r"aedat is not installed; .*'sqsnn\[events\]' aedat"):
        open_event_folder(write("a/1.aedat4", b"x"))


def test_a_folder_without_a_test_part_is_split_by_class_and_trains(write, monkeypatch, tmp_path):
    monkeypatch.setenv("SQSNN_CACHE", str(tmp_path / "cache"))
    for name, raw in (("left", FIRST), ("right", SECOND)):
        for number in range(15):
            write(f"events/{name}/{number:02}.bin", raw)
    path = f"{tmp_path}/events/"
    data = load_data(from_flat(path, {"duration": 1.0, "steps": 3, "pool": 1}))
    test = data.load_test()
    assert data.class_names == ("left", "right")
    assert test.targets.bincount().tolist() == [3, 3]
    assert len(data.train.targets) + len(data.validation.targets) == 24
    with pytest.raises(ConfigError, match="duration must be given"):
        from_flat(path, {})
