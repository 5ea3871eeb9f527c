"""The classifier keeps scikit-learn's promises, and its own about randomness."""

import io

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_classifiers_train, parametrize_with_checks
from tools import STOCHASTIC, needs_kernel

from sqsnn.data import series
from sqsnn.encoding import Current, Latency, Rate
from sqsnn.errors import ConfigError
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.signals import Feedback
from sqsnn.settings import flat
from sqsnn.settings.run import Recipe
from sqsnn.training.classifier import CHUNK, SQSNNClassifier

# Of scikit-learn's checks, these test how well it learns; a short training suffices for others.
ACCURATE = ("check_classifiers_train", "check_class_weight_classifiers")


def small(**options) -> SQSNNClassifier:
    """A classifier that trains in a fraction of a second."""
    settings = {"hidden": (32,), "memory_qubits": 0, "encoding": "current", "steps": 3}
    settings |= {"epochs": 20, "batch_size": 50, "learning_rate": 0.05, "random_state": 0}
    return SQSNNClassifier(**settings | options)


@parametrize_with_checks([small(random_state=None)], expected_failed_checks=lambda _: STOCHASTIC)
def test_scikit_learn_agrees(estimator, check):
    accurate = check.func.__name__ in ACCURATE
    settings = {"epochs": 12, "shots": 3} if accurate else {"epochs": 2, "shots": 2}
    check(clone(estimator).set_params(**settings))


@pytest.mark.slow
def test_scikit_learn_is_content_with_the_accuracy_of_the_defaults():
    check_classifiers_train("SQSNNClassifier", SQSNNClassifier())


@pytest.fixture(scope="module")
def data():
    return make_blobs(150, n_features=5, centers=3, cluster_std=1.5, random_state=0)


@pytest.fixture(scope="module")
def fitted(data):
    return small().fit(*data)


def test_blobs_are_told_apart(fitted, data):
    assert fitted.score(*data) > 0.9


def test_it_learns_by_the_local_rule(data):
    classifier = small(rule="local", signal="both", feedback="symmetric").fit(*data)
    assert classifier.recipe_.rule.signal.feedback == Feedback("symmetric")
    assert classifier.score(*data) > 0.9


def test_flat_names_and_objects_say_the_same(data):
    rule = Local(Feedback("symmetric"))
    flat_names = small(epochs=2, rule="local", feedback="symmetric").fit(*data)
    objects = small(epochs=2, rule=rule, encoding=Current(3), steps=None).fit(*data)
    assert flat_names.recipe_ == objects.recipe_
    assert np.array_equal(flat_names.predict_proba(data[0]), objects.predict_proba(data[0]))
    assert clone(objects).get_params()["rule"] == rule


@needs_kernel
def test_it_learns_over_events(data):
    dense, sparse = (small(synapses=name).fit(*data) for name in ("dense", "events"))
    assert sparse.recipe_.synapses == "events"
    assert sparse.score(*data) > 0.9
    assert sparse.weights_.keys() == dense.weights_.keys()


def test_an_object_chooses_the_score(data):
    classifier = small(epochs=2, rule=Local(score=Online())).fit(*data)
    assert classifier.recipe_.rule == Local(score=Online())


def test_every_setting_is_a_parameter_but_those_with_no_use():
    names = set(SQSNNClassifier().get_params())
    settings = {leaf.name for leaf in flat.leaves(Recipe)}
    own = {"random_state", "warm_start", "early_stopping", "validation_fraction", "callbacks"}
    assert names - settings == own | {"verbose", "class_weight"}
    missing = {"seed", "final_learning_rate", "noise_from", "noise_strength", "score"}
    missing |= {"readout", "trace_decay", "value_loss", "every_step"}
    # `score` is a method, so that only objects choose another score than the exact one.
    of_scores = {leaf.name for leaf in flat.leaves(Recipe) if "score" in leaf.kinds}
    assert settings - names == missing | of_scores - {"shots"}
    assert callable(SQSNNClassifier().score)


def test_defaults_are_those_of_training():
    classifier, recipe = SQSNNClassifier(), Recipe()
    assert classifier.hidden == recipe.hidden
    assert classifier.learning_rate == recipe.training.learning_rate
    assert (classifier.rule, classifier.neurons) == ("backprop", "sqs")
    # Two kinds of neurons have a threshold, with different defaults.
    assert classifier.threshold is None


def test_an_unknown_parameter_is_refused_with_those_that_there_are():
    with pytest.raises(TypeError, match=r"there is no parameter memory; there are .*memory_qubits"):
        SQSNNClassifier(memory=3)


