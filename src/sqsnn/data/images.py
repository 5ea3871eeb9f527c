"""Small-image datasets: their classes, files and file formats; arrays out, no torch."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sqsnn.data.files import DataFile, broken, fetch, find

Part = Literal["train", "test"]


class Images(NamedTuple):
    """Images and labels as a file holds them.

    Args:
        values: (n, features), any number type, from 0 to `white`.
        labels: (n,) int64, 0..classes-1.
        white: the value that stands for an intensity of 1.
    """

    values: np.ndarray
    labels: np.ndarray
    white: float


@dataclass(frozen=True)
class Source:
    """One set of files from which a dataset can be read whole, training and test part.

    Args:
        label: what a run writes down to name this source.
        folder: the dataset's folder below the data folder; empty where there are no files.
        files: all files of the source.
        read: (image set, paths of the files in their order, part) -> that part; the values of
            the other part are not looked at.
    """

    label: str
    folder: str
    files: tuple[DataFile, ...]
    read: Callable[["ImageSet", Sequence[Path], Part], Images]


@dataclass(frozen=True)
class ImageSet:
    """What is known about a dataset of images before a file is opened.

    Args:
        class_names: one name a class, in the order of the labels.
        image_shape: (rows, columns).
        train_size: samples of the training part, validation included.
        test_counts: samples of each class in the test part. Published numbers: with them a
            request for too many test samples is refused before training, the test data unread.
        sources: where the data may come from, the preferred first, the one to download last.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int]
    train_size: int
    test_counts: tuple[int, ...]
    sources: tuple[Source, ...]

    @property
    def features(self) -> int:
        """Pixels of an image."""
        return self.image_shape[0] * self.image_shape[1]

    def size(self, part: Part) -> int:
        """Samples of a part."""
        return self.train_size if part == "train" else sum(self.test_counts)


def is_present(source: Source, data_folder: Path) -> bool:
    """Whether all files of a source lie in the data folder (whole or not)."""
    folder = data_folder / source.folder
    return all(find(file, folder) is not None for file in source.files)


def choose_source(images: ImageSet, data_folder: Path) -> Source:
    """The first source whose files are all there, else the one that can be downloaded.

    Training and test part are read from the same source, since sources may differ in pixels.
    """
    return next((s for s in images.sources if is_present(s, data_folder)), images.sources[-1])


def fetch_all(source: Source, data_folder: Path) -> tuple[Path, ...]:
    """The paths of a source's files, downloaded where missing, checksums verified.

    Raises:
        DataError: if a file is broken, or missing and not to be had.
    """
    return tuple(fetch(file, data_folder / source.folder) for file in source.files)


