"""The training loop: epochs over samples in memory, with any learning rule; writes no files.

`start` makes what training changes, `epochs` changes it and yields the figures of each epoch. All
that an epoch draws comes from (seed, epoch), so going on from a saved `Progress` is the same as
never having stopped.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from sqsnn.checks import Shape
from sqsnn.data.dataset import Samples
from sqsnn.errors import ConfigError
from sqsnn.learning.bit_source import BitSource
from sqsnn.learning.local import Local
from sqsnn.learning.rule import Rule
from sqsnn.network import SpikingNetwork
from sqsnn.processes import ALONE, Processes
from sqsnn.readout import Traces
from sqsnn.readout.traces import readout_of
from sqsnn.settings.run import Recipe, TrainingSettings
from sqsnn.training import evaluate, values
from sqsnn.training.build import Purpose, build_network, seeded
from sqsnn.training.callback import Callback, check_callbacks
from sqsnn.training.epoch import train_epoch
from sqsnn.training.optimizer import Adam
from sqsnn.training.progress import Best, Epoch, Metrics, Progress


def rank(figures: Mapping[str, Any]) -> tuple[float, float, float]:
    """What decides which epoch is best: the measure of `test_accuracy`, spikes alone.

    With few validation samples it often ties: then the accuracy by probability decides, which is
    None where spikes were measured, then the loss. Of real values the error decides.
    """
    if "validation_mse" in figures:
        return -values.measure(figures, "validation_"), 0.0, 0.0
    by_probability = figures["validation_accuracy_probability"]
    return figures["validation_accuracy"], by_probability or 0.0, -figures["validation_loss"]


def start(
    recipe: Recipe,
    features: int | Shape,
    outputs: int,
    samples: int,
    source: BitSource | None = None,
    processes: Processes = ALONE,
) -> Progress:
    """Make a fresh network with the optimiser and the schedule of a whole training.

    Args:
        recipe: The settings.
        features: Values per sample, or per step of a series; or the shape of their grid.
        outputs: Classes, or real values to predict.
        samples: Training samples.
        source: Measures the spikes; None to simulate them.
        processes: Those that share the training.

    Raises:
        ConfigError: If there are more processes than rows in a batch, or a device measures for
            several processes.
    """
    training = recipe.training
    source = source or getattr(recipe.rule, "source", None)
    _check_processes(processes, training, samples, source)
    network = build_network(recipe, features, outputs)
    optimizer = Adam(network.parameters(), lr=training.learning_rate, fused=True)
    schedule = OneCycleLR(
        optimizer,
        max_lr=training.learning_rate,
        total_steps=math.ceil(samples / training.batch_size) * training.epochs,
        # torch divides twice: the start by 25, and the end by this on top.
        final_div_factor=training.learning_rate / 25 / training.final_learning_rate,
    )
    return Progress(network, fresh_rule(recipe, source), optimizer, schedule, source, processes)


def _check_processes(
    processes: Processes, training: TrainingSettings, samples: int, source: BitSource | None
) -> None:
    """Refuse a number of processes that cannot share the work."""
    rows = min(training.batch_size, samples)
    if processes.count > rows:
        raise ConfigError(
            f"{processes.count} processes share each batch, but a batch has {rows} rows: start "
            f"fewer processes, or choose a larger batch_size (it is {training.batch_size})"
        )
    if processes.count > 1 and source is not None:
        raise ConfigError(
            f"{processes.count} processes share this training, but a device measures its spikes, "
            "and its jobs come from one process: start it without torchrun"
        )


def fresh_rule(recipe: Recipe, source: BitSource | None = None) -> Rule:
    """The learning rule of a training, with nothing remembered."""
    rule = recipe.rule.fresh()
    if source is None or not isinstance(rule, Local):
        return rule
    return replace(rule, score=replace(rule.score, source=source))


def fit_readout(network: SpikingNetwork, recipe: Recipe, train: Samples) -> None:
    """Set the scale of a readout of real values by the training targets that count."""
    read = readout_of(network)
    if read is None:
        return
    targets = train.targets
    if targets.ndim == 3:
        assert isinstance(train.values, Tensor)
        mask = evaluate.report_mask(recipe, train.values, train.lengths)
        if mask is not None:
            targets = targets[mask.T.to(targets.device) > 0]
    read.fit_scale(targets)


def is_done(progress: Progress, training: TrainingSettings) -> bool:
    """Whether all epochs are done, or patience is over."""
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
    callbacks: Sequence[Callback] = (),
) -> Iterator[Epoch]:
    """Train epoch by epoch until the settings end it.

    Args:
        progress: Where training stands; changed in place, and whole whenever an epoch is yielded.
        recipe: The settings.
        train: The training samples.
        validation: Samples that choose the best weights; without them there are no best weights
            and no early stopping.
        callbacks: What follows the training, and may end it. They hear of an epoch once the caller
            asks for the next, and so has saved this one. Of several processes those of the first
            decide.

    Yields:
        The figures of each epoch.

    Raises:
        ProcessError: If another of the processes that share the training has ended.
        TrainingError: If a loss or a gradient is not finite.
    """
    check_callbacks(callbacks)
    training = recipe.training
    progress.processes.check_alike(progress.network.parameters(), progress.epoch)
    train, validation = place(train, training), validation and place(validation, training)
    for callback in callbacks:
        callback.begin(progress, recipe)
    ended = False
    while not (ended or is_done(progress, training)):
        began = time.perf_counter()
        epoch = progress.epoch + 1
        metrics = train_epoch(progress, recipe, train, epoch, callbacks)
        if validation is not None:
            metrics |= _validate(progress, recipe, validation, epoch)
        progress.processes.check_alike(progress.network.parameters(), epoch)
        progress.epoch = epoch
        done = Epoch({"epoch": epoch, **metrics}, time.perf_counter() - began)
        yield done
        # A list: every callback hears of the epoch, also after one that ends the training.
        heard = [callback.epoch(done, progress) for callback in callbacks]
        ended = progress.processes.of_first(partial(any, heard))
    for callback in callbacks:
        callback.finish(progress)


def place(samples: Samples, training: TrainingSettings) -> Samples:
    """Put samples on the device, and in the precision, in which the network computes."""
    device, dtype = training.device, getattr(torch, training.dtype)
    targets, lengths, weights = samples.targets, samples.lengths, samples.weights
    return Samples(
        samples.values.to(device, dtype),
        targets.to(device, dtype) if targets.is_floating_point() else targets.to(device),
        None if lengths is None else lengths.to(device),
        None if weights is None else weights.to(device, dtype),
    )


def _validate(progress: Progress, recipe: Recipe, samples: Samples, epoch: int) -> Metrics:
    network, training = progress.network, recipe.training
    network.eval()
    generator = seeded(
        training.seed,
        Purpose.VALIDATION,
        epoch=epoch,
        device=samples.values.device,
        processes=progress.processes,
    )
    assessed = assess(network, recipe, samples, generator, progress.source)[1:]
    # All processes must agree, to the last digit, which weights are best.
    found, spikes = progress.processes.of_first(lambda: assessed)
    figures = {f"validation_{name}": figure for name, figure in found.items()}
    newest = Best(epoch, figures, network.state_dict())
    if progress.best is None or rank(figures) > rank(progress.best.figures):
        weights = {name: value.clone() for name, value in newest.weights.items()}
        progress.best = newest._replace(weights=weights)
    return {**figures, "spikes_per_sample": list(spikes)}


def assess(
    network: SpikingNetwork,
    recipe: Recipe,
    samples: Samples,
    generator: torch.Generator,
    source: BitSource | None = None,
    shots: int = 1,
) -> tuple[evaluate.Scores | values.Predictions, Metrics, tuple[float, ...]]:
    """Run a network over samples: its answers, their figures by name, and spikes per layer."""
    if isinstance(recipe.readout, Traces):
        predicted = values.predict(network, recipe, samples, generator=generator, shots=shots)
        return predicted, values.figures(predicted, samples.targets), predicted.spikes
    scores = evaluate.score(
        network,
        recipe,
        samples.values,
        lengths=samples.lengths,
        generator=generator,
        shots=shots,
        source=source,
    )
    return scores, evaluate.class_figures(scores, samples.targets), scores.spikes
