"""Learning signals: what the local rule broadcasts to the neurons of a network.

    error      e_o = dL/dp_o, which an output neuron multiplies with the slope of its probability
    feedback   L_h = sum_o F_ho delta_o, where output neuron o computes delta_o = dL/dz_o
    advantage  A_t = loss that follows a spike, minus a baseline, multiplied with the neuron's score

For classes the loss L is the cross-entropy of the scores, the outputs summed over steps and
channels. It telescopes: r_t = L_t - L_{t-1}, where L_t is the loss of the scores up to step t, so
that the losses to go, sum_{t' >= t} r_t', leave out exactly what a spike at step t cannot have
changed. For real values r_t is what the step adds to the loss.
"""

from dataclasses import field
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from sqsnn.learning.memory import Memory
from sqsnn.options import Count, options
from sqsnn.placing import indicator
from sqsnn.readout import Targets, ValueLoss


class Signal:
    """What all signals share: whether hidden neurons receive feedback, rewards, or both."""

    @property
    def by_feedback(self) -> "Feedback | None":
        """The feedback that hidden neurons receive."""
        part = self.feedback if isinstance(self, Both) else self
        return part if isinstance(part, Feedback) else None

    @property
    def by_score(self) -> "Reinforce | None":
        """The rewards that weigh the scores of spikes."""
        part = self.reward if isinstance(self, Both) else self
        return part if isinstance(part, Reinforce) else None

    @property
    def score_weight(self) -> float:
        """Factor of the rewards."""
        return self.reward_weight if isinstance(self, Both) else 1.0

    @property
    def runs(self) -> int:
        """How many times the network runs each sample."""
        return self.by_score.samples if self.by_score else 1


