"""Estimators take circuits of one's own, and carry them into other processes."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from sqsnn.errors import ConfigError
from sqsnn.quantum.circuits import Circuit, Normal
from sqsnn.training.classifier import SQSNNClassifier

OWN = Circuit.build(1, 1, [("CRX", (0, 1), Normal(1.0)), ("RY", (1,), 0.5), ("CRX", (1, 0), 0)])
SMALL = {"hidden": (4,), "steps": 3, "epochs": 2, "shots": 1, "random_state": 0}


def made(channels: int, memory_qubits: int) -> Circuit:
    """A circuit whose outputs need no memory."""
    places = [("RX", (n,), Normal(1.0)) for n in range(channels + memory_qubits)]
    return Circuit.build(channels, memory_qubits, places)


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Two classes that a network can tell apart."""
    y = np.arange(24) % 2
    return y[:, None] + np.random.default_rng(0).normal(0, 0.1, (24, 3)), y


@pytest.mark.parametrize("circuit", [OWN, made], ids=["circuit", "function"])
def test_a_classifier_with_its_own_circuit_is_cloned_and_pickled(circuit):
    X, y = samples()
    classifier = SQSNNClassifier(circuit=circuit, **SMALL)
    assert clone(classifier).get_params()["circuit"] == circuit
    fitted = classifier.fit(X, y)
    assert fitted.recipe_.neurons.circuit == circuit
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_cross_validation_in_two_processes_scores_as_in_one():
    X, y = samples()
    classifier = SQSNNClassifier(circuit=OWN, **SMALL)
    two = cross_val_score(classifier, X, y, cv=2, n_jobs=2, error_score="raise")
    np.testing.assert_array_equal(two, cross_val_score(classifier, X, y, cv=2))


def test_a_circuit_for_other_qubits_is_refused_by_fit():
    with pytest.raises(ConfigError, match="memory_qubits=1, but the neurons have 1 and 2"):
        SQSNNClassifier(circuit=OWN, memory_qubits=2, **SMALL).fit(*samples())
