"""How well a model describes spike trains: bits per spike, rescaled time, intervals.

Between two spikes the hazards q_t = -log(1 - p_t) of a right model sum to an exponential number,
and z = 1 - exp(-sum) is uniform. In bins, the last one counts in part: delta, drawn from its law.

Source: Haslinger, Pipa and Brown, Neural Computation 22, 2477 (2010), for bins; Brown et al.,
Neural Computation 14, 325 (2002).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from sqsnn.checks import check_positive_int
from sqsnn.data.spike_trains import SpikeTrains

# Of the Kolmogorov-Smirnov distance: a right model exceeds LIMIT / sqrt(intervals) in 5 % of tests.
LIMIT = 1.36


class TimeRescaling(NamedTuple):
    """A Kolmogorov-Smirnov test of rescaled intervals, which are uniform if the model is right.

    Units that fire together have no independent intervals: each is tested by itself, and the worst
    is given, with a p-value that counts how many were tested (Bonferroni).
    """

    rescaled: Float64[np.ndarray, " intervals"]  # z, sorted
    statistic: float  # largest distance of their distribution function from the uniform one
    p_value: float
    unit: int

    @property
    def limit(self) -> float:
        """The distance that a right model exceeds in 5 % of tests."""
        return LIMIT / math.sqrt(len(self.rescaled))


def time_rescaling(
    trains: SpikeTrains,
    probability: Sequence[Float64[np.ndarray, "_ N"]],
    generator: np.random.Generator,
    warm_up: int = 0,
) -> TimeRescaling:
    """Test the firing probabilities that a model gives to recorded spike trains.

    The rescaled time runs on from train to train, so that intervals that the end of a train cuts
    off are not lost, which would favour short ones.

    Args:
        trains: The spike trains.
        probability: That each unit fires in each bin, given the past, of each train.
        generator: Draws where in its bin a spike lies.
        warm_up: Bins at the beginning of each train that are left out.

    Raises:
        ValueError: If there are no spikes, or the trains have probability 0.
    """
    from scipy.stats import kstest

    spikes = np.concatenate([train[warm_up:] for train in trains])  # (bins, N)
    chance = np.concatenate([it[warm_up:] for it in probability])
    if not spikes.any():
        raise ValueError("trains holds no spikes: there are no intervals to rescale")
    if (chance[spikes == 1] <= 0).any() or (chance[spikes == 0] >= 1).any():
        raise ValueError("trains have probability 0 in this model: nothing can be rescaled")
    with np.errstate(divide="ignore"):  # a certain spike has an infinite hazard
        hazard = -np.log1p(-np.minimum(chance, 1.0))
    tests = []
    for unit in np.flatnonzero(spikes.any(0)).tolist():
        z = np.sort(_rescaled(spikes[:, unit], hazard[:, unit], generator))
        test = kstest(z, "uniform")
        tests.append(TimeRescaling(z, float(test.statistic), float(test.pvalue), unit))
    worst = min(tests, key=lambda test: test.p_value)
    return worst._replace(p_value=min(1.0, len(tests) * worst.p_value))


def _rescaled(
    spikes: np.ndarray, hazard: Float64[np.ndarray, " bins"], generator: np.random.Generator
) -> Float64[np.ndarray, " intervals"]:
    """Compute z of all intervals of one unit."""
    at = np.flatnonzero(spikes)
    # A bin with a spike counts in full in no interval, so that none is infinite.
    quiet = np.concatenate([[0.0], np.cumsum(np.where(spikes == 1, 0.0, hazard))])
    inside = -np.log1p(-generator.random(len(at)) * -np.expm1(-hazard[at]))
    return -np.expm1(-(np.diff(quiet[at], prepend=0.0) + inside))


def bits_per_spike(
    log_likelihood: float,
    trains: SpikeTrains,
    rate: Float64[np.ndarray, " N"],
    warm_up: int = 0,
) -> float:
    """Compute what a model gains over a Poisson process, in bits per spike.

    Args:
        log_likelihood: Of all trains by the model, in nats.
        trains: The spike trains.
        rate: Probability of a spike of each unit in each bin by the Poisson process.
        warm_up: Bins at the beginning of each train that are not scored.

    Raises:
        ValueError: If the trains hold no spike.
    """
    # 0 log 0 = 0: a unit that fires in every bin is no surprise.
    from scipy.special import xlog1py, xlogy

    spikes, bins = _counted(trains, warm_up)
    if not spikes.any():
        raise ValueError("trains holds no spikes after the warm-up: there are no bits per spike")
    poisson = (xlogy(spikes, rate) + xlog1py(bins - spikes, -rate)).sum()
    if not np.isfinite(poisson):
        raise ValueError(
            "a unit fires in every bin of the fit, but not in every bin of these trains, which are "
            "impossible for a Poisson process of its rate: there are no bits per spike"
        )
    return float((log_likelihood - poisson) / spikes.sum() / np.log(2))


def rates(trains: SpikeTrains, warm_up: int = 0) -> Float64[np.ndarray, " N"]:
    """Compute the spikes per bin of each unit, after the warm-up."""
    spikes, bins = _counted(trains, warm_up)
    return spikes / bins


def _counted(trains: SpikeTrains, warm_up: int) -> tuple[Int64[np.ndarray, " N"], int]:
    """Count spikes of each unit, and bins, after the warm-up."""
    scored = [train[warm_up:] for train in trains]
    return np.array([it.sum(0, dtype=np.int64) for it in scored]).sum(0), sum(map(len, scored))


def interval_shares(
    trains: SpikeTrains, longest: int, unit: int
) -> Float64[np.ndarray, " longest"]:
    """Kaplan-Meier estimate of the shares of the intervals that have 1..longest bins.

    The end of a train cuts long intervals off more often than short ones.
    """
    from scipy.stats import CensoredData, ecdf

    bounds = [np.append(np.flatnonzero(train[:, unit]), len(train) - 1) for train in trains]
    lasted = np.concatenate([np.diff(it) for it in bounds])
    cut_off = np.concatenate([np.arange(2, len(it) + 1) == len(it) for it in bounds])
    if not cut_off.any():  # as after each train with a spike
        return np.zeros(longest)
    law = ecdf(CensoredData.right_censored(lasted, cut_off)).cdf
    return np.diff(law.evaluate(np.arange(longest + 1)))


def autocorrelation(
    trains: SpikeTrains, longest: int, unit: int = 0
) -> Float64[np.ndarray, " longest"]:
    """Share of the spikes of a unit that a spike follows after k = 1..longest bins."""
    from scipy.signal import correlate

    check_positive_int("longest", longest)
    both, first = np.zeros(longest), np.zeros(longest)
    for train in trains:
        spikes, last = train[:, unit].astype(np.float64), min(longest, len(train) - 1)
        pairs = correlate(spikes, spikes)[len(spikes) :]  # at lags 1, 2, ...
        both[:last] += pairs[:last].round()
        first[:last] += spikes.cumsum()[::-1][1 : last + 1]  # that a spike could follow
    return np.divide(both, first, out=np.full(longest, np.nan), where=first > 0)
