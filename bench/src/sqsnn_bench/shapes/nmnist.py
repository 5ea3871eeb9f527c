"""Small convolutional networks on the N-MNIST recordings at hand, beside dense ones.

ON and OFF events are two maps of 34 x 34 pixels. Dense networks of as few parameters see pixels of
2 x 2, and one of the preset's width has several times as many.
"""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sqsnn.runs import run as runs
from sqsnn.settings.run import RunSettings, from_flat
from sqsnn.training import trainer
from sqsnn.training.machine import threads
from sqsnn_bench.shapes import trials
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.study import library

STEPS, EPOCHS, BATCH = 10, 20, 64
CONVOLUTIONS = "8c5s2-p2-16c3"  # (2, 34, 34) -> (8, 15, 15) -> (8, 7, 7) -> (16, 5, 5) -> 10
MINUTES = 10  # target of a training, on two cores

_CONV: dict[str, Any] = {"conv": CONVOLUTIONS, "hidden": (), "polarity": "maps", "pool": 1}
_SQS: dict[str, Any] = {"neurons": "sqs", "memory_qubits": 0}


class Model(NamedTuple):
    """A row of the table: its name, and the settings that are its own."""

    name: str
    settings: dict[str, Any]


MODELS = (
    Model("convolutional SQS, M=0", {**_CONV, **_SQS}),
    Model("convolutional SQS, M=1", {**_CONV, "neurons": "sqs", "memory_qubits": 1}),
    Model("convolutional LIF", {**_CONV, "neurons": "lif"}),
    Model("dense SQS, M=0, 10 hidden", {**_SQS, "hidden": (10,), "polarity": "maps", "pool": 2}),
    Model("dense SQS, M=0, 64 hidden", {**_SQS, "hidden": (64,), "polarity": "maps", "pool": 2}),
)


def compare(kept: Kept, seeds: int, watch: trials.Watch) -> None:
    """Compare all models with `seeds` seeds; see `trials.compare`."""
    for model in MODELS:
        trials.compare(kept, model.name, seeds, partial(trial, model), watch)


def trial(model: Model, rate: float, seed: int, tests: bool) -> dict[str, Any]:
    """Train a model, and give its figures on the validation samples, or on those of the test."""
    settings = from_flat("nmnist", model.settings | equal(rate, seed))
    if not tests:
        found = library.validate(settings)
        return {"rank": list(trainer.rank(found)), "parameters": found["parameters"]}
    return _tested(settings)


def equal(rate: float, seed: int) -> dict[str, Any]:
    """The settings that are equal for all models, by their flat names."""
    given = {"steps": STEPS, "epochs": EPOCHS, "batch_size": BATCH}
    return {**given, "learning_rate": rate, "seed": seed}


def _tested(settings: RunSettings) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, threads(1):
        made = runs.begin(settings, Path(folder) / "run", pictures=False)
        result = made.read_result()
    return {
        "accuracy": result["test_accuracy"],
        "accuracy_by_probability": result["test_accuracy_probability"],
        "parameters": result["parameters"],
        "spikes_per_sample": result["spikes_per_sample"],
        "wall_seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }
