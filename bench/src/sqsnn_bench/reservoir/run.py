"""The comparison of reservoirs: a search on validation steps, then a test per seed."""

import shlex
import statistics
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from sqsnn.storage import write_json
from sqsnn.training.machine import threads
from sqsnn_bench.reservoir.models import MODELS, Layer, Model, Trial, trials
from sqsnn_bench.reservoir.options import ReservoirOptions
from sqsnn_bench.reservoir.tasks import DECAYS, STEPS, TASKS, Part, Task, judge, traces
from sqsnn_bench.timing import machine

SEARCH_SEED = 1000  # none of those that are reported

Watch = Callable[[str, int, int], None]  # a line, number, of how many


def compare(chosen: ReservoirOptions, out: Path, watch: Watch) -> dict[str, Any]:
    """Compare all reservoirs on all tasks, and write the figures as JSON.

    Input scale and spread are chosen by a grid of as many trials for each model, with a seed that
    is not reported; the strength of the ridge regression on the validation steps of each series.

    Args:
        chosen: What is equal.
        out: The file.
        watch: Called after each model.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    began, pairs = time.process_time(), [(task, name) for task in TASKS for name in MODELS]
    found: dict[str, dict[str, Any]] = {}
    with threads(1):
        for number, (task, name) in enumerate(pairs, start=1):
            figures = one(task, MODELS[name], chosen)
            found.setdefault(task.name, {})[name] = figures
            shown = ", ".join(f"{read} {row['mean']:.3f}" for read, row in figures.items())
            watch(f"{task.name}, {name}: {shown}", number, len(pairs))
    numbers = {"features": chosen.features, "runs": chosen.runs, "seeds": chosen.seeds}
    flags = [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
    content = {
        "command": shlex.join(["sqsnn-bench", "reservoir", *flags]),
        "cpu_seconds": round(time.process_time() - began),
        **machine(),
        **numbers,
        "tasks": found,
    }
    write_json(out, content)
    return content


def one(task: Task, model: Model, chosen: ReservoirOptions) -> dict[str, Any]:
    """Search and test one model on one task, for readouts of spikes and of their traces."""
    layer = Layer(chosen.features, chosen.runs)
    reads = DECAYS if task.error else {"spikes": 0.0}
    series = cache(partial(task.generate, STEPS))

    @cache  # both readouts may have found the same trial
    def figures(trial: Trial, seed: int) -> dict[str, dict[Part, float]]:
        inputs, targets = series(seed)
        states = model(inputs, layer, trial, seed)
        return {read: judge(task, traces(states, decay), targets) for read, decay in reads.items()}

    found = {}
    for read in reads:
        searched = {
            trial: figures(trial, SEARCH_SEED)[read]["validation"] for trial in trials(model)
        }
        trial = task.best(searched)
        tested = [figures(trial, seed)[read]["test"] for seed in range(chosen.seeds)]
        found[read] = trial._asdict() | {
            "validation": searched[trial],
            "seeds": tested,
            "mean": statistics.fmean(tested),
            "deviation": statistics.stdev(tested),
        }
    return found
