"""What classifier and regressor promise alike: going on, stopping early, threads, processes."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from tools import needs_kernel, populations_of

from sqsnn.errors import ConfigError
from sqsnn.quantum.circuit import Circuit
from sqsnn.training import trainer
from sqsnn.training.callback import Callback
from sqsnn.training.classifier import SQSNNClassifier
from sqsnn.training.regressor import SQSNNRegressor

SMALL = {"hidden": (16,), "memory_qubits": 0, "encoding": "current", "steps": 3, "epochs": 4}
SMALL |= {"batch_size": 50, "learning_rate": 0.05, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    """Features, and labels that serve as values, too."""
    return make_blobs(120, n_features=4, centers=3, random_state=1)


@pytest.fixture(params=[SQSNNClassifier, SQSNNRegressor], ids=lambda kind: kind.__name__)
def make(request):
    return lambda **options: request.param(**SMALL | options)


def answers(estimator, X):
    return getattr(estimator, "predict_proba", estimator.predict)(X)


# Going on


def test_a_warm_start_goes_on_where_the_fit_ended(make, data):
    estimator = make(warm_start=True).fit(*data)
    first = estimator.loss_curve_[-1]
    estimator.fit(*data)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 8
    assert estimator.loss_curve_[4] < 1.5 * first
    cold = make().fit(*data).fit(*data)
    assert cold.n_iter_ == 4
    assert np.array_equal(answers(cold, data[0]), answers(make().fit(*data), data[0]))


def test_a_warm_start_keeps_the_scaling_and_takes_new_parameters(make, data):
    X, y = data
    estimator = make(warm_start=True).fit(X, y)
    scaling, before = estimator.scaling_, estimator.weights_
    estimator.set_params(learning_rate=1e-30, epochs=1).fit(10 * X, y)
    assert estimator.scaling_ is scaling
    for name, weights in estimator.weights_.items():
        np.testing.assert_allclose(weights, before[name], atol=1e-20)


def test_a_warm_start_of_another_network_is_refused(make, data):
    estimator = make(warm_start=True, epochs=1).fit(*data)
    said = r"go on with the network .* whose pathways\.0\.synapses\.weight has \(1, 16, 4\)"
    with pytest.raises(ValueError, match=said):
        estimator.set_params(hidden=(8,)).fit(*data)


def first_call(estimator, X, y):
    classes = {"classes": [0, 1, 2]} if isinstance(estimator, SQSNNClassifier) else {}
    return estimator.partial_fit(X, y, **classes)


def test_partial_fit_is_one_epoch_at_a_constant_rate(make, data):
    class Rates(Callback):
        def __init__(self):
            self.found = []

        def begin(self, progress, recipe):
            self.schedule = progress.schedule

        def step(self, step):
            self.found.append(self.schedule.get_last_lr()[0])

    rates = Rates()
    estimator = make(batch_size=40)
    estimator.callbacks = [rates]
    first_call(estimator, *data)
    estimator.partial_fit(*data)
    assert rates.found == [0.05] * 6
    assert estimator.n_iter_ == 2
    assert estimator.loss_curve_[1] < estimator.loss_curve_[0]


def test_the_optimiser_remembers_its_moments_between_partial_fits(make, data):
    estimator = first_call(make(), *data)
    whole = pickle.loads(pickle.dumps(estimator)).partial_fit(*data)
    estimator._moments = None
    estimator.partial_fit(*data)
    assert not np.array_equal(answers(whole, data[0]), answers(estimator, data[0]))
    assert np.array_equal(
        answers(whole, data[0]), answers(first_call(make(), *data).partial_fit(*data), data[0])
    )


def test_random_feedback_stays_when_training_goes_on(make, data):
    estimator = first_call(make(rule="local", feedback="random", warm_start=True), *data)
    feedback = dict(estimator._remembered)
    assert feedback
    for go_on in (estimator.partial_fit, estimator.fit):
        go_on(*data)
        assert all(torch.equal(estimator._remembered[name], it) for name, it in feedback.items())
    estimator.set_params(feedback="symmetric").fit(*data)
    assert not estimator._remembered


def test_values_do_not_follow_series(make, data):
    X, y = data
    estimator = first_call(make(steps=None, encoding=None), X[:, :, None], y)
    with pytest.raises(ValueError, match=r"X must hold series, \(n, T, F\), as in fit"):
        estimator.partial_fit(X[:, :1], y)


def test_partial_fit_counts_weights_as_they_stand(make, data):
    half = first_call(make(learning_rate=0.001), *data)
    losses = [half.loss_curve_[-1]]
    for factor in (1.0, 0.5):
        other = first_call(make(learning_rate=0.001), *data)
        other.partial_fit(*data, sample_weight=np.full(len(data[1]), factor))
        losses.append(other.loss_curve_[-1])
    assert losses[2] == pytest.approx(losses[1] / 2, rel=1e-5)


def test_partial_fit_cannot_stop_early(make, data):
    with pytest.raises(ValueError, match="early_stopping must be False: partial_fit"):
        first_call(make(early_stopping=True), *data)


# Early stopping


def test_early_stopping_keeps_the_best_weights_of_held_out_samples(make, data):
    kept = []

    class Keep(Callback):
        def epoch(self, epoch, progress):
            kept.append({n: t.numpy().copy() for n, t in progress.network.state_dict().items()})

        def finish(self, progress):
            kept.append(progress.best.epoch)

    estimator = make(early_stopping=True, validation_fraction=0.25, epochs=60, patience=2)
    estimator.callbacks = [Keep()]
    trained = []
    place = trainer.place

    def spy(samples, training):
        trained.append(len(samples.targets))
        return place(samples, training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "place", spy)
        estimator.fit(*data)
    best = kept.pop()
    assert trained == [90, 30]
    assert estimator.n_iter_ == best + 2 < 60
    assert len(estimator.validation_scores_) == estimator.n_iter_
    for name, weights in estimator.weights_.items():
        assert np.array_equal(weights, kept[best - 1][name])


def test_a_wrong_share_is_named(make, data):
    with pytest.raises(ValueError, match=r"hold out a validation_fraction of 1\.5: "):
        make(early_stopping=True, validation_fraction=1.5).fit(*data)


def test_held_out_samples_are_stratified():
    X, y = make_blobs([90, 10], n_features=2, random_state=0)
    seen = []
    place = trainer.place
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "place", lambda *args: seen.append(args[0]) or place(*args))
        SQSNNClassifier(**SMALL | {"early_stopping": True, "epochs": 1}).fit(X, y)
    assert [int(part.targets.sum()) for part in seen] == [9, 1]


# Callbacks, threads, processes


def test_callbacks_follow_and_end_the_training(make, data):
    class Stop(Callback):
        def epoch(self, epoch, progress):
            return progress.epoch == 2

    assert make(callbacks=[Stop()]).fit(*data).n_iter_ == 2
    with pytest.raises(TypeError, match=r"callbacks must be a sequence of sqsnn\.Callback"):
        make(callbacks=Stop()).fit(*data)


def test_verbose_prints_one_line_per_epoch(make, data, capsys):
    make(epochs=2, verbose=1, early_stopping=True).fit(*data)
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["epoch", "1"],
        ["epoch", "2"],
    ]


def test_fit_and_predict_use_the_threads_and_put_them_back(make, data, monkeypatch):
    before, seen = torch.get_num_threads(), []
    place = trainer.place
    monkeypatch.setattr(
        trainer, "place", lambda *args: seen.append(torch.get_num_threads()) or place(*args)
    )
    estimator = make(threads=before + 2, epochs=1).fit(*data)
    assert torch.get_num_threads() == before
    estimator.predict(data[0])
    assert torch.get_num_threads() == before
    assert seen == [before + 2] * len(seen)
    assert len(seen) >= 2
    estimator.set_params(threads=before + 1).predict(data[0])
    assert seen[-1] == before + 1


def test_it_is_copied_by_pickling(make, data):
    estimator = make().fit(*data)
    copy = pickle.loads(pickle.dumps(estimator))
    assert np.array_equal(answers(copy, data[0]), answers(estimator, data[0]))
    assert clone(estimator).get_params() == estimator.get_params()


def test_circuits_of_the_user_travel_to_other_processes(make, data):
    circuit = Circuit.build(1, 1, [("CRX", (0, 1), 0.3), ("CRX", (1, 0), 0.4), ("H", (1,))])
    settings = {"circuit": circuit, "memory_qubits": 1, "epochs": 1}
    search = GridSearchCV(make(**settings), {"steps": [2, 3]}, cv=2, n_jobs=2).fit(*data)
    assert search.best_estimator_.circuit == circuit
    there = search.best_estimator_
    here = clone(there).fit(*data)
    assert np.array_equal(answers(there, data[0]), answers(here, data[0]))


def test_a_training_that_failed_leaves_nothing_fitted(make, data):
    class Fail(Callback):
        def step(self, step):
            raise KeyboardInterrupt

    estimator = make(callbacks=[Fail()])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(*data)
    with pytest.raises(NotFittedError):
        estimator.predict(data[0])


def test_a_setting_that_does_not_fit_is_named(make, data):
    with pytest.raises(ConfigError, match=r"^steps: .*but is 0"):
        make(steps=0).fit(*data)
    with pytest.raises(ValueError, match="shots must be an integer of at least 1, but is 0"):
        make(shots=0).fit(*data)
    with pytest.raises(TypeError, match=r"there is no parameter memory; there are .*memory_qubits"):
        make(memory=1)


@needs_kernel
def test_training_takes_the_compiled_kernel(make, data):
    class Look(Callback):
        def begin(self, progress, recipe):
            self.fused = all(it.runs_fused for it in populations_of(progress.network))

    look = Look()
    make(epochs=1, callbacks=[look]).fit(*data)
    assert look.fused
