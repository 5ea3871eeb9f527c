"""Time rescaling, interval counts and autocorrelation of spike trains."""

import math

import numpy as np
import pytest
from scipy.stats import kstwobign

from sqsnn import SpikeTrains
from sqsnn.spike_trains.goodness import (
    LIMIT,
    TimeRescaling,
    autocorrelation,
    bits_per_spike,
    time_rescaling,
)


def coins(chance: np.ndarray, trains: int, seed: int) -> SpikeTrains:
    """Trains whose bins are independent, with the given probabilities (T,)."""
    drawn = np.random.default_rng(seed).random((trains, len(chance)))
    return SpikeTrains.from_bins((drawn < chance).astype(np.uint8))


def test_the_right_model_passes_at_the_rate_of_the_test():
    # Wide bins, probabilities up to 0.6, where rescaling without the correction fails; trains so
    # short that most intervals are cut. 200 tests at level 0.1: 20 are refused, deviation 4.2;
    # 5 deviations are a false alarm once in 1e6, and the seeds are fixed.
    chance = 0.35 + 0.25 * np.sin(np.arange(12))
    refused = 0
    for seed in range(200):
        trains = coins(chance, 60, seed)
        given = [chance[:, None]] * 60
        found = time_rescaling(trains, given, np.random.default_rng(seed))
        refused += found.p_value < 0.1
    assert abs(refused - 20) < 5 * math.sqrt(200 * 0.1 * 0.9)


def test_units_that_fire_together_are_not_refused_for_that():
    # Two copies of one unit, the right model of each: pooled, their intervals would be refused 25
    # times of 100. Level 0.05, counted twice: 0.05 or less. 200 tests, deviation 3.1; 5 deviations.
    refused = 0
    for seed in range(200):
        unit = np.random.default_rng(seed).random((1, 2000, 1)) < 0.05
        trains = SpikeTrains.from_bins(np.concatenate([unit, unit], axis=2))
        found = time_rescaling(trains, [np.full((2000, 2), 0.05)], np.random.default_rng(seed))
        refused += found.p_value < 0.05
    assert refused < 10 + 5 * 3.1


def test_the_worst_unit_is_given():
    spikes = np.random.default_rng(0).random((1, 5000, 2)) < [0.05, 0.2]
    found = time_rescaling(
        SpikeTrains.from_bins(spikes), [np.full((5000, 2), 0.05)], np.random.default_rng(0)
    )
    assert found.unit == 1
    assert found.p_value < 1e-6
    assert len(found.rescaled) == spikes[0, :, 1].sum()


def test_bits_per_spike_against_a_certain_unit_are_refused():
    with pytest.raises(ValueError, match="a unit fires in every bin of the fit"):
        bits_per_spike(-1.0, SpikeTrains.from_bins([[1, 0]]), np.array([1.0]))
    assert bits_per_spike(0.0, SpikeTrains.from_bins([[1, 1]]), np.array([1.0])) == 0


def test_a_wrong_model_is_refused():
    chance = 0.35 + 0.25 * np.sin(np.arange(1000))
    trains = coins(chance, 20, 0)
    flat = [np.full((1000, 1), 0.1)] * 20
    assert time_rescaling(trains, flat, np.random.default_rng(0)).p_value < 1e-6


def test_rescaled_intervals_are_sums_of_hazards():
    # Spikes in bins 1 and 4, a third after the end of the first train: silent bins count in full,
    # those of spikes in part.
    trains = SpikeTrains.from_bins([[0, 1, 0, 0, 1, 0], [1, 0]])
    chance = [np.full((6, 1), 0.2), np.full((2, 1), 0.5)]
    z = time_rescaling(trains, chance, np.random.default_rng(0)).rescaled
    silent = [0.8, 0.8**2, 0.8]  # probability of no spike in the bins before
    certain = [0.2, 0.2, 0.5]
    r = np.random.default_rng(0).random(3)
    expected = [1 - q * (1 - part * p) for q, p, part in zip(silent, certain, r, strict=True)]
    np.testing.assert_allclose(z, sorted(expected), rtol=1e-12)


def test_a_certain_spike_is_rescaled_too():
    trains = SpikeTrains.from_bins([[0, 1]])
    found = time_rescaling(trains, [np.array([[0.5], [1.0]])], np.random.default_rng(0))
    assert 0.5 < found.rescaled[0] < 1


def test_trains_without_spikes_and_impossible_trains_are_refused():
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no spikes"):
        time_rescaling(SpikeTrains.from_bins([[0, 0]]), [np.full((2, 1), 0.5)], generator)
    chance = [np.array([[1.0], [0.5]])]
    with pytest.raises(ValueError, match="probability 0"):
        time_rescaling(SpikeTrains.from_bins([[0, 1]]), chance, generator)


def test_the_limit_is_that_of_kolmogorov():
    # 1.36 is kstwobign's 95 % point, 1.3581, to the digits of the field.
    assert pytest.approx(kstwobign.ppf(0.95), abs=0.005) == LIMIT
    assert TimeRescaling(np.ones(100), 0.1, 0.5, 0).limit == pytest.approx(LIMIT / 10)


def test_autocorrelation_counts_pairs_that_the_train_can_hold():
    trains = SpikeTrains.from_bins([[1, 0, 1, 1, 0]])
    # Lag 1: of the spikes in bins 0, 2, 3 one is followed. Lag 2: those in 0 and 2 can be.
    found = autocorrelation(trains, 6)
    np.testing.assert_allclose(found, [1 / 3, 1 / 2, 1, 0, np.nan, np.nan])
