"""A circuit as a device runs it, native gate by native gate, and the exact law of what it records.

Where `noisy_instrument.py` has one set of rates for all gates of a neuron, here every operation
brings its own: a description of a compiled circuit with the error rates of the very qubits that it
runs on. It is made for comparing, on few qubits and bits; nothing is learned through it.

Qubit 0 is the most significant, and so is bit 0.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Complex, Float

from sqsnn.quantum.noise import Site, amplitude_damping, phase_damping

MAX_QUBITS = 5
MAX_BITS = 10

_RESET = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])


class Applied(NamedTuple):
    """A gate, then the noise that it leaves.

    unitary: `(d, d)`; the first of the qubits is its most significant.
    """

    unitary: np.ndarray
    qubits: tuple[int, ...]
    noise: tuple[Site, ...] = ()


class Measured(NamedTuple):
    """A measurement that collapses the qubit by the true outcome s and records r in a bit.

    assignment: q[r, s], the probability of recording r, `(2, 2)`.
    """

    qubit: int
    bit: int
    assignment: np.ndarray


class Reset(NamedTuple):
    """A qubit set to |0> whatever it was."""

    qubit: int


class Idle(NamedTuple):
    """A wait and what it does to the qubits."""

    noise: tuple[Site, ...]


Operation: TypeAlias = Applied | Measured | Reset | Idle


def damping_rates(time: float, t1: float, t2: float) -> tuple[float, float]:
    """The rates gamma and lambda of amplitude and phase damping that a time of relaxation means.

    Args:
        time: At least 0, in the unit of T1 and T2.
        t1: T1 > 0, or infinity.
        t2: T2 > 0, or infinity; above 2 T1, which no qubit can have, it counts as 2 T1.

    Raises:
        ValueError: A time out of range.
    """
    if not (time >= 0 and t1 > 0 and t2 > 0):
        raise ValueError(
            f"time, t1 and t2 are {time}, {t1} and {t2}; the first must be at least 0, the others "
            "positive"
        )
    t2 = min(t2, 2 * t1)
    # Rounding makes the second -1e-17 at T2 = 2 T1.
    return -math.expm1(-time / t1), max(0.0, -math.expm1(time / t1 - 2 * time / t2))


def relaxation(qubit: int, time: float, t1: float, t2: float) -> tuple[Site, ...]:
    """What a qubit suffers in a time: decay with T1, loss of coherence as exp(-time / T2) in all.

    Args:
        qubit: The qubit.
        time, t1, t2: As `damping_rates` takes them.
    """
    decay, dephase = damping_rates(time, t1, t2)
    sites = [Site((qubit,), amplitude_damping(decay))] if decay else []
    sites += [Site((qubit,), phase_damping(dephase))] if dephase else []
    return tuple(sites)


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
        ValueError: Too many qubits or bits, an operation on a qubit that is not there, or bits that
            are not measured once each.
    """
    _check(operations, qubits, bits)
    # (branches, 2, ..., 2): one digit a qubit for the rows, then for the columns.
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


def _check(operations: Sequence[Operation], qubits: int, bits: int) -> None:
    if not 1 <= qubits <= MAX_QUBITS:
        raise ValueError(f"qubits is {qubits}; the exact law can be had for 1..{MAX_QUBITS}")
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(
            f"bits is {bits}; the exact law of 2**bits records can be had for 1..{MAX_BITS}: take "
            "fewer steps"
        )
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
