"""A gate list: its unitary, what is split off it, what is refused."""

import copy
import math
import pickle
from dataclasses import replace

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import frame_change, random_angles
from torch.testing import assert_close

from sqsnn.quantum import circuits, gates
from sqsnn.quantum.circuit import Circuit, Encoded, Gate, Normal, pattern, unitary

pytestmark = pytest.mark.usefixtures("device")

TURN = Normal(0.0)
FIXED = (0.0, 0.7, -math.pi / 2, math.pi, 2 * math.pi, -5.0)


def full_unitary(circuit: Circuit, angles: torch.Tensor, real_frame: bool = False) -> torch.Tensor:
    return unitary(circuit.gates, angles, circuit.qubits, real_frame=real_frame)[0]


@st.composite
def gate_lists(draw) -> tuple[int, int, list]:
    channels, memory_qubits = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    qubits = channels + memory_qubits
    names = [name for name, form in gates.GATES.items() if form.qubits <= qubits]
    placements = []
    for name in draw(st.lists(st.sampled_from(sorted(names)), max_size=8)):
        form = gates.GATES[name]
        chosen = draw(st.permutations(range(qubits)))[: form.qubits]
        angle = draw(st.sampled_from([TURN, TURN, *FIXED])) if form.parametrised else None
        placements.append((name, tuple(chosen), angle))
    return channels, memory_qubits, placements


@settings(max_examples=60)
@given(gate_lists(), st.integers(0, 100))
def test_any_gate_list_is_its_kronecker_product_real_or_not(gate_list, seed):
    circuit = Circuit.build(*gate_list)
    angles = random_angles(circuit, seed=seed)
    placed = [
        reference.Gate(name, qubits, (fixed or 0.0) if p is None else float(angles[0, p]))
        for name, qubits, p, fixed in circuit.gates
    ]
    expected = torch.as_tensor(reference.unitary(placed, circuit.qubits))
    made = full_unitary(circuit, angles)
    assert_close(made, expected, rtol=0, atol=1e-12)
    if circuit.is_real:
        D = frame_change(circuit.qubits)
        real = full_unitary(circuit, angles, real_frame=True)
        assert_close(real.to(made.dtype), D.conj().T @ expected @ D, rtol=0, atol=1e-12)
    nonzero = made.abs().cpu().numpy() > 1e-12
    assert not (nonzero & ~pattern(circuit.gates, circuit.qubits)).any()


@settings(max_examples=60)
@given(gate_lists(), st.integers(0, 100))
def test_the_memory_tail_is_split_off_without_changing_the_unitary(gate_list, seed):
    circuit = Circuit.build(*gate_list)
    angles = random_angles(circuit, seed=seed)
    body, tail = circuit.split_memory_tail()
    assert len(body) + len(tail) == len(circuit.gates)
    V = unitary(body, angles, circuit.qubits, real_frame=False)[0]
    W = unitary(tail, angles, circuit.memory_qubits, real_frame=False)[0]
    channels = torch.eye(2**circuit.channels, dtype=W.dtype)
    whole = full_unitary(circuit, angles)
    assert_close(torch.kron(channels, W) @ V, whole, rtol=0, atol=1e-12)


def test_the_tail_of_crx_is_the_memorys_own_rotation():
    _, tail = circuits.get("crx", 2, 1).split_memory_tail()
    assert [gate.name for gate in tail] == ["RX"]
    assert circuits.get("bidirectional", 1, 1).split_memory_tail()[1] == ()


def test_an_encoding_of_ones_own_rotates_what_it_names_and_nothing_else():
    rotations = [Encoded(2, 1, 0.5, trainable=True), Encoded(1, 0, 2.0)]
    circuit = Circuit.build(2, 1, [], rotations)
    assert circuit.encoding == (Encoded(0, 0, 0.0), Encoded(1, 0, 2.0), rotations[0])
    assert circuit.trainable_gains == 1
    assert circuit.gate_counts()["RX"] == 2


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        (("RXY", (0, 1), TURN), "gate is 'RXY'; it may be one of RX"),
        (("RX", (3,), TURN), r"qubits \(3,\); it needs 1 different ones of 0..2"),
        (("RX", (-1,), TURN), r"qubits \(-1,\)"),
        (("CRX", (1, 1), TURN), r"qubits \(1, 1\); it needs 2 different"),
        (("CRX", (1,), TURN), r"qubits \(1,\)"),
        (("RX", (0,), None), r"RX on qubits \(0,\) takes one angle: a Normal, such as"),
        (("RX", (0,)), r"takes one angle"),
        (("CZ", (0, 1), TURN), r"takes no angle"),
        (("H", (0,), 0.5), r"takes no angle"),
        (("RX", (0,), 1), r"angle 1: an integer shares .* have 0; write 1.0 for a fixed angle"),
        (("RX", (0,), True), r"angle True"),
        (("RX", (0,), math.nan), r"angle nan, which is no finite number"),
        (("RX", (0,), "theta"), r"angle 'theta', which is no finite number"),
        (("H", 0), r"qubits 0; write \(0,\)"),
        (("H",), r"a gate is \(name, qubits\) or \(name, qubits, angle\), but is \('H',\)"),
    ],
)
def test_a_gate_that_does_not_fit_is_refused(placement, message):
    with pytest.raises(ValueError, match=message):
        Circuit.build(2, 1, [placement])


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ([Encoded(3, 0)], "rotates qubit 3"),
        ([Encoded(0, 0), Encoded(0, 1)], "rotates qubit 0; .* once"),
        ([Encoded(0, 2)], "names channel 2; it may be 0..1"),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused(encoding, message):
    with pytest.raises(ValueError, match=message):
        Circuit.build(2, 1, [], encoding)


def test_gates_may_share_a_parameter_and_need_not_name_an_angle():
    circuit = Circuit.build(
        1, 1, [("H", (0,)), ("RX", (0,), TURN), ("CRY", (0, 1), 0), ("RZ", (1,), 0.5)]
    )
    assert circuit.gates == (
        Gate("H", (0,)),
        Gate("RX", (0,), 0),
        Gate("CRY", (0, 1), 0),
        Gate("RZ", (1,), None, 0.5),
    )
    assert circuit.initial == (TURN,)


def test_a_circuit_of_something_else_than_gates_is_refused():
    circuit = Circuit.build(1, 0, [("H", (0,))])
    # Past the constructor, whose annotations the tests check.
    object.__setattr__(circuit, "gates", (("H", (0,)),))
    with pytest.raises(TypeError, match=r"gates holds \('H', \(0,\)\).* use Circuit.build"):
        circuit.__post_init__()


def test_a_circuit_travels_and_compares_by_value():
    gates = [("CRX", (0, 1), Normal(1.0)), ("RZ", (0,), 0.5), ("H", (1,))]
    circuit, twin = Circuit.build(1, 1, gates), Circuit.build(1, 1, gates)
    assert circuit == twin
    assert hash(circuit) == hash(twin)
    assert pickle.loads(pickle.dumps(circuit)) == copy.deepcopy(circuit) == circuit
    assert Circuit.build(1, 1, [*gates[:1], ("RZ", (0,), 0.6), *gates[2:]]) != circuit


def test_a_circuit_is_immutable():
    circuit = circuits.get("crx", 1, 1)
    with pytest.raises(AttributeError):
        circuit.channels = 2
    assert replace(circuit, name="mine") != circuit