@options
class Feedback(Signal):
    """Hidden neurons receive the outputs' deltas, carried down by feedback weights."""

    feedback: Literal["random", "symmetric", "mirrored"] = "random"
    """How deltas reach hidden neurons: by fixed random weights, by the synapses' own, or by weights
    that are learned anew in every training step, from the currents that spontaneous spikes cause.
    """
    feedback_path: Literal["chained", "direct"] = "chained"
    """Path of the deltas: down through every hidden layer, or straight from the outputs (random
    weights only)."""
    kind: Literal["feedback"] = field(default="feedback", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.feedback != "random" and self.feedback_path == "direct":
            raise ValueError(
                "feedback_path 'direct' needs feedback 'random': a hidden layer has no synapses to "
                "the outputs whose weights it could use"
            )


@options
class Reinforce(Signal):
    """Every spike answers for the loss that follows it, minus a baseline.

    With the default horizon and output score the gradient is unbiased.
    """

    samples: Count = 4
    """Runs of the network per sample."""
    baseline: Literal["leave_one_out", "running", "none"] = "leave_one_out"
    """Baseline subtracted from the loss: the mean of the sample's other runs, the running mean of
    its class and step, or nothing."""
    horizon: Literal["to_go", "same_step", "discounted", "episodic"] = "to_go"
    """Losses that a spike answers for: those from its step on, those of its step alone, later ones
    discounted, or the loss of the whole sequence."""
    discount: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Factor per step of the horizon "discounted"."""
    output_score: bool = True
    """Let outputs with a memory also answer for how their spikes change their own later
    probabilities (scores exact and online; from measured bits there is no such term)."""
    kind: Literal["reinforce"] = field(default="reinforce", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.baseline == "leave_one_out" and self.samples < 2:
            raise ValueError(
                f"samples is {self.samples}, but baseline 'leave_one_out' needs at least 2"
            )
        if self.horizon != "discounted" and self.discount != type(self).discount:
            raise ValueError(
                f"discount is {self.discount}, but only horizon 'discounted' uses it, and horizon "
                f"is {self.horizon!r}"
            )

    @property
    def decay(self) -> float:
        """Weight of a loss for a spike one step before it."""
        return {"same_step": 0.0, "discounted": self.discount}.get(self.horizon, 1.0)


@options
class Both(Signal):
    """Hidden neurons receive feedback and rewards, added."""

    feedback: Feedback = Feedback()
    """The feedback."""
    reward: Reinforce = Reinforce()
    """The rewards."""
    reward_weight: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the rewards beside the feedback, which is biased but has less noise."""
    kind: Literal["both"] = field(default="both", kw_only=True, repr=False)


@options
class NoSignal(Signal):
    """Hidden neurons do not learn: a baseline for the other signals."""

    kind: Literal["none"] = field(default="none", kw_only=True, repr=False)


class Advantages(NamedTuple):
    """Losses that spikes answer for, minus the baseline, `(T, B)` each."""

    hidden: Tensor  # from a neuron's own step on
    output: Tensor  # after it, since the loss of a step already contains its output spikes


def running_scores(
    output: Float[Tensor, "T B classes N"], mask: Float[Tensor, "T B"] | None
) -> Float[Tensor, "T B classes"]:
    """Sum the class scores up to each step, over the steps that count."""
    outputs = output.sum(-1)
    return (outputs if mask is None else outputs * mask.to(outputs)[..., None]).cumsum(0)


def error(
    scores: Float[Tensor, "*steps B classes"], targets: Targets
) -> Float[Tensor, "*steps B classes"]:
    """Differentiate the batch's mean loss by an output's probability at any step that counts."""
    classes = scores.shape[-1]
    target = indicator(targets.values, classes, scores)
    difference = (scores.softmax(-1) - target) / len(targets.values)
    return difference if targets.weights is None else difference * targets.weights[:, None]


def error_per_step(
    scores: Float[Tensor, "B classes"], targets: Targets, steps: int
) -> Float[Tensor, "T B classes"]:
    """Give the error of the final scores to every step that counts, and 0 to the others."""
    same = error(scores, targets).expand(steps, *scores.shape)
    return same if targets.mask is None else same * targets.mask.to(same)[..., None]


def learn_readout(
    loss: ValueLoss, spikes: Float[Tensor, "T B H N"], targets: Targets
) -> tuple[Float[Tensor, "T B rows"], Float[Tensor, "T B"]]:
    """Add the exact gradient of a readout of values; give its error per row, and its losses."""
    with torch.enable_grad():
        rows, _ = loss.readout.rows(spikes.detach())
        (errors,) = torch.autograd.grad(loss.of_rows(rows, targets), [rows], retain_graph=True)
        rows.backward(errors)
    return errors, loss.steps(rows.detach(), targets)


def classes_of(targets: Targets) -> Int64[Tensor, "B"]:
    """Give the class of each sample; all of one class where targets are no classes."""
    values = targets.values
    if not values.is_floating_point():
        return values
    batch = values.shape[1 if values.ndim > 2 else 0]
    return torch.zeros(batch, dtype=torch.int64, device=values.device)


def losses(
    scores: Float[Tensor, "*steps B classes"], labels: Int64[Tensor, "B"]
) -> Float[Tensor, "*steps B"]:
    """Compute the cross-entropy of each sample in nats, class scores as logits."""
    chosen = labels.expand(scores.shape[:-1])[..., None]
    return -scores.log_softmax(-1).gather(-1, chosen).squeeze(-1)


def increments(
    scores: Float[Tensor, "T B classes"], labels: Int64[Tensor, "B"]
) -> Float[Tensor, "T B"]:
    """Compute r_t = L_t - L_{t-1} in nats; L_0 = log(classes) is the loss without any spike."""
    return losses(torch.cat([torch.zeros_like(scores[:1]), scores]), labels).diff(dim=0)


def advantages(
    steps: Float[Tensor, "T B"],
    labels: Int64[Tensor, "B"],
    reward: Reinforce,
    memory: Memory,
    generator: torch.Generator,
) -> Advantages:
    """Compute the losses that follow each step, minus the baseline; a batch repeats all samples."""
    if reward.horizon == "episodic":
        whole = steps.sum(0).expand_as(steps)
        return Advantages(*[without_baseline(whole, labels, reward, memory, generator)] * 2)
    total, following = torch.zeros_like(steps[0]), []
    for loss in reversed(steps):
        total = loss + reward.decay * total
        following.append(total)
    from_here = without_baseline(torch.stack(following[::-1]), labels, reward, memory, generator)
    later = torch.cat([from_here[1:], torch.zeros_like(from_here[:1])])
    return Advantages(from_here, reward.decay * later)


def without_baseline(
    losses: Float[Tensor, "T B"],
    labels: Int64[Tensor, "B"],
    reward: Reinforce,
    memory: Memory,
    generator: torch.Generator,
    name: str = "baseline",
) -> Float[Tensor, "T B"]:
    """Subtract a baseline, `name` if it runs, that depends on no spike of the same run."""
    if reward.baseline == "none":
        return losses
    if reward.baseline == "running":
        return losses - memory.update_baseline(losses, labels, name, generator)
    by_run = losses.unflatten(1, (reward.samples, -1))
    others = (by_run.sum(1, keepdim=True) - by_run) / (reward.samples - 1)
    return (by_run - others).flatten(1, 2)
