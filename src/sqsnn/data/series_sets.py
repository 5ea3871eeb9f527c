"""The generated series as datasets: seeds, sizes, and targets step by step."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sqsnn.data import series
from sqsnn.data.dataset_spec import DatasetSpec, Part
from sqsnn.data.stored import RawSamples


def generate(spec: DatasetSpec, paths: Sequence[Path], part: Part) -> RawSamples:
    """Generate one part of a dataset; the same samples every time.

    Args:
        spec: The dataset.
        paths: None; a generated dataset has no files.
        part: Training or test part, from seeds of their own.
    """
    kind = spec.series
    assert kind is not None
    count, steps = spec.size(part), kind.length
    first = 0 if part == "train" else 1_000_000
    if kind.law in ("parity", "sines"):
        values, labels = getattr(series, kind.law)(count, steps, seed=first)
        return RawSamples(values, labels)
    assert steps is not None
    made = [_one(kind.law, steps, first + number) for number in range(count)]
    values, targets = (np.stack(parts) for parts in zip(*made, strict=True))
    return RawSamples(values[..., None], targets if targets.ndim == 3 else targets[..., None])


def _one(law: str, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate one series and its targets."""
    if law == "narma5":
        inputs, targets = series.narma(5, steps, seed)
        return 2 * inputs, targets  # [0, 0.5] -> [0, 1], as encodings take it
    if law == "narma10":
        inputs, targets = series.narma(10, steps, seed)
        return 2 * inputs, targets
    if law == "mackey-glass":
        return series.mackey_glass(steps, seed, horizon=6)
    return series.memory_inputs(steps, 10, seed)
