"""Generated tasks in time: spike trains that a network must remember.

In every task the cue lines show the class in a short window; then come blank steps, and a last step
in which the line "go" fires. Only the spikes of that last step are the network's answer. The blank
steps and the last one are the same for all classes, so that only memory tells the classes apart.
Every line flips at every step with probability `NOISE`, so that no network can always be right.
"""

import numpy as np
from jaxtyping import UInt8

from sqsnn.data.dataset_spec import DatasetSpec, Part, Task
from sqsnn.data.stored import RawSamples

NOISE = 0.01  # probability that a line flips at a step


def windows(task: Task) -> tuple[UInt8[np.ndarray, "variants steps cue_lines"], ...]:
    """Return the equally likely windows of each class, without noise."""
    lines = [str(line) for line in range(task.lines - 1)]
    return tuple(
        np.array(
            [[[step == line for line in lines] for step in word] for word in words.split()],
            np.uint8,
        )
        for words in task.windows
    )


def generate(spec: DatasetSpec, delay: int, part: Part) -> RawSamples:
    """Generate the samples of a task, with noise; the same ones every time."""
    task = spec.task
    assert task is not None
    per_class = spec.train_size // len(spec.class_names)
    counts = spec.test_counts if part == "test" else (per_class,) * len(spec.class_names)
    trains = np.zeros((sum(counts), task.steps(delay), task.lines), np.uint8)
    seeds = np.random.SeedSequence([task.stream, int(part == "test"), delay])
    generator = np.random.Generator(np.random.PCG64(seeds))
    # Sorting uniform numbers, because NumPy may change what `permutation` draws.
    order = np.argsort(generator.random(sum(counts)), kind="stable")
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)[order]
    # Before the variants, in the order in which the samples of recall were fixed.
    flips = generator.random(trains.shape) < NOISE
    variants = generator.random(sum(counts))
    for label, clean in enumerate(windows(task)):
        mine = labels == label
        drawn = (variants[mine] * len(clean)).astype(np.int64)
        trains[mine, : clean.shape[1], : clean.shape[2]] = clean[drawn]
    trains[:, -1, -1] = 1
    return RawSamples(trains ^ flips, labels)
