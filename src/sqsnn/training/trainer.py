"""The training loop: epochs over samples in memory, with any learning rule; writes no files.

`start` makes what training changes, `epochs` changes it and gives the figures of each epoch. All
that an epoch draws comes from (seed, epoch), so going on from a saved `Progress` is the same as
never having stopped.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from sqsnn.data.catalog import Samples
from sqsnn.errors import ConfigError, TrainingError
from sqsnn.learning.online import OnlineLocalRule
from sqsnn.learning.rule import COUNTS, Rule
from sqsnn.network import SpikingNetwork
from sqsnn.training import evaluate
from sqsnn.training.build import Purpose, build_network, build_rule, encode, seeded
from sqsnn.training.config import Recipe, TrainingConfig
from sqsnn.training.neurons import frozen_parts

if TYPE_CHECKING:
    from sqsnn.hardware import DeviceBits

LARGEST_GRADIENT_NORM = 5.0

Metrics = dict[str, Any]


class Best(NamedTuple):
    """The weights that did best on the validation samples."""

    epoch: int
    accuracy: evaluate.Accuracy
    loss: float
    weights: dict[str, Tensor]


@dataclass
class Progress:
    """What training changes: the network, what its rule remembers, its optimiser and schedule, and
    the best weights."""

    network: SpikingNetwork
    rule: Rule
    optimizer: Adam
    schedule: OneCycleLR
    source: "DeviceBits | None" = None  # what measures the spikes of a backend
    frozen: tuple[tuple[Tensor, Tensor], ...] = ()  # parameters, and where they are trained
    epoch: int = 0  # whole epochs done
    best: Best | None = None


class Step(NamedTuple):
    """One training step, for whoever watches."""

    epoch: int
    batch: int  # from 1
    batches: int
    loss: float
    correct: float  # share of the batch
    seconds: float


class Timing(NamedTuple):
    """Seconds of an epoch; the first step of a compiled network includes its compilation."""

    seconds: float
    first_step: float
    later_step: float | None  # median; None where there was only one step


class Epoch(NamedTuple):
    """What one epoch gave: figures that repeat bit for bit, and times, which do not."""

    metrics: Metrics
    timing: Timing


def start(
    recipe: Recipe, features: int, classes: int, samples: int, source: "DeviceBits | None" = None
) -> Progress:
    """Make a fresh network with the optimiser and the schedule of a whole training.

    Args:
        recipe: the settings.
        features: values of a sample.
        classes: number of classes.
        samples: number of training samples; the schedule spans all steps of all epochs.
        source: what measures the spikes of a backend.

    Raises:
        ConfigError: if `compile` would drop all samples as one ragged batch.
    """
    training = recipe.training
    network = build_network(recipe, features, classes)
    optimizer = Adam(network.parameters(), lr=training.learning_rate)
    schedule = OneCycleLR(
        optimizer,
        max_lr=training.learning_rate,
        total_steps=_batches(training, samples) * training.epochs,
        # torch divides twice: the start by 25, and the end by this on top.
        final_div_factor=training.learning_rate / 25 / training.final_learning_rate,
    )
    frozen = tuple(frozen_parts(network, recipe.model))
    return Progress(network, build_rule(recipe, source), optimizer, schedule, source, frozen)


def is_done(progress: Progress, training: TrainingConfig) -> bool:
    """Say whether all epochs are done, or patience is over."""
    if progress.epoch >= training.epochs:
        return True
    if training.patience is None or progress.best is None:
        return False
    return progress.epoch - progress.best.epoch >= training.patience


def epochs(
    progress: Progress,
    recipe: Recipe,
    train: Samples,
    validation: Samples | None,
    watch: Callable[[Step], None] = lambda step: None,
) -> Iterator[Epoch]:
    """Train epoch by epoch until the settings say that it is enough.

    Args:
        progress: where training stands; changed in place, and whole whenever an epoch is given out.
        recipe: the settings.
        train: the training samples.
        validation: samples that choose the best weights (by spike count, then by probability, then
            by loss: few samples are soon all named rightly); without them there are no best weights
            and no early stopping.
        watch: called after every training step.

    Yields:
        The figures of each epoch.

    Raises:
        TrainingError: if a loss or a gradient is not finite.
    """
    training = recipe.training
    train, validation = place(train, training), validation and place(validation, training)
    while not is_done(progress, training):
        began = time.perf_counter()
        epoch = progress.epoch + 1
        metrics, seconds = _train(progress, recipe, train, epoch, watch)
        if validation is not None:
            metrics |= _validate(progress, recipe, validation, epoch)
        progress.epoch = epoch
        first, *later = seconds
        timing = Timing(time.perf_counter() - began, first, median(later) if later else None)
        yield Epoch({"epoch": epoch, **metrics}, timing)


def place(samples: Samples, training: TrainingConfig) -> Samples:
    """Put samples where, and in the precision in which, the network computes.

    Args:
        samples: the samples.
        training: the settings of the training loop.
    """
    return Samples(
        samples.values.to(training.device, getattr(torch, training.dtype)),
        samples.labels.to(training.device),
    )


def _train(
    progress: Progress,
    recipe: Recipe,
    samples: Samples,
    epoch: int,
    watch: Callable[[Step], None],
) -> tuple[Metrics, tuple[float, ...]]:
    network, training = progress.network, recipe.training
    device = samples.values.device
    generator = seeded(training.seed, Purpose.TRAINING, epoch=epoch, device=device)
    order = torch.randperm(
        len(samples.labels), generator=seeded(training.seed, Purpose.ORDER, epoch=epoch)
    ).to(device)
    batches = _batches(training, len(order))
    network.train()
    sums: dict[str, float] = {}
    norms: list[float] = []
    seconds, seen, rate = [], 0, math.nan
    for batch, chosen in enumerate(order.split(training.batch_size)[:batches], start=1):
        began = time.perf_counter()
        rate = float(progress.schedule.get_last_lr()[0])
        where = f"epoch {epoch}, batch {batch} of {batches}"
        spikes = encode(recipe.encoding, samples.values[chosen], generator=generator)
        given = progress.network, spikes, samples.labels[chosen], generator
        progress.optimizer.zero_grad()
        if recipe.rule.update_every_step:
            rule = cast(OnlineLocalRule, progress.rule)
            figures = dict(rule.step(*given, partial(_update_and_clear, progress, norms, where)))
            _check_loss(figures["loss"], where)
        else:
            figures = dict(progress.rule.step(*given))
            _check_loss(figures["loss"], where)
            _update(progress, norms, where)
        progress.schedule.step()
        seconds.append(time.perf_counter() - began)
        seen += len(chosen)
        share = figures.pop("correct") / len(chosen)
        for name, figure in {**figures, "accuracy": share}.items():
            weight = 1 if name in COUNTS else len(chosen)
            sums[name] = sums.get(name, 0.0) + figure * weight
        watch(Step(epoch, batch, batches, figures["loss"], share, seconds[-1]))
    metrics = {
        f"train_{name}": int(total) if name in COUNTS else total / seen
        for name, total in sums.items()
    }
    metrics["gradient_norm"] = sum(norms) / len(norms)
    metrics["learning_rate"] = rate
    return metrics, tuple(seconds)


def _check_loss(loss: float, where: str) -> None:
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is {loss} in {where}: try a lower --learning-rate")


def _update(progress: Progress, norms: list[float], where: str) -> None:
    """Take one optimiser step with the gradients that the rule left, clipped; note their norm."""
    for parameter, trained in progress.frozen:
        if parameter.grad is not None:
            parameter.grad *= trained  # Adam leaves alone what never had a gradient
    norm = float(
        torch.nn.utils.clip_grad_norm_(progress.network.parameters(), LARGEST_GRADIENT_NORM)
    )
    if not math.isfinite(norm):
        raise TrainingError(f"the gradient has norm {norm} in {where}: try a lower --learning-rate")
    progress.optimizer.step()
    norms.append(norm)


def _update_and_clear(progress: Progress, norms: list[float], where: str) -> None:
    _update(progress, norms, where)
    progress.optimizer.zero_grad()


def _validate(progress: Progress, recipe: Recipe, samples: Samples, epoch: int) -> Metrics:
    network, training = progress.network, recipe.training
    network.eval()
    scores = evaluate.score(
        network,
        recipe.encoding,
        samples.values,
        generator=seeded(
            training.seed, Purpose.VALIDATION, epoch=epoch, device=samples.values.device
        ),
        batch_size=training.batch_size,
        report_steps=recipe.readout.report_steps,
        source=progress.source,
    )
    reached = evaluate.accuracy(scores, samples.labels)
    loss = evaluate.loss(scores, samples.labels)
    best = progress.best
    if best is None or _rank(reached, loss) > _rank(best.accuracy, best.loss):
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        progress.best = Best(epoch, reached, loss, weights)
    return {
        "validation_loss": loss,
        "validation_accuracy": reached.by_count,
        "validation_accuracy_probability": reached.by_probability,
        "validation_accuracy_spikes": evaluate.accuracy_of_spikes(scores, samples.labels),
        "spikes_per_sample": list(scores.spikes),
    }


def _rank(reached: evaluate.Accuracy, loss: float) -> tuple[float, float, float]:
    return reached.by_count, reached.by_probability or 0.0, -loss


def _batches(training: TrainingConfig, samples: int) -> int:
    if not training.compile:
        return math.ceil(samples / training.batch_size)
    whole = samples // training.batch_size
    if whole == 0:
        raise ConfigError(
            f"with compile, ragged batches are dropped: batch_size must be at most the number of "
            f"training samples, {samples}, but is {training.batch_size}"
        )
    return whole
