"""What a circuit for a device must do, from its instructions and NumPy alone.

`circuit_law` walks through a Qiskit circuit gate by gate and branch by branch; `parameter_values`
says by name what turns each gate of an unrolled neuron of `reference`. Nothing here is shared with
`sqsnn`, and nothing is sampled but the sampling floor.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import reference
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit.classical import expr

NAMED = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
SHAPES = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]  # (channels, memory qubits)
CASES = [(name, *shape) for name, shape in itertools.product(NAMED, SHAPES)]

Law = NDArray[np.float64]


# Neurons and what turns their gates


def random_neuron(
    name: str, channels: int, memory_qubits: int, rng: np.random.Generator
) -> reference.Neuron:
    """A neuron far from any special value, gains of both signs included."""
    rotations = sum(
        placed.parameter is not None
        for placed in reference.placements(name, channels, memory_qubits)
    )
    angles = rng.normal(0, 1.5, rotations)
    gains = rng.normal(0, 1, channels + memory_qubits)
    return reference.named(name, channels, memory_qubits, angles, gains)


def random_currents(channels: int, steps: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Currents (T, N), those of the first step positive, the last one of several steps negative."""
    currents = rng.normal(0.2, 0.8, (steps, channels))
    currents[0] = np.abs(currents[0]) + 0.1
    if steps > 1:
        currents[-1, -1] = -np.abs(currents[-1, -1])
    return currents


def rotations(neuron: reference.Neuron) -> list[int]:
    """The places in the gate list that have an angle."""
    return [place for place, gate in enumerate(neuron.gates) if gate.name not in ("CX", "CZ", "H")]


def encoding_angles(neuron: reference.Neuron, currents: Sequence[Sequence[float]]) -> Law:
    """gain * pi * max(z, 0) of every rotation of the encoding in order of the qubits, (T, E)."""
    drives = sorted(neuron.encoding, key=lambda drive: drive.qubit)
    return np.array(
        [[d.gain * np.pi * max(float(z[d.channel]), 0.0) for d in drives] for z in currents]
    )


def parameter_values(
    neuron: reference.Neuron, currents: Sequence[Sequence[float]], *, per_occurrence: bool
) -> dict[str, float]:
    """Parameter names and values in the canonical order: encoding first, then the gates."""
    steps = len(currents)
    phi = encoding_angles(neuron, currents)
    values = {f"phi_{t}_{e}": phi[t, e] for t in range(steps) for e in range(phi.shape[1])}
    turned = rotations(neuron)
    if per_occurrence:
        values |= {f"theta_{t}_{g}": neuron.gates[g].angle for t in range(steps) for g in turned}
    else:
        values |= {f"theta_{k}": neuron.gates[g].angle for k, g in enumerate(turned)}
    return values


# The law of a circuit


def circuit_law(circuit: QuantumCircuit) -> Law:
    """P(bits) of a circuit without free parameters, (2^bits,), classical bit 0 most significant.

    Every branch carries its recorded bits and its unnormalised state; a reset keeps both outcomes
    of the measurement that it hides, as branches that are never added as amplitudes.
    """
    total = circuit.num_qubits
    state = np.zeros((2,) * total, complex)
    state[(0,) * total] = 1
    branches = _walk(circuit, circuit, list(range(total)), [({}, state)])
    law = np.zeros((2,) * circuit.num_clbits)
    for bits, state in branches:
        law[tuple(bits.get(bit, 0) for bit in range(circuit.num_clbits))] += np.vdot(
            state, state
        ).real
    return law.reshape(-1)


Branches = list[tuple[dict[int, int], NDArray[np.complex128]]]


