"""Arrays of .npz files: what numpy wrote comes back, what would need pickle or memory does not."""

import numpy as np
import own_files
import own_hostile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sqsnn.data.own.npz import KEYS
from sqsnn.data.own.reading import read_own
from sqsnn.errors import ConfigError, DataError

X = np.arange(24.0).reshape(4, 3, 2)
Y = np.array(["a", "b", "a", "b"])


@pytest.fixture
def save(tmp_path):
    def save(**held):
        np.savez(tmp_path / "own.npz", **held)
        return tmp_path / "own.npz"

    return save


def test_everything_that_may_be_in_a_file_is_read(save):
    lengths = np.array([3, 1, 2, 3])
    names = np.array(["left", "right"])
    data = read_own(
        save(X=X, y=Y, X_test=X[:2], y_test=Y[:2], groups=[0, 0, 1, 1], lengths=lengths)
    )
    assert data.y.tolist() == Y.tolist() and data.y_test.tolist() == ["a", "b"]
    assert data.groups.tolist() == [0, 0, 1, 1] and data.lengths.tolist() == [3, 1, 2, 3]
    assert data.lengths_test is None and data.feature_names == ("x0", "x1")
    assert (data.X[1, 1:] == 0).all() and (data.X[1, :1] == X[1, :1]).all()
    assert np.array_equal(data.X_test, X[:2])
    assert read_own(save(X=X, y=Y, feature_names=names)).feature_names == ("left", "right")


kinds = st.sampled_from(["<f8", ">f8", "<f4", "<f2", "<i2", ">i4", "u1", "?"])
shapes = arrays.array_shapes(min_dims=2, max_dims=3, max_side=4)


@given(kinds.flatmap(lambda kind: arrays.arrays(kind, shapes)), st.sampled_from("CF"))
def test_arrays_of_every_kind_and_order_come_back(tmp_path_factory, values, order):
    path = tmp_path_factory.mktemp("npz") / "own.npz"
    np.savez(path, X=np.asarray(values, order=order), y=np.arange(len(values)))
    if not np.isfinite(values).all():
        with pytest.raises(DataError, match=r"own\.npz, X, sample .*: expected a finite number"):
            read_own(path)
        return
    found = read_own(path).X
    assert found.dtype == (
        np.float32 if values.dtype.itemsize <= 4 and values.dtype.kind == "f" else np.float64
    )
    assert found.flags.c_contiguous and np.array_equal(found, values)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array([b"cat", "Fuß".encode()]), ["cat", "Fuß"]),
        (np.array([True, False]), [1, 0]),
        (np.array([[1], [2]]), [1, 2]),
        (np.array([[0.5, 1], [2, 3]], ">f4"), [[0.5, 1], [2, 3]]),
    ],
)
def test_labels_are_text_integers_or_targets(save, y, expected):
    assert read_own(save(X=X[:2, 0], y=y)).y.tolist() == expected


def test_targets_may_have_steps(save):
    assert read_own(save(X=X, y=np.ones((4, 3, 5)))).y.shape == (4, 3, 5)


def test_padding_may_hold_anything_where_lengths_are_given(save):
    padded = X.copy()
    padded[1, 2] = np.nan
    with pytest.raises(
        DataError, match=r"X, sample 1, step 2, feature 0 \(x0\): .* found nan; leng"
    ):
        read_own(save(X=padded, y=Y))
    assert read_own(save(X=padded, y=Y, lengths=[3, 2, 3, 3])).X[1, 2].tolist() == [0, 0]


def test_objects_are_never_unpickled(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").touch, ())

    np.savez(tmp_path / "own.npz", X=X, y=np.array([Harm()] * 4, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"own\.npz, y: .*Python objects, which only pickle"):
        read_own(tmp_path / "own.npz")
    assert not (tmp_path / "harm").exists()


def test_a_header_is_compared_with_the_file_before_memory_is_spent(tmp_path):
    path = tmp_path / "own.npz"
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    path.write_bytes(own_files.zip_of({"X.npy": own_hostile.npy_member(header, bytes(64))}))
    with pytest.raises(DataError, match=r"X: expected 8,000,000,000,000 bytes .* found 64 bytes"):
        read_own(path)
    path.write_bytes(own_hostile.bomb(2**30))
    with pytest.raises(
        DataError, match=r"its members: expected at most .* found 1,073.*SQSNN_LARGEST"
    ):
        read_own(path)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (
            {"X": X[..., 0, 0]},
            r"X: expected the shape \(n, F\).*found \(4,\); one feature is X\.resh",
        ),
        ({"X": X.astype(complex)}, "X: expected numbers or text, found the type complex128"),
        ({"X": Y[:, None]}, "X: expected numbers, found text"),
        ({"X": X[:0]}, r"X: expected an array with values, found the shape \(0, 3, 2\)"),
        ({"y": Y[:3]}, r"y: expected one entry per sample, \(4,\), found the shape \(3,\)"),
        ({"y": np.array([0, 1, np.nan, 1])}, "y, sample 2: expected a finite number"),
        (
            {"y": np.array(["a", "b", "", "b"])},
            "y, sample 2: expected a label, found an empty text",
        ),
        ({"lengths": [3, 4, 3, 3]}, r"lengths\[1\]: expected from 1 to 3 steps, found 4"),
        ({"lengths": [3, -1, 3, 3]}, r"lengths\[1\]: expected from 1 to 3 steps, found -1"),
        ({"lengths": [3.0] * 4}, "lengths: expected one integer per series"),
        ({"groups": [0.5] * 4}, "groups: expected integers or text, found floats"),
        ({"X_test": X}, r"expected labels \(y_test\), found none"),
        ({"y_test": Y}, "expected X_test where there is y_test"),
        ({"lengths_test": [1]}, "expected X_test where there is lengths_test"),
        ({"X_test": X[:, :2], "y_test": Y}, r"X_test: expected samples of shape \(3, 2\)"),
        ({"X_test": X, "y_test": [0, 1, 0, 1]}, "y_test: expected what y holds: <U1"),
        (
            {"feature_names": ["a", "a"]},
            "feature_names: expected 2 different names, found 2 names, 1",
        ),
        ({"X_tset": X}, "found 'X_tset'; did you mean 'X_test'"),
    ],
)
def test_what_does_not_fit_is_named(save, held, message):
    with pytest.raises(DataError, match=f"own.npz.*{message}"):
        read_own(save(**({"X": X, "y": Y} | held)))


def test_a_file_without_samples_lists_what_it_holds(save):
    with pytest.raises(DataError, match="an array X of samples, and y of labels, found y, groups"):
        read_own(save(y=Y, groups=Y))


def test_a_damaged_zip_is_refused(save):
    path = save(X=X, y=Y)
    raw = bytearray(path.read_bytes())
    raw[raw.index(X.tobytes())] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a whole file .* found BadZipFile: Bad CRC-32"):
        read_own(path)


def test_columns_belong_to_tables(save):
    with pytest.raises(
        ConfigError, match=r"label names columns of a table, and .*own\.npz is none"
    ):
        read_own(save(X=X, y=Y), label="y")
    assert "label" not in KEYS


def test_codes_that_are_no_characters_are_refused(save):
    codes = np.array([0x61, 0xD800, 0x110000, 0x62], np.uint32)
    with pytest.raises(
        DataError, match="y: expected text, found the code 0xd800, which is no char"
    ):
        read_own(save(X=X, y=codes.view("<U1")))
