"""Generalised linear models of spikes: they find the law of the trains that they are fitted to."""

import numpy as np
import pytest
from scipy.special import expit

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn_bench.spikes import glm
from sqsnn_bench.spikes.scoring import Data

GENERATOR = np.random.default_rng(0)
INTERCEPT, HISTORY, WEIGHTS = -1.5, np.array([-2.0, 1.0, 0.5]), np.array([0.8, -0.4])


def drawn(trains, bins, seed):
    """Trains of a known model with three lags of history and two features of a stimulus."""
    generator = np.random.default_rng(seed)
    stimulus = generator.standard_normal((trains, bins, 2))
    spikes = np.zeros((trains, 3 + bins), np.uint8)
    for t in range(bins):
        past = spikes[:, t : t + 3][:, ::-1]
        eta = INTERCEPT + past @ HISTORY + stimulus[:, t] @ WEIGHTS
        spikes[:, 3 + t] = generator.random(trains) < expit(eta)
    return Data(SpikeTrains.from_bins(spikes[:, 3:]), tuple(stimulus))


def test_the_coefficients_of_a_known_model_are_found():
    data = drawn(20, 1000, 0)
    found = glm.fit_history(data, GENERATOR, (glm.History(3),))
    expected = np.array([INTERCEPT, *HISTORY, *WEIGHTS])
    rows = np.concatenate(glm._designs(data, found.history))
    chance = expit(rows @ expected)
    information = rows.T @ (rows * (chance * (1 - chance))[:, None])
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    # Gaussian errors by the Fisher information: one of six beyond 4 in less than 0.04 % of seeds.
    assert np.abs((found.coefficients - expected) / errors).max() < 4
    assert errors.max() < 0.1
    assert (found.parameters, found.memory) == (6, "history of 3 bins")


def test_the_history_that_predicts_the_last_fifth_is_chosen():
    data = drawn(20, 1000, 1)
    histories = (glm.History(1), glm.History(3), glm.NONE)
    assert glm.fit_history(data, GENERATOR, histories).history == glm.History(3)
    # A model that is fitted to all bins of the choice, not to the first four fifths.
    chosen = glm.fit_history(data, GENERATOR, histories)
    alone = glm.fit_history(data, GENERATOR, (glm.History(3),))
    assert np.array_equal(chosen.coefficients, alone.coefficients)


def test_a_bin_depends_on_earlier_bins_alone():
    data = drawn(1, 50, 2)
    spikes = data.trains[0].copy()
    fitted = glm.FittedGLM(glm.History(16, 4), np.arange(7.0) / 7)
    before = fitted.log_probabilities(data)[0]
    spikes[30] ^= 1
    after = fitted.log_probabilities(Data(SpikeTrains((spikes,)), data.stimulus))[0]
    assert np.array_equal(before[:30], after[:30])
    assert (before[30:47] != after[30:47]).all()
    assert np.array_equal(before[47:], after[47:])


def test_raised_cosines_cover_the_past_evenly():
    basis = glm.History(32, 8).basis()
    assert basis.shape == (32, 8)
    # Neighbours add up to a constant between the outer two centres.
    np.testing.assert_allclose(basis.sum(1)[5:20], basis.sum(1)[5], rtol=1e-12)
    assert basis[0, 0] == basis[-1, -1] == 1
    assert np.array_equal(glm.History(5).basis(), np.eye(5))


def test_a_rate_by_the_stimulus_has_no_memory():
    data = drawn(5, 1000, 3)
    found = glm.fit_rate(data, GENERATOR)
    assert (found.parameters, found.memory) == (3, "none")
    # The mean of a model with an intercept is that of the trains.
    chance = np.exp(found.log_probabilities(Data(SpikeTrains(ones(data)), data.stimulus)))
    assert chance.mean() == pytest.approx(data.trains.rate[0], abs=1e-9)


def ones(data):
    return tuple(np.ones_like(train) for train in data.trains)


def test_trains_shorter_than_the_history_are_refused():
    data = Data(SpikeTrains.from_bins([[0, 1, 0, 1]]))
    with pytest.raises(ValueError, match="longer than a history of 16 bins"):
        glm.fit_history(data, GENERATOR, (glm.History(16),))
