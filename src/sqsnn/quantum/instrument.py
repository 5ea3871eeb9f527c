"""One time step of a neuron as a quantum instrument: encode, evolve, measure, collapse.

With u(phi) the rotated channels, R(phi) the rotated memory and s the measured outcome,

    K_s(phi) = <s|_channels  V(theta)  (|u(phi)> (x) R(phi)_memory)        sum_s K_s^+ K_s = 1
    p(s) = || K_s m ||^2,      m' = K_s m / sqrt(p(s)).

This file is the general form for any circuit, any N and M, differentiated by autograd;
`trajectory.py` runs many steps of it. States live in the circuit's *working frame*: where V allows
it (V_real = D^+ V D is real, D = diag(1, -i) on every qubit) the real frame, K_real = i^|s| D_m^+ K
D_m with D_m on the memory qubits; else the laboratory frame. What a user sees has been brought to
the laboratory frame by `to_laboratory`, without the global phase i^|s| of each collapse: no
probability depends on it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from sqsnn.checks import check_none
from sqsnn.placing import bounded, constant, possible_draws, smallest_probability
from sqsnn.quantum import gates
from sqsnn.quantum.circuit import Circuit, unitary
from sqsnn.quantum.control import Controller, Turns
from sqsnn.quantum.reversible import reversible_unitary

MAX_SEQUENCE_BITS = 20
# Qubits from which the products after all gates, kept by autograd, would take 40 MB per neuron.
LARGE_REGISTER = 9
_NORM_TOLERANCE = 1e-4


class Instrument(NamedTuple):
    """A population's circuit with V = (1 (x) W) V', the same for all steps and samples."""

    circuit: Circuit
    body: Tensor  # V' in the working frame, (neurons, D, D)
    tail: Tensor | None  # W on the memory, (neurons, 2**M, 2**M); None without such gates

    @property
    def real(self) -> bool:
        """Whether the working frame is the real one."""
        return not self.body.is_complex()


def prepare(circuit: Circuit, angles: Float[Tensor, "neurons parameters"]) -> Instrument:
    """Build V(theta) once for a whole pass; differentiable in the angles."""
    body, tail = circuit.split_memory_tail()
    real = circuit.is_real
    make = reversible_unitary if circuit.qubits >= LARGE_REGISTER else unitary
    return Instrument(
        circuit,
        make(body, angles, circuit.qubits, real_frame=real),
        unitary(tail, angles, circuit.memory_qubits, real_frame=real) if tail else None,
    )


def repeated(instrument: Instrument, each: int) -> Instrument:
    """Let every circuit of an instrument stand for some neurons, which share it."""
    if each == 1:
        return instrument
    matrices = (
        None if part is None else part[:, None].expand(-1, each, -1, -1).flatten(0, 1)
        for part in (instrument.body, instrument.tail)
    )
    return Instrument(instrument.circuit, *matrices)  # pyright: ignore[reportArgumentType]


def ground_state(instrument: Instrument, batch: int) -> Tensor:
    """The memory in |0...0>, `(batch, neurons, 2**M)` in the working frame."""
    neurons = len(instrument.body)
    memory = instrument.body.new_zeros(batch, neurons, 2**instrument.circuit.memory_qubits)
    memory[..., 0] = 1
    return memory


def branches(instrument: Instrument, memory: Tensor, angles: Float[Tensor, "*rest"]) -> Tensor:
    """The unnormalised memory K_s m after each outcome, `(*batch, neurons, 2**N, 2**M)`."""
    circuit = instrument.circuit
    register = encode(instrument, memory, angles)  # (*batch, H, D)
    evolved = torch.einsum("hij,...hj->...hi", instrument.body, register)
    outcomes = evolved.unflatten(-1, (2**circuit.channels, 2**circuit.memory_qubits))
    if instrument.tail is None:
        return outcomes
    return torch.einsum("hab,...hsb->...hsa", instrument.tail, outcomes)


def encode(instrument: Instrument, memory: Tensor, angles: Tensor) -> Tensor:
    """The register |u(phi)> (x) R(phi) m before V, `(*batch, neurons, D)`."""
    circuit = instrument.circuit
    half = angles / 2
    cosine, sine = half.cos(), half.sin()
    register = memory
    for position, rotation in enumerate(circuit.encoding):
        if rotation.qubit >= circuit.channels:
            stride = 2 ** (circuit.qubits - 1 - rotation.qubit)
            turn = cosine[..., position], sine[..., position]
            register = rotate(register, stride, *turn, real=instrument.real)
    unit = 1 if instrument.real else -1j
    for channel in reversed(range(circuit.channels)):  # channel 0 is the most significant
        c, s = cosine[..., channel, None], unit * sine[..., channel, None]
        register = torch.cat([c * register, s * register], dim=-1)
    return register


def rotate(register: Tensor, stride: int, cosine: Tensor, sine: Tensor, *, real: bool) -> Tensor:
    """RX(a), in the real frame RY(a), on the qubit whose |0> and |1> lie `stride` places apart."""
    zero, one = register.unflatten(-1, (-1, 2, stride)).unbind(-2)
    c, s = cosine[..., None, None], sine[..., None, None]
    if not real:
        s = -1j * s
    # RX = [[c, -is], [-is, c]]; in the real frame [[c, -s], [s, c]].
    turned = [c * zero + (-s if real else s) * one, s * zero + c * one]
    return torch.stack(turned, dim=-2).flatten(-3)


def measure(
    weights: Float[Tensor, "B H outcomes"],
    table: Int[Tensor, "outcomes channels"],
    uniforms: Float[Tensor, "B H"] | None,
    outcomes: Int[Tensor, "B H"] | None,
) -> tuple[Int[Tensor, "B H"], Float[Tensor, "B H channels"]]:
    """Draw one outcome per neuron with a uniform number in [0, 1), or take the observed one.

    Returned are its index and its bits.
    """
    if uniforms is not None:
        outcomes = choose(weights.detach(), uniforms)
    elif outcomes is None:
        raise ValueError("give uniforms, to draw outcomes, or the observed ones")
    return outcomes, table[outcomes].to(weights.dtype)


def pick(states: Tensor, outcomes: Int[Tensor, "*batch"]) -> Tensor:
    """The states after the given outcomes, `(*batch, d)` of `(*batch, 2**N, d)`."""
    index = outcomes[..., None, None].expand(*outcomes.shape, 1, states.shape[-1])
    return states.gather(-2, index).squeeze(-2)


def squared_norm(amplitudes: Tensor) -> Tensor:
    """Sum of squared moduli over the last dimension, without the kink of `abs` at zero."""
    if amplitudes.is_complex():
        amplitudes = torch.view_as_real(amplitudes).flatten(-2)
    return (amplitudes * amplitudes).sum(-1)


def collapsed(psi: Tensor) -> tuple[Tensor, Float[Tensor, "*batch"]]:
    """Divide states by their norm; give log |psi|^2, too. Impossible events give 0 and -inf."""
    return _Collapse.apply(psi)


class _Collapse(torch.autograd.Function):
    """m' = r psi, l = log |psi|^2 with r = 1 / |psi|, and psi~ = r (m'~ - (<m'~, m'> - 2 l~) m').

    Autograd's own chain would go through r^3, which float32 does not hold for rare events.
    """

    @staticmethod
    def forward(ctx: Any, psi: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(psi)
        weight = squared_norm(psi)
        logarithm = torch.where(weight >= smallest_probability(weight), weight, 0.0).log()
        return psi * _inverse_norm(psi)[..., None], logarithm

    @staticmethod
    def backward(ctx: Any, by_memory: Tensor, by_logarithm: Tensor) -> Tensor:
        (psi,) = ctx.saved_tensors
        inverse = _inverse_norm(psi)[..., None]
        memory = psi * inverse
        along = (by_memory * memory.conj()).real if psi.is_complex() else by_memory * memory
        radial = along.sum(-1, keepdim=True) - 2 * by_logarithm[..., None]
        return bounded(inverse * (by_memory - radial * memory))


def _inverse_norm(psi: Tensor) -> Float[Tensor, "*batch"]:
    weight = squared_norm(psi)
    possible = weight >= smallest_probability(weight)
    return torch.where(possible, weight, 1.0).rsqrt() * possible


def choose(
    weights: Float[Tensor, "*batch outcomes"], uniforms: Float[Tensor, "*batch"]
) -> Int[Tensor, "*batch"]:
    """Draw outcomes by inverse cumulative sum from the highest downward (N=1: 1 iff u < p(1)).

    A number next to 0 draws no outcome that counts as impossible.
    """
    # Dividing by the total keeps outcomes of probability 0 from ever being drawn, whatever the
    # rounding of the norm.
    totals = weights.flip(-1).cumsum(-1).flip(-1)
    drawn = possible_draws(uniforms)[..., None]
    reached = (drawn < totals / totals[..., :1]).sum(-1)
    return reached.clamp_min(1) - 1  # 0 where nothing is possible, after an impossible event


def outcome_bits(channels: int, device: torch.device) -> Int[Tensor, "outcomes channels"]:
    """The bits of every outcome index s = sum_n s_n 2**(N-1-n)."""
    index = torch.arange(2**channels, device=device)
    return index[:, None] >> torch.arange(channels - 1, -1, -1, device=device) & 1


def outcome_index(spikes: Float[Tensor, "*batch channels"]) -> Int[Tensor, "*batch"]:
    """The outcome index of spikes in {0, 1}."""
    channels = spikes.shape[-1]
    weights = 2 ** torch.arange(channels - 1, -1, -1, device=spikes.device)
    return (spikes.long() * weights).sum(-1)


def working_kraus(
    instrument: Instrument, angles: Float[Tensor, "*batch neurons rotations"]
) -> Tensor:
    """K_s(phi) per neuron and sample in the working frame, `(*batch, H, 2**N, 2**M, 2**M)`."""
    dim = 2**instrument.circuit.memory_qubits
    basis = torch.eye(dim, dtype=instrument.body.dtype, device=instrument.body.device)
    lead = (1,) * (angles.dim() - 1)
    basis = basis.reshape(dim, *lead, dim).expand(dim, *angles.shape[:-1], dim)
    return branches(instrument, basis, angles.expand(dim, *angles.shape)).movedim(0, -1)


def kraus_operators(
    instrument: Instrument, angles: Float[Tensor, "*batch neurons rotations"]
) -> Complex[Tensor, "*batch neurons outcomes dim dim"]:
    """K_s(phi) per neuron and sample in the laboratory frame."""
    kraus = working_kraus(instrument, angles)
    if not instrument.real:
        return kraus
    memory = _phases(instrument.circuit.memory_qubits, angles)
    outcome = _phases(instrument.circuit.channels, angles)
    return outcome[:, None, None] * memory[:, None] * kraus * memory.conj()


def sequence_probabilities(
    instrument: Instrument, control: Controller, steps: int, batch: int
) -> Float[Tensor, "batch neurons sequences"]:
    """The exact joint law P(s_1..s_T) = ||K_{s_T} ... K_{s_1} |0>||^2 of every sequence.

    The sequence index has step 1 as its most significant digit, each digit an outcome index.
    """

    def branch(memory: Tensor, turns: Turns) -> Tensor:
        return branches(instrument, memory, torch.stack(list(turns.angles), dim=-1))

    ground = ground_state(instrument, batch)
    leaves = branch_tree(instrument.circuit, branch, control, ground, steps)
    return squared_norm(leaves).movedim(0, -1)


def branch_tree(
    circuit: Circuit,
    branch: Callable[[Tensor, Turns], Tensor],
    control: Controller,
    memory: Tensor,
    steps: int,
) -> Tensor:
    """The unnormalised memory after every sequence of outcomes, `(sequences, B, H, d)`.

    `branch` leads from the memory and the angles of a step to the memory after each outcome.
    """
    bits = circuit.channels * steps
    if bits > MAX_SEQUENCE_BITS:
        raise ValueError(
            f"currents have {steps} steps of {circuit.channels} channels, 2**{bits} spike "
            f"sequences; the exact law is built up to steps * channels = {MAX_SEQUENCE_BITS}"
        )
    table = outcome_bits(circuit.channels, memory.device)
    memory, state = memory[None], _each(control.start, lambda part: part[None])
    for t in range(steps):
        turns, state = control.turns(t, state)
        stacked = torch.stack(list(turns.angles), dim=-1)  # (*, B, H, E)
        angles = stacked.expand(*memory.shape[:-1], -1).unbind(-1)
        memory = branch(memory, turns._replace(angles=angles)).movedim(-2, 1).flatten(0, 1)
        if state is not None:
            spikes = table.to(state[0]).repeat(len(memory) // len(table), 1)
            spikes = spikes[:, None, None].expand(-1, *memory.shape[1:-1], -1)
            state = _each(state, lambda part: part.repeat_interleave(len(table), 0))
            state = control.settle(state, spikes, None)
    return memory


def _each(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change every tensor of a controller's state; None has none."""
    return None if state is None else type(state)(*map(change, state))


