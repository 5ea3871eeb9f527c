"""Attempt A: layers that are not trained, and a linear readout of their spike counts."""

import statistics
import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from sqsnn.network import SpikingNetwork
from sqsnn.training.build import Purpose, seeded
from sqsnn_bench.rhythms import task
from sqsnn_bench.rhythms.models import Model, Start, build

FITTED, JUDGED = 2000, 1000  # samples
STRENGTHS = (0.01, 0.1, 1.0)  # of the readout's penalty, inverse
RUNS = (1, 4, 16)  # over which the counts of a sample are averaged


def search(model: Model, neurons: int, seed: int) -> dict[str, Any]:
    """Find the start whose layer is read best on validation samples."""
    found = [accuracy(model, neurons, start, seed, Purpose.VALIDATION) for start in model.starts]
    best = max(range(len(found)), key=found.__getitem__)
    return {"start": dict(model.starts[best]), "validation": found[best]}


def compare(model: Model, neurons: int, search_seed: int, seeds: int) -> dict[str, Any]:
    """Search a start, and test it with other seeds."""
    chosen = search(model, neurons, search_seed)
    tested = [
        accuracy(model, neurons, chosen["start"], seed, Purpose.TEST) for seed in range(seeds)
    ]
    mean, deviation = statistics.fmean(tested), statistics.stdev(tested)
    return {**chosen, "seeds": tested, "mean": mean, "deviation": deviation}


def averaged(model: Model, neurons: int, start: Start, seed: int) -> dict[str, float]:
    """Tell how well a layer is read whose counts are averaged over several runs of a sample.

    What averaging wins was lost to the randomness of the spikes, not to that of the input.
    """
    return {
        str(runs): accuracy(model, neurons, start, seed, Purpose.VALIDATION, runs) for runs in RUNS
    }


def accuracy(
    model: Model, neurons: int, start: Start, seed: int, part: Purpose, runs: int = 1
) -> float:
    """Fit readouts of several strengths to a fixed layer, and judge the best.

    Args:
        model: The model.
        neurons: Neurons of the layer.
        start: Its start.
        seed: Draws layer, samples and spikes.
        part: Which samples judge; those of training are fitted, of which the last quarter chooses
            the strength.
        runs: Runs over which counts are averaged.
    """
    network = build(model, neurons, start, seed)
    (fitted, known), (judged, asked) = (
        _counts(network, samples, seed, which, runs)
        for samples, which in ((FITTED, Purpose.TRAINING), (JUDGED, part))
    )
    scale = fitted.std(axis=0)
    fitted, judged = (counts / np.where(scale > 0, scale, 1.0) for counts in (fitted, judged))
    cut = 3 * FITTED // 4
    strength = max(
        STRENGTHS,
        key=lambda one: _readout(one, fitted[:cut], known[:cut]).score(fitted[cut:], known[cut:]),
    )
    return float(_readout(strength, fitted, known).score(judged, asked))


def _readout(strength: float, counts: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    with warnings.catch_warnings():  # a readout that is nearly converged reads as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength).fit(counts, labels)


def _counts(
    network: SpikingNetwork, samples: int, seed: int, part: Purpose, runs: int
) -> tuple[Float64[np.ndarray, "B H"], np.ndarray]:
    """Count the spikes of the hidden layer in fresh samples, averaged over runs."""
    spikes, labels = task.fresh(samples, seed, part)
    generator = seeded(seed, part)
    with torch.no_grad():
        found: list[Tensor] = [
            network(spikes, generator=generator)["hidden"].spikes.sum(dim=(0, 3))
            for _ in range(runs)
        ]
    return torch.stack(found).double().mean(0).numpy(), labels.numpy()
