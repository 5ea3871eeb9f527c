"""From the spikes of the output layer to class scores and predictions.

One output neuron stands for one class; a neuron with several channels votes with all of them. Spike
counts of a few steps are often equal: `predict` then lets the firing probabilities decide.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from sqsnn.checks import check_positive_int, check_same_device, check_shape
from sqsnn.neurons.population import Record
from sqsnn.readback import ask
from sqsnn.uniforms import draw_uniforms


def last_steps(
    steps: int, batch: int, report_steps: int | None, lengths: Tensor | None = None
) -> Float[Tensor, "T B"] | None:
    """Mark the steps in which a network reports: the last ones of each sample.

    Args:
        steps: Time steps T.
        batch: Samples B.
        report_steps: How many steps count, up to the end of a sample; None for all.
        lengths: (B,), time steps of each sample before its padding begins; None for T.

    Returns:
        1 where a step counts, else 0; None if all steps do.
    """
    if report_steps is not None:
        check_positive_int("report_steps", report_steps, high=steps)
    if lengths is None:
        if report_steps in (None, steps):
            return None
        lengths = torch.full((batch,), steps)
    check_shape("lengths", lengths, (batch,))
    step = torch.arange(steps, device=lengths.device)[:, None]  # (T, 1)
    counts = step < lengths
    if report_steps is not None:
        counts &= step >= lengths - report_steps
    return counts.to(torch.float32)


def masked(record: Record, mask: Float[Tensor, "T B"] | None) -> Record:
    """Set spikes and probabilities to 0 where a step does not count."""
    if mask is None:
        return record
    check_shape("mask", mask, record.spikes.shape[:2])
    kept = mask.to(record.spikes)[:, :, None, None]
    spikes, probability = record.spikes * kept, record.probability * kept
    return record._replace(spikes=spikes, probability=probability)


def count(record: Record) -> Float[Tensor, "B classes"]:
    """Count the spikes of each output neuron over steps and channels, 0 to T N.

    Gradients pass through the spikes' surrogate.
    """
    return record.spikes.sum(dim=(0, 3))


def probability(record: Record) -> Float[Tensor, "B classes"]:
    """Sum the firing probabilities of each output neuron over steps and channels.

    Each probability is the mean of a spike given the inputs and the spikes so far: the same score
    as the count, with less noise.
    """
    return record.probability.sum(dim=(0, 3))


def first_spike(record: Record) -> Float[Tensor, "B classes"]:
    """Score the first spike on any channel: T at the first step, 1 at the last, 0 for none."""
    fired = record.spikes.amax(dim=3)  # (T, B, classes)
    earliness = torch.arange(len(fired), 0, -1, dtype=fired.dtype, device=fired.device)
    return (fired * earliness[:, None, None]).amax(dim=0)


READOUTS: Mapping[str, Callable[[Record], Tensor]] = MappingProxyType(
    {"count": count, "probability": probability, "first_spike": first_spike}
)


def predict(
    record: Record,
    readout: Literal["count", "probability", "first_spike"] = "count",
    *,
    generator: torch.Generator | None = None,
) -> Int64[Tensor, "B"]:
    """Name the class with the highest score.

    The firing probabilities break ties of counts and first spikes: the largest
    score + probability / (T N + 1) wins, where the second term stays below 1. What is still equal
    goes to the class of lower index.

    Args:
        record: What the output layer did.
        readout: The score, a name in `READOUTS`.
        generator: Breaks ties at random instead, where spikes were measured and no probability is
            known: every class of the highest score then has the same chance.
    """
    if readout not in READOUTS:
        raise ValueError(f"readout must be one of {', '.join(READOUTS)}, but is {readout!r}")
    scores = READOUTS[readout](record).detach()
    if readout != "probability":
        steps, _, _, channels = record.spikes.shape
        if generator is None:
            fraction = probability(record).detach()
        else:
            samples, classes = scores.shape
            (fraction,) = draw_uniforms(1, samples, classes, generator, scores.dtype, scores.device)
        scores = break_ties(scores, fraction, steps * channels)
    return scores.argmax(dim=1)


def break_ties(
    scores: Float[Tensor, "B classes"], probability: Float[Tensor, "B classes"], spikes: int
) -> Float[Tensor, "B classes"]:
    """Add to scores of at most `spikes` the firing probabilities as a fraction below 1, in float64.

    Beside a count of hundreds float32 has no digits for the tie.
    """
    return scores.double() + probability / (spikes + 1)


def cross_entropy(
    record: Record,
    labels: Int64[Tensor, "B"],
    on: Literal["probability", "count"] = "probability",
) -> Float[Tensor, ""]:
    """Compare the class scores, as logits, with the labels: the mean loss in nats.

    The scores are finite sums, so that firing probabilities of exactly 0 and 1 do no harm.

    Args:
        record: What the output layer did.
        labels: True classes, int64, 0 to classes - 1.
        on: "probability", the sum of the firing probabilities, or "count", the sum of the spikes,
            whose gradient is the surrogate's.
    """
    if on not in ("probability", "count"):
        raise ValueError(f"on must be 'probability' or 'count', but is {on!r}")
    scores = READOUTS[on](record)
    check_labels(labels, scores.shape[0], scores.shape[1], scores)
    return functional.cross_entropy(scores, labels)


def check_labels(labels: object, samples: int, classes: int, like: Tensor) -> None:
    """Refuse labels that do not name a class, on the device of `like`, for each sample."""
    check_shape("labels", labels, (samples,))
    check_same_device(labels=labels, scores=like)
    labels = cast(Tensor, labels)
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must have dtype torch.int64, but have {labels.dtype}")
    if not samples:
        raise ValueError("labels must hold at least one label, but are empty")

    def judge(bounds: Sequence[float]) -> None:
        low, high = map(int, bounds)
        if low < 0 or high >= classes:
            raise ValueError(
                f"labels must lie in 0..{classes - 1}, one output neuron per class, "
                f"but run from {low} to {high}"
            )

    ask(torch.stack(torch.aminmax(labels)).double(), judge)
