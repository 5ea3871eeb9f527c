"""Samples from memory, kept as data.npz in the folder of their run, so that it can be resumed."""

import filecmp
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sqsnn.data.padding import is_ragged, stacked
from sqsnn.errors import ConfigError
from sqsnn.ownership import owned
from sqsnn.runs import folder as folders
from sqsnn.storage import write_atomically


@contextmanager
def kept_arrays(
    out: Path | None, X: Any, y: ArrayLike | None, lengths: ArrayLike | None = None
) -> Iterator[Path]:
    """Write samples into the folder of a run that is to begin; they go if it never begins.

    Args:
        out: The folder; None for the first free runs/arrays-<n>.
        X: Samples, `(n, features)` or `(n, T, features)`, a data frame, or a list of series.
        y: Labels or real values.
        lengths: Steps of each padded series.

    Raises:
        ConfigError: If the arrays cannot be kept in a file of numbers and text, or the folder is in
            use.
        WriteError: If the file cannot be written.
    """
    arrays = _checked(X, y, lengths)
    path = folders.first_free(Path("runs"), "arrays") if out is None else out
    run = folders.RunFolder(path)
    folders.refuse_used(path, str(run.data))
    try:
        with owned(path):
            is_new = not run.data.exists()
            _write(run.data, arrays)
            try:
                yield run.data
            finally:
                if is_new and not run.config.exists():
                    with suppress(OSError):  # the same samples may be there when they come again
                        run.data.unlink()
    finally:
        if out is None:
            with suppress(OSError):  # it holds a run
                path.rmdir()


def _checked(X: Any, y: ArrayLike | None, lengths: ArrayLike | None) -> dict[str, Any]:
    """Give the arrays of the file, of numbers and of text for labels."""
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
    return arrays


def _write(place: Path, arrays: dict[str, Any]) -> None:
    """Write the arrays over the same of a killed training, but over no others."""

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        if place.exists() and not filecmp.cmp(part, place, shallow=False):
            raise ConfigError(
                f"{place} holds other samples, and no training has begun with them: choose "
                "another out, or remove the file"
            )

    write_atomically(place, write)


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
