"""From a neuron to a device's own instructions: the law stays exactly the neuron's.

Compiled circuits are followed instruction by instruction without noise (`hardware_reference`), so
nothing here is sampled.
"""

import numpy as np
import pytest
import reference
import torch
from hardware_reference import NAMED, circuit_law, parameter_values, random_currents, random_neuron
from numpy.testing import assert_allclose
from qiskit import QuantumCircuit
from qiskit.transpiler import InstructionProperties
from qiskit_ibm_runtime.circuit import MeasureReset
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from qiskit_ibm_runtime.utils.validations import validate_isa_circuits

from sqsnn.errors import HardwareError
from sqsnn.hardware import compile as compile_module
from sqsnn.hardware.circuits import parameter_names
from sqsnn.hardware.compile import Compiled, compile_neuron
from sqsnn.hardware.devices import Device, find, restrict
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.packing import choose_groups
from sqsnn.quantum import circuits
from sqsnn.quantum.circuit import Circuit, Normal

STEPS = 3
EXACT = {"rtol": 0, "atol": 1e-9}
# Chains of neighbours, one and two of them, of chips with other native gates: cx, ecr, cz.
PLACES = {
    "aer": ((),),
    "fake_manila": (((2, 1, 3),), ((0, 1), (4, 3))),
    "fake_brisbane": (((64, 63, 62),), ((0, 1), (5, 4))),
    "fake_torino": (((2, 1, 0),),),
    "fake_boston": (((2, 1, 0),),),
}
CASES = [(device, groups) for device, choices in PLACES.items() for groups in choices]


def bound(compiled: Compiled, rows: list[list[float]]) -> QuantumCircuit:
    """The compiled circuit with a row of angles for every slot."""
    values = [angle for row in rows for angle in row]
    return compiled.circuit.assign_parameters(dict(zip(compiled.parameters, values, strict=True)))


def neuron_rows(
    name: str, memory_qubits: int, slots: int, seed: int
) -> tuple[list[list[float]], np.ndarray]:
    """Rows of angles of different neurons, and the law of all their records together."""
    rows, law = [], np.ones(1)
    for slot in range(slots):
        rng = np.random.default_rng([seed, slot])
        neuron = random_neuron(name, 1, memory_qubits, rng)
        currents = random_currents(1, STEPS, rng)
        rows.append(list(parameter_values(neuron, currents, per_occurrence=True).values()))
        law = np.kron(law, reference.joint_law(neuron, currents))
    return rows, law


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(("device", "groups"), CASES, ids=str)
def test_the_law_is_the_neurons_on_every_chip_and_side_by_side(name, device, groups):
    memory_qubits = len(groups[0]) - 1 if groups else 2
    compiled = compile_neuron(circuits.get(name, 1, memory_qubits), STEPS, find(device), groups)
    assert compiled.slots == max(1, len(groups))
    rows, law = neuron_rows(name, memory_qubits, compiled.slots, seed=1)
    assert_allclose(circuit_law(bound(compiled, rows)), law, **EXACT)


@pytest.mark.parametrize(("device", "groups"), CASES, ids=str)
def test_only_native_instructions_are_left_where_there_is_a_chip(device, groups):
    found = find(device)
    memory_qubits = len(groups[0]) - 1 if groups else 1
    compiled = compile_neuron(circuits.get("crx", 1, memory_qubits), STEPS, found, groups)
    used = set(compiled.circuit.count_ops())
    if not groups:
        # Aer leaves out a controlled rotation whose angle is bound row by row.
        assert used.isdisjoint({"crx", "cry", "crz"})
        assert compiled.duration is None
        return
    chip = [qubit for group in groups for qubit in group]
    for step in compiled.circuit.data:
        local = [compiled.circuit.find_bit(qubit).index for qubit in step.qubits]
        physical = tuple(chip[place] for place in local)
        if step.operation.name != "barrier":
            assert found.target.instruction_supported(step.operation.name, physical), step


def test_an_angle_that_no_measurement_sees_keeps_its_column():
    # Turns about Z before a measurement and of the memory after the last one change no record, and
    # a transpiler may remove them; a table of angles has a column for them all the same.
    placed = [("RX", (0,), Normal()), ("CRX", (0, 1), Normal()), ("RZ", (0,), Normal())]
    circuit = Circuit.build(1, 1, placed)
    names = parameter_names(circuit, 2, per_occurrence=True)
    for device, groups in (("aer", ()), ("fake_manila", ((1, 0),))):
        compiled = compile_neuron(circuit, 2, find(device), groups)
        assert len(compiled.parameters) == len(names)

    rows = np.tile([np.pi, 0, 0, 1, 2, np.pi, 3, 4], (2, 1))
    for device in ("aer", "fake_manila"):
        executor = Executor(find(device), noisy=False)
        spikes = executor.run(circuit, 2, rows, 3, torch.Generator().manual_seed(0))
        assert (spikes[..., 0] == [True, True]).all()


