"""One population that carries the derivatives of its memory forward in time, for online learning.

The parameters of a neuron are its gate angles, its gains and its incoming weights:

    angle k      dK/dtheta_k
    gain e       dK/dgain_e = phi_e dK/da_e                 a_e = gain_e phi, phi = pi max(z, 0)
    weight n,p   dK/dw_np = x_pn sum_e (dphi_n/dz_n gain_e) dK/da_e     over rotations of channel n

The traces take batch x 2**M numbers per parameter, as many at step 1000 as at step 10.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum import tangents
from sqsnn.quantum.tangents import Slope, Step


class Drive(NamedTuple):
    """The input of one step of a population, with E rotations in the encoding."""

    sources: Tensor  # presynaptic spikes of each channel, (B, P, N)
    angles: Tensor  # of the rotations, (B, H, E)
    by_gain: Tensor  # d(angle e)/d(gain e) = phi, (B, H, E)
    by_current: Tensor  # d(angle e)/dz of the rotation's own channel, (B, H, E)


class Observed(NamedTuple):
    """A step before `carry`, while signals still arrive."""

    step: Step  # of the instrument, with its derivatives
    drive: Drive
    spikes: Tensor  # (B, H, N)
    probability: Tensor  # that a channel fires, (B, H, N)


class Gradient(NamedTuple):
    """Derivatives by the parameters of a population, summed over the batch or as `(H, B, ...)`."""

    own: Tensor  # by its angles, then its trainable gains, (H, K + G)
    synaptic: Tensor  # by its incoming weights, channel by channel, (H, N * P)


class Traced:
    """A population without noise, with memory and traces; every batch needs a new one."""

    def __init__(self, neurons: SQSNeurons, presynaptic: int, batch: int) -> None:
        self.neurons = neurons
        self.parameters_changed()
        self.memory = quantum.ground_state(self.tangent.instrument, batch)
        circuit = neurons.circuit
        self.trained = [e for e, rotation in enumerate(circuit.encoding) if rotation.trainable]
        # Neuron first and parameter last: every sum below is then one pass in the order of memory.
        dim = self.memory.shape[-1]
        own = circuit.parameters + len(self.trained)
        self.own = self.memory.new_zeros(neurons.size, batch, dim, own)
        self.synaptic = self.memory.new_zeros(
            neurons.size, batch, dim, neurons.channels * presynaptic
        )

    def observe(
        self,
        sources: Float[Tensor, "B P channels"],
        currents: Float[Tensor, "B H N"],
        uniforms: Float[Tensor, "B H"],
    ) -> Observed:
        """Encode, evolve and measure; memory and traces wait for `carry`."""
        neurons = self.neurons
        circuit = neurons.circuit
        drive = self._drive(sources, currents)
        step = tangents.step(self.tangent, self.memory, drive.angles, uniforms)
        bits = quantum.outcome_bits(circuit.channels, currents.device).to(currents)
        return Observed(step, drive, step.chosen @ bits, step.weights @ bits)

    def slope_of_probability(self, seen: Observed, signal: Float[Tensor, "B H N"]) -> Slope:
        """Differentiate sum_n L_n p_n."""
        bits = quantum.outcome_bits(self.neurons.channels, signal.device).to(signal)
        return tangents.slope(seen.step, signal @ bits.T)

    def slope_of_likelihood(self, seen: Observed) -> Slope:
        """Differentiate log p of the measured outcome."""
        return tangents.slope(seen.step, seen.step.chosen / seen.step.likelihood[..., None])

    def by_current(self, seen: Observed, slope: Slope) -> Float[Tensor, "B H N"]:
        """Give the part of a slope that belongs to the currents of this very step."""
        direct = slope.by_rotation * seen.drive.by_current
        summed = direct.new_zeros(*direct.shape[:-1], self.neurons.channels)
        for e, rotation in enumerate(self.neurons.circuit.encoding):
            summed[..., rotation.channel] += direct[..., e]
        return summed

    def gradient(self, seen: Observed, slope: Slope) -> Gradient:
        """Give a slope by each parameter, directly and through the memory, summed over samples."""
        along = slope.memory.conj().transpose(0, 1).flatten(1).unsqueeze(1)  # (H, 1, B * dim)
        own, synaptic = (
            (along @ traces.flatten(1, 2)).squeeze(1).real for traces in (self.own, self.synaptic)
        )
        direct = torch.einsum("bhn,bpn->hnp", self.by_current(seen, slope), seen.drive.sources)
        return Gradient(own + self._own(seen, slope).sum(0), synaptic + direct.flatten(1))

    def scores(self, seen: Observed, slope: Slope) -> Gradient:
        """Give a slope by each parameter for every sample, `(H, B, ...)`."""
        along = slope.memory.conj().transpose(0, 1).unsqueeze(2)  # (H, B, 1, dim)
        own, synaptic = ((along @ traces).squeeze(2).real for traces in (self.own, self.synaptic))
        direct = torch.einsum("bhn,bpn->hbnp", self.by_current(seen, slope), seen.drive.sources)
        own = own + self._own(seen, slope).transpose(0, 1)
        return Gradient(own, synaptic + direct.flatten(2))

    def no_score(self) -> Gradient:
        """Give scores of 0, the start of a sum."""
        like = self.neurons.angles.detach()
        shapes = (self.own.shape, self.synaptic.shape)  # (H, B, dim, parameters)
        return Gradient(*(like.new_zeros(*shape[:2], shape[3]) for shape in shapes))

    def carry(self, seen: Observed) -> None:
        """Carry memory and traces to the next step."""
        step, drive = seen.step, seen.drive
        matrix, still = (part.transpose(0, 1) for part in tangents.transport(step))  # (H, B, d, d)
        chosen = step.chosen[:, :, None, :, None]
        # (dK_s) m as columns, (H, B, dim, ...)
        by_angle = (chosen * step.by_angle).sum(-2).permute(1, 0, 3, 2)
        by_rotation = (chosen * step.by_rotation).sum(-2).permute(1, 0, 3, 2)
        gains = (by_rotation * drive.by_gain.transpose(0, 1)[:, :, None])[..., self.trained]
        self.own = matrix @ self.own + still @ torch.cat([by_angle, gains], dim=-1)
        by_current = still @ (by_rotation * drive.by_current.transpose(0, 1)[:, :, None])
        self.synaptic = matrix @ self.synaptic
        per_channel = self.synaptic.unflatten(-1, (self.neurons.channels, -1))
        for e, rotation in enumerate(self.neurons.circuit.encoding):
            x = drive.sources[:, None, :, rotation.channel]  # (B, 1, P)
            per_channel[..., rotation.channel, :].addcmul_(by_current[..., e, None], x)
        self.memory = step.memory

    def split(self, gradient: Gradient) -> tuple[tuple[Tensor, Tensor], Float[Tensor, "N H P"]]:
        """Split a gradient into those of angles and gains, and that of the weights."""
        own = gradient.own.split([self.neurons.circuit.parameters, len(self.trained)], dim=-1)
        weights = gradient.synaptic.unflatten(-1, (self.neurons.channels, -1))
        return (own[0], own[1]), weights.movedim(1, 0)

    def parameters_changed(self) -> None:
        """Take over new angles; the traces stay, as in real-time recurrent learning."""
        self.tangent = tangents.prepare(self.neurons.circuit, self.neurons.angles)

    def _drive(self, sources: Tensor, currents: Tensor) -> Drive:
        neurons = self.neurons
        with torch.enable_grad():
            leaf = currents.detach().requires_grad_()
            phi = neurons.encoding_angle(leaf)
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

    def _own(self, seen: Observed, slope: Slope) -> Float[Tensor, "B H own"]:
        """Give the direct part of a slope by angles and gains."""
        gains = (slope.by_rotation * seen.drive.by_gain)[..., self.trained]
        return torch.cat([slope.by_angle, gains], dim=-1)
