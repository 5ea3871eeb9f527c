"""Synapses as nodes of NIR, and nodes of NIR as synapses."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import nir
import numpy as np
import torch
from torch import nn

from sqsnn.interop.nir.nodes import assign
from sqsnn.interop.nir.paths import Named
from sqsnn.synapses import (
    ChainSynapses,
    Convolution,
    ConvolutionSynapses,
    Dense,
    DenseSynapses,
    Identity,
    IdentitySynapses,
    Options,
    Pool,
    PoolSynapses,
    Synapses,
)

Shape = tuple[int, ...]

SUPPORTED = "Delay and LI, and then Linear, Affine, Conv1d, Conv2d, AvgPool2d and Flatten"


class Read(NamedTuple):
    """What a node of NIR becomes: options, and the values that the built synapses then get."""

    options: Options
    values: dict[str, np.ndarray]


def write_synapses(place: str, synapses: Synapses) -> Iterator[Named]:
    """Write synapses of one channel as named nodes, the first acting first.

    Raises:
        ValueError: If NIR has no such node.
    """
    if isinstance(synapses, ChainSynapses):
        for part in synapses.parts:
            yield from write_synapses(place, cast(Synapses, part))
    elif isinstance(synapses, DenseSynapses):
        if len(synapses.target) > 1:
            raise ValueError(
                f"{place}: Dense leads to a grid of shape {synapses.target}, but NIR cannot make a "
                "grid of a row; give the population a size"
            )
        if len(synapses.source) > 1:
            yield "flatten", nir.Flatten({"input": np.array(synapses.source)}, 0, -1)
        weight = synapses.weight[0] if synapses.mask is None else synapses.weight[0] * synapses.mask
        if synapses.bias is None:
            yield "dense", nir.Linear(_array(weight))
        else:
            yield "dense", nir.Affine(_array(weight), _array(synapses.bias[0]))
    elif isinstance(synapses, ConvolutionSynapses):
        yield "convolution", _convolution(synapses)
    elif isinstance(synapses, PoolSynapses):
        if len(synapses.source) != 3:
            raise ValueError(f"{place}: Pool is one-dimensional, for which NIR has no node")
        window = np.array([synapses.window] * 2)
        yield "pool", nir.AvgPool2d(kernel_size=window, stride=window, padding=np.array([0, 0]))
    elif not isinstance(synapses, IdentitySynapses):
        raise ValueError(
            f"{place}: {type(synapses).__name__} have no node in NIR; Dense, Convolution, Pool, "
            "Identity and chains of them have"
        )


def read_synapses(place: str, nodes: Sequence[Named], shape: Shape) -> list[Read]:
    """Read nodes, the first acting first, that receive spikes of a shape.

    Raises:
        ValueError: If sqsnn has no such synapses.
    """
    found: list[Read] = []
    for name, node in nodes:
        read = _read_node(f"{place}, node {name!r}", node, shape)
        if isinstance(node, nir.Flatten):
            shape = (int(np.prod(shape)),)
        elif read is not None:
            found.append(read)
            made = read.options.output_shape(shape)
            shape = (len(read.values["weight"][0]),) if made is None else made
    return found


def options_of(found: Sequence[Read]) -> Any:
    """The options from which a connection builds these synapses, in a tuple if they are several."""
    if not found:
        return Identity()
    return found[0].options if len(found) == 1 else tuple(read.options for read in found)


def set_values(synapses: Synapses, found: Sequence[Read]) -> None:
    """Give built synapses the values that were read."""
    parts = synapses.parts if isinstance(synapses, ChainSynapses) else [synapses]
    for part, read in zip(parts, found, strict=False):  # an identity has been read from no node
        for name, values in read.values.items():
            assign(cast(nn.Module, part), name, torch.from_numpy(values))


def _convolution(synapses: ConvolutionSynapses) -> nir.NIRNode:
    weight, sides = _array(synapses.weight[0]), synapses.source[1:]
    bias = np.zeros(len(weight)) if synapses.bias is None else _array(synapses.bias[0])
    one = len(sides) == 1
    size: Any = sides[0] if one else sides
    kind = nir.Conv1d if one else nir.Conv2d
    return kind(size, weight, synapses.stride, synapses.padding, 1, 1, bias)


def _read_node(place: str, node: nir.NIRNode, shape: Shape) -> Read | None:
    """Read one node; None for one that only lays out its input flat."""
    if isinstance(node, nir.Flatten):
        made = node.output_type["output"]
        if made is not None and np.size(made) != 1:
            raise ValueError(f"{place} flattens {shape} in part; sqsnn flattens all of a grid")
        return None
    if isinstance(node, nir.Linear | nir.Affine):
        if node.weight.ndim != 2 or len(shape) != 1:
            raise ValueError(f"{place} acts on the last side of {shape}; flatten the grid first")
        values = {"weight": node.weight[None]}
        if isinstance(node, nir.Affine):
            values["bias"] = node.bias[None]
        return Read(Dense(bias="bias" in values), values)
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        sides = len(shape) - 1
        _only(place, "dilation", node.dilation, 1)
        _only(place, "groups", node.groups, 1)
        values = {"weight": node.weight[None]}
        if np.any(node.bias != 0):
            values["bias"] = node.bias[None]
        kernel = _same(place, "kernel", node.weight.shape[2:])
        options = Convolution(
            maps=len(node.weight),
            kernel=kernel,
            stride=_same(place, "stride", node.stride),
            padding=_same(place, "padding", _zero_if_valid(node.padding)),
            bias="bias" in values,
        )
        if node.weight.ndim != 2 + sides:
            raise ValueError(f"{place} is a {type(node).__name__}, but its input has shape {shape}")
        return Read(options, values)
    if isinstance(node, nir.AvgPool2d):
        window = _same(place, "kernel_size", node.kernel_size)
        _only(place, "stride", node.stride, window)
        _only(place, "padding", node.padding, 0)
        return Read(Pool(window), {})
    raise ValueError(
        f"{place} is a {type(node).__name__}, for which sqsnn has no synapses; between neurons "
        f"there may be {SUPPORTED}"
    )


def _zero_if_valid(padding: Any) -> Any:
    return 0 if isinstance(padding, str) and padding == "valid" else padding


def _same(place: str, quantity: str, values: Any) -> int:
    """The one value that holds along all sides."""
    if isinstance(values, str) or len({int(value) for value in np.ravel(values)}) != 1:
        raise ValueError(f"{place} has a {quantity} of {values}; sqsnn takes one for all sides")
    return int(np.ravel(values)[0])


def _only(place: str, quantity: str, values: Any, wanted: int) -> None:
    if np.any(np.asarray(values) != wanted):
        raise ValueError(f"{place} has a {quantity} of {values}; sqsnn takes {wanted} alone")


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
