"""Targets and losses: what a network should answer, and how far it is from it.

A loss takes what the outputs did (firing probabilities or spikes) and gives the mean loss of a
batch, differentiable, and what each step adds to it. Backpropagation differentiates the first; the
local rule takes its derivative per step as the error, and the second as rewards. Steps that a mask
leaves out count in neither.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sqsnn.checks import check_finite, check_none, check_same_device, check_shape
from sqsnn.neurons.population import Record
from sqsnn.placing import indicator
from sqsnn.readout import scores
from sqsnn.readout.traces import TraceReadout, readout_of

LossOn = Literal["probability", "count", "likelihood"]


class Targets(NamedTuple):
    """What a network should answer to a batch.

    Attributes:
        values: Classes, `(B,)`, int64; real values, `(B, K)` for all steps that count, or
            `(T, B, K)` step by step; or the outputs' spikes, `(T, B, outputs, N)`, 0 and 1.
        mask: `(T, B)`, 1 where a step counts and 0 where it does not; None if all do.
        weights: `(B,)`, factor of each sample's loss; None for 1.
    """

    values: Tensor
    mask: Tensor | None = None
    weights: Tensor | None = None

    @property
    def are_classes(self) -> bool:
        """Whether the values are classes, at least by their shape."""
        return self.values.ndim == 1

    @classmethod
    def of(cls, targets: "Targets | Tensor") -> "Targets":
        """Take targets as they are, or values alone."""
        return targets if isinstance(targets, Targets) else cls(targets)

    def repeated(self, copies: int) -> "Targets":
        """Repeat the batch, as a rule does that runs every sample several times."""
        if copies == 1:
            return self
        dimension = 1 if self.values.ndim >= 3 else 0
        return Targets(
            torch.cat([self.values] * copies, dim=dimension),
            None if self.mask is None else self.mask.repeat(1, copies),
            None if self.weights is None else self.weights.repeat(copies),
        )

    def check(self, like: Tensor) -> None:
        """Refuse a mask or weights that do not fit the input spikes of a batch."""
        steps, batch = like.shape[:2]
        if self.mask is not None:
            check_shape("mask", self.mask, (steps, batch))
            check_same_device(mask=self.mask, spikes=like)
            check_none(
                ~self.mask.any(dim=0),
                lambda: "mask leaves out every step of a sample; one must count",
            )
        if self.weights is not None:
            check_shape("weights", self.weights, (batch,))
            check_same_device(weights=self.weights, spikes=like)
            check_finite("weights", self.weights)
            check_none(self.weights < 0, lambda: "weights must not be negative")

    def averaged(self, losses: Float[Tensor, "B"]) -> Float[Tensor, ""]:
        """Average the losses of samples, each with its weight."""
        return (losses if self.weights is None else losses * self.weights).mean()


@dataclass(frozen=True)
class ClassLoss:
    """Cross-entropy of the class scores as logits: outputs summed over steps and channels.

    Attributes:
        loss_on: Whether the scores sum firing probabilities, or spikes.
    """

    loss_on: Literal["probability", "count"] = "probability"

    @property
    def on_spikes(self) -> bool:
        """Whether the loss is a function of the outputs' spikes."""
        return self.loss_on == "count"

    def check(self, targets: Targets, outputs: int, spikes: Float[Tensor, "T B P N"]) -> Targets:
        """Refuse targets that name no class for each sample of a batch of input spikes.

        Returns:
            The targets, with a wrong class replaced by the nearest one: it is refused only at the
            end of the call, and an index out of range would crash a GPU before.
        """
        scores.check_labels(targets.values, spikes.shape[1], outputs, spikes)
        targets.check(spikes)
        return targets._replace(values=targets.values.clamp(0, outputs - 1))

    def total(self, record: Record, targets: Targets) -> Float[Tensor, ""]:
        """Compute the mean loss of the batch, in nats."""
        reached = scores.READOUTS[self.loss_on](scores.masked(record, targets.mask))
        if targets.weights is None:
            return functional.cross_entropy(reached, targets.values)
        losses = functional.cross_entropy(reached, targets.values, reduction="none")
        return targets.averaged(losses)

    def correct(
        self, record: Record, targets: Targets, generator: torch.Generator | None = None
    ) -> Float[Tensor, ""]:
        """Count the samples that the spike counts name rightly."""
        named = scores.predict(scores.masked(record, targets.mask), generator=generator)
        return (named == targets.values).sum(dtype=torch.float64)


