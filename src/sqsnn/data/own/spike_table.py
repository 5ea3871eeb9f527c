"""One spike per row: what every file of spike times comes down to, and its way into bins."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, Real

from sqsnn.data.own.faults import listed, refuse
from sqsnn.data.spike_arrays import Times
from sqsnn.data.spike_binning import check_stop, count_bins, stop_of_each, time_fault
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.data.trust import check_size
from sqsnn.errors import ConfigError, DataError, SqsnnError

MOST_UNITS = 8  # each is a channel of one neuron, which has at most 10 qubits with its memory
_BYTES_OF_A_TRAIN = 1000  # at least: a file of a few bytes may promise millions of trains


class SpikeTable(NamedTuple):
    """The spikes of a file in its order.

    Attributes:
        times: In the unit of the file.
        trains: Number of the train of each spike.
        units: Number of the unit of each spike.
        known_units: The numbers of all units, rising, those without spikes included.
        stop: End of all trains or of each, in the unit of the file; None where it holds none.
        place: Where in the file a spike stands.
    """

    times: Real[np.ndarray, " K"]
    trains: Int64[np.ndarray, " K"]
    units: Int64[np.ndarray, " K"]
    known_units: Int64[np.ndarray, " N"]
    stop: Float[np.ndarray, "..."] | None
    place: Callable[[int], str]


def bin_table(
    path: Path,
    table: SpikeTable,
    bin_width: float,
    per_second: int,
    units: Sequence[int] | None,
    start: float,
    stop: float | list[float] | None,
) -> SpikeTrains:
    """Sort the spikes of a file by train and unit, check their times, and bin them.

    Args:
        path: The file.
        table: Its spikes.
        bin_width: Seconds.
        per_second: Time units of the file per second.
        units: Numbers of the units, each a channel; None for all.
        start: Seconds.
        stop: Seconds; not given where the file holds it.

    Raises:
        DataError: If a time, or a number of a train or unit does not fit.
    """
    chosen = choose_units(path, table.known_units.tolist(), units)
    try:
        if table.stop is not None:
            stop = check_stop((table.stop / per_second).tolist(), start)
        trains = _count_trains(path, table, len(stop) if isinstance(stop, list) else None)
        check_trains(path, trains * len(chosen))
        stops = stop_of_each(stop, trains)
        seconds = table.times / per_second if per_second > 1 else table.times
        rows = _rows_of_units(table, trains, chosen)
        for number, end in enumerate(stops):
            for unit, where in zip(chosen, rows[number], strict=True):
                fault = time_fault(seconds[where], start, end)
                if fault is not None:
                    place = table.place(int(where[fault.position]))
                    if trains * len(chosen) > 1:
                        place += f" (train {number}, unit {unit})"
                    raise refuse(path, place, fault.expected, fault.found)
            if end is None and not any(map(len, rows[number])):
                expected = "a spike, or a stop, which says how long it lasts"
                raise refuse(path, f"train {number}", expected, "neither")
        times: list[Times] = [[seconds[where] for where in train] for train in rows]
        bins = sum(count_bins(times, bin_width, start, stops)) * len(chosen)
        check_size(path, f"in bins of {bin_width:g} s", bins)
        return SpikeTrains.from_times(times, bin_width, start, stop)
    except SqsnnError:
        raise
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def check_trains(path: Path, arrays: int) -> None:
    """Refuse more trains than memory has room for, each of whose arrays has its own cost."""
    check_size(path, "its trains", arrays * _BYTES_OF_A_TRAIN)


def choose_units(path: Path, known: list[int], units: Sequence[int] | None) -> list[int]:
    """Give the numbers of the units to read.

    Raises:
        ConfigError: If one is not in the file, or there are too many to read all.
    """
    names = list(map(str, known))
    if units is None:
        if len(known) > MOST_UNITS:
            raise ConfigError(
                f"{path} holds {len(known)} units, and at most {MOST_UNITS} are read together; "
                f"choose by units: {listed(names)}"
            )
        return known
    for unit in units:
        if unit not in known:
            raise ConfigError(f"units names {unit}, which {path} does not hold; {listed(names)}")
    return list(units)


def _count_trains(path: Path, table: SpikeTable, stops: int | None) -> int:
    """Count the trains by their numbers, none of which may be left out, or by their stops."""
    present = np.unique(table.trains)
    if stops is not None:
        wrong = np.flatnonzero(table.trains >= stops)
        if len(wrong):
            expected = f"a train from 0 to {stops - 1}, one for each stop"
            raise refuse(path, table.place(int(wrong[0])), expected, f"{table.trains[wrong[0]]}")
        return stops
    missing = np.flatnonzero(present != np.arange(len(present)))
    if len(missing):
        expected = (
            f"spikes of train {missing[0]} (trains are numbered from 0, and one without spikes "
            "needs a stop for each train)"
        )
        raise refuse(path, "", expected, f"none, but some of train {present[missing[0]]}")
    return max(len(present), 1)


def _rows_of_units(
    table: SpikeTable, trains: int, chosen: list[int]
) -> list[list[Int64[np.ndarray, " _"]]]:
    """The rows of each train and chosen unit, in the order of the file."""
    rows = np.flatnonzero(np.isin(table.units, chosen))
    order = np.argsort(chosen)
    channel = order[np.searchsorted(np.array(chosen), table.units[rows], sorter=order)]
    key = table.trains[rows] * len(chosen) + channel
    rows = rows[np.argsort(key, kind="stable")]
    ends = np.cumsum(np.bincount(key, minlength=trains * len(chosen)))[:-1]
    parts = np.split(rows, ends)
    return [parts[at : at + len(chosen)] for at in range(0, len(parts), len(chosen))]
