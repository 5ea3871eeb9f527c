"""One spike per row: what every file of spike times comes down to, and its way into bins."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, Real

from sqsnn.data.own.faults import listed, refuse
from sqsnn.data.spike_arrays import Times
from sqsnn.data.spike_binning import Fault, bin_times
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.data.trust import check_size
from sqsnn.errors import ConfigError, DataError

MOST_UNITS = 8  # each is a channel of one neuron, which has at most 10 qubits with its memory
Units = Sequence[int | str] | None  # labels of those to read; None for all
_BYTES_OF_A_TRAIN = 1000  # at least: a file of a few bytes may promise millions of trains


class Labels(NamedTuple):
    """The trains or the units of a file."""

    names: list[int] | list[str]  # whole numbers, rising, or names
    of_spikes: Int64[np.ndarray, " K"]  # position of each spike's label among them


class SpikeTable(NamedTuple):
    """The spikes of a file in its order."""

    times: Real[np.ndarray, " K"]  # in the unit of the file
    trains: Labels
    units: Labels  # some may be without spikes
    stop: Float[np.ndarray, "..."] | None  # of all trains or of each, in the unit of the file
    place: Callable[[int], str]  # where in the file a spike stands


def bin_table(
    path: Path,
    table: SpikeTable,
    bin_width: float,
    per_second: int,
    units: Units,
    start: float,
    stop: float | list[float] | None,
) -> SpikeTrains:
    """Sort the spikes of a file by train and unit, check their times, and bin them.

    Args:
        path: The file.
        table: Its spikes.
        bin_width: Seconds.
        per_second: Time units of the file per second.
        units: Labels of the units, each a channel; None for all.
        start: Seconds.
        stop: Seconds; not given where the file holds it.

    Raises:
        DataError: If a time or the label of a train does not fit, or as `bin_times` says.
    """
    chosen = choose_units(path, table.units.names, units)
    if table.stop is not None:
        stop = (table.stop / per_second).tolist()
    if isinstance(stop, list):
        table = _with_silent_trains(path, table, len(stop))
    labels = table.trains.names
    check_trains(path, len(labels) * len(chosen))
    rows = _rows_of_units(table, chosen)
    for label, train in zip(labels, rows, strict=True):
        if stop is None and not any(map(len, train)):
            expected = "a spike, or a stop, which says how long it lasts"
            raise refuse(path, f"train {label}", expected, "neither")
    seconds = table.times / per_second if per_second > 1 else table.times
    times: list[Times] = [[seconds[where] for where in train] for train in rows]

    def refusal(fault: Fault) -> DataError:
        place = table.place(int(rows[fault.train][fault.unit][fault.position]))
        if len(labels) * len(chosen) > 1:
            unit = table.units.names[chosen[fault.unit]]
            place += f" (train {labels[fault.train]}, unit {unit})"
        return refuse(path, place, fault.expected, fault.found)

    fits = partial(check_size, path, f"in bins of {bin_width:g} s")
    try:
        spikes, merged = bin_times(times, bin_width, start, stop, refusal, fits)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    return SpikeTrains(spikes, bin_width, merged)


def check_trains(path: Path, arrays: int) -> None:
    """Refuse more trains than memory has room for, each of whose arrays has its own cost."""
    check_size(path, "its trains", arrays * _BYTES_OF_A_TRAIN)


def one_label(spikes: int) -> Labels:
    """Give the labels of spikes that all belong to the same train or unit."""
    return Labels([0], np.zeros(spikes, np.int64))


def number_labels(path: Path, labels: np.ndarray, place: Callable[[int], str]) -> Labels:
    """List the labels of trains or units, whole numbers rising, names as they first appear.

    Args:
        path: The file.
        labels: One for each spike, integers, whole numbers as floats, or texts.
        place: Where in the file each stands.

    Raises:
        DataError: If a label is another number.
    """
    if labels.dtype.kind == "f":
        wrong = np.flatnonzero(~((labels == np.rint(labels)) & (abs(labels) < 2**53)))
        if len(wrong):
            found = f"{labels[wrong[0]]}"
            raise refuse(path, place(int(wrong[0])), "a whole number or a name", found)
        labels = labels.astype(np.int64)
    known, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    if known.dtype.kind == "U":
        order = np.argsort(first)
        known, numbers = known[order], np.argsort(order)[numbers]
    return Labels(known.tolist(), numbers.astype(np.int64))


def whole_numbers(
    path: Path, values: np.ndarray, place: Callable[[int], str]
) -> Int64[np.ndarray, "..."]:
    """Give integers that are whole numbers from 0.

    Raises:
        DataError: If one is not; it names its place.
    """
    wrong = np.flatnonzero((values < 0) | (values >= 10**18))
    if len(wrong):
        expected, found = "a whole number from 0, of at most 18 digits", f"{values.flat[wrong[0]]}"
        raise refuse(path, place(int(wrong[0])), expected, found)
    return values.astype(np.int64)


def choose_units(path: Path, known: Sequence[int | str], units: Units) -> list[int]:
    """Give the positions of the units to read among those that a file holds.

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
        return list(range(len(known)))
    for unit in units:
        if str(unit) not in names:
            raise ConfigError(f"units names {unit}, which {path} does not hold; {listed(names)}")
    return [names.index(str(unit)) for unit in units]


def _with_silent_trains(path: Path, table: SpikeTable, stops: int) -> SpikeTable:
    """Add the trains that have a stop and no spikes, which only numbers from 0 can tell."""
    names, of_spikes = table.trains
    for position, name in enumerate(names):
        if name not in range(stops):
            place = table.place(int(np.argmax(of_spikes == position)))
            expected = f"a train from 0 to {stops - 1}, one per stop"
            raise refuse(path, place, expected, f"{name!r}")
    numbers = np.array(names, np.int64)[of_spikes]
    return table._replace(trains=Labels(list(range(stops)), numbers))


def _rows_of_units(table: SpikeTable, chosen: list[int]) -> list[list[Int64[np.ndarray, " _"]]]:
    """The rows of each train and chosen unit, in the order of the file."""
    trains, units = table.trains, table.units
    channel_of = np.full(len(units.names), -1)
    channel_of[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(channel_of[units.of_spikes] >= 0)
    key = trains.of_spikes[rows] * len(chosen) + channel_of[units.of_spikes[rows]]
    rows = rows[np.argsort(key, kind="stable")]
    ends = np.cumsum(np.bincount(key, minlength=len(trains.names) * len(chosen)))[:-1]
    parts = np.split(rows, ends)
    return [parts[at : at + len(chosen)] for at in range(0, len(parts), len(chosen))]
