"""Noisy steps on density matrices: encode, evolve, record, collapse; with exact probabilities.

A density matrix is written as its *Pauli vector* r_P = tr(P rho) over all products P of 1, X, Y, Z:
4**n real numbers, in which every gate and channel is a real matrix, for complex circuits too. The
parametrised circuit with its noise, the measurement, the idle memory and the readout are together
one such matrix per neuron, built once per pass; only the encoding and its noise act per sample.
"""

from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqsnn.placing import bounded, constant, smallest_probability
from sqsnn.quantum import gates
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuit import Circuit, placed_matrix
from sqsnn.quantum.control import Controller, Turns, at
from sqsnn.quantum.noise import Noise, Site, pauli_products
from sqsnn.quantum.trajectory import Trajectory, count_steps, repeat

MAX_DENSITY_QUBITS = 4


class DensityInstrument(NamedTuple):
    """A population's noisy circuit with its numbers, the same for all steps and samples."""

    circuit: Circuit
    # From the encoded register to the memory after each recorded outcome, both as Pauli vectors.
    evolution: Tensor  # (neurons, 2**N * 4**M, 4**(N+M))
    rotation_noise: Tensor  # the channel after a rotation of the encoding, (4, 4)
    pauli: Tensor  # from real and imaginary parts to the Pauli vector, (2 * 4**M, 4**M)
    density: Tensor  # the way back, (4**M, 2 * 4**M)


def prepare(
    circuit: Circuit, angles: Float[Tensor, "neurons parameters"], noise: Noise
) -> DensityInstrument:
    """Build the noisy circuit once for a whole pass; differentiable in the angles."""
    check_density_qubits(circuit)
    tables = [
        constant(_table, name, circuit, noise, like=angles, dtype=angles.dtype)
        for name in ("measured", "one", "two", "pauli", "density")
    ]
    last, *after = tables[:3]
    # From the measurement back to the first gate: 2**N times fewer columns than the way forward.
    register = last.expand(len(angles), *last.shape)
    for gate in reversed(circuit.gates):
        small = placed_matrix(gate, angles, real_frame=False)
        step = after[len(gate.qubits) - 1] @ transfer_matrix(small.unsqueeze(-3))
        register = gates.apply(step.mT, _digits(gate.qubits), register, 2 * circuit.qubits)
    evolution = register.mT.contiguous()
    return DensityInstrument(circuit, evolution, after[0], *tables[3:])


def check_density_qubits(circuit: Circuit) -> None:
    """Refuse a circuit that is too large for density matrices."""
    if circuit.qubits > MAX_DENSITY_QUBITS:
        raise ValueError(
            f"channels + memory_qubits is {circuit.qubits}; density matrices take up to "
            f"{MAX_DENSITY_QUBITS} qubits (noise_simulation='trajectories' takes any number, but "
            "gives samples only: no likelihoods, exact laws or gradients)"
        )


def ground_state(instrument: DensityInstrument, batch: int) -> Tensor:
    """The memory in |0...0>, `(batch, neurons, 2**M, 2**M)`."""
    dim, like = 2**instrument.circuit.memory_qubits, instrument.evolution
    memory = like.new_zeros(batch, len(like), dim, dim, dtype=like.dtype.to_complex())
    memory[..., 0, 0] = 1
    return memory


def run(
    instrument: DensityInstrument,
    memory: Complex[Tensor, "batch neurons dim dim"],
    control: Controller,
    *,
    uniforms: Float[Tensor, "steps batch neurons"] | None = None,
    observed: Float[Tensor, "steps batch neurons channels"] | None = None,
    keep_history: bool = False,
) -> Trajectory:
    """Run T steps; `uniforms` draw the recorded outcomes, or the `observed` ones are data.

    See `trajectory.run`; the controller says where a rotation of the encoding is a gate.
    """
    steps = count_steps(uniforms, observed)
    outcomes = None if observed is None else quantum.outcome_index(observed)
    table = quantum.outcome_bits(instrument.circuit.channels, memory.device)

    def step(t: int, memory: Tensor, turns: Turns) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        after = _branches(instrument, to_pauli(instrument, memory), turns)
        # A difference of numbers of order 1: an impossible outcome may come out as -1e-17.
        weights = after[..., 0].clamp_min(0.0)  # (B, H, 2**N)
        total = weights.sum(-1, keepdim=True)
        marginals = (weights @ table.to(weights.dtype)) / torch.where(total > 0, total, 1.0)
        index, bits = quantum.measure(weights, table, at(uniforms, t), at(outcomes, t))
        collapsed, log_likelihood = _Collapse.apply(quantum.pick(after, index))
        return bits, marginals, log_likelihood, to_density(instrument, _physical(collapsed))

    return repeat(step, control, memory, steps, keep_history)


