"""Datasets that tonic reads: a stand-in of every kind, and tonic's own reader of N-MNIST."""

import sys
import zipfile

import event_files
import numpy as np
import pytest
import tonic
import torch

from sqsnn.data import Binning, catalog
from sqsnn.data.specs import find_spec
from sqsnn.data.tonic_sets import open_part
from sqsnn.errors import ConfigError, DataError

DTYPE = np.dtype([("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)])
BINNING = Binning(4, 4e-6)


class Tiny:
    """What tonic's datasets have: 30 recordings of 3 classes, and 9 of them for testing."""

    sensor_size = (6, 5, 2)
    classes = ("ant", b"bee", "cat")
    dtype = DTYPE

    def __init__(self, save_to, train=True, transform=None):
        self.count = 36 if train else 9

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        label = number % 3
        rows = [(label, 4, step % 2 == 0, 1000 + step) for step in range(4)]
        return np.array(rows, self.dtype), label


@pytest.fixture
def use(monkeypatch):
    """Gives tonic a dataset "Tiny", changed as a test wants it."""

    def put(**changes):
        monkeypatch.setattr(tonic.datasets, "Tiny", type("Tiny", (Tiny,), changes), raising=False)

    return put


def test_a_dataset_of_tonic_is_loaded_by_its_name(use, tmp_path):
    use()
    data = catalog.load("tonic:Tiny", data_dir=tmp_path, binning=BINNING)
    assert data.class_names == ("ant", "bee", "cat")
    assert (data.features, data.channels, data.steps) == (30, 1, 4)
    assert data.source == "tonic:Tiny, 36 + 9 recordings"
    assert len(data.train.targets) + len(data.validation.targets) == 36
    test = data.load_test()
    assert test.targets.tolist() == [0, 1, 2] * 3
    # Timed from the first event, whatever the clock of the recording says.
    expected = torch.nn.functional.one_hot(24 + test.targets, 30).float()
    assert torch.equal(test.values[:], expected.unsqueeze(1).expand(-1, 4, -1))


def test_polarities_of_tonic_may_be_two_channels(use, tmp_path):
    use()
    binning = Binning(2, 4e-6, pool=6, polarity="channels")
    data = catalog.load("tonic:Tiny", data_dir=tmp_path, binning=binning)
    assert data.train.values[:1].tolist() == [[[[1.0, 1.0]], [[1.0, 1.0]]]]
    binning = Binning(4, 4e-6, pool=6, polarity="channels")
    data = catalog.load("tonic:Tiny", data_dir=tmp_path, binning=binning)
    assert data.train.values[:1][0, :, 0].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]


def test_a_line_of_units_without_polarity_is_read_too(use, tmp_path):
    line = np.dtype([("t", int), ("x", int), ("p", int)])

    def get(self, number):
        return np.array([(7, number % 3, 1)], line), number % 3

    use(sensor_size=(3, 1, 1), __getitem__=get)
    data = catalog.load("tonic:Tiny", data_dir=tmp_path, binning=BINNING)
    assert data.load_test().values[:][:, 0].tolist() == np.tile(np.eye(3), (3, 1)).tolist()


def test_labels_may_be_names_and_names_may_be_missing(use, tmp_path):
    names = ("ant", "bee", "cat")
    use(__getitem__=lambda self, number: (Tiny.__getitem__(self, number)[0], names[number % 3]))
    data = catalog.load("tonic:Tiny", data_dir=tmp_path, binning=BINNING)
    assert data.load_test().targets.tolist() == [0, 1, 2] * 3
    use(classes=None)
    data = catalog.load("tonic:Tiny", data_dir=tmp_path / "other", binning=BINNING)
    assert data.class_names == ("0", "1", "2")


def test_without_tonic_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(ConfigError, match=r"pip install 'sqsnn\[events\]'"):
        open_part(find_spec("tonic:DVSGesture"), tmp_path, "train")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Nothing", "is not in tonic"),
        ("nmnist", "is not in tonic"),  # a module
        ("CIFAR10DVS", "has no training and test part"),
        ("SSC", "has no training and test part"),
        ("MVSEC", "has no training and test part"),
    ],
)
def test_other_kinds_of_datasets_are_refused_by_name(name, reason, tmp_path):
    with pytest.raises(ConfigError, match=rf"tonic:{name} {reason}; .* DVSGesture, .*NMNIST"):
        open_part(find_spec(f"tonic:{name}"), tmp_path, "train")