# What is told of a compiled circuit


def test_counts_depth_and_duration_are_those_of_one_neuron():
    device, circuit = find("fake_manila"), circuits.get("bidirectional", 1, 1)
    one = compile_neuron(circuit, STEPS, device, ((1, 0),))
    two = compile_neuron(circuit, STEPS, device, ((1, 0), (2, 3)))
    assert one.gate_counts == two.gate_counts
    assert one.depth == two.depth
    assert "delay" not in one.gate_counts
    seen = dict(one.circuit.count_ops())
    seen.pop("delay", None)
    assert one.gate_counts == seen
    assert one.gate_counts["measure"] == STEPS
    assert one.gate_counts["reset"] == STEPS - 1
    assert two.duration == pytest.approx(one.duration, rel=0.2)


def test_the_duration_is_the_longest_way_through_the_circuit():
    device = find("fake_manila")
    compiled = compile_neuron(circuits.get("crx", 1, 1), STEPS, device, ((1, 0),))
    target = device.target
    busy = dict.fromkeys((0, 1), 0.0)
    for step in compiled.circuit.data:
        wires = [compiled.circuit.find_bit(qubit).index for qubit in step.qubits]
        if step.operation.name == "delay":
            assert step.operation.unit == "dt"
            length = step.operation.duration * target.dt
        else:
            place = tuple((1, 0)[wire] for wire in wires)
            length = target[step.operation.name][place].duration
        end = max(busy[wire] for wire in wires) + length
        busy.update(dict.fromkeys(wires, end))
    assert compiled.duration == pytest.approx(max(busy.values()), rel=1e-6)
    # Every idle time is explicit: both qubits are accounted for from the first gate to the end.
    assert busy[0] == pytest.approx(busy[1], rel=1e-6)
    measured = target["measure"][(1,)].duration + target["reset"][(1,)].duration
    assert compiled.duration > (STEPS - 1) * measured


def test_longer_records_take_proportionally_longer():
    device, circuit = find("fake_manila"), circuits.get("crx", 1, 1)
    durations = [compile_neuron(circuit, t, device, ((1, 0),)).duration for t in (4, 8, 12)]
    assert durations[2] - durations[1] == pytest.approx(durations[1] - durations[0], rel=0.02)


# Measurement and reset in one


def with_combined_reset(qubits: list[int]) -> Device:
    """A chip that also offers a measurement with reset."""
    part = restrict(FakeManilaV2(), qubits)
    times = {(q,): InstructionProperties(duration=6e-6, error=0.02) for q in range(len(qubits))}
    part.target.add_instruction(MeasureReset("measure_reset"), times)
    return Device("combined", part, "fake")


@pytest.mark.parametrize("groups", [((1, 0),), ((1, 0), (2, 3))], ids=str)
def test_measurement_and_reset_are_one_where_the_device_offers_it(groups):
    circuit = circuits.get("bidirectional", 1, 1)
    compiled = compile_neuron(circuit, STEPS, with_combined_reset([0, 1, 2, 3]), groups)
    counts = compiled.circuit.count_ops()
    slots = len(groups)
    assert counts["measure_reset"] == (STEPS - 1) * slots
    assert counts["measure"] == slots  # of the last step, after which nothing is reset
    assert "reset" not in counts
    # The bits stay where they were.
    plain = compile_neuron(circuit, STEPS, find("fake_manila"), groups)
    for one in (compiled, plain):
        for wire in range(2 * slots):
            bits = [
                one.circuit.find_bit(step.clbits[0]).index
                for step in one.circuit.data
                if step.clbits and one.circuit.find_bit(step.qubits[0]).index == wire
            ]
            slot = wire // 2
            assert bits == ([slot * STEPS + t for t in range(STEPS)] if wire % 2 == 0 else [])


def test_elsewhere_they_stay_two():
    compiled = compile_neuron(circuits.get("crx", 1, 1), STEPS, find("fake_manila"), ((1, 0),))
    assert "measure_reset" not in compiled.circuit.count_ops()


# Instructions for the middle of a circuit


def in_the_middle(device: Device, circuit: Circuit, reset_steps: int = 0) -> Compiled:
    groups = choose_groups(device.target, circuit, 1)
    return compile_neuron(circuit, STEPS, device, groups, reset_steps)


@pytest.mark.parametrize("kind", ["fake", "ibm"])
@pytest.mark.parametrize("reset_steps", [0, 3])
@pytest.mark.parametrize(
    ("name", "saved"),
    [("fake_boston", 1.152e-6), ("fake_kingston", 0.52e-6), ("fake_pittsburgh", 1.296e-6)],
)
def test_a_shot_is_shorter_by_what_measuring_in_the_middle_saves(
    name, saved, reset_steps, kind, monkeypatch
):
    device = Device("x", find(name).backend, kind)
    circuit = circuits.get("bidirectional", 1, 1)
    short = in_the_middle(device, circuit, reset_steps)
    monkeypatch.setattr(compile_module, "mid_circuit", lambda target, name: name)
    long = in_the_middle(device, circuit, reset_steps)
    assert short.groups == long.groups
    # On the grid of times, twice a step.
    assert long.duration - short.duration == pytest.approx((STEPS - 1) * saved, abs=1e-8)
    assert short.gate_counts == long.gate_counts
    assert short.depth == long.depth


