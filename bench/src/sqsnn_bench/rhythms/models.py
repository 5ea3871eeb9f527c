"""The networks of the comparison: hidden layers that differ, and outputs that do not.

Every output is a LIF neuron, so that what differs is the hidden layer alone. Every model has as
many starts, from which a search chooses.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sqsnn.learning.backprop import Backprop
from sqsnn.learning.local import Local
from sqsnn.learning.rule import Rule
from sqsnn.learning.signals import Feedback
from sqsnn.network import PopulationFactory, SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.synapses import DenseSynapses
from sqsnn.training.build import Purpose, seeded
from sqsnn_bench.rhythms import resonance, task
from sqsnn_bench.rhythms.resonate_and_fire import ResonateAndFire

OUTPUT_BETA = 0.9
SLOWEST, FASTEST = 0.97, 0.3  # first decays of leaky neurons, spread over the layer
DEVIATION = 0.3  # of weights that start around a common mean, as a share of it
DRIVEN = 8  # spikes in one step that turn a leaky drive by all it can

Start = Mapping[str, float]


class Model(NamedTuple):
    """A hidden layer, and how it starts and learns.

    Attributes:
        neurons: Makes the factory of the hidden neurons of a start.
        prepare: Sets the first weights, `(H, P)`, and what is spread over the layer.
        starts: What the search for a fixed layer chooses from; that for a trained one, from the
            first `TRAINED_STARTS`.
        rule: How the network learns.
    """

    neurons: Callable[..., PopulationFactory]
    prepare: Callable[[Any, Tensor, Start, torch.Generator], None]
    starts: tuple[Start, ...]
    rule: Rule = Backprop(loss_on="count")


def build(model: Model, hidden: int, start: Start, seed: int) -> SpikingNetwork:
    """Build a network of one hidden layer, ready to learn.

    Args:
        model: The model.
        hidden: Hidden neurons.
        start: One of the model's starts.
        seed: Draws the first weights.
    """
    generator = seeded(seed, Purpose.WEIGHTS)
    network = SpikingNetwork(
        [task.LINES, hidden, len(task.PERIODS)],
        neurons=[model.neurons(start), partial(LIF, beta=OUTPUT_BETA)],
        generator=generator,
    )
    synapses = network.pathways[0].synapses
    assert isinstance(synapses, DenseSynapses)
    with torch.no_grad():
        model.prepare(network.population("hidden"), synapses.weight[0], start, generator)
    return network


def _resonators(start: Start) -> PopulationFactory:
    circuit = resonance.resonator(start["read"], start["kick"])
    return partial(SQSNeurons, circuit=circuit, drive=Rectified())


def _driven_resonators(start: Start) -> PopulationFactory:
    circuit = resonance.resonator(start["read"], start["kick"] * DRIVEN)
    return partial(SQSNeurons, circuit=circuit, drive=Leaky(beta=0.3, reset=0.0))


def _common(weights: Tensor, mean: float, generator: torch.Generator) -> None:
    """Let the kicks of all lines add up."""
    drawn = torch.randn(weights.shape, generator=generator)
    weights.copy_(mean * (1 + DEVIATION * drawn))


def _tuned(
    neurons: Any, weights: Tensor, start: Start, generator: torch.Generator, mean: float = 1.0
) -> None:
    """Spread precessions over the layer."""
    resonance.tune(neurons, resonance.spread(neurons.size))
    _common(weights, mean, generator)


def _untuned(neurons: Any, weights: Tensor, start: Start, generator: torch.Generator) -> None:
    """Start as circuits of the package do, with hardly any precession."""
    resonance.tune(neurons, 0.1 * torch.randn(neurons.size, generator=generator))
    _weigh(weights, start, generator)


def _leaky(neurons: Any, weights: Tensor, start: Start, generator: torch.Generator) -> None:
    """Spread decays over the layer."""
    neurons.beta.copy_(torch.linspace(FASTEST, SLOWEST, neurons.size)[:, None])
    _weigh(weights, start, generator)


def _weigh(weights: Tensor, start: Start, generator: torch.Generator) -> None:
    """Scale the package's weights, which have both signs, or give all lines a common mean."""
    if "mean" in start:
        _common(weights, start["mean"], generator)
    else:
        weights.mul_(start["scale"])


def _classical(neurons: Any, weights: Tensor, start: Start, generator: torch.Generator) -> None:
    """Spread precessions over the layer, as for the quantum resonators."""
    neurons.precession.copy_(resonance.spread(neurons.size)[:, None])
    _common(weights, start["mean"], generator)


# Best first, by fixed layers on samples that are not reported.
_ANGLES = ((0.5, 0.12), (0.5, 0.08), (0.65, 0.12), (0.65, 0.08), (0.35, 0.08), (0.8, 0.12))
_RESONANT = tuple({"read": read, "kick": kick} for read, kick in _ANGLES)
_WEIGHTS: tuple[Start, ...] = (
    {"scale": 1.0},
    {"mean": 0.25},
    {"scale": 0.5},
    {"scale": 2.5},
    {"scale": 5.0},
    {"mean": 0.1},
)
_POLES = tuple({"decay": decay, "mean": mean} for decay in (0.95, 0.9, 0.98) for mean in (0.1, 0.2))

RESONATORS = "SQS resonators"
MODELS: Mapping[str, Model] = {
    RESONATORS: Model(_resonators, _tuned, _RESONANT),
    "SQS resonators behind a leaky drive": Model(
        _driven_resonators, partial(_tuned, mean=1 / DRIVEN), _RESONANT
    ),
    "SQS resonators, local rule, random feedback": Model(
        _resonators, _tuned, _RESONANT, Local(signal=Feedback("random"), loss_on="count")
    ),
    "The same circuit, strongly coupled and not tuned": Model(
        lambda start: _resonators({"read": math.pi / 2, "kick": math.pi}), _untuned, _WEIGHTS
    ),
    "SQS leaky drive, M=0": Model(
        lambda start: partial(SQSNeurons, memory_qubits=0, drive=Leaky()), _leaky, _WEIGHTS
    ),
    "LIF": Model(lambda start: LIF, _leaky, _WEIGHTS),
    "StochasticLIF": Model(lambda start: StochasticLIF, _leaky, _WEIGHTS),
    "Resonate-and-fire (classical)": Model(
        lambda start: partial(ResonateAndFire, decay=start["decay"]), _classical, _POLES
    ),
}
FIXED = (RESONATORS, *list(MODELS)[3:])  # compared untrained, too: one of each kind of layer
TRAINED_STARTS = 2
