"""Readers of small images: files to arrays, checked against the specification of the dataset."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sqsnn.data.dataset_spec import DatasetSpec, Part
from sqsnn.data.files import broken, reading
from sqsnn.data.hdf5 import dataset, opened
from sqsnn.data.stored import RawSamples


def read_digits(spec: DatasetSpec, paths: Sequence[Path], part: Part) -> RawSamples:
    """Read scikit-learn's 8x8 digits; a stratified fifth (random_state 42) is the test part."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    values, labels = map(np.asarray, load_digits(return_X_y=True))
    chosen = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=42
    )[part == "test"]
    return RawSamples(values[chosen].astype(np.uint8), labels[chosen].astype(np.int64), 16.0)


def read_idx(spec: DatasetSpec, paths: Sequence[Path], part: Part) -> RawSamples:
    """Read MNIST's four gzipped files: images and labels of the training part, then of the test."""
    first = 0 if part == "train" else 2
    values = _read_idx(paths[first], (spec.size(part), *(spec.image_shape or ())))
    labels = _read_idx(paths[first + 1], (spec.size(part),)).astype(np.int64)
    _check_labels(paths[first + 1], labels, len(spec.class_names))
    return RawSamples(values.reshape(len(values), -1), labels, 255.0)


def read_usps_h5(spec: DatasetSpec, paths: Sequence[Path], part: Part) -> RawSamples:
    """Read one HDF5 file with train/ and test/, each with data in [0, 1] and target 0..9."""
    (path,) = paths
    expected = (spec.size(part), spec.features)
    with opened(path, f"a whole HDF5 file with {part}/data and target") as file:
        data, target = (dataset(path, file, f"{part}/{name}") for name in ("data", "target"))
        if data.shape != expected or target.shape != expected[:1]:
            found = f"{data.shape} and {target.shape}"
            wanted = f"{part}/data and target of shapes {expected}, {expected[:1]}"
            raise broken(path, wanted, found)
        if data.dtype.kind != "f" or target.dtype.kind not in "iu":
            found = f"{data.dtype} and {target.dtype}"
            raise broken(path, "fractional values and whole labels", found)
        values, labels = np.asarray(data), np.asarray(target)
    _check_range(path, values, 0.0)
    _check_labels(path, labels, len(spec.class_names))
    return RawSamples(values, labels.astype(np.int64))


def read_usps_libsvm(spec: DatasetSpec, paths: Sequence[Path], part: Part) -> RawSamples:
    """Read two bz2 files of libsvm lines: labels 1..10 for the digits 0..9, pixels in [-1, 1]."""
    from sklearn.datasets import load_svmlight_file

    path = paths[0] if part == "train" else paths[1]
    faults = (OSError, EOFError, ValueError)
    with reading(path, faults, "a whole bz2 file of libsvm lines"):
        sparse, targets = load_svmlight_file(
            str(path),
            n_features=spec.features,
            zero_based=False,  # pyright: ignore[reportArgumentType] (inferred from "auto")
        )
    values = sparse.toarray()
    if len(values) != spec.size(part):
        raise broken(path, f"{spec.size(part)} samples", f"{len(values)}")
    _check_range(path, values, -1.0)
    labels = targets.astype(np.int64) - 1
    _check_labels(path, labels, len(spec.class_names))
    return RawSamples((values + 1) / 2, labels)


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes that must have the given shape."""
    header = 4 + 4 * len(shape)
    whole = header + math.prod(shape)
    faults = (OSError, EOFError, zlib.error)
    with reading(path, faults, "a whole gzip file"), gzip.open(path) as file:
        raw = file.read(whole + 1)  # a byte more than there may be: at the end is a checksum
    magic = 0x0800 + len(shape)  # 08: unsigned bytes, then the number of dimensions
    if int.from_bytes(raw[:4]) != magic:
        raise broken(path, f"IDX magic number {magic}", f"{int.from_bytes(raw[:4])}")
    sizes = tuple(np.frombuffer(raw[: min(header, len(raw) // 4 * 4)], ">u4")[1:].tolist())
    if sizes != shape:
        raise broken(path, f"the sizes {shape}", f"{sizes}")
    if len(raw) != whole:
        found = "more" if len(raw) > whole else f"{len(raw) - header}"
        raise broken(path, f"{whole - header} bytes of data", found)
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def _check_labels(path: Path, labels: np.ndarray, classes: int) -> None:
    if labels.min() < 0 or labels.max() >= classes:
        found = f"labels from {labels.min()} to {labels.max()}"
        raise broken(path, f"labels of {classes} classes", found)


def _check_range(path: Path, values: np.ndarray, low: float) -> None:
    # Written this way round so that NaN is refused too.
    if not (values.min() >= low and values.max() <= 1.0):
        found = f"values from {values.min()} to {values.max()}"
        raise broken(path, f"values from {low:g} to 1", found)
