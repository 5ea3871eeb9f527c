"""Generated tasks in time: spike trains that a network must remember; arrays out.

Every task is a short window in which the cue lines tell the class, then `delay` blank steps, then
one step in which the line "go" fires; only that last step's spikes are the network's answer. What
arrives in the blank steps and in the last one is the same for all classes, so that nothing but
memory tells them apart. Every line is flipped at every step with probability `NOISE`, so that
nobody is always right; `best_accuracy` says how often anybody can be.

- Recall: one of two lines fires, in a window of one step; which one?
- Order: each of two lines fires once, at two of four steps; which one first? The number of spikes
  is the same, and the window's most telling step alone is right three times in four.
- XOR: a bit, a blank step, a bit, each shown by one of two lines; are they different? Either bit
  alone tells nothing, and no line is likelier to fire at any step under one of the answers.
- Duration: a line fires for two or for four of six steps, without pause; for how many? The most
  telling step alone is right four times in five; the number of spikes tells it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
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


@dataclass(frozen=True, eq=False)
class TemporalTask:
    """What is known about a task before a sample is drawn.

    Args:
        number: of its random streams; never shared and never changed, else its samples are others.
        class_names: one name a class, in the order of the labels.
        windows: for each class its windows without noise, all equally likely: uint8 of shape
            (variants, window steps, cue lines).
        train_counts: samples of each class in the training part, validation included.
        test_counts: samples of each class in the test part.
        report_steps: how many of the last steps are the network's answer.
    """

    number: int
    class_names: tuple[str, ...]
    windows: tuple[np.ndarray, ...]
    train_counts: tuple[int, ...] = (2000, 2000)
    test_counts: tuple[int, ...] = (500, 500)
    report_steps: int = 1

    @property
    def lines(self) -> int:
        """Input lines: the cue lines and, as the last, "go"."""
        return self.windows[0].shape[2] + 1

    def steps(self, delay: int) -> int:
        """Steps of a sample: the window, the delay and the report.

        Args:
            delay: blank steps between cue and report, at least 1.

        Raises:
            TypeError: if `delay` is not an integer.
            ValueError: if `delay` is below 1.
        """
        check_positive_int("delay", delay)
        return self.windows[0].shape[1] + delay + 1


def generate(task: TemporalTask, part: Part, delay: int) -> SpikeTrains:
    """Make the samples of a task, the same ones every time, with noise.

    Args:
        task: an entry of `TEMPORAL_TASKS`.
        part: "train" or "test", which share no random numbers.
        delay: blank steps between cue and report, at least 1.

    Raises:
        TypeError: if `delay` is not an integer.
        ValueError: if `delay` is below 1.
    """
    counts = task.train_counts if part == "train" else task.test_counts
    trains = np.zeros((sum(counts), task.steps(delay), task.lines), np.uint8)
    seeds = np.random.SeedSequence([task.number, int(part == "test"), delay])
    generator = np.random.Generator(np.random.PCG64(seeds))
    # Sorting uniform numbers, because numpy may change what `permutation` draws.
    order = np.argsort(generator.random(sum(counts)), kind="stable")
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)[order]
    # Before the variants: the samples of recall were fixed when there were none to draw.
    flips = generator.random(trains.shape) < NOISE
    variants = generator.random(sum(counts))
    _, window, cue_lines = task.windows[0].shape
    for label, clean in enumerate(task.windows):
        mine = labels == label
        drawn = (variants[mine] * len(clean)).astype(np.int64)
        trains[mine, :window, :cue_lines] = clean[drawn]
    trains[:, -1, -1] = 1
    return SpikeTrains(trains ^ flips, labels)


def best_accuracy(task: TemporalTask, noise: float = NOISE) -> float:
    """The best accuracy that anybody can expect in a task: that of guessing the likelier class.

    Only the cue lines during the window depend on the class, so an observer who knows the timing
    looks at them alone. The sum over all that can be seen of max over classes of
    P(seen | class) P(class), exact, with classes equally likely, as in the samples. For recall it
    is 1 - noise: a coin is right half the time where one of the two lines was flipped.

    Args:
        task: an entry of `TEMPORAL_TASKS`.
        noise: probability that a line is flipped at a step, 0 to 0.5.

    Raises:
        ValueError: if `noise` is out of range: a line that lies more often than not is no noise.
    """
    if not 0 <= noise <= 0.5:
        raise ValueError(f"noise must be a probability from 0 to 0.5, but is {noise}")
    bits = task.windows[0][0].size
    seen = np.arange(2**bits)[:, None] >> np.arange(bits) & 1  # (2**bits, bits)
    laws = []
    for clean in task.windows:
        flips = (seen[:, None] != clean.reshape(len(clean), bits)).sum(axis=2)
        laws.append((noise**flips * (1 - noise) ** (bits - flips)).mean(axis=1))
    return float(np.max(laws, axis=0).sum() / len(laws))


def _windows(steps: int, lines: int, variants: Iterable[Iterable[tuple[int, int]]]) -> np.ndarray:
    """Windows of so many steps and cue lines, one for each list of the (step, line) that fire."""
    drawn = []
    for variant in variants:
        window = np.zeros((steps, lines), np.uint8)
        for step, line in variant:
            window[step, line] = 1
        drawn.append(window)
    windows = np.stack(drawn)
    windows.flags.writeable = False
    return windows


def _recall(cue: int) -> np.ndarray:
    return _windows(1, 2, [[(0, cue)]])


def _order(first: int) -> np.ndarray:
    pairs = combinations(range(4), 2)
    return _windows(4, 2, ([(early, first), (late, 1 - first)] for early, late in pairs))


def _xor(answer: int) -> np.ndarray:
    return _windows(3, 2, ([(0, bit), (2, bit ^ answer)] for bit in (0, 1)))


def _duration(length: int) -> np.ndarray:
    starts = range(6 - length + 1)
    return _windows(6, 1, ([(start + step, 0) for step in range(length)] for start in starts))


TEMPORAL_TASKS: dict[str, TemporalTask] = {
    "recall": TemporalTask(0, ("cue 0", "cue 1"), (_recall(0), _recall(1))),
    "order": TemporalTask(1, ("0 before 1", "1 before 0"), (_order(0), _order(1))),
    "xor": TemporalTask(2, ("same", "different"), (_xor(0), _xor(1))),
    "duration": TemporalTask(3, ("short", "long"), (_duration(2), _duration(4))),
}
