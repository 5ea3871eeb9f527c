"""How far back untrained neurons remember their input: the memory capacity.

A layer of different neurons gets random inputs; a linear readout of their spikes at one step, and
of no other, is fitted to the input k steps ago. The capacity is the sum over k of the squared
correlation between readout and input (Jaeger, GMD report 152, 2001), on steps that were not fitted.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from sqsnn.data.series import memory_inputs
from sqsnn.errors import ConfigError
from sqsnn.options import Count, Seed, Whole, options
from sqsnn.quantum import circuits

WASHOUT, FITTED, TESTED = 100, 1000, 1000  # steps

# Angles that suit delays where the memory qubits are the only memory.
_STRONG = {"bidirectional": {"coupling": 0.6 * math.pi}}

Watch = Callable[[str, int, int], None]  # name, number, of how many


@options
class MemoryOptions:
    """The layer whose memory is measured."""

    size: Count = 60
    """Neurons."""
    shots: Count = 100
    """Runs over which spikes are averaged."""
    memory_qubits: Whole = 1
    """Memory qubits of the circuits."""
    input_scale: Annotated[float, Field(ge=0)] = 1.0
    """Size of the random input weights and constant currents."""
    spread: Annotated[float, Field(ge=0)] = 0.3
    """Standard deviation of the neurons' parameters within the layer."""
    delays: Count = 10
    """Longest delay in steps."""
    seed: Seed = 0
    """Seed of everything random."""


class Capacity(NamedTuple):
    """The memory of one kind of neurons.

    Attributes:
        name: The neurons.
        by_delay: Squared correlation of the readout with the input 1, 2, ... steps ago.
    """

    name: str
    by_delay: tuple[float, ...]

    @property
    def total(self) -> float:
        """The memory capacity."""
        return sum(self.by_delay)


def rows(circuit: str | None, memory_qubits: int) -> dict[str, dict[str, Any]]:
    """Name the neurons of the table, with the options that make them.

    Args:
        circuit: A circuit, with and without a drive; None for all, and the classical neurons.
        memory_qubits: Memory qubits of the circuits.

    Raises:
        ConfigError: If there is no such circuit.
    """
    if circuit is not None and circuit not in circuits.names():
        known = ", ".join(circuits.names())
        raise ConfigError(f"circuit is {circuit!r}; it may be one of {known}")
    found: dict[str, dict[str, Any]] = {}
    for name in circuits.names() if circuit is None else (circuit,):
        made = {"circuit": name, "memory_qubits": memory_qubits}
        strong = {"circuit_options": _STRONG[name]} if name in _STRONG else {}
        found[f"{name}, no drive"] = made | strong | {"drive": "rectified"}
        found[f"{name}, leaky drive"] = made | {"drive": "leaky"}
    if circuit is None:
        found["no memory qubit, leaky drive"] = {"circuit": "crx", "memory_qubits": 0}
        found["StochasticLIF"] = {"neurons": "stochastic_lif"}
        found["LIF"] = {"neurons": "lif"}
        found["QLIF"] = {"neurons": "qlif"}
        found["published formula"] = {"neurons": "published_sqs"}
    return found


def measure(
    circuit: str | None, options: MemoryOptions, watch: Watch | None = None
) -> tuple[Capacity, ...]:
    """Measure the memory capacity of neurons.

    Args:
        circuit: A circuit, with and without a drive; None for all, and the classical neurons.
        options: The layer.
        watch: Called before each kind of neurons.

    Raises:
        ConfigError: If there is no such circuit, or it cannot have these memory qubits.
    """
    made = rows(circuit, options.memory_qubits)
    found = []
    for number, (name, neurons) in enumerate(made.items(), start=1):
        if watch is not None:
            watch(name, number, len(made))
        found.append(Capacity(name, tuple(capacities(neurons, options).tolist())))
    return tuple(found)


def capacities(
    neurons: Mapping[str, Any], options: MemoryOptions
) -> Float64[np.ndarray, " delays"]:
    """Measure what one layer knows of the input 1, 2, ... steps ago; see `SpikingReservoir`."""
    # Here and not above: the help of the command does not wait for scikit-learn.
    from sklearn.linear_model import RidgeCV

    from sqsnn.training.reservoir import SpikingReservoir

    inputs, targets = memory_inputs(WASHOUT + FITTED + TESTED, options.delays, options.seed)
    reservoir = SpikingReservoir(
        options.size,
        features="spikes",
        per_step=True,
        shots=options.shots,
        input_scale=options.input_scale,
        spread=options.spread,
        random_state=options.seed,
        **neurons,
    )
    states = reservoir.fit_transform(inputs[None, :, None])[0]
    fitted, tested = slice(WASHOUT, WASHOUT + FITTED), slice(WASHOUT + FITTED, None)
    readout = RidgeCV(np.logspace(-4, 4, 17), alpha_per_target=True)
    predicted = readout.fit(states[fitted], targets[fitted]).predict(states[tested])
    return squared_correlations(predicted.reshape(TESTED, -1), targets[tested])


def squared_correlations(
    a: Float64[np.ndarray, "T K"], b: Float64[np.ndarray, "T K"]
) -> Float64[np.ndarray, " K"]:
    """Compute the squared correlation of each column of two arrays; 0 for a constant one."""
    a, b = a - a.mean(0), b - b.mean(0)
    scale = (a**2).sum(0) * (b**2).sum(0)
    return np.divide((a * b).sum(0) ** 2, scale, out=np.zeros_like(scale), where=scale > 0)