def sequence_probabilities(
    instrument: DensityInstrument, control: Controller, steps: int, batch: int
) -> Float[Tensor, "batch neurons sequences"]:
    """The exact joint law of every recorded sequence, step 1 its most significant digit."""
    ground = to_pauli(instrument, ground_state(instrument, batch))
    branch = partial(_branches, instrument)
    leaves = quantum.branch_tree(instrument.circuit, branch, control, ground, steps)
    return leaves[..., 0].clamp_min(0.0).movedim(0, -1)


def to_pauli(
    instrument: DensityInstrument, memory: Complex[Tensor, "*batch dim dim"]
) -> Float[Tensor, "*batch products"]:
    """The Pauli vectors r_P = tr(P rho) of memory states."""
    return torch.view_as_real(memory.resolve_conj()).flatten(-3) @ instrument.pauli


def to_density(
    instrument: DensityInstrument, pauli: Float[Tensor, "*batch products"]
) -> Complex[Tensor, "*batch dim dim"]:
    """The density matrices of Pauli vectors."""
    dim = 2**instrument.circuit.memory_qubits
    return torch.view_as_complex((pauli @ instrument.density).unflatten(-1, (dim, dim, 2)))


def transfer_matrix(
    kraus: Complex[Tensor, "*batch count dim dim"],
) -> Float[Tensor, "*batch products products"]:
    """The channel with these Kraus operators on Pauli vectors: R_PQ = tr(P E(Q)) / d."""
    dim = kraus.shape[-1]
    products = constant(pauli_products, dim.bit_length() - 1, like=kraus, dtype=kraus.dtype)
    images = torch.einsum("...kab,qbc,...kdc->...qad", kraus, products, kraus.conj())
    return torch.einsum("pda,...qad->...pq", products, images).real / dim


def _branches(
    instrument: DensityInstrument, memory: Tensor, turns: Turns
) -> Float[Tensor, "*batch neurons outcomes products"]:
    """Unnormalised Pauli vectors of the memory per recorded outcome, its probability first."""
    circuit = instrument.circuit
    register = memory
    for position, rotation in reversed(list(enumerate(circuit.encoding))):
        is_channel = rotation.qubit < circuit.channels
        if is_channel:
            # |0><0| = (1 + Z) / 2
            ground = constant(np.array, (1.0, 0.0, 0.0, 1.0), like=memory, dtype=memory.dtype)
            blocks = ground.expand(*memory.shape[:-1], 4)[..., None, :, None]
        else:
            blocks = register.unflatten(-1, (-1, 4, 4 ** (circuit.qubits - 1 - rotation.qubit)))
        if rotation.is_gate:
            turn = turns.angles[position], turns.gates[..., position]
            blocks = _rotated(blocks, *turn, instrument.rotation_noise)
        if is_channel:  # the last channel comes first, next to the memory
            register = (blocks.squeeze(-3) * register[..., None, :]).flatten(-2)
        else:
            register = blocks.flatten(-3)
    evolved = torch.einsum("hij,...hj->...hi", instrument.evolution, register)
    return evolved.unflatten(-1, (2**circuit.channels, 4**circuit.memory_qubits))


def _rotated(blocks: Tensor, angle: Tensor, placed: Tensor, noise: Tensor) -> Tensor:
    """RX(angle) on a qubit whose 1, X, Y, Z stand in the second-last dimension, then its noise."""
    one, x, y, z = blocks.unbind(-2)
    c, s = angle.cos()[..., None, None], angle.sin()[..., None, None]
    turned = torch.stack([one, x, c * y - s * z, s * y + c * z], dim=-2)
    # Where there is no gate there is no noise, yet the angle 0 keeps its surrogate gradient.
    return torch.where(placed[..., None, None, None], noise @ turned, turned)


