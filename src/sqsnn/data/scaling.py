"""Scaling to [0, 1]: the range of every feature, as the training data have it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import ArrayLike

Features = Float64[np.ndarray, "n features"] | Float64[np.ndarray, "n T features"]


class Scaling(NamedTuple):
    """The smallest and the largest value of each feature, which become 0 and 1.

    A feature that does not vary becomes 0. Fit it on training data alone.

    Example:
        >>> scaling = Scaling.fit([[0.0, 5.0], [10.0, 5.0]])
        >>> scaling.apply([[5.0, 5.0], [20.0, 5.0]], clip=True)
        array([[0.5, 0. ],
               [1. , 0. ]])

    Attributes:
        low: Smallest values, `(features,)`.
        high: Largest values, `(features,)`.
    """

    low: Float64[np.ndarray, " features"]
    high: Float64[np.ndarray, " features"]

    @classmethod
    def fit(cls, X: ArrayLike, lengths: ArrayLike | None = None) -> "Scaling":
        """Find the range of each feature over samples and steps.

        Args:
            X: Values, `(n, features)`, or series, `(n, T, features)`; finite.
            lengths: Steps of each series before its padding, `(n,)`; None where there is none.
        """
        values = _values(X)
        rows = values[_inside(values, lengths)] if lengths is not None else values
        rows = rows.reshape(-1, values.shape[-1])
        return cls(rows.min(axis=0), rows.max(axis=0))

    def apply(self, X: ArrayLike, *, clip: bool, lengths: ArrayLike | None = None) -> Features:
        """Scale values, or series, of the same features.

        Args:
            X: Values, `(n, features)`, or series, `(n, T, features)`.
            clip: Put values beyond the range at its ends, as encodings need that take [0, 1] only.
            lengths: Steps of each series before its padding, `(n,)`; the padding becomes 0.
        """
        values = _values(X)
        if values.shape[-1] != len(self.low):
            raise ValueError(
                f"X must have {len(self.low)} features, as in training, but has shape "
                f"{values.shape}"
            )
        # Halves: the range of finite numbers may be infinite, half of it is not.
        half = self.high / 2 - self.low / 2
        varies = half > 0
        scaled = (values / 2 - self.low / 2) / np.where(varies, half, 1.0)
        scaled[..., ~varies] = 0.0
        if clip:
            np.clip(scaled, 0.0, 1.0, out=scaled)
        if lengths is not None:
            scaled[~_inside(values, lengths)] = 0.0
        return scaled


def _values(X: ArrayLike) -> Features:
    values = np.asarray(X, np.float64)
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise ValueError(
            "X must have shape (n, features), or (n, T, features) for series, and hold at least "
            f"one value, but has shape {values.shape}"
        )
    return values


def _inside(values: Features, lengths: ArrayLike) -> np.ndarray:
    """Mark the steps of each series before its padding, `(n, T)`."""
    ends: Int[np.ndarray, " n"] = np.asarray(lengths)
    if values.ndim != 3 or ends.shape != values.shape[:1]:
        raise ValueError(
            f"lengths must have one entry per series, but has shape {ends.shape}, and X "
            f"{values.shape}"
        )
    if ends.min() < 1 or ends.max() > values.shape[1]:
        raise ValueError(
            f"lengths must lie in 1..{values.shape[1]}, the steps of X, but run from {ends.min()} "
            f"to {ends.max()}"
        )
    return np.arange(values.shape[1]) < ends[:, None]
