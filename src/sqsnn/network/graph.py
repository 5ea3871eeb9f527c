"""The order in which populations are evaluated: what must run before what, and what in cycles.

Populations on no cycle run all steps at once. Those on a cycle form a component, which runs step by
step; within a step, a connection without delay needs its source first.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Edge(NamedTuple):
    """A connection between two populations."""

    source: str
    target: str
    is_instant: bool  # whether spikes can arrive in the step in which they were fired


class Component(NamedTuple):
    """Populations that can only run together."""

    names: tuple[str, ...]  # in the order of evaluation within a step
    is_cyclic: bool  # whether they run step by step


def components(names: Sequence[str], edges: Collection[Edge]) -> tuple[Component, ...]:
    """Sort populations into components, sources first; equals keep the order of `names`.

    Raises:
        ValueError: If a cycle has no delay; it names the populations.
    """
    reached = {name: _reached(name, edges) for name in names}
    groups: dict[frozenset[str], None] = {}
    for name in names:
        mutual = {other for other in reached[name] if name in reached[other]}
        groups[frozenset(mutual | {name})] = None
    member = {name: group for group in groups for name in group}
    needs = {group: set[frozenset[str]]() for group in groups}
    for source, target, _ in edges:
        if member[source] != member[target]:
            needs[member[target]].add(member[source])
    found = []
    for group in _sorted(list(groups), needs):
        within = [edge for edge in edges if edge.source in group and edge.target in group]
        instant = {
            name: {e.source for e in within if e.is_instant and e.target == name} for name in group
        }
        ordered = _sorted([name for name in names if name in group], instant)
        found.append(Component(tuple(ordered), is_cyclic=bool(within)))
    return tuple(found)


def _reached(start: str, edges: Collection[Edge]) -> set[str]:
    """List what spikes of a population can reach, itself only through a cycle."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        new = {edge.target for edge in edges if edge.source == here} - found
        found |= new
        waiting.extend(new)
    return found


def _sorted(items: Sequence[T], needs: Mapping[T, Collection[T]]) -> list[T]:
    """Sort items so that each follows what it needs; of those that are ready, the first comes."""
    left = list(items)
    done: list[T] = []
    while left:
        ready = next((item for item in left if all(n in done for n in needs[item])), None)
        if ready is None:
            raise ValueError(
                f"the connections among {', '.join(map(repr, left))} form a cycle without delay; "
                "give one of them a delay of at least 1 step (a learned one: shortest=1)"
            )
        left.remove(ready)
        done.append(ready)
    return done
