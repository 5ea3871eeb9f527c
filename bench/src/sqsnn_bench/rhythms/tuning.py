"""How untrained neurons answer to rhythms: the mean number of spikes against the period."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn_bench.rhythms import task
from sqsnn_bench.rhythms.resonance import resonator, tune

READS = (0.25, 0.5, 0.8, 1.2, math.pi / 2, math.pi)  # radians
KICK = 0.05  # radians per input spike
BETA, SCALE = 0.9, 0.1  # of leaky neurons: decay, and weight of every line

Curve = Float64[np.ndarray, "neurons classes"]


def measure(samples: int, seed: int) -> dict[str, Any]:
    """Measure tuning curves: a resonator per period and read angle, beside leaky neurons.

    All lines have the same weight.

    Args:
        samples: Samples of all classes together.
        seed: Draws samples and spikes.
    """
    spikes, labels = task.draw(samples, np.random.default_rng(seed))
    kicks, generator = spikes.sum(dim=2, keepdim=True), torch.Generator().manual_seed(seed)
    found: dict[str, Any] = {}
    for read in READS:
        curve = tuning(_resonators(read), kicks, labels, generator)
        own = float(np.diag(curve).mean())
        others = float((curve.sum() - np.trace(curve)) / (curve.size - len(curve)))
        found[f"resonators, read {read:.2f}"] = {
            **_summary(curve),
            "coherence_kept_per_step": math.cos(read / 2),
            "chance_to_fire_when_flipped": math.sin(read / 2) ** 2,
            "contrast": own / others,
        }
    leaky: Mapping[str, Population] = {
        "LIF": LIF(1, beta=BETA, generator=generator),
        "leaky drive, M=0": SQSNeurons(
            1, memory_qubits=0, drive=Leaky(beta=BETA), generator=generator
        ),
    }
    for name, neurons in leaky.items():
        found[name] = _summary(tuning(neurons, SCALE * kicks, labels, generator))
    return found


def tuning(
    neurons: Population, currents: Tensor, labels: Tensor, generator: torch.Generator
) -> Curve:
    """Average over samples the spikes of each neuron, for each class.

    Args:
        neurons: Neurons H.
        currents: The current of all neurons, `(T, B, 1, 1)`.
        labels: Classes, `(B,)`.
        generator: Draws the spikes.
    """
    with torch.no_grad():
        record, _ = neurons(currents.expand(-1, -1, neurons.size, -1), generator=generator)
    counts = record.spikes.sum(dim=(0, 3)).double().numpy()  # (B, H)
    classes = labels.numpy()
    return np.stack([counts[classes == c].mean(0) for c in range(len(task.PERIODS))], axis=1)


def bits_per_spike(curve: Curve) -> Float64[np.ndarray, " neurons"]:
    """Compute what a spike tells of the class; 0 for a flat curve, and for a silent neuron.

    The mean over equally likely classes of (r / mean r) log2(r / mean r): Skaggs, McNaughton,
    Gothard, Markus, NIPS 5 (1993).

    Example:
        >>> bits_per_spike(np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
        [0.0, 1.0]
    """
    mean = curve.mean(axis=1, keepdims=True)
    relative = curve / np.where(mean > 0, mean, 1.0)
    return (relative * np.log2(np.where(relative == 0, 1.0, relative))).mean(axis=1)


def _resonators(read: float) -> SQSNeurons:
    """Make one resonator per period, tuned to it."""
    neurons = SQSNeurons(
        len(task.PERIODS),
        circuit=resonator(read, KICK),
        drive=Rectified(),
        generator=torch.Generator().manual_seed(0),  # nothing in it is random
    )
    tune(neurons, 2 * math.pi / torch.tensor(task.PERIODS))
    return neurons


def _summary(curve: Curve) -> dict[str, Any]:
    """The curve, and what a neuron's spikes tell, on average over neurons."""
    told, fired = bits_per_spike(curve), curve.mean(axis=1)
    return {
        "spikes": curve.tolist(),
        "spikes_per_sample": float(fired.mean()),
        "bits_per_spike": float((told * fired).sum() / fired.sum()),
        "bits_per_sample": float((told * fired).mean()),
    }