@pytest.mark.parametrize("copies", [1, 2])
def test_a_service_is_sent_them_at_all_steps_but_the_last(copies):
    device = Device("ibm:test", find("fake_boston").backend, "ibm")
    circuit = circuits.get("bidirectional", 1, 1)
    groups = choose_groups(device.target, circuit, copies)
    compiled = compile_neuron(circuit, STEPS, device, groups)
    validate_isa_circuits([compiled.circuit], device.target)
    counts = compiled.circuit.count_ops()
    assert [counts[name] for name in ("measure_2", "reset_2", "measure")] == [
        copies * (STEPS - 1),
        copies * (STEPS - 1),
        copies,
    ]
    assert "reset" not in counts


def test_aer_waits_as_long_and_reads_as_wrongly_as_in_the_middle():
    device, circuit = find("fake_kingston"), circuits.get("bidirectional", 1, 1)
    compiled = in_the_middle(device, circuit)
    ((channel, _),) = compiled.groups
    counts = compiled.circuit.count_ops()
    assert (counts["measure"], counts["reset"]) == (STEPS, STEPS - 1)
    target, part = device.target, compiled.backend.target
    in_the_snapshot = target["measure_2"][(channel,)]
    assert part["measure"][(0,)].error == in_the_snapshot.error
    assert in_the_snapshot.error != target["measure"][(channel,)].error
    # While the channel is measured and reset, the memory waits, and nothing else does.
    waits = sorted(
        step.operation.duration * target.dt
        for step in compiled.circuit.data
        if step.operation.name == "delay" and compiled.circuit.find_bit(step.qubits[0]).index == 1
    )
    idle = in_the_snapshot.duration + target["reset"][(channel,)].duration
    assert sum(wait >= idle for wait in waits) == STEPS - 1
    assert min(wait for wait in waits if wait >= idle) < idle + 1e-6


def test_one_step_is_measured_as_at_the_end_of_any_circuit():
    device, circuit = find("fake_boston"), circuits.get("bidirectional", 1, 1)
    target = device.target
    errors = {q: [target[n][(q,)].error for n in ("measure", "measure_2")] for q in range(156)}
    # The best in the middle of a circuit, of which the end differs by more than half.
    differ = [q for q in errors if errors[q][0] > 1.5 * errors[q][1]]
    channel = min(differ, key=lambda q: errors[q][1])
    neighbour = next(b for a, b in target.build_coupling_map() if a == channel)
    compiled = compile_neuron(circuit, 1, device, ((channel, neighbour),))
    assert compiled.backend.target["measure"][(0,)].error == errors[channel][0]
    # Where qubits are chosen, both count: a lone channel takes the one whose worse error is least.
    ((chosen,),) = choose_groups(target, circuits.get("crx", 1, 0), 1)
    assert max(errors[chosen]) == min(map(max, errors.values()))


# Refusals


def test_groups_belong_to_a_chip():
    circuit = circuits.get("crx", 1, 1)
    with pytest.raises(HardwareError, match=r"groups .*aer has no chip"):
        compile_neuron(circuit, 2, find("aer"), ((0, 1),))
    with pytest.raises(HardwareError, match=r"groups .*fake_manila needs at least one"):
        compile_neuron(circuit, 2, find("fake_manila"), ())


@pytest.mark.parametrize("name", ["fake_essex", "fake_vigo"])
def test_a_chip_that_reports_no_times_is_refused_by_name(name):
    # Its idle times, and with them the noise of the memory, would be unknown.
    with pytest.raises(HardwareError, match=rf"{name}.*(duration|time)"):
        compile_neuron(circuits.get("crx", 1, 1), 2, find(name), ((0, 1),))


@pytest.mark.parametrize("name", ["fake_brisbane", "fake_boston"])
@pytest.mark.parametrize(("channels", "memory_qubits", "copies"), [(1, 1, 3), (2, 1, 1)])
def test_a_service_takes_the_circuit_as_it_is(name, channels, memory_qubits, copies):
    # What IBM's client checks of every circuit before it sends it; it raises where it would not.
    device = Device("ibm:test", find(name).backend, "ibm")
    circuit = circuits.get("bidirectional", channels, memory_qubits)
    groups = choose_groups(device.target, circuit, copies)
    compiled = compile_neuron(circuit, 3, device, groups)
    assert compiled.circuit.num_qubits == device.backend.num_qubits
    validate_isa_circuits([compiled.circuit], device.target)