def test_digits_are_learnt():
    X, y = load_digits(n_class=3, return_X_y=True)
    classifier = small(encoding="rate", memory_qubits=1).fit(X[:300], y[:300])
    assert classifier.score(X[300:], y[300:]) > 0.9


def test_a_prediction_depends_on_its_sample_alone(fitted, data):
    X = np.tile(data[0], (2, 1))  # more than one chunk
    assert len(X) > CHUNK
    whole = fitted.predict_proba(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert np.array_equal(fitted.predict_proba(X[order]), whole[order])
    for part in (slice(0, 1), slice(7, 40), slice(CHUNK - 1, CHUNK + 2)):
        assert np.array_equal(fitted.predict_proba(X[part]), whole[part])
    assert np.array_equal(whole[:150], whole[150:])


def test_predictions_are_random_in_the_seed_alone(data):
    X, y = data
    first, same, other = (
        small(random_state=seed, epochs=1).fit(X, y).predict_proba(X) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.allclose(first, other)


def test_without_a_seed_every_fit_differs_but_predictions_repeat(data):
    X, y = data
    one, two = (small(random_state=None, epochs=1).fit(X, y) for _ in range(2))
    assert not np.allclose(one.predict_proba(X), two.predict_proba(X))
    assert np.array_equal(one.predict_proba(X), one.predict_proba(X))


def test_probabilities_are_the_softmax_of_summed_firing_probabilities(fitted, data):
    probabilities = fitted.predict_proba(data[0])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    # A sum over 3 steps of probabilities: no logit can be further from another than 3.
    logits = np.log(probabilities)
    assert np.ptp(logits, axis=1).max() <= 3 + 1e-6
    assert np.array_equal(fitted.predict(data[0]), fitted.classes_[probabilities.argmax(axis=1)])


def test_shots_average(fitted, data):
    X = data[0]
    rough = np.stack([np.log(clone_with(fitted, shots=n).predict_proba(X)) for n in (1, 20, 40)])
    assert np.abs(rough[1] - rough[2]).mean() < 0.5 * np.abs(rough[0] - rough[2]).mean()


def clone_with(fitted, **parameters):
    copy = joblib.load(dumped(fitted))
    return copy.set_params(**parameters)


def dumped(fitted):
    buffer = io.BytesIO()
    joblib.dump(fitted, buffer)
    buffer.seek(0)
    return buffer


def test_it_is_saved_and_read_back(fitted, data):
    read = joblib.load(dumped(fitted))
    assert np.array_equal(read.predict_proba(data[0]), fitted.predict_proba(data[0]))
    with pytest.raises(NotFittedError):
        clone(fitted).predict(data[0])


def test_parameters_set_after_fitting_wait_for_the_next_fit(fitted, data):
    copy = clone_with(fitted, hidden=(99,), steps=1, dtype="float64", random_state=5)
    assert np.array_equal(copy.predict_proba(data[0]), fitted.predict_proba(data[0]))


def test_labels_may_be_words(data):
    X, y = data
    words = np.array(["up", "down", "strange"])[y]
    classifier = small().fit(X, words)
    assert list(classifier.classes_) == ["down", "strange", "up"]
    assert (classifier.predict(X) == words).mean() > 0.9


@pytest.mark.parametrize(("encoding", "clips"), [("rate", True), ("current", False)])
def test_features_are_scaled_by_the_training_data_and_clipped_for_encodings_that_need_it(
    data, encoding, clips
):
    X, y = data
    X = X * [1e6, 1, 1e-6, 1, 1] + [0, -50, 0, 0, 0]
    classifier = small(encoding=encoding).fit(X, y)
    assert classifier.score(X, y) > 0.9
    low, high = X.min(axis=0, keepdims=True), X.max(axis=0, keepdims=True)
    beyond = np.concatenate([low - 1000 * (high - low), high + 1000 * (high - low)])
    inside = classifier.predict_proba(np.concatenate([low, high]))
    assert np.array_equal(classifier.predict_proba(beyond), inside) == clips


def test_it_works_in_a_pipeline_and_a_grid_search(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), small())
    # Lists and NumPy's integers, as grids are written.
    grid = {"sqsnnclassifier__hidden": [[16]], "sqsnnclassifier__epochs": np.array([1, 20])}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_params_ == {"sqsnnclassifier__hidden": [16], "sqsnnclassifier__epochs": 20}
    assert search.score(X, y) > 0.8


def test_verbose_prints_one_line_per_epoch(data, capsys):
    small(epochs=2, verbose=1).fit(*data)
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["epoch", "1"],
        ["epoch", "2"],
    ]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"hidden": (0,)}, r"^hidden\.0: .*greater than or equal to 1"),
        ({"steps": 0}, "^steps: .*but is 0"),
        ({"encoding": "morse"}, "'morse'"),
        ({"circuit": "transmon"}, "transmon"),
        ({"rule": "magic"}, "^rule is 'magic'; it may be one of backprop, local"),
        ({"samples": 8}, "^samples is 8, but goes with rule 'local' and signal 'reinforce'"),
        ({"rule": Local(), "samples": 8}, "^samples is 8, but rule is given as an object"),
    ],
)
def test_a_wrong_parameter_is_named_when_fitting(data, parameters, said):
    with pytest.raises(ConfigError, match=said) as refused:
        small(**parameters).fit(*data)
    assert "\n" not in str(refused.value)


