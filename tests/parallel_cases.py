"""Small trainings of every rule, to be run alone and shared by processes; a script for torchrun.

Batches have 7, 7, 7 and 1 rows: they split unevenly, and the last leaves some processes without.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sqsnn import Both, Feedback, Local, Measured, Online, Reinforce
from sqsnn.data.dataset import Samples
from sqsnn.learning.backprop import Backprop
from sqsnn.learning.estimators import Laplace
from sqsnn.processes import ALONE, Processes, joined
from sqsnn.readout import Traces
from sqsnn.settings.run import from_flat
from sqsnn.training import trainer

STEPS, BATCH, SAMPLES, FEATURES, CLASSES = 4, 7, 22, 6, 3
EPOCHS = 2  # of four batches

CASES: dict[str, dict[str, Any]] = {
    "backprop": {"epochs": 5},  # 20 steps
    "rate penalty": {"rule": Backprop(rate_penalty=3.0, rate_bounds=(0.45, 0.5))},
    "two layers, recurrent": {"hidden": (5, 4), "recurrent": True, "memory_qubits": 2},
    "stochastic lif": {"neurons": "stochastic_lif"},
    "random feedback": {"rule": Local()},
    "mirrored feedback": {"rule": Local(Feedback("mirrored"))},
    "reinforce": {"rule": Local(Reinforce())},
    "running baseline": {"rule": Local(Reinforce(samples=2, baseline="running"))},
    "both, online": {"rule": Local(Both(), Online())},
    "running baseline, online": {"rule": Local(Reinforce(baseline="running"), Online())},
    "every time step": {"rule": Local(score=Online(update_every_step=True)), "report_steps": 2},
    "measured": {"rule": Local(Both(), Measured(window=2))},
    "spsa": {"rule": Local(score=Measured(derivative="spsa", estimator=Laplace(shots=9)))},
    "noise": {"depolarising_2q": 0.02, "missed_spike": 0.1},
    "real values": {},
    "real values, local": {"rule": Local(Feedback("symmetric"))},
    "unequal lengths, weights": {"steps": 2 * STEPS},
}


def samples_of(name: str) -> Samples:
    """Random samples that fit a case; the last validates."""
    generator = torch.Generator().manual_seed(5)
    shape = (SAMPLES, STEPS, FEATURES) if "lengths" in name else (SAMPLES, FEATURES)
    values = torch.rand(shape, generator=generator)
    labels = torch.randint(CLASSES, (SAMPLES,), generator=generator)
    targets = values.flatten(1)[:, :2].double() if "values" in name else labels
    if "lengths" not in name:
        return Samples(values, targets)
    lengths = torch.randint(1, STEPS + 1, (SAMPLES,), generator=generator)
    return Samples(values, targets, lengths, torch.rand(SAMPLES, generator=generator))


def train(
    name: str, processes: Processes = ALONE, dtype: str = "float64"
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Train a case; give its weights and the figures of all epochs."""
    options = {"hidden": (5,), "steps": STEPS, "batch_size": BATCH, "epochs": EPOCHS}
    recipe = from_flat("digits", {**options, "dtype": dtype, "seed": 3, **CASES[name]})
    if "values" in name:
        recipe = recipe.model_copy(update={"readout": Traces()})
    samples = samples_of(name)
    outputs = 2 if "values" in name else CLASSES
    progress = trainer.start(recipe, FEATURES, outputs, SAMPLES, processes=processes)
    trainer.fit_readout(progress.network, recipe, samples)
    epochs = list(trainer.epochs(progress, recipe, samples, samples))
    weights = {key: value.contiguous() for key, value in progress.network.state_dict().items()}
    return weights, [epoch.metrics for epoch in epochs]


if __name__ == "__main__":
    for _ in range(2):  # a script may train twice; the first process leaves last, as it draws
        with joined() as processes:
            processes.sum_(torch.ones(1))
            time.sleep(0.3 * processes.is_first)
    with joined() as processes:
        for number, name in enumerate(CASES):
            weights, metrics = train(name, processes)
            if processes.is_first:
                save_file(weights, Path(sys.argv[1]) / f"{number}.safetensors")
                (Path(sys.argv[1]) / f"{number}.json").write_text(json.dumps(metrics))
