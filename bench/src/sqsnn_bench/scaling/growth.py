"""How a training step grows with batch, hidden neurons, time steps and the qubits of a neuron.

Each point is a fresh process on one thread, through the trainer: median processor time of a step,
and the peak of the process beyond what it held before the training. Beside each variable stands a
law that is calculated from the points: a constant plus a slope times the variable, fitted so that
relative errors are least.
"""

import resource
import statistics
from collections.abc import Callable, Sequence

import numpy as np

from sqsnn.processes import Processes
from sqsnn.training.machine import threads
from sqsnn_bench.scaling import steps, team
from sqsnn_bench.shapes.kept import Kept

FEATURES, TIMED = 784, 6
BASE = {"batch": 128, "hidden": 256, "time_steps": 10, "channels": 1, "memory": 1}
VARIED: dict[str, tuple[int, ...]] = {
    "batch": (32, 128, 512, 2048),
    "hidden": (64, 256, 1024, 4096),
    "time_steps": (5, 10, 20, 40, 80),
}
REGISTERS = ((1, 0), (1, 1), (1, 2), (1, 4), (2, 2), (2, 4))  # channels, memory qubits
MEASURES = ("milliseconds", "megabytes")
Watch = Callable[[str], None]


def measure_all(kept: Kept, watch: Watch) -> None:
    """Vary one thing at a time; calculate the laws."""
    points = {name: [BASE | {name: value} for value in values] for name, values in VARIED.items()}
    points["register"] = [BASE | {"channels": n, "memory": m} for n, m in REGISTERS]
    laws = {}
    for variable, shapes in points.items():
        sizes, rows = [], []
        for shape in shapes:
            name = ", ".join(f"{key} {value}" for key, value in shape.items())
            make = lambda shape=shape: team.measured(1, "growth", shape)  # noqa: E731
            rows.append(kept.once("points", name, make))
            sizes.append(size_of(variable, shape))
            watch(f"{name}: {rows[-1]['milliseconds']:.1f} ms, {rows[-1]['megabytes']:.0f} MB")
        laws[variable] = {
            measure: law(sizes, [row[measure] for row in rows]) for measure in MEASURES
        }
    kept.finish({"base": BASE, "variables": points, "calculated_laws": laws})


def size_of(variable: str, shape: dict[str, int]) -> int:
    """Give what a law runs over: of a register its 2^(N + M) amplitudes."""
    if variable == "register":
        return 2 ** (shape["channels"] + shape["memory"])
    return shape[variable]


def law(sizes: Sequence[int], values: Sequence[float]) -> dict[str, float]:
    """Fit constant + slope x size with least relative errors; say how far it misses at most."""
    x, y = np.array(sizes, float), np.array(values)
    terms = np.stack([np.ones_like(x), x], axis=1)
    (constant, slope), *_ = np.linalg.lstsq(terms / y[:, None], np.ones_like(y), rcond=None)
    miss = np.abs((constant + slope * x) / y - 1).max()
    return {"constant": float(constant), "slope": float(slope), "largest_miss": float(miss)}


def measure(
    processes: Processes, batch: int, hidden: int, time_steps: int, channels: int, memory: int
) -> dict[str, float]:
    """Train some steps in this process; give milliseconds per step and megabytes."""
    recipe = steps.settings(batch, time_steps, [hidden], channels=channels, memory_qubits=memory)
    samples = steps.random_samples((steps.WARM_UP + TIMED) * batch, FEATURES)
    before = _peak()
    with threads(1):
        clock, _ = steps.timed(recipe, samples, processes)
    seconds = statistics.median(clock.seconds()[1])
    return {"milliseconds": 1e3 * seconds, "megabytes": _peak() - before}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # KiB to MB
