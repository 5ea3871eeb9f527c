"""Conditional rotations: their law without sampling, their counts, their time, and their text."""

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import reference_drive
import torch
from hardware_leaky import leaky, some_currents
from hardware_reference import circuit_law
from qiskit import QuantumCircuit
from qiskit.circuit import Clbit, IfElseOp
from qiskit.circuit.classical import expr
from qiskit.providers import BackendV2
from qiskit.transpiler import InstructionProperties
from tools import seeded

from sqsnn.errors import HardwareError
from sqsnn.hardware import feedforward, ibm
from sqsnn.hardware.circuits import (
    count_gates,
    from_qasm3,
    neuron_circuit,
    parameter_names,
    to_qasm3,
)
from sqsnn.hardware.compile import Compiled, compile_neuron
from sqsnn.hardware.devices import Device, Part, bare_target, find, instructions
from sqsnn.hardware.free_run import angles_by_history, remembered
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuits
from sqsnn.quantum.circuit import Circuit, Encoded, Normal

# A channel that turns both memory qubits and not itself.
HIDDEN = Circuit.build(
    1,
    2,
    [("CRX", (1, 0), Normal()), ("RX", (1,), Normal()), ("CRX", (2, 0), Normal())],
    encoding=[Encoded(1, 0, 1.0, trainable=True), Encoded(2, 0, 0.5)],
)
CASES = [
    # circuit, channels, memory qubits, K (None: the whole membrane), steps
    ("bidirectional", 1, 1, 1, 4),
    ("bidirectional", 1, 1, 3, 5),
    ("integrate_and_fire", 1, 1, 2, 4),
    ("integrate_and_fire", 2, 1, 2, 3),
    ("hardware_efficient", 2, 0, 3, 4),
    ("crx", 1, 0, 2, 4),
    (HIDDEN, 1, 2, 2, 4),
    ("bidirectional", 1, 1, None, 6),
    ("integrate_and_fire", 2, 1, None, 3),
    ("hardware_efficient", 1, 1, 4, 6),
    ("bidirectional", 1, 1, None, 1),
]


def named(value) -> str | None:
    return value.name if isinstance(value, Circuit) else None


def driven(
    circuit: str | Circuit, channels: int, memory_qubits: int, length: int | None, steps: int
) -> tuple[SQSNeurons, dict[str, Any]]:
    """Leaky neurons, and what their circuit of so many steps is told."""
    neurons = leaky(circuit, channels, memory_qubits, length)
    return neurons, {"per_occurrence": True, "reset_steps": remembered(neurons.drive, steps)}


def bound_law(circuit: QuantumCircuit, names: tuple[str, ...], row: np.ndarray) -> np.ndarray:
    return circuit_law(circuit.assign_parameters(dict(zip(names, row, strict=True))))


# The law, exactly


@pytest.mark.parametrize(
    ("circuit", "channels", "memory_qubits", "length", "steps"), CASES, ids=named
)
def test_one_circuit_has_the_law_of_the_free_run(circuit, channels, memory_qubits, length, steps):
    neurons, about = driven(circuit, channels, memory_qubits, length, steps)
    currents = some_currents(neurons, steps)
    written = neuron_circuit(neurons.circuit, channels, memory_qubits, steps, **about)
    names = parameter_names(neurons.circuit, steps, **about)
    assert {parameter.name for parameter in written.parameters} == set(names)
    table = angles_by_history(neurons, currents, about["reset_steps"]).detach().numpy()
    laws = neurons.sequence_probabilities(currents).detach().numpy()
    for b, h in np.ndindex(laws.shape[:2]):
        np.testing.assert_allclose(bound_law(written, names, table[b, h]), laws[b, h], atol=1e-12)
    if steps == 1:
        assert feedforward.conditions(written) == 0
        return
    # Histories matter: with those of no spike in place of all others it is another law.
    silent = table[0, 0].copy()
    for column, name in enumerate(names):
        if found := re.fullmatch(r"(phi_\d+_\d+)_([01]+)", name):
            silent[column] = silent[names.index(f"{found[1]}_{'0' * len(found[2])}")]
    assert abs(bound_law(written, names, silent) - laws[0, 0]).sum() > 2e-2


