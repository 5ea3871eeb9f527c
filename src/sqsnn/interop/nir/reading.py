"""From a NIR graph to a network."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast

import nir
import numpy as np
import torch

from sqsnn.checks import check_choice
from sqsnn.interop.nir import synapses
from sqsnn.interop.nir.lif import Edges, Nodes, Parts, collapse, read_lif, read_resetting_lif
from sqsnn.interop.nir.nodes import SQS, read_sqs
from sqsnn.interop.nir.synapses import Named
from sqsnn.network import INPUT, Connection, Pathway, SpikingNetwork
from sqsnn.neurons.population import Population

Shape = tuple[int, ...]
Reset = Literal["subtract"]

_NEURONS = "what to_nir writes of LIF, SQS, and LIF with reset='subtract'"


class _Way(NamedTuple):
    """What leads from a population, or the input, to a population."""

    source: str
    target: str
    nodes: list[Named]  # the first acting first


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
    nodes, edges = collapse(*_inlined(graph))
    start, end = (_only(nodes, kind) for kind in (nir.Input, nir.Output))
    neurons = {name for name, node in nodes.items() if _is_neuron(name, node, reset)}
    last = [source for source, target in edges if target == end]
    if len(last) != 1 or last[0] not in neurons:
        raise ValueError(f"the output follows {', '.join(last) or 'nothing'}; it must follow one "
                         "population of neurons")
    reader = _Reader(nodes, edges, start, neurons, dt)
    ways = [way for name in nodes if name in neurons for way in reader.ways_to(name)]
    shapes: dict[str, Shape] = {start: tuple(map(int, nodes[start].output_type["output"]))}
    populations: dict[str, Population] = {}
    options = {"generator": generator, "dtype": dtype}
    for name in reader.ordered(ways):
        populations[name] = _population(name, nodes[name], dt, options)
        shapes[name] = populations[name].shape
    found = [
        synapses.read_synapses(f"{way.source} -> {way.target}", _without_time(way), shapes[way.source])
        for way in ways
    ]
    names = {name: _plain(name) for name in populations} | {start: INPUT}
    ordered = [name for name in populations if name != last[0]] + last
    network = SpikingNetwork(
        inputs=shapes[start],
        populations={names[name]: populations[name] for name in ordered},
        connections=[
            Connection(
                names[way.source],
                names[way.target],
                synapses.options_of(read),
                **_time(way, dt),
            )
            for way, read in zip(ways, found, strict=True)
        ],
        **options,
    )
    for pathway, read in zip(cast("list[Pathway]", network.pathways), found, strict=True):
        synapses.set_values(pathway.synapses, read)
    return network


class _Reader:
    """Finds the ways between populations in a graph of nodes."""

    def __init__(
        self,
        nodes: Mapping[str, Any],
        edges: Edges,
        start: str,
        neurons: set[str],
        dt: float,
    ) -> None:
        self.nodes, self.start, self.neurons, self.dt = nodes, start, neurons, dt
        self.before: dict[str, list[str]] = {name: [] for name in nodes}
        for source, target in edges:
            self.before[target].append(source)

    def ways_to(self, target: str) -> Iterator[_Way]:
        """Walk back from a population to those that feed it."""
        if not self.before[target]:
            raise ValueError(f"node {target!r} receives nothing")
        for name in self.before[target]:
            passed: list[Named] = []
            while name not in self.neurons and name != self.start:
                sources = self.before[name]
                if len(sources) != 1 or any(name == other for other, _ in passed):
                    raise ValueError(
                        f"node {name!r} receives {', '.join(sources) or 'nothing'}; between neurons "
                        "each node must follow one other, and no cycle may be without neurons"
                    )
                passed.insert(0, (name, self.nodes[name]))
                name = sources[0]
            yield _Way(name, target, passed)

    def ordered(self, ways: list[_Way]) -> Iterator[str]:
        """Sort populations so that each follows all that feed it but itself."""
        done = {self.start}
        left = [name for name in self.nodes if name in self.neurons]
        while left:
            ready = next(
                (n for n in left if all(w.source in {*done, n} for w in ways if w.target == n)), None
            )
            if ready is None:
                raise ValueError(
                    f"the neurons {', '.join(left)} lie on or behind a cycle of several "
                    "populations, of which NIR does not say which runs first; only cycles of one "
                    "population can be read"
                )
            left.remove(ready)
            done.add(ready)
            yield ready


def _inlined(graph: nir.NIRGraph) -> tuple[Nodes, Edges]:
    """Put the nodes of graphs within a graph in their place."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for name, inner in graph.nodes.items():
        if not isinstance(inner, nir.NIRGraph):
            continue
        within, inside = _inlined(inner)
        first, last = (_only(within, kind) for kind in (nir.Input, nir.Output))
        del nodes[name]
        nodes |= {f"{name}.{n}": node for n, node in within.items() if n not in (first, last)}
        fed = [f"{name}.{target}" for source, target in inside if source == first]
        feeding = [f"{name}.{source}" for source, target in inside if target == last]
        edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in inside if a != first and b != last]
        edges = [
            (source, target)
            for a, b in edges
            for source in (feeding if a == name else [a])
            for target in (fed if b == name else [b])
        ]
    return nodes, edges


def _only(nodes: Mapping[str, Any], kind: type[nir.NIRNode]) -> str:
    found = [name for name, node in nodes.items() if isinstance(node, kind)]
    if len(found) != 1:
        raise ValueError(f"the graph has {len(found)} nodes {kind.__name__}; sqsnn reads one")
    return found[0]


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
            f"reads {_NEURONS}"
        )
    return False


def _population(
    name: str, node: Any, dt: float, options: dict[str, Any]
) -> Population:
    """Make the neurons of a node."""
    if isinstance(node, SQS):
        return read_sqs(node, **options)
    if isinstance(node, Parts):
        return read_lif(name, node, dt=dt, **options)
    return read_resetting_lif(name, node, dt=dt, **options)


def _without_time(way: _Way) -> list[Named]:
    """The nodes that are synapses: what comes after delays and traces."""
    kept = list(way.nodes)
    while kept and isinstance(kept[0][1], nir.Delay | nir.LI):
        kept.pop(0)
    return kept


def _time(way: _Way, dt: float) -> dict[str, Any]:
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
            decays = np.unique(np.round(1 - dt / node.tau, 12))
            plain = np.allclose(node.r * dt, node.tau) and not np.any(node.v_leak)
            if len(decays) != 1 or not plain or trace is not None:
                raise ValueError(
                    f"node {name!r} is a LI that is no trace: sqsnn reads one, with one tau for all "
                    "neurons, r = tau / dt and v_leak = 0"
                )
            trace = float(decays[0])
    return {"delay": delay, "trace": trace}


def _plain(name: str) -> str:
    """The name of a population, which may hold no dot and not be that of the input."""
    plain = name.replace(".", "_")
    return f"{plain}_" if plain == INPUT else plain
