"""Reader of the units of .nwb files (Neurodata Without Borders), which are HDF5.

Their spikes lie in one list, unit after unit; `spike_times_index` holds where each unit's end.
Source: NWB format specification 2.x, table `units`; `VectorIndex` of hdmf-common.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from sqsnn.data.hdf5 import dataset, opened
from sqsnn.data.own.faults import refuse
from sqsnn.data.own.spike_table import (
    Labels,
    SpikeTable,
    Units,
    choose_units,
    one_label,
    whole_numbers,
)

_TIMES, _ENDS, _NUMBERS = "units/spike_times", "units/spike_times_index", "units/id"


def read_nwb(path: Path, units: Units) -> SpikeTable:
    """Read the spikes of chosen units, as one train.

    Args:
        path: The file.
        units: Numbers of the units, as in its column `id`; None for all.

    Raises:
        DataError: If it is damaged, or holds no such table.
        ConfigError: If it does not hold such a unit, or too many to read all.
    """
    expected = f"a whole NWB file with {_TIMES}, {_ENDS} and {_NUMBERS}"
    with opened(path, expected) as file:
        ends, numbers = (_whole(path, name, file) for name in (_ENDS, _NUMBERS))
    if len(set(numbers.tolist())) < len(numbers):
        raise refuse(path, _NUMBERS, "another number for each unit", "one twice")
    order = np.argsort(numbers)
    chosen = choose_units(path, numbers[order].tolist(), units)
    starts = np.append(0, ends[:-1])
    where = [int(order[position]) for position in chosen]
    with opened(path, expected) as file:
        found = dataset(path, file, _TIMES)
        _check_kind(path, _TIMES, found, "f")
        _check_ends(path, ends, len(numbers), len(found))
        times = [np.asarray(found[starts[unit] : ends[unit]]) for unit in where]
    rows = np.concatenate([np.arange(starts[unit], ends[unit]) for unit in where])
    of_spikes = np.repeat(np.array(chosen, np.int64), list(map(len, times)))
    return SpikeTable(
        np.concatenate(times),
        one_label(len(rows)),
        Labels(numbers[order].tolist(), of_spikes),
        None,
        lambda row: f"{_TIMES}, value {rows[row]}",
    )


def _check_kind(path: Path, name: str, found: Any, kinds: str) -> None:
    if found.ndim != 1 or found.dtype.kind not in kinds or not len(found):
        expected = "fractional numbers" if kinds == "f" else "whole numbers"
        raise refuse(path, name, f"a list of {expected}", f"{found.dtype} of shape {found.shape}")


def _whole(path: Path, name: str, file: Any) -> Int64[np.ndarray, " N"]:
    """Whole numbers from 0."""
    found = dataset(path, file, name)
    _check_kind(path, name, found, "iu")
    return whole_numbers(path, np.asarray(found), f"{name}, value {{}}".format)


def _check_ends(path: Path, ends: Int64[np.ndarray, " N"], units: int, spikes: int) -> None:
    """Refuse ends that fall, or that are not those of all units and spikes."""
    if len(ends) != units:
        raise refuse(path, _ENDS, f"one end for each of {units} units ({_NUMBERS})", f"{len(ends)}")
    falls = np.flatnonzero(np.diff(ends) < 0)
    if len(falls):
        first = int(falls[0]) + 1
        expected = f"at least the end before, {ends[first - 1]}"
        raise refuse(path, f"{_ENDS}, value {first}", expected, f"{ends[first]}")
    if ends[-1] != spikes:
        expected = f"{spikes} as the last end, the length of {_TIMES}"
        raise refuse(path, _ENDS, expected, f"{ends[-1]}")
