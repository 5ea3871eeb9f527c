"""Circuits as text: every gate is there, in order, on its wires."""

import pytest
from tools import circuit_cases

from sqsnn.quantum import circuit_text, circuits
from sqsnn.quantum.circuit import Circuit, Encoded, Normal

CASES = [circuits.get(*case) for case in circuit_cases(channels=(1, 3), memory_qubits=(0, 1, 3))]
EVERY_GATE = Circuit.build(
    2,
    2,
    [
        *(("CX", (3, 0)), ("CZ", (0, 3)), ("H", (2,)), ("RYY", (1, 3), Normal(0.3, 0.2))),
        *(("CRY", (2, 1), -0.25), ("RZ", (1,), 0), ("RX", (0,), Normal(1.0, random_sign=True))),
    ],
    [Encoded(0, 1, 0.5), Encoded(2, 0, 1.0, trainable=True)],
)


def test_print_lists_the_gates_in_order_with_their_qubits_and_initial_values():
    assert str(EVERY_GATE).splitlines() == [
        "circuit 'custom': 2 channels, 2 memory qubits, 2 angles, 1 gain; one time step",
        "  RX(0.5 phi_1)   channel 0              turned by the current",
        "  RX(gain phi_0)  memory 0               turned by the current",
        "  CX              memory 1 -> channel 0",
        "  CZ              channel 0 -> memory 1",
        "  H               memory 0",
        "  RYY(theta_0)    channel 1, memory 1    starts at 0.3 + 0.2 N(0, 1)",
        "  CRY(-0.25)      memory 0 -> channel 1",
        "  RZ(theta_0)     channel 1              starts at 0.3 + 0.2 N(0, 1)",
        "  RX(theta_1)     channel 0              starts at ±1",
    ]


def test_the_picture_has_a_wire_per_qubit_and_a_column_per_moment():
    assert EVERY_GATE.draw().splitlines() == [
        "channel 0 ──RX(0.5 φ1)──⊕──●──RX(θ1)──────────────────────────────measure──|0>─",
        "                        │  │",
        "channel 1 ──────────────┼──┼──────────RYY(θ0)──RY(-0.25)──RZ(θ0)──measure──|0>─",
        "                        │  │             │         │",
        "memory 0  ─RX(gain φ0)──┼──┼────H────────┼─────────●───────────────────────────",
        "                        │  │             │",
        "memory 1  ──────────────●──●──────────RYY(θ0)──────────────────────────────────",
    ]


@pytest.mark.parametrize("circuit", CASES, ids=lambda it: f"{it.name}-{it.channels}-{it.qubits}")
def test_no_gate_is_missing_from_the_picture(circuit):
    picture = circuit.draw()
    assert max(map(len, picture.splitlines())) <= 96
    for gate in circuit.gates:
        if gate.parameter is not None:
            label = f"{gate.name.removeprefix('C')}(θ{gate.parameter})"
            both_turn = gate.name in ("RXX", "RYY", "RZZ")
            assert picture.count(label) == (2 if both_turn else 1)
    controls = sum(gate.name.startswith("C") for gate in circuit.gates)
    both = sum(gate.name == "CZ" for gate in circuit.gates)
    assert picture.count("●") == controls + both
    assert picture.count("measure") == picture.count("|0>") == circuit.channels


def test_a_notebook_shows_the_picture_as_it_prints():
    picture = circuits.get("crx", 1, 1).draw()
    assert isinstance(picture, str)
    assert repr(picture) == str(picture)


def test_the_gate_list_tells_circuits_apart_to_the_last_digit():
    def listed(angle: float | Normal) -> str:
        return circuit_text.gate_list(Circuit.build(1, 1, [("RX", (0,), angle), ("CZ", (1, 0))]))

    assert listed(0.1) == "RX(phi_0) 0; RX(0.1) 0; CZ 1 0"
    assert listed(0.1 + 2e-17) == "RX(phi_0) 0; RX(0.10000000000000002) 0; CZ 1 0"
    assert listed(Normal(0.1)) == listed(Normal(0.2)) == "RX(phi_0) 0; RX(theta_0) 0; CZ 1 0"


@pytest.mark.parametrize("circuit", [*CASES, EVERY_GATE])
def test_a_circuit_comes_back_from_its_gate_list_but_for_first_values(circuit):
    text = circuit_text.gate_list(circuit)
    again = circuit_text.read_gate_list(text, circuit.channels, circuit.memory_qubits, circuit.name)
    assert (again.gates, again.name) == (circuit.gates, circuit.name)
    learned = [turn._replace(gain=1.0) if turn.trainable else turn for turn in circuit.encoding]
    assert list(again.encoding) == learned


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("RX(theta_0) 0; measure", "holds 'measure', which is no gate"),
        ("RX(theta_1) 0", r"the angles theta_\[1\]; none may be left out"),
        ("RX(theta_0) 2", r"on qubits \(2,\); it needs 1 different ones of 0..1"),
    ],
)
def test_text_that_is_no_gate_list_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        circuit_text.read_gate_list(text, 1, 1)
