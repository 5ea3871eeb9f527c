"""The unconstrained instrument: complete, of exact likelihood, and as good as its limit."""

from itertools import product

import numpy as np
import pytest
import torch

from sqsnn_bench.spikes import limits, stiefel
from sqsnn_bench.spikes.processes import RENEWALS, sample


def _random(levels=3, symbols=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(1, symbols, levels, levels, 2, generator=generator, dtype=torch.float64)
    return stiefel.Instrument(stiefel.isometry(points)[0].numpy())


@pytest.mark.parametrize(("levels", "symbols"), [(1, 2), (2, 2), (4, 3)])
def test_the_operators_are_complete(levels, symbols):
    operators = _random(levels, symbols).operators
    total = sum(operator.conj().T @ operator for operator in operators)
    np.testing.assert_allclose(total, np.eye(levels), atol=1e-13)


@pytest.mark.parametrize("symbols", [2, 3])
def test_the_likelihood_is_the_norm_of_the_product_of_operators(symbols):
    model, generator = _random(symbols=symbols), np.random.default_rng(1)
    # Shorter than a word, as long, longer, and several words.
    trains = [generator.integers(0, symbols, steps) for steps in (1, 16, 17, 50)]
    for train, found in zip(trains, model.log_likelihood(trains), strict=True):
        state = np.array([1, 0, 0], complex)
        for symbol in train:
            state = model.operators[symbol] @ state
        assert found == pytest.approx(np.log(np.vdot(state, state).real), rel=1e-11)


def test_the_likelihoods_of_all_trains_of_a_length_sum_to_one():
    trains = [np.array(train) for train in product((0, 1), repeat=6)]
    assert np.exp(_random().log_likelihood(trains)).sum() == pytest.approx(1, abs=1e-12)


def test_a_train_that_cannot_be_has_probability_zero():
    """A memory that flips from spike to silence and back: no two bins are alike."""
    clock = stiefel.Instrument(np.array([[[0, 1], [0, 0]], [[0, 0], [1, 0]]], complex))
    possible, impossible = np.tile([1, 0], 20), np.zeros(40, int)
    assert clock.log_likelihood([possible, impossible]).tolist() == [0, -np.inf]


def test_the_interval_law_of_a_renewal_instrument_is_that_of_its_limit():
    """K_1 = |r><b|: the law is |<b| K_0^(k-1) |r>|^2."""
    generator = np.random.default_rng(2)
    after, turn = np.linalg.qr(generator.standard_normal((3, 3)))[0][:, 0], _unitary(generator)
    absorbed = 0.6
    silent = turn @ np.diag([np.sqrt(1 - absorbed), 1, 1])
    spike = np.sqrt(absorbed) * np.outer(after, [1, 0, 0])
    law = stiefel.Instrument(np.array([silent, spike], complex)).interval_law(30)
    state = after
    for probability in law:
        assert probability == pytest.approx(absorbed * abs(state[0]) ** 2, abs=1e-12)
        state = silent @ state


def _unitary(generator):
    matrix = generator.standard_normal((3, 3)) + 1j * generator.standard_normal((3, 3))
    return np.linalg.qr(matrix)[0]


def test_a_fit_comes_near_the_limit_of_a_qubit(monkeypatch):
    monkeypatch.setattr(stiefel, "FIRST_STEPS", 40)
    monkeypatch.setattr(stiefel, "FOLLOWED", 1)
    monkeypatch.setattr(stiefel, "ITERATIONS", 60)
    process = RENEWALS[0]
    trains = list(sample(process, 50, 400, np.random.default_rng(3)))
    trains[7] = trains[7][:123]
    model = stiefel.fit(trains, 2, 6, torch.Generator().manual_seed(4))
    # The limit is 8.73; 20,000 bins leave 8 parameters an error of 8 / 40,000 nats or so.
    assert 8.72 < limits.distance(process, model.interval_law(len(process.law))) < 9.5


def test_wrong_trains_are_refused_by_number():
    with pytest.raises(
        ValueError, match=r"trains\[0\] must hold at least one bin, each one of 0..1"
    ):
        stiefel.fit([np.array([0, 2])], 2, 1, torch.Generator())
    with pytest.raises(ValueError, match=r"has 0 bins"):
        _random().log_likelihood([np.array([], int)])
