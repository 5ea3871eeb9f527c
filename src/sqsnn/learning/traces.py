"""One population stepping forward in time with the derivatives of its memory, for online learning.

The J parameters of a neuron are its gate angles, its gains and its incoming weights, in one row:

    angle k      dK/dtheta_k
    gain e       dK/dgain_e = phi_e dK/da_e                 a_e = gain_e phi, phi = pi max(z, 0)
    weight n,p   dK/dw_np = x_pn sum_e (dphi_n/dz_n gain_e) dK/da_e     over rotations of channel n

The traces take `(batch, neurons, J, 2**M)` numbers, as many at step 1000 as at step 10.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum import tangents
from sqsnn.quantum.tangents import Slope, Step, TangentInstrument


class Drive(NamedTuple):
    """What drives one step of a population.

    sources: Presynaptic spikes of each channel, `(B, P, N)`.
    angles: Of the encoding's rotations, `(B, H, E)`.
    by_gain: d(angle e)/d(gain e) = phi, `(B, H, E)`.
    by_current: d(angle e)/dz of the rotation's own channel, `(B, H, E)`.
    """

    sources: Tensor
    angles: Tensor
    by_gain: Tensor
    by_current: Tensor


class Observed(NamedTuple):
    """A step that is not carried on yet: signals may come in the meantime."""

    step: Step
    drive: Drive
    spikes: Tensor  # (B, H, N)
    probability: Tensor  # (B, H, N)


class Traced:
    """A population of quantum neurons with memory and traces; made afresh for every batch.

    Args:
        neurons: The population.
        presynaptic: Incoming weights of a channel and neuron.
        batch: Samples.

    Raises:
        TypeError: Other neurons: their memory's derivatives are not known here.
        ValueError: Noise, for which traces of density matrices would be needed.
    """

    def __init__(self, neurons: Population, presynaptic: int, batch: int) -> None:
        if not isinstance(neurons, SQSNeurons):
            raise TypeError(
                f"score 'online' carries the derivatives of SQSNeurons, but the population is a "
                f"{type(neurons).__name__}; score 'exact' works for every population"
            )
        if neurons.noise is not None:
            raise ValueError("score 'online' works without noise only; use score 'exact'")
        self.neurons = neurons
        self.tangent = self._prepare()
        self.memory = quantum.ground_state(self.tangent.instrument, batch)
        circuit = neurons.circuit
        self.trained = [e for e, rotation in enumerate(circuit.encoding) if rotation.trainable]
        self.parameters = (
            circuit.parameters + len(self.trained) + neurons.channels * presynaptic
        )  # J
        shape = (batch, neurons.size, self.parameters, self.memory.shape[-1])
        self.traces = self.memory.new_zeros(shape)

    def observe(
        self,
        sources: Float[Tensor, "B P channels"],
        currents: Float[Tensor, "B H N"],
        uniforms: Float[Tensor, "B H"],
    ) -> Observed:
        """Encode, evolve, measure; memory and traces wait for `carry`."""
        neurons = self.neurons
        circuit = neurons.circuit
        drive = self._drive(sources, currents)
        step = tangents.step(self.tangent, self.memory, drive.angles, uniforms)
        bits = quantum.outcome_bits(circuit.channels, currents.device).to(currents)
        return Observed(step, drive, step.chosen @ bits, step.weights @ bits)

    def slope_of_probability(self, seen: Observed, signal: Float[Tensor, "B H N"]) -> Slope:
        """The derivative of sum_n L_n p_n."""
        bits = quantum.outcome_bits(self.neurons.channels, signal.device).to(signal)
        return tangents.slope(seen.step, signal @ bits.T)

    def slope_of_likelihood(self, seen: Observed) -> Slope:
        """The derivative of log p of the measured outcome."""
        return tangents.slope(seen.step, seen.step.chosen / seen.step.likelihood[..., None])

    def by_current(self, seen: Observed, slope: Slope) -> Float[Tensor, "B H N"]:
        """The part of a slope that the currents of this very step have."""
        direct = slope.by_rotation * seen.drive.by_current
        summed = direct.new_zeros(*direct.shape[:-1], self.neurons.channels)
        for e, rotation in enumerate(self.neurons.circuit.encoding):
            summed[..., rotation.channel] += direct[..., e]
        return summed

    def by_parameter(self, seen: Observed, slope: Slope) -> Float[Tensor, "B H J"]:
        """A slope by each parameter: directly, and by way of the memory."""
        direct = self._spread(seen.drive, slope.by_angle[..., None], slope.by_rotation[..., None])
        return direct.squeeze(-1) + tangents.along(slope, self.traces)

    def carry(self, seen: Observed) -> None:
        """Go on to the next step."""
        chosen = seen.step.chosen[:, :, None, :, None]
        by_angle = (chosen * seen.step.by_angle).sum(-2)  # (B, H, K, 2**M)
        by_rotation = (chosen * seen.step.by_rotation).sum(-2)
        direct = self._spread(seen.drive, by_angle, by_rotation)
        self.traces = tangents.carry(seen.step, self.traces, direct)
        self.memory = seen.step.memory

    def split(
        self, row: Float[Tensor, "H J"]
    ) -> tuple[tuple[Tensor, Tensor], Float[Tensor, "N H P"]]:
        """A gradient of all parameters as those of angles and gains, and of the weights."""
        circuit, channels = self.neurons.circuit, self.neurons.channels
        angles, gains, weights = row.split(
            [
                circuit.parameters,
                len(self.trained),
                row.shape[1] - circuit.parameters - len(self.trained),
            ],
            dim=1,
        )
        return (angles, gains), weights.unflatten(1, (channels, -1)).movedim(1, 0)

    def parameters_changed(self) -> None:
        """Take up new angles; the traces stay, as they do in real-time recurrent learning."""
        self.tangent = self._prepare()

    def _prepare(self) -> TangentInstrument:
        return tangents.prepare(self.neurons.circuit, self.neurons.angles)

    def _drive(self, sources: Tensor, currents: Tensor) -> Drive:
        neurons = self.neurons
        with torch.enable_grad():
            leaf = currents.detach().requires_grad_()
            phi = surrogates.encoding_angle(leaf, neurons.encoding_slope)
            (slope,) = torch.autograd.grad(phi.sum(), leaf)
        channel = [rotation.channel for rotation in neurons.circuit.encoding]
        gains = [
            neurons.gains.detach()[:, self.trained.index(e)]
            if rotation.trainable
            else currents.new_full((neurons.size,), rotation.gain)
            for e, rotation in enumerate(neurons.circuit.encoding)
        ]
        gain = torch.stack(gains, dim=-1)  # (H, E)
        phi = phi.detach()[..., channel]
        return Drive(
            sources.expand(-1, -1, neurons.channels), gain * phi, phi, gain * slope[..., channel]
        )

    def _spread(
        self,
        drive: Drive,
        by_angle: Inexact[Tensor, "B H K D"],
        by_rotation: Inexact[Tensor, "B H E D"],
    ) -> Inexact[Tensor, "B H J D"]:
        """From angles and rotations to angles, gains and weights."""
        circuit = self.neurons.circuit
        gains = (drive.by_gain[..., None] * by_rotation)[:, :, self.trained]
        by_current = drive.by_current[..., None] * by_rotation  # (B, H, E, D)
        parts = [by_angle, gains]
        for n in range(circuit.channels):
            own = [e for e, rotation in enumerate(circuit.encoding) if rotation.channel == n]
            summed = by_current[:, :, own].sum(2)  # (B, H, D)
            parts.append(drive.sources[:, None, :, n, None] * summed[:, :, None])
        return torch.cat(parts, dim=2)