def _walk(
    whole: QuantumCircuit, part: QuantumCircuit, places: list[int], branches: Branches
) -> Branches:
    """Walk through a part of a circuit, whose qubits stand at `places` of the whole."""
    for step in part.data:
        wires = [places[part.find_bit(qubit).index] for qubit in step.qubits]
        match step.operation.name:
            case "barrier" | "delay":
                continue
            case "measure":
                bit = whole.find_bit(step.clbits[0]).index
                branches = [
                    ({**bits, bit: outcome}, _projected(state, wires[0], outcome))
                    for bits, state in branches
                    for outcome in (0, 1)
                ]
            case "reset":
                branches = [
                    (bits, _flipped(kept, wires[0]) if outcome else kept)
                    for bits, state in branches
                    for outcome in (0, 1)
                    if np.any(kept := _projected(state, wires[0], outcome))
                ]
            case "if_else":
                (body,) = step.operation.blocks
                holds = [_holds(step.operation.condition, bits, whole) for bits, _ in branches]
                pairs = list(zip(branches, holds, strict=True))
                taken = [branch for branch, true in pairs if true]
                left = [branch for branch, true in pairs if not true]
                branches = left + _walk(whole, body, wires, taken)
            case _:
                matrix = step.operation.to_matrix()
                branches = [(bits, _turned(state, matrix, wires)) for bits, state in branches]
    return branches


def _holds(condition: Any, bits: dict[int, int], whole: QuantumCircuit) -> bool:
    """Whether a condition on recorded bits is true."""
    match condition:
        case expr.Var():
            return bool(bits[whole.find_bit(condition.var).index])
        case expr.Unary(op=expr.Unary.Op.LOGIC_NOT):
            return not _holds(condition.operand, bits, whole)
        case expr.Binary(op=expr.Binary.Op.LOGIC_AND):
            return _holds(condition.left, bits, whole) and _holds(condition.right, bits, whole)
        case (bit, value):
            return bits[whole.find_bit(bit).index] == value
        case _:
            raise NotImplementedError(f"condition {condition}")


def _projected(state: NDArray, qubit: int, outcome: int) -> NDArray:
    part = np.zeros_like(state)
    here = (slice(None),) * qubit + (outcome,)
    part[here] = state[here]
    return part


def _flipped(state: NDArray, qubit: int) -> NDArray:
    return np.flip(state, axis=qubit)


def _turned(state: NDArray, matrix: NDArray, qubits: list[int]) -> NDArray:
    # A gate's first qubit is the least significant bit of Qiskit's matrix index.
    count = len(qubits)
    small = np.asarray(matrix).reshape((2,) * (2 * count))
    axes = qubits[::-1]
    after = np.tensordot(small, state, axes=(range(count, 2 * count), axes))
    return np.moveaxis(after, range(count), axes)


# Samples against a law


def sequence_indices(spikes: NDArray) -> NDArray[np.int64]:
    """The place in `reference.joint_law` of every record; spikes (..., T, N) -> (...)."""
    flat = np.asarray(spikes).astype(np.int64)
    flat = flat.reshape(*flat.shape[:-2], -1)
    return flat @ (2 ** np.arange(flat.shape[-1] - 1, -1, -1))


def total_variation(spikes: NDArray, law: Law) -> float:
    """Between the empirical law of records (..., T, N) and a law (2^(N T),)."""
    seen = np.bincount(sequence_indices(spikes).reshape(-1), minlength=len(law))
    return float(np.abs(seen / seen.sum() - law).sum() / 2)


def sampling_floor(law: Law, shots: int, replicas: int = 100) -> float:
    """Mean total variation between a law and the empirical law of `shots` draws from it."""
    law = np.clip(law, 0, None) / np.clip(law, 0, None).sum()
    seen = np.random.default_rng(0).multinomial(shots, law, size=replicas)
    return float(np.abs(seen / shots - law).sum(axis=1).mean() / 2)


def chance_of_false_alarm(law: Law, shots: int) -> float:
    """A bound on P(total variation > twice the floor) for draws from the law itself.

    One draw moves the total variation by at most 1/shots, so P(TV > E TV + e) <= exp(-2 shots e^2)
    (McDiarmid), here with e = E TV, the floor.
    """
    return float(np.exp(-2 * shots * sampling_floor(law, shots) ** 2))