@pytest.mark.parametrize(
    ("circuit", "channels", "memory_qubits", "length", "steps"),
    [*CASES[1:4], CASES[7]],
    ids=named,
)
def test_the_law_survives_openqasm_and_back(circuit, channels, memory_qubits, length, steps):
    neurons, about = driven(circuit, channels, memory_qubits, length, steps)
    text = to_qasm3(neuron_circuit(circuit, channels, memory_qubits, steps, **about))
    assert "&&" not in text and "if (!spikes[0]) {" in text
    read = from_qasm3(text)
    currents = some_currents(neurons, steps)
    names = parameter_names(neurons.circuit, steps, **about)
    row = angles_by_history(neurons, currents, about["reset_steps"])[0, 0].detach().numpy()
    law = neurons.sequence_probabilities(currents)[0, 0].detach().numpy()
    np.testing.assert_allclose(bound_law(read, names, row), law, atol=1e-12)


def test_without_a_reset_the_circuit_is_the_static_one():
    given = circuits.get("integrate_and_fire", 2, 1)
    one, other = (neuron_circuit(given, 2, 1, 3, **k) for k in ({}, {"reset_steps": 0}))
    assert to_qasm3(one) == to_qasm3(other)
    assert parameter_names(given, 3, reset_steps=0) == parameter_names(given, 3)
    assert not feedforward.is_conditional(neuron_circuit(given, 2, 1, 3))


@pytest.mark.parametrize(("length", "steps"), [(2, 5), (3, 5), (4, 6), (None, 6)])
def test_angles_of_histories_are_those_of_the_spikes_that_they_name(length, steps):
    # By the equations of the drive, and where its clip and its floor bind, too.
    neurons, about = driven("integrate_and_fire", 2, 1, length, steps)
    with torch.no_grad():
        neurons.reset.uniform_(0.5, 2.5, generator=seeded(4))
    currents = 2 * some_currents(neurons, steps) - 0.3
    names = parameter_names(neurons.circuit, steps, **about)
    table = angles_by_history(neurons, currents, about["reset_steps"]).detach()
    spread, potentials = set(), []
    for b, h in np.ndindex(table.shape[:2]):
        gains = [0, *neurons.gains[h].tolist()][-len(neurons.circuit.encoding) :]
        reset = neurons.reset[h].tolist()
        drive = reference_drive.Drive(
            "leaky",
            neurons.beta[h].tolist(),
            neurons.bias[h].tolist(),
            whole_reset=reset if length is None else None,
            reset=() if length is None else reset,
        )
        for column, name in enumerate(names[: table.shape[-1]]):
            found = re.fullmatch(r"phi_(\d+)_(\d+)_?([01]*)", name)
            if not found:
                continue
            t, e, own = int(found[1]), int(found[2]), [int(bit) for bit in found[3]]
            rotation = neurons.circuit.encoding[e]
            # What is forgotten may have been anything.
            spikes = [[1, 1]] * (t - len(own)) + [[bit, bit] for bit in own]
            u = reference_drive.potential(drive, currents[: t + 1, b, h].tolist(), spikes)
            u = u[rotation.channel]
            expected = gains[e] * np.pi * min(max(u, 0), 1)
            assert table[b, h, column].item() == pytest.approx(expected, abs=1e-13)
            potentials.append(u)
            spread.add(len(own))
    assert spread == set(range(about["reset_steps"] + 1))
    assert min(potentials) <= -1 and max(potentials) > 1


# Counts


@pytest.mark.parametrize(
    ("steps", "reset_steps", "conditions"),
    [(10, 1, 2 * 9), (10, 2, 2 + 4 * 8), (10, 3, 6 + 8 * 7), (6, 5, 2 + 4 + 8 + 16 + 32)],
)
def test_gates_and_depth_are_of_one_shot_and_conditions_of_all_histories(
    steps, reset_steps, conditions
):
    static = neuron_circuit("bidirectional", 1, 1, steps)
    circuit = neuron_circuit("bidirectional", 1, 1, steps, reset_steps=reset_steps)
    # Of all branches one is taken: the gates are those of the static circuit.
    assert count_gates(circuit) == {**count_gates(static), "if_else": conditions}
    assert feedforward.waits(circuit) == steps - 1
    assert feedforward.conditions(circuit) == conditions
    path = feedforward.one_path(circuit)
    assert path.depth(lambda i: i.operation.name != "barrier") == static.depth()
    executor_counts = compile_neuron(
        circuits.get("bidirectional", 1, 1), steps, find("aer"), (), reset_steps
    )
    assert executor_counts.gate_counts["if_else"] == conditions


