"""A neuron as a Qiskit circuit, to OpenQASM 3 and back; measured bits as spikes.

The T steps, with measurement and reset in the middle, come from the gate list that the simulator
runs. Qubit q is qubit q of `quantum/circuit.py`: channels first, then the memory. Bit t*N + n of
the register "spikes" is channel n at step t. Qiskit writes bit 0 rightmost: `spikes_of` undoes
that.

A rotation of the encoding is placed at every step, also where its current is 0 or below and its
angle 0: one circuit is bound to many rows of angles, and a row cannot leave a gate out. With
`reset_steps` the own last spikes choose among its angles (`feedforward.py`).
"""

# Qiskit's classes that are written in Rust look like variables to a type checker.
# pyright: reportInvalidTypeForm=false

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import Gate as QiskitGate
from qiskit.circuit import Parameter
from qiskit.circuit import library as gates
from qiskit.primitives import BitArray, DataBin, PrimitiveResult

from sqsnn.checks import check_positive_int
from sqsnn.errors import HardwareError
from sqsnn.hardware import feedforward
from sqsnn.quantum import circuits
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.circuits import CircuitFactory

REGISTER = "spikes"

_GATES: dict[str, type[QiskitGate]] = {
    "RX": gates.RXGate,
    "RY": gates.RYGate,
    "RZ": gates.RZGate,
    "CRX": gates.CRXGate,
    "CRY": gates.CRYGate,
    "CRZ": gates.CRZGate,
    "RXX": gates.RXXGate,
    "RYY": gates.RYYGate,
    "RZZ": gates.RZZGate,
    "CX": gates.CXGate,
    "CZ": gates.CZGate,
    "H": gates.HGate,
}


def parameter_names(
    circuit: Circuit, steps: int, *, per_occurrence: bool = False, reset_steps: int = 0
) -> tuple[str, ...]:
    """List the names of a neuron's angles in the order of the columns of a table of values.

    phi_{t}_{e} for every step t and placed rotation e of the encoding, then theta_{k} for every
    angle k; or per occurrence, as shift rules need, theta_{t}_{g} for every gate g with an angle.
    Where own spikes choose the angle, phi_{t}_{e}_{history} for every history, such as phi_5_0_01
    after a spike at step 4 and none at step 3.
    """
    names = [
        name
        for step in range(steps)
        for e in placed_rotations(circuit)
        for name in _by_history(step, e, reset_steps)
    ]
    if per_occurrence:
        names += [f"theta_{step}_{g}" for step in range(steps) for g in turned_gates(circuit)]
    else:
        names += [f"theta_{k}" for k in range(circuit.parameters)]
    return tuple(names)


def _by_history(step: int, rotation: int, reset_steps: int) -> list[str]:
    given = feedforward.histories(step, reset_steps)
    return [f"phi_{step}_{rotation}" + (history and f"_{history}") for history in given]


def placed_rotations(circuit: Circuit) -> list[int]:
    """List the places of the encoding's rotations that are gates."""
    return [e for e, rotation in enumerate(circuit.encoding) if rotation.is_gate]


def turned_gates(circuit: Circuit) -> list[int]:
    """List the places of the circuit's gates that have an angle."""
    return [g for g, gate in enumerate(circuit.gates) if gate.parameter is not None]


def neuron_circuit(
    circuit: str | Circuit | CircuitFactory,
    channels: int | None = None,
    memory_qubits: int | None = None,
    steps: int = 1,
    *,
    per_occurrence: bool = False,
    reset_steps: int = 0,
) -> QuantumCircuit:
    """Write T steps of a neuron as a Qiskit circuit with named parameters.

    Args:
        circuit: A `Circuit`, or whatever `sqsnn.circuits.get` takes, such as a registered name.
        channels: N; a `Circuit` knows its own.
        memory_qubits: M; a `Circuit` knows its own.
        steps: T; the channels are reset between steps, not after the last.
        per_occurrence: Whether every placed gate has its own angle, which can be shifted alone.
        reset_steps: Own last spikes of a channel that choose its angle, by conditional rotations:
            0..3, or, in at most 6 steps, up to all earlier ones (T - 1).

    Raises:
        ValueError: If the circuit is unknown or a number is out of range.
    """
    check_positive_int("steps", steps)
    check_positive_int("reset_steps", reset_steps, low=0)
    if not feedforward.fits(steps, reset_steps):
        raise ValueError(
            f"reset_steps is {reset_steps}, but may be 0..{feedforward.MAX_RESET_STEPS} in a "
            f"circuit of {steps} steps; one of at most {feedforward.MAX_STEPS} may remember all"
        )
    if isinstance(circuit, Circuit):
        channels = circuit.channels if channels is None else channels
        memory_qubits = circuit.memory_qubits if memory_qubits is None else memory_qubits
    if channels is None or memory_qubits is None:
        raise ValueError(
            f"circuit is {circuit!r}, which may have any number of qubits: give channels and "
            "memory_qubits as well"
        )
    neuron = circuits.get(circuit, channels, memory_qubits)
    spikes = ClassicalRegister(steps * channels, REGISTER)
    unrolled = QuantumCircuit(QuantumRegister(neuron.qubits, "q"), spikes, name=neuron.name)
    named = {
        name: Parameter(name)
        for name in parameter_names(
            neuron, steps, per_occurrence=per_occurrence, reset_steps=reset_steps
        )
    }
    for step in range(steps):
        if step:
            unrolled.reset(range(channels))
        angles = {
            e: [named[name] for name in _by_history(step, e, reset_steps)]
            for e in placed_rotations(neuron)
        }
        remembered = min(step, reset_steps)
        if remembered:
            unrolled.barrier()
            for channel in range(channels):
                bits = [spikes[(step - k) * channels + channel] for k in range(remembered, 0, -1)]
                driven = [e for e in angles if neuron.encoding[e].channel == channel]
                rotations = [(neuron.encoding[e].qubit, angles[e]) for e in driven]
                if rotations:
                    feedforward.rotate(unrolled, bits, rotations)
        else:
            for e, (angle,) in angles.items():
                unrolled.rx(angle, neuron.encoding[e].qubit)
        for g, gate in enumerate(neuron.gates):
            theta = f"theta_{step}_{g}" if per_occurrence else f"theta_{gate.parameter}"
            angle: Any = gate.angle if gate.parameter is None else named[theta]
            unrolled.append(_GATES[gate.name](*([] if angle is None else [angle])), gate.qubits)
        first = step * channels
        unrolled.measure(range(channels), range(first, first + channels))
    return unrolled