def test_one_class_is_refused(data):
    with pytest.raises(ValueError, match=r"at least two classes, .*, but holds one class only"):
        small().fit(data[0], np.zeros(150))


def test_shots_below_one_are_refused(data):
    with pytest.raises(ValueError, match="shots must be an integer of at least 1, but is 0"):
        small(shots=0).fit(*data)


def test_the_global_generators_are_left_alone(data):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    small(epochs=1).fit(*data).predict(data[0])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


# Series


def waves(
    samples: int, lengths: int | np.ndarray, seed: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Slow and fast sines of random phase, `(T_i, 1)`; no single step tells which is which."""
    drawn = np.random.default_rng(seed)
    labels = drawn.integers(0, 2, samples)
    lengths = np.broadcast_to(lengths, samples)
    phases = drawn.uniform(0, 2 * np.pi, samples)
    periods = np.array([4, 12])[labels]
    made = zip(periods, phases, lengths, strict=True)
    return [np.sin(2 * np.pi * np.arange(n) / p + f)[:, None] for p, f, n in made], labels


def for_series(**options) -> SQSNNClassifier:
    settings = {"encoding": None, "steps": None, "hidden": (24,), "batch_size": 16}
    return small(**settings | {"epochs": 12} | options)


@pytest.fixture(scope="module")
def on_series():
    X, y = waves(96, 24, seed=0)
    return for_series().fit(np.stack(X), y)


def test_series_are_learnt(on_series):
    X, y = waves(100, 24, seed=1)
    # One standard error of 100 samples at 0.9 is 0.03.
    assert on_series.score(np.stack(X), y) > 0.9
    assert on_series.score(X, y) == on_series.score(np.stack(X), y)


@pytest.mark.slow
def test_noisy_sines_that_a_linear_model_confuses_are_told_apart():
    X, y = series.sines(600, 150, 0)
    X_test, y_test = series.sines(600, 150, 1)
    classifier = SQSNNClassifier(epochs=10, batch_size=32, random_state=0).fit(X, y)
    linear = LogisticRegression(max_iter=1000).fit(X[..., 0], y)
    assert classifier.score(X_test, y_test) >= 0.95
    # One standard error of 600 samples at chance, a third, is 0.02.
    assert linear.score(X_test[..., 0], y_test) < 0.4


def test_series_drive_the_neurons_step_by_step_unless_told_otherwise(on_series):
    assert on_series.recipe_.encoding == Current(24)
    X, y = waves(20, 6, seed=0)
    spikes = for_series(encoding="latency", steps=12, epochs=1).fit(np.stack(X), y)
    assert spikes.recipe_.encoding == Latency(12)
    with pytest.raises(ValueError, match=r"steps must be a multiple of 6, .* but is 10"):
        for_series(encoding=Rate(10)).fit(np.stack(X), y)


def test_values_are_encoded_as_spikes_unless_told_otherwise(data):
    assert for_series(epochs=1).fit(*data).recipe_.encoding == Rate(10)


def test_unequal_lengths_are_learnt():
    drawn = np.random.default_rng(2)
    X, y = waves(96, drawn.integers(12, 30, 96), seed=2)
    classifier = for_series().fit(X, y)
    X, y = waves(100, drawn.integers(12, 30, 100), seed=3)
    assert classifier.score(X, y) > 0.85


def test_a_prediction_for_a_series_depends_on_it_alone(on_series):
    few = clone_with(on_series, shots=2)
    X, _ = waves(30, np.arange(5, 35), seed=4)  # shorter and longer than in training
    whole = few.predict_proba(X)
    order = np.random.default_rng(0).permutation(30)
    assert np.array_equal(few.predict_proba([X[i] for i in order]), whole[order])
    for number in (0, 18, 19, 20, 29):
        assert np.array_equal(few.predict_proba([X[number]])[0], whole[number])


def test_values_and_series_are_not_mixed_up(on_series, fitted, data):
    with pytest.raises(
        ValueError, match=r"X must hold series, \(n, T, F\), as in fit, .* \(3, 1\)"
    ):
        on_series.predict(np.zeros((3, 1)))
    with pytest.raises(
        ValueError, match=r"X must hold values, \(n, F\), as in fit, .* \(3, 2, 5\)"
    ):
        fitted.predict(np.zeros((3, 2, 5)))
    with pytest.raises(ValueError, match="X has 2 features, but SQSNNClassifier is expecting 1"):
        on_series.predict(np.zeros((3, 24, 2)))


@pytest.mark.parametrize(
    ("X", "said"),
    [
        ([np.zeros((3, 1)), np.zeros((3, 2))], r"same features, but they have \[1, 2\]"),
        ([np.zeros((3, 1)), np.zeros((0, 1))], "at least one step, but one is empty"),
        ([np.zeros((3, 1)), np.full((2, 1), np.nan)], "contains NaN"),
        (np.zeros((0, 3, 1)), "Found array with 0 sample"),
        (np.zeros((2, 3, 0)), "Found array with 0 feature"),
    ],
)
def test_broken_series_are_refused(X, said):
    with pytest.raises(ValueError, match=said):
        for_series().fit(X, [0, 1])


# Weights


def test_samples_of_weight_0_count_for_nothing(data):
    X, y = data
    weights = np.random.default_rng(0).integers(0, 3, len(y)) * 0.7
    kept = weights > 0
    X = np.where(kept[:, None], X, 1e6)  # not even for the scaling
    ignored = small(epochs=2).fit(X, y, sample_weight=weights)
    left_out = small(epochs=2).fit(X[kept], y[kept], sample_weight=weights[kept])
    assert np.array_equal(ignored.predict_proba(X), left_out.predict_proba(X))


def test_the_size_of_weights_is_immaterial(data):
    fits = [small(epochs=2).fit(*data, sample_weight=np.full(150, c)) for c in (1.0, 8.0)]
    assert np.array_equal(*(fit.predict_proba(data[0]) for fit in fits))
    plain = small(epochs=2).fit(*data)
    np.testing.assert_allclose(fits[0].predict_proba(data[0]), plain.predict_proba(data[0]))


def test_weights_draw_the_decision_to_their_class():
    X, y = make_blobs([360, 40], centers=[[0, 0], [2, 2]], cluster_std=1.5, random_state=0)
    plain, balanced, factor = (
        small(epochs=10, class_weight=weight).fit(X, y).predict(X)
        for weight in (None, "balanced", {0: 1, 1: 9})
    )
    # By Bayes' rule 41 % of the rare class are found, and 83 % where both classes count alike; the
    # standard errors of 40 samples are 8 % and 6 %.
    assert (plain[y == 1] == 1).mean() < 0.6
    assert (balanced[y == 1] == 1).mean() > 0.65
    by_sample = small(epochs=10).fit(X, y, sample_weight=np.where(y, 9, 1)).predict(X)
    assert np.array_equal(by_sample, balanced)
    assert np.array_equal(by_sample, factor)


# Going on


def test_partial_fit_learns_batch_by_batch(data):
    X, y = data
    classifier = small()
    for _ in range(6):
        for start in range(0, 150, 50):
            part = slice(start, start + 50)
            classifier.partial_fit(X[part], y[part], classes=[0, 1, 2])
    assert classifier.n_iter_ == 18
    assert classifier.score(X, y) > 0.9


def test_partial_fit_needs_its_classes_first(data):
    with pytest.raises(ValueError, match="classes must be passed in the first call"):
        small().partial_fit(*data)
    begun = small().partial_fit(*data, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y holds \[7\], which classes does not name"):
        begun.partial_fit(data[0][:1], [7])
    with pytest.raises(ValueError, match="the classes must be those of the fit before"):
        begun.partial_fit(*data, classes=[0, 1])
    with pytest.raises(ValueError, match="class_weight is 'balanced', which needs all samples"):
        small(class_weight="balanced").partial_fit(*data, classes=[0, 1, 2])


def test_a_warm_start_with_other_classes_is_refused(data):
    classifier = small(epochs=1, warm_start=True).fit(*data)
    with pytest.raises(ValueError, match="the classes must be those of the fit before"):
        classifier.fit(data[0], data[1] % 2)
