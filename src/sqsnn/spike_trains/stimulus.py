"""The stimulus of spike trains: checked, and seen with its last bins."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from sqsnn.data.spike_trains import SpikeTrains

LARGEST = 1e3  # first weights are of the order of 0.1, and currents are angles in units of pi


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
    stimulus = _of_numpy(stimulus)
    if not isinstance(stimulus, Sequence | np.ndarray) or isinstance(stimulus, str):
        raise TypeError("stimulus must be an array (n, T) or (n, T, F), or a list of n arrays")
    if len(stimulus) != len(trains):
        raise ValueError(f"stimulus has {len(stimulus)} trains, but trains has {len(trains)}")
    values = [_checked(it, number, len(trains[number])) for number, it in enumerate(stimulus)]
    found = sorted({it.shape[1] for it in values})
    if len(found) > 1 or features not in (None, *found):
        wanted = "the same number" if features is None else f"{features}"
        raise ValueError(f"stimulus must have {wanted} of features in all trains, but has {found}")
    return [_lagged(it, lags) for it in values]


def _checked(values: Any, number: int, bins: int) -> Float64[np.ndarray, "T F"]:
    try:
        array = np.asarray(_of_numpy(values))
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"stimulus {number} is no array: {error}") from None
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
    if np.abs(array).max() > LARGEST:
        raise ValueError(
            f"stimulus {number} holds {np.abs(array).max():g}; scale it to values of the order of "
            f"1, for example by its mean and standard deviation (at most {LARGEST:g} is allowed)"
        )
    return array


def _lagged(values: Float64[np.ndarray, "T F"], lags: int) -> Float64[np.ndarray, "T F_lags"]:
    before = np.concatenate([np.zeros((lags - 1, values.shape[1])), values])
    shifted = [before[lags - 1 - lag : len(before) - lag] for lag in range(lags)]
    return np.concatenate(shifted, axis=1)


def _of_numpy(values: Any) -> Any:
    """Give tensors of torch and tables of pandas as arrays."""
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    return values.to_numpy() if hasattr(values, "to_numpy") else values
