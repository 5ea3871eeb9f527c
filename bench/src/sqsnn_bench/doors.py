"""Whether all doors take the same time per training step: `python -m sqsnn_bench.doors`.

The same training on digits goes through the command line, `sqsnn.train` and the classifier, by
turns, each with one thread of its own choice: nothing here limits torch. A run's figure is the
median over its epochs, validation included, without the first; wall time, since a door that took
more threads would use more processor time and might still be slower. Writes
bench/results/doors.json.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import sqsnn
from sqsnn.training.progress import Epoch, Progress
from sqsnn_bench.timing import machine, ratios, summary

EPOCHS = 8
# The preset of digits, which the classifier does not know.
SETTINGS = {"hidden": (64,), "steps": 10, "reset_steps": 3, "batch_size": 64}
SETTINGS |= {"epochs": EPOCHS, "threads": 1}


class Clock(sqsnn.Callback):
    """Keeps the seconds of every epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def epoch(self, epoch: Epoch, progress: Progress) -> None:
        """Keep them."""
        self.seconds.append(epoch.seconds)


def by_command_line(out: Path) -> list[float]:
    """Train by `sqsnn train`."""
    flags = [word for name, value in SETTINGS.items() for word in (_flag(name), _text(value))]
    command = [sys.executable, "-m", "sqsnn", "train", "digits", "--out", str(out), *flags]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads((out / "timing.json").read_text())["epoch_seconds"]


def by_train(out: Path) -> list[float]:
    """Train by `sqsnn.train`."""
    clock = Clock()
    sqsnn.train("digits", out=out, callbacks=[clock], **SETTINGS)
    return clock.seconds


def by_classifier(out: Path) -> list[float]:
    """Train by the classifier, with as many samples to train and to validate."""
    del out
    X, y = load_digits(return_X_y=True)
    X, _, y, _ = train_test_split(X, y, test_size=0.2, stratify=y, random_state=42)
    clock = Clock()
    stopping = {"early_stopping": True, "validation_fraction": 0.1, "patience": EPOCHS}
    classifier = sqsnn.SQSNNClassifier(callbacks=[clock], random_state=0, **SETTINGS, **stopping)
    classifier.fit(X, y)
    return clock.seconds


DOORS: dict[str, Callable[[Path], list[float]]] = {
    "sqsnn train": by_command_line,
    "sqsnn.train": by_train,
    "SQSNNClassifier.fit": by_classifier,
}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.doors")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("bench/results/doors.json"))
    arguments = parser.parse_args()
    steps = math.ceil(len(sqsnn.data.load("digits").train.targets) / SETTINGS["batch_size"])
    found: dict[str, list[float]] = {name: [] for name in DOORS}
    for turn in range(arguments.repeats):
        for name, train in DOORS.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(median(train(Path(folder) / "run")[1:]) / steps)
            print(f"turn {turn + 1}  {name:20} {1e3 * found[name][-1]:.2f} ms per step", flush=True)
    base = next(iter(found.values()))
    result = {
        "machine": machine() | {"torch_threads_outside": torch.get_num_threads()},
        "settings": SETTINGS,
        "steps_per_epoch": steps,
        "repeats": arguments.repeats,
        "seconds_per_step": {
            name: summary(values) | ratios(values, base) for name, values in found.items()
        },
    }
    arguments.out.write_text(json.dumps(result, indent=1, default=str) + "\n")
    for name, row in result["seconds_per_step"].items():
        print(f"{name:20} median {1e3 * row['median']:.2f} ms, ratio {row['ratio']:.2f}")


if __name__ == "__main__":
    main()
