"""One time step with the derivatives of the memory carried along: gradients forward in time.

Beside the memory m go its derivatives d = dm/dparameter, the *traces*, whatever T is:

    psi_s = K_s m,    dpsi_s = (dK_s) m + K_s d        of every outcome s
    dq_s = 2 Re <psi_s, dpsi_s>,    q_s = |psi_s|^2    its probability
    m' = psi_s / sqrt(q_s),    d' = (dpsi_s - m' <m', dpsi_s>) / sqrt(q_s)        of the measured s

dK comes from the circuit itself: for a gate's angle from dV, for a rotation of the encoding from
dRX(a)/da = RX(a + pi) / 2. Everything is in the working frame of `instrument.py`.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from sqsnn.placing import indicator
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuit import Circuit, unitary, unitary_derivatives
from sqsnn.quantum.instrument import Instrument


class TangentInstrument(NamedTuple):
    """A population's circuit with its derivatives."""

    instrument: Instrument  # with V(theta) in one piece
    by_angle: Tensor  # dV/dtheta_k, (K, neurons, D, D)


class Step(NamedTuple):
    """One step, and its derivatives with the memory before it held fixed."""

    chosen: Tensor  # 1 for the measured outcome, else 0, (B, H, 2**N)
    weights: Tensor  # q_s, (B, H, 2**N)
    kraus: Tensor  # K_s, (B, H, 2**N, 2**M, 2**M)
    psi: Tensor  # K_s m, (B, H, 2**N, 2**M)
    by_angle: Tensor  # (dK_s) m of each gate angle, (B, H, K, 2**N, 2**M)
    by_rotation: Tensor  # the same of each rotation of the encoding, (B, H, E, 2**N, 2**M)

    @property
    def likelihood(self) -> Float[Tensor, "B H"]:
        """The probability q_s of the measured outcome."""
        return (self.chosen * self.weights).sum(-1)

    @property
    def memory(self) -> Inexact[Tensor, "B H dim"]:
        """The collapsed memory."""
        measured = (self.chosen[..., None] * self.psi).sum(-2)
        return measured * self.likelihood.rsqrt()[..., None]


class Slope(NamedTuple):
    """The derivative of sum_s c_s q_s, linear in what q depends on."""

    memory: Tensor  # u with which Re <u, dm> is the part by way of the memory, (B, H, 2**M)
    by_angle: Tensor  # directly by each gate angle, (B, H, K)
    by_rotation: Tensor  # directly by the angle of each rotation of the encoding, (B, H, E)


def prepare(circuit: Circuit, angles: Float[Tensor, "neurons parameters"]) -> TangentInstrument:
    """Build V(theta) and its derivatives, once for a whole pass."""
    angles, real = angles.detach(), circuit.is_real
    return TangentInstrument(
        Instrument(circuit, unitary(circuit.gates, angles, circuit.qubits, real_frame=real), None),
        unitary_derivatives(circuit.gates, angles, circuit.qubits, real_frame=real),
    )


def step(
    tangent: TangentInstrument,
    memory: Inexact[Tensor, "B H dim"],
    angles: Float[Tensor, "B H rotations"],
    uniforms: Float[Tensor, "B H"],
) -> Step:
    """Encode, evolve, measure."""
    instrument = tangent.instrument
    circuit = instrument.circuit
    kraus = quantum.working_kraus(instrument, angles)
    psi = (kraus @ memory[..., None, :, None]).squeeze(-1)
    weights = quantum.squared_norm(psi)
    outcomes = 2**circuit.channels
    chosen = indicator(quantum.choose(weights, uniforms), outcomes, weights)
    register = quantum.encode(instrument, memory, angles)
    by_angle = torch.einsum("khij,bhj->bhki", tangent.by_angle, register)
    by_angle = by_angle.unflatten(-1, (outcomes, -1))
    turned = torch.eye(len(circuit.encoding), dtype=angles.dtype, device=angles.device) * math.pi
    copies = memory.expand(len(turned), *memory.shape)
    by_rotation = 0.5 * quantum.branches(instrument, copies, angles + turned[:, None, None])
    return Step(chosen, weights, kraus, psi, by_angle, by_rotation.movedim(0, 2))


def slope(step: Step, coefficients: Float[Tensor, "B H outcomes"]) -> Slope:
    """The derivative of sum_s c_s q_s."""
    weighted = 2 * coefficients[..., None] * step.psi
    return Slope(
        (step.kraus.mH @ weighted[..., None]).squeeze(-1).sum(-2),
        torch.einsum("bhsd,bhksd->bhk", weighted.conj(), step.by_angle).real,
        torch.einsum("bhsd,bhesd->bhe", weighted.conj(), step.by_rotation).real,
    )


def transport(step: Step) -> tuple[Inexact[Tensor, "B H dim dim"], Inexact[Tensor, "B H dim dim"]]:
    """The matrices A and S of the next traces, d' = A d + S (dK_s) m with s the measured outcome.

    S = (1 - m' m'^+) / sqrt(q_s), A = S K_s. Beside the change of the norm this also takes out that
    of the global phase, on which nothing depends.
    """
    memory = step.memory
    identity = torch.eye(memory.shape[-1], dtype=memory.dtype, device=memory.device)
    outer = memory[..., :, None] * memory[..., None, :].conj()
    still = (identity - outer) * step.likelihood.rsqrt()[..., None, None]
    return still @ (step.chosen[..., None, None] * step.kraus).sum(-3), still
