"""Networks whose parameters look learned, for the tests of this room."""

import math

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from sqsnn import LIF
from sqsnn.network import Connection, SpikingNetwork
from sqsnn.neurons.population import Population
from sqsnn.synapses import Convolution, Dense, Identity, Pool

RANGES = {"beta": (0.2, 1.0), "threshold": (0.3, 1.5), "bias": (-0.1, 0.3)}


def lif(shape, share="none", *, generator, dtype=torch.float32, device=None) -> LIF:
    """Neurons with beta, threshold and bias of their own, or of their group."""
    neurons = LIF(shape, share=share, generator=generator, dtype=dtype, device=device)
    with torch.no_grad():
        for name, (low, high) in RANGES.items():
            own = getattr(neurons, name)
            if parametrize.is_parametrized(neurons, name):
                own = neurons.get_parameter(f"parametrizations.{name}.original")
            own.copy_(low + (high - low) * torch.rand(own.shape, generator=generator))
    return neurons


def louder(network: SpikingNetwork, generator: torch.Generator) -> SpikingNetwork:
    """Larger weights and biases that are not 0, so that all populations fire now and then."""
    with torch.no_grad():
        for name, parameter in network.pathways.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
            else:
                parameter.mul_(2)
    return network


def dense(generator: torch.Generator, neurons=lif, **options) -> SpikingNetwork:
    """Two layers, of which one has a bias in its synapses, too."""
    network = SpikingNetwork(
        inputs=12,
        populations={"hidden": 20, "output": 5},
        connections=[
            Connection("input", "hidden"),
            Connection("hidden", "output", Dense(bias=True)),
        ],
        neurons=neurons,
        generator=generator,
        **options,
    )
    return louder(network, generator)


def recurrent(generator: torch.Generator, neurons=lif, **options) -> SpikingNetwork:
    """A population that hears itself, with a skip from the input to the output."""
    ends = [("input", "hidden", 0), ("hidden", "hidden", 1), ("hidden", "output", 0)]
    network = SpikingNetwork(
        inputs=12,
        populations={"hidden": 20, "output": 5},
        connections=[
            *(Connection(source, target, delay=delay) for source, target, delay in ends),
            Connection("input", "output"),
        ],
        neurons=neurons,
        generator=generator,
        **options,
    )
    return louder(network, generator)


def convolutional(generator: torch.Generator) -> SpikingNetwork:
    """Convolutions, a pooling, neurons that hear themselves, and a dense output."""
    network = SpikingNetwork(
        inputs=(2, 10, 12),
        populations={
            "first": lif((4, 8, 10), "map", generator=generator),
            "second": lif((5, 3, 4), "population", generator=generator),
            "output": lif(6, generator=generator),
        },
        connections=[
            Connection("input", "first", Convolution(4, 3, bias=True)),
            Connection("first", "first", Identity(), delay=1),
            Connection("first", "second", (Pool(2), Convolution(5, 2))),
            Connection("second", "output"),
        ],
        generator=generator,
    )
    with torch.no_grad():
        network.population("second").get_parameter("parametrizations.threshold.original").fill_(0.3)
    return louder(network, generator)


def of_one_dimension(generator: torch.Generator) -> SpikingNetwork:
    """A convolution over a row."""
    network = SpikingNetwork(
        inputs=(2, 20),
        populations={
            "maps": lif((4, 10), "map", generator=generator),
            "output": lif(6, generator=generator),
        },
        connections=[
            Connection("input", "maps", Convolution(4, 3, stride=2, padding=1)),
            Connection("maps", "output"),
        ],
        generator=generator,
    )
    return louder(network, generator)


def late(generator: torch.Generator, neurons=lif) -> SpikingNetwork:
    """Delays, also around a cycle, and a trace."""
    network = SpikingNetwork(
        inputs=12,
        populations={"early": 20, "output": 5},
        connections=[
            Connection("input", "early", delay=2),
            Connection("early", "early", delay=3),
            Connection("early", "output", delay=1, trace=0.7),
        ],
        neurons=neurons,
        generator=generator,
    )
    return louder(network, generator)


def spikes_for(
    network: SpikingNetwork, steps: int, batch: int, generator: torch.Generator
) -> Tensor:
    """Input spikes, `(T, B, P, 1)`."""
    shape = (steps, batch, math.prod(network.inputs), 1)
    like = network.population(network.names[-1]).parameter_like
    return (torch.rand(shape, generator=generator) < 0.3).to(like.dtype)


def jittered(kind: type[Population], **options):
    """A factory of quantum neurons whose parameters have left their first values."""

    def make(shape, *, generator, dtype=torch.float32, device=None):
        neurons = kind(shape, generator=generator, dtype=dtype, device=device, **options)
        with torch.no_grad():
            for parameter in neurons.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        return neurons

    return make
