"""Hidden Markov models that emit from states: hmmlearn finds the law of a known one."""

import numpy as np

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn_bench.spikes.hidden_markov import fit_state_emitting
from sqsnn_bench.spikes.scoring import Data, fit_constant, score

RATES, STAY = (0.05, 0.6), 0.95


def switching(trains, bins, seed):
    """Trains of a model of two states, which it rarely changes."""
    generator = np.random.default_rng(seed)
    state = generator.integers(0, 2, trains)
    spikes = np.empty((trains, bins), np.uint8)
    for t in range(bins):
        spikes[:, t] = generator.random(trains) < np.take(RATES, state)
        state = np.where(generator.random(trains) < STAY, state, 1 - state)
    return Data(SpikeTrains.from_bins(spikes))


def test_a_known_model_is_found():
    data = switching(20, 500, 0)
    found = fit_state_emitting(2, data, np.random.default_rng(0))
    order = found.model.emissionprob_[:, 1].argsort()
    rates = found.model.emissionprob_[order, 1]
    stays = np.diag(found.model.transmat_)[order]
    # 5,000 bins in each state and 250 visits: errors of 0.01 and 0.005, of which six are allowed.
    np.testing.assert_allclose(rates, RATES, atol=0.06)
    np.testing.assert_allclose(stays, STAY, atol=0.03)
    assert (found.parameters, found.memory) == (5, "2 states")


def test_a_regular_clock_needs_its_ring_of_states():
    """Four states hold intervals of four bins, which random starts would seldom find."""
    clock = np.tile(np.array([0, 0, 0, 1], np.uint8), (10, 25))
    data = Data(SpikeTrains(tuple(np.roll(row, shift)[:, None] for shift, row in enumerate(clock))))
    baseline = fit_constant(data, np.random.default_rng(0))
    entropy = -(np.log2(0.25) + 3 * np.log2(0.75))  # bits per spike, all of which are predictable
    gains = []
    for states in (2, 4):
        fitted = fit_state_emitting(states, data, np.random.default_rng(0))
        gains.append(score(fitted, baseline, data, 8).bits_per_spike / entropy)
    # Two states cannot count to four; with a ring of four, hardly anything is left to chance.
    assert gains[0] < 0.7
    assert gains[1] > 0.99
