"""Loading by name: splits, subsets, classes, and when the test data are read."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sqsnn.data import catalog, images, temporal
from sqsnn.data.specs import SPECS
from sqsnn.errors import DataError

IMAGES = [name for name, spec in SPECS.items() if spec.image_shape]
TASKS = [name for name, spec in SPECS.items() if spec.task]
SERIES = [name for name, spec in SPECS.items() if spec.series]

REAL_DATA = os.environ.get("SQSNN_DATA")


def numbers(samples):
    """Which images of a small dataset these are: their first pixel counts them."""
    return (samples.values[:, 0] * 255).round().int().tolist()


def same(one, other):
    return all(map(torch.equal, one[:2], other[:2])) and one[2:] == other[2:] == (None, None)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'mnits'.*digits, mnist, fashion-mnist, kmnist, usps"):
        catalog.load("mnits")
    with pytest.raises(ValueError, match="'mnits'"):
        catalog.describe("mnits")


def test_digits_are_split_as_scikit_learn_would():
    values, labels = load_digits(return_X_y=True)
    rest, test, rest_labels, test_labels = train_test_split(
        values, labels, test_size=0.2, stratify=labels, random_state=42
    )
    train, validation, train_labels, validation_labels = train_test_split(
        rest, rest_labels, test_size=0.1, stratify=rest_labels, random_state=42
    )
    digits = catalog.load("digits")
    for samples, expected, expected_labels in (
        (digits.train, train, train_labels),
        (digits.validation, validation, validation_labels),
        (digits.load_test(), test, test_labels),
    ):
        np.testing.assert_array_equal(samples.values, (expected / 16).astype(np.float32))
        np.testing.assert_array_equal(samples.targets, expected_labels)
    assert (digits.features, digits.shape, digits.source) == (64, (1, 8, 8), "scikit-learn")
    assert digits.class_names == tuple("0123456789")


def test_values_are_intensities_and_labels_are_whole_numbers(mnist, pixels_of, labels_of):
    data = catalog.load("mnist", data_dir=mnist)
    for samples, part in ((data.train, "train"), (data.load_test(), "test")):
        assert samples.values.dtype == torch.float32
        assert samples.targets.dtype == torch.int64
        chosen = numbers(samples)
        expected = pixels_of(part).reshape(-1, data.features)[chosen] / np.float32(255)
        np.testing.assert_array_equal(samples.values, expected)
        np.testing.assert_array_equal(samples.targets, labels_of(part)[chosen])
        assert samples.values.max() == 1


def test_training_and_validation_share_the_training_data(mnist):
    data = catalog.load("mnist", data_dir=mnist)
    assert sorted(numbers(data.train) + numbers(data.validation)) == list(range(150))
    assert data.validation.targets.bincount().tolist() == [6, 4, 3, 2]
    assert numbers(data.load_test()) == list(range(30))


def test_loading_twice_gives_the_same_samples(mnist):
    options = {"data_dir": mnist, "classes": (2, 0), "train_samples": 40, "test_samples": 9}
    one, other = (catalog.load("mnist", **options) for _ in range(2))
    assert same(one.train, other.train)
    assert same(one.validation, other.validation)
    assert same(one.load_test(), other.load_test())


@pytest.mark.parametrize("name", ["mnist", "usps"])
def test_test_data_are_read_by_load_test_only(name, mnist, usps, usps_h5, monkeypatch):
    usps_h5()
    read = []

    def watch(function):
        def reader(spec, paths, part):
            read.append(part)
            return function(spec, paths, part)

        return reader

    for function in (images.read_idx, images.read_usps_h5):
        monkeypatch.setattr(images, function.__name__, watch(function))
    data = catalog.load(name, data_dir=mnist, train_samples=60, test_samples=9)
    assert read == ["train"]
    data.load_test()
    assert read == ["train", "test"]


def test_broken_test_files_are_found_before_training(mnist):
    path = mnist / "MNIST" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is broken"):
        catalog.load("mnist", data_dir=mnist)


def test_classes_are_renumbered_in_the_order_given(mnist, labels_of):
    data = catalog.load("mnist", data_dir=mnist, classes=(3, 1))
    assert data.class_names == ("dog", "bee")
    for samples, part in ((data.train, "train"), (data.load_test(), "test")):
        original = labels_of(part)[numbers(samples)]
        assert set(original) == {3, 1}
        np.testing.assert_array_equal(samples.targets, np.where(original == 3, 0, 1))
    assert len(data.train.targets) + len(data.validation.targets) == 40 + 20
    assert data.load_test().targets.bincount().tolist() == [4, 8]


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ((0, 4), ValueError, r"\[4\].*0 \(ant\), 1 \(bee\), 2 \(cat\), 3 \(dog\)"),
        ((0, -1), ValueError, "classes"),
        ((0, 1, 0), ValueError, r"once.*\(0, 1, 0\)"),
        ((2,), ValueError, r"at least two.*\(2,\)"),
        ((), ValueError, "at least two"),
        ((0, True), TypeError, "classes"),
    ],
)
def test_impossible_classes_are_refused(mnist, classes, error, message):
    with pytest.raises(error, match=message):
        catalog.load("mnist", data_dir=mnist, classes=classes)


def test_a_subset_keeps_the_proportions_of_the_classes(mnist, labels_of):
    data = catalog.load("mnist", data_dir=mnist, train_samples=75, test_samples=15)
    chosen = numbers(data.train) + numbers(data.validation)
    assert len(set(chosen)) == 75
    counts = np.bincount(labels_of("train")[chosen])
    assert np.abs(counts - np.array([30, 20, 15, 10])).max() <= 1
    test = data.load_test()
    assert len(set(numbers(test))) == 15
    assert np.abs(test.targets.bincount().numpy() - np.array([6, 4, 3, 2])).max() <= 1


def test_the_test_subset_depends_on_no_training_option(mnist):
    one = catalog.load("mnist", data_dir=mnist, test_samples=9)
    other = catalog.load("mnist", data_dir=mnist, test_samples=9, train_samples=50)
    assert same(one.load_test(), other.load_test())


def test_a_subset_of_all_samples_is_the_whole(mnist):
    whole = catalog.load("mnist", data_dir=mnist)
    subset = catalog.load("mnist", data_dir=mnist, train_samples=150, test_samples=30)
    assert same(whole.train, subset.train)
    assert same(whole.validation, subset.validation)
    assert same(whole.load_test(), subset.load_test())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"train_samples": 151},
            ValueError,
            "train_samples is 151, but these classes have only 150",
        ),
        ({"test_samples": 31}, ValueError, "test_samples is 31, but these classes have only 30"),
        ({"classes": (2, 3), "train_samples": 51}, ValueError, "only 50"),
        ({"classes": (2, 3), "test_samples": 11}, ValueError, "only 10"),
        ({"train_samples": 30}, ValueError, "30 training samples .* must be at least 31"),
        ({"train_samples": 0}, ValueError, "train_samples"),
        ({"test_samples": -1}, ValueError, "test_samples"),
        ({"test_samples": True}, TypeError, "test_samples"),
    ],
)
def test_impossible_numbers_of_samples_are_refused(mnist, options, error, message):
    with pytest.raises(error, match=message):
        catalog.load("mnist", data_dir=mnist, **options)


def test_the_fewest_samples_allowed_can_be_split(mnist):
    data = catalog.load("mnist", data_dir=mnist, train_samples=31)
    assert (len(data.train.targets), len(data.validation.targets)) == (27, 4)


def test_usps_never_mixes_its_two_forms(usps, usps_h5, usps_libsvm):
    usps_libsvm()
    path = usps_h5()
    data = catalog.load("usps", data_dir=usps)
    assert data.source == "usps.h5"
    path.unlink()
    with pytest.raises(DataError, match=r"usps\.h5"):
        data.load_test()
    data = catalog.load("usps", data_dir=usps)
    assert data.source == "usps.bz2 and usps.t.bz2"
    usps_h5()
    assert len(data.load_test().targets) == 30


def test_the_variable_names_the_data_folder(mnist, monkeypatch):
    monkeypatch.setenv("SQSNN_DATA", str(mnist))
    assert len(catalog.load("mnist").train.targets) == 135


def test_absent_files_and_no_network_are_an_error_that_names_them(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is not in .*KMNIST"):
        catalog.load("kmnist", data_dir=tmp_path)


def test_recall_is_loaded_as_spike_trains():
    data = catalog.load("recall")
    known = catalog.describe("recall")
    assert (data.features, data.shape, data.steps, data.report_steps) == (3, (3,), 7, 1)
    assert data.class_names == known.class_names == ("cue 0", "cue 1")
    assert data.source == known.source == "generated, delay 5"
    assert (known.train_samples, known.test_samples, known.features) == (4000, 1000, 3)
    sizes = {"train": 3600, "validation": 400, "test": 1000}
    parts = {"train": data.train, "validation": data.validation, "test": data.load_test()}
    for name, (values, labels, *_) in parts.items():
        assert values.shape == (sizes[name], 7, 3)
        assert values.dtype == torch.float32
        assert set(values.unique().tolist()) == {0, 1}
        assert labels.bincount().tolist() == [sizes[name] / 2] * 2
    together = torch.cat([data.train.values, data.validation.values])
    expected = temporal.generate(SPECS["recall"], 5, "train").values
    sums = torch.from_numpy(expected).float().sum(dim=0)
    assert torch.equal(together.sum(dim=0), sums)


def test_a_delay_names_other_samples_and_always_the_same():
    one, other = (catalog.load("recall", delay=9, train_samples=100) for _ in range(2))
    assert one.source == "generated, delay 9"
    assert one.steps == one.train.values.shape[1] == 11
    assert same(one.train, other.train)
    assert same(one.load_test(), other.load_test())
    assert len(one.train.targets) + len(one.validation.targets) == 100


def test_classes_and_subsets_of_recall_are_those_of_images():
    plain = catalog.load("recall", test_samples=50)
    swapped = catalog.load("recall", classes=(1, 0), test_samples=50)
    assert swapped.class_names == ("cue 1", "cue 0")
    one, other = plain.load_test(), swapped.load_test()
    assert torch.equal(one.values, other.values)
    assert torch.equal(one.targets, 1 - other.targets)
    assert one.targets.bincount().tolist() == [25, 25]
    with pytest.raises(ValueError, match="train_samples is 4001, but these classes have only 4000"):
        catalog.load("recall", train_samples=4001)


def test_a_delay_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match="delay is 5, but digits has none; it goes with recall, "):
        catalog.load("digits", delay=5)
    for wrong, error in ((0, ValueError), (True, TypeError)):
        with pytest.raises(error, match=f"delay must be an integer of at least 1, but is {wrong}"):
            catalog.load("xor", delay=wrong)
    digits = catalog.load("digits", train_samples=100)
    assert (digits.steps, digits.report_steps) == (None, None)


def test_a_description_opens_no_file(mnist, tmp_path):
    for path in (mnist / "MNIST").iterdir():
        path.write_bytes(b"")
    found = catalog.describe("mnist", data_dir=mnist)
    assert (found.train_samples, found.test_samples, found.features) == (150, 30, 12)
    assert found.class_names == ("ant", "bee", "cat", "dog")
    assert found.folder == tmp_path / "MNIST"
    assert found.present
    (mnist / "MNIST" / "train-labels-idx1-ubyte.gz").unlink()
    assert not catalog.describe("mnist", data_dir=mnist).present


@pytest.mark.parametrize("name", catalog.names())
def test_every_dataset_can_be_described(name, tmp_path):
    found = catalog.describe(name, data_dir=tmp_path)
    assert found.name == name
    assert found.text and found.source
    assert found.present == (name in ("digits", *TASKS, *SERIES)) == (found.folder is None)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not REAL_DATA, reason="SQSNN_DATA names no folder with the real data")
@pytest.mark.parametrize("name", IMAGES)
def test_the_published_facts_hold_for_the_real_files(name, monkeypatch):
    folder = Path(REAL_DATA)
    if not catalog.describe(name, data_dir=folder).present:
        pytest.skip(f"{name} is not in {folder}")
    data = catalog.load(name, data_dir=folder)
    test = data.load_test()
    found = catalog.describe(name, data_dir=folder)
    assert len(data.train.targets) + len(data.validation.targets) == found.train_samples
    assert tuple(test.targets.bincount().tolist()) == SPECS[name].test_counts
    for samples in (data.train, data.validation, test):
        assert samples.values.shape == (len(samples.targets), found.features)
        assert samples.values.min() == 0
        assert samples.values.max() == 1
