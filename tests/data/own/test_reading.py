"""The door of own data: which files it takes, and the checks for every format."""

import numpy as np
import pytest

from sqsnn.data.own import SUFFIXES
from sqsnn.data.own.own_data import OwnData, check_classes, check_columns
from sqsnn.data.own.reading import read_own
from sqsnn.errors import ConfigError, DataError


def test_the_suffix_tells_the_format_and_others_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=rf"'\.npy'; data files may be {', '.join(SUFFIXES)}"):
        read_own(tmp_path / "own.npy")
    (tmp_path / "OWN.CSV").write_text("a,y\n1,2\n")
    assert read_own(str(tmp_path / "OWN.CSV")).X.tolist() == [[1]]


def test_files_that_cannot_be_opened_are_named(tmp_path):
    with pytest.raises(DataError, match=r"own\.csv does not exist"):
        read_own(tmp_path / "own.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv is no file, but own data are one"):
        read_own(tmp_path / "folder.csv")


def own(path, X, y, **held):
    names = tuple(f"x{index}" for index in range(X.shape[-1]))
    return OwnData(X=np.asarray(X), y=np.asarray(y), path=path, feature_names=names, **held)


def test_constant_columns_are_named(tmp_path):
    X = np.array([[1.0, 2, 3], [1, 5, 3]])
    with pytest.raises(DataError, match=r"own\.csv, .* found x0 \(always 1\), x2 \(always 3\)$"):
        check_columns(own(tmp_path / "own.csv", X, [0, 1]))
    check_columns(own(tmp_path / "own.csv", X[:, 1:2], [0, 1]))


def test_padding_does_not_hide_that_a_column_is_constant(tmp_path):
    X = np.array([[[4.0, 1], [4, 2]], [[4, 1], [0, 0]]])
    with pytest.raises(DataError, match=r"found x0 \(always 4\)$"):
        check_columns(own(tmp_path / "own.ts", X, [0, 1], lengths=np.array([2, 1])))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "a"], "labels 'y': expected at least two classes, found only a"),
        (["a", "b", "a"], "labels 'y': expected at least 2 samples of each class, found 1 of b"),
        ([*"abcdefg"], "labels .* found 1 of a, .* 1 of e and 2 more classes"),
    ],
)
def test_one_class_and_tiny_classes_are_named(tmp_path, y, message):
    with pytest.raises(DataError, match=rf"own\.csv, {message}"):
        check_classes(own(tmp_path / "own.csv", np.zeros((len(y), 1)), y))


def test_classes_of_the_test_part_alone_are_named(tmp_path):
    y_test = np.array(["a", "c"])
    data = own(tmp_path / "own.npz", np.zeros((4, 1)), [*"abab"], y_test=y_test)
    with pytest.raises(
        DataError, match=r"the classes of the training part in the test part, .* c$"
    ):
        check_classes(data)
