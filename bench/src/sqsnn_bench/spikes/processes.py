"""The random processes that are fitted: renewal processes, bursts and a jittered clock.

Each gives intervals between spikes in bins; `sample` turns them into trains in equilibrium.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from scipy.stats import gamma as gamma_law

WARM_UP = 1024  # bins: 64 intervals of mean 16, and whole periods of the jittered clock

Law = Float64[np.ndarray, " K"]
Intervals = Int64[np.ndarray, "trains count"]


class Process(Protocol):
    """A law of spike trains."""

    @property
    def name(self) -> str:
        """The name, as tables print it."""
        ...

    @property
    def shortest(self) -> int:
        """The shortest interval that may occur, in bins."""
        ...

    def intervals(self, trains: int, count: int, generator: np.random.Generator) -> Intervals:
        """Draw successive intervals between spikes, in bins."""
        ...


@dataclass(frozen=True)
class Renewal:
    """A renewal process: its intervals are independent and have one law.

    Args:
        name: The name.
        law: Probabilities of intervals of 1..K bins.
    """

    name: str
    law: Law

    @property
    def shortest(self) -> int:
        """The shortest interval that may occur, in bins."""
        return int(np.flatnonzero(self.law)[0]) + 1

    @property
    def mean(self) -> float:
        """The mean interval, in bins."""
        return float(self.law @ np.arange(1, len(self.law) + 1))

    def intervals(self, trains: int, count: int, generator: np.random.Generator) -> Intervals:
        """Draw independent intervals."""
        return 1 + generator.choice(len(self.law), (trains, count), p=self.law)


@dataclass(frozen=True)
class Bursts:
    """A semi-Markov process: bursts of spikes, and a long pause after each.

    A burst has 2, 3, 4 or 5 spikes, with equal probability, which lie 2 or 3 bins apart, with
    equal probability. The pause from its last spike to the first of the next burst has a law of
    its own. All draws are independent; that pauses follow bursts makes intervals dependent.

    Args:
        name: The name.
        pause: Probabilities of pauses of 1..K bins.
    """

    name: str
    pause: Law
    shortest: int = 2

    def intervals(self, trains: int, count: int, generator: np.random.Generator) -> Intervals:
        """Draw intervals from the first spike of a burst on."""
        inside = generator.integers(2, 4, (trains, count))
        pauses = 1 + generator.choice(len(self.pause), (trains, count), p=self.pause)
        sizes = generator.integers(2, 6, (trains, count // 2 + 1))  # spikes of each burst
        lasts = sizes.cumsum(1) - 1  # the number of each burst's last spike
        is_last = np.zeros((trains, count + 5), bool)
        np.put_along_axis(is_last, lasts.clip(max=count), True, axis=1)
        return np.where(is_last[:, :count], pauses, inside)


@dataclass(frozen=True)
class Jittered:
    """A clock whose spikes lie within `jitter` bins of their tick, each independently.

    Spike n stands at n * period + j, j uniform on -jitter..jitter: a spike that comes late makes
    its interval longer and the next one shorter.

    Args:
        name: The name.
        period: Bins from tick to tick.
        jitter: Most bins from the tick, less than half of the period.
    """

    name: str
    period: int
    jitter: int

    @property
    def shortest(self) -> int:
        """The shortest interval that may occur, in bins."""
        return self.period - 2 * self.jitter

    def intervals(self, trains: int, count: int, generator: np.random.Generator) -> Intervals:
        """Draw the intervals of successive ticks."""
        moved = generator.integers(-self.jitter, self.jitter + 1, (trains, count + 1))
        return self.period + np.diff(moved, axis=1)


def gamma(mean: float, cv: float) -> Law:
    """Make the law of gamma intervals: the gamma density at 1, 2, .., 8 mean bins, normalised.

    The density at whole numbers gives the figures of the design to their last digit; differences
    of the distribution function do not.

    Args:
        mean: Mean of the density, in bins.
        cv: Coefficient of variation of the density.
    """
    lengths = np.arange(1, round(8 * mean) + 1)
    density = gamma_law.pdf(lengths, a=cv**-2, scale=mean * cv**2)
    return density / density.sum()


def equal(*lengths: int) -> Law:
    """Make the law in which each of some intervals, in bins, has the same probability."""
    law = np.zeros(max(lengths))
    law[np.array(lengths) - 1] = 1 / len(lengths)
    return law


RENEWALS = (
    Renewal("gamma, mean 8, CV 0.3", gamma(8, 0.3)),
    Renewal("gamma, mean 8, CV 0.2", gamma(8, 0.2)),
    Renewal("gamma, mean 16, CV 0.2", gamma(16, 0.2)),
    Renewal("gamma, mean 16, CV 0.3", gamma(16, 0.3)),
    Renewal("gamma, mean 16, CV 0.5", gamma(16, 0.5)),
    Renewal("uniform, 8 to 24 steps", equal(*range(8, 25))),
    Renewal("2 or 8 steps, each half the time", equal(2, 8)),
)
BURSTS = Bursts("bursts", gamma(24, 0.3))
JITTERED = Jittered("period 16 with jitter", 16, 4)


def sample(
    process: Process, trains: int, steps: int, generator: np.random.Generator
) -> UInt8[np.ndarray, "trains steps"]:
    """Draw spike trains in equilibrium: windows that begin at random after a warm-up.

    Args:
        process: The process.
        trains: Trains, independent of each other.
        steps: Bins of each.
        generator: Source of randomness.
    """
    end = 2 * WARM_UP + steps
    times = process.intervals(trains, end // process.shortest + 1, generator).cumsum(1)
    spikes = np.zeros((trains, end + 1), np.uint8)
    np.put_along_axis(spikes, times.clip(max=end), 1, axis=1)
    begins = WARM_UP + generator.integers(0, WARM_UP, (trains, 1))
    return np.take_along_axis(spikes, begins + np.arange(steps), axis=1)
