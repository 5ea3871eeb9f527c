"""Circuits taken apart into rotations of real amplitudes are the same circuits."""

import math

import numpy as np
import pytest
from tools import CIRCUITS, seeded

from sqsnn.quantum import circuits, gates, rotations
from sqsnn.quantum.circuit import Circuit, Normal, unitary

pytestmark = pytest.mark.usefixtures("device")

FIXED = [
    *(("RX", (0,), 0.7), ("CRX", (0, 1), Normal(1.0)), ("CRX", (1, 0), math.pi), ("CZ", (0, 1))),
    *(("RX", (1,), 0), ("RX", (1,), 2 * math.pi)),
]
CASES = [
    *(circuits.get(name, *size) for name in CIRCUITS for size in ((1, 1), (2, 1), (1, 3))),
    Circuit.build(1, 1, FIXED),
    Circuit.build(1, 1, [*FIXED, ("RYY", (0, 1), 0.3), ("CRZ", (0, 1), -1.0), ("H", (0,))]),
]


@pytest.mark.parametrize("circuit", CASES, ids=lambda it: f"{it.name}-{it.qubits}-{len(it.gates)}")
def test_the_rotations_multiply_to_the_circuit(circuit):
    channels, memory = circuit.channels, circuit.memory_qubits
    angles = circuit.initial_parameters(1, seeded(0)) + 0.3
    size = 2**circuit.qubits * (1 if circuit.is_real else 2)
    product = np.eye(size)
    for op in rotations.operations(circuit):
        step, pair = np.eye(size), np.ix_([op.i, op.j], [op.i, op.j])
        if op.kind == rotations.TURN:
            half = angles[0, op.parameter].item() / 2
            c, s = np.cos(half), np.sin(half)
            step[pair] = [[c, -s], [s, c]]
        elif op.kind == rotations.BLOCK:
            step[pair] = np.reshape(op.block, (2, 2))
        else:
            step[op.i, op.i] = op.block[0]
        product = step @ product
    whole = unitary(circuit.gates, angles, circuit.qubits, real_frame=False)[0].cpu().numpy()
    frame = gates.frame_phases(circuit.qubits)
    onward = frame.conj()
    if not circuit.is_real:  # the channel qubits stay in the laboratory frame
        onward = np.tile(onward[: 2**memory], 2**channels)
    whole = onward[:, None] * whole * frame
    if circuit.is_real:
        whole = whole.real
    else:
        whole = np.block([[whole.real, -whole.imag], [whole.imag, whole.real]])
    np.testing.assert_allclose(product, whole, rtol=0, atol=1e-14)


def test_a_gate_that_mixes_more_than_two_amplitudes_is_refused(monkeypatch):
    mixing = np.full((4, 4), 0.5, dtype=complex)
    table = dict(gates.GATES) | {"W": gates.GateForm(mixing, 0 * mixing, 0 * mixing)}
    monkeypatch.setattr(gates, "GATES", table)
    with pytest.raises(ValueError, match="gate W is no rotation of pairs"):
        rotations.operations(Circuit.build(1, 1, [("W", (0, 1), None), ("RX", (0,), Normal())]))
