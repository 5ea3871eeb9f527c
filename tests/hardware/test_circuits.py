"""The unrolled circuit: its instructions wire by wire, its exact law, its text and its bits."""

import math

import numpy as np
import pytest
import reference
from hardware_reference import (
    CASES,
    NAMED,
    circuit_law,
    parameter_values,
    random_currents,
    random_neuron,
    rotations,
)
from numpy.testing import assert_allclose
from qiskit import QuantumCircuit
from qiskit.primitives import BitArray
from reference import Drive, Gate, Neuron

from sqsnn.errors import HardwareError
from sqsnn.hardware.circuits import (
    from_qasm3,
    neuron_circuit,
    parameter_names,
    spikes_of,
    to_qasm3,
)
from sqsnn.quantum import circuits
from sqsnn.quantum.circuits import Circuit, Encoded, Normal

STEPS = 3
EXACT = {"rtol": 0, "atol": 1e-10}


def bound(
    neuron: Neuron, currents: np.ndarray, circuit: QuantumCircuit, *, per_occurrence: bool
) -> QuantumCircuit:
    """The circuit with this neuron's angles and currents, parameter by parameter name."""
    values = parameter_values(neuron, currents, per_occurrence=per_occurrence)
    assert {parameter.name for parameter in circuit.parameters} == set(values)
    return circuit.assign_parameters(values)


def case(name: str, channels: int, memory_qubits: int, seed: int = 0) -> tuple[Neuron, np.ndarray]:
    rng = np.random.default_rng([seed, NAMED.index(name), channels, memory_qubits])
    return random_neuron(name, channels, memory_qubits, rng), random_currents(channels, STEPS, rng)


def wire(circuit: QuantumCircuit, qubit: int) -> list[tuple]:
    """What happens on one qubit, in order: gate, all its qubits, its angle's name or its bit."""
    seen = []
    for step in circuit.data:
        qubits = tuple(circuit.find_bit(q).index for q in step.qubits)
        if qubit in qubits:
            labels = [str(angle) for angle in step.operation.params]
            labels += [circuit.find_bit(bit).index for bit in step.clbits]
            seen.append((step.operation.name.upper(), qubits, *labels))
    return seen


def expected_wires(neuron: Neuron, steps: int, *, per_occurrence: bool) -> list[list[tuple]]:
    """The same for every qubit from the specification: rotate, V(theta), measure, reset between."""
    N = neuron.channels
    order = rotations(neuron)
    drives = sorted(neuron.encoding, key=lambda drive: drive.qubit)
    events = []
    for t in range(steps):
        events += [("RX", (d.qubit,), f"phi_{t}_{e}") for e, d in enumerate(drives)]
        for g, gate in enumerate(neuron.gates):
            number = f"{t}_{g}" if per_occurrence else f"{order.index(g) if g in order else None}"
            events.append((gate.name, gate.qubits, *([f"theta_{number}"] if g in order else [])))
        events += [("MEASURE", (n,), t * N + n) for n in range(N)]
        events += [("RESET", (n,)) for n in range(N) if t < steps - 1]
    return [[e for e in events if qubit in e[1]] for qubit in range(neuron.qubits)]


# Structure


@pytest.mark.parametrize("per_occurrence", [False, True])
@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_every_wire_carries_what_the_specification_says(
    name, channels, memory_qubits, per_occurrence
):
    neuron, _ = case(name, channels, memory_qubits)
    circuit = neuron_circuit(name, channels, memory_qubits, STEPS, per_occurrence=per_occurrence)
    wires = [wire(circuit, qubit) for qubit in range(circuit.num_qubits)]
    assert wires == expected_wires(neuron, STEPS, per_occurrence=per_occurrence)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_bits_qubits_and_resets_are_counted(name, channels, memory_qubits, steps):
    circuit = neuron_circuit(name, channels, memory_qubits, steps)
    assert circuit.num_qubits == channels + memory_qubits
    assert [(register.name, register.size) for register in circuit.cregs] == [
        ("spikes", steps * channels)
    ]
    assert circuit.num_clbits == steps * channels
    counts = circuit.count_ops()
    assert counts["measure"] == steps * channels
    assert counts.get("reset", 0) == (steps - 1) * channels
    assert "barrier" not in counts
    per_step = circuits.get(name, channels, memory_qubits).gate_counts()
    assert {gate: n for gate, n in counts.items() if gate not in ("measure", "reset")} == {
        gate.lower(): steps * n for gate, n in per_step.items() if n
    }


