"""Times the steps of a training through the trainer's own loop, whatever it trains."""

import itertools
import time
from collections.abc import Sequence
from typing import Any

import torch

from sqsnn.data.dataset import Samples
from sqsnn.processes import ALONE, Processes
from sqsnn.settings.run import RunSettings, from_flat
from sqsnn.training import trainer
from sqsnn.training.callback import Callback
from sqsnn.training.epoch import train_epoch
from sqsnn.training.progress import Progress, Step

CLASSES = 10
WARM_UP = 3  # steps that do not count: caches fill, memory is taken


class Clock(Callback):
    """Keeps when each step ended, on the wall and for this processor."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []

    def step(self, step: Step) -> None:
        """Keep it."""
        self.wall.append(time.perf_counter())
        self.processor.append(time.process_time())

    def seconds(self) -> tuple[list[float], list[float]]:
        """Give the seconds of each step after the first ones."""
        return _differences(self.wall[WARM_UP - 1 :]), _differences(self.processor[WARM_UP - 1 :])


def settings(batch: int, steps: int, hidden: Sequence[int], **further: Any) -> RunSettings:
    """Make the settings of a training like that of `sqsnn train mnist`."""
    given = {"batch_size": batch, "steps": steps, "hidden": tuple(hidden), "epochs": 1}
    return from_flat("mnist", given | further)


def random_samples(count: int, features: int) -> Samples:
    """Make samples whose values fire as often as the pixels of MNIST: 13 %."""
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(count, features, generator=generator) * 0.26
    return Samples(values, torch.randint(CLASSES, (count,), generator=generator))


def timed(
    recipe: RunSettings, samples: Samples, processes: Processes = ALONE
) -> tuple[Clock, Progress]:
    """Train one epoch, and give the time of each step."""
    progress = trainer.start(
        recipe, samples.values.shape[1], CLASSES, len(samples.targets), processes=processes
    )
    clock = Clock()
    train_epoch(progress, recipe, samples, 1, [clock])
    return clock, progress


def _differences(times: Sequence[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]
