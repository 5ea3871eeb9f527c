"""A circuit read from a Qiskit circuit, without importing Qiskit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.gates import GATES
from sqsnn.quantum.placements import START, Encoded, Normal


def read(
    quantum_circuit: Any,
    channels: int,
    memory_qubits: int | None,
    encoding: Sequence[Encoded] | None,
    initial: Normal | Mapping[str, Normal],
    name: str,
) -> Circuit:
    """Read V(theta); see `Circuit.from_qiskit`."""
    qubits = quantum_circuit.num_qubits
    memory = qubits - channels if memory_qubits is None else memory_qubits
    if channels + memory != qubits or memory < 0:
        raise ValueError(
            f"channels is {channels} and memory_qubits is {memory}, but the Qiskit circuit "
            f"has {qubits} qubits"
        )
    numbers: dict[str, int] = {}
    placements = [
        (gate, places, *(_read_angle(angle, gate, numbers, initial) for angle in angles))
        for gate, places, angles in _gates(quantum_circuit)
    ]
    if isinstance(initial, Mapping) and (unknown := initial.keys() - numbers.keys()):
        raise ValueError(
            f"initial names {', '.join(sorted(unknown))}, but the parameters of the Qiskit circuit "
            f"are {', '.join(numbers) or 'none'}"
        )
    built = Circuit.build(channels, memory, placements, encoding)
    return replace(built, name=name)


def _gates(quantum_circuit: Any) -> Iterator[tuple[str, tuple[int, ...], list[Any]]]:
    for number, instruction in enumerate(quantum_circuit.data):
        operation = instruction.operation
        if operation.name == "barrier":  # it does nothing
            continue
        gate = operation.name.upper()
        if gate not in GATES:
            raise ValueError(
                f"instruction {number} of the Qiskit circuit is {operation.name!r}; a circuit may "
                f"hold {', '.join(GATES).lower()}, and barriers, which are left out (the neuron "
                "itself measures and resets its channels)"
            )
        places = tuple(quantum_circuit.find_bit(qubit).index for qubit in instruction.qubits)
        yield gate, places, list(operation.params)


def _read_angle(
    angle: Any, gate: str, numbers: dict[str, int], initial: Normal | Mapping[str, Normal]
) -> Normal | int | float:
    """A new or a known parameter, or the number that a fixed angle is."""
    if not getattr(angle, "parameters", None):
        return float(angle)
    name = getattr(angle, "name", None)
    if name is None:
        raise ValueError(
            f"a {gate.lower()} of the Qiskit circuit has the angle {angle}; it may be a number or "
            "one Parameter alone"
        )
    if name in numbers:
        return numbers[name]
    numbers[name] = len(numbers)
    return initial if isinstance(initial, Normal) else initial.get(name, START)