@dataclass(frozen=True)
class SpikeLoss(ClassLoss):
    """Negative log-likelihood of target spikes, to which the outputs are clamped, in nats.

    Each step is scored given the target's own past. A class stands for the spikes of one output:
    that of the class fires in every step, on all channels, and the others never.
    """

    def check(self, targets: Targets, outputs: int, spikes: Float[Tensor, "T B P N"]) -> Targets:
        """Refuse targets that are neither classes nor spikes of each output."""
        values, (steps, batch) = targets.values, spikes.shape[:2]
        if not (isinstance(values, Tensor) and values.is_floating_point()):
            return super().check(targets, outputs, spikes)
        check_shape("targets", values, (steps, batch, outputs, "N"))
        check_same_device(targets=values, spikes=spikes)
        check_none((values != 0) & (values != 1), lambda: "targets must be spikes, 0 or 1")
        targets.check(spikes)
        return targets

    def spikes_of(self, targets: Targets, like: Float[Tensor, "T B O N"]) -> Tensor:
        """Give the spikes to which outputs of the shape of `like` are clamped."""
        if not targets.are_classes:
            return targets.values.to(like)
        return indicator(targets.values, like.shape[2], like)[..., None].expand_as(like)

    def steps(self, record: Record, targets: Targets) -> Float[Tensor, "T B"]:
        """Compute what each step adds to the loss, from the record of clamped outputs."""
        losses = -record.log_likelihood.sum(-1)
        # Not a product: what does not count may be impossible, and its loss infinite.
        return losses if targets.mask is None else torch.where(targets.mask > 0, losses, 0.0)

    def total(self, record: Record, targets: Targets) -> Float[Tensor, ""]:
        """Compute the mean loss of the batch from the record of clamped outputs."""
        return targets.averaged(self.steps(record, targets).sum(0))


@dataclass(frozen=True)
class ValueLoss:
    """Squared error, or Gaussian negative log-likelihood, of a readout's values.

    It is averaged over the steps that count and over the values of a step, in units of the targets'
    standard deviation: predicting the mean of the training targets has the squared error 1.

    Attributes:
        readout: The readout of the network.
    """

    readout: TraceReadout

    on_spikes = True

    def check(self, targets: Targets, outputs: int, spikes: Float[Tensor, "T B P N"]) -> Targets:
        """Refuse targets that are not real values of each sample of a batch of input spikes."""
        values, (steps, batch) = targets.values, spikes.shape[:2]
        every_step = (steps,) if isinstance(values, Tensor) and values.ndim == 3 else ()
        check_shape("targets", values, (*every_step, batch, self.readout.outputs))
        check_same_device(targets=values, spikes=spikes)
        if not values.is_floating_point():
            raise TypeError(f"targets must be real values, but have dtype {values.dtype}")
        check_finite("targets", values)
        targets.check(spikes)
        return targets

    def total(self, record: Record, targets: Targets) -> Float[Tensor, ""]:
        """Compute the mean loss of the batch."""
        rows, _ = self.readout.rows(record.spikes)
        return self.of_rows(rows, targets)

    def of_rows(self, rows: Float[Tensor, "T B rows"], targets: Targets) -> Float[Tensor, ""]:
        """Compute the mean loss of the readout's rows."""
        return targets.averaged(self.steps(rows, targets).sum(0))

    def steps(self, rows: Float[Tensor, "T B rows"], targets: Targets) -> Float[Tensor, "T B"]:
        """Compute what each step adds to the loss of a sample."""
        values, mask = targets.values, targets.mask
        if mask is not None and values.ndim == 3:  # what does not count may be of any size
            values = torch.where(mask[..., None] > 0, values, self.readout.target_mean)
        wanted = (values - self.readout.target_mean) / self.readout.target_scale
        squared = (rows[..., : self.readout.outputs] - wanted).square()
        if self.readout.is_gaussian:
            variance = self.readout.variance(rows)
            squared = 0.5 * (variance.log() + squared / variance)
        losses = squared.mean(-1)
        return losses / len(losses) if mask is None else losses * mask / mask.sum(0)


Loss = ClassLoss | ValueLoss


def loss_of(network: nn.Module, loss_on: LossOn) -> Loss:
    """Choose the loss of a network: of its readout's values, else of its outputs."""
    readout = readout_of(network)
    if readout is not None:
        return ValueLoss(readout)
    return SpikeLoss() if loss_on == "likelihood" else ClassLoss(loss_on)