class _Collapse(torch.autograd.Function):
    """m' = v / q, l = log q with q the first of v, and v~ = (m'~ - e (<m'~, m'> - l~)) / q.

    e is 1 for the first and 0 for the others; 1 / q^2 would be too large for rare events.
    """

    @staticmethod
    def forward(ctx: Any, pauli: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(pauli)
        weight = pauli[..., 0]
        logarithm = torch.where(weight >= smallest_probability(weight), weight, 0.0).log()
        return pauli * _inverse(pauli), logarithm

    @staticmethod
    def backward(ctx: Any, by_memory: Tensor, by_logarithm: Tensor) -> Tensor:
        (pauli,) = ctx.saved_tensors
        inverse = _inverse(pauli)
        radial = (by_memory * pauli * inverse).sum(-1, keepdim=True) - by_logarithm[..., None]
        by_weight, rest = by_memory[..., :1] - radial, by_memory[..., 1:]
        return bounded(inverse * torch.cat([by_weight, rest], dim=-1))


def _inverse(pauli: Tensor) -> Float[Tensor, "*batch 1"]:
    weight = pauli[..., :1]
    possible = weight >= smallest_probability(weight)
    return possible / torch.where(possible, weight, 1.0)


def _physical(pauli: Tensor) -> Tensor:
    """Bring tr(rho^2) back to 1 where rounding has carried it beyond.

    Rare outcomes amplify rounding, and a memory that is never mixed would not forget it: over
    100,000 steps in float32 the purity would drift to 1.09. The factor is 1 up to rounding, so it
    takes no part in the gradient.
    """
    dim = pauli.shape[-1]
    length = pauli.detach()[..., 1:].square().sum(-1, keepdim=True)  # of a pure state: d - 1
    factor = (length / max(dim**0.5 - 1, 1)).clamp_min(1.0).rsqrt()
    return torch.cat([pauli[..., :1], pauli[..., 1:] * factor], dim=-1)


def _table(name: str, circuit: Circuit, noise: Noise) -> np.ndarray:
    """The matrices of a noisy circuit that depend on no angle."""
    if name in ("one", "two"):
        qubits = 1 if name == "one" else 2
        return _transfer(noise.after_gate(tuple(range(qubits))), qubits)
    if name == "measured":
        return _measurement(circuit, noise).T
    products = pauli_products(circuit.memory_qubits)  # (P, i, j)
    # tr(P rho) = Re sum P*_ij rho_ij for Hermitian P and rho; rho = sum_P r_P P / d.
    parts = np.stack([np.real(products), np.imag(products)], axis=-1).reshape(len(products), -1)
    return parts.T if name == "pauli" else parts / 2**circuit.memory_qubits


def _transfer(sites: tuple[Site, ...], qubits: int) -> np.ndarray:
    """The product of channels on qubits 0.. as one matrix on Pauli vectors, `(4**n, 4**n)`."""
    product = torch.eye(4**qubits, dtype=torch.float64, device="cpu")
    for site in sites:
        small = transfer_matrix(torch.as_tensor(site.kraus, device="cpu"))
        product = gates.apply(small, _digits(site.qubits), product, 2 * qubits)
    return product.numpy()


def _measurement(circuit: Circuit, noise: Noise) -> np.ndarray:
    """Readout, reset and idle memory: register to recorded outcomes and memory."""
    # <s| . |s> of 1, X, Y, Z is (1, 0, 0, +-1); with rho = sum_P r_P P / d, half of that.
    true = np.array([[0.5, 0, 0, 0.5], [0.5, 0, 0, -0.5]])
    idle = _transfer(noise.while_idle(circuit.memory_qubits), circuit.memory_qubits)
    return reduce(np.kron, [*[noise.readout() @ true] * circuit.channels, idle])


def _digits(qubits: tuple[int, ...]) -> tuple[int, ...]:
    """A Pauli vector has the address of a register with two bits per qubit."""
    return tuple(bit for qubit in qubits for bit in (2 * qubit, 2 * qubit + 1))
