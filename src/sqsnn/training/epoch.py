"""One epoch: every training sample once, batch by batch, shared among the processes of a training.

Each process takes its rows of a batch; the gradients are summed before the optimiser's step, which
all processes take alike.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.data.dataset import Samples
from sqsnn.errors import TrainingError
from sqsnn.learning.local import Local
from sqsnn.learning.rule import COUNTS, Figures
from sqsnn.processes import SharedGenerator
from sqsnn.readback import together
from sqsnn.readout import Targets
from sqsnn.settings.run import Recipe
from sqsnn.training import evaluate
from sqsnn.training.build import Purpose, seeded
from sqsnn.training.callback import Callback
from sqsnn.training.progress import Metrics, Progress, Step

LARGEST_GRADIENT_NORM = 5.0


def train_epoch(
    progress: Progress,
    recipe: Recipe,
    samples: Samples,
    epoch: int,
    callbacks: Sequence[Callback],
) -> Metrics:
    """Train on every sample once, in an order of the epoch's own; give the figures of training.

    Raises:
        TrainingError: If a loss or a gradient is not finite.
    """
    training, device, processes = recipe.training, samples.values.device, progress.processes
    generator = seeded(
        training.seed, Purpose.TRAINING, epoch=epoch, device=device, processes=processes
    )
    order = torch.randperm(
        len(samples.targets), generator=seeded(training.seed, Purpose.ORDER, epoch=epoch)
    ).to(device)
    batches = order.split(training.batch_size)
    progress.network.train()
    sums: dict[str, float] = {}
    own_sums: dict[str, float] = {}
    norms: list[float] = []
    rate = math.nan
    for number, batch in enumerate(batches, start=1):
        rate = float(progress.schedule.get_last_lr()[0])
        where = f"epoch {epoch}, batch {number} of {len(batches)}"
        rows = samples.chosen(batch[processes.rows(len(batch))])
        figures, own = _step(progress, recipe, rows, len(batch), generator, norms, where)
        progress.schedule.step()
        _add(sums, figures, len(batch))
        _add(own_sums, own, processes.share(len(batch)))
        step = Step(epoch, number, len(batches), figures["loss"], figures.get("accuracy"))
        for callback in callbacks:
            callback.step(step)
    for own in processes.gather([own_sums]):
        _add(sums, own, 1)
    metrics = {
        f"train_{name}": int(total) if name in COUNTS else total / len(order)
        for name, total in sums.items()
    }
    metrics["gradient_norm"] = sum(norms) / len(norms)
    metrics["learning_rate"] = rate
    return metrics


def _add(sums: dict[str, float], figures: Figures, samples: int) -> None:
    """Add the figures of some samples to sums over all: counts as they are, means by samples."""
    for name, figure in figures.items():
        weight = min(1, samples) if name in COUNTS else samples
        sums[name] = sums.get(name, 0.0) + figure * weight


def _step(
    progress: Progress,
    recipe: Recipe,
    rows: Samples,
    batch: int,
    generator: torch.Generator,
    norms: list[float],
    where: str,
) -> tuple[Figures, Figures]:
    """One batch: the rule's gradients, and the optimiser's step, or one step per time step.

    Returns:
        Loss and accuracy of the whole batch, and the rule's further figures of this process's rows.
    """
    if isinstance(generator, SharedGenerator):
        generator.batch = batch
    processes, parameters = progress.processes, list(progress.network.parameters())
    weight = processes.weight(batch)

    def update() -> None:
        processes.sum_gradients(parameters, weight)
        _update(progress, norms, where)
        progress.optimizer.zero_grad()

    rule = progress.rule
    every_step = isinstance(rule, Local) and rule.updates_every_step
    progress.optimizer.zero_grad()
    further = {"update": update} if every_step else {}
    with together():
        spikes, targets = encode_batch(recipe, rows, generator)
        own = dict(rule.step(progress.network, spikes, targets, generator, **further))
    means = {"loss": own.pop("loss")}
    if "correct" in own:
        means["accuracy"] = own.pop("correct") / len(rows.targets)
    whole = processes.sum_gradients(() if every_step else parameters, weight, [*means.values()])
    figures = dict(zip(means, whole, strict=True))
    if not math.isfinite(figures["loss"]):
        raise TrainingError(
            f"the loss is {figures['loss']} in {where}: try a lower --learning-rate"
        )
    if not every_step:
        _update(progress, norms, where)
    return figures, own


def _update(progress: Progress, norms: list[float], where: str) -> None:
    """Take one optimiser step with the gradients of the batch, clipped; note their norm."""
    norm = float(
        torch.nn.utils.clip_grad_norm_(progress.network.parameters(), LARGEST_GRADIENT_NORM)
    )
    if not math.isfinite(norm):
        raise TrainingError(f"the gradient has norm {norm} in {where}: try a lower --learning-rate")
    progress.optimizer.step()
    norms.append(norm)


def encode_batch(
    recipe: Recipe, samples: Samples, generator: torch.Generator
) -> tuple[Float[Tensor, "T B P N"], Targets]:
    """Encode some samples, and mark the steps that count."""
    read, targets, lengths, weights = samples
    assert isinstance(read, Tensor)  # chosen samples are in memory
    spikes = recipe.encoding.encode(read, lengths=lengths, generator=generator)
    if targets.ndim == 3:
        targets = targets.movedim(1, 0)
    mask = evaluate.report_mask(recipe, read, lengths)
    return spikes, Targets(targets, mask, weights)
