"""Gates: the matrices of quantum mechanics, and the frame in which some of them are real."""

import math

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import seeded
from torch.testing import assert_close

from sqsnn.quantum import gates

pytestmark = pytest.mark.usefixtures("device")

ONE_QUBIT = ("RX", "RY", "RZ", "H")
TWO_QUBITS = ("CRX", "CRY", "CRZ", "RXX", "RYY", "RZZ", "CX", "CZ")
WITHOUT_ANGLE = ("CX", "CZ", "H")
REAL = ("RX", "CRX", "CZ")  # the gates that are real after diag(1, -i) on every qubit


def zero() -> torch.Tensor:
    return torch.zeros((), dtype=torch.float64)


def qubits_of(name: str) -> tuple[int, ...]:
    return (0,) if name in ONE_QUBIT else (0, 1)


def laboratory(name: str, angle: float) -> torch.Tensor:
    given = None if name in WITHOUT_ANGLE else torch.tensor(angle, dtype=torch.float64)
    return gates.matrix(name, given, real_frame=False, like=zero())


def expected(name: str, angle: float) -> torch.Tensor:
    qubits = qubits_of(name)
    matrix = reference.gate_matrix(reference.Gate(name, qubits, angle), len(qubits))
    return torch.as_tensor(matrix)


def test_the_gates_are_the_twelve_of_the_specification():
    assert set(gates.GATES) == {*ONE_QUBIT, *TWO_QUBITS}


@pytest.mark.parametrize("name", [*ONE_QUBIT, *TWO_QUBITS])
def test_a_gate_is_its_matrix_exponential(name):
    for angle in (0.0, 0.4, -1.3, math.pi, 2 * math.pi, 5.0, 4 * math.pi, -30.0):
        assert_close(laboratory(name, angle), expected(name, angle), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", sorted({*gates.GATES} - {*WITHOUT_ANGLE}))
def test_a_batch_of_angles_gives_a_batch_of_matrices(name):
    angles = torch.tensor([[0.3, -2.0, 7.0], [1.0, 0.0, -0.5]], dtype=torch.float64)
    batch = gates.matrix(name, angles, real_frame=False, like=angles)
    for index in np.ndindex(2, 3):
        assert_close(batch[index], expected(name, float(angles[index])), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_follows_the_parameters(dtype):
    like = torch.zeros(2, dtype=dtype)
    assert gates.matrix("RX", like, real_frame=True, like=like).dtype == dtype
    assert gates.matrix("CZ", None, real_frame=True, like=like).dtype == dtype
    assert gates.matrix("RX", like, real_frame=False, like=like).dtype == dtype.to_complex()


@pytest.mark.parametrize("name", ["CRX", "CRY", "CRZ"])
def test_a_controlled_rotation_has_period_4_pi_and_not_2_pi(name):
    turn = 2 * math.pi
    minus = torch.diag(torch.tensor([1, 1, -1, -1], dtype=torch.complex128))
    assert_close(laboratory(name, 0.7 + turn), minus @ laboratory(name, 0.7), rtol=0, atol=1e-13)
    assert_close(laboratory(name, 0.7 + 2 * turn), laboratory(name, 0.7), rtol=0, atol=1e-13)


def test_the_first_qubit_of_a_controlled_gate_is_the_control():
    start = torch.zeros(4, dtype=torch.complex128)
    start[0b10] = 1  # control 1, target 0
    assert_close((laboratory("CX", 0.0) @ start).abs()[0b11], zero() + 1)
    start = start.roll(-1)  # |01>: control 0
    assert_close((laboratory("CX", 0.0) @ start).abs()[0b01], zero() + 1)


@pytest.mark.parametrize("name", [*ONE_QUBIT, *TWO_QUBITS])
def test_exactly_the_listed_gates_are_real_in_the_real_frame(name):
    qubits = len(qubits_of(name))
    frame = reference.on({q: np.diag([1, -1j]) for q in range(qubits)}, qubits)
    turned = frame.conj().T @ expected(name, 0.9).cpu().numpy() @ frame
    assert gates.GATES[name].is_real == (name in REAL) == np.allclose(turned.imag, 0)
    if name in REAL:
        angle = None if name in WITHOUT_ANGLE else zero() + 0.9
        real = gates.matrix(name, angle, real_frame=True, like=zero())
        assert_close(real, torch.as_tensor(turned.real), rtol=0, atol=1e-14)


def test_the_phases_of_the_frame_count_the_ones_of_the_index():
    frame = reference.on({q: np.diag([1, -1j]) for q in range(5)}, 5)
    np.testing.assert_array_equal(gates.frame_phases(5), np.diag(frame))


@pytest.mark.parametrize("name", [*ONE_QUBIT, *TWO_QUBITS])
def test_no_element_outside_the_pattern_is_ever_different_from_zero(name):
    pattern = gates.GATES[name].pattern
    seen = np.any([laboratory(name, a).cpu().numpy() != 0 for a in (0.7, 2.0, -4.4)], axis=0)
    np.testing.assert_array_equal(pattern, seen)


def test_a_gate_with_an_angle_is_refused_without_one():
    with pytest.raises(ValueError, match="RX needs an angle"):
        gates.matrix("RX", None, real_frame=False, like=zero())


@pytest.mark.parametrize("real_frame", [False, True])
def test_a_matrix_is_differentiable_in_its_angle(real_frame):
    def elements(angle: torch.Tensor) -> torch.Tensor:
        matrix = gates.matrix("CRX", angle, real_frame=real_frame, like=angle)
        return matrix if real_frame else torch.view_as_real(matrix)

    angle = torch.tensor([0.3, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(elements, angle)


@st.composite
def placed_gates(draw) -> tuple[int, reference.Gate]:
    count = draw(st.integers(2, 4))
    name = draw(st.sampled_from([*ONE_QUBIT, *TWO_QUBITS]))
    qubits = draw(st.permutations(range(count)))[: len(qubits_of(name))]
    return count, reference.Gate(name, tuple(qubits), draw(st.floats(-7, 7)))


@settings(max_examples=60)
@given(placed_gates(), st.integers(1, 3), st.integers(0, 1000))
def test_a_gate_applied_to_a_register_is_the_kronecker_product(placed, columns, seed):
    count, gate = placed
    generator = seeded(seed)
    shape = (2, 2**count, columns)
    register = torch.randn(shape, generator=generator, dtype=torch.complex128)
    applied = gates.apply(laboratory(gate.name, gate.angle), gate.qubits, register, count)
    full = torch.as_tensor(reference.gate_matrix(gate, count))
    assert_close(applied, full @ register, rtol=0, atol=1e-12)


def test_a_batch_of_gates_acts_on_a_batch_of_registers_one_by_one():
    angles = torch.tensor([0.1, 1.0, -2.0], dtype=torch.float64)
    small = gates.matrix("CRY", angles, real_frame=False, like=angles)
    identity = torch.eye(8, dtype=torch.complex128).expand(3, -1, -1)
    applied = gates.apply(small, (2, 0), identity, 3)
    for h, angle in enumerate(angles.tolist()):
        full = reference.gate_matrix(reference.Gate("CRY", (2, 0), angle), 3)
        assert_close(applied[h], torch.as_tensor(full), rtol=0, atol=1e-13)
