"""The stimulus of spike trains: checked, read from a file, and seen with its last bins."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from sqsnn.data.own.faults import refuse
from sqsnn.data.own.npz import read_arrays
from sqsnn.data.own.reading import openable
from sqsnn.errors import DataError
from sqsnn.options import counted

LARGEST = 1e3  # first weights are of the order of 0.1, and currents are angles in units of pi


def read_stimulus(
    stimulus: Any, lengths: Sequence[int], lags: int, features: int | None = None
) -> list[Float64[np.ndarray, "_ F_lags"]] | None:
    """Check a stimulus and put the values of the last bins beside each other.

    Args:
        stimulus: An array (n, T) or (n, T, F), or a list of n arrays (T_i,) or (T_i, F); None for
            no stimulus.
        lengths: Bins of each train that it goes with.
        lags: K, the bins that count: x_t, x_{t-1}, ..., x_{t-K+1}; 0 before the first bin.
        features: F that it must have; None for any.

    Returns:
        One array per train, (T_i, F K), the newest values first.

    Raises:
        TypeError: If the values are no numbers.
        ValueError: If a value is not finite, or a shape does not fit.
    """
    if stimulus is None:
        return None
    stimulus = _of_numpy(stimulus)
    if not isinstance(stimulus, Sequence | np.ndarray) or isinstance(stimulus, str):
        raise TypeError("stimulus must be an array (n, T) or (n, T, F), or a list of n arrays")
    if len(stimulus) != len(lengths):
        raise ValueError(f"stimulus has {len(stimulus)} trains, but trains has {len(lengths)}")
    values = [_checked(it, number, lengths[number]) for number, it in enumerate(stimulus)]
    found = sorted({it.shape[1] for it in values})
    if len(found) > 1 or features not in (None, *found):
        wanted = "the same number of features" if features is None else counted(features, "feature")
        raise ValueError(f"stimulus must have {wanted} in all trains, but has {found}")
    return [_lagged(it, lags) for it in values]


def read_stimulus_file(
    path: Path, lengths: Sequence[int] | None = None, features: int | None = None
) -> list[np.ndarray]:
    """Read the stimulus of trains.

    Args:
        path: An .npz file of the array `stimulus`, (n, T) or (n, T, F).
        lengths: Bins of each train; what goes on after the end of a train is left out. None for n
            trains of T bins.
        features: F that it must have; None for any.

    Raises:
        DataError: If the file is absent, damaged, or does not fit the trains.
    """
    with openable(path, (".npz",)):
        if path.suffix.lower() != ".npz":
            raise DataError(f"{path} has the suffix {path.suffix!r}: a .npz file is needed")
        arrays = read_arrays(path, ("stimulus",))
    if "stimulus" not in arrays:
        raise refuse(path, "", "an array stimulus, (n, T) or (n, T, F)", "none of them")
    stimulus = arrays["stimulus"]
    fits = stimulus.ndim in (2, 3) and stimulus.dtype.kind in "biuf"
    if fits and lengths is None:
        lengths = [stimulus.shape[1]] * len(stimulus)
    if not fits or not lengths or len(stimulus) != len(lengths) or len(stimulus[0]) < max(lengths):
        size = f", with n = {len(lengths)} and T at least {max(lengths)}" if lengths else ""
        found = f"{stimulus.dtype} of shape {stimulus.shape}"
        raise refuse(path, "stimulus", f"numbers of shape (n, T) or (n, T, F){size}", found)
    values = [values[:length] for values, length in zip(stimulus, lengths, strict=True)]
    try:
        read_stimulus(values, lengths, 1, features)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    return values


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
