"""The exact law of the bits that a compiled circuit records, with the noise of every native gate.

Where `quantum/density.py` has one set of rates for all gates of a neuron, here every operation
brings its own: a description of a compiled circuit with the error rates of the very qubits that it
runs on. It serves to compare, on few qubits and bits; nothing learns through it.

Qubit 0 is the most significant, and so is bit 0.
"""

# Qiskit's classes that are written in Rust look like variables to a type checker.
# pyright: reportInvalidTypeForm=false

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Complex, Float
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, Delay, Gate, Measure
from qiskit.circuit import Reset as QiskitReset
from qiskit.transpiler import Target
from qiskit.utils import apply_prefix
from qiskit_ibm_runtime.circuit import MeasureReset

from sqsnn.errors import HardwareError
from sqsnn.hardware.calibration import assignment_errors, gate_strength, relaxation_times
from sqsnn.quantum.noise import Site, depolarising, relaxation

MAX_QUBITS = 5
MAX_BITS = 10

_RESET = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])


class Applied(NamedTuple):
    """A gate, then the noise that it leaves.

    Attributes:
        unitary: `(d, d)`; the first of the qubits is its most significant.
        qubits: The qubits that it acts on.
        noise: The channels after it.
    """

    unitary: np.ndarray
    qubits: tuple[int, ...]
    noise: tuple[Site, ...] = ()


class Measured(NamedTuple):
    """A measurement that collapses the qubit by the true outcome s and records r in a bit.

    Attributes:
        qubit: The qubit.
        bit: The bit that keeps the record.
        assignment: q[r, s], the probability of recording r, `(2, 2)`.
    """

    qubit: int
    bit: int
    assignment: np.ndarray


class Reset(NamedTuple):
    """A qubit set to |0>, whatever its state was."""

    qubit: int


class Idle(NamedTuple):
    """A wait and its channels on the qubits."""

    noise: tuple[Site, ...]


Operation: TypeAlias = Applied | Measured | Reset | Idle


def native_operations(circuit: QuantumCircuit, target: Target) -> tuple[Operation, ...]:
    """List what a compiled circuit does on a device, with the noise that the device reports.

    Args:
        circuit: A bound and scheduled circuit of the target's own instructions: only a delay makes
            a wait noisy.
        target: The target of the circuit's qubits.

    Raises:
        HardwareError: If an instruction is not the target's, has a free parameter, or is reported
            out of order.
    """
    if circuit.parameters:
        names = ", ".join(parameter.name for parameter in circuit.parameters)
        raise HardwareError(f"the circuit has free parameters ({names}); bind them first")
    return tuple(_translated(circuit, target))


def gate_noise(target: Target, name: str, qubits: tuple[int, ...]) -> tuple[Site, ...]:
    """List the channels after a native gate: depolarising, then relaxation of each qubit.

    Args:
        target: The device's target.
        name: The name of the gate.
        qubits: The physical qubits that it acts on.

    Raises:
        HardwareError: If the gate is reported to be worse than pure noise, that is out of order.
    """
    rate, time = gate_strength(target, name, qubits)
    sites = [Site(qubits, depolarising(rate, len(qubits)))] if rate else []
    return (*sites, *_relaxing(target, qubits, time))


def recorded_law(
    operations: Sequence[Operation], qubits: int, bits: int
) -> Float[np.ndarray, " records"]:
    """The exact joint law of all recorded bits, by density matrices, branch by branch.

    Args:
        operations: In the order of time, from |0...0>.
        qubits: How many there are, up to 5.
        bits: How many are recorded, up to 10, each by one measurement.

    Returns:
        The probability of every record, `(2**bits,)`, bit 0 its most significant digit.

    Raises:
        ValueError: If there are too many qubits or bits, an operation acts on an absent qubit, or
            bits are not measured once each.
    """
    _check(operations, qubits, bits)
    # (branches, 2, ..., 2): one digit per qubit for the rows, then for the columns.
    states = np.zeros((1, 4**qubits), complex)
    states[0, 0] = 1
    states = states.reshape(1, *(2,) * (2 * qubits))
    order: list[int] = []
    for operation in operations:
        match operation:
            case Applied(unitary, targets, noise):
                states = _through(states, _superoperator(unitary[None]), targets)
                states = _suffer(states, noise)
            case Idle(noise):
                states = _suffer(states, noise)
            case Reset(qubit):
                states = _through(states, _superoperator(_RESET), (qubit,))
            case Measured(qubit, bit, assignment):
                recorded = [
                    _through(states, np.diag([zero, 0, 0, one]), (qubit,))
                    for zero, one in assignment
                ]
                states = np.stack(recorded, axis=1).reshape(-1, *states.shape[1:])
                order.append(bit)
    matrices = states.reshape(len(states), 2**qubits, 2**qubits)
    law = np.trace(matrices, axis1=1, axis2=2).real.reshape((2,) * bits)
    # Rounding leaves an impossible record at -1e-17.
    return np.clip(law.transpose(np.argsort(order)).reshape(-1), 0.0, None)


