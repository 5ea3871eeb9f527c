"""From a NIR graph to a network."""

from typing import Any, Literal, cast

import nir
import numpy as np
import torch

from sqsnn.checks import check_choice
from sqsnn.interop.nir.lif import Parts, collapse, read_lif, read_resetting_lif
from sqsnn.interop.nir.nodes import SQS, read_sqs
from sqsnn.interop.nir.paths import Named, Way, check_cycles, find_ways, laid_out, only
from sqsnn.interop.nir.synapses import options_of, read_synapses, set_values
from sqsnn.network import INPUT, Connection, Pathway, SpikingNetwork
from sqsnn.neurons.population import Population

Reset = Literal["subtract"]


def from_nir(
    graph: nir.NIRGraph,
    *,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
    dt: float = 1e-4,
    reset: Reset | None = None,
) -> SpikingNetwork:
    """Make a network of a NIR graph, such as `nir.read` takes from a file.

    What `to_nir` wrote comes back with the same spikes, bit for bit. Of other graphs it reads
    Linear, Affine, Conv1d, Conv2d, AvgPool2d, Flatten, Delay and LI (as a trace) between neurons,
    and NIR's LIF if `reset` says how: in continuous time, a membrane that reaches its threshold
    falls to 0 whether the threshold is subtracted or the membrane set to 0; in steps these are two
    laws, of which sqsnn has the first. Whatever else is in the graph is refused by name.

    Args:
        graph: The graph, with one input and one output, which follows a population.
        generator: Draws initial values, which those of the graph then replace.
        dtype: torch.float32 or torch.float64.
        dt: Length of a step in seconds, by which time constants and delays become numbers of steps.
        reset: "subtract" takes a nir.LIF for a neuron that subtracts its threshold one step later,
            as the default Leaky of snnTorch is; None refuses a nir.LIF.

    Raises:
        ValueError: If sqsnn has no counterpart of a node or of an edge; names it.
    """
    if reset is not None:
        check_choice("reset", reset, Reset)
    nodes, edges = collapse(*laid_out(graph))
    start, end = (only(nodes, kind) for kind in (nir.Input, nir.Output))
    neurons = {name for name, node in nodes.items() if _is_neuron(name, node, reset)}
    last = [source for source, target in edges if target == end]
    if len(last) != 1 or last[0] not in neurons:
        raise ValueError(
            f"the output follows {', '.join(last) or 'nothing'}; it must follow one population of "
            "neurons"
        )
    ways = list(find_ways(nodes, edges, {start, *neurons}))
    check_cycles(start, ways)
    options = {"generator": generator, "dtype": dtype}
    # The order of the edges is that of the populations, which draw their random numbers in turn.
    order = [name for name in dict.fromkeys(way.target for way in ways) if name != last[0]] + last
    populations = {name: _population(name, nodes[name], dt, options) for name in order}
    shapes = {start: tuple(map(int, nodes[start].output_type["output"]))}
    shapes |= {name: population.shape for name, population in populations.items()}
    read = [
        read_synapses(f"{way.source} -> {way.target}", _without_time(way), shapes[way.source])
        for way in ways
    ]
    names = {name: _plain(name) for name in order} | {start: INPUT}
    network = SpikingNetwork(
        inputs=shapes[start],
        populations={names[name]: population for name, population in populations.items()},
        connections=[
            Connection(names[way.source], names[way.target], options_of(found), **_time(way, dt))
            for way, found in zip(ways, read, strict=True)
        ],
        **options,
    )
    for pathway, found in zip(cast("list[Pathway]", network.pathways), read, strict=True):
        set_values(pathway.synapses, found)
    return network


def _is_neuron(name: str, node: nir.NIRNode | Parts, reset: Reset | None) -> bool:
    """Whether a node is a population; refuses neurons that sqsnn does not have."""
    if isinstance(node, Parts | SQS):
        return True
    if isinstance(node, nir.LIF):
        if reset is None:
            raise ValueError(
                f"node {name!r} is a LIF, which sets its membrane to v_reset; LIF of sqsnn "
                "subtracts its threshold. In continuous time these are the same, in steps they are "
                "not; reset='subtract' reads it so"
            )
        return True
    if isinstance(node, nir.IF | nir.CubaLIF | nir.CubaLI | nir.I | nir.Threshold):
        raise ValueError(
            f"node {name!r} is a {type(node).__name__}, which sqsnn does not have; as neurons it "
            "reads what to_nir writes, and LIF with reset='subtract'"
        )
    return False


def _population(name: str, node: Any, dt: float, options: dict[str, Any]) -> Population:
    """Make the neurons of a node."""
    if isinstance(node, SQS):
        return read_sqs(node, **options)
    if isinstance(node, Parts):
        return read_lif(name, node, dt=dt, **options)
    return read_resetting_lif(name, node, dt=dt, **options)


def _without_time(way: Way) -> list[Named]:
    """The nodes that are synapses: what comes after delays and traces."""
    kept = list(way.nodes)
    while kept and isinstance(kept[0][1], nir.Delay | nir.LI):
        kept.pop(0)
    return kept


def _time(way: Way, dt: float) -> dict[str, Any]:
    """Read delay and trace; in a cycle spikes arrive one step later by themselves."""
    delay, trace = int(way.source == way.target), None
    for name, node in way.nodes[: len(way.nodes) - len(_without_time(way))]:
        if isinstance(node, nir.Delay):
            steps = np.unique(np.round(node.delay / dt, 6))
            if len(steps) != 1 or steps[0] != int(steps[0]):
                raise ValueError(
                    f"node {name!r} delays by {', '.join(f'{s:g}' for s in steps[:3])} steps of "
                    f"{dt} s; sqsnn reads one whole number for all neurons"
                )
            delay += int(steps[0])
        elif isinstance(node, nir.LI):
            decays = np.unique(np.round(1 - dt / node.tau, 15))
            plain = np.allclose(node.r * dt, node.tau) and not np.any(node.v_leak)
            if len(decays) != 1 or not plain or trace is not None:
                raise ValueError(
                    f"node {name!r} is a LI that is no trace: sqsnn reads one, with one tau for "
                    "all neurons, r = tau / dt and v_leak = 0"
                )
            trace = float(decays[0])
    return {"delay": delay, "trace": trace}


def _plain(name: str) -> str:
    """The name of a population, which may hold no dot and not be that of the input."""
    plain = name.replace(".", "_")
    return f"{plain}_" if plain == INPUT else plain
