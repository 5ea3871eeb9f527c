"""Readers of the archives of time series: .ts, and .arff with its part NAME_TEST."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqsnn.data.own.faults import to_labels
from sqsnn.data.own.own_data import OwnData, default_names
from sqsnn.data.trust import check_size


class Series(NamedTuple):
    """The series of one file.

    Attributes:
        samples: One array (T, F) per series.
        labels: One text per series; None in a file without.
        places: Where each series stands in the file.
        label_name: Name of the labels.
    """

    samples: list[np.ndarray]
    labels: list[str] | None
    places: list[str]
    label_name: str


def read_series(path: Path) -> OwnData:
    """Read series, those of unequal lengths padded with 0, and the test part that lies beside them.

    Args:
        path: A .ts or .arff file; NAME_TEST beside NAME_TRAIN becomes the test part.

    Raises:
        DataError: If a line of a file does not fit.
    """
    train, twin = _parse(path), _test_part(path)
    test = None if twin is None else _parse(twin)
    steps = max(len(sample) for one in (train, test) if one for sample in one.samples)
    X, lengths = _pad(path, train.samples, steps)
    X_test, lengths_test = (None, None) if test is None else _pad(path, test.samples, steps)
    return OwnData(
        X=X,
        y=_labels(path, train),
        path=path,
        X_test=X_test,
        y_test=None if test is None or twin is None else _labels(twin, test),
        lengths=lengths,
        lengths_test=lengths_test,
        feature_names=default_names(X.shape[-1]),
        label_name=train.label_name,
    )


def _parse(path: Path) -> Series:
    if path.suffix.lower() == ".ts":
        from sqsnn.data.own.ts import parse_ts

        return parse_ts(path)
    from sqsnn.data.own.arff import parse_arff

    return parse_arff(path)


def _test_part(path: Path) -> Path | None:
    if not path.stem.endswith("_TRAIN"):
        return None
    twin = path.with_name(f"{path.stem.removesuffix('_TRAIN')}_TEST{path.suffix}")
    return twin if twin.is_file() else None


def _labels(path: Path, series: Series) -> np.ndarray | None:
    return None if series.labels is None else to_labels(path, series.labels, series.places)


def _pad(
    path: Path, samples: Sequence[np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Stack series to (n, steps, F); their lengths are None where all have that many steps."""
    features = samples[0].shape[1]
    check_size(path, "its padded series", 8 * len(samples) * steps * features)
    X = np.zeros((len(samples), steps, features))
    lengths = np.array([len(sample) for sample in samples], np.int64)
    for row, sample in zip(X, samples, strict=True):
        row[: len(sample)] = sample
    return X, None if (lengths == steps).all() else lengths
