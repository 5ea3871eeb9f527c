"""Spike trains that follow the laws of their processes."""

import numpy as np
import pytest

from sqsnn_bench.spikes.processes import (
    BURSTS,
    JITTERED,
    RENEWALS,
    Renewal,
    equal,
    gamma,
    sample,
)


def _intervals(spikes):
    return np.concatenate([np.diff(np.flatnonzero(train)) for train in spikes])


@pytest.mark.parametrize("process", RENEWALS, ids=lambda process: process.name)
def test_intervals_of_a_renewal_process_have_its_law(process):
    count, law = 20_000, process.law
    drawn = process.intervals(100, count // 100, np.random.default_rng(0)).ravel()
    observed = np.bincount(drawn, minlength=len(law) + 1)[1:]
    # Kolmogorov-Smirnov: beyond 2.23 in 1 of 10,000 seeds; for whole numbers, in fewer.
    distance = np.abs(observed.cumsum() / count - law.cumsum()).max()
    assert distance * np.sqrt(count) < 2.23


@pytest.mark.parametrize(
    "process", [RENEWALS[2], RENEWALS[6], JITTERED], ids=lambda process: process.name
)
def test_trains_are_in_equilibrium(process):
    """Every bin, the first as well as the last, has a spike with probability 1 / mean interval."""
    trains = 2000
    spikes = sample(process, trains, 40, np.random.default_rng(1))
    rate = 1 / process.mean if isinstance(process, Renewal) else 1 / JITTERED.period
    # 4.9 standard errors of 40 bins: outside in 1 of 20,000 seeds.
    assert np.abs(spikes.mean(0) - rate).max() < 4.9 * np.sqrt(rate * (1 - rate) / trains)


def test_bursts_have_two_to_five_spikes_and_a_pause():
    spikes = sample(BURSTS, 40, 2000, np.random.default_rng(2))
    sizes = np.zeros(6)
    for train in spikes:
        intervals = np.diff(np.flatnonzero(train))
        pauses = np.flatnonzero(intervals > 3)
        assert set(intervals[intervals <= 3]) == {2, 3}
        sizes += np.bincount(np.diff(pauses), minlength=6)  # whole bursts alone
    shares = sizes[2:] / sizes.sum()
    assert sizes[:2].sum() == 0
    # 1,700 bursts or so: 5 standard errors of a share of 1/4 are 0.053.
    assert np.abs(shares - 0.25).max() < 0.053


def test_jittered_spikes_stay_near_their_ticks_and_their_intervals_compensate():
    (train,) = sample(JITTERED, 1, 16 * 4000, np.random.default_rng(3))
    times = np.flatnonzero(train)
    ticks = np.arange(len(times)) * JITTERED.period
    assert np.ptp(times - ticks) == 2 * JITTERED.jitter
    intervals = np.diff(times)
    # Differences of independent draws: -1/2 exactly; 5 standard errors are 5 / sqrt(4000) = 0.08.
    assert np.corrcoef(intervals[1:], intervals[:-1])[0, 1] == pytest.approx(-0.5, abs=0.08)


def test_trains_are_reproducible_bits_of_the_shape_asked_for():
    one, other = (sample(BURSTS, 3, 50, np.random.default_rng(4)) for _ in range(2))
    assert (one.shape, one.dtype, set(one.ravel())) == ((3, 50), np.uint8, {0, 1})
    assert np.array_equal(one, other)


def test_the_gamma_law_has_the_mean_and_the_variation_of_its_density():
    """Sums over whole numbers are nearly integrals, as the density is smooth."""
    process, lengths = Renewal("", gamma(16, 0.3)), np.arange(1, 129)
    assert process.mean == pytest.approx(16, abs=1e-4)
    deviation = np.sqrt(process.law @ (lengths - process.mean) ** 2)
    assert deviation / process.mean == pytest.approx(0.3, abs=1e-4)
    assert equal(2, 8).tolist() == [0, 0.5, 0, 0, 0, 0, 0, 0.5]


def test_intervals_of_trains_are_those_of_the_process():
    """Cutting a window leaves the intervals within it alone."""
    spikes = sample(RENEWALS[6], 50, 200, np.random.default_rng(5))
    assert set(_intervals(spikes)) == {2, 8}
