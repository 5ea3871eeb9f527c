"""From measured bits to derivatives of probabilities and log-likelihoods; they need nothing else.

A window of W steps runs from fresh memory with the recorded inputs; c is the event that it
returns the recorded spikes before its last step, (c, s) those of the last step too. With shifted
probabilities f_j and their coefficients (`quantum/shift_rules.py`),

    d p(1 | c)     = sum_j a_j f_j(c, 1) / P(c)       - p(1 | c) sum_j a_j f_j(c) / P(c)
    d log p(s | c) = sum_j a_j f_j(c, s) / P(c, s)    - sum_j a_j f_j(c) / P(c)

f_j is the share of shots that agree. 1 / P is

    geometric    the number of trials G until an event happens: E[G] = 1 / P, so that all is
                 unbiased, except for events that `max_trials` trials miss (bias (1 - P)^max)
    laplace      (n + 2) / (k + 1) for k agreements in n shots: less noise, but biased

and log P = -E[ sum_{j < G} 1/j ]. A shift in the last step does not reach the past: for it the
second terms are 0 and left out. Averages of G and of the shifted bits are multiplied, which is as
unbiased as averaging products, with less noise.
"""

from dataclasses import field
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.learning.bit_source import BitSource
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.options import Count, options
from sqsnn.quantum import shift_rules
from sqsnn.quantum.shift_rules import Occurrence

Derivative = Literal["shift", "spsa"]

SPSA_SIZE = 0.5  # radians


class Cost(NamedTuple):
    """What ran on the source of bits."""

    circuits: int = 0  # different ones: one per neuron, window and shift
    shots: int = 0  # runs of circuits
    events: int = 0  # recorded events for which trials were repeated (geometric)
    truncations: int = 0  # events among them that `max_trials` trials missed

    def plus(self, other: "Cost") -> "Cost":
        """Add two costs."""
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))


class Derivatives(NamedTuple):
    """Derivatives of the last step of a window by O occurrences of angles, where requested."""

    occurrences: tuple[Occurrence, ...]  # where each angle acts
    probability: Tensor | None  # d p(channel fires | c), (O, B, H, N)
    score: Tensor | None  # d log p(s | c), (O, B, H)
    log_likelihood: Tensor | None  # log p(s | c), (B, H), unbiased; goes with the score
    cost: Cost


class Event(NamedTuple):
    """What repeated trials tell about an event."""

    inverse: Tensor  # 1 / P of the event, (B, H)
    log_probability: Tensor  # log P, (B, H)
    chance: Tensor  # that each channel fires in the last step, given the event, (B, H, N)
    cost: Cost = Cost()  # events and truncations


@options
class Geometric:
    """Repeat trials until the recorded spikes happen: unbiased, but noisy."""

    repeats: Count = 1
    """Shots of each shifted circuit, and blocks of trials."""
    max_trials: Count = 50
    """Trials per block, after which a recorded event is given up."""
    kind: Literal["geometric"] = field(default="geometric", kw_only=True, repr=False)

    @property
    def circuit_shots(self) -> tuple[int, int]:
        """Shots of each shifted circuit, and of each circuit without shift."""
        return self.repeats, self.repeats * self.max_trials

    def event(
        self,
        happened: Bool[Tensor, "trials B H"],
        fired: Bool[Tensor, "trials B H N"],
        like: Tensor,
    ) -> Event:
        """Estimate 1 / P and log P of an event from the trials until it happens."""
        blocks, most = (self.repeats, self.max_trials), self.max_trials
        happened, fired = happened.unflatten(0, blocks), fired.unflatten(0, blocks)
        steps = torch.arange(1, most + 1, dtype=like.dtype, device=like.device)
        first = happened.int().argmax(1)  # the first of several; (R, B, H)
        came = happened.any(1)
        trials = torch.where(came, first + 1, most)
        harmonic = torch.cat([steps.new_zeros(1), (1 / steps).cumsum(0)])
        accepted = (trials - 1)[:, None, ..., None].expand(-1, 1, -1, -1, fired.shape[-1])
        return Event(
            trials.to(like).mean(0),
            -harmonic[trials - 1].mean(0),
            fired.gather(1, accepted).squeeze(1).to(like).mean(0),
            Cost(events=came.numel(), truncations=int((~came).sum())),
        )