def parameters_by_name(circuit: QuantumCircuit) -> dict[str, Parameter]:
    """Map the names of a circuit's free parameters to the parameters."""
    return {parameter.name: parameter for parameter in circuit.parameters}


def to_qasm3(circuit: QuantumCircuit) -> str:
    """Write a circuit as an OpenQASM 3 program; free angles become its `input` variables."""
    return qasm3.dumps(feedforward.one_inside_another(circuit))


def from_qasm3(program: str) -> QuantumCircuit:
    """Read an OpenQASM 3 program; its `input` variables become parameters of their names.

    Raises:
        HardwareError: If the program cannot be read.
    """
    from openqasm3.parser import QASM3ParsingError
    from qiskit_qasm3_import import ConversionError

    if not program.strip():
        raise HardwareError("the OpenQASM 3 program cannot be read: it is empty")
    try:
        return qasm3.loads(program)
    except (qasm3.QASM3ImporterError, ConversionError, QASM3ParsingError) as error:
        raise HardwareError(f"the OpenQASM 3 program cannot be read: {error}") from error


def spikes_of(bits: BitArray, steps: int, channels: int) -> Bool[np.ndarray, "rows shots T N"]:
    """Read spikes from the measured bits of a register, of shape `(rows,)`."""
    wanted = steps * channels
    if bits.num_bits != wanted:
        raise HardwareError(
            f"the result has {bits.num_bits} bits per shot, but {steps} steps of {channels} "
            f"channels have {wanted}"
        )
    if bits.array.dtype != np.uint8 or (bits.array[..., 0] >> (wanted - 1) % 8 + 1).any():
        raise HardwareError(f"the result has more than {wanted} bits in some shots")
    # Bytes are big-endian and padded in front: the last bit of the last byte is bit 0.
    flipped = np.unpackbits(bits.array, axis=-1)[..., ::-1][..., :wanted]
    return flipped.reshape(*bits.array.shape[:-1], steps, channels).astype(bool)


def whole_spikes(
    result: Any, registers: Sequence[str], *, rows: int, shots: int, steps: int, channels: int
) -> Bool[np.ndarray, "rows_registers shots T N"]:
    """Read the spikes of a complete result: row by row, the registers of each row in order."""
    if not isinstance(result, PrimitiveResult):
        raise HardwareError(f"a job returned no result of a sampler, but {type(result).__name__}")
    if len(result) != 1:
        raise HardwareError(f"a job of 1 circuit returned {len(result)} results")
    data = getattr(result[0], "data", None)
    measured = dict(data.items()) if isinstance(data, DataBin) else {}
    if sorted(measured) != sorted(registers):
        raise HardwareError(
            f"the result has registers {sorted(measured)}, but no register {registers[0]!r} of "
            f"measured bits, or others than {sorted(registers)}"
        )
    neurons = []
    for name in registers:
        bits = measured[name]
        if not isinstance(bits, BitArray):
            raise HardwareError(f"register {name!r} holds no bits, but {type(bits).__name__}")
        if bits.shape != (rows,) or bits.num_shots != shots:
            raise HardwareError(
                f"the result has {bits.num_shots} shots of {bits.shape} rows of register {name!r}, "
                f"but the job had {shots} shots of ({rows},) rows"
            )
        neurons.append(spikes_of(bits, steps, channels))
    return np.stack(neurons, axis=1).reshape(-1, *neurons[0].shape[1:])


def count_gates(circuit: QuantumCircuit) -> dict[str, int]:
    """Count the instructions that one shot executes by name, without delays and barriers.

    `if_else` counts all conditions, of which one per rotation is true.
    """
    executed = feedforward.one_path(circuit).count_ops()
    conditions = feedforward.conditions(circuit)
    counts = {**executed, **({"if_else": conditions} if conditions else {})}
    return {name: counts[name] for name in sorted(counts) if name not in ("delay", "barrier")}
