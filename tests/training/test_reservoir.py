"""The reservoir keeps scikit-learn's promises, and its own about time, randomness and spread."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sqsnn.data import series
from sqsnn.errors import ConfigError
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.settings.neurons import POPULATIONS
from sqsnn.training import reservoir
from sqsnn.training.reservoir import SpikingReservoir

STEPS = 12


def small(**options) -> SpikingReservoir:
    """A reservoir that runs in milliseconds."""
    return SpikingReservoir(6, **{"steps": 4, "shots": 2, "random_state": 0} | options)


@pytest.fixture(scope="module", name="X")
def waves():
    return np.random.default_rng(0).random((9, STEPS, 3))


@parametrize_with_checks(
    [small(), small(neurons="lif"), small(features="count", random_state=None)]
)
def test_scikit_learn_agrees(estimator, check):
    check(estimator)


def test_features_are_traces_of_the_spikes(X):
    spikes = small(features="spikes", per_step=True).fit_transform(X)
    assert spikes.shape == (9, STEPS, 6)
    assert set(np.unique(spikes)) == {0, 0.5, 1}  # the mean of two runs
    traces = small(trace_decay=0.6, per_step=True).fit_transform(X)
    counts = small(features="count", per_step=True).fit_transform(X)
    trace = np.zeros((9, 6))
    for t in range(STEPS):
        trace = 0.6 * trace + spikes[:, t]
        np.testing.assert_allclose(traces[:, t], trace, rtol=1e-12)
        np.testing.assert_allclose(counts[:, t], spikes[:, : t + 1].sum(1), rtol=1e-12)
    for options, every in (({"trace_decay": 0.6}, traces), ({"features": "count"}, counts)):
        assert np.array_equal(small(**options).fit_transform(X), every[:, -1])


def test_the_past_alone_counts(X):
    model = small(per_step=True).fit(X)
    later = X.copy()
    later[:, 7:] = X[:, 7:][::-1]
    before, after = model.transform(X), model.transform(later)
    assert np.array_equal(before[:, :7], after[:, :7])
    assert not np.array_equal(before[:, 7:], after[:, 7:])


def test_values_of_a_sample_are_held(X):
    values = X[:, 0]
    series = np.repeat(values[:, None], 4, axis=1)
    flat, held = small().fit(values), small().fit(series)
    assert flat.n_features_in_ == held.n_features_in_ == 3
    assert np.array_equal(flat.transform(values), held.transform(series))


@pytest.mark.parametrize("neurons", POPULATIONS)
def test_features_depend_on_their_sample_alone(X, neurons, monkeypatch):
    monkeypatch.setattr(reservoir, "CHUNK", 4 * STEPS * 2 * 6)  # four samples, of two shots
    model = small(neurons=neurons, input_scale=3).fit(X)
    whole = model.transform(X)
    assert whole.any()
    order = np.random.default_rng(1).permutation(len(X))
    assert np.array_equal(model.transform(X[order]), whole[order])
    for part in (slice(0, 1), slice(3, 8)):
        assert np.array_equal(model.transform(X[part]), whole[part])


def test_the_seed_alone_decides(X):
    one, same, other = (small(random_state=seed).fit_transform(X) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    free, again = (small(random_state=None).fit(X) for _ in range(2))
    assert not np.array_equal(free.transform(X), again.transform(X))
    assert np.array_equal(free.transform(X), free.transform(X))


def test_it_is_saved_and_read_back(X):
    model = small(drive=Rectified(), circuit="integrate_and_fire").fit(X)
    read = pickle.loads(pickle.dumps(model))
    assert np.array_equal(read.transform(X), model.transform(X))
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        clone(model).transform(X)


def test_more_shots_come_closer_to_the_mean(X):
    options = {"features": "spikes", "per_step": True}
    few, more, most = (small(**options, shots=n).fit_transform(X) for n in (1, 20, 400))
    # The error falls as 1 / sqrt(shots), here by more than 4; 648 features of at most 1/2 each.
    assert np.sqrt(((more - most) ** 2).mean()) < 0.35 * np.sqrt(((few - most) ** 2).mean())


def test_neurons_that_draw_nothing_run_once(X):
    one, many = (small(neurons="lif", shots=n).fit_transform(X) for n in (1, 50))
    assert np.array_equal(one, many)


def test_options_reach_the_neurons(X):
    model = small(memory_qubits=2, circuit="crx", drive="leaky", beta=0.9, spread=0).fit(X)
    assert model.population_.circuit.name == "crx"
    assert model.population_.memory_qubits == 2
    assert model.population_.drive == Leaky(beta=0.9)
    drawn = small(neurons="stochastic_lif", tau=0.1, spread=0).fit(X).population_
    assert isinstance(drawn, StochasticLIF)
    assert drawn.tau == 0.1
    assert small(channels=2).fit_transform(X).shape == (9, 12)


def test_the_spread_is_that_of_every_parameter(X):
    def parameters(spread):
        model = SpikingReservoir(400, neurons="stochastic_lif", spread=spread, random_state=0)
        return dict(model.fit(X).population_.named_parameters())

    for name, value in parameters(0.0).items():
        spread = parameters(0.2)[name]
        assert (value == value[0]).all()
        # Five standard errors of the mean and of the deviation of 400 numbers.
        assert abs(spread.mean() - value.mean()) < 5 * 0.2 / 20
        assert abs(spread.std() - 0.2) < 5 * 0.2 / np.sqrt(800)


def test_currents_are_those_of_the_equation(X, monkeypatch):
    model = small(input_scale=0.7, neurons="lif").fit(X)
    currents = []
    run = model.population_.forward
    monkeypatch.setattr(
        model.population_,
        "forward",
        lambda given, **options: currents.append(given) or run(given, **options),
    )
    model.transform(X)
    assert np.abs(model.weights_).max() <= 0.7
    low, high = X.min(axis=(0, 1)), X.max(axis=(0, 1))
    expected = (X - low) / (high - low) @ model.weights_[:-1] + model.weights_[-1]
    given = currents[0][..., 0].transpose(0, 1).numpy()  # (n, T, H)
    np.testing.assert_allclose(given[: len(X)], expected, atol=1e-6)  # float32


def test_new_values_are_clipped(X):
    model = small().fit(X)
    low, high = X.min(axis=(0, 1)), X.max(axis=(0, 1))
    assert np.array_equal(model.transform(X * 0 + high + 5), model.transform(X * 0 + high))
    assert np.array_equal(model.transform(X * 0 + low - 5), model.transform(X * 0 + low))


def test_a_linear_model_behind_it_recalls_the_step_before():
    inputs, targets = series.memory_inputs(900, 1, 0)
    train, test = slice(50, 600), slice(600, None)

    def recall(**options):
        model = SpikingReservoir(
            40, features="spikes", per_step=True, shots=20, random_state=0, **options
        )
        states = model.fit_transform(inputs[None, :, None])[0]
        ridge = Ridge(1e-2).fit(states[train], targets[train, 0])
        return ridge.score(states[test], targets[test, 0])

    # Without memory the inputs before are unknown: 0 at best, whatever is learned from noise.
    assert recall(drive="rectified", memory_qubits=0) < 0.05
    assert recall() > 0.5


def test_sines_that_a_linear_model_confuses_are_told_apart():
    X, y = series.sines(300, 150, 0)
    model = make_pipeline(
        SpikingReservoir(60, features="count", shots=20, random_state=0), RidgeClassifier()
    )
    assert model.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.7
    flat = RidgeClassifier().fit(X[:200, :, 0], y[:200])
    assert flat.score(X[200:, :, 0], y[200:]) < 0.55


def test_names_of_features():
    model = small().fit(np.eye(3))
    assert list(model.get_feature_names_out()) == [f"spikingreservoir{n}" for n in range(6)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shots": 0}, "shots must be an integer of at least 1, but is 0"),
        ({"features": "rate"}, "features is 'rate'; it may be one of trace, count, spikes"),
        ({"trace_decay": 1.5}, r"trace_decay is 1.5; it must be in \[0, 1\]"),
        ({"spread": -1}, "spread is -1; it must be in"),
        ({"neurons": "moss"}, "neurons is 'moss'; it may be one of sqs, lif,"),
        ({"circuit": "transmon"}, "transmon"),
        ({"tau": 0.2}, "tau is 0.2, but goes with neurons 'stochastic_lif' only"),
        ({"neurons": "lif", "beta": 2}, "beta is 2"),
    ],
)
def test_a_wrong_parameter_is_named_when_fitting(X, options, said):
    with pytest.raises((ValueError, ConfigError), match=said):
        small(**options).fit(X)


def test_an_unknown_parameter_is_refused():
    with pytest.raises(TypeError, match="there is no parameter memory; there are features, "):
        SpikingReservoir(memory=3)


def test_wrong_series_are_refused(X):
    with pytest.raises(ValueError, match=r"X has shape \(9, 0, 3\)"):
        small().fit(X[:, :0])
    with pytest.raises(ValueError, match="X has 2 features, but SpikingReservoir is expecting 3"):
        small().fit(X).transform(X[..., :2])
    X = X.copy()
    X[3, 4, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        small().fit(X)


def test_the_global_generators_are_left_alone(X):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    small(threads=2).fit_transform(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
