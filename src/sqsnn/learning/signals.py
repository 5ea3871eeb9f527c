"""Learning signals: what is broadcast to the neurons of a network that learns by the local rule.

    error      e_o = dL/dp_o, what an output neuron does with its own probabilities
    feedback   L_h = sum_o F_ho delta_o, delta_o = dL/dz_o computed inside output neuron o
    advantage  A_t = loss that follows a spike, minus a baseline, to go with the neuron's score

The loss L is the cross-entropy of the class scores, the outputs summed over steps and channels. It
telescopes: r_t = L_t - L_{t-1}, where L_t is the loss of what has been seen up to step t, so that
the losses to go, sum_{t' >= t} r_t', leave out just what a spike at step t cannot have changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from sqsnn.checks import check_choice, check_positive_int
from sqsnn.network import SpikingNetwork
from sqsnn.synapses import Synapses

SignalName = Literal["feedback", "reinforce", "both", "none"]
Feedback = Literal["random", "symmetric"]
FeedbackPath = Literal["chained", "direct"]
Baseline = Literal["leave_one_out", "running", "none"]
Horizon = Literal["to_go", "same_step", "discounted", "episodic"]

BASELINE_RATE = 0.1  # share of the newest batch in the running baseline


@dataclass(frozen=True)
class LearningSignal:
    """Which signals the neurons get.

    Args:
        name: For hidden neurons "feedback", "reinforce", "both" (the sum), or "none": they do not
            learn, as a baseline. Output neurons always minimise the loss through their own
            probabilities.
        feedback: "random", fixed weights drawn once like the synapses', or "symmetric", the
            current synapses' own, transposed.
        path: With several hidden layers, "chained" layer by layer, or "direct" from the outputs
            to every hidden layer (random only).
        samples: Runs S of the network a sample (reinforce, both).
        baseline: What is taken off the loss: the mean of the other runs of the same sample, the
            running mean of the class and step, or nothing. The first needs two runs; the second is
            the same for all runs of a sample, so the two together would be the first.
        horizon: Which losses a spike answers for: all from its step on, those of its step, those
            discounted with time, or the whole loss.
        discount: A step's factor of "discounted", in [0, 1].
        output_score: Let outputs with a memory also answer for how their sampled spikes change
            their own later probabilities (reinforce, both); with `reinforce` and all later losses
            this makes the gradient unbiased. With measured scores there is no such term: the loss
            of spike counts has seen the spike itself, and would count it twice.
        reward_weight: Factor of the advantages in "both", above 0: beside feedback, which is biased
            but has little noise, rewards may be given less.

    An argument that the other ones leave no use for is not looked at.

    Raises:
        ValueError: An argument is out of range, or two contradict each other.
    """

    name: SignalName = "feedback"
    feedback: Feedback = "random"
    path: FeedbackPath = "chained"
    samples: int = 4
    baseline: Baseline = "leave_one_out"
    horizon: Horizon = "to_go"
    discount: float = 0.9
    output_score: bool = True
    reward_weight: float = 1.0

    def __post_init__(self) -> None:
        for argument, value, choices in (
            ("name", self.name, SignalName),
            ("feedback", self.feedback, Feedback),
            ("path", self.path, FeedbackPath),
            ("baseline", self.baseline, Baseline),
            ("horizon", self.horizon, Horizon),
        ):
            check_choice(argument, value, choices)
        check_positive_int("samples", self.samples)
        if self.feedback == "symmetric" and self.path == "direct":
            raise ValueError(
                "path 'direct' needs feedback 'random': a hidden layer has no synapses to the "
                "outputs whose weights could be taken"
            )
        if self.by_score and self.baseline == "leave_one_out" and self.samples < 2:
            raise ValueError("samples is 1; baseline 'leave_one_out' needs at least 2")
        if not 0 < self.reward_weight < math.inf:
            raise ValueError(f"reward_weight is {self.reward_weight}; it must be above 0")
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount is {self.discount}; it must be in [0, 1]")

    @property
    def by_feedback(self) -> bool:
        """Whether hidden neurons get feedback."""
        return self.name in ("feedback", "both")

    @property
    def by_score(self) -> bool:
        """Whether hidden neurons get an advantage for their score."""
        return self.name in ("reinforce", "both")

    @property
    def runs(self) -> int:
        """How often the network runs a sample."""
        return self.samples if self.by_score else 1

    @property
    def score_weight(self) -> float:
        """The factor of the advantages."""
        return self.reward_weight if self.name == "both" else 1.0

    @property
    def decay(self) -> float:
        """How a loss counts for a spike one step before it."""
        return {"to_go": 1.0, "same_step": 0.0, "discounted": self.discount, "episodic": 1.0}[
            self.horizon
        ]


class Advantages(NamedTuple):
    """What spikes answer for, `(T, B)` each: of hidden neurons the losses from their own step on,
    of outputs those after it, for the loss of a step has not seen its output spikes."""

    hidden: Tensor
    output: Tensor


def reported(steps: int, report_steps: int | None, like: Tensor) -> Float[Tensor, "T"]:
    """1 at the steps that count, the last `report_steps`, else 0.

    Raises:
        ValueError: More are to count than there are.
    """
    if report_steps is not None and not 1 <= report_steps <= steps:
        raise ValueError(f"report_steps is {report_steps}; with {steps} steps it may be 1..{steps}")
    first = 0 if report_steps is None else steps - report_steps
    return (torch.arange(steps, device=like.device) >= first).to(like)


def running_scores(
    output: Float[Tensor, "T B classes N"], counts: Float[Tensor, "T"]
) -> Float[Tensor, "T B classes"]:
    """The class scores of what has been seen up to each step."""
    return (output.sum(-1) * counts[:, None, None]).cumsum(0)


def error(
    scores: Float[Tensor, "*steps B classes"], labels: Int64[Tensor, "B"]
) -> Float[Tensor, "*steps B classes"]:
    """dL/dp of an output neuron at any step that counts; L is the mean over the batch."""
    classes = scores.shape[-1]
    wanted = functional.one_hot(labels, classes).to(scores)
    return (scores.softmax(-1) - wanted) / len(labels)


def losses(
    scores: Float[Tensor, "*steps B classes"], labels: Int64[Tensor, "B"]
) -> Float[Tensor, "*steps B"]:
    """The cross-entropy of class scores as logits, of every sample, in nats."""
    chosen = labels.expand(scores.shape[:-1])[..., None]
    return -scores.log_softmax(-1).gather(-1, chosen).squeeze(-1)


def increments(
    scores: Float[Tensor, "T B classes"], labels: Int64[Tensor, "B"]
) -> Float[Tensor, "T B"]:
    """r_t = L_t - L_{t-1} in nats, where L_0 = log(classes) is the loss of no spike at all."""
    return losses(torch.cat([torch.zeros_like(scores[:1]), scores]), labels).diff(dim=0)


def advantages(
    steps: Float[Tensor, "T B"], labels: Int64[Tensor, "B"], signal: LearningSignal, state: "State"
) -> Advantages:
    """Losses that follow each step, minus the baseline.

    Args:
        steps: r_t of `increments`; the batch holds all samples once, then once more, S times.
        labels: Classes of the batch.
        signal: Which losses count, and which baseline.
        state: Holds the running baseline, and is brought up to date.
    """
    if signal.horizon == "episodic":
        from_here = steps.sum(0).expand_as(steps)
        return Advantages(*[without_baseline(from_here, labels, signal, state)] * 2)
    total, following = torch.zeros_like(steps[0]), []
    for loss in reversed(steps):
        total = loss + signal.decay * total
        following.append(total)
    from_here = without_baseline(torch.stack(following[::-1]), labels, signal, state)
    later = torch.cat([from_here[1:], torch.zeros_like(from_here[:1])])
    return Advantages(from_here, signal.decay * later)


def without_baseline(
    losses: Float[Tensor, "T B"],
    labels: Int64[Tensor, "B"],
    signal: LearningSignal,
    state: "State",
    name: str = "baseline",
) -> Float[Tensor, "T B"]:
    """Take the baseline off losses; it depends on no spike of the run whose loss it is taken off.

    The arguments are those of `advantages`; `name` tells running baselines apart.
    """
    if signal.baseline == "none":
        return losses
    if signal.baseline == "running":
        return losses - state.update_baseline(losses, labels, name)
    by_run = losses.unflatten(1, (signal.samples, -1))
    others = (by_run.sum(1, keepdim=True) - by_run) / (signal.samples - 1)
    return (by_run - others).flatten(1, 2)


class State:
    """What a rule remembers from step to step: random feedback weights, the running baseline."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace what is remembered."""
        self.tensors = dict(tensors)

    def feedback_weights(
        self, network: SpikingNetwork, signal: LearningSignal, generator: torch.Generator
    ) -> list[Tensor]:
        """The weights F by which delta comes down to each hidden layer, `(N, above, below)`.

        Args:
            network: The network.
            signal: Which weights: random ones are drawn at the first call, and kept.
            generator: Draws them.

        Raises:
            ValueError: The random weights were drawn for a network of other sizes.
        """
        synapses = cast(Sequence[Synapses], network.synapses)[1:]
        if signal.feedback == "symmetric":
            return [layer.weight.detach() for layer in synapses]
        weights = []
        for layer, above in enumerate(synapses):
            source = synapses[-1] if signal.path == "direct" else above
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
                    f"but this network needs {shape}; make a new rule for a new network"
                )
            weights.append(self.tensors[name])
        return weights

    def update_baseline(
        self, losses: Float[Tensor, "T B"], labels: Int64[Tensor, "B"], name: str
    ) -> Float[Tensor, "T B"]:
        """The running mean loss of each sample's class at each step, before this batch's losses."""
        classes = int(labels.max()) + 1
        mean = self.tensors.get(name, losses.new_zeros(len(losses), 0))
        if len(mean) != len(losses):
            raise ValueError(
                f"this rule's running baseline is of {len(mean)} steps, but these samples have "
                f"{len(losses)}; make a new rule for samples of another length"
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


def fed_back(
    delta: Float[Tensor, "T B above N"], weights: Float[Tensor, "N above below"], channels: int
) -> Float[Tensor, "T B below M"]:
    """L = sum_o F_o delta_o for neurons of `channels` channels.

    Channel n answers to channel n; neurons of one channel feed all channels above and answer to
    their sum.
    """
    heard = torch.einsum("tbon,nop->tbpn", delta, weights)
    return heard if channels == heard.shape[-1] else heard.sum(-1, keepdim=True)
