"""A fixed random layer of spiking neurons as a scikit-learn transformer: reservoir computing."""

from inspect import Parameter, Signature
from typing import Any, Literal, no_type_check

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sqsnn.checks import check_choice, check_positive_int
from sqsnn.errors import ConfigError
from sqsnn.options import explain
from sqsnn.settings import flat
from sqsnn.settings.neurons import Neurons, NeuronSettings, SQSNeuronsSettings
from sqsnn.settings.section import Section
from sqsnn.training.build import Purpose, seeded
from sqsnn.training.machine import threads

Features = Literal["trace", "count", "spikes"]

# Samples run in chunks of this many neuron-steps, the last one filled up: a sample's features then
# do not depend on how many samples came with it.
CHUNK = 2**21
_MOST_SAMPLES = 128

# What concerns training alone; the output layer that there is not has no memory.
_LEFT_OUT = {"output_memory_qubits", "memory_gates", "surrogate", "encoding_slope", "learn"}
_LEFT_OUT |= {"through_collapse", "through_reset"}


class _Settings(Section):
    """The neurons of a reservoir."""

    neurons: Neurons = SQSNeuronsSettings()  # pyright: ignore[reportCallIssue]


def _neuron_options() -> dict[str, Any]:
    """The options of all neurons by their flat names; None is left to the neurons."""
    found: dict[str, Any] = {}
    for leaf in flat.leaves(_Settings):
        if leaf.name not in _LEFT_OUT:
            default = leaf.default if leaf.name == "neurons" else None
            found.setdefault(leaf.name, default)
    return found


_OWN: dict[str, Any] = {
    "features": "trace",
    "per_step": False,
    "steps": 20,
    "shots": 10,
    "trace_decay": 0.8,
    "input_scale": 1.0,
    "spread": 0.3,
    "threads": 1,
    "random_state": None,
}
_NEURONS = _neuron_options()


