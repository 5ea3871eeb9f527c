"""The stimulus of spike trains: checked, and seen with its last bins."""

from typing import Any

import numpy as np
from jaxtyping import Float64

from sqsnn.data.spike_trains import SpikeTrains


def read_stimulus(
    stimulus: Any, trains: SpikeTrains, lags: int, features: int | None = None
) -> list[Float64[np.ndarray, "_ F_lags"]]:
    """Check a stimulus and put the values of the last bins beside each other.

    Args:
        stimulus: An array (n, T) or (n, T, F), or a list of n arrays (T_i,) or (T_i, F).
        trains: The spike trains that it goes with, bin by bin.
        lags: K, the bins that count: x_t, x_{t-1}, ..., x_{t-K+1}; 0 before the first bin.
        features: F that it must have; None for any.

    Returns:
        One array per train, (T_i, F K), the newest values first.

    Raises:
        TypeError: If the values are no numbers.
        ValueError: If a value is not finite, or a shape does not fit.
    """
    if len(stimulus) != len(trains):
        raise ValueError(f"stimulus has {len(stimulus)} trains, but trains has {len(trains)}")
    values = [_checked(it, number, len(trains[number])) for number, it in enumerate(stimulus)]
    found = sorted({it.shape[1] for it in values})
    if len(found) > 1 or features not in (None, *found):
        wanted = "the same number" if features is None else f"{features}"
        raise ValueError(f"stimulus must have {wanted} of features in all trains, but has {found}")
    return [_lagged(it, lags) for it in values]


def _checked(values: Any, number: int, bins: int) -> Float64[np.ndarray, "T F"]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"stimulus {number} must hold numbers, but has dtype {array.dtype}")
    array = array.astype(np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != bins or array.shape[1] < 1:
        raise ValueError(
            f"stimulus {number} has shape {np.shape(values)}, but its train has {bins} bins: it "
            f"must be ({bins},) or ({bins}, F)"
        )
    if not np.isfinite(array).all():
        bin_, feature = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"stimulus {number} holds {array[bin_, feature]} in bin {bin_}; it must be finite"
        )
    return array


def _lagged(values: Float64[np.ndarray, "T F"], lags: int) -> Float64[np.ndarray, "T F_lags"]:
    before = np.concatenate([np.zeros((lags - 1, values.shape[1])), values])
    shifted = [before[lags - 1 - lag : len(before) - lag] for lag in range(lags)]
    return np.concatenate(shifted, axis=1)