@pytest.mark.parametrize("per_occurrence", [False, True])
@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_names_stand_in_the_canonical_order(name, channels, memory_qubits, per_occurrence):
    neuron, currents = case(name, channels, memory_qubits)
    circuit = circuits.get(name, channels, memory_qubits)
    expected = parameter_values(neuron, currents, per_occurrence=per_occurrence)
    named = parameter_names(circuit, STEPS, per_occurrence=per_occurrence)
    assert named == tuple(expected)  # a dict's keys keep their order
    assert len(named) == STEPS * len(neuron.encoding) + len(rotations(neuron)) * (
        STEPS if per_occurrence else 1
    )


def test_more_than_nine_steps_keep_their_order():
    # Sorted as text, step 10 would come before step 2.
    circuit = circuits.get("crx", 1, 1)
    named = parameter_names(circuit, 12, per_occurrence=True)
    assert named[:12] == tuple(f"phi_{t}_0" for t in range(12))
    assert named[12:] == tuple(f"theta_{t}_{g}" for t in range(12) for g in range(3))


def test_a_circuit_object_serves_as_well_as_its_name():
    named = neuron_circuit("bidirectional", 2, 1, 2)
    given = neuron_circuit(circuits.get("bidirectional", 2, 1), steps=2)
    assert [wire(named, q) for q in range(3)] == [wire(given, q) for q in range(3)]


# Law


@pytest.mark.parametrize("per_occurrence", [False, True])
@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_the_law_is_the_neurons(name, channels, memory_qubits, per_occurrence):
    neuron, currents = case(name, channels, memory_qubits)
    circuit = neuron_circuit(name, channels, memory_qubits, STEPS, per_occurrence=per_occurrence)
    law = circuit_law(bound(neuron, currents, circuit, per_occurrence=per_occurrence))
    assert_allclose(law.sum(), 1, **EXACT)
    assert_allclose(law, reference.joint_law(neuron, currents), **EXACT)


@pytest.mark.parametrize("name", NAMED)
def test_every_angle_matters_at_its_own_step(name):
    # Turning one gate at one step gives the law of a neuron whose gate is turned at this step
    # alone. No gate is left out: each moves the law at one step at least (not at all: controls may
    # be in |0> at the first, and nothing reads the memory after the last).
    neuron, currents = case(name, 2, 2)
    values = parameter_values(neuron, currents, per_occurrence=True)
    circuit = neuron_circuit(name, 2, 2, STEPS, per_occurrence=True)
    right = reference.joint_law(neuron, currents)
    for g in rotations(neuron):
        moved = []
        for t in range(STEPS):
            angle = neuron.gates[g].angle + 0.7
            law = circuit_law(circuit.assign_parameters(values | {f"theta_{t}_{g}": angle}))
            assert_allclose(law, law_turned_once(neuron, currents, t, g, 0.7), **EXACT)
            moved.append(np.abs(law - right).max())
        assert max(moved) > 1e-4, neuron.gates[g]


def law_turned_once(
    neuron: Neuron, currents: np.ndarray, step: int, place: int, angle: float
) -> np.ndarray:
    """The joint law of a neuron one of whose gates is turned further at one step."""
    gates = list(neuron.gates)
    gates[place] = gates[place]._replace(angle=gates[place].angle + angle)
    turned = Neuron(neuron.channels, neuron.memory_qubits, neuron.encoding, tuple(gates))
    memories = [reference.start(neuron)]
    for t, current in enumerate(currents):
        who = turned if t == step else neuron
        memories = [after for memory in memories for after in reference.step(who, memory, current)]
    return np.array([np.trace(memory).real for memory in memories])


def test_a_wrong_angle_or_order_is_noticed():
    # The comparison above can fail: for a wrong angle, swapped channels, and steps in reverse.
    neuron, currents = case("bidirectional", 2, 1)
    circuit = neuron_circuit("bidirectional", 2, 1, STEPS)
    values = parameter_values(neuron, currents, per_occurrence=False)
    right = reference.joint_law(neuron, currents)
    wrong = circuit_law(circuit.assign_parameters(values | {"theta_0": values["theta_0"] + 0.1}))
    assert np.abs(wrong - right).max() > 1e-3
    bits = right.reshape((2, 2) * STEPS)  # (s_00, s_01, s_10, s_11, s_20, s_21)
    assert np.abs(bits.transpose(1, 0, 3, 2, 5, 4) - bits).max() > 1e-3
    assert np.abs(bits.transpose(4, 5, 2, 3, 0, 1) - bits).max() > 1e-3


@pytest.mark.parametrize("name", NAMED)
def test_equal_angles_per_occurrence_are_the_shared_circuit(name):
    neuron, currents = case(name, 2, 2, seed=1)
    laws = [
        circuit_law(
            bound(
                neuron,
                currents,
                neuron_circuit(name, 2, 2, STEPS, per_occurrence=each),
                per_occurrence=each,
            )
        )
        for each in (False, True)
    ]
    assert_allclose(*laws, **EXACT)