def test_every_channel_has_conditions_of_its_own():
    circuit = neuron_circuit("integrate_and_fire", 2, 1, 3, reset_steps=2)
    bits = {bit: number for number, bit in enumerate(circuit.clbits)}
    conditions = [i for i in circuit.data if isinstance(i.operation, IfElseOp)]
    # Step 1 after 2 histories, step 2 after 4, of each channel.
    assert len(conditions) == 2 * 2 + 2 * 4
    for instruction in conditions:
        read = {bits[bit] for bit in instruction.clbits}
        assert len({bit % 2 for bit in read}) == 1
        # Channel 0 drives itself and the memory, channel 1 itself.
        assert len(instruction.qubits) == (2 if min(read) % 2 == 0 else 1)
    counts = count_gates(circuit)
    assert counts["rx"] == 3 * (3 + 3)  # as many rotations by currents as by angles


# Time


def compiled(device: Device, reset_steps: int, steps: int = 4, groups=((0, 1),)) -> Compiled:
    circuit = circuits.get("bidirectional", 1, 1)
    return compile_neuron(circuit, steps, device, groups, reset_steps)


class Reporting(Part):
    """A device that reports how long its conditions take."""

    def __init__(self, whole: BackendV2, latency: float) -> None:
        qubits = range(whole.num_qubits)
        super().__init__(whole, qubits)
        plain, self._target = (
            self._target,
            bare_target(self._target, len(qubits), whole.target.qubit_properties),
        )
        for name, operation in instructions(plain):
            self._target.add_instruction(operation, dict(plain[name]), name=name)
        condition = IfElseOp((Clbit(), True), QuantumCircuit(1))
        durations = {(qubit,): InstructionProperties(latency) for qubit in qubits}
        self._target.add_instruction(condition, durations, name="if_else")


def test_a_shot_takes_longer_by_waiting_and_by_branches_that_are_not_taken():
    device, steps = find("fake_manila"), 4
    static, free = (compiled(device, reset_steps, steps) for reset_steps in (0, 2))
    wait = (steps - 1) * feedforward.FEED_FORWARD
    assert (static.feed_forward, free.feed_forward) == (0, pytest.approx(wait))
    pulse = 2 * device.target["sx"][0,].duration
    # Histories of steps 1, 2 and 3; a branch that is not taken takes its time.
    more = wait + (2 + 4 + 4) * pulse
    # Static rotations merge with the gates beside them: a few pulses either way.
    assert free.duration - static.duration == pytest.approx(more, abs=2 * steps * pulse)
    assert free.gate_counts["if_else"] == 2 + 4 + 4
    assert free.under_conditions == pytest.approx((2 + 4 + 4) * pulse)
    assert static.under_conditions == 0
    assert {"barrier", "delay"}.isdisjoint(free.gate_counts)


def test_the_reported_latency_is_used_where_there_is_one():
    device = find("fake_manila")
    assert feedforward.latency(device.target) == feedforward.FEED_FORWARD == 0.7e-6
    assumed = compiled(device, 1)
    reporting = Device(device.name, Reporting(device.backend, 3e-6), "fake")
    assert feedforward.latency(reporting.target) == 3e-6
    reported = compiled(reporting, 1)
    assert reported.feed_forward == pytest.approx(3 * 3e-6)
    assert reported.duration - assumed.duration == pytest.approx(3 * 2.3e-6, abs=0.2e-6)


def test_the_memory_waits_with_the_rest():
    free = compiled(find("fake_manila"), 1, steps=3)
    waits = {0: 0.0, 1: 0.0}
    for instruction in free.circuit.data:
        if instruction.operation.name == "delay":
            qubit = free.circuit.find_bit(instruction.qubits[0]).index
            waits[qubit] += instruction.operation.duration * find("fake_manila").target.dt
    # The channel waits for the controller alone, the memory for the measurements too.
    assert waits[0] >= 2 * feedforward.FEED_FORWARD
    assert waits[1] > waits[0]


