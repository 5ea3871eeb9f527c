"""The regressor keeps scikit-learn's promises, and forecasts what can be known."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_regressors_train, parametrize_with_checks
from tools import STOCHASTIC

from sqsnn.encoding import Current, Rate
from sqsnn.settings import flat
from sqsnn.settings.run import Recipe
from sqsnn.training.regressor import WINDOW, SQSNNRegressor

# Of scikit-learn's checks, this one tests how well it learns; a short training suffices for others.
ACCURATE = "check_regressors_train"


def small(**options) -> SQSNNRegressor:
    """A regressor that trains in a fraction of a second."""
    settings = {"hidden": (32,), "memory_qubits": 0, "encoding": "current", "steps": 3}
    settings |= {"epochs": 20, "batch_size": 50, "learning_rate": 0.05, "random_state": 0}
    return SQSNNRegressor(**settings | options)


def for_series(**options) -> SQSNNRegressor:
    settings = {"encoding": None, "steps": None, "batch_size": 32, "epochs": 10}
    return small(**settings | options)


@parametrize_with_checks([small(random_state=None)], expected_failed_checks=lambda _: STOCHASTIC)
def test_scikit_learn_agrees(estimator, check):
    accurate = check.func.__name__ == ACCURATE
    settings = {"shots": 5} if accurate else {"epochs": 2, "shots": 2}
    check(clone(estimator).set_params(**settings))


@pytest.mark.slow
def test_scikit_learn_is_content_with_the_accuracy_of_the_defaults():
    check_regressors_train("SQSNNRegressor", SQSNNRegressor())


@pytest.fixture(scope="module")
def data():
    X, y = make_regression(150, n_features=4, n_targets=2, noise=5.0, random_state=0)
    return X, y * [1.0, 1e-3] + [1000.0, 0.0]


@pytest.fixture(scope="module")
def fitted(data):
    return small().fit(*data)


def test_values_are_learnt_whatever_their_units(fitted, data):
    X, y = data
    assert fitted.predict(X).shape == (150, 2)
    assert fitted.score(X, y) > 0.8
    assert fitted.score(X, y) == pytest.approx(1 - _nmse(fitted.predict(X), y))


def _nmse(found, wanted):
    return (((found - wanted) ** 2).mean(axis=0) / wanted.var(axis=0)).mean()


def test_one_value_has_no_axis_of_its_own(data):
    X, y = data
    assert small(epochs=1).fit(X, y[:, 0]).predict(X).shape == (150,)
    assert small(epochs=1).fit(X, y[:, :1]).predict(X).shape == (150, 1)


def test_every_setting_is_a_parameter_but_those_with_no_use():
    names = set(SQSNNRegressor().get_params())
    settings = {leaf.name for leaf in flat.leaves(Recipe)}
    own = {"random_state", "warm_start", "early_stopping", "validation_fraction", "callbacks"}
    assert names - settings == own | {"verbose"}
    missing = {"seed", "final_learning_rate", "noise_from", "noise_strength", "score", "readout"}
    missing |= {"loss_on", "output_memory_qubits", "skip"}
    of_scores = {leaf.name for leaf in flat.leaves(Recipe) if "score" in leaf.kinds}
    assert settings - names == missing | of_scores - {"shots", "window"}
    assert SQSNNRegressor().horizon is None  # how far to forecast, and no option of a rule


def test_it_learns_by_the_local_rule(data):
    assert small(rule="local", feedback="symmetric").fit(*data).score(*data) > 0.6


def test_a_prediction_depends_on_its_sample_alone(fitted, data):
    whole, order = fitted.predict(data[0]), np.random.default_rng(0).permutation(150)
    assert np.array_equal(fitted.predict(data[0][order]), whole[order])
    assert np.array_equal(fitted.predict(data[0][7:9]), whole[7:9])


# Standard deviations


def test_the_gaussian_loss_tells_how_far_off_it_is():
    drawn = np.random.default_rng(0)
    X = drawn.uniform(size=(400, 2))
    spread = np.where(X[:, 1] < 0.5, 0.1, 1.0)
    y = 3 * X[:, 0] + spread * drawn.normal(size=400)
    regressor = small(value_loss="gaussian", epochs=40).fit(X[:300], y[:300])
    mean, deviation = regressor.predict(X[300:], return_std=True)
    assert mean.shape == deviation.shape == (100,)
    assert np.array_equal(mean, regressor.predict(X[300:]))
    # Of 100 normal errors 68 +- 5 lie within one standard deviation, and 95 +- 2 within two.
    error = np.abs(mean - y[300:])
    assert 0.5 < (error < deviation).mean() < 0.9
    assert (error < 2 * deviation).mean() > 0.85
    noisy = X[300:, 1] > 0.5
    assert deviation[noisy].mean() > 1.5 * deviation[~noisy].mean()


def test_the_squared_loss_knows_no_deviation(fitted, data):
    with pytest.raises(ValueError, match="return_std needs a fit with value_loss 'gaussian'"):
        fitted.predict(data[0], return_std=True)


# Values of series


def smoothed(series):
    """What a leaky integrator makes of a series, a task of memory."""
    found, value = [], 0.0
    for x in series:
        value = 0.8 * value + 0.2 * float(x[0])
        found.append(value)
    return np.array(found)


def test_values_of_every_step_are_learnt():
    X = np.random.default_rng(0).uniform(size=(120, 20, 1))
    y = np.stack([smoothed(one) for one in X])
    regressor = for_series(every_step=True, epochs=20).fit(X[:90], y[:90])
    assert regressor.predict(X[90:]).shape == (30, 20)
    # The step's own input alone explains 1 - 0.64 of the variance of a long series.
    assert regressor.score(X[90:], y[90:]) > 0.7
    with_axis = for_series(every_step=True, epochs=1).fit(X, y[..., None])
    assert with_axis.predict(X).shape == (*y.shape, 1)


def test_steps_may_be_unequal_and_finer_than_values():
    drawn = np.random.default_rng(0)
    X = [drawn.uniform(size=(length, 1)) for length in drawn.integers(5, 12, 60)]
    y = [smoothed(one) for one in X]
    regressor = for_series(every_step=True, steps=2 * max(map(len, X)), epochs=15).fit(X, y)
    found = regressor.predict(X)
    assert [len(one) for one in found] == [len(one) for one in X]
    assert regressor.score(X, y) > 0.5
    assert np.array_equal(regressor.predict(X[:1])[0], found[0])


def test_one_value_per_series_is_learnt():
    X = np.random.default_rng(0).uniform(size=(150, 12, 1))
    y = X.mean(axis=(1, 2))
    regressor = for_series().fit(X, y)
    assert regressor.recipe_.encoding == Current(12)
    assert regressor.score(X, y) > 0.6


def test_values_are_currents_unless_told_otherwise():
    X = np.random.default_rng(0).uniform(size=(10, 4))
    assert for_series(epochs=1).fit(X, X[:, 0]).recipe_.encoding == Current(10)
    assert for_series(epochs=1, encoding="rate").fit(X, X[:, 0]).recipe_.encoding == Rate(10)


# Forecasts


@pytest.fixture(scope="module")
def wave():
    """A sine with a period that is no whole number of steps."""
    return np.sin(2 * np.pi * np.arange(260) / 17.3)


@pytest.fixture(scope="module")
def forecaster(wave):
    return for_series(horizon=4).fit(wave[:200])


def test_a_sine_is_forecast_better_than_by_persistence(forecaster, wave):
    rest = wave[200 - WINDOW :]
    pieces = np.lib.stride_tricks.sliding_window_view(rest, WINDOW + 4)
    known, wanted = pieces[:, :WINDOW], pieces[:, WINDOW:]
    found = forecaster.predict(known[..., None])
    assert found.shape == wanted.shape
    assert ((found - wanted) ** 2).mean() < 0.3 * ((known[:, -1:] - wanted) ** 2).mean()
    # The regressor's own measure is the same, over the same windows.
    assert forecaster.score(rest) == pytest.approx(1 - _nmse(found, wanted))
    assert np.array_equal(forecaster.predict(rest[:-4]), found[-1])


def test_a_forecast_has_the_axes_that_its_series_have(forecaster, wave):
    assert forecaster.predict(wave).shape == (4,)
    assert forecaster.predict(wave[:, None]).shape == (4,)
    assert forecaster.predict(wave[None, :, None]).shape == (1, 4)
    assert forecaster.predict([wave[:60, None], wave[:70, None]]).shape == (2, 4)
    both = np.stack([wave, wave**2], axis=1)
    planar = for_series(horizon=4, epochs=1).fit(both)
    assert planar.predict(both).shape == (4, 2)
    assert planar.predict(np.stack([both, both])).shape == (2, 4, 2)


def test_a_forecast_sees_the_last_window_alone(forecaster, wave):
    assert np.array_equal(forecaster.predict(wave), forecaster.predict(wave[-WINDOW:]))


def test_several_series_are_forecast_whole(wave):
    X = [wave[start : start + length, None] for start, length in ((0, 30), (7, 30), (40, 25))]
    regressor = for_series(horizon=2, epochs=1).fit(X)
    assert regressor.series_length_ == 28
    assert regressor.predict(X).shape == (3, 2)
    assert for_series(horizon=2, window=9, epochs=1).fit(X).series_length_ == 9


def test_a_forecast_is_cross_validated_without_targets(wave):
    X = wave[:240].reshape(6, 40, 1)
    assert cross_val_score(for_series(horizon=1, window=20), X, cv=2).min() > 0


def test_the_last_windows_are_held_out(wave):
    regressor = for_series(horizon=1, early_stopping=True, epochs=3, validation_fraction=0.2)
    regressor.fit(np.concatenate([wave[:120], np.full(10, 5.0)]))
    # The jump at the end lies in the last 16 of 80 windows alone.
    assert regressor.scaling_.high[0] <= 1


@pytest.mark.parametrize(
    ("options", "X", "y", "said"),
    [
        ({"horizon": 3}, np.zeros(3), None, "has 3 steps, but must have more than the horizon, 3"),
        ({"horizon": 3}, np.zeros(9), np.zeros(9), "forecasts X itself, but y is given too"),
        ({"horizon": 0}, np.zeros(9), None, "horizon must be an integer of at least 1"),
        ({"horizon": 1, "window": 0}, np.zeros(9), None, "window must be an integer of at least 1"),
        ({}, np.zeros((3, 2)), None, "requires y to be passed"),
        ({"every_step": True}, np.zeros((3, 2)), np.zeros((3, 2)), "every_step needs series"),
        (
            {"every_step": True},
            np.zeros((3, 2, 1)),
            np.zeros((3, 4)),
            r"for each of the 2 steps of series 0, .*, but has shape \(4,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, X, y, said):
    with pytest.raises(ValueError, match=said):
        for_series(**options).fit(X, y)


def test_an_unfitted_forecaster_says_so(wave):
    with pytest.raises(NotFittedError):
        for_series(horizon=1).predict(wave)
    with pytest.raises(NotFittedError):
        for_series(horizon=1).score(wave)
