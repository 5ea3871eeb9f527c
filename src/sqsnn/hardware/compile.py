"""From a neuron to what a device takes: placed on qubits, in native gates, with timing.

Every neuron is transpiled for its own group of qubits alone (`devices.restrict`), so that routing
never leaves the group; the groups then stand side by side in one circuit, which is scheduled as
late as possible (ALAP): the noise of a device, and Aer's model of it, needs the idle times. Where
own spikes choose angles, the circuit waits for them at every step (`feedforward.py`).
"""

# Qiskit's classes that are written in Rust look like variables to a type checker.
# pyright: reportInvalidTypeForm=false

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import CircuitInstruction, ControlFlowOp, Measure, Parameter, Qubit, Reset
from qiskit.transpiler import Target, TranspilerError, generate_preset_pass_manager
from qiskit_ibm_runtime.circuit import MeasureReset
from qiskit_ibm_runtime.transpiler.passes import ConvertToMidCircuitResetAndMeasure

from sqsnn.errors import HardwareError
from sqsnn.hardware import feedforward
from sqsnn.hardware.circuits import (
    REGISTER,
    count_gates,
    neuron_circuit,
    parameter_names,
    parameters_by_name,
)
from sqsnn.hardware.devices import Backend, Device, mid_circuit, require_conditions, restrict
from sqsnn.quantum.circuit import Circuit

Groups = tuple[tuple[int, ...], ...]

_OPTIMISATION = 1
# Aer 0.18 takes a controlled rotation with a free angle and leaves it out without a word when the
# angle is bound; rotations of one qubit and fixed gates are bound rightly.
_AER_BINDS = ["rx", "ry", "rz", "h", "x", "sx", "cx", "cz", "if_else"]
_COMBINED = "measure_reset"


class Compiled(NamedTuple):
    """A circuit of some neurons side by side, ready to be bound to angles and run."""

    circuit: QuantumCircuit  # for the sampler, with one register of bits per neuron
    backend: Backend  # the device, or the part of a snapshot that the circuit was made for
    parameters: tuple[Parameter, ...]  # by neuron, then as `parameter_names(per_occurrence=True)`
    registers: tuple[str, ...]  # names, one per neuron
    channels: int  # N of a neuron
    groups: Groups  # physical qubits per neuron, channels then memory; () without a chip
    gate_counts: Mapping[str, int]  # of the first neuron, native; see `count_gates`
    depth: int  # of what one shot of the first neuron executes, without delays
    duration: float | None  # s of one shot, without the delay between shots; None without a chip
    feed_forward: float  # s of it in which a neuron waits for its own spikes
    under_conditions: float  # s of it in which gates stand under conditions, true or not

    @property
    def slots(self) -> int:
        """Number of neurons side by side."""
        return len(self.registers)

    @property
    def moves_channels(self) -> bool:
        """Whether swaps move a channel, so that it is not measured where it starts."""
        start = [qubit for group in self.groups for qubit in group]
        width = len(start) // self.slots
        place = {
            bit: slot * width + number % self.channels
            for slot, register in enumerate(self.circuit.cregs)
            for number, bit in enumerate(register)
        }
        whole = self.circuit.num_qubits > len(start)
        for instruction in self.circuit.data:
            if isinstance(instruction.operation, ControlFlowOp):  # reads bits, and writes none
                continue
            for bit in instruction.clbits:
                (qubit,) = instruction.qubits
                index = self.circuit.find_bit(qubit).index
                if start and index != (start[place[bit]] if whole else place[bit]):
                    return True
        return False

    def side_by_side(
        self, values: Float[np.ndarray, "rows parameters"]
    ) -> Float[np.ndarray, "circuits slots_parameters"]:
        """Join rows of one neuron to rows of `slots`; neurons at angle 0 fill up the last row."""
        missing = -len(values) % self.slots
        filled = np.concatenate([values, np.zeros((missing, values.shape[1]))])
        return filled.reshape(-1, self.slots * values.shape[1])


def compile_neuron(
    circuit: Circuit, steps: int, device: Device, groups: Groups, reset_steps: int = 0
) -> Compiled:
    """Transpile T steps of a neuron for a device, once per group of qubits (none without a chip).

    Every placed gate has its own angle; with `reset_steps` own spikes choose those of the encoding.
    """
    if device.has_chip != bool(groups):
        raise HardwareError(
            f"groups is {groups}, but {device.name} "
            + ("needs at least one group of qubits" if device.has_chip else "has no chip")
        )
    if reset_steps:
        require_conditions(device)
    named: Any = {"per_occurrence": True, "reset_steps": reset_steps}
    neuron = neuron_circuit(circuit, steps=steps, **named)
    names = parameter_names(circuit, steps, **named)
    if not groups:
        native = transpile(
            neuron, basis_gates=_AER_BINDS, optimization_level=_OPTIMISATION, seed_transpiler=0
        )
        known = parameters_by_name(native)
        parameters = tuple(known[name] for name in names)
        about = parameters, (REGISTER,), circuit.channels, (), count_gates(native), _depth(native)
        return Compiled(native, device.backend, *about, None, 0.0, 0.0)
    natives = _transpiled(neuron, device.backend, groups)
    qubits = [qubit for group in groups for qubit in group]
    part, first = restrict(device.backend, qubits), natives[0]
    together, registers, parameters = _side_by_side(natives, names)
    together = _in_the_middle(_combine_reset(together, part.target), part.target)
    about = parameters, registers, circuit.channels, groups, count_gates(first), _depth(first)
    if reset_steps:
        target = restrict(device.backend, qubits).target  # one to which gates can be added
        hidden = feedforward.hide(together, target)
        timed = _scheduled(hidden.circuit, target, device.name)
        scheduled = feedforward.show(timed, hidden, target, wait=device.kind != "ibm")
        waiting = feedforward.waits(first) * feedforward.latency(target)
        times = timed.estimate_duration(target, unit="s"), waiting, hidden.under_conditions
    else:
        scheduled = _scheduled(together, part.target, device.name)
        times = scheduled.estimate_duration(part.target, unit="s"), 0.0, 0.0
    if device.kind != "ibm":
        return Compiled(_as_aer_knows(scheduled, part.target), part, *about, *times)
    whole = QuantumCircuit(QuantumRegister(device.backend.num_qubits, "q"), *scheduled.cregs)
    whole.compose(scheduled, qubits, scheduled.clbits, inplace=True)
    return Compiled(whole, device.backend, *about, *times)


