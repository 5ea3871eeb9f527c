"""Generated series follow their equations, stay in their range, and repeat."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from sklearn.linear_model import LogisticRegression

from sqsnn.data import series

GENERATORS = {
    "narma5": lambda seed: series.narma(5, 60, seed),
    "narma10": lambda seed: series.narma(10, 60, seed),
    "mackey_glass": lambda seed: series.mackey_glass(60, seed),
    "memory_inputs": lambda seed: series.memory_inputs(60, 4, seed),
    "parity": lambda seed: series.parity(20, 6, seed),
    "sines": lambda seed: series.sines(20, 30, seed),
}


@pytest.mark.parametrize("generate", GENERATORS.values(), ids=GENERATORS)
def test_a_seed_repeats_and_another_one_differs(generate):
    first, same, other = generate(0), generate(0), generate(1)
    assert all(map(np.array_equal, first, same))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])


def test_no_two_series_share_their_random_numbers():
    inputs = [series.narma(5, 60, 0)[0] / 0.5, series.narma(10, 60, 0)[0] / 0.5]
    inputs.append(series.memory_inputs(60, 4, 0)[0])
    assert len({values[0] for values in inputs}) == len(inputs)


@pytest.mark.parametrize("order", [5, 10])
def test_narma_follows_its_recurrence(order):
    u, targets = series.narma(order, 200, 3)
    y = {t: 0.0 for t in range(-order, 1)}
    for t in range(200):
        past = sum(y[t - i] for i in range(order))
        before = u[t - order + 1] if t >= order - 1 else 0.0
        y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * past + 1.5 * before * u[t] + 0.1
    # Both add in float64, in other orders: 200 steps of at most 15 roundings each.
    np.testing.assert_allclose(targets, [y[t + 1] for t in range(200)], rtol=1e-12)


@pytest.mark.parametrize("order", [5, 10])
def test_narma_has_inputs_up_to_a_half_and_stays_finite(order):
    for seed in range(5):
        u, y = series.narma(order, 2000, seed)
        assert u.min() >= 0
        assert 0.49 < u.max() < 0.5
        assert y.min() >= 0.1
        assert y.max() <= 1


def test_a_series_that_diverges_is_drawn_again(monkeypatch):
    calm, attempts = series._narma_targets, []

    def first_diverges(inputs, order):
        attempts.append(inputs)
        return calm(inputs, order) + (2 if len(attempts) == 1 else 0)

    monkeypatch.setattr(series, "_narma_targets", first_diverges)
    u, y = series.narma(10, 50, 0)
    assert len(attempts) == 2
    assert not np.array_equal(attempts[0], attempts[1])
    assert np.array_equal(u, attempts[1])
    assert np.array_equal(y, calm(u, 10))


def test_diverging_inputs_are_recognised():
    # With all inputs at their highest, the recurrence of order 10 has no fixed point.
    assert series._narma_targets(np.full(300, 0.5), 10).max() > 1


def test_other_orders_are_refused():
    with pytest.raises(ValueError, match="order is 7; it may be 5 or 10"):
        series.narma(7, 10, 0)


@pytest.mark.parametrize("tau", [17, 30])
def test_mackey_glass_solves_its_equation(tau, monkeypatch):
    """Method of steps: over one delay the delayed value is known, and an ODE solver goes on."""
    monkeypatch.setattr(series, "_WASHOUT", 0)
    low, high = series.MACKEY_GLASS_RANGE
    steps = 4 * tau
    values = series.mackey_glass(steps, 0, tau)[0] * (high - low) + low

    def solution(t):
        return values[0] if t <= 0 else pieces[int((t - 1e-12) // tau)](t)

    pieces = []
    for start in range(0, steps, tau):
        slope = lambda t, x: 0.2 * solution(t - tau) / (1 + solution(t - tau) ** 10) - 0.1 * x  # noqa: E731
        found = solve_ivp(
            slope,
            (start, start + tau),
            [solution(start)],
            method="DOP853",
            rtol=1e-10,
            atol=1e-12,
            dense_output=True,
            max_step=1,
        )
        pieces.append(lambda t, sol=found.sol: float(sol(t)[0]))
    expected = [solution(t) for t in range(steps)]
    # Interpolation errs by x'' step^2 / 8 with |x''| < 0.05, 6e-5, in 4 of 6 parts of a slope that
    # is then integrated against a decay of 0.1.
    np.testing.assert_allclose(values, expected, atol=1e-4)


def test_mackey_glass_is_scaled_and_its_target_lies_ahead():
    values, targets = series.mackey_glass(2000, 0, horizon=6)
    assert 0.1 < values.min() < 0.3
    assert 0.85 < values.max() < 1
    assert np.array_equal(targets[:-6], values[6:])


def test_memory_targets_are_earlier_inputs():
    inputs, targets = series.memory_inputs(500, 7, 0)
    assert targets.shape == (500, 7)
    for k in range(1, 8):
        assert np.array_equal(targets[k:, k - 1], inputs[:-k])
    assert inputs.min() >= 0
    assert inputs.max() < 1


def test_parity_counts_the_ones():
    trains, labels = series.parity(400, 5, 0)
    assert (trains.shape, trains.dtype) == ((400, 5, 1), np.uint8)
    assert labels.tolist() == [sum(train.ravel().tolist()) % 2 for train in trains]
    assert 0.4 < labels.mean() < 0.6  # 4 standard errors


def test_sines_have_the_period_of_their_class():
    values, labels = series.sines(90, 330, 0)  # 330 steps: whole periods of all three
    assert values.shape == (90, 330, 1)
    assert np.bincount(labels).tolist() == [30, 30, 30]
    assert values.min() >= 0
    assert values.max() <= 1
    spectrum = np.abs(np.fft.rfft(values[..., 0] - values.mean(axis=1)))
    periods = np.array(series.PERIODS)[labels]
    assert np.array_equal(spectrum.argmax(axis=1), 330 // periods)
    amplitudes = 2 / 330 * spectrum.max(axis=1)
    # Noise adds at most a few of its standard error, 0.15 sqrt(2 / 3 / 330).
    np.testing.assert_allclose(amplitudes, 0.35, atol=0.035)


def test_a_linear_model_of_sines_is_left_with_chance():
    values, labels = series.sines(1200, 150, 0)
    X = values[..., 0] - 0.5
    model = LogisticRegression(max_iter=300).fit(X[:600], labels[:600])
    assert model.score(X[600:], labels[600:]) < 1 / 3 + 4 * math.sqrt(2 / 9 / 600)
