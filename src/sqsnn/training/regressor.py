"""The network as a scikit-learn regressor, which also forecasts time series."""

from typing import Any, cast, no_type_check

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sqsnn.checks import check_positive_int
from sqsnn.data.dataset import Samples
from sqsnn.network import SpikingNetwork
from sqsnn.readout.traces import TraceReadout, readout_of
from sqsnn.settings.run import Recipe
from sqsnn.training import values
from sqsnn.training.arrays import (
    Array,
    Inputs,
    are_series,
    last_steps,
    read_targets,
    read_targets_of_steps,
    windows,
)
from sqsnn.training.estimator import CHUNK, SpikingEstimator, Weights, weighted
from sqsnn.training.parameters import OWN, keep, parameters, signature

# There is no output layer. `horizon` is here how far to forecast; as an option of the rule it can
# be set in the object.
_LEFT_OUT = {"loss_on", "output_memory_qubits", "horizon", "skip"}
_OWN = OWN | {"horizon": None, "window": None}

DEFAULTS = parameters(_OWN, _LEFT_OUT)

# Steps of the windows that one long series is cut into, unless the user says otherwise.
WINDOW = 50


class SQSNNRegressor(RegressorMixin, SpikingEstimator):
    """A stochastic quantum spiking neural network that predicts real values and forecasts series.

    Values are read linearly from exponential traces of the last hidden layer's spikes. Features are
    scaled, and predictions averaged over `shots`, as by `SQSNNClassifier`; targets are scaled by
    their mean and standard deviation.

    It predicts one of three things:

    - `y` of shape `(n,)` or `(n, K)`: values of each sample.
    - With `every_step`, `y` of shape `(n, T)` or `(n, T, K)`: values at every step of series.
    - With `horizon=h`, and no `y`: the next h steps of the series `X` themselves. Training cuts
      series into all their windows and predicts, at every step t, the steps t+1 to t+h.

    Args:
        hidden: Neurons of each hidden layer; the last one is read.
        horizon: Steps to forecast; None to predict `y`. (The option `horizon` of reward signals can
            be set in a `rule` object.)
        window: Steps of the windows that series are cut into for a forecast, which is then made
            from as many last steps; None for 50 where `X` is one series, and for the longest of
            several.
        value_loss: "squared", or "gaussian": the negative log-likelihood of a Gaussian whose
            variance is predicted, too.
        trace_decay: Decay of the traces per step.
        every_step: Whether `y` holds values of every step.
        **settings: All others are those of `SQSNNClassifier`, but `encoding`, which is "current"
            where it is None.

    Attributes:
        validation_scores_: R2 of the held-out samples, of each epoch. The others are those of
            `SQSNNClassifier`.

    Example:
        >>> wave = np.sin(0.3 * np.arange(100))
        >>> regressor = SQSNNRegressor(hidden=(8,), horizon=3, epochs=2, random_state=0)
        >>> regressor.fit(wave).predict(wave).shape
        (3,)
    """

    _OWN, _DEFAULTS = _OWN, DEFAULTS
    _ENCODING = "current"  # random spikes would blur the values that are to be told apart
    _VALIDATION_SCORE = "validation_r2"

    @no_type_check  # scikit-learn: no annotations, and `hidden` as it is
    def __init__(self, hidden=(64,), **settings) -> None:
        keep(self, DEFAULTS, {"hidden": hidden, **settings})

    __init__.__signature__ = signature(DEFAULTS)

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that there may be several targets, or none."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.target_tags.required = self.get_params(deep=False)["horizon"] is None
        return tags

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "SQSNNRegressor":
        """Train a network from scratch, or with `warm_start` from the weights that there are.

        Args:
            X: Features, `(n, F)`, series, `(n, T, F)`, or a list of series `(T_i, F)`; with
                `horizon` also one series, `(T, F)` or `(T,)`. Finite.
            y: Values of each sample, `(n,)` or `(n, K)`; with `every_step` of each step, `(n, T)`
                or `(n, T, K)`, as a list where `X` is one; with `horizon` none.
            sample_weight: Factor of the loss of each sample, `(n,)`, at least 0; their mean counts
                as 1. Samples of weight 0 are left out.

        Returns:
            The regressor itself.

        Raises:
            ValueError: If the data or a parameter are not what they must be.
            TrainingError: If a loss or a gradient is not finite.
        """
        inputs, targets, weights = self._examples(X, y, sample_weight, reset=True)
        # Windows of a series share steps: what is held out must be the last ones.
        shuffle = self._horizon is None
        self._fit(inputs, targets, weights, outputs=targets.shape[-1], shuffle=shuffle)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "SQSNNRegressor":
        """Train for one epoch on these samples, and go on from there in the next call.

        The learning rate is `learning_rate` at every step: there is no schedule, since nothing says
        how many calls will come. The first call decides the settings, the scaling of features and
        targets, and the length of series.

        Args:
            X: Features, as in `fit`.
            y: Values, as in `fit`.
            sample_weight: Factor of the loss of each sample, `(n,)`, as it stands.

        Returns:
            The regressor itself.
        """
        reset = not hasattr(self, "weights_")
        inputs, targets, weights = self._examples(X, y, sample_weight, reset=reset)
        self._partial_fit(inputs, targets, weights, outputs=targets.shape[-1])
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the values of each sample, of each step, or the steps that follow.

        Args:
            X: Features, as in `fit`.
            return_std: Whether to return the standard deviation of each value as well, which the
                Gaussian loss learns.

        Returns:
            Values of the shape that `y` had; a list where series differ in length. With `horizon`,
            `(n, h, F)`, without F where it is 1, and without n where `X` is one series.

        Raises:
            NotFittedError: If the regressor has not been fitted.
            ValueError: If `X` is not what it must be, or the loss is not Gaussian.
        """
        check_is_fitted(self, "weights_")
        inputs = self._read(X, reset=False)
        if self._window is not None:
            inputs = last_steps(inputs, self._window)
        mean, *deviation = (self._shaped(X, inputs, it) for it in self._found(inputs))
        if return_std and not deviation:
            raise ValueError("return_std needs a fit with value_loss 'gaussian'")
        return (mean, *deviation) if return_std else mean

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Compute R2, the explained share of the variance, averaged over targets.

        Args:
            X: Features, as in `fit`.
            y: True values; None with `horizon`, where forecasts from all windows of `X` are
                compared with what follows them.
            sample_weight: Weight of each sample, `(n,)`.
        """
        check_is_fitted(self, "weights_")
        if not (self._every_step or self._horizon):
            return float(r2_score(y, self.predict(X), sample_weight=sample_weight))
        inputs, truth, weights = self._examples(X, y, sample_weight, reset=False)
        found = self._found(inputs)[0]
        if self._horizon is not None:
            ends = np.arange(len(truth)), inputs.ends - 1
            return float(r2_score(truth[ends], found[ends], sample_weight=weights))
        truth, found = (np.concatenate(inputs.parts(it)) for it in (truth, found))
        weights = None if weights is None else np.repeat(weights, inputs.ends)
        return float(r2_score(truth, found, sample_weight=weights))

    def _chosen(self) -> dict[str, Any]:
        chosen = super()._chosen() | {"readout": "traces"}
        return chosen if self._horizon is None else chosen | {"every_step": True}

    def _prepare(self, network: SpikingNetwork, inputs: Inputs, targets: Array) -> None:
        rows = np.concatenate(inputs.parts(targets)) if targets.ndim == 3 else targets
        cast(TraceReadout, readout_of(network)).fit_scale(torch.from_numpy(rows))

    def _read(self, X: Any, *, reset: bool) -> Inputs:
        if self._horizon is not None and not are_series(X):
            X = np.asarray(X)
            X = X[None, :, None] if X.ndim == 1 else X[None]
        return super()._read(X, reset=reset)

    def _examples(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Inputs, Array, Weights]:
        """Check features, targets and weights; a forecast learns from windows."""
        if reset:
            given = self.get_params(deep=False)
            for name in ("horizon", "window"):
                if given[name] is not None:
                    check_positive_int(name, given[name])
            self._horizon, self._window = given["horizon"], given["window"]
            self._every_step = given["every_step"]
        inputs = self._read(X, reset=reset)
        if self._horizon is None:
            read = read_targets_of_steps if self._every_step else read_targets
            targets, flat = read(self, y, inputs)
            self._flat = flat if reset else self._flat
            return weighted(inputs, targets, sample_weight)
        if y is not None:
            raise ValueError(
                f"horizon is {self._horizon}, which forecasts X itself, but y is given too"
            )
        inputs, _, weights = weighted(inputs, np.arange(len(inputs.values)), sample_weight)
        size = self._window or (WINDOW if len(inputs.values) == 1 else None)
        inputs, targets, of = windows(inputs, size, self._horizon)
        if reset:
            self._window, self._flat = inputs.length, inputs.values.shape[2] == 1
        return inputs, targets, None if weights is None else weights[of]

    def _found(self, inputs: Inputs) -> list[Array]:
        """Predict values `(n, K)`, or of every step `(n, T, K)`, and their deviation, if any."""
        shots = self.get_params(deep=False)["shots"]

        def run(
            network: SpikingNetwork, recipe: Recipe, samples: Samples, generator: torch.Generator
        ) -> list[Array]:
            found = values.predict(
                network,
                recipe,
                samples,
                generator=generator,
                batch_size=CHUNK,
                shots=shots,
                shared=True,
            )
            answers = [it for it in (found.values, found.deviation) if it is not None]
            if answers[0].ndim == 3:
                # The last of the steps that a value of the series lasts has seen most of it.
                lasting = recipe.encoding.steps_per_value(samples.values.shape[1])
                answers = [answer[:, lasting - 1 :: lasting] for answer in answers]
            return [answer.double().cpu().numpy() for answer in answers]

        return self._predictions(inputs, run)

    def _shaped(self, X: Any, inputs: Inputs, found: Array) -> Array | list[Array]:
        """Give values the shape that `y` had, or that of a forecast."""
        if self._horizon is not None:
            last = found[np.arange(len(found)), inputs.ends - 1]
            last = last.reshape(len(last), self._horizon, -1)
            last = last[..., 0] if self._flat else last
            return last if are_series(X) else last[0]
        found = found[..., 0] if self._flat else found
        return inputs.parts(found) if self._every_step and inputs.lengths is not None else found
