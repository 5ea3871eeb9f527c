"""Arrays as users of scikit-learn give them: values, or series of equal and unequal lengths."""

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from sqsnn.data.padding import padded

Array = NDArray[Any]


class Inputs(NamedTuple):
    """The inputs of n samples.

    Attributes:
        values: Values, `(n, F)`, or series padded to the longest, `(n, T, F)`.
        lengths: Steps of each series before its padding, `(n,)`; None where all are T.
    """

    values: Array
    lengths: NDArray[np.int64] | None = None

    @property
    def length(self) -> int | None:
        """Steps T of the padded series; None for values."""
        return self.values.shape[1] if self.values.ndim == 3 else None

    @property
    def ends(self) -> NDArray[np.int64]:
        """Steps of each series, `(n,)`."""
        if self.lengths is None:
            return np.full(len(self.values), self.values.shape[1])
        return self.lengths

    def chosen(self, which: Array) -> "Inputs":
        """Choose some of the samples."""
        return Inputs(self.values[which], None if self.lengths is None else self.lengths[which])

    def parts(self, values: Array) -> list[Array]:
        """Cut the padding off an array with these samples and steps, `(n, T, ...)`."""
        return [one[:end] for one, end in zip(values, self.ends, strict=True)]


def read_inputs(estimator: Any, X: Any, *, reset: bool) -> Inputs:
    """Check values `(n, F)`, series `(n, T, F)`, or a list of series `(T_i, F)`.

    Args:
        estimator: Keeps the number and the names of the features.
        X: What the user gave.
        reset: Whether the estimator takes the number of features over, or checks it.
    """
    series = _series(X)
    if series is None:
        values: Any = validate_data(estimator, X, dtype=(np.float64, np.float32), reset=reset)
        return Inputs(values)
    features = sorted({one.shape[1] for one in series})
    if len(features) > 1:
        raise ValueError(f"all series of X must have the same features, but they have {features}")
    rows: Any = np.concatenate(series) if series else np.zeros((0, 1))
    rows = validate_data(estimator, rows, dtype=np.float64, reset=reset)
    if min(map(len, series)) == 0:
        raise ValueError("each series of X must have at least one step, but one is empty")
    return Inputs(*padded(series, rows))


def are_series(X: Any) -> bool:
    """Whether these are series, `(n, T, F)` or a list of `(T_i, F)`, and neither values nor one."""
    return _series(X) is not None


def stretched(array: Array, length: int) -> Array:
    """Cut or fill up with zeros to this many steps, `(n, T, ...)`."""
    longer = np.zeros((len(array), length, *array.shape[2:]), array.dtype)
    kept = min(length, array.shape[1])
    longer[:, :kept] = array[:, :kept]
    return longer


def _series(X: Any) -> list[Array] | None:
    """Take series apart; None where X is none."""
    dimensions = getattr(X, "ndim", None)
    if dimensions == 3:
        return list(np.asarray(X))
    is_list = isinstance(X, list | tuple) or (dimensions == 1 and X.dtype == object)
    if not is_list or not len(X) or any(np.ndim(one) != 2 for one in X):
        return None
    return [np.asarray(one) for one in X]


def read_labels(estimator: Any, y: Any, inputs: Inputs) -> Array:
    """Check labels, `(n,)`."""
    labels = column_or_1d(_read_y(estimator, y, inputs, dtype=None), warn=True)
    check_classification_targets(labels)
    return labels


def read_targets(estimator: Any, y: Any, inputs: Inputs) -> tuple[Array, bool]:
    """Check values of each sample, `(n,)` or `(n, K)`.

    Returns:
        The values, `(n, K)`, and whether they came without K.
    """
    targets = _read_y(estimator, y, inputs, dtype=np.float64)
    return targets.reshape(len(targets), -1), targets.ndim == 1


def _read_y(estimator: Any, y: Any, inputs: Inputs, dtype: Any) -> Array:
    _require(estimator, y)
    y = check_array(y, ensure_2d=False, dtype=dtype, input_name="y", estimator=estimator)
    check_consistent_length(inputs.values, y)
    return y


def _require(estimator: Any, y: Any) -> None:
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )


def read_targets_of_steps(estimator: Any, y: Any, inputs: Inputs) -> tuple[Array, bool]:
    """Check targets of every step of series: `(n, T)`, `(n, T, K)`, or a list of one per series.

    Returns:
        The targets, `(n, T, K)`, and whether they came without K.
    """
    _require(estimator, y)
    if inputs.length is None:
        raise ValueError("every_step needs series, (n, T, F), but X holds values, (n, F)")
    check_consistent_length(inputs.values, y)
    parts = [np.asarray(one, np.float64) for one in y]
    for number, (one, end) in enumerate(zip(parts, inputs.ends, strict=True)):
        if one.ndim not in (1, 2) or len(one) != end or one.shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"y must have a target for each of the {end} steps of series {number}, (T,) or "
                f"(T, K), but has shape {one.shape} there"
            )
    without = parts[0].ndim == 1
    rows = np.concatenate([one.reshape(len(one), -1) for one in parts])
    rows = check_array(rows, input_name="y", estimator=estimator)
    return padded(parts, rows)[0], without


def last_steps(inputs: Inputs, window: int) -> Inputs:
    """Keep the last steps of each series."""
    return Inputs(*padded([one[-window:] for one in inputs.parts(inputs.values)]))


def windows(
    inputs: Inputs, window: int | None, horizon: int
) -> tuple[Inputs, Array, NDArray[np.int64]]:
    """Cut series into all their windows, and give what follows each step.

    Args:
        inputs: The series.
        window: Steps of a window; None, or more than there are, for a whole series.
        horizon: How many steps ahead the targets reach, h.

    Returns:
        The windows; their targets, `(n, T, h F)`, the next step first; and the number of the series
        that each window is of.
    """
    pieces: list[Array] = []
    targets: list[Array] = []
    of: list[int] = []
    for number, one in enumerate(inputs.parts(inputs.values)):
        known = len(one) - horizon
        if known < 1:
            raise ValueError(
                f"series {number} of X has {len(one)} steps, but must have more than the horizon, "
                f"{horizon}"
            )
        size = known if window is None else min(window, known)
        starts = range(known - size + 1)
        ahead = sliding_window_view(one[1:], horizon, axis=0)  # (known, F, h)
        ahead = ahead.swapaxes(1, 2).reshape(known, -1)
        pieces += [one[start : start + size] for start in starts]
        targets += [ahead[start : start + size] for start in starts]
        of += [number] * len(starts)
    return Inputs(*padded(pieces)), padded(targets)[0], np.array(of)
