"""Learning signals: what the local rule broadcasts to the neurons of a network.

    error      e_o = dL/dp_o, which an output neuron multiplies with the slope of its probability
    feedback   L_h = sum_o F_ho delta_o, where output neuron o computes delta_o = dL/dz_o
    advantage  A_t = loss that follows a spike, minus a baseline, multiplied with the neuron's score

The loss L is the cross-entropy of the class scores, the outputs summed over steps and channels. It
telescopes: r_t = L_t - L_{t-1}, where L_t is the loss of the scores up to step t, so that the
losses to go, sum_{t' >= t} r_t', leave out exactly what a spike at step t cannot have changed.
"""

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional

from sqsnn.checks import check_positive_int
from sqsnn.network import SpikingNetwork
from sqsnn.options import options
from sqsnn.synapses import Synapses

BASELINE_RATE = 0.1  # share of the newest batch in the running baseline
SPONTANEOUS = 2**14  # spontaneous spikes of each neuron per training step, one in two


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

    def delta_above(self, deltas: Sequence[Tensor]) -> Tensor:
        """Choose the delta that reaches a layer among those above it, the outputs' first."""
        return deltas[0] if self.feedback_path == "direct" else deltas[-1]


@options
class Reinforce(Signal):
    """Every spike answers for the loss that follows it, minus a baseline.

    With the default horizon and output score the gradient is unbiased.
    """

    samples: PositiveInt = 4
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


def reported(steps: int, report_steps: int | None, like: Tensor) -> Float[Tensor, "T"]:
    """Mark the steps that count, the last `report_steps`, with 1 and all others with 0."""
    if report_steps is not None:
        check_positive_int("report_steps", report_steps, high=steps)
    first = 0 if report_steps is None else steps - report_steps
    return (torch.arange(steps, device=like.device) >= first).to(like)


def running_scores(
    output: Float[Tensor, "T B classes N"], counts: Float[Tensor, "T"]
) -> Float[Tensor, "T B classes"]:
    """Sum the class scores up to each step."""
    return (output.sum(-1) * counts[:, None, None]).cumsum(0)


def error(
    scores: Float[Tensor, "*steps B classes"], labels: Int64[Tensor, "B"]
) -> Float[Tensor, "*steps B classes"]:
    """Differentiate the batch's mean loss by an output's probability at any step that counts."""
    classes = scores.shape[-1]
    target = functional.one_hot(labels, classes).to(scores)
    return (scores.softmax(-1) - target) / len(labels)


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
    steps: Float[Tensor, "T B"], labels: Int64[Tensor, "B"], reward: Reinforce, memory: "Memory"
) -> Advantages:
    """Compute the losses that follow each step, minus the baseline; a batch repeats all samples."""
    if reward.horizon == "episodic":
        whole = steps.sum(0).expand_as(steps)
        return Advantages(*[without_baseline(whole, labels, reward, memory)] * 2)
    total, following = torch.zeros_like(steps[0]), []
    for loss in reversed(steps):
        total = loss + reward.decay * total
        following.append(total)
    from_here = without_baseline(torch.stack(following[::-1]), labels, reward, memory)
    later = torch.cat([from_here[1:], torch.zeros_like(from_here[:1])])
    return Advantages(from_here, reward.decay * later)


def without_baseline(
    losses: Float[Tensor, "T B"],
    labels: Int64[Tensor, "B"],
    reward: Reinforce,
    memory: "Memory",
    name: str = "baseline",
) -> Float[Tensor, "T B"]:
    """Subtract a baseline, `name` if it runs, that depends on no spike of the same run."""
    if reward.baseline == "none":
        return losses
    if reward.baseline == "running":
        return losses - memory.update_baseline(losses, labels, name)
    by_run = losses.unflatten(1, (reward.samples, -1))
    others = (by_run.sum(1, keepdim=True) - by_run) / (reward.samples - 1)
    return (by_run - others).flatten(1, 2)


