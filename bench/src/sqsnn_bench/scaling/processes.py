"""How fast processes train together: samples per second of one and of several, by turns.

The steps go through the trainer; start-up is left out. Beside the processes that share a batch
stand as many that share nothing, each with its part of the batch: they use the same memory and
caches, and exchange nothing, so that they show what sharing itself costs.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from sqsnn.data.dataset import Samples
from sqsnn.processes import ALONE, Processes
from sqsnn.settings.run import RunSettings
from sqsnn.training import trainer
from sqsnn.training.build import Purpose, seeded
from sqsnn.training.machine import threads as using_threads
from sqsnn.training.progress import Progress
from sqsnn.uniforms import draw_uniforms
from sqsnn_bench.scaling import steps, team
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.timing import ratios, summary

NETWORKS = ((1000, 512, 9), (256, 64, 61))  # hidden neurons, batch, timed steps
FEATURES, STEPS, TARGET = 784, 10, 0.85
Watch = Callable[[str], None]


class Team(NamedTuple):
    """Processes that train at a time."""

    count: int
    threads: int = 1
    share: bool = True


TEAMS = {
    "1 process": Team(1),
    "2 processes": Team(2),
    "2 processes that share nothing": Team(2, share=False),
    "1 process of 2 threads": Team(1, threads=2),
}


def measure_all(kept: Kept, turns: int, watch: Watch) -> None:
    """Time every team in each turn, and compare it with one process of the same turn."""
    found: dict[str, list[list[dict[str, float]]]] = {name: [] for name in TEAMS}
    for turn, (name, group) in itertools.product(range(turns), TEAMS.items()):
        options = {"threads": group.threads, "share": group.share, "networks": NETWORKS}
        found[name].append(team.measured(group.count, "processes", options))
        times = ", ".join(f"{1e3 * row['step']:.1f}" for row in found[name][-1])
        watch(f"turn {turn + 1}: {name}: {times} ms per step")
    networks = []
    for number, (hidden, batch, _) in enumerate(NETWORKS):
        rows = {name: [turn[number] for turn in of] for name, of in found.items()}
        networks.append(described(hidden, batch, rows))
    kept.write({"target": TARGET, "steps": STEPS, "turns": turns, "networks": networks})


def described(hidden: int, batch: int, found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Compare the teams that trained a network, turn by turn."""
    rows = {}
    base = {figure: [row[figure] for row in found["1 process"]] for figure in ("step", "sample")}
    for name, turns in found.items():
        workers = TEAMS[name].count * TEAMS[name].threads
        row: dict[str, Any] = {}
        for figure, seconds in (("training", "step"), ("evaluation", "sample")):
            values = [turn[seconds] for turn in turns]
            # One process' seconds over those of so many cores together.
            efficiency = ratios(base[seconds], [workers * value for value in values])
            row[figure] = {"seconds": summary(values), "efficiency": efficiency}
        row["samples_per_second"] = batch / row["training"]["seconds"]["median"]
        for figure in ("processor", "exchange", "drawing", "update"):
            row[f"{figure}_seconds"] = statistics.median(turn[figure] for turn in turns)
        rows[name] = row
    parameters = int(found["1 process"][0]["parameters"])
    sizes = [FEATURES, hidden, steps.CLASSES]
    return {"sizes": sizes, "batch": batch, "parameters": parameters, "teams": rows}


def measure(
    processes: Processes, threads: int, share: bool, networks: list[list[int]]
) -> list[dict[str, float]]:
    """Time the training of each network as one of the processes.

    Returns:
        Medians per network: wall seconds per `step`, `processor` seconds of all processes per step,
        seconds of an `exchange`, of `drawing` the random numbers of a batch and of an `update` of
        the weights, each alone; seconds per `sample` of an evaluation.
    """
    with using_threads(threads):
        return [_measure(processes, share, *network) for network in networks]


def _measure(
    processes: Processes, share: bool, hidden: int, batch: int, timed: int
) -> dict[str, float]:
    count = processes.count
    own = batch if share else batch // count
    sharing = processes if share else ALONE
    samples = steps.random_samples((steps.WARM_UP + timed) * own, FEATURES)
    recipe = steps.settings(own, STEPS, [hidden])
    processes.wait_for_first()
    clock, progress = steps.timed(recipe, samples, sharing)
    wall, processor = (statistics.median(values) for values in clock.seconds())
    parameters = sum(p.numel() for p in progress.network.parameters())
    exchange = _exchange(sharing, parameters)
    found = torch.tensor([processor, _evaluation(progress, recipe, samples, processes)])
    processes.sum_(found)
    per_sample = float(found[1]) / count / len(samples.targets)
    return {
        "step": wall,
        "processor": float(found[0]),
        "exchange": exchange,
        "drawing": _median(lambda: _draw(progress, batch)),
        "update": _median(progress.optimizer.step),
        "sample": per_sample if share else per_sample / count,
        "parameters": parameters,
    }


def _evaluation(
    progress: Progress, recipe: RunSettings, samples: Samples, processes: Processes
) -> float:
    """Evaluate all samples; give the seconds."""
    processes.wait_for_first()
    began = time.perf_counter()
    generator = seeded(0, Purpose.TEST, processes=progress.processes)
    trainer.assess(progress.network, recipe, samples, generator)
    return time.perf_counter() - began


def _exchange(processes: Processes, numbers: int) -> float:
    """Give the median seconds of summing so many numbers over the processes."""
    flat = torch.zeros(numbers)
    return _median(lambda: processes.sum_(flat), processes)


def _draw(progress: Progress, batch: int) -> None:
    generator = torch.Generator().manual_seed(0)
    draw_uniforms(STEPS, batch, FEATURES, generator, torch.float32, "cpu")
    progress.network.draw_uniforms(STEPS, batch, generator)


def _median(work: Callable[[], object], processes: Processes = ALONE) -> float:
    """Give the median seconds of some work that all processes begin together."""
    seconds = []
    for _ in range(11):
        processes.wait_for_first()
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
