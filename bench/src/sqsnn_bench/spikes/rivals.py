"""The models that are compared, each with its memory: classical ones, and ours."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8

from sqsnn.neurons.drive import Drive, Leaky, Rectified
from sqsnn.spike_trains.model import SpikeTrainModel
from sqsnn_bench.spikes import hmm
from sqsnn_bench.spikes.glm import fit_history, fit_rate
from sqsnn_bench.spikes.hidden_markov import fit_state_emitting
from sqsnn_bench.spikes.leaky import fit_lif
from sqsnn_bench.spikes.options import WARM_UP
from sqsnn_bench.spikes.scoring import Data, Fit, fit_constant

EDGE_STARTS = 16
# With 2 models in the second stage, one of three fits of 4 states ended at a poor maximum.
EDGE_STAGES = (
    hmm.Stage(None, 20_000, 100, 60),
    hmm.Stage(5, math.inf, 250, 120),
    hmm.Stage(1, math.inf, 250, 300),
)
# By memory qubits: what each start costs grows with their number.
QUANTUM_STARTS = {1: 12, 2: 12, 3: 3}
QUANTUM_ITERATIONS = {1: 300, 2: 300, 3: 100}


class Model(NamedTuple):
    """A model that is compared.

    Attributes:
        fit: Fits it to training trains.
        levels: States, or levels of the quantum memory, 2**M; None where memory is no such number.
        is_quantum: Whether the memory is quantum.
        with_stimulus: Whether it can use a stimulus.
        without_stimulus: Whether it is worth a fit where there is none.
    """

    fit: Fit
    levels: int | None = None
    is_quantum: bool = False
    with_stimulus: bool = True
    without_stimulus: bool = True


@dataclass(frozen=True, eq=False)
class EdgeEmitting:
    """A hidden Markov model that emits along its transitions.

    Attributes:
        model: The fitted model.
        states: Its hidden states, d.
    """

    model: hmm.EdgeHMM
    states: int

    @property
    def parameters(self) -> int:
        """Free parameters: of the first state, and of the next state and outcome from each."""
        return (self.states - 1) + self.states * (2 * self.states - 1)

    @property
    def memory(self) -> str:
        """What of the past it keeps."""
        return f"{self.states} states"

    def log_likelihood(self, data: Data) -> Float64[np.ndarray, " n"]:
        """Log-likelihood of each whole train, in nats."""
        return self.model.log_likelihood(_flat(data))


def fit_edge_emitting(states: int, data: Data, generator: np.random.Generator) -> EdgeEmitting:
    """Fit a hidden Markov model that emits along transitions, by expectation maximisation."""
    fitted = hmm.fit(_flat(data), states, EDGE_STARTS, generator, stages=EDGE_STAGES)
    return EdgeEmitting(fitted, states)


def _flat(data: Data) -> list[UInt8[np.ndarray, " T"]]:
    return [train[:, 0] for train in data.trains]


@dataclass(frozen=True, eq=False)
class Quantum:
    """A quantum neuron.

    Attributes:
        model: The fitted model, without a warm-up of its own.
    """

    model: SpikeTrainModel

    @property
    def parameters(self) -> int:
        """Free parameters."""
        return self.model.parameters_

    @property
    def memory(self) -> str:
        """What of the past it keeps."""
        qubits = self.model.memory_qubits
        membrane = " and a real number" * isinstance(self.model.drive, Leaky)
        return f"{qubits} qubit{'s' * (qubits > 1)}{membrane}"

    def log_likelihood(self, data: Data) -> Float64[np.ndarray, " n"]:
        """Log-likelihood of each whole train, in nats."""
        return self.model.log_likelihood(data.trains, data.stimulus or None)


def fit_quantum(
    circuit: str, memory_qubits: int, drive: Drive, data: Data, generator: np.random.Generator
) -> Quantum:
    """Fit a quantum neuron by maximum likelihood.

    Args:
        circuit: The name of its circuit.
        memory_qubits: Its memory qubits, all its memory unless the drive is leaky.
        drive: How the stimulus becomes an angle.
        data: What it is fitted to.
        generator: Draws the starts.
    """
    model = SpikeTrainModel(
        memory_qubits,
        circuit=circuit,
        drive=drive,
        warm_up=WARM_UP,
        starts=QUANTUM_STARTS[memory_qubits],
        max_iterations=QUANTUM_ITERATIONS[memory_qubits],
        random_state=int(generator.integers(2**31)),
    )
    model.fit(data.trains, data.stimulus or None)
    # Whole trains from here on: the score leaves out the warm-up.
    return Quantum(model.set_params(warm_up=0))


def _edges(states: int) -> Model:
    return Model(partial(fit_edge_emitting, states), states, with_stimulus=False)


def _states(states: int) -> Model:
    return Model(partial(fit_state_emitting, states), states, with_stimulus=False)


def _quantum(circuit: str, memory_qubits: int) -> Model:
    fit = partial(fit_quantum, circuit, memory_qubits, Rectified())
    return Model(fit, 2**memory_qubits, is_quantum=True)


MODELS: Mapping[str, Model] = {
    "Poisson, constant rate": Model(fit_constant),
    "Poisson, rate by the stimulus": Model(fit_rate, without_stimulus=False),
    "GLM with history": Model(fit_history),
    "StochasticLIF": Model(fit_lif),
    **{f"HMM on edges, {states} states": _edges(states) for states in (2, 3, 4, 8, 16)},
    **{f"HMM on states, {states} states": _states(states) for states in (2, 3, 4, 8)},
    **{f"SQS clock, M={qubits}": _quantum("clock", qubits) for qubits in (1, 2, 3)},
    "SQS integrate_and_fire, M=1": _quantum("integrate_and_fire", 1),
    "SQS universal, M=1": _quantum("universal", 1),
    "SQS clock, M=1, leaky drive": Model(partial(fit_quantum, "clock", 1, Leaky())),
}
