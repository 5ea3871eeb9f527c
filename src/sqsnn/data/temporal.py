"""Generated tasks in time: spike trains that a network must remember; arrays out.

Recall: a cue, a delay, a report. At the first step the line of the sample's class fires, then
`delay` steps are blank, and at the last step the line "go" fires; only the last step's spikes are
the network's answer. Every line is flipped at every step with probability `NOISE`. What arrives in
the last step is the same for both classes, so that nothing but memory tells them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sqsnn.checks import check_positive_int
from sqsnn.data.images import Part

NOISE = 0.01  # probability that a line is flipped at a step


class SpikeTrains(NamedTuple):
    """Spike trains and labels.

    Args:
        values: (n, T, lines) uint8, 0 or 1.
        labels: (n,) int64, 0..classes-1.
    """

    values: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class TemporalTask:
    """What is known about a task before a sample is drawn.

    Args:
        number: of its random streams; never shared and never changed, else its samples are others.
        class_names: one name a class, in the order of the labels.
        lines: input lines.
        train_counts: samples of each class in the training part, validation included.
        test_counts: samples of each class in the test part.
        other_steps: steps of a sample beside the delay.
        report_steps: how many of the last steps are the network's answer.
        pattern: (labels, delay) -> spike trains without noise, (n, delay + other_steps, lines).
    """

    number: int
    class_names: tuple[str, ...]
    lines: int
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    other_steps: int
    report_steps: int
    pattern: Callable[[np.ndarray, int], np.ndarray]

    def steps(self, delay: int) -> int:
        """Steps of a sample.

        Args:
            delay: blank steps between cue and report, at least 1.

        Raises:
            TypeError: if `delay` is not an integer.
            ValueError: if `delay` is below 1.
        """
        check_positive_int("delay", delay)
        return delay + self.other_steps


def generate(task: TemporalTask, part: Part, delay: int) -> SpikeTrains:
    """Make the samples of a task, the same ones every time, with noise.

    Args:
        task: an entry of `TEMPORAL_TASKS`.
        part: "train" or "test", which share no random numbers.
        delay: blank steps between cue and report, at least 1.
    """
    counts = task.train_counts if part == "train" else task.test_counts
    seeds = np.random.SeedSequence([task.number, int(part == "test"), delay])
    generator = np.random.Generator(np.random.PCG64(seeds))
    # Sorting uniform numbers, because numpy may change what `permutation` draws.
    order = np.argsort(generator.random(sum(counts)), kind="stable")
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)[order]
    clean = task.pattern(labels, delay)
    return SpikeTrains(clean ^ (generator.random(clean.shape) < NOISE), labels)


def recall(labels: np.ndarray, delay: int) -> np.ndarray:
    """The spike trains of delayed recall, without noise: cue, blank steps, go.

    Args:
        labels: (n,), 0 or 1: which of the lines 0 and 1 is the cue.
        delay: blank steps.

    Returns:
        uint8 of shape (n, delay + 2, 3); line 2 is "go".
    """
    trains = np.zeros((len(labels), delay + 2, 3), np.uint8)
    trains[np.arange(len(labels)), 0, labels] = 1
    trains[:, -1, 2] = 1
    return trains


def best_accuracy(noise: float) -> float:
    """The best accuracy that anybody can expect in delayed recall: 1 - noise.

    Only the two cue lines at the first step depend on the class, so an observer who knows the
    timing looks at them alone. Each is flipped with probability q. With probability (1 - q)^2
    neither is, and the line that fires names the class. With probability 2 q (1 - q) exactly one
    is: both lines fire or none does, which is as likely under either class, and a coin is right
    half the time. With probability q^2 both are, and the wrong line fires. In sum
    (1 - q)^2 + q (1 - q) = 1 - q.

    Args:
        noise: probability q that a line is flipped at a step, 0 to 0.5.

    Raises:
        ValueError: if `noise` is out of range: a line that lies more often than not is no noise.
    """
    if not 0 <= noise <= 0.5:
        raise ValueError(f"noise must be a probability from 0 to 0.5, but is {noise}")
    return (1 - noise) ** 2 + noise * (1 - noise)


TEMPORAL_TASKS: dict[str, TemporalTask] = {
    "recall": TemporalTask(
        number=0,
        class_names=("cue 0", "cue 1"),
        lines=3,
        train_counts=(2000, 2000),
        test_counts=(500, 500),
        other_steps=2,
        report_steps=1,
        pattern=recall,
    ),
}
