"""Samples from memory, kept as data.npz in the folder of their run, so that it can be resumed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sqsnn.data.padding import is_ragged, stacked
from sqsnn.errors import ConfigError
from sqsnn.runs import folder as folders


def write_arrays(path: Path, X: Any, y: ArrayLike | None, lengths: ArrayLike | None = None) -> Path:
    """Write samples into the folder of a run that is to begin.

    Args:
        path: The folder.
        X: Samples, `(n, features)` or `(n, T, features)`, a data frame, or a list of series.
        y: Labels or real values.
        lengths: Steps of each padded series.

    Raises:
        ConfigError: If the arrays cannot be kept in a file of numbers and text.
    """
    if y is None:
        raise ConfigError("y is missing: samples need labels, or real values to predict")
    arrays: dict[str, Any] = {"y": _labels(y)}
    if lengths is not None:
        arrays["lengths"] = np.asarray(lengths)
    if is_ragged(X):
        arrays["X"], arrays["lengths"] = stacked(list(X))
    elif hasattr(X, "columns"):
        arrays["X"] = np.asarray(X[list(X.columns)])
        arrays["feature_names"] = np.asarray([str(name) for name in X.columns])
        _refuse_text(X)
    else:
        arrays["X"] = np.asarray(X)
    for name, array in arrays.items():
        if np.asarray(array).dtype.kind not in "biufU":
            raise ConfigError(
                f"{name} must hold numbers, or text for labels, but has dtype {array.dtype}"
            )
    folders.refuse_used(path)
    path.mkdir(parents=True, exist_ok=True)
    place = folders.RunFolder(path).data
    np.savez_compressed(place, **arrays)
    return place


def discard_arrays(path: Path) -> None:
    """Remove the samples of a run that never began."""
    made = folders.RunFolder(path)
    if not made.config.exists():
        made.data.unlink(missing_ok=True)
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _labels(y: ArrayLike) -> np.ndarray:
    """Take labels as numbers or text; pandas keeps text as objects."""
    labels = np.asarray(y)
    if labels.dtype.kind != "O":
        return labels
    kinds = {type(label) for label in labels.ravel().tolist()}
    if kinds - {str} and kinds - {int, float, bool}:
        wrong = next(n for n, label in enumerate(labels.ravel()) if not isinstance(label, str))
        raise ConfigError(
            f"y must hold labels of one kind, text or numbers, but sample {wrong} has "
            f"{labels.ravel()[wrong]!r}"
        )
    return np.asarray(labels.tolist())


def _refuse_text(frame: Any) -> None:
    """Refuse columns that hold no numbers, by name."""
    for name in frame.columns:
        if np.asarray(frame[name]).dtype.kind not in "biuf":
            raise ConfigError(
                f"X must hold numbers, but the column {name!r} does not: leave it out"
            )
