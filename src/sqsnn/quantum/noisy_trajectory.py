"""Many noisy steps: on density matrices, or on pure states with the noise sampled.

Both follow the law of `noise.py`, and take all random numbers from outside. Density matrices give
its probabilities and their gradients. Sampled noise keeps the memory pure, whatever its size:
at every noise site one Kraus operator is drawn, and at last the recorded bit. It gives spikes only:
the probability of a spike given one sample of the noise is not that given the past spikes, and a
drawn Kraus operator has no derivative.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from sqsnn.quantum import gates
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuit import Circuit, Gate
from sqsnn.quantum.noise import Noise, Site
from sqsnn.quantum.noisy_instrument import NoisyInstrument, density_step
from sqsnn.quantum.trajectory import Trajectory


def run_density(
    instrument: NoisyInstrument,
    memory: Complex[Tensor, "batch neurons dim dim"],
    angles: Sequence[Float[Tensor, "steps batch neurons"]],
    driven: Bool[Tensor, "steps batch neurons rotations"],
    *,
    uniforms: Float[Tensor, "steps batch neurons"] | None = None,
    observed: Float[Tensor, "steps batch neurons channels"] | None = None,
    keep_history: bool = False,
) -> Trajectory:
    """Run T steps, drawing recorded outcomes from `uniforms` or taking `observed` ones as data.

    Args:
        instrument: From `noisy_instrument.prepare`.
        memory: Density matrices in the laboratory frame.
        angles: The angle in radians of each rotation of the encoding.
        driven: Whether each rotation of the encoding is a gate, its current being positive.
        uniforms: In [0, 1).
        observed: Recorded spikes in {0, 1}.
        keep_history: Also return the memory after every step.
    """
    stacked = torch.stack(list(angles), dim=-1)  # (T, B, H, E)
    outcomes = None if observed is None else quantum.outcome_index(observed)
    steps = []
    for t in range(len(stacked)):
        result = density_step(
            instrument,
            memory,
            stacked[t],
            driven[t],
            None if uniforms is None else uniforms[t],
            None if outcomes is None else outcomes[t],
        )
        memory = result[-1]
        steps.append(result if keep_history else result[:-1])
    bits, marginals, scores, *history = (torch.stack(s) for s in zip(*steps, strict=True))
    return Trajectory(bits, marginals, scores, memory, *(history or [None]))


# --- sampled noise --------------------------------------------------------------------------------


class _Channel(NamedTuple):
    """A site on the whole register, whose Kraus operators have at most one element a row.

    source: The column of each row's element, `(count, 2**n)`.
    factor: Its value; for operators that are unitary up to a factor, without that factor.
    edges: In this case the operators' cumulative probabilities, from the last on, `(count,)`.
    effects: Otherwise the probability of each operator for each basis state, `(2**n, count)`.
    """

    source: Tensor
    factor: Tensor
    edges: Tensor | None
    effects: Tensor


def uniforms_per_step(circuit: Circuit, noise: Noise) -> int:
    """How many random numbers a sampled step takes: outcome, readout of each channel, each site."""
    placed = [(rotation.qubit,) for rotation in circuit.encoding if rotation.is_gate]
    placed += [gate.qubits for gate in circuit.gates]
    sites = sum(len(noise.after_gate(qubits)) for qubits in placed)
    return 1 + circuit.channels + sites + len(noise.while_idle(circuit.memory_qubits))


def run_sampled(
    circuit: Circuit,
    parameters: Float[Tensor, "neurons parameters"],
    noise: Noise,
    memory: Complex[Tensor, "batch neurons dim"],
    angles: Sequence[Float[Tensor, "steps batch neurons"]],
    driven: Bool[Tensor, "steps batch neurons rotations"],
    uniforms: Float[Tensor, "steps batch neurons numbers"],
    keep_history: bool = False,
) -> Trajectory:
    """Run T steps on pure states, one sampled Kraus operator a noise site.

    The trajectory's bits are the recorded ones, its marginals their probabilities given all earlier
    samples of this trajectory, and its log-likelihood is NaN: this simulation does not know it.

    Args:
        circuit: The circuit.
        parameters: Its angles.
        noise: The noise model.
        memory: Pure states in the laboratory frame.
        angles: The angle in radians of each rotation of the encoding.
        driven: Whether each rotation of the encoding is a gate, its current being positive.
        uniforms: In [0, 1), `uniforms_per_step` numbers: for the outcome, for the readout of each
            channel, then for each noise site in the order in which they act.
        keep_history: Also return the memory after every step.

    Raises:
        ValueError: A gradient is asked for.
    """
    if torch.is_grad_enabled() and any(x.requires_grad for x in (parameters, memory, *angles)):
        raise ValueError(
            "noise_simulation is 'trajectories', through which no gradient is defined: run under "
            "torch.no_grad(), or differentiate with noise_simulation='density_matrix'"
        )

    def channels(sites: Sequence[Site], count: int) -> list[_Channel]:
        return [_channel(site, count, parameters) for site in sites]

    rotations = [
        (position, angle, channels(noise.after_gate((rotation.qubit,)), circuit.qubits))
        for position, (rotation, angle) in enumerate(zip(circuit.encoding, angles, strict=True))
        if rotation.is_gate
    ]
    placed = [
        (gate, _matrix(gate, parameters), channels(noise.after_gate(gate.qubits), circuit.qubits))
        for gate in circuit.gates
    ]
    idle = channels(noise.while_idle(circuit.memory_qubits), circuit.memory_qubits)
    table = quantum.outcome_bits(circuit.channels, parameters.device).to(parameters.dtype)
    steps = []
    for t in range(len(driven)):
        outcome_number, *numbers = uniforms[t].movedim(-1, 0).contiguous()
        readout_numbers = torch.stack(numbers[: circuit.channels], dim=-1)
        site_numbers = iter(numbers[circuit.channels :])

        register = _register(memory, circuit)
        for position, angle, sites in rotations:
            qubit = circuit.encoding[position].qubit
            register = _rotate(register, qubit, angle[t], circuit.qubits)
            after = _sample(sites, register, site_numbers)
            register = torch.where(driven[t, ..., position, None], after, register)
        for gate, matrix, sites in placed:
            # Neuron first and batch last, each gate is one matrix product a neuron.
            by_neuron = gates.apply(matrix, gate.qubits, register.permute(1, 2, 0), circuit.qubits)
            register = _sample(sites, by_neuron.permute(2, 0, 1), site_numbers)

        psi = register.unflatten(-1, (2**circuit.channels, -1))
        weights = quantum.squared_norm(psi)
        outcomes = quantum.choose(weights, outcome_number)
        index = outcomes[..., None, None].expand(*outcomes.shape, 1, psi.shape[-1])
        memory = _sample(idle, _unit(psi.gather(-2, index).squeeze(-2)), site_numbers)

        spiking = (weights @ table) / weights.sum(-1, keepdim=True)
        bits = (readout_numbers < _recorded(noise, table[outcomes])).to(weights.dtype)
        result = bits, _recorded(noise, spiking), torch.full_like(outcome_number, torch.nan)
        steps.append((*result, memory) if keep_history else result)
    bits, marginals, unknown, *history = (torch.stack(s) for s in zip(*steps, strict=True))
    return Trajectory(bits, marginals, unknown, memory, *(history or [None]))


def _recorded(noise: Noise, spiking: Tensor) -> Tensor:
    """The probability that a spike is recorded, given that of measuring 1."""
    return noise.false_spike * (1 - spiking) + (1 - noise.missed_spike) * spiking


def _matrix(gate: Gate, parameters: Tensor) -> Tensor:
    angle = None if gate.parameter is None else parameters[:, gate.parameter]
    return gates.matrix(gate.name, angle, real_frame=False, like=parameters)


def _channel(site: Site, count: int, like: Tensor) -> _Channel:
    """Spread a site's Kraus operators over a register of `count` qubits."""
    index = np.arange(2**count)
    shifts = [count - 1 - qubit for qubit in site.qubits]
    places = reversed(range(len(shifts)))  # the site's first qubit is its most significant
    bits = list(zip(shifts, places, strict=True))
    row = np.sum([(index >> s & 1) << p for s, p in bits], axis=0)
    column = np.abs(site.kraus).argmax(-1)  # (count, d)
    factor = np.take_along_axis(site.kraus, column[..., None], axis=-1)[..., 0][:, row]
    moved = np.sum([(column >> p & 1) << s for s, p in bits], axis=0)[:, row]
    source = index & ~sum(1 << s for s in shifts) | moved
    effects = (np.abs(site.kraus) ** 2).sum(-2)[:, row]  # diagonals of K^+ K
    probabilities = effects[:, :1]
    rising = np.cumsum(probabilities[::-1, 0])
    if unitary := np.allclose(effects, probabilities, rtol=0, atol=1e-14):
        factor = factor / np.sqrt(np.where(probabilities > 0, probabilities, 1.0))

    def tensor(values: np.ndarray, dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values)).to(like.device, dtype)

    return _Channel(
        tensor(source, torch.int64),
        tensor(factor, like.dtype.to_complex()),
        tensor(rising / rising[-1], like.dtype) if unitary else None,
        tensor(effects.T, like.dtype),
    )


