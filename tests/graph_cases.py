"""Small networks of every shape for tests, and their twins in tests/network_reference.py."""

import copy
import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import network_reference
import numpy as np
import reference
import reference_drive
import torch
from network_reference import Matrix
from tools import seeded, twin
from torch import Tensor, nn

from sqsnn.checks import Shape
from sqsnn.network import Connection, LearnedDelay, SpikingNetwork
from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.synapses import (
    ChainSynapses,
    Convolution,
    ConvolutionSynapses,
    Dense,
    DenseSynapses,
    Identity,
    IdentitySynapses,
    ModuleSynapses,
    Pool,
    PoolSynapses,
    Synapses,
)


class Case(NamedTuple):
    """A graph whose output is the last population."""

    inputs: Shape
    populations: Mapping[str, int | Shape]
    connections: Sequence[Connection]
    back: frozenset[tuple[str, str]] = frozenset()  # the connections that lead back
    channels: Mapping[str, int] = {}  # where a population has other channels than the rest


_DELAY = LearnedDelay(start=1.5, longest=3)
_LATE_DELAY = LearnedDelay(start=1.5, shortest=1, longest=3)

ACYCLIC: dict[str, Case] = {
    "skip": Case(
        (4,),
        {"hidden": 3, "output": 2},
        [
            Connection("input", "hidden"),
            Connection("hidden", "output", Dense(bias=True, wiring="all")),
            Connection("input", "output", Dense(sparsity=0.5)),
        ],
    ),
    "branches that join, not named in order": Case(
        (3,),
        {"right": 2, "left": 3, "output": 2},
        [
            Connection("input", "left", Dense(bias=True)),
            Connection("input", "right", delay=1),
            Connection("left", "right"),
            Connection("right", "output"),
            Connection("left", "output", delay=3),
        ],
    ),
    "two delays between the same ends": Case(
        (3,),
        {"hidden": 3, "output": 2},
        [
            Connection("input", "hidden"),
            Connection("input", "hidden", delay=2),
            Connection("hidden", "output", delay=1),
        ],
    ),
    "learned delays": Case(
        (3,),
        {"hidden": 3, "output": 2},
        [
            Connection("input", "hidden", delay=_DELAY),
            Connection("hidden", "output", delay=_DELAY),
            Connection("input", "output", delay=_LATE_DELAY, trace=0.5),
        ],
    ),
    "traces": Case(
        (3,),
        {"hidden": 3, "output": 2},
        [
            Connection("input", "hidden", trace=0.7),
            Connection("hidden", "output", trace=0.4),
            Connection("hidden", "output", Dense(bias=True), delay=2, trace=0.6),
        ],
    ),
    "deep": Case(
        (3,),
        {"first": 3, "second": 2, "third": 2, "output": 2},
        [
            Connection("input", "first"),
            Connection("first", "second", delay=1),
            Connection("second", "third", Identity()),
            Connection("third", "output", nn.Linear(2, 2, dtype=torch.float64)),
            Connection("first", "output", delay=_DELAY),
        ],
    ),
    "convolution": Case(
        (1, 5, 4),
        {"maps": (2, 2, 1), "output": 2},
        [
            Connection("input", "maps", (Convolution(2, 2, bias=True), Pool(2))),
            Connection("maps", "output", delay=1),
        ],
    ),
    "convolution in one dimension": Case(
        (2, 6),
        {"maps": (2, 3), "more": (1, 3), "output": 2},
        [
            Connection("input", "maps", Convolution(2, 3, stride=2, padding=1), delay=_DELAY),
            Connection("maps", "more", Convolution(1, 3, padding=1, bias=True), trace=0.5),
            Connection("more", "output"),
            Connection("input", "output", Dense(), trace=0.3),
        ],
    ),
}

