"""V(theta) of a large register: the same matrix and gradient as autograd's, in less memory."""

import pytest
import torch
from tools import CIRCUITS, random_angles, seeded
from torch.testing import assert_close

from sqsnn.quantum import circuits
from sqsnn.quantum.circuit import Circuit, unitary
from sqsnn.quantum.reversible import reversible_unitary

pytestmark = pytest.mark.usefixtures("device")

SHARED = Circuit.build(
    2, 1, [("RX", (0,), circuits.Normal()), ("H", (1,)), ("RYY", (0, 2), 0), ("RZ", (1,), 0.3)]
)


@pytest.mark.parametrize("circuit", [*CIRCUITS, SHARED], ids=str)
@pytest.mark.parametrize("is_real", [True, False])
def test_matrix_and_gradient_are_autograds(circuit, is_real):
    circuit = circuits.get(circuit, 2, 2 if isinstance(circuit, str) else 1)
    if is_real and not circuit.is_real:
        pytest.skip("this circuit is not real")
    angles = random_angles(circuit, neurons=3).requires_grad_()
    found = []
    for make in (unitary, reversible_unitary):
        product = make(circuit.gates, angles, circuit.qubits, real_frame=is_real)
        weight = torch.randn(product.shape, generator=seeded(1), dtype=product.dtype)
        (gradient,) = torch.autograd.grad((weight.conj() * product).real.sum(), angles)
        found.append((product, gradient))
    for one, other in zip(*found, strict=True):
        assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_only_the_last_product_is_kept():
    circuit = circuits.get("crx", 6, 1)
    kept = []
    angles = random_angles(circuit).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        reversible_unitary(circuit.gates, angles, 7, real_frame=True)
    assert sum(x.numel() for x in kept) == 4**7 + circuit.parameters
