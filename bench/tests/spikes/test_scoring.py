"""What every rival owes: probabilities of all trains that sum to 1, and a score with a zero."""

import itertools
import math
from functools import partial

import numpy as np
import pytest

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn_bench.spikes import glm, hidden_markov, leaky
from sqsnn_bench.spikes.scoring import Constant, Data, fit_constant, score

BINS = 6
ALL = np.array(list(itertools.product((0, 1), repeat=BINS)), np.uint8)  # (2^T, T)
STIMULUS = np.random.default_rng(1).standard_normal((2000, 2))


def bernoulli(trains, bins, rate, seed):
    drawn = np.random.default_rng(seed).random((trains, bins)) < rate
    return Data(SpikeTrains.from_bins(drawn.astype(np.uint8)))


def shown(data):
    """The same trains, each with the first bins of one stimulus."""
    return Data(data.trains, tuple(STIMULUS[: len(train)] for train in data.trains))


RIVALS = {
    "constant": fit_constant,
    "glm": partial(glm.fit_history, histories=(glm.History(4), glm.History(8, 3))),
    "lif": partial(leaky.fit_lif, starts=1, warm_up=4),
    "hmm": partial(hidden_markov.fit_state_emitting, 3),
}


@pytest.mark.parametrize("name", RIVALS)
def test_the_probabilities_of_all_trains_sum_to_one(name):
    fitted = RIVALS[name](bernoulli(5, 100, 0.3, 0), np.random.default_rng(0))
    total = np.exp(fitted.log_likelihood(Data(SpikeTrains.from_bins(ALL)))).sum()
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["glm", "lif", "rate"])
def test_the_probabilities_of_all_trains_sum_to_one_whatever_is_presented(name):
    fit = {**RIVALS, "rate": glm.fit_rate}[name]
    fitted = fit(shown(bernoulli(5, 100, 0.3, 0)), np.random.default_rng(0))
    total = np.exp(fitted.log_likelihood(shown(Data(SpikeTrains.from_bins(ALL))))).sum()
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", RIVALS)
def test_trains_of_unequal_length_are_scored_as_if_each_were_alone(name):
    fitted = RIVALS[name](bernoulli(5, 100, 0.3, 0), np.random.default_rng(0))
    lengths = (7, 30, 12)
    trains = [bernoulli(1, bins, 0.3, bins).trains[0] for bins in lengths]
    together = fitted.log_likelihood(Data(SpikeTrains(tuple(trains))))
    alone = [fitted.log_likelihood(Data(SpikeTrains((train,))))[0] for train in trains]
    np.testing.assert_allclose(together, alone, atol=1e-12)


def test_spikes_at_random_of_the_training_rate_score_zero():
    train, held_out = bernoulli(3, 200, 0.2, 0), bernoulli(4, 100, 0.3, 1)
    baseline = fit_constant(train, np.random.default_rng(0))
    assert baseline.rate == train.trains.count / 600
    assert score(baseline, baseline, held_out, 10).bits_per_spike == 0


def test_the_score_counts_the_bins_after_the_warm_up_alone():
    held_out, warm_up = bernoulli(4, 50, 0.3, 2), 10
    spikes = np.stack(held_out.trains.spikes)[:, warm_up:]
    found = score(Constant(0.4), Constant(0.1), held_out, warm_up)
    log_odds = spikes.sum() * math.log(4) + (1 - spikes).sum() * math.log(0.6 / 0.9)
    likelihood = spikes.sum() * math.log(0.4) + (1 - spikes).sum() * math.log(0.6)
    assert found.spikes == spikes.sum()
    assert found.bits_per_spike == pytest.approx(log_odds / spikes.sum() / math.log(2))
    assert found.nats_per_bin == pytest.approx(likelihood / spikes.size)


def test_impossible_and_certain_spikes_have_no_likelihood_that_is_not_a_number():
    data = Data(SpikeTrains.from_bins([[0, 0], [0, 1]]))
    assert Constant(0.0).log_likelihood(data).tolist() == [0, -math.inf]
    assert Constant(1.0).log_likelihood(data).tolist() == [-math.inf, -math.inf]


def test_data_that_cannot_be_scored_are_refused():
    trains = SpikeTrains.from_bins([[0, 1, 0]])
    with pytest.raises(ValueError, match="trains must have one unit, but have 2"):
        Data(SpikeTrains.from_bins(np.zeros((1, 3, 2), np.uint8)))
    with pytest.raises(ValueError, match=r"as many bins as the trains, \[3\], but has \[2\]"):
        Data(trains, (np.zeros((2, 1)),))
    with pytest.raises(ValueError, match="bins must be from 1 to 2, but is 3"):
        score(Constant(0.5), Constant(0.5), Data(trains), 3)
    with pytest.raises(ValueError, match="held_out has no spike after the warm-up"):
        score(Constant(0.5), Constant(0.5), Data(trains), 2)
