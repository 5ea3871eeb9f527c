"""Noisy steps on pure states with the noise sampled, whatever the number of qubits.

The law is that of `noise.py`: at every noise site one Kraus operator is drawn, and at last the
recorded bit. All random numbers come from outside. This gives spikes only: the probability of a
spike given one sample of the noise is not that given the past spikes, and a drawn Kraus operator
has no derivative; `density.py` has both.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqsnn.quantum import gates
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuit import Circuit, placed_matrix
from sqsnn.quantum.control import Controller, Turns
from sqsnn.quantum.noise import Noise, Site
from sqsnn.quantum.trajectory import Trajectory, repeat


class _Channel(NamedTuple):
    """A site on the whole register, whose Kraus operators have at most one element per row."""

    source: Tensor  # the column of each row's element, (count, 2**n)
    factor: Tensor  # its value; for operators that are unitary up to a factor, without that factor
    edges: Tensor | None  # in this case the cumulative probabilities, from the last on, (count,)
    effects: Tensor  # the probability of each operator for each basis state, (2**n, count)


class SampledInstrument(NamedTuple):
    """A population's noisy circuit with its numbers, the same for all steps and samples."""

    circuit: Circuit
    noise: Noise
    parameters: Tensor  # the circuit's angles, (neurons, parameters)
    rotated: list[list[_Channel]]  # the noise after each rotation of the encoding
    placed: list[tuple[tuple[int, ...], Tensor, list[_Channel]]]  # qubits, matrix, noise of gates
    idle: list[_Channel]  # the noise on the memory while it idles


def prepare(
    circuit: Circuit, parameters: Float[Tensor, "neurons parameters"], noise: Noise
) -> SampledInstrument:
    """Build gates and noise once for a whole pass."""
    rotated, after_gates, idle = _channels(circuit, noise, parameters.device, parameters.dtype)
    placed = [
        (gate.qubits, placed_matrix(gate, parameters, real_frame=False), after)
        for gate, after in zip(circuit.gates, after_gates, strict=True)
    ]
    return SampledInstrument(circuit, noise, parameters, rotated, placed, idle)


@lru_cache(maxsize=64)
def _channels(
    circuit: Circuit, noise: Noise, device: torch.device, dtype: torch.dtype
) -> tuple[list[list[_Channel]], list[list[_Channel]], list[_Channel]]:
    """The noise after each rotation of the encoding, after each gate, and on the idle memory."""

    def spread(sites: Iterable[Site], qubits: int) -> list[_Channel]:
        return [_channel(site, qubits, device, dtype) for site in sites]

    def after(qubits: tuple[int, ...]) -> list[_Channel]:
        return spread(noise.after_gate(qubits), circuit.qubits)

    with torch.inference_mode(False):  # the tables serve later passes, too
        return (
            [after((rotation.qubit,)) for rotation in circuit.encoding],
            [after(gate.qubits) for gate in circuit.gates],
            spread(noise.while_idle(circuit.memory_qubits), circuit.memory_qubits),
        )


def uniforms_per_step(circuit: Circuit, noise: Noise) -> int:
    """The count of random numbers per step: outcome, readout of each channel, each noise site."""
    sites = sum(len(noise.after_gate(qubits)) for qubits in circuit.placed_qubits)
    return 1 + circuit.channels + sites + len(noise.while_idle(circuit.memory_qubits))


