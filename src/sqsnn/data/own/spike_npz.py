"""Reader of spike trains in .npz files: bins of 0 and 1, or the times of spikes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from sqsnn.data.own.faults import refuse
from sqsnn.data.own.npz import read_arrays
from sqsnn.data.own.spike_table import (
    Labels,
    SpikeTable,
    Units,
    check_trains,
    choose_units,
    number_labels,
    one_label,
    whole_numbers,
)
from sqsnn.data.spike_arrays import binary_trains
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import DataError

BINS = ("spikes", "lengths", "bin_width", "merged")
TIMES = ("times", "trains", "units", "stop")


def read_spike_npz(path: Path, units: Units) -> SpikeTrains | SpikeTable:
    """Read bins, or spikes that are to be binned.

    Args:
        path: The file.
        units: The units of bins to read; None for all.

    Raises:
        DataError: If an array is damaged, absent or does not fit.
    """
    arrays = read_arrays(path, (*BINS, *TIMES))
    if "spikes" in arrays:
        _refuse_others(path, arrays, BINS)
        return _read_bins(path, arrays, units)
    if "times" in arrays:
        _refuse_others(path, arrays, TIMES)
        return _read_times(path, arrays)
    held = ", ".join(arrays) or "none of them"
    raise refuse(path, "", "an array of spikes (bins of 0 and 1) or times", held)


def _refuse_others(path: Path, arrays: dict[str, np.ndarray], keys: Sequence[str]) -> None:
    others = [name for name in arrays if name not in keys]
    if others:
        raise refuse(path, "", f"only {', '.join(keys[1:])} beside {keys[0]}", ", ".join(others))


def _read_bins(path: Path, arrays: dict[str, np.ndarray], units: Units) -> SpikeTrains:
    spikes = arrays["spikes"]
    if spikes.ndim not in (2, 3):
        raise refuse(path, "spikes", "the shape (n, T) or (n, T, N)", f"{spikes.shape}")
    spikes = spikes.reshape(*spikes.shape[:2], -1)  # (n, T, N)
    count, steps, channels = spikes.shape
    chosen = choose_units(path, list(range(channels)), units)
    check_trains(path, count)
    lengths = np.full(count, steps)
    if "lengths" in arrays:
        lengths = _whole(path, arrays, "lengths", (count,))
        wrong = np.flatnonzero((lengths < 1) | (lengths > steps))
        if len(wrong):
            where, found = f"lengths[{wrong[0]}]", f"{lengths[wrong[0]]}"
            raise refuse(path, where, f"from 1 to {steps} bins", found)
    width = _reals(path, arrays, "bin_width", 0).item() if "bin_width" in arrays else None
    merged = int(_whole(path, arrays, "merged", ())) if "merged" in arrays else 0
    trains = [train[:length, chosen] for train, length in zip(spikes, lengths, strict=True)]
    try:
        return SpikeTrains(binary_trains("spikes", trains), width, merged)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}, {error}") from error


def _read_times(path: Path, arrays: dict[str, np.ndarray]) -> SpikeTable:
    times = arrays["times"]
    if times.ndim != 1 or times.dtype.kind not in "iuf":
        expected, found = "times of shape (K,)", f"{times.dtype} of shape {times.shape}"
        raise refuse(path, "times", expected, found)
    if times.dtype.kind != "f":
        times = times.astype(np.float64)
    trains, units = (_labels(path, arrays, name) for name in ("trains", "units"))
    stop = _reals(path, arrays, "stop", 1) if "stop" in arrays else None
    return SpikeTable(times, trains, units, stop, "times[{}]".format)


def _labels(path: Path, arrays: dict[str, np.ndarray], name: str) -> Labels:
    shape = arrays["times"].shape
    if name not in arrays:
        return one_label(*shape)
    labels = arrays[name]
    if labels.shape != shape or labels.dtype.kind not in "iufU":
        expected = f"whole numbers or names, {shape}"
        raise refuse(path, name, expected, f"{labels.dtype} of shape {labels.shape}")
    return number_labels(path, labels, f"{name}[{{}}]".format)


def _whole(
    path: Path, arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...]
) -> Int64[np.ndarray, "..."]:
    """Whole numbers from 0, of a shape."""
    array = arrays[name]
    if array.shape != shape or array.dtype.kind not in "iu":
        expected, found = f"whole numbers, {shape}", f"{array.dtype} of shape {array.shape}"
        raise refuse(path, name, expected, found)
    return whole_numbers(path, array, f"{name}[{{}}]".format if shape else lambda _: name)


def _reals(path: Path, arrays: dict[str, np.ndarray], name: str, dimensions: int) -> np.ndarray:
    """One number, or an array of them, positive and finite."""
    array = arrays[name]
    if array.ndim > dimensions or array.dtype.kind not in "iuf":
        expected = "a number" + " or one per train" * dimensions
        raise refuse(path, name, expected, f"{array.dtype} of shape {array.shape}")
    array = array.astype(np.float64)
    wrong = array[~(np.isfinite(array) & (array > 0))]
    if len(wrong):
        raise refuse(path, name, "positive, finite numbers", f"{wrong[0]}")
    return array
