"""Reads a recording of spikes from a file of any format: the one door of the spike readers."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Literal

from sqsnn.checks import check_choice, check_positive, check_real
from sqsnn.data.own.reading import openable
from sqsnn.data.own.spike_table import MOST_UNITS, Units, bin_table
from sqsnn.data.spike_binning import Stop, check_stop
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import ConfigError
from sqsnn.options import as_text

TimeUnit = Literal["s", "ms", "us"]
SUFFIXES = (".npz", ".csv", ".tsv", ".txt", ".nwb")
_PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000}


def read_spike_trains(
    path: Path | str,
    bin_width: float | None = None,
    *,
    time_unit: TimeUnit = "s",
    units: int | str | Units = None,
    start: float = 0.0,
    stop: Stop = None,
) -> SpikeTrains:
    """Read recorded spike trains from a file.

    The suffix tells the format. `.npz` holds bins, as `SpikeTrains.to_npz` writes them: `spikes`,
    (n, T) or (n, T, N), and optionally `lengths`, (n,), `bin_width` in seconds and `merged`; or it
    holds `times`, (K,), and optionally `trains` and `units`, (K,), and `stop`, one number or (n,).
    `.csv` (commas), `.tsv` (tabs) and `.txt` (white space) are tables of one spike per line, with a
    column `time` and optionally `train` (or `trial`) and `unit`, or a column of times alone, with
    or without its name; lines that start with # are comments. `.nwb` is a file of Neurodata Without
    Borders, whose table of units is read as one train.

    Trains and units have any whole numbers or names. Each is one train or channel: numbers rising,
    names in the order in which they first appear, chosen units in that of `units`. Trains that have
    a `stop` each are numbered from 0, and may then be without spikes.

    Args:
        path: The file.
        bin_width: Seconds; needed for times, and kept for bins that come without one.
        time_unit: Unit of the times in the file.
        units: Numbers or names of the units to read; None for all, at most 8.
        start: Seconds, where the first bin of every train begins.
        stop: Seconds, where the recording ends: one number, or one per train. None ends each train
            with its last spike, which is biased: see `SpikeTrains.from_times`.

    Raises:
        DataError: If the file is absent, damaged or does not fit; it names file and line or array.
        ConfigError: If an argument does not fit the file.
        ValueError: If an argument cannot fit any.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{path} has the suffix {suffix!r}; files of spikes may be {', '.join(SUFFIXES)}"
        )
    check_choice("time_unit", time_unit, TimeUnit)
    stop = check_stop(stop, check_real("start", start))
    if bin_width is not None:
        check_positive("bin_width", bin_width)
    chosen = _checked_units(units)
    with openable(path, SUFFIXES):
        if suffix == ".npz":
            from sqsnn.data.own.spike_npz import read_spike_npz

            found = read_spike_npz(path, chosen)
        elif suffix == ".nwb":
            from sqsnn.data.own.spike_nwb import read_nwb

            found = read_nwb(path, chosen)
        else:
            from sqsnn.data.own.spike_text import read_spike_text

            found = read_spike_text(path)
    if isinstance(found, SpikeTrains):
        given = {"time_unit": time_unit != "s", "start": start != 0, "stop": stop is not None}
        if any(given.values()):
            names = ", ".join(name for name, is_given in given.items() if is_given)
            raise ConfigError(f"{path} holds bins, but {names} is about times: leave it out")
        if found.bin_width is None:
            return replace(found, bin_width=bin_width)
        if bin_width not in (None, found.bin_width):
            raise ConfigError(
                f"bin_width is {bin_width}, but {path} holds bins of {found.bin_width} s: leave it "
                "out"
            )
        return found
    if bin_width is None:
        raise ConfigError(f"{path} holds times of spikes: choose bin_width, in seconds")
    if stop is not None and found.stop is not None:
        raise ConfigError(f"{path} holds stop, so that the argument stop must be left out")
    return bin_table(path, found, bin_width, _PER_SECOND[time_unit], chosen, start, stop)


def _checked_units(units: int | str | Units) -> Units:
    if units is None:
        return None
    chosen = list(units) if isinstance(units, Sequence) and not isinstance(units, str) else [units]
    for unit in chosen:
        if isinstance(unit, bool) or not isinstance(unit, Integral | str):
            raise TypeError(f"units must be whole numbers or names, but holds {as_text(unit)}")
    if not 0 < len(chosen) <= MOST_UNITS or len(set(map(str, chosen))) < len(chosen):
        raise ValueError(f"units must name from 1 to {MOST_UNITS} different units, but is {chosen}")
    return chosen