def run(
    instrument: SampledInstrument,
    memory: Complex[Tensor, "batch neurons dim"],
    control: Controller,
    *,
    uniforms: Float[Tensor, "steps batch neurons numbers"],
    keep_history: bool = False,
) -> Trajectory:
    """Run T steps on pure states, one sampled Kraus operator per noise site; see `density.run`.

    The trajectory's bits are the recorded ones, its marginals their probabilities given all earlier
    samples of this trajectory, and its log-likelihood is NaN: this simulation does not know it.
    The `uniforms_per_step` numbers of a step serve in that function's order.
    """
    circuit, noise = instrument.circuit, instrument.noise
    table = quantum.outcome_bits(circuit.channels, memory.device).to(instrument.parameters.dtype)

    def step(t: int, memory: Tensor, turns: Turns) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        _refuse_gradients(instrument.parameters, memory, *turns.angles)
        outcome_number, *numbers = uniforms[t].movedim(-1, 0).contiguous()
        readout_numbers = torch.stack(numbers[: circuit.channels], dim=-1)
        site_numbers = iter(numbers[circuit.channels :])

        # The channels in |0>, which makes them the first 2**M amplitudes, beside the memory.
        rest = memory.new_zeros(*memory.shape[:-1], 2**circuit.qubits - memory.shape[-1])
        register = torch.cat([memory, rest], dim=-1)
        for position, rotation in enumerate(circuit.encoding):
            if rotation.is_gate:
                stride = 2 ** (circuit.qubits - 1 - rotation.qubit)
                half = turns.angles[position] / 2
                register = quantum.rotate(register, stride, half.cos(), half.sin(), real=False)
                after = _sample(instrument.rotated[position], register, site_numbers)
                register = torch.where(turns.gates[..., position, None], after, register)
        for qubits, matrix, sites in instrument.placed:
            # Neuron first and batch last, each gate is one matrix product per neuron.
            by_neuron = gates.apply(matrix, qubits, register.permute(1, 2, 0), circuit.qubits)
            register = _sample(sites, by_neuron.permute(2, 0, 1), site_numbers)

        psi = register.unflatten(-1, (2**circuit.channels, -1))
        weights = quantum.squared_norm(psi)
        outcomes = quantum.choose(weights, outcome_number)
        memory = _sample(instrument.idle, _unit(quantum.pick(psi, outcomes)), site_numbers)

        spiking = (weights @ table) / weights.sum(-1, keepdim=True)
        bits = (readout_numbers < _recorded(noise, table[outcomes])).to(weights.dtype)
        unknown = torch.full_like(outcome_number, torch.nan)
        return bits, _recorded(noise, spiking), unknown, memory

    return repeat(step, control, memory, len(uniforms), keep_history)


def _refuse_gradients(*leaves: Tensor) -> None:
    if torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves):
        raise ValueError(
            "noise_simulation is 'trajectories', through which no gradient is defined: run under "
            "torch.no_grad(), or differentiate with noise_simulation='density_matrix'"
        )


def _recorded(noise: Noise, spiking: Tensor) -> Tensor:
    """The probability that a spike is recorded, given that of measuring 1."""
    return noise.false_spike * (1 - spiking) + (1 - noise.missed_spike) * spiking


def _channel(site: Site, count: int, device: torch.device, dtype: torch.dtype) -> _Channel:
    """Spread a site's Kraus operators over a register of `count` qubits."""
    index = np.arange(2**count)
    # The site's first qubit is its most significant.
    bits = [(count - 1 - qubit, place) for place, qubit in enumerate(reversed(site.qubits))]
    row = np.sum([(index >> s & 1) << p for s, p in bits], axis=0)
    column = np.abs(site.kraus).argmax(-1)  # (count, d)
    factor = np.take_along_axis(site.kraus, column[..., None], axis=-1)[..., 0][:, row]
    moved = np.sum([(column >> p & 1) << s for s, p in bits], axis=0)[:, row]
    source = index & ~sum(1 << s for s, _ in bits) | moved
    effects = (np.abs(site.kraus) ** 2).sum(-2)[:, row]  # diagonals of K^+ K
    probabilities = effects[:, :1]
    rising = np.cumsum(probabilities[::-1, 0])
    if unitary := np.allclose(effects, probabilities, rtol=0, atol=1e-14):
        factor = factor / np.sqrt(np.where(probabilities > 0, probabilities, 1.0))

    def tensor(values: np.ndarray, dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), device="cpu").to(device, dtype)

    return _Channel(
        tensor(source, torch.int64),
        tensor(factor, dtype.to_complex()),
        tensor(rising / rising[-1], dtype) if unitary else None,
        tensor(effects.T, dtype),
    )


def _sample(sites: list[_Channel], states: Tensor, numbers: Iterator[Tensor]) -> Tensor:
    """At each site one Kraus operator on normalised states, with its branch's probability."""
    for source, factor, edges, effects in sites:
        number = next(numbers)
        if edges is None:
            populations = states.real.square() + states.imag.square()
            drawn = quantum.choose(populations @ effects, number)
        else:
            # Numbers outside [0, 1) are refused at the end of the call, and must do no harm here.
            drawn = (len(edges) - 1 - torch.searchsorted(edges, number, right=True)).clamp_min(0)
        states = states.gather(-1, _rows(source, drawn)) * _rows(factor, drawn)
        if edges is None:
            states = _unit(states)
    return states


def _rows(table: Tensor, drawn: Tensor) -> Tensor:
    """`table[drawn]`, with the faster of torch's two kernels."""
    return table.index_select(0, drawn.flatten()).unflatten(0, drawn.shape)


def _unit(states: Tensor) -> Tensor:
    return quantum.collapsed(states)[0]