class Memory:
    """What a rule remembers between steps: random feedback weights and running baselines."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def feedback_weights(
        self, network: SpikingNetwork, feedback: Feedback, generator: torch.Generator
    ) -> list[Tensor]:
        """Give the weights F that carry delta down to each hidden layer, `(N, above, below)`.

        Random ones are drawn at the first call and kept.
        """
        synapses = [below for below, _ in network.layers[1:]]
        if feedback.feedback == "symmetric":
            return [layer.weight.detach() for layer in synapses]
        if feedback.feedback == "mirrored":
            return [mirror(layer, generator) for layer in synapses]
        weights = []
        for layer, above in enumerate(synapses):
            source = synapses[-1] if feedback.feedback_path == "direct" else above
            shape = (*source.weight.shape[:2], above.weight.shape[2])
            name = f"feedback/{layer}"
            if name not in self.tensors:
                width = shape[2] ** -0.5
                drawn = torch.rand(
                    shape, generator=generator, device=generator.device, dtype=torch.float32
                )
                self.tensors[name] = ((2 * drawn - 1) * width).to(source.weight.detach())
            elif self.tensors[name].shape != shape:
                raise ValueError(
                    f"this rule's feedback weights have shape {tuple(self.tensors[name].shape)}, "
                    f"but this network needs {shape}; use a fresh() rule for another network"
                )
            weights.append(self.tensors[name])
        return weights

    def update_baseline(
        self, losses: Float[Tensor, "T B"], labels: Int64[Tensor, "B"], name: str
    ) -> Float[Tensor, "T B"]:
        """Give the running mean loss of each sample's class and step, then add this batch to it."""
        classes = int(labels.max()) + 1
        mean = self.tensors.get(name, losses.new_zeros(len(losses), 0))
        if len(mean) != len(losses):
            raise ValueError(
                f"this rule's running baseline has {len(mean)} steps, but these samples have "
                f"{len(losses)}; use a fresh() rule for samples of another length"
            )
        if mean.shape[1] < classes:
            missing = losses.new_full((len(losses), classes - mean.shape[1]), torch.nan)
            mean = torch.cat([mean, missing], dim=1)
        member = functional.one_hot(labels, mean.shape[1]).to(losses)  # (B, classes)
        sizes = member.sum(0)
        newest = losses @ member / sizes.clamp_min(1.0)
        known = torch.where(mean.isnan(), 0.0, mean)  # a class not seen yet has no baseline
        moved = torch.where(mean.isnan(), newest, mean + BASELINE_RATE * (newest - mean))
        self.tensors[name] = torch.where(sizes > 0, moved, mean)
        return known[:, labels]


@torch.no_grad()
def mirror(synapses: Synapses, generator: torch.Generator) -> Float[Tensor, "N above below"]:
    """Estimate the weights of synapses from spontaneous spikes and the currents that they cause.

    Spikes x that fire independently with probability 1/2 make E[(x_p - 1/2) z] = w_p / 4: both
    sides of a synapse know the product, and nothing copies the weight. The estimate must not lag
    behind the weights: kept as a running mean, it lets hidden rates run away. Source: weight
    mirrors, Akrout et al., arXiv:1904.05391.
    """
    weight = synapses.weight
    channels, _, below = weight.shape
    shape = (1, SPONTANEOUS, below, channels)
    drawn = torch.randint(0, 2, shape, generator=generator, device=generator.device)
    spikes = drawn.to(weight)
    currents = synapses(spikes)[0]
    currents = currents - currents.mean(0)
    return torch.einsum("bhn,bpn->nhp", currents, spikes[0] - 0.5) * 4 / SPONTANEOUS


def fed_back(
    delta: Float[Tensor, "T B above N"], weights: Float[Tensor, "N above below"], channels: int
) -> Float[Tensor, "T B below M"]:
    """Compute L = sum_o F_o delta_o for neurons of `channels` channels.

    Neurons of one channel, which feed all channels above, receive the sum over them.
    """
    received = torch.einsum("tbon,nop->tbpn", delta, weights)
    return received if channels == received.shape[-1] else received.sum(-1, keepdim=True)
