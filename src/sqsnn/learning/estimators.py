"""From measured bits to derivatives of probabilities and log-likelihoods; nothing else is seen.

A window of W steps runs from fresh memory with the recorded currents; c is the event that it
returns the recorded spikes before its last step, (c, s) those of the last step too. With shifted
probabilities f_j and their coefficients (`quantum/shift_rules.py`),

    d p(1 | c)     = sum_j a_j f_j(c, 1) / P(c)       - p(1 | c) sum_j a_j f_j(c) / P(c)
    d log p(s | c) = sum_j a_j f_j(c, s) / P(c, s)    - sum_j a_j f_j(c) / P(c)

f_j is the share of shots that agree. 1 / P is

    geometric    the number of trials G until an event happens: E[G] = 1 / P, so that all is
                 unbiased, but for events that `max_trials` trials did not bring (bias (1 - P)^max)
    laplace      (n + 2) / (k + 1) for k agreements in n shots: less noise, but biased

and log P = -E[ sum_{j < G} 1/j ]. An event of the last step's own shift is not in the past: there
the second terms are 0 and left out. Averages of G and of the shifted bits are multiplied, which is
as unbiased as averaging products, with less noise.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.checks import check_choice, check_positive_int
from sqsnn.learning.bit_source import BitSource
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import shift_rules
from sqsnn.quantum.shift_rules import Combination, Occurrence

Derivative = Literal["shift", "spsa"]
Inverse = Literal["geometric", "laplace"]

SPSA_SIZE = 0.5  # radians


class Cost(NamedTuple):
    """What was run on the source of bits.

    circuits: Different circuits, each a neuron, window and setting.
    shots: Runs of circuits.
    events: Recorded events that a trial was repeated for (geometric).
    truncations: How many of them did not happen in `max_trials` trials.
    """

    circuits: int = 0
    shots: int = 0
    events: int = 0
    truncations: int = 0

    def plus(self, other: "Cost") -> "Cost":
        """The sum of both."""
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))


class Derivatives(NamedTuple):
    """Of the last step of a window, with respect to O occurrences of angles.

    occurrences: Where each angle acts.
    probability: d p(channel fires | c), `(O, B, H, N)`; None unless asked for.
    score: d log p(s | c), `(O, B, H)`; None unless asked for.
    log_likelihood: log p(s | c), `(B, H)`, unbiased; None where it was not measured.
    """

    occurrences: tuple[Occurrence, ...]
    probability: Tensor | None
    score: Tensor | None
    log_likelihood: Tensor | None
    cost: Cost


@dataclass(frozen=True)
class Estimator:
    """How many circuits and shots, and what is made of them.

    Args:
        derivative: "shift", the exact rule, or "spsa", all angles at once (windows of one step).
        inverse: "geometric" or "laplace".
        repeats: R; shots of each shifted circuit, and blocks of trials (geometric).
        shots: K; shots of every circuit (laplace).
        max_trials: Trials of a block, after which an event is given up (geometric).

    Raises:
        ValueError: An argument is out of range.
    """

    derivative: Derivative = "shift"
    inverse: Inverse = "geometric"
    repeats: int = 1
    shots: int = 100
    max_trials: int = 50

    def __post_init__(self) -> None:
        check_choice("derivative", self.derivative, Derivative)
        check_choice("inverse", self.inverse, Inverse)
        for name in ("repeats", "shots", "max_trials"):
            check_positive_int(name, getattr(self, name))

    def measure(
        self,
        source: BitSource,
        neurons: SQSNeurons,
        currents: Float[Tensor, "W B H N"],
        spikes: Float[Tensor, "W B H N"],
        generator: torch.Generator,
        *,
        probability: bool,
        score: bool,
    ) -> Derivatives:
        """Measure the derivatives of the last step of windows of W steps.

        Args:
            source: Where bits come from.
            neurons: The population.
            currents: Recorded currents.
            spikes: Recorded spikes, 0 or 1.
            generator: Draws outcomes and the directions of SPSA.
            probability: Whether to measure d p.
            score: Whether to measure d log p.
        """
        recorded = spikes > 0  # (W, B, H, N)
        rule, shots = self._rule(neurons, len(currents), generator)
        shifted = source.sample(neurons, currents, rule.settings, shots, generator)
        past = _agree(shifted[:, :, :-1], recorded[:-1])  # (J, shots, B, H)
        cost = _cost(shifted)
        before = after = _certain(currents)
        last = len(currents) - 1
        if score or last > 0:
            count = self.repeats * self.max_trials if self.inverse == "geometric" else self.shots
            unshifted = source.sample(neurons, currents, [()], count, generator)[0]
            cost = cost.plus(_cost(unshifted[None]))
            fired = unshifted[:, -1]  # (trials, B, H, N)
            if last > 0:
                before = self._event(_agree(unshifted[:, :-1], recorded[:-1]), fired, currents)
            if score:
                after = self._event(_agree(unshifted, recorded), fired, currents)
        cost = cost.plus(before.cost).plus(after.cost)

        # d P(c) / P(c): of the occurrences before the last step alone
        earlier = rule.coefficients.clone()
        earlier[[place.step == last for place in rule.occurrences]] = 0.0
        d_log_past = before.inverse * _combined(earlier, _share(past, currents))  # (O, B, H)
        d_probability = d_log_likelihood = None
        if probability:
            fires = _share(shifted[:, :, -1] & past[..., None], currents)  # (J, B, H, N)
            joint = torch.stack([_combined(rule.coefficients, f) for f in fires.unbind(-1)], -1)
            d_probability = (
                before.inverse[..., None] * joint - before.chance * d_log_past[..., None]
            )
        if score:
            agreed = _share(_agree(shifted, recorded), currents)
            d_log_likelihood = after.inverse * _combined(rule.coefficients, agreed) - d_log_past
        return Derivatives(
            rule.occurrences,
            d_probability,
            d_log_likelihood,
            after.log_probability - before.log_probability if score else None,
            cost,
        )

    def _rule(
        self, neurons: SQSNeurons, steps: int, generator: torch.Generator
    ) -> tuple[Combination, int]:
        """The circuits to run, and how many shots of each."""
        shots = self.repeats if self.inverse == "geometric" else self.shots
        circuit, like = neurons.circuit, neurons.angles.detach()
        if self.derivative == "shift":
            return shift_rules.parameter_shift(circuit, steps, like), shots
        if steps > 1:
            raise ValueError(
                f"window is {steps}; 'spsa' turns all angles of one step at once and works with "
                "window 1 only, 'shift' with any"
            )
        rule = shift_rules.simultaneous_perturbation(
            circuit, neurons.size, shots, SPSA_SIZE, generator, like
        )
        return rule, 1  # one direction a shot

    def _event(
        self,
        happened: Bool[Tensor, "trials B H"],
        fired: Bool[Tensor, "trials B H N"],
        like: Tensor,
    ) -> "Event":
        if self.inverse == "laplace":
            return _laplace(happened, fired, like)
        blocks = (self.repeats, self.max_trials)
        return _geometric(happened.unflatten(0, blocks), fired.unflatten(0, blocks), like)


class Event(NamedTuple):
    """What repeated trials say of an event.

    inverse: Of its probability, `(B, H)`.
    log_probability: `(B, H)`.
    chance: That each channel fires in the last step, given the event, `(B, H, N)`.
    """

    inverse: Tensor
    log_probability: Tensor
    chance: Tensor
    cost: Cost


def _certain(like: Tensor) -> Event:
    """The event that nothing went wrong before the first step."""
    return Event(like.new_ones(1, 1), like.new_zeros(1, 1), like.new_zeros(1, 1, 1), Cost())


def _geometric(
    happened: Bool[Tensor, "R trials B H"], fired: Bool[Tensor, "R trials B H N"], like: Tensor
) -> Event:
    most = happened.shape[1]
    steps = torch.arange(1, most + 1, dtype=like.dtype, device=like.device)
    first = happened.int().argmax(1)  # of several the first; (R, B, H)
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


def _laplace(
    happened: Bool[Tensor, "trials B H"], fired: Bool[Tensor, "trials B H N"], like: Tensor
) -> Event:
    seen = happened.to(like).sum(0)
    share = (seen + 1) / (len(happened) + 2)
    together = (fired & happened[..., None]).to(like).sum(0)
    return Event(1 / share, share.log(), (together + 1) / (seen[..., None] + 2), Cost())


def _agree(
    measured: Bool[Tensor, "*settings W B H N"], recorded: Bool[Tensor, "W B H N"]
) -> Bool[Tensor, "*settings B H"]:
    """Whether shots returned the recorded spikes at every step and channel."""
    return (measured == recorded).all(-1).all(-3)


def _share(shots: Bool[Tensor, "J shots *rest"], like: Tensor) -> Float[Tensor, "J *rest"]:
    return shots.to(like).mean(1)


def _combined(
    coefficients: Float[Tensor, "O J K"], shares: Float[Tensor, "J B H"]
) -> Float[Tensor, "O B H"]:
    return torch.einsum("ojh,jbh->obh", coefficients.expand(-1, -1, shares.shape[-1]), shares)


def _cost(measured: Tensor) -> Cost:
    settings, shots, _, batch, neurons, _ = measured.shape
    return Cost(settings * batch * neurons, settings * shots * batch * neurons)
