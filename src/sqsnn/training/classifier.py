"""The network as a scikit-learn classifier, for pipelines, grid searches and cross-validation."""

from inspect import Parameter, Signature
from typing import Any, no_type_check

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
from sqsnn.data.dataset import Samples
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.options import explain
from sqsnn.settings import flat
from sqsnn.settings.run import Recipe
from sqsnn.training import evaluate, trainer
from sqsnn.training.build import Purpose, build_network, seeded

# Samples are predicted in chunks of one size, the last one filled up: matrix products round
# differently for other shapes, and a prediction must not depend on how many samples came with it.
CHUNK = 128

# They need a validation part, a command line or a device, or have a parameter of their own;
# `score` is a method of every classifier.
_LEFT_OUT = {"seed", "threads", "final_learning_rate", "patience", "report_steps"}
_LEFT_OUT |= {"noise_from", "noise_strength", "score"}


def _defaults() -> dict[str, Any]:
    """The parameters of the classifier: settings by their flat names, and three of its own.

    A setting whose default depends on another one is None, and left to it.
    """
    found: dict[str, Any] = {}
    for leaf in flat.leaves(Recipe):
        default = None if leaf.default == {} else leaf.default
        if leaf.name not in _LEFT_OUT and "score" not in leaf.kinds:
            same = leaf.name not in found or found[leaf.name] == default
            found[leaf.name] = default if same else None
    return found | {"random_state": None, "shots": 10, "verbose": 0}


DEFAULTS = _defaults()


class SQSNNClassifier(ClassifierMixin, BaseEstimator):
    """A stochastic quantum spiking neural network that classifies feature vectors.

    Features of any range are welcome: each is scaled to [0, 1] by its smallest and largest value in
    the training data, and clipped there in new data. Training is that of `sqsnn train`, without a
    validation part: the network after the last epoch is kept.

    The network is stochastic, the classifier is not: `predict` draws from `random_state`, and gives
    every sample the same random numbers, so that the answer for a sample depends neither on the
    other samples nor on their order. Averaging more `shots` brings the answer closer to the mean.

    Args:
        hidden: Neurons of each hidden layer.
        **settings: Most settings of `sqsnn train`, by the names of their flags (`help` lists them):
            `steps`, `epochs`, `memory_qubits`, `circuit`, `rule`, ...; `rule` and `encoding` also
            take the objects, e.g. `rule=sqsnn.Local(score=sqsnn.Online())` (only so, since `score`
            is a method here). Besides, `random_state` (int, RandomState or None) is the source of
            all randomness, `shots` the number of runs that a prediction averages, and `verbose=1`
            prints one line per epoch.

    Attributes:
        classes_: The labels, sorted.
        n_features_in_: Number of features; `feature_names_in_` their names.
        recipe_: The settings of the fit, with the seed drawn from `random_state`.
        scaler_: The fitted scaling of the features.
        weights_: The trained parameters by name, as arrays.
        loss_curve_: The training loss of each epoch.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = SQSNNClassifier(hidden=(8,), steps=5, epochs=2, random_state=0)
        >>> classifier.fit(X, y).predict(X[:3]).shape
        (3,)
    """

    n_features_in_: int  # set by scikit-learn

    @no_type_check  # scikit-learn: whatever the parameters are, only `fit` complains
    def __init__(self, hidden=(64,), **settings) -> None:
        if unknown := settings.keys() - DEFAULTS.keys():
            known = ", ".join(DEFAULTS)
            raise TypeError(
                f"there is no parameter {', '.join(sorted(unknown))}; there are {known}"
            )
        for name, default in DEFAULTS.items():
            setattr(self, name, settings.get(name, default))
        self.hidden = hidden

    # scikit-learn, and help(), read the parameters from here.
    __init__.__signature__ = Signature(
        [
            Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
            Parameter("hidden", Parameter.POSITIONAL_OR_KEYWORD, default=(64,)),
            *(
                Parameter(name, Parameter.KEYWORD_ONLY, default=default)
                for name, default in DEFAULTS.items()
                if name != "hidden"
            ),
        ]
    )

    def fit(self, X: Any, y: Any) -> "SQSNNClassifier":
        """Train a network from scratch.

        Args:
            X: Features, `(n, features)`, finite.
            y: Labels of any kind, `(n,)`, of at least two classes.

        Returns:
            The classifier itself.

        Raises:
            ValueError: If the data or a parameter are not what they must be.
            TrainingError: If a loss or a gradient is not finite.
        """
        parameters = self.get_params(deep=False)
        check_positive_int("shots", parameters["shots"])
        X, y = self._validated(X, y=y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must hold at least two classes, but holds one class only: {self.classes_[0]!r}"
            )
        state = check_random_state(parameters["random_state"])
        self.recipe_ = recipe = _recipe(parameters, int(state.randint(np.iinfo(np.int32).max)))
        self.scaler_ = MinMaxScaler(clip=True).fit(X)
        samples = Samples(self._values(X), torch.from_numpy(labels.astype(np.int64)))
        progress = trainer.start(recipe, X.shape[1], len(self.classes_), len(X))
        self.loss_curve_ = []
        for epoch in trainer.epochs(progress, recipe, samples, None):
            self.loss_curve_.append(epoch.metrics["train_loss"])
            if parameters["verbose"]:
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
            X: Features, `(n, features)`.

        Returns:
            Probabilities, `(n, classes)`, in the order of `classes_`.

        Raises:
            NotFittedError: If the classifier has not been fitted.
            ValueError: If `X` is not what it must be.
        """
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        # The parameters of now may be those of another fit to come, but for where and how often.
        parameters = self.get_params(deep=False)
        device, shots = parameters["device"], parameters["shots"]
        training = self.recipe_.training.model_copy(update={"device": device})
        recipe = self.recipe_.model_copy(update={"training": training})
        scores = evaluate.score(
            self._network(recipe),
            recipe,
            self._values(X).to(device, getattr(torch, training.dtype)),
            generator=seeded(training.seed, Purpose.PREDICTION, device=device),
            batch_size=CHUNK,
            shots=shots,
            shared=True,
        )
        return torch.softmax(scores.probabilities.double() / shots, dim=1).cpu().numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Name the most probable class of each sample.

        Args:
            X: Features, `(n, features)`.

        Returns:
            Labels, `(n,)`, as they were given to `fit`.

        Raises:
            NotFittedError: If the classifier has not been fitted.
            ValueError: If `X` is not what it must be.
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


def _recipe(parameters: dict[str, Any], seed: int) -> Recipe:
    """The settings that parameters of the classifier stand for."""
    own = ("random_state", "shots", "verbose")
    chosen = {
        name: value
        for name, value in parameters.items()
        if name not in own and value != DEFAULTS[name]
    }
    rate = parameters["learning_rate"]
    table = flat.nest(Recipe, chosen | {"seed": seed}, {})
    table["training"]["final_learning_rate"] = min(1e-6, rate) if rate > 0 else 1e-6
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise ConfigError(explain(error)) from None
