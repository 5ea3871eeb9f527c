"""The readers on small files, whole and broken, and the table of published facts."""

import bz2
import gzip
import re

import h5py
import numpy as np
import pytest

from sqsnn.data import files, images
from sqsnn.data.specs import SPECS
from sqsnn.errors import DataError

PARTS = ("train", "test")


def paths_of(data_folder, name):
    return files.fetch_all(SPECS[name].sources[0], data_folder)


@pytest.mark.parametrize("part", PARTS)
def test_idx_files_give_the_bytes_that_were_written(mnist, pixels_of, labels_of, part):
    spec = SPECS["mnist"]
    read = images.read_idx(spec, paths_of(mnist, "mnist"), part)
    np.testing.assert_array_equal(read.values, pixels_of(part).reshape(-1, spec.features))
    np.testing.assert_array_equal(read.targets, labels_of(part))
    assert read.targets.dtype == np.int64
    assert read.white == 255


def broken_idx(pixels, idx):
    whole = gzip.decompress(idx(pixels))
    return {
        "a whole gzip file": idx(pixels)[:-20],
        "gzip": b"no gzip at all",
        "magic number 2051, found 2049": gzip.compress(b"\0\0\x08\x01" + whole[4:]),
        "the sizes (150, 3, 4), found (149, 3, 4)": idx(pixels[1:]),
        "1800 bytes of data, found 1799": gzip.compress(whole[:-1]),
        "the sizes (150, 3, 4), found ()": gzip.compress(whole[:4]),
        "the sizes (150, 3, 4), found (150,)": gzip.compress(whole[:9]),
        "1800 bytes of data, found more": gzip.compress(whole + bytes(10**6)),
    }


@pytest.mark.parametrize("case", range(8))
def test_a_broken_idx_file_is_named_with_what_is_wrong(mnist, pixels_of, idx, case):
    expected, content = list(broken_idx(pixels_of("train"), idx).items())[case]
    paths = paths_of(mnist, "mnist")
    paths[0].write_bytes(content)
    with pytest.raises(DataError, match=re.escape(expected)) as caught:
        images.read_idx(SPECS["mnist"], paths, "train")
    assert str(paths[0]) in str(caught.value)
    assert "Put a whole copy in its place" in str(caught.value)


def test_labels_beyond_the_classes_are_refused(mnist, labels_of, idx):
    paths = paths_of(mnist, "mnist")
    paths[1].write_bytes(idx(labels_of("train") + 1))
    with pytest.raises(DataError, match="labels of 4 classes, found labels from 1 to 4"):
        images.read_idx(SPECS["mnist"], paths, "train")


@pytest.mark.parametrize("part", PARTS)
def test_both_forms_of_usps_give_intensities_and_labels_from_zero(
    tiny, usps_h5, usps_libsvm, pixels_of, labels_of, part
):
    expected = pixels_of(part).reshape(-1, tiny.features) / 255
    h5 = images.read_usps_h5(tiny, (usps_h5(),), part)
    libsvm = images.read_usps_libsvm(tiny, usps_libsvm(), part)
    for read in (h5, libsvm):
        np.testing.assert_allclose(read.values / read.white, expected, atol=1e-6)
        np.testing.assert_array_equal(read.targets, labels_of(part))
        assert read.targets.dtype == np.int64


def test_a_pixel_left_out_of_a_libsvm_line_is_a_zero_of_its_scale(tiny, usps_libsvm):
    path, _ = usps_libsvm()
    lines = bz2.decompress(path.read_bytes()).decode().splitlines()
    lines[0] = "3 1:-1 12:1"
    path.write_bytes(bz2.compress("\n".join(lines).encode()))
    read = images.read_usps_libsvm(tiny, (path,), "train")
    np.testing.assert_array_equal(read.values[0], [0, *[0.5] * 10, 1])
    assert read.targets[0] == 2


SPOILT_LIBSVM = {
    "no colons": (lambda text: text.replace(b":", b";"), "a whole bz2 file of libsvm lines"),
    "a line less": (lambda text: text.rpartition(b"\n")[0], "150 samples, found 149"),
    "a pixel more": (lambda text: text.replace(b"12:", b"13:"), "a whole bz2 file of libsvm lines"),
    "too bright": (lambda text: text.replace(b"2:1.0", b"2:9.0"), "values from -1 to 1, found"),
    "not a number": (
        lambda text: text.replace(b"2:1.000000", b"2:nan"),
        "values from -1 to 1, found",
    ),
    "an eleventh": (lambda text: re.sub(rb"(?m)^4", b"5", text), "labels of 4 classes"),
}


@pytest.mark.parametrize("case", SPOILT_LIBSVM)
def test_a_broken_libsvm_file_is_named_with_what_is_wrong(tiny, usps_libsvm, case):
    spoil, expected = SPOILT_LIBSVM[case]
    path, _ = usps_libsvm()
    path.write_bytes(bz2.compress(spoil(bz2.decompress(path.read_bytes()))))
    with pytest.raises(DataError, match=expected) as caught:
        images.read_usps_libsvm(tiny, (path,), "train")
    assert str(path) in str(caught.value)


def test_a_libsvm_file_cut_short_is_refused(tiny, usps_libsvm):
    path, _ = usps_libsvm()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="a whole bz2 file"):
        images.read_usps_libsvm(tiny, (path,), "train")


def spoil_h5(path, case):
    if case == "cut short":
        path.write_bytes(path.read_bytes()[:-1000])
        return
    with h5py.File(path, "r+") as file:
        if case == "no target":
            del file["train/target"]
        elif case == "a group":
            del file["train/data"]
            file.create_group("train/data")
        elif case == "other sizes":
            values = file["train/data"][1:]
            del file["train/data"]
            file["train/data"] = values
        elif case == "too bright":
            file["train/data"][3, 3] = 1.5
        elif case == "not a number":
            file["train/data"][3, 3] = np.nan


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("cut short", "a whole HDF5 file"),
        ("no target", "a whole HDF5 file with train/data and target"),
        ("a group", "train/data: expected values, found a group"),
        ("other sizes", r"found \(149, 12\) and \(150,\)"),
        ("too bright", "values from 0 to 1, found values from 0.0 to 1.5"),
        ("not a number", "values from 0 to 1, found values from nan"),
    ],
)
def test_a_broken_h5_file_is_named_with_what_is_wrong(tiny, usps_h5, case, expected):
    path = usps_h5()
    spoil_h5(path, case)
    with pytest.raises(DataError, match=expected) as caught:
        images.read_usps_h5(tiny, (path,), "train")
    assert str(path) in str(caught.value)


def test_usps_is_read_from_one_source_only(usps, usps_h5, usps_libsvm):
    spec = SPECS["usps"]
    h5, libsvm = spec.sources
    assert files.choose_source(spec, usps) is libsvm
    train, test = usps_libsvm()
    assert files.choose_source(spec, usps) is libsvm
    whole = usps_h5()
    test.unlink()
    assert files.choose_source(spec, usps) is h5
    whole.unlink()
    # One libsvm file alone: the other one is to be downloaded, never another form of it read.
    assert train.exists()
    assert files.choose_source(spec, usps) is libsvm
    assert not files.is_present(libsvm, usps)


@pytest.mark.parametrize("part", PARTS)
def test_the_published_counts_of_the_digits_are_those_of_the_split(part):
    digits = SPECS["digits"]
    read = images.read_digits(digits, (), part)
    assert read.values.shape == (digits.size(part), digits.features)
    if part == "test":
        assert tuple(np.bincount(read.targets)) == digits.test_counts
