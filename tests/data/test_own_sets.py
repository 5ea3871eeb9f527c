"""Datasets from own files: kinds of tasks, splits without leaks, scaling by training samples."""

import numpy as np
import pytest
import torch

from sqsnn.data import load
from sqsnn.data.own_sets import Columns, kind_of, load_own
from sqsnn.errors import DataError


def write_csv(path, columns):
    names = list(columns)
    lines = [",".join(names)]
    lines += [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


@pytest.fixture
def table(tmp_path):
    """100 samples: a column that counts them, one in other units, three classes."""
    numbers = np.arange(100)
    kinds = np.array(["red", "green", "blue"])[numbers % 3]
    columns = {"number": numbers, "mass": 1e6 + 5.0 * (99 - numbers), "kind": kinds}
    return write_csv(tmp_path / "my.csv", columns)


def test_a_table_is_split_by_class_and_scaled_by_its_training_samples(table):
    data = load(table, columns=Columns(label="kind"))
    test = data.load_test()
    assert data.class_names == ("blue", "green", "red")
    parts = (data.train, data.validation, test)
    assert [len(part.targets) for part in parts] == [72, 8, 20]
    assert data.test_samples == 20
    # Each sample stands in one part, with its own class: `number` tells which it is.
    low, high = data.preparation.scaling.low[0], data.preparation.scaling.high[0]
    seen = []
    for part in parts:
        numbers = torch.round(part.values[:, 0].double() * (high - low) + low).long()
        inside = (numbers > low) & (numbers < high)  # the test part is cut off at the range
        names = [data.class_names[one] for one in part.targets[inside]]
        assert names == [["red", "green", "blue"][n % 3] for n in numbers[inside].tolist()]
        seen += numbers.tolist()
    assert len(set(seen)) >= 98
    for part in (data.train, data.validation, test):
        counts = part.targets.bincount(minlength=3)
        assert (counts - len(part.targets) / 3).abs().max() <= 1  # whole samples
    assert data.train.values.amin() == 0
    assert data.train.values.amax() == 1


def test_values_beyond_the_training_range_are_cut_off_only_where_an_encoding_needs_it(tmp_path):
    X = np.linspace(0, 1, 50)[:, None]
    y = np.arange(50) % 2
    np.savez(tmp_path / "a.npz", X=X, y=y, X_test=X * 3 - 1, y_test=y)
    clipped = load(str(tmp_path / "a.npz")).load_test().values
    whole = load(str(tmp_path / "a.npz"), clip=False).load_test().values
    assert (clipped.amin(), clipped.amax()) == (0, 1)
    assert whole.amin() < -0.9
    assert whole.amax() > 1.9


def test_pixels_at_the_edge_may_be_constant(tmp_path):
    X = np.random.default_rng(0).random((40, 4))
    X[:, 3] = 7.0
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(40) % 2)
    path = str(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"found x3 \(always 7\)"):
        load(path)
    values = load(path, columns=Columns(on_grid=True)).train.values
    assert values.shape[1] == 4
    assert (values[:, 3] == 0).all()


def test_every_class_of_a_small_file_is_validated(tmp_path):
    """An archive has five training samples of each of ten classes: a tenth would be five."""
    X, y = np.random.default_rng(0).random((50, 4)), np.arange(50) % 10
    np.savez(tmp_path / "a.npz", X=X, y=y, X_test=X, y_test=y)
    data = load(str(tmp_path / "a.npz"))
    assert data.validation.targets.bincount().tolist() == [1] * 10
    assert data.train.targets.bincount().tolist() == [4] * 10


def test_groups_stay_together(tmp_path):
    groups = np.repeat(np.arange(20), 5)
    columns = {"x": np.arange(100), "y": np.arange(100) % 2, "patient": groups}
    path = write_csv(tmp_path / "my.csv", columns)
    data = load_own(path, Columns(groups="patient"), clip=False)
    low, high = data.preparation.scaling.low[0], data.preparation.scaling.high[0]
    members = []
    for part in (data.train, data.validation, data.load_test()):
        numbers = torch.round(part.values[:, 0].double() * (high - low) + low).long()
        members.append({int(groups[number]) for number in numbers})
    assert not members[0] & members[1]
    assert not members[0] & members[2]
    assert not members[1] & members[2]
    assert set.union(*members) == set(range(20))


