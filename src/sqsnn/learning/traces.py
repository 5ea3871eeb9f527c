"""One population that carries the derivatives of its memory forward in time, for online learning.

The parameters of a neuron are its gate angles, its gains and its incoming weights:

    angle k      dK/dtheta_k
    gain e       dK/dgain_e = phi_e dK/da_e                          a_e = gain_e phi(u)
    weight n,p   dK/dw_np = sum_e (dphi/du_n gain_e) du_n/dw_np dK/da_e    rotations of channel n

Without a membrane u is the current, and du_n/dw_np the presynaptic spike x_pn; with one it is the
eligibility (`eligibility.py`), which also leads from beta, theta and c to u.

The traces take batch x 2**M numbers per parameter, as many at step 1000 as at step 10.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from sqsnn.learning.eligibility import Eligibility, Gradient, Integrated
from sqsnn.learning.rule import add_gradient
from sqsnn.neurons import surrogates
from sqsnn.neurons.drive import Leaky, at_rest, settle
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.placing import columns, in_full_precision
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum import tangents
from sqsnn.quantum.tangents import Slope, Step


class Encoded(NamedTuple):
    """The encoding of one step of a population, with E rotations."""

    sources: Tensor  # what reaches each channel, (B, P, N)
    angles: Tensor  # of the rotations, (B, H, E)
    by_gain: Tensor  # d(angle e)/d(gain e) = phi, (B, H, E)
    by_potential: Tensor  # d(angle e)/du of the rotation's own channel, (B, H, E)
    integrated: Integrated | None  # the step of a leaky drive


class Observed(NamedTuple):
    """A step before `carry`, while signals still arrive."""

    step: Step  # of the instrument, with its derivatives
    encoded: Encoded
    spikes: Tensor  # (B, H, N)
    probability: Tensor  # that a channel fires, (B, H, N)


class Traces:
    """The derivatives of a population's memory by all its parameters, `(H, B, dim, parameters)`."""

    def __init__(
        self, neurons: SQSNeurons, presynaptic: int, memory: Tensor, through_reset: bool
    ) -> None:
        self.neurons = neurons
        rotations = neurons.circuit.encoding
        self.trained = tuple(e for e, rotation in enumerate(rotations) if rotation.trainable)
        batch, drive = len(memory), neurons.drive
        self.eligibility = (
            Eligibility(neurons, drive, presynaptic, batch, through_reset)
            if isinstance(drive, Leaky)
            else None
        )
        # Neuron first and parameter last: every sum below is then one pass in the order of memory.
        shape = neurons.size, batch, memory.shape[-1]
        own = neurons.circuit.parameters + len(self.trained)
        if self.eligibility is not None:
            own += sum(self.eligibility.columns)
        self.own = memory.new_zeros(*shape, own)
        self.synaptic = memory.new_zeros(*shape, neurons.channels * presynaptic)

    def gradient(self, seen: Observed, slope: Slope) -> Gradient:
        """Give a slope by each parameter, directly and through the memory, summed over samples."""
        along = slope.memory.conj().transpose(0, 1).flatten(1).unsqueeze(1)  # (H, 1, B * dim)
        own, synaptic = (
            (along @ traces.flatten(1, 2)).squeeze(1).real for traces in (self.own, self.synaptic)
        )
        own = own + self._own(seen, slope).sum(0)
        direct = by_potential(self.neurons, seen, slope)
        if self.eligibility is None:
            of_weights = torch.einsum("bhn,bpn->hnp", direct, seen.encoded.sources)
            return Gradient(own, synaptic + of_weights.flatten(1))
        along = direct.transpose(0, 1).flatten(1).unsqueeze(1)  # (H, 1, B * N)
        now = self.eligibility.now
        more = [(along @ values.flatten(1, 2)).squeeze(1) for values in now]
        return Gradient(own + more[0], synaptic + more[1])

    def scores(self, seen: Observed, slope: Slope) -> Gradient:
        """Give a slope by each parameter for every sample, `(H, B, ...)`."""
        along = slope.memory.conj().transpose(0, 1).unsqueeze(2)  # (H, B, 1, dim)
        own, synaptic = ((along @ traces).squeeze(2).real for traces in (self.own, self.synaptic))
        own = own + self._own(seen, slope).transpose(0, 1)
        direct = by_potential(self.neurons, seen, slope)
        if self.eligibility is None:
            of_weights = torch.einsum("bhn,bpn->hbnp", direct, seen.encoded.sources)
            return Gradient(own, synaptic + of_weights.flatten(2))
        along = direct.transpose(0, 1).unsqueeze(2)  # (H, B, 1, N)
        more = [(along @ values).squeeze(2) for values in self.eligibility.now]
        return Gradient(own + more[0], synaptic + more[1])

    def no_score(self) -> Gradient:
        """Give scores of 0, the start of a sum."""
        like = self.neurons.angles.detach()
        shapes = (self.own.shape, self.synaptic.shape)  # (H, B, dim, parameters)
        return Gradient(*(like.new_zeros(*shape[:2], shape[3]) for shape in shapes))

    def carry(self, seen: Observed, matrix: Tensor, still: Tensor) -> None:
        """Carry the traces to the next step, d' = A d + S (dK_s) m; `(H, B, dim, dim)` each."""
        step, encoded = seen.step, seen.encoded
        if self.eligibility is not None and self.eligibility.through_reset:
            self.eligibility.remember(self._passed_on(seen))
        chosen = step.chosen[:, :, None, :, None]
        # (dK_s) m as columns, (H, B, dim, ...)
        by_angle = (chosen * step.by_angle).sum(-2).permute(1, 0, 3, 2)
        by_rotation = (chosen * step.by_rotation).sum(-2).permute(1, 0, 3, 2)
        by_gain = by_rotation * encoded.by_gain.transpose(0, 1)[:, :, None]
        parts = [by_angle, columns(by_gain, self.trained)]
        if self.eligibility is not None:
            parts.append(by_angle.new_zeros(*by_angle.shape[:-1], sum(self.eligibility.columns)))
        self.own = matrix @ self.own + still @ torch.cat(parts, dim=-1)
        of_rotation = still @ (by_rotation * encoded.by_potential.transpose(0, 1)[:, :, None])
        self.synaptic = matrix @ self.synaptic
        if self.eligibility is None:
            per_channel = self.synaptic.unflatten(-1, (self.neurons.channels, -1))
            for e, rotation in enumerate(self.neurons.circuit.encoding):
                x = encoded.sources[:, None, :, rotation.channel]  # (B, 1, P)
                per_channel[..., rotation.channel, :].addcmul_(of_rotation[..., e, None], x)
            return
        of_channel = _per_channel(self.neurons, of_rotation)  # (H, B, dim, N)
        own, synaptic = (values.to(of_channel.dtype) for values in self.eligibility.now)
        self.own = self.own + of_channel @ own
        self.synaptic = self.synaptic + of_channel @ synaptic

    def _passed_on(self, seen: Observed) -> Gradient:
        """Give sigma' dp_n/dw of every channel and parameter, `(H, B, N, ...)`."""
        size = self.neurons.channels
        by_channel: list[Gradient] = []
        for one in torch.eye(size, dtype=seen.probability.dtype, device=seen.probability.device):
            slope = slope_of_probability(self.neurons, seen, one.expand_as(seen.probability))
            by_channel.append(self.scores(seen, slope))
        factor = surrogates.spike_slope(seen.probability, self.neurons.surrogate)
        if isinstance(factor, Tensor):
            factor = factor.transpose(0, 1)[..., None]  # (H, B, N, 1)
        stacked = (torch.stack(parts, dim=2) for parts in zip(*by_channel, strict=True))
        return Gradient(*(factor * values for values in stacked))

    def _own(self, seen: Observed, slope: Slope) -> Float[Tensor, "B H own"]:
        """Give the direct part of a slope by angles and gains; drive's come by the eligibility."""
        gains = columns(slope.by_rotation * seen.encoded.by_gain, self.trained)
        parts = [slope.by_angle, gains]
        if self.eligibility is not None:
            parts.append(gains.new_zeros(*gains.shape[:-1], sum(self.eligibility.columns)))
        return torch.cat(parts, dim=-1)