def _register(memory: Tensor, circuit: Circuit) -> Tensor:
    """The channels in |0>, which makes them the first 2**M amplitudes, beside the memory."""
    rest = memory.new_zeros(*memory.shape[:-1], 2**circuit.qubits - memory.shape[-1])
    return torch.cat([memory, rest], dim=-1)


def _rotate(register: Tensor, qubit: int, angle: Tensor, count: int) -> Tensor:
    """RX(angle) with an angle a sample and neuron."""
    zero, one = register.unflatten(-1, (-1, 2, 2 ** (count - 1 - qubit))).unbind(-2)
    half = angle[..., None, None] / 2
    c, s = half.cos(), -1j * half.sin()
    return torch.stack([c * zero + s * one, s * zero + c * one], dim=-2).flatten(-3)


def _sample(sites: list[_Channel], states: Tensor, numbers: Iterator[Tensor]) -> Tensor:
    """At each site one Kraus operator on normalised states, with its branch's probability."""
    for source, factor, edges, effects in sites:
        number = next(numbers)
        if edges is None:
            populations = states.real.square() + states.imag.square()
            drawn = quantum.choose(populations @ effects, number)
        else:
            drawn = len(edges) - 1 - torch.searchsorted(edges, number, right=True)
        states = states.gather(-1, _rows(source, drawn)) * _rows(factor, drawn)
        if edges is None:
            states = _unit(states)
    return states


def _rows(table: Tensor, drawn: Tensor) -> Tensor:
    """`table[drawn]`, with the faster of torch's two kernels."""
    return table.index_select(0, drawn.flatten()).unflatten(0, drawn.shape)


def _unit(states: Tensor) -> Tensor:
    return quantum.normalised(states, quantum.squared_norm(states))
