"""The network as a scikit-learn classifier, for pipelines, grid searches and cross-validation."""

from typing import Any, Literal, no_type_check

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sqsnn.checks import check_positive_int
from sqsnn.data.catalog import Samples
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.training import evaluate, trainer
from sqsnn.training.build import Purpose, build_network, choose_device, seeded
from sqsnn.training.config import Recipe, explain

# Samples are predicted in chunks of one size, the last one filled up: matrix products round
# differently for other shapes, and a prediction must not depend on how many samples came with it.
CHUNK = 128


class SQSNNClassifier(ClassifierMixin, BaseEstimator):
    """A stochastic quantum spiking neural network that classifies feature vectors.

    Features of any range are welcome: each is scaled to [0, 1] by its smallest and largest value in
    the training data, and clipped there in new data. Training is that of `sqsnn train`, without a
    validation split: what is kept is the network after the last epoch.

    The network is stochastic, the classifier is not: `predict` draws from `random_state`, and gives
    every sample the same random numbers, so that what is said about a sample depends neither on the
    other samples nor on their order. Averaging more `shots` brings the answer closer to the mean.

    Args:
        hidden: neurons of each hidden layer.
        steps: time steps of a sample.
        memory_qubits: memory qubits of a neuron.
        channels: input-output qubits of a neuron.
        circuit: name of the neurons' circuit.
        circuit_options: options of the circuit, or None.
        saturate: turn no further than a full flip.
        epochs: passes over the training data.
        batch_size: samples in a batch.
        learning_rate: highest learning rate of the one-cycle schedule.
        encoding: "rate", "latency" or "direct".
        max_rate: spike probability a step at a value of 1 (rate encoding).
        rule: the learning rule, "backprop" or "local".
        rule_options: settings of the rule that are no arguments here, named as `sqsnn train` names
            them, or None, e.g. {"signal": "both", "samples": 8}.
        surrogate: "straight_through" or "sigmoid".
        encoding_slope: "exponential" or "exact".
        through_collapse: let gradients run from a neuron's own spike into its memory.
        loss_on: "probability" or "count".
        rate_penalty: weight of the penalty on hidden firing rates outside 0.05 to 0.5.
        random_state: int, RandomState or None: the source of the seed of all randomness.
        shots: independent runs of the network that a prediction averages.
        device: "cpu" or "cuda".
        dtype: "float32" or "float64".
        verbose: 1 prints a line an epoch, 0 nothing.

    Attributes:
        classes_: the labels, sorted.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.
        recipe_: the settings of the fit, with the seed drawn from `random_state`.
        scaler_: the fitted scaling of the features.
        weights_: the trained parameters by name, as arrays.
        loss_curve_: the training loss of each epoch.
    """

    n_features_in_: int  # set by scikit-learn

    @no_type_check  # scikit-learn: whatever the parameters are, only `fit` complains
    def __init__(
        self,
        hidden: tuple[int, ...] = (64,),
        *,
        steps: int = 10,
        memory_qubits: int = 1,
        channels: int = 1,
        circuit: str = "bidirectional",
        circuit_options: dict[str, Any] | None = None,
        saturate: bool = False,
        epochs: int = 30,
        batch_size: int = 64,
        learning_rate: float = 0.01,
        encoding: Literal["rate", "latency", "direct"] = "rate",
        max_rate: float = 1.0,
        rule: Literal["backprop", "local"] = "backprop",
        rule_options: dict[str, Any] | None = None,
        surrogate: Literal["straight_through", "sigmoid"] = "straight_through",
        encoding_slope: Literal["exponential", "exact"] = "exponential",
        through_collapse: bool = False,
        loss_on: Literal["probability", "count"] = "probability",
        rate_penalty: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        shots: int = 10,
        device: Literal["cpu", "cuda"] = "cpu",
        dtype: Literal["float32", "float64"] = "float32",
        verbose: int = 0,
    ) -> None:
        self.hidden = hidden
        self.steps = steps
        self.memory_qubits = memory_qubits
        self.channels = channels
        self.circuit = circuit
        self.circuit_options = circuit_options
        self.saturate = saturate
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.encoding = encoding
        self.max_rate = max_rate
        self.rule = rule
        self.rule_options = rule_options
        self.surrogate = surrogate
        self.encoding_slope = encoding_slope
        self.through_collapse = through_collapse
        self.loss_on = loss_on
        self.rate_penalty = rate_penalty
        self.random_state = random_state
        self.shots = shots
        self.device = device
        self.dtype = dtype
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "SQSNNClassifier":
        """Train a network from scratch.

        Args:
            X: features, shape (n, features), finite.
            y: labels of any kind, shape (n,), of at least two classes.

        Returns:
            the classifier itself.

        Raises:
            ValueError: if the data or a parameter are not what they must be.
            TrainingError: if a loss or a gradient is not finite.
        """
        check_positive_int("shots", self.shots)
        X, y = self._validated(X, y=y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must hold at least two classes, but holds one class only: {self.classes_[0]!r}"
            )
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self.recipe_ = recipe = self._recipe(seed)
        choose_device(recipe.training)
        self.scaler_ = MinMaxScaler(clip=True).fit(X)
        samples = Samples(self._values(X), torch.from_numpy(labels.astype(np.int64)))
        progress = trainer.start(recipe, X.shape[1], len(self.classes_), len(X))
        self.loss_curve_ = []
        for epoch in trainer.epochs(progress, recipe, samples, None):
            self.loss_curve_.append(epoch.metrics["train_loss"])
            if self.verbose:
                print("  ".join(f"{name} {figure:.5g}" for name, figure in epoch.metrics.items()))
        # Arrays and not the network: they copy, pickle and move between devices without a thought.
        self.weights_ = {
            name: tensor.cpu().numpy() for name, tensor in progress.network.state_dict().items()
        }
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Estimate the probability of each class.

        It is the softmax of the output neurons' firing probabilities, summed over steps and
        channels and averaged over shots: what the default training loss takes for the probability.

        Args:
            X: features, shape (n, features).

        Returns:
            probabilities, shape (n, classes), in the order of `classes_`.

        Raises:
            NotFittedError: if the classifier has not been fitted.
            ValueError: if `X` is not what it must be.
        """
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        # The parameters of now may be those of another fit to come, but for where and how often.
        recipe = _on_device(self.recipe_, self.device)
        training = recipe.training
        device = choose_device(training)
        scores = evaluate.score(
            self._network(recipe),
            recipe.encoding,
            self._values(X).to(device, getattr(torch, training.dtype)),
            generator=seeded(training.seed, Purpose.PREDICTION, device=device),
            batch_size=CHUNK,
            shots=self.shots,
            shared=True,
        )
        return torch.softmax(scores.probabilities.double() / self.shots, dim=1).cpu().numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Name the most probable class of each sample.

        Args:
            X: features, shape (n, features).

        Returns:
            labels, shape (n,), as they were given to `fit`.

        Raises:
            NotFittedError: if the classifier has not been fitted.
            ValueError: if `X` is not what it must be.
        """
        probabilities = self.predict_proba(X)  # which also checks that there are classes_
        return self.classes_[probabilities.argmax(axis=1)]

    def _validated(self, X: Any, **options: Any) -> Any:
        return validate_data(self, X, dtype=(np.float64, np.float32), **options)

    def _values(self, X: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(self.scaler_.transform(X))

    def _network(self, recipe: Recipe) -> SpikingNetwork:
        network = build_network(recipe, self.n_features_in_, len(self.classes_))
        network.load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in self.weights_.items()}
        )
        return network.eval()

    def _recipe(self, seed: int) -> Recipe:
        options = self.rule_options or {}
        if given := sorted(options.keys() & self.get_params().keys()):
            raise ConfigError(
                f"rule_options names {', '.join(given)}; give it as an argument of its own"
            )
        sections: dict[str, dict[str, Any]] = {
            "model": {
                "hidden": tuple(self.hidden),
                "memory_qubits": self.memory_qubits,
                "channels": self.channels,
                "circuit": self.circuit,
                "circuit_options": self.circuit_options or {},
                "saturate": self.saturate,
            },
            "encoding": {
                "encoding": self.encoding,
                "steps": self.steps,
                "max_rate": self.max_rate,
            },
            "rule": {
                **options,
                "rule": self.rule,
                "surrogate": self.surrogate,
                "encoding_slope": self.encoding_slope,
                "through_collapse": self.through_collapse,
                "loss_on": self.loss_on,
                "rate_penalty": self.rate_penalty,
            },
            "training": {
                "epochs": self.epochs,
                "batch_size": self.batch_size,
                "learning_rate": self.learning_rate,
                "final_learning_rate": min(1e-6, self.learning_rate),
                "seed": seed,
                "device": self.device,
                "dtype": self.dtype,
            },
        }
        try:
            return Recipe.model_validate(sections)
        except ValidationError as error:
            raise ConfigError(explain(error)) from error


def _on_device(recipe: Recipe, device: str) -> Recipe:
    training = recipe.training.model_copy(update={"device": device})
    return recipe.model_copy(update={"training": training})
