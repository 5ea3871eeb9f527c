"""Event datasets by name: found, fetched, quoted, split, and read from the cache."""

import gzip
import hashlib
import os
from dataclasses import replace

import event_files
import numpy as np
import pytest
import torch

from sqsnn.data import Binning, catalog
from sqsnn.data.opening import describe_events
from sqsnn.data.specs import SPECS
from sqsnn.data.stored import StoredSpikes, cache_folder
from sqsnn.errors import DataError

REAL_DATA = os.environ.get("SQSNN_DATA")
EVENTS = [name for name, spec in SPECS.items() if spec.events]


def as_tensors(samples):
    return samples.values[:], samples.targets


def same(one, other):
    return all(map(torch.equal, as_tensors(one), as_tensors(other)))


@pytest.fixture
def folder(tmp_path):
    """A data folder with small subsets of N-MNIST and Braille."""
    event_files.write_nmnist(tmp_path, train=12, test=2)
    event_files.write_braille(tmp_path, train=12, test=2)
    return tmp_path


def test_nmnist_is_loaded_with_the_binning_of_its_preset(folder):
    data = catalog.load("nmnist", data_dir=folder)
    assert (data.features, data.channels, data.steps) == (17 * 17, 1, 10)
    assert (data.shape, data.report_steps) == ((1, 17, 17), None)
    assert data.class_names == tuple("0123456789")
    assert isinstance(data.train.values, StoredSpikes)
    test = data.load_test()
    assert data.test_samples == len(test.targets) == 20
    assert test.targets.bincount().tolist() == [2] * 10
    assert set(data.validation.targets.bincount().tolist()) == {1, 2}
    for values, labels in (as_tensors(data.train), as_tensors(test)):
        assert values.shape == (len(labels), 10, 289)
        for trains, label in zip(values, labels.tolist(), strict=True):
            cell = 3 * label // 2
            expected = {cell * 17 + cell, cell}
            assert all(set(step.nonzero()[:, 0].tolist()) == expected for step in trains)


def test_polarities_may_be_two_channels(folder):
    binning = Binning(5, 0.31, pool=34, polarity="channels")
    data = catalog.load("nmnist", data_dir=folder, binning=binning)
    assert (data.features, data.channels, data.steps) == (1, 2, 5)
    assert data.train.values[:2].tolist() == [[[[1.0, 1.0]]] * 5] * 2


def test_braille_is_loaded_with_the_binning_of_its_preset(folder):
    data = catalog.load("braille", data_dir=folder)
    assert (data.features, data.channels, data.steps) == (24, 1, 26)
    assert data.class_names == ("Space", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    values, labels = as_tensors(data.train)
    expected = torch.eye(24)[labels % 24].unsqueeze(1).expand(-1, 26, -1)
    assert torch.equal(values, expected)


def test_splits_classes_and_subsets_are_those_of_images(folder):
    options = {"classes": (7, 2), "train_samples": 20, "test_samples": 2}
    one, other = (catalog.load("nmnist", data_dir=folder, **options) for _ in range(2))
    assert one.class_names == ("7", "2")
    assert same(one.train, other.train) and same(one.load_test(), other.load_test())
    assert (len(one.train.targets), len(one.validation.targets)) == (18, 2)
    values, labels = as_tensors(one.load_test())
    assert labels.tolist() == [1, 0]  # in the order of the digits
    assert [train[0].nonzero()[0].item() for train in values] == [3, 10]


def test_a_subset_is_quoted_as_one(folder):
    data = catalog.load("nmnist", data_dir=folder)
    assert data.source == "N-MNIST, 120-recording subset"
    known = catalog.describe("nmnist", data_dir=folder)
    assert known.source == data.source
    assert (known.train_samples, known.test_samples, known.features) == (120, 20, 289)
    assert known.present and known.obtainable and known.folder == folder / "NMNIST"
    nmnist = SPECS["nmnist"]
    assert describe_events(nmnist, 60_000, 10_000) == "N-MNIST"
    assert describe_events(nmnist, 60_000, 100) == "N-MNIST, 100-recording test subset"


def test_a_broken_test_file_is_found_before_training(folder):
    path = folder / "NMNIST" / "Test.zip"
    members = {"Test/1/1.bin": event_files.nmnist_member([(0, 0, 0, True)]), "Test/1/2.bin": b"1"}
    path.write_bytes(event_files.nmnist_zip(members))
    with pytest.raises(DataError, match=r"Test\.zip is broken, at Test/1/2\.bin, byte 0"):
        catalog.load("nmnist", data_dir=folder)


def test_the_data_folder_is_only_read(folder):
    before = sorted(path.name for path in folder.rglob("*"))
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o555)
    catalog.load("nmnist", data_dir=folder)
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o755)
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert len(list(cache_folder().iterdir())) == 2