@pytest.mark.parametrize("size", [None, (3, 4), 5])
def test_a_dataset_without_a_sensor_is_refused(use, tmp_path, size):
    use(sensor_size=size)
    with pytest.raises(ConfigError, match="tonic:Tiny cannot be trained on: its sensor_size"):
        open_part(find_spec("tonic:Tiny"), tmp_path, "train")


@pytest.mark.parametrize("error", [RuntimeError("no network"), SystemExit(), OSError("gone")])
def test_what_tonic_cannot_open_is_an_error_of_the_data(use, tmp_path, error):
    def fail(self, save_to, train=True):
        raise error

    use(__init__=fail)
    with pytest.raises(DataError, match=f"tonic cannot open Tiny in .*: {type(error).__name__}"):
        open_part(find_spec("tonic:Tiny"), tmp_path, "train")


def _event(**changes):
    """A recording of which the second event is changed."""
    event = {"x": 0, "y": 0, "p": 1, "t": 5} | changes
    row = [(0, 0, 1, 5), tuple(event.values())]
    return np.array(row, np.dtype([("x", int), ("y", int), ("p", int), ("t", int)])), 0


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (_event(x=6), "recording 0, event 1: expected x from 0 to 5, found 6"),
        (_event(y=-1), "recording 0, event 1: expected y from 0 to 4, found -1"),
        (_event(p=2), "recording 0, event 1: expected p from 0 to 1, found 2"),
        ((np.zeros(0, DTYPE), 0), "recording 0: expected events, found none"),
        ((np.zeros((3, 4)), 0), "recording 0: expected an array with the fields x, t and p"),
        ((_event()[0], 3), "recording 0: expected a label from 0 to 2, found 3"),
        ((_event()[0], "dog"), "recording 0: expected a label from 0 to 2, found 'dog'"),
        ((_event()[0], (1, 2)), "recording 0: expected a label"),
        ((_event()[0], 0, 0), "recording 0: expected events and a label, found ValueError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unfit_recordings_are_refused_with_their_number(use, tmp_path, sample, message):
    use(__getitem__=lambda self, number: sample)
    with pytest.raises(DataError, match=rf"Tiny \(train\), {message}"):
        catalog.load("tonic:Tiny", data_dir=tmp_path, binning=BINNING)


def test_the_reader_of_tonic_reads_files_that_are_there(tmp_path, monkeypatch):
    """Tonic's N-MNIST, of which it wants the unpacked folders, says what our reader says."""
    event_files.write_nmnist(tmp_path, train=12, test=2)
    place = tmp_path / "tonic" / "NMNIST"
    place.mkdir(parents=True)
    reader = tonic.datasets.NMNIST
    monkeypatch.setattr(reader, "_check_exists", lambda self: True)  # it counts to 10,000 files
    for part in ("Train", "Test"):
        with zipfile.ZipFile(tmp_path / "NMNIST" / f"{part}.zip") as archive:
            archive.extractall(place)
    binning = Binning(10, 0.31, pool=2)
    ours = catalog.load("nmnist", data_dir=tmp_path, binning=binning)
    tonics = catalog.load("tonic:NMNIST", data_dir=tmp_path, binning=binning)
    assert tonics.class_names[0] == "0 - zero"
    for one, other in ((ours.train, tonics.train), (ours.load_test(), tonics.load_test())):
        assert torch.equal(one.targets, other.targets)
        assert torch.equal(one.values[:], other.values[:])