def _translated(circuit: QuantumCircuit, target: Target) -> Iterator[Operation]:
    for instruction in circuit.data:
        operation = instruction.operation
        qubits = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
        if isinstance(operation, Barrier):
            continue
        if not target.instruction_supported(operation.name, qubits):
            raise HardwareError(
                f"{operation.name} on qubits {qubits} is no instruction of the device; compile the "
                f"circuit for it first. It has {', '.join(sorted(target.operation_names))}"
            )
        match operation:
            case Measure() | MeasureReset():
                bit = circuit.find_bit(instruction.clbits[0]).index
                yield Measured(qubits[0], bit, assignment_errors(target, operation.name, qubits[0]))
                if isinstance(operation, MeasureReset):
                    yield Reset(qubits[0])
            case QiskitReset():
                yield Reset(qubits[0])
            case Delay():
                yield Idle(_relaxing(target, qubits, _seconds(operation, target)))
            case Gate():
                # Qiskit's first qubit is a matrix's least significant.
                unitary, order = operation.to_matrix(), tuple(reversed(qubits))
                yield Applied(unitary, order, gate_noise(target, operation.name, qubits))
            case _:
                raise HardwareError(
                    f"{operation.name} has no noise model; gates, measure, reset and delay have one"
                )


def _seconds(delay: Delay, target: Target) -> float:
    if delay.unit == "dt":
        return delay.duration * target.dt
    return apply_prefix(delay.duration, delay.unit)


def _relaxing(target: Target, qubits: tuple[int, ...], time: float) -> tuple[Site, ...]:
    return tuple(
        site
        for qubit in qubits
        for site in relaxation(qubit, time, *relaxation_times(target, qubit))
    )


def _check(operations: Sequence[Operation], qubits: int, bits: int) -> None:
    if not 1 <= qubits <= MAX_QUBITS:
        raise ValueError(f"qubits is {qubits}; the exact law takes 1..{MAX_QUBITS}")
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"bits is {bits}; the exact law takes 1..{MAX_BITS}: take fewer steps")
    measured = sorted(operation.bit for operation in operations if isinstance(operation, Measured))
    if measured != list(range(bits)):
        raise ValueError(
            f"the measurements record the bits {measured}; each of 0..{bits - 1} must be recorded "
            "once"
        )
    for operation in operations:
        absent = [qubit for qubit in _acted_on(operation) if not 0 <= qubit < qubits]
        if absent:
            raise ValueError(
                f"{type(operation).__name__} acts on qubit {absent[0]}; there are 0..{qubits - 1}"
            )


def _acted_on(operation: Operation) -> tuple[int, ...]:
    match operation:
        case Applied(_, targets, noise):
            return targets + tuple(qubit for site in noise for qubit in site.qubits)
        case Idle(noise):
            return tuple(qubit for site in noise for qubit in site.qubits)
        case Reset(qubit) | Measured(qubit):
            return (qubit,)


def _suffer(states: np.ndarray, noise: tuple[Site, ...]) -> np.ndarray:
    for site in noise:
        states = _through(states, _superoperator(site.kraus), site.qubits)
    return states


def _superoperator(
    kraus: Complex[np.ndarray, "count dim dim"] | Float[np.ndarray, "count dim dim"],
) -> np.ndarray:
    """sum_k K (x) K*, `(d**2, d**2)`, which acts on a density matrix's rows and columns."""
    size = kraus.shape[-1] ** 2
    return np.einsum("kab,kcd->acbd", kraus, kraus.conj()).reshape(size, size)


def _through(states: np.ndarray, channel: np.ndarray, qubits: tuple[int, ...]) -> np.ndarray:
    """The states after a channel on some of their qubits."""
    total = (states.ndim - 1) // 2
    axes = [1 + qubit for qubit in qubits] + [1 + total + qubit for qubit in qubits]
    digits = channel.reshape((2,) * (2 * len(axes)))
    after = np.tensordot(digits, states, axes=(range(len(axes), 2 * len(axes)), axes))
    return np.moveaxis(after, range(len(axes)), axes)