@pytest.mark.parametrize(
    ("X", "y", "kind"),
    [
        ((30, 4), np.arange(30) % 3, (None, False, False, 4)),
        ((30, 4), np.linspace(0, 1, 30), (None, True, False, 4)),
        ((30, 7, 2), np.arange(30) % 3, (7, False, False, 2)),
        ((30, 7, 2), np.linspace(0, 1, 90).reshape(30, 3), (7, True, False, 2)),
        ((30, 7, 2), np.linspace(0, 1, 210).reshape(30, 7, 1), (7, True, True, 2)),
    ],
)
def test_arrays_say_what_kind_of_task_they_are(tmp_path, X, y, kind):
    values = np.random.default_rng(0).random(X)
    np.savez(tmp_path / "a.npz", X=values, y=y)
    assert kind_of(str(tmp_path / "a.npz"), Columns()) == kind
    data = load(str(tmp_path / "a.npz"))
    assert data.outputs == (3 if y.dtype.kind == "i" else 1 if y.ndim == 1 else y.shape[-1])
    if y.dtype.kind == "f":
        wanted = y[:, None] if y.ndim == 1 else y
        assert data.train.targets.shape[1:] == wanted.shape[1:]


def test_whole_numbers_are_values_where_the_readout_says_so(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.random.default_rng(0).random((30, 2)), y=np.arange(30))
    with pytest.raises(DataError, match=r"a\.npz.* 3 samples of each class.*--readout traces"):
        load(str(tmp_path / "a.npz"))
    data = load(str(tmp_path / "a.npz"), columns=Columns(values=True))
    assert data.class_names == ()
    assert data.preparation.target_names == ("y",)


def test_padding_of_short_series_stays_0(tmp_path):
    X, lengths = np.full((30, 6, 1), 5.0), np.arange(30) % 6 + 1
    X[:, 0] = 7.0
    for sample, end in enumerate(lengths):
        X[sample, end:] = 0
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(30) % 2, lengths=lengths)
    train = load(str(tmp_path / "a.npz")).train
    inside = torch.arange(6) < train.lengths[:, None]
    assert torch.equal(train.values[..., 0] == 1, inside & (torch.arange(6) == 0))
    assert not train.values[~inside].any()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1] * 40, "y": [0, 1] * 20}, "values that differ, found x"),
        ({"x": range(40), "y": ["a"] * 40}, "at least two classes, found only a"),
        ({"x": range(41), "y": ["a", "b"] * 20 + ["c"]}, "3 samples of each class, found 1 of c"),
    ],
)
def test_what_cannot_be_learned_is_refused_with_its_column(tmp_path, columns, message):
    path = write_csv(tmp_path / "my.csv", columns)
    with pytest.raises(DataError, match=rf"my\.csv, .*{message}"):
        load(path)


def test_a_file_that_changes_is_read_again(tmp_path):
    path = tmp_path / "a.npz"
    for features in (2, 3):
        np.savez(path, X=np.random.default_rng(0).random((30, features)), y=np.arange(30) % 2)
        assert load(str(path)).features == features


@pytest.mark.parametrize("given", [{"delay": 3}, {"classes": (0, 1)}])
def test_what_goes_with_catalog_datasets_only_is_refused(table, given):
    with pytest.raises(ValueError, match="does not go with a file of your own"):
        load(table, **given)


def test_more_samples_than_there_are_is_refused(table):
    with pytest.raises(DataError, match="test_samples is 21, but"):
        load(table, columns=Columns(label="kind"), test_samples=21)
    few = load(table, columns=Columns(label="kind"), train_samples=40, test_samples=9)
    assert len(few.train.targets) + len(few.validation.targets) == 40
    assert len(few.load_test().targets) == few.test_samples == 9


@pytest.mark.parametrize(
    ("X", "y", "shape"),
    [
        ((30, 2), np.arange(30)[:, None] % 3, ()),  # a column of classes
        ((30, 5, 2), np.linspace(0, 1, 150).reshape(30, 5), (5, 1)),  # a value per step
        ((30, 5, 2), np.linspace(0, 1, 90).reshape(30, 3), (3,)),  # three values per sample
    ],
)
def test_labels_mean_what_their_shape_says(tmp_path, X, y, shape):
    np.savez(tmp_path / "a.npz", X=np.random.default_rng(0).random(X), y=y)
    data = load(str(tmp_path / "a.npz"))
    assert data.train.targets.shape[1:] == shape
    assert kind_of(str(tmp_path / "a.npz"), Columns()).every_step == (len(shape) == 2)


def test_classes_marked_by_a_single_1_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(
        path, X=np.random.default_rng(0).random((30, 2)), y=np.eye(3, dtype=int)[np.arange(30) % 3]
    )
    with pytest.raises(DataError, match=r"a\.npz, y: each row has a single 1"):
        load(str(path))
