"""What an own data file gave, and the checks that hold for every format."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sqsnn.data.own.faults import refuse


@dataclass(frozen=True)
class OwnData:
    """Samples of a file, as the file holds them.

    Attributes:
        X: (n, F) values or (n, T, F) series, float32 or float64, finite; 0 beyond a series' length.
        y: (n,) labels, integers, floats or text, or (n, K) or (n, T, K) targets; None without.
        path: The file.
        X_test: Samples of the test part, of the same form as `X`; None without.
        y_test: Their labels or targets.
        groups: (n,) integers or text: samples that a split must keep together; None without.
        lengths: (n,) int64, steps of each series; None where all have T.
        lengths_test: The same for `X_test`.
        feature_names: One name per feature.
        label_name: Name of the labels, such as the column of a table.
    """

    X: np.ndarray
    y: np.ndarray | None
    path: Path
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    groups: np.ndarray | None = None
    lengths: np.ndarray | None = None
    lengths_test: np.ndarray | None = None
    feature_names: tuple[str, ...] = ()
    label_name: str = "y"


def default_names(features: int) -> tuple[str, ...]:
    """Name features as scikit-learn does: x0, x1, ..."""
    return tuple(f"x{index}" for index in range(features))


def check_columns(data: OwnData) -> None:
    """Refuse features that have one value in all training samples, from which nothing is learned.

    Args:
        data: The data.

    Raises:
        DataError: If there are any; it names them.
    """
    steps = data.X.reshape(-1, data.X.shape[-1])
    if data.lengths is not None:
        inside = np.arange(data.X.shape[1]) < data.lengths[:, None]
        steps = steps[inside.ravel()]
    constant = np.flatnonzero((steps == steps[0]).all(0))
    if len(constant):
        shown = ", ".join(f"{data.feature_names[i]} (always {steps[0, i]:g})" for i in constant[:5])
        more = f" and {len(constant) - 5} more" if len(constant) > 5 else ""
        raise refuse(data.path, "its columns", "values that differ", f"{shown}{more}")


def check_classes(data: OwnData, least: int = 2) -> None:
    """Refuse labels of one class, and classes too small for a split.

    Args:
        data: The data, with one label per sample.
        least: Samples that each class must have.

    Raises:
        DataError: If there is one class, if a class is too small, or if the test part holds a class
            that the training part lacks.
    """
    assert data.y is not None
    names, counts = np.unique(data.y, return_counts=True)
    where = f"labels {data.label_name!r}"
    if len(names) < 2:
        raise refuse(data.path, where, "at least two classes", f"only {names[0]}")
    small = np.flatnonzero(counts < least)
    if len(small):
        shown = ", ".join(f"{counts[i]} of {names[i]}" for i in small[:5])
        more = f" and {len(small) - 5} more classes" if len(small) > 5 else ""
        expected = f"at least {least} samples of each class"
        raise refuse(data.path, where, expected, f"{shown}{more}")
    unknown = [] if data.y_test is None else np.setdiff1d(data.y_test, names)
    if len(unknown):
        expected = "the classes of the training part in the test part"
        raise refuse(data.path, where, expected, f"also {', '.join(map(str, unknown[:5]))}")
