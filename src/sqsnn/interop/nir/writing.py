"""From a network to a NIR graph."""

from collections.abc import Iterator

import nir
import numpy as np
from torch.nn.utils.parametrize import type_before_parametrizations

from sqsnn.interop.nir.lif import entry, leaving, write_lif
from sqsnn.interop.nir.nodes import write_sqs
from sqsnn.interop.nir.paths import Edges, Named, Nodes
from sqsnn.interop.nir.synapses import write_synapses
from sqsnn.network import INPUT, Pathway, SpikingNetwork
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons

# Populations may be called anything without a dot; so this name is free.
OUTPUT = "network.output"


def to_nir(network: SpikingNetwork, *, dt: float = 1e-4) -> nir.NIRGraph:
    """Write a network as a NIR graph, which `nir.write` puts into a file.

    `LIF` populations become plain NIR nodes, which other packages run with the same spikes if they
    step NIR by Euler's method and let spikes go round a cycle in one step; `interop.nir.lif` tells
    which nodes. `SQSNeurons` become nodes of the type "SQS", which sqsnn alone can read. Other
    neurons are refused, and so is whatever NIR cannot say: more than one channel, learned delays,
    cycles of several populations (NIR leaves open which runs first), grids behind `Dense`.

    Args:
        network: The network.
        dt: Length of a step in seconds; snnTorch reads 1e-4.

    Raises:
        ValueError: If NIR cannot say what the network is; names the part.
        TypeError: If NIR has none of its neurons.

    Example:
        >>> import torch, sqsnn
        >>> generator = torch.Generator().manual_seed(0)
        >>> network = sqsnn.SpikingNetwork([4, 3, 2], neurons=sqsnn.LIF, generator=generator)
        >>> list(to_nir(network).nodes)[:4]
        ['input', 'hidden.scale', 'hidden.membrane', 'hidden.reset']
    """
    if network.readout is not None:
        raise ValueError(
            "network has a readout of real values, which is no part of NIR; set network.readout "
            "to None to write the spiking part alone"
        )
    for component in network.components:
        if len(component.names) > 1:
            raise ValueError(
                f"the populations {', '.join(component.names)} form a cycle, of which NIR does not "
                "say which runs first; only cycles of one population can be written"
            )
    nodes: Nodes = {INPUT: nir.Input({"input": np.array(network.inputs)})}
    edges: Edges = []
    ends = {INPUT: (INPUT, INPUT)}
    for name in network.names:
        made, within = _write_population(name, network.population(name), dt)
        nodes |= made
        edges += within
        ends[name] = (entry(name), leaving(name)) if within else (name, name)
    # In the order of the populations, which a reader takes from the edges.
    for pathway in (way for name in network.names for way in network.incoming(name).values()):
        last = ends[pathway.source][1]
        for label, node in _write_pathway(pathway, dt):
            name = _free(f"{pathway.source}.{pathway.target}.{label}", nodes)
            nodes[name] = node
            edges.append((last, name))
            last = name
        closing = (last, ends[pathway.target][0])
        if closing in edges:
            raise ValueError(
                f"{pathway}: two connections are the identity, but NIR has one edge between nodes"
            )
        edges.append(closing)
    outputs = network.names[-1]
    nodes[OUTPUT] = nir.Output({"output": np.array(network.population(outputs).shape)})
    return nir.NIRGraph(nodes=nodes, edges=[*edges, (ends[outputs][1], OUTPUT)])


def _write_population(name: str, population: Population, dt: float) -> tuple[Nodes, Edges]:
    if population.channels != 1:
        raise ValueError(
            f"population {name!r} has {population.channels} channels, but a neuron of NIR has one "
            "output"
        )
    # Not inherited: a class of one's own may have a law of its own.
    if isinstance(population, LIF) and type_before_parametrizations(population) is LIF:
        return write_lif(name, population, dt)
    if isinstance(population, SQSNeurons):
        return {name: write_sqs(population)}, []
    raise TypeError(
        f"population {name!r} consists of {population.class_name}, for which NIR has no "
        "neuron; LIF and SQSNeurons can be written"
    )


def _write_pathway(pathway: Pathway, dt: float) -> Iterator[Named]:
    """The nodes of a connection, the first acting first."""
    if not isinstance(pathway.delay, int):
        raise ValueError(
            f"{pathway} has learned delays, which NIR cannot interpolate; give whole steps"
        )
    shape = np.array(pathway.synapses.source)
    # In a cycle of NIR, spikes arrive one step later by themselves.
    delay = pathway.delay - (pathway.source == pathway.target)
    if delay:
        yield "delay", nir.Delay(np.full(shape, delay * dt))
    if pathway.trace is not None:
        tau = np.full(shape, dt / (1 - pathway.trace))
        yield "trace", nir.LI(tau=tau, r=tau / dt, v_leak=np.zeros(shape))
    yield from write_synapses(str(pathway), pathway.synapses)


def _free(name: str, taken: Nodes) -> str:
    """A name that is not taken: the one given, or with the first number that makes it one."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