def read_digits(images: ImageSet, paths: Sequence[Path], part: Part) -> Images:
    """scikit-learn's 8x8 digits; a stratified fifth, drawn with random_state 42, is for testing."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    values, labels = load_digits(return_X_y=True)
    chosen = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=42
    )[part == "test"]
    return Images(values[chosen].astype(np.uint8), labels[chosen].astype(np.int64), 16.0)


def read_mnist(images: ImageSet, paths: Sequence[Path], part: Part) -> Images:
    """Four IDX files: images and labels of the training part, then of the test part.

    Raises:
        DataError: if a file is cut short, is not IDX, or does not fit the image set.
    """
    first = 0 if part == "train" else 2
    values = _read_idx(paths[first], (images.size(part), *images.image_shape))
    labels = _read_idx(paths[first + 1], (images.size(part),)).astype(np.int64)
    _check_labels(paths[first + 1], labels, len(images.class_names))
    return Images(values.reshape(len(values), images.features), labels, 255.0)


def read_usps_h5(images: ImageSet, paths: Sequence[Path], part: Part) -> Images:
    """One HDF5 file with train/ and test/, each of data in [0, 1] and target 0..9.

    Raises:
        DataError: if the file is cut short, is not HDF5, or does not fit the image set.
    """
    import h5py

    path = paths[0]
    try:
        with h5py.File(path, "r") as file:
            values = np.asarray(file[f"{part}/data"])
            labels = np.asarray(file[f"{part}/target"])
    except (OSError, KeyError, RuntimeError) as error:
        raise broken(path, f"a whole HDF5 file with {part}/data and target", f"{error}") from error
    expected = (images.size(part), images.features)
    if values.shape != expected or labels.shape != expected[:1]:
        found = f"{values.shape} and {labels.shape}"
        raise broken(path, f"{part}/data and target of shapes {expected}, {expected[:1]}", found)
    _check_range(path, values, 0.0)
    _check_labels(path, labels, len(images.class_names))
    return Images(values, labels.astype(np.int64), 1.0)


def read_usps_libsvm(images: ImageSet, paths: Sequence[Path], part: Part) -> Images:
    """Two bz2 files of libsvm lines: labels 1..10 for the digits 0..9, pixels in [-1, 1].

    Raises:
        DataError: if a file is cut short, is not libsvm, or does not fit the image set.
    """
    from sklearn.datasets import load_svmlight_file

    path = paths[0] if part == "train" else paths[1]
    try:
        sparse, targets = load_svmlight_file(
            str(path),
            n_features=images.features,
            zero_based=False,  # pyright: ignore[reportArgumentType] (inferred from "auto")
        )
    except (OSError, EOFError, ValueError) as error:
        raise broken(path, "a whole bz2 file of libsvm lines", f"{error}") from error
    values = sparse.toarray()
    if len(values) != images.size(part):
        raise broken(path, f"{images.size(part)} samples", f"{len(values)}")
    _check_range(path, values, -1.0)
    labels = targets.astype(np.int64) - 1
    _check_labels(path, labels, len(images.class_names))
    return Images((values + 1) / 2, labels, 1.0)


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A gzipped IDX file of unsigned bytes, which must have the given shape; read-only."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise broken(path, "a whole gzip file", f"{error}") from error
    magic = 0x0800 + len(shape)  # 08: unsigned bytes, then the number of dimensions
    if int.from_bytes(raw[:4]) != magic:
        raise broken(path, f"IDX magic number {magic}", f"{int.from_bytes(raw[:4])}")
    header = 4 + 4 * len(shape)
    sizes = tuple(np.frombuffer(raw[4:header], ">u4").tolist())
    if sizes != shape:
        raise broken(path, f"the sizes {shape}", f"{sizes}")
    if len(raw) - header != np.prod(shape):
        raise broken(path, f"{np.prod(shape)} bytes of data", f"{len(raw) - header}")
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def _check_labels(path: Path, labels: np.ndarray, classes: int) -> None:
    if labels.min() < 0 or labels.max() >= classes:
        found = f"labels from {labels.min()} to {labels.max()}"
        raise broken(path, f"labels of {classes} classes", found)


def _check_range(path: Path, values: np.ndarray, low: float) -> None:
    # Asked this way round so that NaN is refused too.
    if not (values.min() >= low and values.max() <= 1.0):
        found = f"values from {values.min()} to {values.max()}"
        raise broken(path, f"values from {low:g} to 1", found)


def _idx_source(folder: str, mirrors: tuple[str, ...], sums: tuple[str, str, str, str]) -> Source:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = tuple(
        DataFile(f"{name}-ubyte.gz", md5, mirrors) for name, md5 in zip(names, sums, strict=True)
    )
    return Source(f"{folder} IDX files", folder, files, read_mnist)


_LIBSVM = ("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",)
_DIGITS = tuple("0123456789")

IMAGE_SETS: dict[str, ImageSet] = {
    "digits": ImageSet(
        class_names=_DIGITS,
        image_shape=(8, 8),
        train_size=1437,
        test_counts=(36, 36, 35, 37, 36, 37, 36, 36, 35, 36),
        sources=(Source("scikit-learn", "", (), read_digits),),
    ),
    "mnist": ImageSet(
        class_names=_DIGITS,
        image_shape=(28, 28),
        train_size=60_000,
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        sources=(
            _idx_source(
                "MNIST",
                (
                    "https://ossci-datasets.s3.amazonaws.com/mnist/",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/",
                ),
                (
                    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                    "d53e105ee54ea40749a09fcbcd1e9432",
                    "9fb629c4189551a2d022fa330f9573f3",
                    "ec29112dd5afa0611ce80d1b7f02629c",
                ),
            ),
        ),
    ),
    "fashion-mnist": ImageSet(
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        image_shape=(28, 28),
        train_size=60_000,
        test_counts=(1000,) * 10,
        sources=(
            _idx_source(
                "FashionMNIST",
                (
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                ),
                (
                    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                    "25c81989df183df01b3e8a0aad5dffbe",
                    "bef4ecab320f06d8554ea6380940ec79",
                    "bb300cfdad3c16e7a12a480ee83cd310",
                ),
            ),
        ),
    ),
    "kmnist": ImageSet(
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        image_shape=(28, 28),
        train_size=60_000,
        test_counts=(1000,) * 10,
        sources=(
            _idx_source(
                "KMNIST",
                (
                    "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
                    "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
                ),
                (
                    "bdb82020997e1d708af4cf47b453dcf7",
                    "e144d726b3acfaa3e44228e80efcd344",
                    "5c965bf0a639b31b8f53240b1b52f4d7",
                    "7320c461ea6c1c855c0b718fb2a4b134",
                ),
            ),
        ),
    ),
    "usps": ImageSet(
        class_names=_DIGITS,
        image_shape=(16, 16),
        train_size=7291,
        test_counts=(359, 264, 198, 166, 200, 160, 170, 147, 166, 177),
        sources=(
            Source("usps.h5", "USPS", (DataFile("usps.h5"),), read_usps_h5),
            Source(
                "usps.bz2 and usps.t.bz2",
                "USPS",
                (
                    DataFile("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197", _LIBSVM),
                    DataFile("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118", _LIBSVM),
                ),
                read_usps_libsvm,
            ),
        ),
    ),
}
