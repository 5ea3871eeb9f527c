"""The network as a scikit-learn classifier, for pipelines, grid searches and cross-validation."""

from typing import Any, no_type_check

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from sqsnn.data.dataset import Samples
from sqsnn.network import SpikingNetwork
from sqsnn.settings.run import Recipe
from sqsnn.training import evaluate
from sqsnn.training.arrays import Array, Inputs, read_labels
from sqsnn.training.estimator import CHUNK, SpikingEstimator, Weights, weighted
from sqsnn.training.parameters import OWN, keep, parameters, signature

# The readout of real values has no use here.
_LEFT_OUT = {"trace_decay", "value_loss", "every_step"}
_OWN = OWN | {"class_weight": None}

DEFAULTS = parameters(_OWN, _LEFT_OUT)


class SQSNNClassifier(ClassifierMixin, SpikingEstimator):
    """A stochastic quantum spiking neural network that classifies feature vectors and time series.

    Features of any range are welcome: each is scaled to [0, 1] by its smallest and largest value in
    the training data; new data are clipped there if the encoding takes no others. A network trains
    as in `sqsnn train`, but without validation samples unless you ask for early stopping: the
    network after the last epoch is kept.

    The network is stochastic, the classifier is not: `predict` draws from `random_state`, and gives
    every sample the same random numbers, so that the answer for a sample depends neither on the
    other samples nor on their order. Averaging more `shots` brings the answer closer to the mean.

    Series may be of unequal lengths: give a list of arrays `(T_i, F)`. The steps behind the end of
    a series count for nothing. New series may be longer or shorter than those of the fit.

    Args:
        hidden: Neurons of each hidden layer.
        encoding: How values become spikes or currents: a name, or an object such as
            `sqsnn.Latency(20)`; None for "rate", and for "current" where `X` holds series.
        steps: Time steps per sample; None for 10, and for the T of series.
        **settings: Most settings of `sqsnn train`, by the names of their flags (`help` lists them):
            `epochs`, `memory_qubits`, `circuit`, `rule`, ...; `rule` also takes the objects, e.g.
            `rule=sqsnn.Local(score=sqsnn.Online())` (only so, since `score` is a method here).
        threads: CPU threads of `fit` and `predict`; 1 is fastest for small networks and where
            several processes share the machine (`n_jobs`).
        class_weight: Factor of the loss per class, a dictionary; "balanced" makes all classes count
            alike; None for 1.
        early_stopping: Whether to hold out a `validation_fraction` of the samples, to stop after
            `patience` epochs (None: never) without better weights on them, and to keep the best.
        warm_start: Whether `fit` goes on with the weights and the scaling of the fit before; its
            schedule of learning rates starts anew.
        callbacks: A sequence of `sqsnn.Callback`; `clone` copies them.
        random_state: Int, RandomState or None: the source of all randomness.
        shots: Number of runs that a prediction averages.
        verbose: 1 prints one line per epoch.

    Attributes:
        classes_: The labels, sorted.
        n_features_in_: Number of features; `feature_names_in_` their names.
        recipe_: The settings of the fit, with the seed drawn from `random_state`.
        scaling_: The fitted scaling of the features.
        weights_: The trained parameters by name, as arrays.
        loss_curve_: The training loss of each epoch.
        validation_scores_: The accuracy on the held-out samples, of each epoch.
        n_iter_: Number of epochs.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = SQSNNClassifier(hidden=(8,), steps=5, epochs=2, random_state=0)
        >>> classifier.fit(X, y).predict(X[:3]).shape
        (3,)
    """

    _OWN, _DEFAULTS = _OWN, DEFAULTS
    _ENCODING = "rate"
    _VALIDATION_SCORE = "validation_accuracy"

    @no_type_check  # scikit-learn: no annotations, and `hidden` as it is
    def __init__(self, hidden=(64,), **settings) -> None:
        keep(self, DEFAULTS, {"hidden": hidden, **settings})

    __init__.__signature__ = signature(DEFAULTS)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SQSNNClassifier":
        """Train a network from scratch, or with `warm_start` from the weights that there are.

        Args:
            X: Features, `(n, F)`, series, `(n, T, F)`, or a list of series `(T_i, F)`; finite.
            y: Labels of any kind, `(n,)`, of at least two classes.
            sample_weight: Factor of the loss of each sample, `(n,)`, at least 0; their mean counts
                as 1. Samples of weight 0 are left out.

        Returns:
            The classifier itself.

        Raises:
            ValueError: If the data or a parameter are not what they must be.
            TrainingError: If a loss or a gradient is not finite.
        """
        inputs, y, weights = self._labelled(X, y, sample_weight, reset=True)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                "y must hold at least two classes, of weights above 0, but holds one class only: "
                f"{classes[0]!r}"
            )
        if self.get_params(deep=False)["warm_start"] and hasattr(self, "weights_"):
            self._refuse_others(classes)
        self.classes_ = classes
        class_weight = self.get_params(deep=False)["class_weight"]
        if class_weight is not None:
            factor = compute_sample_weight(class_weight, y)
            weights = factor if weights is None else weights * factor
        labels = labels.astype(np.int64)
        self._fit(inputs, labels, weights, outputs=len(classes), stratify=labels)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> "SQSNNClassifier":
        """Train for one epoch on these samples, and go on from there in the next call.

        The learning rate is `learning_rate` at every step: there is no schedule, since nothing says
        how many calls will come. The first call decides the settings, the scaling of the features
        and the length of series.

        Args:
            X: Features, as in `fit`.
            y: Labels, `(n,)`, each one of the classes.
            classes: All labels that will ever come; must be given in the first call.
            sample_weight: Factor of the loss of each sample, `(n,)`, as it stands.

        Returns:
            The classifier itself.
        """
        if (weight := self.get_params(deep=False)["class_weight"]) == "balanced":
            raise ValueError(
                f"class_weight is {weight!r}, which needs all samples at once: give partial_fit a "
                "dictionary"
            )
        goes_on = hasattr(self, "weights_")
        if classes is None and not goes_on:
            raise ValueError("classes must be passed in the first call of partial_fit")
        inputs, y, weights = self._labelled(X, y, sample_weight, reset=not goes_on)
        if classes is not None:
            classes = np.unique(classes)
            if goes_on:
                self._refuse_others(classes)
            elif len(classes) < 2:
                raise ValueError(f"classes must name at least two classes, but is {classes}")
            self.classes_ = classes
        if unknown := sorted(set(y.tolist()) - set(self.classes_.tolist())):
            raise ValueError(f"y holds {unknown}, which classes does not name: {self.classes_}")
        if weight is not None:
            factor = compute_sample_weight(weight, y)
            weights = factor if weights is None else weights * factor
        labels = np.searchsorted(self.classes_, y).astype(np.int64)
        self._partial_fit(inputs, labels, weights, outputs=len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Estimate the probability of each class.

        It is the softmax of the output neurons' firing probabilities, summed over steps and
        channels and averaged over shots: what the default training loss takes for the probability.

        Args:
            X: Features, as in `fit`.

        Returns:
            Probabilities, `(n, classes)`, in the order of `classes_`.

        Raises:
            NotFittedError: If the classifier has not been fitted.
            ValueError: If `X` is not what it must be.
        """
        shots = self.get_params(deep=False)["shots"]

        def run(
            network: SpikingNetwork, recipe: Recipe, samples: Samples, generator: torch.Generator
        ) -> list[Array]:
            scores = evaluate.score(
                network,
                recipe,
                samples.values,
                lengths=samples.lengths,
                generator=generator,
                batch_size=CHUNK,
                shots=shots,
                shared=True,
            )
            logits = scores.probabilities.double() / shots
            return [torch.softmax(logits, dim=1).cpu().numpy()]

        check_is_fitted(self, "weights_")
        inputs = self._read(X, reset=False)
        (probabilities,) = self._predictions(inputs, run)
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Name the most probable class of each sample.

        Args:
            X: Features, as in `fit`.

        Returns:
            Labels, `(n,)`, as they were given to `fit`.

        Raises:
            NotFittedError: If the classifier has not been fitted.
            ValueError: If `X` is not what it must be.
        """
        probabilities = self.predict_proba(X)  # which also checks that there are classes_
        return self.classes_[probabilities.argmax(axis=1)]

    def _labelled(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Inputs, Array, Weights]:
        """Check features, labels and weights."""
        inputs = self._read(X, reset=reset)
        return weighted(inputs, read_labels(self, y, inputs), sample_weight)

    def _refuse_others(self, classes: Array) -> None:
        """Refuse other classes than those of the network."""
        if not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"the classes must be those of the fit before, {self.classes_}, but are {classes}"
            )
