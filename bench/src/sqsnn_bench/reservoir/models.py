"""The reservoirs of the comparison: layers of neurons, and an echo-state network."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from sqsnn.training.reservoir import SpikingReservoir

SPECTRAL_RADIUS = 0.9

States = Float64[np.ndarray, "T H"]


class Trial(NamedTuple):
    """What a search chooses: the size of the inputs, and the spread of parameters in the layer."""

    input_scale: float
    spread: float


class Layer(NamedTuple):
    """How many features a reservoir gives, and over how many runs spikes are averaged."""

    features: int
    runs: int


Model = Callable[[Float64[np.ndarray, " T"], Layer, Trial, int], States]

SCALES, SPREADS = (0.5, 1.0, 2.0, 4.0), (0.1, 0.3, 0.6)
# A network that remembers by its recurrence wants inputs that leave its units nearly linear.
ECHO_SCALES = (0.05, 0.2, 0.5, 1.0)


def spiking(**neurons: Any) -> Model:
    """Make the reservoir of a layer of neurons; a state is the spikes of one step, averaged."""

    def states(inputs: Float64[np.ndarray, " T"], layer: Layer, trial: Trial, seed: int) -> States:
        reservoir = SpikingReservoir(
            layer.features,
            features="spikes",
            per_step=True,
            shots=layer.runs,
            input_scale=trial.input_scale,
            spread=trial.spread,
            random_state=seed,
            **neurons,
        )
        return reservoir.fit_transform(inputs[None, :, None])[0]

    return states


def echo_state(inputs: Float64[np.ndarray, " T"], layer: Layer, trial: Trial, seed: int) -> States:
    """Run an echo-state network of leaky tanh units, whose states are exact.

        x(t) = (1 - a) x(t-1) + a tanh(W x(t-1) + scale (w u(t) + b))

    with W normal of spectral radius 0.9, w and b uniform in [-1, 1], and the leak a of a unit
    1 - |spread N(0, 1)|, at least 0.1.
    """
    generator = np.random.default_rng(seed)
    size = layer.features
    recurrent = generator.standard_normal((size, size))
    recurrent *= SPECTRAL_RADIUS / np.abs(np.linalg.eigvals(recurrent)).max()
    weights, bias = trial.input_scale * generator.uniform(-1, 1, (2, size))
    leak = np.maximum(1 - np.abs(trial.spread * generator.standard_normal(size)), 0.1)
    low, high = inputs.min(), inputs.max()
    state, states = np.zeros(size), []
    for value in (inputs - low) / (high - low):
        inside = np.tanh(recurrent @ state + value * weights + bias)
        state = (1 - leak) * state + leak * inside
        states.append(state)
    return np.stack(states)


_STRONG = {"coupling": 0.6 * math.pi}  # where memory qubits are the only memory
_LEAKY, _PLAIN = {"drive": "leaky"}, {"drive": "rectified"}

MODELS: Mapping[str, Model] = {
    "SQS crx": spiking(circuit="crx", **_PLAIN),
    "SQS hardware_efficient": spiking(circuit="hardware_efficient", **_PLAIN),
    "SQS integrate_and_fire": spiking(circuit="integrate_and_fire", **_PLAIN),
    "SQS bidirectional": spiking(circuit_options=_STRONG, **_PLAIN),
    "SQS bidirectional, M=2": spiking(circuit_options=_STRONG, memory_qubits=2, **_PLAIN),
    "SQS crx, leaky drive": spiking(circuit="crx", **_LEAKY),
    "SQS hardware_efficient, leaky drive": spiking(circuit="hardware_efficient", **_LEAKY),
    "SQS integrate_and_fire, leaky drive": spiking(circuit="integrate_and_fire", **_LEAKY),
    "SQS bidirectional, leaky drive": spiking(**_LEAKY),
    "SQS bidirectional, M=2, leaky drive": spiking(memory_qubits=2, **_LEAKY),
    "SQS without memory, M=0, leaky drive": spiking(memory_qubits=0, **_LEAKY),
    "StochasticLIF": spiking(neurons="stochastic_lif"),
    "LIF": spiking(neurons="lif"),
    "QLIF": spiking(neurons="qlif"),
    "Published formula": spiking(neurons="published_sqs"),
    "Echo-state network": echo_state,
}


def trials(model: Model) -> tuple[Trial, ...]:
    """The trials of a search, as many for each model."""
    scales = ECHO_SCALES if model is echo_state else SCALES
    return tuple(Trial(scale, spread) for scale in scales for spread in SPREADS)
