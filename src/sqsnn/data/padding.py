"""Series of unequal lengths, laid side by side with zeros behind the shorter ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_ragged(X: Any) -> bool:
    """Whether samples are a list of series of unequal lengths."""
    return isinstance(X, list | tuple) and len({np.shape(one)[:1] for one in X}) > 1


def padded(
    series: Sequence[NDArray[Any]], rows: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Pad series `(T_i, ...)`.

    Args:
        series: The series.
        rows: Their rows one after another, where there are already.

    Returns:
        `(n, T, ...)`, and the lengths; None where all are T.
    """
    rows = np.concatenate(series) if rows is None else rows
    lengths = np.array([len(one) for one in series], np.int64)
    together = np.zeros((len(series), lengths.max(), *rows.shape[1:]), rows.dtype)
    together[np.arange(lengths.max()) < lengths[:, None]] = rows
    return together, None if lengths.min() == lengths.max() else lengths


def stacked(series: Sequence[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    """Check series of numbers, `(T_i, features)` or of one feature `(T_i,)`, and pad them.

    Raises:
        ValueError: If a series has another number of features than the first, or none.
    """
    arrays = [np.asarray(one, dtype=np.float64) for one in series]
    wide = [array[:, None] if array.ndim == 1 else array for array in arrays]
    for number, array in enumerate(wide):
        if array.ndim != 2 or array.shape[1:] != wide[0].shape[1:] or not array.size:
            raise ValueError(
                f"series {number} has the shape {array.shape}; it must be (steps, "
                f"{wide[0].shape[-1]}), with as many features as the first"
            )
    return padded(wide)