def test_a_real_device_is_not_told_to_wait(monkeypatch):
    snapshot = find("fake_manila")
    told = compiled(snapshot, 2)
    real = compiled(Device("ibm:x", snapshot.backend, "ibm"), 2)
    assert real.duration == told.duration
    dt = snapshot.target.dt

    def waiting(circuit: QuantumCircuit) -> float:
        delays = [i.operation.duration for i in circuit.data if i.operation.name == "delay"]
        return dt * sum(delays)

    # Two qubits at three steps, on the grid of the device's clock.
    more = waiting(told.circuit) - waiting(real.circuit)
    assert more == pytest.approx(2 * 3 * feedforward.FEED_FORWARD, rel=0.01)
    assert count_gates(real.circuit)["if_else"] == count_gates(told.circuit)["if_else"]


def test_conditions_of_neurons_side_by_side_read_their_own_bits():
    pair = compiled(find("fake_manila"), 2, groups=((0, 1), (3, 2)))
    assert pair.slots == 2 and not pair.moves_channels
    registers = [set(register) for register in pair.circuit.cregs]
    for instruction in pair.circuit.data:
        if isinstance(instruction.operation, IfElseOp):
            (slot,) = {pair.circuit.find_bit(qubit).index // 2 for qubit in instruction.qubits}
            assert set(instruction.clbits) <= registers[slot]
    assert feedforward.conditions(pair.circuit) == 2 * pair.gate_counts["if_else"]
    # They are tested at the same time.
    assert pair.under_conditions == pytest.approx(compiled(find("fake_manila"), 2).under_conditions)


def test_a_job_has_room_for_branches_that_are_not_taken():
    # Of each branch of a rotation: the condition, and the gates that it is written in.
    static, free = (compiled(find("fake_manila"), k).circuit for k in (0, 3))
    branches = [i for i in free.data if isinstance(i.operation, IfElseOp)]
    inside = sum(len(branch.operation.blocks[0].data) for branch in branches)
    assert inside >= 3 * len(branches) == 3 * (2 + 4 + 8)
    on = Counter(qubit for i in free.data for qubit in i.qubits)
    (driven,) = {qubit for branch in branches for qubit in branch.qubits}
    assert ibm.rows_per_job(free, 1) == ibm.MAX_INSTRUCTIONS // (on[driven] + inside)
    assert ibm.rows_per_job(free, 1) < 0.6 * ibm.rows_per_job(static, 1)
    # A branch on two qubits is no gate on two.
    wide = QuantumCircuit(2, 1)
    wide.cz(0, 1)
    with wide.if_test((0, True)):
        wide.x([0, 1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ibm, "MAX_PAIR_GATES", 100)
        assert ibm.rows_per_job(wide, 1) == 100


# Refusals


def test_a_device_without_conditions_is_refused_with_what_to_do():
    device = find("fake_lima")
    assert compiled(device, 0).duration is not None
    with pytest.raises(HardwareError, match=r"fake_lima offers no if_else.*fake_boston.*step by"):
        compiled(device, 1)


@pytest.mark.parametrize(
    ("reset_steps", "steps", "said"),
    [
        (-1, 2, r"reset_steps must be an integer"),
        (4, 7, r"reset_steps is 4, but may be 0\.\.3 in a circuit of 7 steps; one of at most 6"),
        (6, 7, r"reset_steps is 6, but"),
    ],
)
def test_other_lengths_of_the_reset_are_refused(reset_steps, steps, said):
    with pytest.raises(ValueError, match=said):
        neuron_circuit("crx", 1, 1, steps, reset_steps=reset_steps)


def test_conditions_with_an_else_are_left_alone():
    circuit = QuantumCircuit(1, 2)
    both = expr.logic_and(circuit.clbits[0], circuit.clbits[1])
    with circuit.if_test(both) as otherwise:
        circuit.x(0)
    with otherwise:
        circuit.h(0)
    assert feedforward.one_inside_another(circuit) == circuit
