"""The classifier keeps scikit-learn's promises, and its own about randomness."""

import io

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_classifiers_train, parametrize_with_checks
from tools import needs_kernel

from sqsnn.encoding import Current
from sqsnn.errors import ConfigError
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.signals import Feedback
from sqsnn.settings import flat
from sqsnn.settings.run import Recipe
from sqsnn.training import trainer
from sqsnn.training.classifier import CHUNK, SQSNNClassifier

# Of scikit-learn's checks, this one tests how well it learns; a short training suffices for others.
ACCURATE = "check_classifiers_train"


def small(**options) -> SQSNNClassifier:
    """A classifier that trains in a fraction of a second."""
    settings = {"hidden": (32,), "memory_qubits": 0, "encoding": "current", "steps": 3}
    settings |= {"epochs": 20, "batch_size": 50, "learning_rate": 0.05, "random_state": 0}
    return SQSNNClassifier(**settings | options)


@parametrize_with_checks([small(random_state=None)])
def test_scikit_learn_agrees(estimator, check):
    accurate = check.func.__name__ == ACCURATE
    settings = {"shots": 5} if accurate else {"epochs": 2, "shots": 2}
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
    objects = small(epochs=2, rule=rule, encoding=Current(3), steps=10).fit(*data)
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
    assert names - settings == {"random_state", "verbose"}
    missing = {"seed", "threads", "final_learning_rate", "patience", "report_steps"}
    missing |= {"noise_from", "noise_strength", "score"}
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


def test_features_are_scaled_by_the_training_data_and_clipped(data):
    X, y = data
    X = X * [1e6, 1, 1e-6, 1, 1] + [0, -50, 0, 0, 0]
    classifier = small().fit(X, y)
    assert classifier.score(X, y) > 0.9
    low, high = X.min(axis=0, keepdims=True), X.max(axis=0, keepdims=True)
    beyond = np.concatenate([low - 1000 * (high - low), high + 1000 * (high - low)])
    assert np.array_equal(
        classifier.predict_proba(beyond), classifier.predict_proba(np.concatenate([low, high]))
    )


def test_it_works_in_a_pipeline_and_a_grid_search(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), small())
    # Lists and NumPy's integers, as grids are written.
    grid = {"sqsnnclassifier__hidden": [[16]], "sqsnnclassifier__epochs": np.array([1, 20])}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_params_ == {"sqsnnclassifier__hidden": [16], "sqsnnclassifier__epochs": 20}
    assert search.score(X, y) > 0.8


def test_it_trains_in_the_loop_of_the_trainer(data, monkeypatch):
    calls = []
    epochs = trainer.epochs

    def spy(*args):
        calls.append(args)
        return epochs(*args)

    monkeypatch.setattr(trainer, "epochs", spy)
    classifier = small(epochs=2).fit(*data)
    assert len(calls) == 1
    assert len(classifier.loss_curve_) == 2


def test_verbose_prints_one_line_per_epoch(data, capsys):
    small(epochs=2, verbose=1).fit(*data)
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["epoch", "1"],
        ["epoch", "2"],
    ]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"hidden": (0,)}, r"^hidden\.0: .*greater than 0"),
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
    with pytest.raises(ValueError, match="at least two classes, but holds one class only"):
        small().fit(data[0], np.zeros(150))


def test_shots_below_one_are_refused(data):
    with pytest.raises(ValueError, match="shots must be an integer of at least 1, but is 0"):
        small(shots=0).fit(*data)


def test_the_global_generators_are_left_alone(data):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    small(epochs=1).fit(*data).predict(data[0])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
