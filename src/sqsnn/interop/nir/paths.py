"""Ways through a NIR graph, from neurons to neurons."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import nir

Nodes = dict[str, nir.NIRNode]
Edges = list[tuple[str, str]]
Named = tuple[str, nir.NIRNode]


class Way(NamedTuple):
    """What leads from neurons, or the input, to neurons."""

    source: str
    target: str
    nodes: list[Named]  # the first acting first


def only(nodes: Mapping[str, Any], kind: type[nir.NIRNode]) -> str:
    """Find the one node of a kind."""
    found = [name for name, node in nodes.items() if isinstance(node, kind)]
    if len(found) != 1:
        raise ValueError(f"the graph has {len(found)} nodes {kind.__name__}; sqsnn reads one")
    return found[0]


def laid_out(graph: nir.NIRGraph) -> tuple[Nodes, Edges]:
    """Put the nodes of graphs within a graph in their place."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for name, inner in graph.nodes.items():
        if not isinstance(inner, nir.NIRGraph):
            continue
        within, inside = laid_out(inner)
        first, last = (only(within, kind) for kind in (nir.Input, nir.Output))
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


def find_ways(nodes: Mapping[str, Any], edges: Edges, ends: Collection[str]) -> Iterator[Way]:
    """Walk back from all neurons, in the order of the edges, to the ends that feed them.

    Args:
        nodes: All nodes.
        edges: All edges.
        ends: The input and the neurons.

    Raises:
        ValueError: If a node in between adds what several nodes give, or lies on a cycle.
    """
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        before[target].append(source)
    for source, target in edges:
        if target not in ends:
            continue
        passed: list[Named] = []
        while source not in ends:
            sources = before[source]
            if len(sources) != 1 or any(source == other for other, _ in passed):
                raise ValueError(
                    f"node {source!r} receives {', '.join(sources) or 'nothing'}; between neurons, "
                    "each node must follow one other, and form no cycle"
                )
            passed.insert(0, (source, nodes[source]))
            source = sources[0]
        yield Way(source, target, passed)


def check_cycles(start: str, ways: Collection[Way]) -> None:
    """Refuse cycles of several populations, which have no order in NIR."""
    done, left = {start}, {way.target for way in ways}
    while left:
        ready = {n for n in left if all(w.source in {*done, n} for w in ways if w.target == n)}
        if not ready:
            raise ValueError(
                f"the neurons {', '.join(sorted(left))} lie on or behind a cycle of several "
                "populations, of which NIR does not say which runs first; only cycles of one "
                "population can be read"
            )
        done |= ready
        left -= ready
