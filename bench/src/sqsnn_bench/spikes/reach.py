"""Whether models that are fitted to trains reach the exact limits of their memory."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float64

from sqsnn.spike_trains.model import SpikeTrainModel
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.spikes import hmm, limits, stiefel
from sqsnn_bench.spikes.hmm import Trains
from sqsnn_bench.spikes.options import WARM_UP
from sqsnn_bench.spikes.processes import RENEWALS, Law, Renewal, sample

PROCESSES = (RENEWALS[0], RENEWALS[2])  # gamma: mean 8 and CV 0.3, mean 16 and CV 0.2
TRAINS, STEPS, STARTS = 100, 1000, 20


class Model(Protocol):
    """A model that was fitted to spike trains."""

    def log_likelihood(self, trains: Trains) -> Float64[np.ndarray, " trains"]:
        """Compute ln P of each train in nats."""
        ...

    def interval_law(self, longest: int) -> Law:
        """Compute the law of the interval that follows a spike."""
        ...


class Fit(NamedTuple):
    """A way to fit models, and the memories that are fitted.

    A memory goes by its column of the limits, which a comma and further words may follow.
    """

    fit: Callable[[Trains, Any, int], Model]  # trains, size, seed
    sizes: Mapping[str, Any]
    processes: Sequence[Renewal] = PROCESSES


class Neuron(NamedTuple):
    """A quantum neuron that was fitted to spike trains."""

    model: SpikeTrainModel

    def log_likelihood(self, trains: Trains) -> Float64[np.ndarray, " trains"]:
        """Compute ln P of each train in nats."""
        return self.model.log_likelihood(trains)

    def interval_law(self, longest: int) -> Law:
        """Compute the law of the interval that follows a spike."""
        return self.model.intervals(longest)


def _neuron(trains: Trains, size: tuple[str, int], seed: int) -> Neuron:
    circuit, qubits = size
    model = SpikeTrainModel(qubits, circuit=circuit, warm_up=WARM_UP, random_state=seed)
    # Whole trains from here on: judges score every bin.
    return Neuron(model.fit(trains).set_params(warm_up=0))


FITS = {
    "hmm": Fit(
        lambda trains, size, seed: hmm.fit(trains, size, STARTS, np.random.default_rng(seed)),
        {f"{d} states": d for d in (2, 3, 4, 8)},
    ),
    "stiefel": Fit(
        lambda trains, size, seed: stiefel.fit(
            trains, size, STARTS, torch.Generator().manual_seed(seed)
        ),
        {"1 qubit": 2, "2 qubits": 4},
    ),
    "circuits": Fit(
        _neuron,
        {
            "1 qubit, integrate_and_fire": ("integrate_and_fire", 1),
            "1 qubit, clock": ("clock", 1),
            "1 qubit, universal": ("universal", 1),
            "2 qubits, clock": ("clock", 2),
        },
        [process for process in RENEWALS if process.name != "gamma, mean 16, CV 0.5"],
    ),
}


def measure_all(kept: Kept, fits: Fit, seed: int, watch: Callable[[str], None]) -> None:
    """Fit the models that are not there yet to 100 trains of 1,000 bins, and judge them.

    Judges are the exact distance of the interval law after a spike in equilibrium, and what the
    likelihood of 100 other trains lacks to that of the true process, after a warm-up: a model that
    keeps something across a spike is worth what the second says.

    Args:
        kept: The section of the file of figures.
        fits: What is fitted.
        seed: Of the trains and of the starts.
        watch: Called after each fit.
    """
    for process in fits.processes:
        generator = np.random.default_rng(seed)
        fitted, judged = (list(sample(process, TRAINS, STEPS, generator)) for _ in range(2))
        for name, size in fits.sizes.items():
            fit = partial(fits.fit, fitted, size, seed)
            figures = kept.once(process.name, name, partial(_judge, process, judged, fit))
            watch(f"{process.name}, {name}: {figures['distance']:.2f} millinats per step")


def _judge(process: Renewal, judged: Trains, fit: Callable[[], Model]) -> dict[str, float]:
    began = time.process_time()
    model = fit()
    seconds = time.process_time() - began
    truth = hmm.renewal(np.trim_zeros(process.law, "b"))
    lacking = 1000 * (_scored(truth, judged) - _scored(model, judged)) / (STEPS - WARM_UP)
    return {
        "distance": round(limits.distance(process, model.interval_law(len(process.law))), 3),
        "held_out": round(lacking.mean(), 3),
        "held_out_error": round(lacking.std(ddof=1) / TRAINS**0.5, 3),
        "cpu_seconds": round(seconds, 1),
    }


def _scored(model: Model, trains: Trains) -> Float64[np.ndarray, " trains"]:
    """Compute ln P of each train given its warm-up."""
    heads = [train[:WARM_UP] for train in trains]
    return model.log_likelihood(trains) - model.log_likelihood(heads)


def table(found: dict[str, Any], exact: dict[str, Any]) -> str:
    """Write the figures beside the limits, in millinats per step, as a Markdown table.

    Args:
        found: The section of the fits.
        exact: The section of the limits.
    """
    lines = [
        "| intervals | memory | limit | interval law of the fit | held-out trains | CPU s |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for process in RENEWALS:
        for name, row in found.get(process.name, {}).items():
            column = name.partition(",")[0]
            limit = f"{exact[process.name][column]['millinats']:.2f}"
            held_out = f"{row['held_out']:.2f} ± {row['held_out_error']:.2f}"
            figures = (limit, f"{row['distance']:.2f}", held_out, f"{row['cpu_seconds']:.0f}")
            lines.append(f"| {' | '.join((process.name, name, *figures))} |")
    return "\n".join(lines) + "\n"