CYCLIC: dict[str, Case] = {
    "recurrent": Case(
        (3,),
        {"hidden": 3, "output": 2},
        [
            Connection("input", "hidden"),
            Connection("hidden", "hidden", Dense(wiring="all", sparsity=0.4), delay=1),
            Connection("hidden", "output"),
        ],
        frozenset({("hidden", "hidden")}),
    ),
    "outputs that feed back": Case(
        (3,),
        {"hidden": 3, "output": 2},
        [
            Connection("input", "hidden"),
            Connection("hidden", "output"),
            Connection("output", "hidden", Dense(bias=True), delay=2, trace=0.5),
            Connection("input", "output"),
        ],
        frozenset({("output", "hidden")}),
    ),
    "loop of two": Case(
        (3,),
        {"a": 2, "b": 2, "output": 2},
        [
            Connection("input", "a"),
            Connection("a", "b"),
            Connection("b", "a", delay=_LATE_DELAY),
            Connection("b", "output", delay=1),
        ],
        frozenset({("b", "a")}),
    ),
    "a population after the outputs": Case(
        (3,),
        {"echo": 2, "hidden": 3, "output": 2},
        [
            Connection("input", "hidden"),
            Connection("hidden", "output"),
            Connection("output", "echo", Dense(bias=True)),
            Connection("echo", "hidden", delay=1),
        ],
        frozenset({("echo", "hidden")}),
    ),
    "all at once": Case(
        (1, 4, 3),
        {"maps": (1, 3, 2), "mixed": 2, "output": 2},
        [
            Connection("input", "maps", Convolution(1, 2, bias=True)),
            Connection("maps", "maps", Identity(), delay=1),
            Connection("maps", "mixed", delay=_DELAY),
            Connection("mixed", "mixed", delay=_LATE_DELAY, trace=0.5),
            Connection("input", "mixed", delay=2),
            Connection("mixed", "output", Dense(bias=True), trace=0.6),
            Connection("input", "output"),
        ],
        frozenset({("maps", "maps"), ("mixed", "mixed")}),
    ),
}

# Two channels feed one, and one feeds two.
MIXED = Case(
    (3,),
    {"two": 2, "one": 2, "output": 2},
    [
        Connection("input", "two"),
        Connection("two", "one", Dense(wiring="all", bias=True)),
        Connection("one", "output", delay=1),
        Connection("two", "output", Dense(wiring="all"), trace=0.5),
        Connection("one", "two", delay=1),
    ],
    frozenset({("one", "two")}),
    {"two": 2, "output": 2},
)

CASES = ACYCLIC | CYCLIC


def network_of(
    case: Case,
    *,
    channels: int = 1,
    seed: int = 0,
    drive: Any = None,
    share: str = "none",
    **options: Any,
) -> SpikingNetwork:
    """Build a graph in double precision, all its values far from any special ones.

    Populations on a grid share their circuits.
    """
    drive = Leaky(through_reset=False) if drive is None else drive
    chosen = {"memory_qubits": 1, "encoding_slope": "exact", **options}
    neurons = partial(SQSNeurons, drive=drive, **chosen)
    network = SpikingNetwork(
        inputs=case.inputs,
        populations=case.populations,
        connections=[_own(connection) for connection in case.connections],
        neurons=[
            partial(
                neurons,
                channels=case.channels.get(name, channels),
                **({} if isinstance(shape, int) else {"share": share}),
            )
            for name, shape in case.populations.items()
        ],
        generator=seeded(seed),
        dtype=torch.float64,
    )
    scatter(network, seed)
    return network


def _own(connection: Connection) -> Connection:
    """Give a network its own module of torch, which is no description, on the default device."""
    if not isinstance(connection.synapses, nn.Module):
        return connection
    module = copy.deepcopy(connection.synapses).to(torch.get_default_device())
    return dataclasses.replace(connection, synapses=module)


def scatter(network: SpikingNetwork, seed: int) -> None:
    """Move the values of a network away from special ones, delays away from whole steps."""
    generator = seeded(seed + 100)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            kind = name.removesuffix(".original").rsplit(".", 1)[-1]
            if kind == "angles":
                parameter.normal_(0, 1.2, generator=generator)
            elif kind == "gains":
                parameter.normal_(0, 1, generator=generator)
            elif kind == "beta":
                parameter.uniform_(0.4, 0.9, generator=generator)
            elif kind == "reset":
                parameter.uniform_(0.3, 1.2, generator=generator)
            elif kind == "bias":
                parameter.uniform_(-0.3, 0.5, generator=generator)
            elif kind == "weight":
                parameter.mul_(2)
        for pathway in network.pathways:
            if isinstance(pathway.delay, LearnedDelay):
                low, high = pathway.delay.shortest, pathway.delay.longest
                whole = torch.randint(low, high, pathway.steps.shape, generator=generator)
                pathway.steps.uniform_(0.15, 0.85, generator=generator).add_(whole)