def test_without_memory_the_steps_are_independent():
    neuron = reference.named("crx", 1, 0, [0.8])
    currents = np.array([[0.3], [-0.5], [0.9]])
    circuit = neuron_circuit("crx", 1, 0, STEPS)
    law = circuit_law(bound(neuron, currents, circuit, per_occurrence=False))
    fires = [math.sin((math.pi * z + 0.8) / 2) ** 2 for z in (0.3, 0.0, 0.9)]
    p = [np.array([1 - f, f]) for f in fires]
    assert_allclose(law, np.einsum("i,j,k->ijk", *p).reshape(-1), **EXACT)


# One's own circuits

EVERY_GATE = [
    ("H", (0,)),
    ("RX", (2,)),
    ("RY", (1,)),
    ("RZ", (0,)),
    ("CRX", (2, 0)),
    ("CRY", (0, 2)),
    ("CRZ", (1, 2)),
    ("RXX", (2, 1)),
    ("RYY", (1, 0)),
    ("RZZ", (0, 2)),
    ("CX", (2, 1)),
    ("CZ", (1, 0)),
    ("RY", (0,)),
    ("H", (1,)),
]


def test_every_kind_of_gate_is_placed_as_it_acts():
    rng = np.random.default_rng(5)
    angles = [float(rng.normal(0, 1.5)) for _ in EVERY_GATE]
    fixed = ("H", "CX", "CZ")
    placed = [(name, qubits, None if name in fixed else Normal(0.3)) for name, qubits in EVERY_GATE]
    encoding = [Encoded(2, 1, 0.0, trainable=True), Encoded(0, 1, 0.5), Encoded(1, 0)]
    circuit = Circuit.build(2, 1, placed, encoding)
    neuron = Neuron(
        2,
        1,
        (Drive(0, 1, 0.5), Drive(1, 0), Drive(2, 1, -1.3)),
        tuple(
            Gate(name, qubits, 0.0 if name in fixed else angle)
            for (name, qubits), angle in zip(EVERY_GATE, angles, strict=True)
        ),
    )
    currents = random_currents(2, STEPS, rng)
    for each in (False, True):
        unrolled = neuron_circuit(circuit, 2, 1, STEPS, per_occurrence=each)
        law = circuit_law(bound(neuron, currents, unrolled, per_occurrence=each))
        assert_allclose(law, reference.joint_law(neuron, currents), **EXACT)
    # The same with all angles fixed: the encoding's alone are left open.
    values = parameter_values(neuron, currents, per_occurrence=False)
    fixed_angles = [
        (name, qubits, None if start is None else angle)
        for (name, qubits, start), angle in zip(placed, angles, strict=True)
    ]
    unrolled = neuron_circuit(Circuit.build(2, 1, fixed_angles, encoding), 2, 1, STEPS)
    phis = {name: value for name, value in values.items() if name.startswith("phi")}
    law = circuit_law(unrolled.assign_parameters(phis))
    assert_allclose(law, reference.joint_law(neuron, currents), **EXACT)


def test_a_channel_that_no_current_rotates_has_no_gate_and_no_name():
    placed = [("CRX", (0, 2), Normal(1.0)), ("RX", (1,), Normal(0.4))]
    circuit = Circuit.build(2, 1, placed, [Encoded(1, 0), Encoded(2, 1)])
    # Channel 0 stands in the encoding at a fixed gain of 0: names count places, so 1 and 2 remain.
    assert parameter_names(circuit, 2)[:4] == ("phi_0_1", "phi_0_2", "phi_1_1", "phi_1_2")
    unrolled = neuron_circuit(circuit, 2, 1, 2)
    assert [name for name, *_ in wire(unrolled, 0)] == ["CRX", "MEASURE", "RESET", "CRX", "MEASURE"]
    assert {p.name for p in unrolled.parameters} == set(parameter_names(circuit, 2))


# OpenQASM 3


@pytest.mark.parametrize("per_occurrence", [False, True])
@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_openqasm_and_back_keeps_names_and_law(name, channels, memory_qubits, per_occurrence):
    neuron, currents = case(name, channels, memory_qubits)
    circuit = neuron_circuit(name, channels, memory_qubits, STEPS, per_occurrence=per_occurrence)
    text = to_qasm3(circuit)
    assert text.startswith("OPENQASM 3")
    assert "spikes" in text
    back = from_qasm3(text)
    assert {p.name for p in back.parameters} == {p.name for p in circuit.parameters}
    assert [(register.name, register.size) for register in back.cregs] == [
        ("spikes", STEPS * channels)
    ]
    assert back.num_qubits == channels + memory_qubits
    law = circuit_law(bound(neuron, currents, back, per_occurrence=per_occurrence))
    assert_allclose(law, reference.joint_law(neuron, currents), **EXACT)


