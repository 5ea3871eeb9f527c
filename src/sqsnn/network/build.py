"""From names, shapes and connections to populations and pathways that fit each other."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from sqsnn.checks import Shape, checked_shape
from sqsnn.network.connection import INPUT, Connection
from sqsnn.network.pathway import Pathway
from sqsnn.neurons.population import Population
from sqsnn.synapses import options_of

PopulationFactory = Callable[..., Population]
# What stands for a population before it is made: its size, the shape of its grid, or itself.
Described = int | Sequence[int] | Population


def check_graph(names: Sequence[str], connections: Sequence[Connection]) -> None:
    """Refuse names that cannot be, ends that do not exist, and populations without use.

    Raises:
        ValueError: If a population receives nothing, or does not reach the output.
    """
    for name in names:
        if name == INPUT or not name or "." in name or hasattr(nn.ModuleDict(), name):
            raise ValueError(
                f"populations has the name {name!r}; a name must not be empty, {INPUT!r}, or that "
                "of an attribute of torch.nn.ModuleDict, such as 'keys', and must not hold a dot"
            )
    if not names:
        raise ValueError("populations is empty; the last population is the output")
    for number, connection in enumerate(connections):
        if not isinstance(connection, Connection):
            raise TypeError(f"connections[{number}] is {connection!r}; it must be a Connection")
        ends = {"source": [INPUT, *names], "target": list(names)}
        for end, allowed in ends.items():
            if getattr(connection, end) not in allowed:
                raise ValueError(
                    f"connections[{number}].{end} is {getattr(connection, end)!r}; it may be "
                    f"{' or '.join(map(repr, allowed))}"
                )
    reach = {names[-1]}
    for _ in names:
        reach |= {c.source for c in connections if c.target in reach}
    for name in names:
        if name not in {connection.target for connection in connections}:
            raise ValueError(f"population {name!r} receives nothing; connect something to it")
        if name not in reach:
            raise ValueError(
                f"population {name!r} does not reach the output, {names[-1]!r} (the last "
                "population); connect it, or leave it out"
            )


def build(
    inputs: Shape,
    described: Mapping[str, Described],
    connections: Sequence[Connection],
    factories: Mapping[str, PopulationFactory],
    *,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device | str | None,
) -> tuple[dict[str, Population], list[Pathway]]:
    """Build populations, and each connection as soon as both of its ends exist.

    The initial values are drawn in that order, so that layers draw what they always drew.
    """
    options = {"generator": generator, "dtype": dtype, "device": device}
    shapes = {INPUT: inputs}
    for name, value in described.items():
        made = isinstance(value, Population)
        shapes[name] = value.shape if made else checked_shape(f"populations[{name!r}]", value)
    populations: dict[str, Population] = {}
    pathways: dict[int, Pathway] = {}
    for name, value in described.items():
        if isinstance(value, Population):
            populations[name] = value
        else:
            shape = shapes[name]
            size = shape[0] if len(shape) == 1 else shape
            populations[name] = factories[name](size, **options)
        _check_like(name, populations[name], torch.empty(0, dtype=dtype, device=device))
        for number, connection in enumerate(connections):
            source, target = connection.source, connection.target
            if number in pathways or not {source, target} <= {INPUT, *populations}:
                continue
            try:
                synapses = options_of(connection.synapses).build(
                    shapes[source],
                    shapes[target],
                    source_channels=1 if source == INPUT else populations[source].channels,
                    channels=populations[target].channels,
                    **options,
                )
            except ValueError as error:
                raise ValueError(f"connection {source!r} -> {target!r}: {error}") from None
            pathways[number] = Pathway(connection, synapses, dtype, device)
    return populations, [pathways[number] for number in range(len(connections))]


def _check_like(name: str, population: Population, like: Tensor) -> None:
    """Refuse a population of another precision, or on another device, than the network."""
    own = population.parameter_like
    if own.dtype != like.dtype or own.device != like.device:
        raise ValueError(
            f"population {name!r} is {own.dtype} on {own.device}, but the network {like.dtype} on "
            f"{like.device}; make both alike by dtype and device"
        )