def test_parts_of_other_classes_are_refused(folder):
    path = folder / "Braille" / "braille_test.h5"
    event_files.write_hdf5(path, [[0.0]], [[0]], [0], [f"letter {n}" for n in range(27)])
    with pytest.raises(DataError, match=r"braille_test\.h5.* the classes of braille_train\.h5"):
        catalog.load("braille", data_dir=folder)


def test_absent_files_without_a_download_are_asked_for(tmp_path):
    with pytest.raises(DataError, match=r"braille_train\.h5 is not in .* no download .*--data-dir"):
        catalog.load("braille", data_dir=tmp_path)
    known = catalog.describe("braille", data_dir=tmp_path)
    assert not known.present and not known.obtainable
    assert (known.train_samples, known.test_samples, len(known.class_names)) == (4320, 1080, 27)


@pytest.mark.parametrize("name", ["nmnist", "shd"])
def test_absent_files_and_no_network_are_an_error_that_names_them(name, tmp_path):
    file = SPECS[name].sources[0].files[0]
    with pytest.raises(DataError, match=f"(?s){file.name} is not in .*MD5 {file.md5}") as caught:
        catalog.load(name, data_dir=tmp_path)
    assert file.packed in str(caught.value)


def test_spoken_digits_are_downloaded_unpacked_and_read(tmp_path, site, monkeypatch):
    names = [f"digit {number}" for number in range(20)]
    files = []
    (source,) = SPECS["shd"].sources
    for file, part, count in zip(source.files, ("train", "test"), (10, 2), strict=True):
        path = tmp_path / "made" / f"shd_{part}.h5"
        labels = list(range(20)) * count
        # Times in no order: the authors promise none.
        times, units = [[0.7, 0.1]] * len(labels), [[label, 699] for label in labels]
        event_files.write_hdf5(path, times, units, labels, names)
        packed = gzip.compress(path.read_bytes())
        site.bodies[f"/{path.name}.gz"] = packed
        md5 = hashlib.md5(packed).hexdigest()
        files.append(replace(file, md5=md5, mirrors=(site.address,)))
    sources = (replace(source, files=tuple(files)),)
    monkeypatch.setitem(SPECS, "shd", replace(SPECS["shd"], sources=sources))
    data = catalog.load("shd", data_dir=tmp_path / "new")
    folder = tmp_path / "new" / "SHD"
    assert sorted(path.name for path in folder.iterdir()) == ["shd_test.h5", "shd_train.h5"]
    assert (data.features, data.steps, data.class_names) == (140, 50, tuple(names))
    values, labels = as_tensors(data.load_test())
    first = values[labels.tolist().index(7)].nonzero().tolist()
    assert first == [[3, 139], [25, 1]]  # of 28 ms, and of 5 units


def test_a_binning_is_refused_where_there_are_no_events():
    with pytest.raises(ValueError, match=r"binning is given, but digits has no events; .* nmnist"):
        catalog.load("digits", binning=Binning(5, 1.0))


def test_polarities_are_no_channels_where_there_are_none(folder):
    with pytest.raises(ValueError, match="polarity is 'channels'"):
        catalog.load("braille", data_dir=folder, binning=Binning(5, 1.0, polarity="channels"))


def test_a_subset_that_is_too_small_to_be_split_is_refused(tmp_path):
    event_files.write_nmnist(tmp_path, train=1, test=1)
    with pytest.raises(ValueError, match=r"class 0 \(0\) has 1 training samples, but must have at"):
        catalog.load("nmnist", data_dir=tmp_path)
    event_files.write_nmnist(tmp_path, train=2, test=1)
    with pytest.raises(ValueError, match=r"20 training samples .* at least 91"):
        catalog.load("nmnist", data_dir=tmp_path)


def test_two_data_folders_have_two_caches(folder, tmp_path):
    first = catalog.load("nmnist", data_dir=folder)
    event_files.write_nmnist(tmp_path / "other", train=13, test=2)
    second = catalog.load("nmnist", data_dir=tmp_path / "other")
    assert len(first.train.targets) + len(first.validation.targets) == 120
    assert len(second.train.targets) + len(second.validation.targets) == 130
    assert np.isin(first.load_test().values[:].numpy(), (0, 1)).all()


@pytest.mark.slow
@pytest.mark.skipif(not REAL_DATA, reason="SQSNN_DATA names no folder with the real data")
@pytest.mark.parametrize("name", EVENTS)
def test_the_facts_hold_for_the_real_files(name):
    known = catalog.describe(name, data_dir=REAL_DATA)
    if not known.present:
        pytest.skip(f"{name} is not there")
    data = catalog.load(name, data_dir=REAL_DATA)
    assert len(data.train.targets) + len(data.validation.targets) == known.train_samples
    assert len(data.load_test().targets) == known.test_samples
    spikes = data.train.values[:].sum(dim=(0, 2))
    # Every bin is in use: the duration of the preset is that of the recordings.
    assert (spikes > spikes.mean() / 20).all()
