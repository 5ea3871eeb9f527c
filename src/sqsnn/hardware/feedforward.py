"""Rotations whose angle a neuron's own last spikes choose, within one circuit.

At step t the encoding of channel n turns by one of 2^k angles, k = min(t, K), chosen by what the
channel measured at the last k steps; with K = T - 1 by all that it measured. There is one `if` per
history, of which exactly one is true, each with an angle of its own. They stand side by side and
not inside each other, and there is no `switch`: devices of IBM take neither.

A barrier before the conditional rotations of a step marks where the device waits: the newest
spikes travel to the controller and back (`latency`). Schedulers know no control flow, so that
`hide` puts gates of known duration in its place, and `show` puts it back.
"""

# Qiskit's classes that are written in Rust look like variables to a type checker.
# pyright: reportInvalidTypeForm=false

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from qiskit import QuantumCircuit
from qiskit.circuit import (
    Barrier,
    CircuitInstruction,
    Clbit,
    Delay,
    Gate,
    IfElseOp,
    Parameter,
    Qubit,
)
from qiskit.circuit.classical import expr
from qiskit.transpiler import InstructionProperties, Target

# Limits: 2^k angles per rotation and step, each a gate under a condition of its own. Circuits of
# any length choose by three bits; of six steps by all earlier ones, 1 + 2 + ... + 32 = 63 angles.
MAX_RESET_STEPS = 3
MAX_STEPS = 6
# Seconds from the end of a measurement to a gate that depends on it. An assumption, used where a
# device reports no duration of its `if_else`, as none of the snapshots does.
FEED_FORWARD = 0.7e-6

_WAIT = "feed_forward"


def fits(steps: int, reset_steps: int) -> bool:
    """Whether so many own last spikes may choose the angles of a circuit of T steps."""
    return reset_steps <= MAX_RESET_STEPS or steps <= MAX_STEPS


def histories(step: int, reset_steps: int) -> list[str]:
    """List what a channel may have measured at the last `reset_steps` steps, the newest bit last.

    Example:
        >>> histories(0, 2), histories(1, 2), histories(5, 2)
        ([''], ['0', '1'], ['00', '01', '10', '11'])
    """
    remembered = min(step, reset_steps)
    return ["".join(bits) for bits in itertools.product("01", repeat=remembered)]


def rotate(
    circuit: QuantumCircuit,
    bits: Sequence[Clbit],
    rotations: Sequence[tuple[int, Sequence[Parameter]]],
) -> None:
    """Add the rotations that one channel drives, by angles that its last bits choose.

    Args:
        circuit: Grows by one `if` for every history of the bits.
        bits: What the channel measured at the last steps, the newest last.
        rotations: The qubit of each rotation, and its angles in the order of `histories`.
    """
    for place, history in enumerate(itertools.product((False, True), repeat=len(bits))):
        with circuit.if_test(_agree(bits, history)):
            for qubit, angles in rotations:
                circuit.rx(angles[place], qubit)


def _agree(bits: Sequence[Clbit], history: Sequence[bool]) -> expr.Expr:
    condition: expr.Expr | None = None
    for bit, value in zip(bits, history, strict=True):
        here = expr.lift(bit) if value else expr.logic_not(bit)
        condition = here if condition is None else expr.logic_and(condition, here)
    if condition is None:
        raise ValueError("bits is empty: without a history there is nothing to choose by")
    return condition


def latency(target: Target) -> float:
    """Find the seconds for which a conditional gate waits: the reported ones, or an assumption."""
    reported = [
        properties.duration
        for properties in dict(target["if_else"]).values()
        if properties is not None and properties.duration is not None
    ]
    return max(reported, default=FEED_FORWARD)


def conditions(circuit: QuantumCircuit) -> int:
    """Count the conditions of a circuit; a shot tests all of them."""
    return sum(isinstance(instruction.operation, IfElseOp) for instruction in circuit.data)


def is_conditional(circuit: QuantumCircuit) -> bool:
    """Whether gates of a circuit depend on earlier spikes."""
    return conditions(circuit) > 0


def written_out(circuit: QuantumCircuit) -> Iterator[CircuitInstruction]:
    """Yield all that a device keeps of a circuit: conditions, and the gates under each."""
    for instruction in circuit.data:
        yield instruction
        if isinstance(instruction.operation, IfElseOp):
            yield from _placed(instruction)


def waits(circuit: QuantumCircuit) -> int:
    """Count how often one neuron waits for its spikes in a shot."""
    return sum(isinstance(instruction.operation, Barrier) for instruction in circuit.data)


def one_path(circuit: QuantumCircuit) -> QuantumCircuit:
    """Write what one shot of a neuron executes: of the branches for all histories a single one.

    All branches of a rotation have the same gates, if with other angles.
    """
    path, block = circuit.copy_empty_like(), 0
    taken: set[tuple[int, frozenset[Clbit]]] = set()
    for instruction in circuit.data:
        operation = instruction.operation
        block += isinstance(operation, Barrier)
        if not isinstance(operation, IfElseOp):
            path.append(instruction)
            continue
        key = block, frozenset(instruction.clbits)
        if key not in taken:
            taken.add(key)
            for placed in _placed(instruction):
                path.append(placed)
    return path


