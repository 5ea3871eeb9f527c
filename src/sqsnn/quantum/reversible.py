"""V(theta) of a large register, differentiated by undoing its gates one after the other.

Autograd keeps the product after every gate, a matrix of 4**(N + M) numbers each; since gates are
unitary, the last one is enough. With P_k = G_k ... G_1 and the gradient A_k with respect to P_k,

    P_{k-1} = G_k^+ P_k,     A_{k-1} = G_k^+ A_k
    dL/dtheta = Re tr((A_k P_{k-1}^+)^+ dG_k/dtheta)
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import differentiable_once
from sqsnn.quantum import gates
from sqsnn.quantum.circuit import placed_matrix, unitary
from sqsnn.quantum.placements import Gate


def reversible_unitary(
    placed: Sequence[Gate],
    angles: Float[Tensor, "neurons parameters"],
    qubits: int,
    *,
    real_frame: bool,
) -> Tensor:
    """The same as `circuit.unitary`, in the memory of four matrices instead of one per gate."""
    return _Reversible.apply(tuple(placed), angles, qubits, real_frame)


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, placed: tuple[Gate, ...], angles: Tensor, qubits: int, real_frame: bool
    ) -> Tensor:
        product = unitary(placed, angles, qubits, real_frame=real_frame)
        ctx.placed, ctx.qubits, ctx.real_frame = placed, qubits, real_frame
        ctx.save_for_backward(angles, product)
        return product

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None]:
        angles, product = ctx.saved_tensors
        by_angle = torch.zeros_like(angles)
        frame = {"real_frame": ctx.real_frame, "like": angles}
        for gate in reversed(ctx.placed):
            there = gate.qubits, ctx.qubits
            undone = placed_matrix(gate, angles, real_frame=ctx.real_frame).mH
            before = undone @ gates.to_front(product, *there)  # P_{k-1}, (H, d, rest)
            after = gates.to_front(gradient, *there)  # A_k
            if gate.parameter is not None:
                slope = gates.derivative(gate.name, angles[:, gate.parameter], **frame)
                by_angle[:, gate.parameter] += _overlap(after @ before.mH, slope)
            product = gates.from_front(before, *there)
            gradient = gates.from_front(undone @ after, *there)
        return None, by_angle, None, None


def _overlap(one: Tensor, other: Tensor) -> Float[Tensor, "neurons"]:
    """Re tr(A^+ B) per neuron."""
    return (one.conj() * other).real.sum((-2, -1))