@options
class Laplace:
    """Count how many of some shots return the recorded spikes: less noise, but biased."""

    shots: Count = 100
    """Shots of every circuit."""
    kind: Literal["laplace"] = field(default="laplace", kw_only=True, repr=False)

    @property
    def circuit_shots(self) -> tuple[int, int]:
        """Shots of each shifted circuit, and of each circuit without shift."""
        return self.shots, self.shots

    def event(self, happened: Tensor, fired: Tensor, like: Tensor) -> Event:
        """Estimate 1 / P and log P from the event's share of the trials; see `Geometric.event`."""
        seen = happened.to(like).sum(0)
        share = (seen + 1) / (len(happened) + 2)
        together = (fired & happened[..., None]).to(like).sum(0)
        return Event(1 / share, share.log(), (together + 1) / (seen[..., None] + 2))


def measure(
    derivative: Derivative,
    estimator: Geometric | Laplace,
    source: BitSource,
    neurons: SQSNeurons,
    potentials: Float[Tensor, "W B H N"],
    spikes: Float[Tensor, "W B H N"],
    generator: torch.Generator,
    *,
    probability: bool,
    score: bool,
) -> Derivatives:
    """Measure d p and d log p, where requested, of the last step of windows of recorded spikes.

    "shift" is the exact rule; "spsa" turns all angles at once and needs W = 1.
    """
    recorded = spikes > 0  # (W, B, H, N)
    last, (shots, trials) = len(potentials) - 1, estimator.circuit_shots
    if derivative == "shift":
        rule = shift_rules.parameter_shift(
            neurons.circuit, len(potentials), neurons.angles.detach()
        )
    else:
        rule = shift_rules.simultaneous_perturbation(
            neurons.circuit, neurons.size, shots, SPSA_SIZE, generator, neurons.angles.detach()
        )
        shots = 1  # one direction per shot
    shifted = source.sample(neurons, potentials, rule.shifts, shots, generator)
    past = _agree(shifted[:, :, :-1], recorded[:-1])  # (J, shots, B, H)
    cost = _cost(shifted)
    before = after = _certain(potentials)
    if score or last > 0:
        unshifted = source.sample(neurons, potentials, [()], trials, generator)[0]
        cost = cost.plus(_cost(unshifted[None]))
        fired = unshifted[:, -1]  # (trials, B, H, N)
        if last > 0:
            before = estimator.event(_agree(unshifted[:, :-1], recorded[:-1]), fired, potentials)
        if score:
            after = estimator.event(_agree(unshifted, recorded), fired, potentials)
    cost = cost.plus(before.cost).plus(after.cost)

    # d P(c) / P(c): of the occurrences before the last step alone
    earlier = rule.coefficients.clone()
    earlier[[place.step == last for place in rule.occurrences]] = 0.0
    d_log_past = before.inverse * _combined(earlier, _share(past, potentials))  # (O, B, H)
    d_probability = d_log_likelihood = None
    if probability:
        fires = _share(shifted[:, :, -1] & past[..., None], potentials)  # (J, B, H, N)
        joint = torch.stack([_combined(rule.coefficients, f) for f in fires.unbind(-1)], -1)
        d_probability = before.inverse[..., None] * joint - before.chance * d_log_past[..., None]
    if score:
        agreed = _share(_agree(shifted, recorded), potentials)
        d_log_likelihood = after.inverse * _combined(rule.coefficients, agreed) - d_log_past
    return Derivatives(
        rule.occurrences,
        d_probability,
        d_log_likelihood,
        after.log_probability - before.log_probability if score else None,
        cost,
    )


def _certain(like: Tensor) -> Event:
    """Return the event that nothing differed before the first step."""
    return Event(like.new_ones(1, 1), like.new_zeros(1, 1), like.new_zeros(1, 1, 1))


def _agree(
    measured: Bool[Tensor, "*shifts W B H N"], recorded: Bool[Tensor, "W B H N"]
) -> Bool[Tensor, "*shifts B H"]:
    """Compare shots with the recorded spikes of all steps and channels."""
    return (measured == recorded).all(-1).all(-3)


def _share(shots: Bool[Tensor, "J shots *rest"], like: Tensor) -> Float[Tensor, "J *rest"]:
    return shots.to(like).mean(1)


def _combined(coefficients: Tensor, shares: Tensor) -> Float[Tensor, "O B H"]:
    return torch.einsum("ojh,jbh->obh", coefficients.expand(-1, -1, shares.shape[-1]), shares)


def _cost(measured: Tensor) -> Cost:
    shifts, shots, _, batch, neurons, _ = measured.shape
    return Cost(shifts * batch * neurons, shifts * shots * batch * neurons)
