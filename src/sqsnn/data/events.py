"""Events of neuromorphic sensors -> spike trains: what a recording is, and how it is binned."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from sqsnn.checks import check_choice, check_positive_int

Polarity = Literal["channels", "sum"]

MICROSECONDS = 1_000_000  # a second
# Eleven days: longer than any recording, and short enough for exact arithmetic in 64 bits.
LONGEST = 1_000_000  # seconds


class Sensor(NamedTuple):
    """What records events.

    Args:
        columns: x lies in 0..columns-1.
        rows: y lies in 0..rows-1; 1 where units lie in a line.
        polarities: 2 where events are ON or OFF, else 1.
    """

    columns: int
    rows: int = 1
    polarities: int = 1


class Events(NamedTuple):
    """The events of one recording, in any order.

    Args:
        times: (events,) int64, microseconds, at least 0.
        x: (events,) integers, columns of the sensor.
        y: (events,) integers, rows of the sensor.
        on: (events,) bool, the polarity; True where the sensor has one alone.
    """

    times: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray


class Recording(NamedTuple):
    """One sample of an event dataset.

    Args:
        where: what to call it in an error, e.g. a member of an archive.
        label: its class, from 0.
        events: its events.
    """

    where: str
    label: int
    events: Events


@dataclass(frozen=True)
class Binning:
    """How events become spike trains.

    Args:
        steps: time steps, bins of equal length.
        duration: seconds that the bins span, from the start of a recording; later events are
            not used.
        pool: so many neighbouring rows and columns are merged into one unit; the last of them may
            be fewer.
        polarity: "channels" keeps ON and OFF events apart, as the two channels of a neuron; "sum"
            merges them.

    Raises:
        ValueError: if one is out of range.
        TypeError: if `steps` or `pool` is not an integer.
    """

    steps: int
    duration: float
    pool: int = 1
    polarity: str = "sum"

    def __post_init__(self) -> None:
        check_positive_int("steps", self.steps, high=MICROSECONDS)
        check_positive_int("pool", self.pool)
        check_choice("polarity", self.polarity, Polarity)
        # Asked this way round so that NaN is refused too.
        if not 1 / MICROSECONDS <= self.duration <= LONGEST:
            raise ValueError(
                f"duration must be from 1e-6 to {LONGEST:g} seconds, but is {self.duration}"
            )

    @property
    def microseconds(self) -> int:
        """The duration in whole microseconds, the unit in which events are timed."""
        return round(self.duration * MICROSECONDS)

    @property
    def channels(self) -> int:
        """Channels of a spike train."""
        return 2 if self.polarity == "channels" else 1

    def units(self, sensor: Sensor) -> int:
        """Units of a spike train: groups of the sensor's rows and columns.

        Args:
            sensor: what the events come from.
        """
        return _groups(sensor.rows, self.pool) * _groups(sensor.columns, self.pool)

    def shape(self, sensor: Sensor) -> tuple[int, ...]:
        """The shape of a spike train: (T, units), or (T, units, 2) where polarities are channels.

        Args:
            sensor: what the events come from.
        """
        return (self.steps, self.units(sensor), 2)[: 1 + self.channels]


def bin_events(
    events: Events, sensor: Sensor, binning: Binning
) -> UInt8[np.ndarray, "T units"] | UInt8[np.ndarray, "T units 2"]:
    """Turn the events of a recording into a spike train.

    A unit spikes in a bin if it has at least one event there. Bin t holds the times from t to
    t + 1 times duration / steps, the start included and the end not, in exact whole numbers.

    Args:
        events: the events, within the sensor.
        sensor: what they come from.
        binning: how they are binned.

    Returns:
        1 for a spike, else 0; units row by row; ON is channel 0 and OFF channel 1.

    Raises:
        ValueError: if polarities are to be channels and the sensor has none.
    """
    if binning.channels > sensor.polarities:
        raise ValueError(
            "polarity is 'channels', but the events are neither ON nor OFF; it may be 'sum'"
        )
    used = events.times < binning.microseconds
    bins = events.times[used] * binning.steps // binning.microseconds
    rows, columns = events.y[used] // binning.pool, events.x[used] // binning.pool
    units = rows * _groups(sensor.columns, binning.pool) + columns
    trains = np.zeros((binning.steps, binning.units(sensor), binning.channels), np.uint8)
    trains[bins, units, np.where(events.on[used], 0, binning.channels - 1)] = 1
    return trains.reshape(binning.shape(sensor))


def _groups(size: int, pool: int) -> int:
    return -(-size // pool)