def one_inside_another(circuit: QuantumCircuit) -> QuantumCircuit:
    """Write conditions on several bits as conditions on one bit, one inside the other.

    Readers of OpenQASM 3, Qiskit's own among them, may know no `&&`.
    """
    nested = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation = instruction.operation
        if not isinstance(operation, IfElseOp) or len(operation.blocks) > 1:
            nested.append(instruction)
            continue
        with ExitStack() as stack:
            for condition in _conjuncts(operation.condition):
                stack.enter_context(nested.if_test(condition))
            for placed in _placed(instruction):
                nested.append(placed)
    return nested


def _conjuncts(condition: Any) -> list[Any]:
    if isinstance(condition, expr.Binary) and condition.op is expr.Binary.Op.LOGIC_AND:
        return [*_conjuncts(condition.left), *_conjuncts(condition.right)]
    return [condition]


class Hidden(NamedTuple):
    """A circuit in which gates of known duration stand for conditions and waiting."""

    circuit: QuantumCircuit
    branches: tuple[CircuitInstruction, ...]  # what the gates of the label "0", "1", ... stand for
    under_conditions: float  # seconds of all branches, on the qubit that has most of them


def hide(circuit: QuantumCircuit, target: Target) -> Hidden:
    """Replace control flow by gates that a scheduler knows, and add these to the target.

    A branch lasts as long as its gates whether it is taken or not, and every barrier makes its
    qubits wait. Qubits of the circuit are those of the target.
    """
    plain, branches = circuit.copy_empty_like(), []
    durations: dict[tuple[int, ...], float] = {}
    busy = Counter[int]()
    for instruction in circuit.data:
        operation = instruction.operation
        if isinstance(operation, IfElseOp):
            place = _places(circuit, instruction.qubits)
            lasts = _duration(circuit, instruction, target)
            durations[place] = max(durations.get(place, 0.0), lasts)
            busy.update(dict.fromkeys(place, lasts))
            stand_in = Gate(_branch(len(place)), len(place), [], label=str(len(branches)))
            plain.append(stand_in, instruction.qubits)
            branches.append(instruction)
            continue
        plain.append(instruction)
        if isinstance(operation, Barrier):
            for qubit in instruction.qubits:
                plain.append(Gate(_WAIT, 1, []), [qubit])
    for width in sorted({len(place) for place in durations}):
        properties = {
            place: InstructionProperties(lasts)
            for place, lasts in durations.items()
            if len(place) == width
        }
        target.add_instruction(Gate(_branch(width), width, []), properties)
    waiting = InstructionProperties(_wait(target) * target.dt)
    every = {(qubit,): waiting for qubit in range(circuit.num_qubits)}
    target.add_instruction(Gate(_WAIT, 1, []), every)
    return Hidden(plain, tuple(branches), max(busy.values(), default=0.0))


def show(
    scheduled: QuantumCircuit, hidden: Hidden, target: Target, *, wait: bool
) -> QuantumCircuit:
    """Put control flow back into a scheduled circuit; `wait` writes waiting as delays.

    A device waits by itself. Barriers have done their work and go.
    """
    shown = scheduled.copy_empty_like()
    for instruction in scheduled.data:
        operation = instruction.operation
        if operation.name == _WAIT:
            if wait:
                shown.append(Delay(_wait(target), "dt"), instruction.qubits)
        elif operation.name == _branch(len(instruction.qubits)):
            branch = hidden.branches[int(operation.label)]
            shown.append(branch.replace(qubits=instruction.qubits))
        elif not isinstance(operation, Barrier):
            shown.append(instruction)
    return shown


def _branch(width: int) -> str:
    return f"branch_on_{width}"


def _wait(target: Target) -> int:
    """The latency in the target's units of time, rounded up to its grid."""
    grid = target.granularity
    return math.ceil(latency(target) / target.dt / grid) * grid


def _places(circuit: QuantumCircuit, qubits: Sequence[Qubit]) -> tuple[int, ...]:
    return tuple(circuit.find_bit(qubit).index for qubit in qubits)


def _placed(branch: CircuitInstruction) -> Iterator[CircuitInstruction]:
    """Yield the gates of a branch, on the qubits outside it."""
    (body,) = branch.operation.blocks
    outside = dict(zip(body.qubits, branch.qubits, strict=True))
    for instruction in body.data:
        yield instruction.replace(qubits=[outside[qubit] for qubit in instruction.qubits])


def _duration(circuit: QuantumCircuit, branch: CircuitInstruction, target: Target) -> float:
    """Compute how long the gates of a branch last, in seconds."""
    ends: dict[Qubit, float] = {}
    for instruction in _placed(branch):
        properties = target[instruction.operation.name].get(_places(circuit, instruction.qubits))
        end = max(ends.get(qubit, 0.0) for qubit in instruction.qubits)
        end += getattr(properties, "duration", None) or 0.0
        ends.update(dict.fromkeys(instruction.qubits, end))
    return max(ends.values(), default=0.0)
