"""Running parity of random bits: a task that needs one bit of memory, rewritten by every input.

At each of 20 steps the target is whether the ones so far are odd. A linear readout of the hidden
neurons' spikes of that step answers; a value above 1/2 says odd. Feed-forward neurons can solve it
by their own membrane or memory alone, recurrent ones also through each other.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch

from sqsnn.data import series
from sqsnn.data.dataset import Samples
from sqsnn.learning import Backprop, Feedback, Local
from sqsnn.settings.run import Recipe
from sqsnn.training import trainer, values
from sqsnn.training.build import Purpose, build_network, count_trained, seeded
from sqsnn_bench.shapes import trials
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.study import sizing

STEPS, PARAMETERS, EPOCHS, BATCH = 20, 970, 16, 64
TRAIN, VALIDATION, TEST = 2000, 500, 1000
START = 0.5  # beta of all membranes, which learn it

_SQS = {"kind": "sqs", "drive": {"kind": "leaky", "beta": START}}
_NEURONS: Mapping[str, Mapping[str, Any]] = {
    "SQS, M=0": {**_SQS, "memory_qubits": 0},
    "SQS, M=1": {**_SQS, "memory_qubits": 1},
    "LIF": {"kind": "lif", "beta": START},
}


class Model(NamedTuple):
    """A row of the table."""

    neurons: str
    recurrent: bool
    local: bool

    @property
    def name(self) -> str:
        """What the row is called."""
        rule = "local" if self.local else "backprop"
        return f"{self.neurons}, {'recurrent' if self.recurrent else 'feed-forward'}, {rule}"


MODELS = tuple(
    Model(neurons, recurrent, local)
    for recurrent, local in ((True, False), (False, False), (True, True))
    for neurons in _NEURONS
)


def compare(kept: Kept, seeds: int, watch: trials.Watch) -> None:
    """Compare all models with `seeds` seeds; see `trials.compare`."""
    for model in MODELS:
        trials.compare(kept, model.name, seeds, partial(trial, model), watch)


def trial(model: Model, rate: float, seed: int, tests: bool) -> dict[str, Any]:
    """Train a model, and give its figures on the validation samples, or on those of the test."""
    train, validation, test = data()
    recipe = recipe_of(model, rate, seed)
    progress = trainer.start(recipe, 1, 1, len(train.values))
    trainer.fit_readout(progress.network, recipe, train)
    began = time.process_time()
    for _ in trainer.epochs(progress, recipe, train, validation):
        pass
    seconds = time.process_time() - began
    best = progress.best
    assert best is not None  # there are validation samples
    found: dict[str, Any] = {
        "rank": list(trainer.rank(best.figures)),
        "epoch": best.epoch,
        "hidden": recipe.hidden[0],
        "parameters": count_trained(progress.network),
        "cpu_seconds": round(seconds, 1),
    }
    if not tests:
        return found
    progress.network.load_state_dict(best.weights)
    generator = seeded(seed, Purpose.TEST)
    predicted = values.predict(progress.network, recipe, test, generator=generator)
    right = ((predicted.values > 0.5) == (test.targets > 0.5)).double()  # (n, T, 1)
    return found | {
        "accuracy_all_steps": float(right.mean()),
        "accuracy_last_step": float(right[:, -1].mean()),
    }


def data() -> tuple[Samples, Samples, Samples]:
    """Draw the trains and their running parity, the same for all models and seeds."""
    drawn, _ = series.parity(TRAIN + VALIDATION + TEST, STEPS, seed=0)
    trains = torch.from_numpy(drawn).float()  # (n, T, 1)
    parts = (part.split([TRAIN, VALIDATION, TEST]) for part in (trains, trains.cumsum(1) % 2))
    train, validation, test = (Samples(*pair) for pair in zip(*parts, strict=True))
    return train, validation, test


def recipe_of(model: Model, rate: float, seed: int) -> Recipe:
    """Make the settings of a model with the parameters of all others."""
    rule = Local(signal=Feedback("symmetric")) if model.local else Backprop()

    def of(hidden: tuple[int, ...]) -> Recipe:
        return Recipe.model_validate(
            {
                "hidden": hidden,
                "recurrent": model.recurrent,
                "neurons": _NEURONS[model.neurons],
                "encoding": {"kind": "spikes", "steps": STEPS},
                "readout": {"kind": "traces", "trace_decay": 0.0, "every_step": True},
                "rule": rule,
                "training": {
                    "epochs": EPOCHS,
                    "batch_size": BATCH,
                    "learning_rate": rate,
                    "seed": seed,
                },
            }
        )

    def count(hidden: tuple[int, ...]) -> int:
        return count_trained(build_network(of(hidden), 1, 1))

    # Recurrent layers grow with the square of their width, so that not every number is near one.
    return of(sizing.fit(count, PARAMETERS, tolerance=0.02).hidden)