def to_laboratory(instrument: Instrument, memory: Tensor) -> Complex[Tensor, "*shape"]:
    """Bring memory states of the working frame, `(..., 2**M)`, to the laboratory frame."""
    return _ToLaboratory.apply(memory) if instrument.real else memory


def from_laboratory(instrument: Instrument, memory: Complex[Tensor, "*shape"]) -> Tensor:
    """Bring memory states that `check_memory` takes to the working frame, which may be real."""
    if not instrument.real:
        return memory
    return (memory * _phases(instrument.circuit.memory_qubits, memory).conj()).real


def check_memory(circuit: Circuit, memory: Complex[Tensor, "*shape"]) -> None:
    """Refuse memory states of the laboratory frame that a circuit cannot have reached."""
    norms = squared_norm(memory.detach())
    wrong = ((norms - 1).abs() > _NORM_TOLERANCE) & (norms != 0)  # 0 after the impossible
    check_none(
        wrong,
        lambda: (
            f"state.memory has a state of squared norm {norms[wrong][0].item():g}; it must be 1, "
            "or 0 after spikes of probability 0"
        ),
    )
    if circuit.is_real:
        turned = memory.detach() * _phases(circuit.memory_qubits, memory).conj()
        check_none(
            turned.imag != 0,
            lambda: (
                f"state.memory is not real in the real frame of circuit {circuit.name!r}; "
                "use a state that this circuit has reached, or a complex circuit"
            ),
        )


class _ToLaboratory(torch.autograd.Function):
    """Multiply real amplitudes by (-i)^(ones in the index): a real number moves to its place."""

    # A loop over the index is several times faster than indexing for the usual small memories.
    @staticmethod
    def forward(ctx: Any, memory: Tensor) -> Tensor:
        turned = memory.new_zeros(memory.shape, dtype=memory.dtype.to_complex())
        parts = torch.view_as_real(turned)
        for index in range(memory.shape[-1]):
            part, sign = _place(index)
            parts[..., index, part] = memory[..., index] if sign > 0 else -memory[..., index]
        return turned

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        parts = torch.view_as_real(gradient.resolve_conj())
        places = [(index, *_place(index)) for index in range(gradient.shape[-1])]
        return torch.stack([sign * parts[..., index, part] for index, part, sign in places], dim=-1)


def _place(index: int) -> tuple[int, int]:
    """(-i)^(ones in the index) as 0 for real or 1 for imaginary, and its sign."""
    return ((0, 1), (1, -1), (0, -1), (1, 1))[index.bit_count() % 4]


def _phases(qubits: int, like: Tensor) -> Tensor:
    dtype = like.dtype if like.is_complex() else like.dtype.to_complex()
    return constant(gates.frame_phases, qubits, like=like, dtype=dtype)
