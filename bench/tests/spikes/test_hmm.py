"""Hidden Markov models: exact likelihoods, rounds that never lose, and the limits of their size."""

from itertools import product

import numpy as np
import pytest

from sqsnn_bench.spikes import hmm, limits
from sqsnn_bench.spikes.processes import RENEWALS, Renewal, equal, sample


def _random(generator, states=3, symbols=2):
    start = generator.dirichlet(np.ones(states))
    rows = generator.dirichlet(np.ones(symbols * states), states)
    return start, rows.reshape(states, symbols, states).transpose(1, 0, 2)


def _probability(model, train):
    """Sum over all paths of hidden states, one by one."""
    total = 0.0
    for path in product(range(len(model.start)), repeat=len(train) + 1):
        probability = model.start[path[0]]
        for step, symbol in enumerate(train):
            probability *= model.moves[symbol, path[step], path[step + 1]]
        total += probability
    return total


@pytest.mark.parametrize("symbols", [2, 3])
def test_the_likelihood_is_the_sum_over_all_paths(symbols):
    generator = np.random.default_rng(symbols)
    model = hmm.EdgeHMM(*_random(generator, symbols=symbols))
    trains = [generator.integers(0, symbols, steps) for steps in (5, 1, 3)]
    expected = [np.log(_probability(model, train)) for train in trains]
    np.testing.assert_allclose(model.log_likelihood(trains), expected, rtol=1e-12)


def test_the_likelihoods_of_all_trains_of_a_length_sum_to_one():
    model = hmm.EdgeHMM(*_random(np.random.default_rng(0)))
    trains = [np.array(train) for train in product((0, 1), repeat=6)]
    assert np.exp(model.log_likelihood(trains)).sum() == pytest.approx(1, abs=1e-12)


def test_a_train_that_cannot_be_has_probability_zero():
    silent = hmm.EdgeHMM(np.ones(1), np.array([[[1.0]], [[0.0]]]))
    logs = silent.log_likelihood([np.array([0, 1, 0]), np.array([0, 0])])
    assert logs.tolist() == [-np.inf, 0]


def test_no_round_lowers_the_likelihood():
    generator = np.random.default_rng(1)
    trains = [generator.integers(0, 2, steps) for steps in (40, 7, 19)]
    models = [_random(generator, states=4) for _ in range(5)]
    start, moves = (np.stack(parts) for parts in zip(*models, strict=True))
    plan, before = hmm.plan_of(trains, 2), np.full(5, -np.inf)
    for _ in range(30):
        logs, start, moves = hmm.improve(start, moves, plan)
        assert (logs >= before - 1e-9).all()  # rounding of 66 bins
        np.testing.assert_allclose(moves.sum((1, 3)), 1, atol=1e-12)
        before = logs
    assert (logs > -66 * np.log(2)).all()  # better than a fair coin


def test_the_log_likelihood_of_a_round_is_that_of_the_model_given():
    generator = np.random.default_rng(2)
    start, moves = _random(generator)
    trains = [generator.integers(0, 2, steps) for steps in (9, 4)]
    logs, *_ = hmm.improve(start[None], moves[None], hmm.plan_of(trains, 2))
    assert logs[0] == pytest.approx(hmm.EdgeHMM(start, moves).log_likelihood(trains).sum())


def test_samples_follow_the_likelihood():
    model = hmm.EdgeHMM(*_random(np.random.default_rng(3)))
    drawn = model.sample(20_000, 4, np.random.default_rng(4)) @ (8, 4, 2, 1)
    trains = [np.array(train) for train in product((0, 1), repeat=4)]
    expected = 20_000 * np.exp(model.log_likelihood(trains))
    statistic = ((np.bincount(drawn, minlength=16) - expected) ** 2 / expected).sum()
    assert statistic < 44.3  # chi-square of 15 degrees: beyond it in 1 of 10,000 seeds


def test_the_interval_law_is_that_of_long_samples():
    model = hmm.EdgeHMM(*_random(np.random.default_rng(5)))
    (train,) = model.sample(1, 50_000, np.random.default_rng(6))
    intervals = np.diff(np.flatnonzero(train))
    law = model.interval_law(200)
    assert law.sum() == pytest.approx(1, abs=1e-9)
    found = np.bincount(intervals, minlength=4)[1:4] / len(intervals)
    # 25,000 or so intervals, nearly independent: 5 standard errors of a share are at most 0.016.
    np.testing.assert_allclose(found, law[:3], atol=0.016)


def test_a_renewal_process_is_the_model_of_the_time_since_a_spike():
    law = np.array([0.1, 0.0, 0.6, 0.3])
    model = hmm.renewal(law)
    np.testing.assert_allclose(model.moves.sum((0, 2)), 1)
    np.testing.assert_allclose(model.interval_law(6), [*law, 0, 0], atol=1e-12)
    np.testing.assert_allclose(model.start @ model.moves.sum(0), model.start)  # in equilibrium
    train = np.array([1, 1, 0, 0, 1, 0, 0, 0, 1])
    probability = law[0] * law[2] * law[3] / (law @ (1, 2, 3, 4))
    assert model.log_likelihood([train])[0] == pytest.approx(np.log(probability))


SHORT = [stage._replace(rounds=25) for stage in hmm.STAGES[:2]]


def test_a_fit_finds_the_two_intervals_of_a_process():
    """Four states walk 1 or 3 steps without error; then no train has a bin that is a surprise."""
    process = Renewal("", equal(1, 3))
    trains = list(sample(process, 12, 100, np.random.default_rng(7)))
    trains[3] = trains[3][:50]  # trains of unequal lengths are one sample all the same
    model = hmm.fit(trains, 4, 6, np.random.default_rng(8), stages=SHORT)
    assert limits.distance(process, model.interval_law(3)) < 1


def test_a_short_fit_comes_near_the_limit_of_its_states():
    """`sqsnn-bench spikes reach hmm` is the long version."""
    process = RENEWALS[0]
    trains = list(sample(process, 50, 400, np.random.default_rng(9)))
    model = hmm.fit(trains, 2, 3, np.random.default_rng(10), stages=SHORT)
    # The limit is 43.81; 20,000 bins leave 7 parameters an error of 7 / 40,000 nats or so.
    assert 43.8 < limits.distance(process, model.interval_law(len(process.law))) < 44.5


@pytest.mark.parametrize("wrong", [[], [0, 2], [0.5], [np.nan]])
def test_wrong_trains_are_refused_by_number(wrong):
    with pytest.raises(
        ValueError, match=r"trains\[1\] must hold at least one bin, each one of 0..1"
    ):
        hmm.fit([np.zeros(3, int), np.array(wrong)], 2, 1, np.random.default_rng(0))