def _transpiled(neuron: QuantumCircuit, backend: Backend, groups: Groups) -> list[QuantumCircuit]:
    """Transpile the neuron for each group; groups of one pattern share one circuit."""
    done: dict[object, QuantumCircuit] = {}
    natives = []
    for group in groups:
        part = restrict(backend, group)
        pattern = _pattern(part.target)
        if pattern not in done:
            try:
                done[pattern] = transpile(
                    neuron,
                    target=part.target,
                    initial_layout=list(range(len(group))),
                    optimization_level=_OPTIMISATION,
                    seed_transpiler=0,
                )
            except TranspilerError as error:
                raise HardwareError(
                    f"the neuron cannot be written in the gates of {part.name} ({error.message})"
                ) from error
        natives.append(done[pattern])
    return natives


def _pattern(target: Target) -> object:
    """Collect what decides a transpilation to a given layout: which gates act on which qubits."""
    return frozenset(
        (name, pair)
        for name in target.operation_names
        for pair in target.qargs_for_operation_name(name) or ()
    )


def _side_by_side(
    natives: Sequence[QuantumCircuit], names: Sequence[str]
) -> tuple[QuantumCircuit, tuple[str, ...], tuple[Parameter, ...]]:
    """Join all neurons to one circuit; return its registers and parameters neuron by neuron too."""
    width = natives[0].num_qubits
    registers = tuple(f"{REGISTER}_{slot}" for slot in range(len(natives)))
    bits = [
        ClassicalRegister(native.num_clbits, name)
        for native, name in zip(natives, registers, strict=True)
    ]
    together = QuantumCircuit(QuantumRegister(width * len(natives), "q"), *bits)
    parameters: list[Parameter] = []
    for slot, (native, register) in enumerate(zip(natives, bits, strict=True)):
        own = {name: Parameter(f"neuron_{slot}_{name}") for name in names}
        renamed = native.assign_parameters(
            {parameter: own[name] for name, parameter in parameters_by_name(native).items()}
        )
        first = slot * width
        together.compose(renamed, range(first, first + width), register, inplace=True)
        parameters += own.values()
    return together, registers, tuple(parameters)


def _combine_reset(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    """Replace each measurement and the reset after it by one instruction, if the device has one."""
    name = next((n for n in target.operation_names if n.startswith(_COMBINED)), None)
    if name is None:
        return circuit
    data: list[CircuitInstruction] = []
    last: dict[Qubit, int] = {}  # place of the latest instruction on a qubit
    for instruction in circuit.data:
        first = instruction.qubits[0]
        before = data[last[first]] if first in last else None
        resets = isinstance(instruction.operation, Reset)
        if resets and before is not None and isinstance(before.operation, Measure):
            data[last[first]] = before.replace(operation=MeasureReset(name))
            continue
        last.update(dict.fromkeys(instruction.qubits, len(data)))
        data.append(instruction)
    combined = circuit.copy_empty_like()
    combined.data = data
    return combined


def _in_the_middle(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    """Measure and reset by what the device has for the middle of a circuit, all but at its end."""
    names = (mid_circuit(target, name) for name in ("measure", "reset"))
    return ConvertToMidCircuitResetAndMeasure(target, *names)(circuit)


def _as_aer_knows(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    """Write measurements and resets as the plain ones of Aer, which then read as in the middle.

    Aer has one readout error for a qubit: the last step, too, gets that of the others, if any.
    """
    placed = {instruction.operation.name for instruction in circuit.data}
    named = {mid_circuit(target, each.name): each for each in (Measure(), Reset())}
    plain = {name: each for name, each in named.items() if name in placed}
    for name, each in plain.items():
        for place, properties in target[name].items():
            target.update_instruction_properties(each.name, place, properties)
    shown = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation = plain.get(instruction.operation.name, instruction.operation)
        shown.append(instruction.replace(operation=operation))
    return shown


def _scheduled(circuit: QuantumCircuit, target: Target, name: str) -> QuantumCircuit:
    """Make every idle time an explicit delay, with gates as late as possible."""
    stages: Any = generate_preset_pass_manager(
        optimization_level=0, target=target, scheduling_method="alap"
    )
    try:
        return stages.scheduling.run(circuit)
    except TranspilerError as error:
        raise HardwareError(
            f"{name} does not report how long its instructions take, so that idle times are "
            f"unknown ({error.message}); choose a device that reports durations"
        ) from error


def _depth(circuit: QuantumCircuit) -> int:
    counted = lambda instruction: instruction.operation.name not in ("delay", "barrier")  # noqa: E731
    return feedforward.one_path(circuit).depth(counted)
