"""Networks of the usual shapes as populations and connections: layers, convolutions, skips."""

import re
from collections.abc import Sequence
from dataclasses import replace

from sqsnn.checks import Shape, check_positive_int
from sqsnn.network.connection import INPUT, Connection, LearnedDelay
from sqsnn.options import as_text
from sqsnn.synapses import DENSE, Convolution, Dense, Method, Pool

_CONVOLUTION = re.compile(r"(\d+)c(\d+)(?:s(\d+))?(?:p(\d+))?")
_PLAIN = Dense()
_HIDDEN = re.compile(r"hidden(?:_(\d+))?")
_POOL = re.compile(r"p(\d+)")
_GRAMMAR = (
    "it has convolutions such as 12c5 (12 maps, kernel 5; 12c5s2p1 has stride 2 and padding 1) and "
    "pools such as p2, joined by '-'"
)


def layers(
    inputs: Shape,
    hidden: Sequence[int],
    outputs: int | None,
    *,
    conv: str = "",
    recurrent: bool = False,
    skip: bool = False,
    delay: int | LearnedDelay = 0,
    synapses: Dense = _PLAIN,
) -> tuple[dict[str, Shape], list[Connection]]:
    """Wire layers: convolutions, if any, then dense hidden layers, if any, then the output.

    A pool belongs to the connection that follows it.

    Example:
        >>> populations, connections = layers((1, 8, 8), [16], 10, conv="4c3-p2", skip=True)
        >>> populations
        {'conv': (4, 6, 6), 'hidden': (16,), 'output': (10,)}
        >>> [f"{it.source} -> {it.target}" for it in connections]
        ['input -> conv', 'conv -> hidden', 'hidden -> output', 'input -> output']

    Args:
        inputs: Shape of the inputs, `(P,)`, `(maps, rows, columns)` or `(maps, length)`.
        hidden: Neurons of each dense hidden layer.
        outputs: Output neurons; None for a network that ends with its last hidden layer.
        conv: Convolutions and pools, as `parse_conv` reads them.
        recurrent: Whether each dense hidden layer also feeds itself, one step later.
        skip: Whether the input also feeds the output.
        delay: Delay of all connections but the recurrent ones, in whole steps, or learned.
        synapses: The dense connections; the method is that of those from the input, since hidden
            spikes are not rare and need their gradient.

    Raises:
        ValueError: If a part has nothing to join, or does not fit the shape of what feeds it.
    """
    parts = parse_conv(conv)
    if conv and len(inputs) == 1:
        raise ValueError(
            f"conv is {conv!r}, but the inputs are a line of {inputs[0]} values without a grid"
        )
    if recurrent and not hidden:
        raise ValueError("recurrent needs a dense hidden layer, but hidden is empty")
    if skip and not (hidden or parts):
        raise ValueError("skip needs a hidden layer, but the input alone feeds the output")
    if skip and outputs is None:
        raise ValueError("skip joins the input to output neurons, but there are none")
    if synapses.method != DENSE and parts and not skip:
        raise ValueError(
            f"synapses is {synapses.method!r}, but conv is {conv!r}: it goes with dense "
            "connections from the input"
        )
    names = iter(name_layers(len(hidden), conv, has_output=outputs is not None))
    populations: dict[str, Shape] = {}
    connections: list[Connection] = []
    source, shape = INPUT, inputs
    waiting: list[Convolution | Pool] = []

    def dense(source: str) -> Dense:
        return synapses if source == INPUT else replace(synapses, method=DENSE)

    for part in (*parts, *hidden, *([] if outputs is None else [outputs])):
        if isinstance(part, Convolution | Pool):
            waiting.append(part)
            shape = _shape_after(part, shape, conv)
            if isinstance(part, Pool):
                continue
            chain: list[Convolution | Pool | Dense] = [*waiting]
        else:
            shape = (part,)
            chain = [*waiting, dense(source)]
        waiting = []
        name = next(names)
        populations[name] = shape
        joined = chain[0] if len(chain) == 1 else tuple(chain)
        connections.append(Connection(source, name, joined, delay=delay))
        source = name
    if waiting:
        raise ValueError(f"conv is {conv!r}, but no layer follows its last pool")
    if recurrent:
        fed = [name for name in populations if name.startswith("hidden")]
        connections += [Connection(name, name, dense(name), delay=1) for name in fed]
    if skip:
        connections.append(Connection(INPUT, source, dense(INPUT), delay=delay))
    return populations, connections


def wire_sizes(
    sizes: Sequence[int],
    *,
    method: Method = DENSE,
    recurrent: bool = False,
    skip: bool = False,
    delay: int | LearnedDelay = 0,
) -> tuple[Shape, dict[str, Shape], list[Connection]]:
    """Wire dense layers from their sizes: the shape of the inputs, populations and connections.

    Args:
        sizes: Inputs, hidden layers and outputs.
        method: Method of the synapses from the inputs.
        recurrent: See `layers`.
        skip: See `layers`.
        delay: See `layers`.
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes is {list(sizes)}; it needs inputs and at least one layer")
    for size in sizes:
        check_positive_int("sizes", size)
    inputs, *hidden, outputs = sizes
    populations, connections = layers(
        (inputs,),
        hidden,
        outputs,
        recurrent=recurrent,
        skip=skip,
        delay=delay,
        synapses=Dense(method=method),
    )
    return (inputs,), populations, connections


def name_layers(hidden: int, conv: str = "", *, has_output: bool = True) -> list[str]:
    """Name the populations of layers; those of a kind are numbered where they are several.

    Args:
        hidden: Number of dense hidden layers.
        conv: Convolutions and pools.
        has_output: Whether output neurons follow.
    """
    convolutions = sum(isinstance(part, Convolution) for part in parse_conv(conv))
    named = [*_numbered("conv", convolutions), *_numbered("hidden", hidden)]
    return [*named, "output"] if has_output else named


def say_layer(population: str) -> str:
    """Say the name of a population in words: "hidden_2" is "hidden layer 2"; others stay.

    Example:
        >>> [say_layer(name) for name in ("hidden", "hidden_2", "output", "hidden_state")]
        ['hidden layer', 'hidden layer 2', 'output layer', 'hidden_state']
    """
    if population == "output":
        return "output layer"
    found = _HIDDEN.fullmatch(population)
    return population if found is None else f"hidden layer {found[1] or ''}".rstrip()


def parse_conv(text: str) -> list[Convolution | Pool]:
    """Read convolutions and pools, such as 12c5-p2-64c5-p2; an empty text has none.

    Raises:
        ValueError: If a part is neither a convolution nor a pool.
    """
    try:
        return [_read_part(part) for part in text.split("-")] if text else []
    except ValueError as error:
        raise ValueError(f"conv is {as_text(text)}: {error}") from None


def _read_part(part: str) -> Convolution | Pool:
    if found := _CONVOLUTION.fullmatch(part):
        maps, kernel, stride, padding = found.groups()
        return Convolution(int(maps), int(kernel), int(stride or 1), int(padding or 0))
    if found := _POOL.fullmatch(part):
        return Pool(int(found[1]))
    raise ValueError(f"{part!r} is neither a convolution nor a pool; {_GRAMMAR}")


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}_{number}" for number in range(1, count + 1)]


def _shape_after(part: Convolution | Pool, shape: Shape, conv: str) -> Shape:
    try:
        after = part.output_shape(shape)
    except ValueError as error:
        raise ValueError(f"conv is {as_text(conv)}: {error}") from None
    assert after is not None  # which only dense synapses leave open
    return after
