"""Events of neuromorphic sensors -> spike trains: what a recording is, and how it is binned."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from sqsnn.checks import check_choice, check_positive_int
from sqsnn.data.dataset_spec import Sensor

Polarity = Literal["channels", "maps", "sum"]

MICROSECONDS = 1_000_000  # per second
# Eleven days: longer than any recording, and short enough for exact arithmetic in 64 bits.
LONGEST = 1_000_000  # seconds


class Events(NamedTuple):
    """The events of one recording, in any order.

    Attributes:
        times: (events,) int64, microseconds, at least 0.
        x: (events,) integers, columns of the sensor.
        y: (events,) integers, rows of the sensor.
        on: (events,) bool, the polarity; True where the sensor has only one.
    """

    times: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray


class Recording(NamedTuple):
    """One sample of an event dataset.

    Attributes:
        where: Its name in errors, e.g. the member of an archive.
        label: Its class, from 0.
        events: Its events.
    """

    where: str
    label: int
    events: Events


@dataclass(frozen=True)
class Recordings:
    """One part of an event dataset whose events are not read yet.

    Attributes:
        path: The file, or the folder of the files.
        files: All files that hold the events.
        sensor: Sensor that recorded them.
        class_names: One name per class; None where only the labels tell how many there are.
        count: Number of recordings.
        read: Reads the recordings one after another, from the first.
    """

    path: Path
    files: tuple[Path, ...]
    sensor: Sensor
    class_names: tuple[str, ...] | None
    count: int
    read: Callable[[], Iterator[Recording]]


@dataclass(frozen=True)
class Binning:
    """How events become spike trains.

    Args:
        steps: Time steps: bins of equal length.
        duration: Seconds that the bins span, from the start of a recording; later events are
            not used.
        pool: Neighbouring rows and columns that become one unit; the last ones may be fewer.
        polarity: "channels" keeps ON and OFF events apart, as the two channels of a neuron; "maps"
            too, as two sets of units; "sum" merges them.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If `steps` or `pool` is not an integer.
    """

    steps: int
    duration: float
    pool: int = 1
    polarity: str = "sum"

    def __post_init__(self) -> None:
        check_positive_int("steps", self.steps, high=MICROSECONDS)
        check_positive_int("pool", self.pool)
        check_choice("polarity", self.polarity, Polarity)
        # Written this way round so that NaN is refused too.
        if not 1 / MICROSECONDS <= self.duration <= LONGEST:
            raise ValueError(
                f"duration must be from 1e-6 to {LONGEST:g} seconds, but is {self.duration}"
            )

    @property
    def microseconds(self) -> int:
        """Duration in whole microseconds, the unit of the events' times."""
        return round(self.duration * MICROSECONDS)

    @property
    def channels(self) -> int:
        """Channels of a spike train."""
        return 2 if self.polarity == "channels" else 1

    def grid(self, sensor: Sensor) -> tuple[int, ...]:
        """Lay the units out: (maps, rows, columns), or (maps, columns) where they form a line."""
        rows, columns = sensor.pooled(self.pool)
        maps = 2 if self.polarity == "maps" else 1
        return (maps, columns) if sensor.rows == 1 else (maps, rows, columns)

    def units(self, sensor: Sensor) -> int:
        """Count the units of a spike train: groups of the sensor's rows and columns."""
        return math.prod(self.grid(sensor))

    def shape(self, sensor: Sensor) -> tuple[int, ...]:
        """Return the shape of a spike train: (T, units), or (T, units, 2) with polarities."""
        return (self.steps, self.units(sensor), 2)[: 1 + self.channels]


def bin_events(
    events: Events, sensor: Sensor, binning: Binning
) -> UInt8[np.ndarray, "T units"] | UInt8[np.ndarray, "T units 2"]:
    """Turn the events of a recording into a spike train.

    A unit spikes in a bin if it has at least one event there. Bin t holds the times from t to
    t + 1 times duration / steps, the start included and the end not, in exact whole numbers. Units
    run row by row; ON is channel 0, or the first map, and OFF channel 1, or the second.
    """
    if binning.polarity != "sum" and sensor.polarities == 1:
        raise ValueError(
            f"polarity is {binning.polarity!r}, but the events are neither ON nor OFF; it may be "
            "'sum'"
        )
    used = events.times < binning.microseconds
    bins = events.times[used] * binning.steps // binning.microseconds
    rows, columns = events.y[used] // binning.pool, events.x[used] // binning.pool
    every_row, every_column = sensor.pooled(binning.pool)
    units, is_off = rows * every_column + columns, np.where(events.on[used], 0, 1)
    if binning.polarity == "maps":
        units = is_off * every_row * every_column + units
    trains = np.zeros((binning.steps, binning.units(sensor), binning.channels), np.uint8)
    trains[bins, units, is_off * (binning.channels - 1)] = 1
    return trains.reshape(binning.shape(sensor))