class SpikingReservoir(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A fixed random layer of neurons, whose spikes are features for a linear model.

    Nothing in it is trained. `fit` draws the neurons and scales each input to [0, 1] by its
    smallest and largest value (new values are clipped there); `transform` runs them:

        z_t = input_scale (W x_t + b),    W and b uniform in [-1, 1]
        r_t = decay r_{t-1} + s_t         s_t the spikes, averaged over the shots

    Every sample gets the same random numbers, so that its features depend neither on the other
    samples nor on their order.

    Args:
        size: Neurons.
        features: "trace" gives r with the decay `trace_decay`; "count" the number of spikes so far
            (decay 1); "spikes" those of the step alone (decay 0), so that all memory is that of the
            neurons.
        per_step: Give the features of every step, `(n, T, size)`, and not of the last one alone; of
            one long series, `fit_transform(series[None])[0]` is `(T, size)`.
        steps: How long the values of a sample `(n, F)` are held.
        shots: Runs that are averaged; neurons that draw nothing run once.
        trace_decay: The decay of the trace per step, in [0, 1].
        input_scale: Size of the currents.
        spread: Standard deviation by which the parameters of the neurons (angles in radians,
            gains, decays, thresholds, ...) differ from their first values within the layer.
        threads: Threads of torch.
        random_state: Int, RandomState or None: the source of all randomness.
        **neurons: The neurons and their options by the names of the flags of `sqsnn train`:
            `neurons` ("sqs", "lif", "stochastic_lif", "qlif" or "published_sqs"), `memory_qubits`,
            `circuit`, `drive`, `beta`, ...; None leaves an option to the neurons.

    Attributes:
        n_features_in_: Number of inputs F; `feature_names_in_` their names.
        population_: The neurons, with the parameters that were drawn.
        weights_: W and b, `(F + 1, size * channels)`.
        scaler_: The fitted scaling of the inputs.

    Example:
        >>> from sklearn.linear_model import Ridge
        >>> from sklearn.pipeline import make_pipeline
        >>> waves = np.sin(np.arange(40) * np.array([[0.2], [0.3], [0.4]]))[..., None]  # (n, T, 1)
        >>> model = make_pipeline(SpikingReservoir(30, random_state=0), Ridge())
        >>> model.fit(waves, [0.2, 0.3, 0.4]).predict(waves).shape
        (3,)

    Source: Jaeger, The echo state approach, GMD report 148 (2001); Maass, Natschläger and Markram,
    Neural Computation 14 (2002).
    """

    n_features_in_: int  # set by scikit-learn

    @no_type_check  # scikit-learn: whatever the parameters are, only `fit` complains
    def __init__(self, size=100, **options) -> None:
        known = _OWN | _NEURONS
        if unknown := options.keys() - known.keys():
            raise TypeError(
                f"there is no parameter {', '.join(sorted(unknown))}; there are {', '.join(known)}"
            )
        self.size = size
        for name, default in known.items():
            setattr(self, name, options.get(name, default))

    # scikit-learn, and help(), read the parameters from here.
    __init__.__signature__ = Signature(
        [
            Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
            Parameter("size", Parameter.POSITIONAL_OR_KEYWORD, default=100),
            *(
                Parameter(name, Parameter.KEYWORD_ONLY, default=default)
                for name, default in (_OWN | _NEURONS).items()
            ),
        ]
    )

    def fit(self, X: Any, y: Any = None) -> "SpikingReservoir":
        """Draw the neurons and their weights, and fit the scaling of the inputs.

        Args:
            X: Values, `(n, F)`, or series, `(n, T, F)`; finite.
            y: Unused.

        Returns:
            The reservoir itself.

        Raises:
            ValueError: If the values or a parameter are not what they must be.
        """
        parameters = self._checked()
        rows = self._rows(X, reset=True)
        self.scaler_ = MinMaxScaler(clip=True).fit(rows.reshape(-1, rows.shape[-1]))
        state = check_random_state(parameters["random_state"])
        self.seed_ = int(state.randint(np.iinfo(np.int32).max))
        generator = seeded(self.seed_, Purpose.WEIGHTS)
        settings = _neurons({name: parameters[name] for name in _NEURONS})
        # The first of two layers: the output layer of a network has a memory of its own.
        factory = settings.factories(2)[0]
        self.population_ = factory(
            parameters["size"], generator=generator, dtype=torch.float32, device="cpu"
        )
        columns = parameters["size"] * self.population_.channels
        drawn = torch.rand(
            (self.n_features_in_ + 1, columns), generator=generator, dtype=torch.float64
        )
        self.weights_ = parameters["input_scale"] * (2 * drawn - 1).numpy()
        with torch.no_grad():
            for parameter in self.population_.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise, alpha=parameters["spread"])
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Run the neurons on every sample.

        Args:
            X: Values, `(n, F)`, or series, `(n, T, F)`.

        Returns:
            Features, `(n, size * channels)`; with `per_step`, `(n, T, size * channels)`.

        Raises:
            NotFittedError: If the reservoir has not been fitted.
            ValueError: If the values are not what they must be.
        """
        check_is_fitted(self)
        parameters = self._checked()
        rows = self._rows(X, reset=False)
        scaled = self.scaler_.transform(rows.reshape(-1, rows.shape[-1])).reshape(rows.shape)
        if scaled.ndim == 2:
            scaled = np.repeat(scaled[:, None], parameters["steps"], axis=1)
        # NumPy multiplies the matrix of each sample by itself: no sample sees another's shape.
        weights, bias = self.weights_[:-1], self.weights_[-1]
        steps = scaled.shape[1]
        shots = parameters["shots"] if self.population_.is_stochastic else 1
        chunk = max(1, min(_MOST_SAMPLES, CHUNK // (steps * shots * len(bias))))
        generator = seeded(self.seed_, Purpose.PREDICTION)
        uniforms = self.population_.draw_uniforms(steps, shots, generator)
        decays = {"trace": parameters["trace_decay"], "count": 1.0, "spikes": 0.0}
        decay = decays[parameters["features"]]
        found = []
        with threads(parameters["threads"]), torch.no_grad():
            for start in range(0, len(scaled), chunk):
                part = scaled[start : start + chunk]
                currents = np.zeros((chunk, steps, len(bias)), np.float32)
                currents[: len(part)] = part @ weights + bias
                rates = self._run(torch.from_numpy(currents), uniforms)[: len(part)]
                found.append(_traces(rates.double(), decay, every=parameters["per_step"]))
        return torch.cat(found).numpy()

    def _run(self, currents: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
        """Run neurons on currents `(n, T, H N)`; spikes of every step, averaged over shots."""
        neurons, shots = self.population_, uniforms.shape[1]
        samples, steps = currents.shape[:2]
        repeated = currents.transpose(0, 1)[:, :, None].expand(-1, -1, shots, -1)
        shared = uniforms[:, None].expand(-1, samples, *uniforms.shape[1:])
        record, _ = neurons(
            repeated.reshape(steps, samples * shots, neurons.size, neurons.channels),
            uniforms=shared.reshape(steps, samples * shots, *uniforms.shape[2:]),
        )
        return record.spikes.reshape(steps, samples, shots, -1).mean(2).transpose(0, 1)

    @property
    def _n_features_out(self) -> int:
        return self.weights_.shape[1]

    def _checked(self) -> dict[str, Any]:
        """The parameters, once those that the neurons do not check themselves are checked."""
        parameters = self.get_params(deep=False)
        for name in ("size", "steps", "shots", "threads"):
            check_positive_int(name, parameters[name])
        check_choice("features", parameters["features"], Features)
        for name, high in (("trace_decay", 1.0), ("input_scale", 1e6), ("spread", 1e6)):
            if not 0 <= parameters[name] <= high:
                raise ValueError(f"{name} is {parameters[name]}; it must be in [0, {high:g}]")
        return parameters

    def _rows(self, X: Any, *, reset: bool) -> Any:
        """Check values `(n, F)`, or the values of all steps of series `(n, T, F)`."""
        array = np.asarray(X)
        if array.ndim != 3:
            return validate_data(self, X, dtype=np.float64, reset=reset)
        if 0 in array.shape:
            raise ValueError(f"X has shape {array.shape}; it needs samples, steps and features")
        rows: Any = array.reshape(-1, array.shape[2])
        rows = validate_data(self, rows, dtype=np.float64, reset=reset)
        return rows.reshape(array.shape)


def _neurons(given: dict[str, Any]) -> NeuronSettings:
    """The settings of the neurons that flat options stand for."""
    chosen = {name: value for name, value in given.items() if value is not None}
    table = flat.nest(_Settings, chosen, {})
    try:
        return _Settings.model_validate(table).neurons
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def _traces(rates: torch.Tensor, decay: float, *, every: bool) -> torch.Tensor:
    """Sum spikes `(n, T, H)` with a decay per step; of every step, or of the last one."""
    trace, kept = torch.zeros_like(rates[:, 0]), []
    for rate in rates.unbind(1):
        trace = decay * trace + rate
        if every:
            kept.append(trace)
    return torch.stack(kept, dim=1) if every else trace