class Traced:
    """A population without noise, with memory, drive and traces; every batch needs a new one.

    Args:
        neurons: The population.
        presynaptic: What feeds a neuron, P columns.
        batch: Samples B.
        scored: Whether it also gives scores, which take own spikes as data.
    """

    def __init__(self, neurons: SQSNeurons, presynaptic: int, batch: int, scored: bool) -> None:
        self.neurons = neurons
        neurons.check_parameters()
        self.parameters_changed()
        self.memory = quantum.ground_state(self.tangent.instrument, batch)
        drive, self.membrane = neurons.drive, None
        through_reset = False
        if isinstance(drive, Leaky):
            currents = neurons.angles.detach().new_zeros(batch, neurons.size, neurons.channels)
            self.membrane = at_rest(drive, currents)
            through_reset = drive.through_reset
        self.traces = self.of_score = Traces(neurons, presynaptic, self.memory, through_reset)
        self._all = [self.traces]
        if scored and through_reset:  # a score takes own spikes as data
            self.of_score = Traces(neurons, presynaptic, self.memory, through_reset=False)
            self._all.append(self.of_score)

    @property
    def parameter_like(self) -> Tensor:
        """A tensor with the population's device and dtype."""
        return self.neurons.parameter_like

    @in_full_precision
    def observe(
        self,
        sources: Float[Tensor, "B P N"],
        currents: Float[Tensor, "B H N"],
        uniforms: Float[Tensor, "B H"],
    ) -> Observed:
        """Integrate, encode, evolve and measure; memory and traces wait for `carry`."""
        self.neurons.check_currents(currents, "batch")
        circuit = self.neurons.circuit
        encoded = self._encode(sources, currents)
        step = tangents.step(self.tangent, self.memory, encoded.angles, uniforms)
        bits = quantum.outcome_bits(circuit.channels, currents.device).to(currents)
        return Observed(step, encoded, step.chosen @ bits, step.weights @ bits)

    def slope_of_probability(self, seen: Observed, signal: Float[Tensor, "B H N"]) -> Slope:
        """Differentiate sum_n L_n p_n."""
        return slope_of_probability(self.neurons, seen, signal)

    def slope_of_likelihood(self, seen: Observed) -> Slope:
        """Differentiate log p of the measured outcome."""
        return tangents.slope(seen.step, seen.step.chosen / seen.step.likelihood[..., None])

    def by_current(self, seen: Observed, slope: Slope) -> Float[Tensor, "B H N"]:
        """Give the part of a slope that belongs to the currents of this very step."""
        direct, integrated = by_potential(self.neurons, seen, slope), seen.encoded.integrated
        return direct if integrated is None else direct * integrated.slope

    @in_full_precision
    def carry(self, seen: Observed) -> None:
        """Carry memory, drive and traces to the next step."""
        matrix, still = (part.transpose(0, 1) for part in tangents.transport(seen.step))
        for traces in self._all:
            traces.carry(seen, matrix, still)
        self.memory = seen.step.memory
        if seen.encoded.integrated is not None:
            self.membrane = settle(seen.encoded.integrated.after, seen.spikes)

    def add_gradient(self, gradient: Gradient) -> None:
        """Add a gradient to `.grad` of the population's parameters."""
        neurons = self.neurons
        with torch.enable_grad():  # for angles and gains that are made of other parameters
            made: list[Tensor] = [neurons.angles, neurons.gains]
            if isinstance(neurons.drive, Leaky):
                made += neurons.learned_drive
        parts = gradient.own.split([part[0].numel() for part in made], dim=-1)
        for parameter, part in zip(made, parts, strict=True):
            add_gradient(parameter, part.reshape(parameter.shape))

    def by_weight(self, gradient: Gradient) -> Float[Tensor, "N H P"]:
        """Give a gradient's part by the weights of the synapses."""
        return gradient.synaptic.unflatten(-1, (self.neurons.channels, -1)).movedim(1, 0)

    @in_full_precision
    def parameters_changed(self) -> None:
        """Take over new angles; the traces stay, as in real-time recurrent learning."""
        self.tangent = tangents.prepare(self.neurons.circuit, self.neurons.angles)

    def _encode(self, sources: Tensor, currents: Tensor) -> Encoded:
        neurons, integrated = self.neurons, None
        potential = currents.detach()
        if self.membrane is not None and isinstance(neurons.drive, Leaky):
            learned = neurons.learned_drive
            potential, after = neurons.integrate(potential, self.membrane)
            exact = neurons.encoding_slope == "exact"
            slope = surrogates.floor_slope(after.membrane, neurons.drive.floor, exact=exact)
            integrated = Integrated(self.membrane, after, slope)
            for traces in self._all:
                if traces.eligibility is not None:
                    traces.eligibility.advance(integrated, learned, sources)
        with torch.enable_grad():
            leaf = potential.requires_grad_()
            turns = surrogates.encoding_turns(
                leaf, neurons.encoding_slope, saturate=neurons.drive.saturates
            )
            (slope,) = torch.autograd.grad(turns.sum(), leaf)
        channel = tuple(rotation.channel for rotation in neurons.circuit.encoding)
        trained = self.traces.trained
        gains = [
            neurons.gains.detach()[:, trained.index(e)]
            if rotation.trainable
            else currents.new_full((neurons.size,), rotation.gain)
            for e, rotation in enumerate(neurons.circuit.encoding)
        ]
        gain = torch.stack(gains, dim=-1)  # (H, E)
        phi, slope = (math.pi * columns(x, channel) for x in (turns.detach(), slope))
        angles = torch.stack(neurons.encoding_angles(leaf.detach()), dim=-1).detach()
        return Encoded(sources, angles, phi, gain * slope, integrated)


def slope_of_probability(
    neurons: SQSNeurons, seen: Observed, signal: Float[Tensor, "B H N"]
) -> Slope:
    """Differentiate sum_n L_n p_n."""
    bits = quantum.outcome_bits(neurons.channels, signal.device).to(signal)
    return tangents.slope(seen.step, signal @ bits.T)


def by_potential(neurons: SQSNeurons, seen: Observed, slope: Slope) -> Float[Tensor, "B H N"]:
    """Give the part of a slope that belongs to u of this very step; without a membrane, z."""
    return _per_channel(neurons, slope.by_rotation * seen.encoded.by_potential)


def _per_channel(
    neurons: SQSNeurons, of_rotations: Inexact[Tensor, "*batch E"]
) -> Inexact[Tensor, "*batch N"]:
    """Sum over the rotations that a channel's current drives."""
    summed = of_rotations.new_zeros(*of_rotations.shape[:-1], neurons.channels)
    for e, rotation in enumerate(neurons.circuit.encoding):
        summed[..., rotation.channel] += of_rotations[..., e]
    return summed