@pytest.mark.parametrize("name", NAMED)
def test_a_bound_circuit_survives_openqasm(name):
    neuron, currents = case(name, 2, 2, seed=2)
    circuit = neuron_circuit(name, 2, 2, STEPS)
    text = to_qasm3(bound(neuron, currents, circuit, per_occurrence=False))
    back = from_qasm3(text)
    assert not back.parameters
    # The text must carry the angles in full: to 1e-10, not to a few digits.
    assert_allclose(circuit_law(back), reference.joint_law(neuron, currents), **EXACT)


def test_tiny_and_special_angles_survive_openqasm():
    circuit = neuron_circuit("crx", 1, 1, 2)
    values = dict(zip(parameter_names(circuits.get("crx", 1, 1), 2), (0.0, 1e-17), strict=False))
    values |= {"theta_0": math.pi, "theta_1": -3e-9, "theta_2": 1 / 3}
    at = circuit.assign_parameters(values)
    back = from_qasm3(to_qasm3(at))
    assert_allclose(circuit_law(back), circuit_law(at), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    "text", ["", "OPENQASM 3.0;\nqubit[2] q;\nnonsense q[0];", "not a program"]
)
def test_text_that_is_no_program_is_refused(text):
    with pytest.raises(HardwareError, match="OpenQASM 3 program cannot be read"):
        from_qasm3(text)


# Bits


def test_bits_come_back_as_spikes_of_rows_shots_steps_channels():
    rows, shots, steps, channels = 3, 5, 4, 2
    rng = np.random.default_rng(0)
    expected = rng.random((rows, shots, steps, channels)) < 0.5
    # Qiskit writes classical bit 0 rightmost.
    text = [
        "".join("01"[int(bit)] for bit in record.reshape(-1)[::-1])
        for record in expected.reshape(-1, steps, channels)
    ]
    bits = BitArray.from_samples(text, num_bits=steps * channels)
    bits = BitArray(bits.array.reshape(rows, shots, -1), steps * channels)
    spikes = spikes_of(bits, steps, channels)
    assert spikes.dtype == bool
    assert spikes.shape == expected.shape
    assert (spikes == expected).all()


@pytest.mark.parametrize(("steps", "channels"), [(1, 1), (8, 1), (9, 1), (3, 3), (20, 2)])
def test_one_set_bit_lands_at_one_step_and_channel(steps, channels):
    # Around the edges of bytes too: 8, 9, 40 bits.
    size = steps * channels
    bits = BitArray.from_samples([1 << place for place in range(size)], num_bits=size)
    spikes = spikes_of(BitArray(bits.array[:, None], size), steps, channels)
    assert (spikes.reshape(size, size) == np.eye(size, dtype=bool)).all()


# Refusals


def test_a_wrong_number_of_bits_is_refused():
    bits = BitArray.from_samples([0, 1, 5], num_bits=3)
    bits = BitArray(bits.array[None], 3)
    with pytest.raises(HardwareError, match=r"3 bits.*4"):
        spikes_of(bits, 2, 2)


def test_unknown_circuits_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"circuit is 'lstm'.*bidirectional"):
        neuron_circuit("lstm", 1, 1, 2)


@pytest.mark.parametrize("steps", [0, -1])
def test_no_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps"):
        neuron_circuit("crx", 1, 1, steps)


@pytest.mark.parametrize(
    ("channels", "memory_qubits", "named"),
    [
        (0, 1, "channels"),
        (9, 1, "channels"),
        (8, 3, "channels"),
        (1, 7, "memory_qubits"),
        (1, -1, "memory_qubits"),
    ],
)
def test_impossible_registers_are_refused(channels, memory_qubits, named):
    with pytest.raises(ValueError, match=named):
        neuron_circuit("crx", channels, memory_qubits, 2)


def test_a_circuit_is_enough_and_a_name_needs_its_qubits():
    crx = circuits.get("crx", 2, 1)
    assert to_qasm3(neuron_circuit(crx)) == to_qasm3(neuron_circuit("crx", 2, 1, 1))
    for missing in ({}, {"channels": 1}, {"memory_qubits": 1}):
        with pytest.raises(ValueError, match=r"circuit is 'crx', .* give channels and memory_qub"):
            neuron_circuit("crx", **missing)


def test_a_circuit_made_for_other_qubits_is_refused():
    with pytest.raises(ValueError, match=r"channels=1, memory_qubits=1.*2 and 1"):
        neuron_circuit(circuits.get("crx", 1, 1), 2, 1, 2)