def inputs_of(network: SpikingNetwork, steps: int, batch: int, channels: int = 1) -> Tensor:
    """Draw input spikes, `(T, B, P, channels)`."""
    shape = (steps, batch, math.prod(network.inputs), channels)
    return (torch.rand(shape, generator=seeded(7)) < 0.6).double()


def reference_graph(network: SpikingNetwork, input_channels: int = 1) -> network_reference.Graph:
    """Write a network, as its values are now, for the slow reference."""
    populations = {
        name: [hashable(*twin(population, h)) for h in range(population.size)]
        for name, population in network.populations.items()
    }
    connections = []
    for pathway in network.pathways:
        is_input = pathway.source == "input"
        channels = input_channels if is_input else network.populations[pathway.source].channels
        size = math.prod(pathway.synapses.source)
        delays = [pathway.delay] * size if pathway.steps is None else pathway.steps.tolist()
        matrix = matrix_of(pathway.synapses, channels)
        connections.append(
            network_reference.Connection(
                pathway.source, pathway.target, matrix, delays, pathway.trace
            )
        )
    return network_reference.Graph(populations, connections)


def hashable(
    neuron: reference.Neuron, drive: reference_drive.Drive
) -> tuple[reference.Neuron, reference_drive.Drive]:
    """Turn the lists of a drive into tuples, so that what a neuron did can be looked up."""
    reset = tuple(map(tuple, drive.reset))
    whole = None if drive.whole_reset is None else tuple(drive.whole_reset)
    values = {"beta": tuple(drive.beta), "bias": tuple(drive.bias)}
    return neuron, dataclasses.replace(drive, whole_reset=whole, reset=reset, **values)


def matrix_of(synapses: Synapses, source_channels: int) -> Matrix:
    """Write synapses of a source of so many channels as a matrix, from their weights alone."""
    channels = synapses.channels
    if isinstance(synapses, ChainSynapses):
        matrices = []
        for part in synapses.parts:
            matrices.append(matrix_of(part, source_channels))
            source_channels = matrices[-1].bias.shape[1]
        return reduce(network_reference.then, matrices)
    if isinstance(synapses, PoolSynapses):
        window = synapses.window
        return network_reference.pool(window, synapses.source, channels, source_channels)
    if isinstance(synapses, IdentitySynapses):
        return network_reference.identity(math.prod(synapses.source), channels, source_channels)
    if isinstance(synapses, ConvolutionSynapses):
        return network_reference.convolution(
            array(synapses.weight), synapses.source, source_channels, synapses.stride,
            synapses.padding, None if synapses.bias is None else array(synapses.bias),
        )  # fmt: skip
    if isinstance(synapses, ModuleSynapses):
        linear = synapses.module
        if not isinstance(linear, nn.Linear):
            raise TypeError(f"no matrix is known of {linear}")
        weight, bias = array(linear.weight), np.tile(array(linear.bias)[:, None], channels)
        return network_reference.matching([weight] * channels, source_channels, bias)
    if not isinstance(synapses, DenseSynapses):
        raise TypeError(f"no matrix is known of {synapses}")
    weight = array(synapses.weight)
    if synapses.mask is not None:
        kept = array(synapses.mask)
        weight = weight * kept.repeat(weight.shape[-1] // kept.shape[-1], axis=1)
    bias = None if synapses.bias is None else array(synapses.bias).T
    every = network_reference.all_to_all, network_reference.matching
    return every[synapses.all_channels is None](weight, source_channels, bias)


def array(tensor: Tensor) -> np.ndarray:
    """Give the numbers of a tensor."""
    return tensor.detach().cpu().numpy()


def samples(spikes: Mapping[str, Tensor], sample: int) -> dict[str, np.ndarray]:
    """One sample of tensors `(T, B, ...)` by name, for the reference."""
    return {name: array(values[:, sample]) for name, values in spikes.items()}


def by_name(network: SpikingNetwork, values: Sequence[Tensor]) -> dict[str, Tensor]:
    """Name tensors that come one per population."""
    return dict(zip(network.populations, values, strict=True))
