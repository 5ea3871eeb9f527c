"""Files of the HDF5 layout: read as they were written, and refused, with the place, if damaged."""

from dataclasses import replace

import event_files
import h5py
import numpy as np
import pytest

from sqsnn.data.dataset_spec import EventSpec, Sensor
from sqsnn.data.hdf5_recordings import open_hdf5
from sqsnn.data.specs import SPECS
from sqsnn.errors import DataError

TIMES = [[0.0, 0.25, 0.5], [0.125]]
UNITS = [[0, 4, 1], [2]]


def spec(in_order=True):
    """A dataset of two classes, felt by five units."""
    events = EventSpec(Sensor(5), None, 1, in_order)
    return replace(SPECS["braille"], class_names=("a", "b"), events=events)


def as_rows(events):
    return list(zip(*(column.tolist() for column in events), strict=True))


@pytest.fixture
def hdf5(tmp_path):
    """Writes an HDF5 file, changed by a function, and reads it."""

    def read(change=lambda file: None, in_order=True):
        path = tmp_path / "train.h5"
        event_files.write_hdf5(path, TIMES, UNITS, [1, 0], ["a", "b"])
        with h5py.File(path, "r+") as file:
            change(file)
        return list(open_hdf5(spec(in_order), path, "train").read())

    return read


def test_recordings_of_the_hdf5_layout_are_read_as_written(hdf5):
    first, second = hdf5()
    assert (first.where, first.label, second.label) == ("recording 0", 1, 0)
    assert as_rows(first.events) == [
        (0, 0, 0, True),
        (250_000, 4, 0, True),
        (500_000, 1, 0, True),
    ]
    assert as_rows(second.events) == [(125_000, 2, 0, True)]


def test_the_index_of_an_hdf5_file_names_its_classes(tmp_path):
    path = tmp_path / "train.h5"
    event_files.write_hdf5(path, TIMES, UNITS, [1, 0], ["eins", "fünf"])
    found = open_hdf5(spec(), path, "train")
    assert (found.count, found.class_names, found.files) == (2, ("eins", "fünf"), (path,))


def test_times_out_of_order_are_refused_only_where_order_is_promised(hdf5):
    def swap(file):
        file["spikes/times"][0] = np.array([0.25, 0.0, 0.5], np.float32)

    with pytest.raises(DataError, match="recording 0, event 1: expected a time not below the"):
        hdf5(swap)
    assert hdf5(swap, in_order=False)[0].events.times.tolist() == [250_000, 0, 500_000]


def _set_times(number, values):
    return lambda file: file["spikes/times"].__setitem__(number, np.array(values, np.float32))


def _set_units(number, values):
    return lambda file: file["spikes/units"].__setitem__(number, np.array(values, np.uint16))


def _replace(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _set_times(0, [0, np.nan, 1]),
            "recording 0, event 1: .* a time from 0 .* found nan",
        ),
        (_set_times(0, [-0.5, 0, 1]), "recording 0, event 0: .* a time from 0 .* found -0.5"),
        (_set_times(1, [np.inf]), "recording 1, event 0: expected a time from 0 .* found inf"),
        (_set_units(0, [0, 1, 5]), "recording 0, event 2: expected a unit from 0 to 4, found 5"),
        (_set_units(0, [0, 1]), "recording 0: expected as many .* found 3 times and 2 units"),
        (_set_units(1, []), "recording 1: expected as many .* found 1 times and 0 units"),
        (_replace("labels", [0, 2]), "labels, recording 1: expected a label from 0 to 1, found 2"),
        (_replace("labels", [-1, 0]), "labels, recording 0: expected .* found -1"),
        (
            _replace("labels", [0.0, 1.0]),
            "labels: expected whole numbers, found fractional",
        ),
        (_replace("labels", [0]), r"expected as many .* found shapes \(2,\), \(2,\), \(1,\)"),
        (
            _replace("spikes/times", [0.5, 1.0]),
            "spikes/times: expected lists of fra.* found fra",
        ),
        (_replace("extra/keys", [b"a"]), "extra/keys: expected the names of 2 classes, found 1"),
        (_replace("extra/keys", [b"\xff", b"a"]), "the list of its datasets: .*utf-8"),
        (
            lambda file: file.pop("labels"),
            "a whole HDF5 file with spikes/times, .* labels",
        ),
        (lambda file: file.pop("spikes"), "the list of its datasets: expected a whole HDF5 file"),
    ],
)
def test_damaged_recordings_are_refused_with_their_number(hdf5, change, message):
    with pytest.raises(DataError, match=rf"train\.h5 is broken, at .*{message}"):
        hdf5(change)


@pytest.mark.parametrize("raw", [b"", b"no HDF5 at all"])
def test_what_is_no_hdf5_file_is_refused(tmp_path, raw):
    path = tmp_path / "train.h5"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"train\.h5 is broken.* a whole HDF5 file"):
        open_hdf5(spec(), path, "train")
