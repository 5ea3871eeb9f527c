"""Synapses as settings: immutable objects that carry their options and build synapses."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from sqsnn.options import options
from sqsnn.synapses.base import Shape, Synapses
from sqsnn.synapses.chain import ChainSynapses
from sqsnn.synapses.convolution import ConvolutionSynapses, convolved_shape
from sqsnn.synapses.dense import DENSE, DenseSynapses, Method, Wiring
from sqsnn.synapses.fixed import IdentitySynapses, PoolSynapses, pooled_shape
from sqsnn.synapses.module import ModuleSynapses, shape_after


@options
class Options(ABC):
    """What the options of all synapses share."""

    @abstractmethod
    def output_shape(self, source: Shape) -> Shape | None:
        """Give the shape that comes of a source; None if any will do.

        Raises:
            ValueError: If such a source does not fit.
        """

    def output_channels(self, source_channels: int, channels: int) -> int:
        """Count the channels that come of a source, if the target has `channels`."""
        return channels

    def build(
        self,
        source: Shape,
        target: Shape,
        *,
        source_channels: int = 1,
        channels: int = 1,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Synapses:
        """Build the synapses from a population to a population.

        Args:
            source: Shape of the presynaptic population.
            target: Shape of the postsynaptic population.
            source_channels: Channels C of the source.
            channels: Channels N of the target.
            generator: Draws the initial weights.
            dtype: torch.float32 or torch.float64.
            device: Where the weights lie.

        Raises:
            ValueError: If the shapes or the channels do not fit.
        """
        made = self.output_shape(source)
        if made not in (None, target):
            raise ValueError(
                f"{self} turns {source} into {made}, but the target has shape {target}"
            )
        self.check_channels(source_channels, channels)
        start = {"generator": generator, "dtype": dtype, "device": device}
        return self._build(source, target, source_channels, channels, **start)

    def check_channels(self, source_channels: int, channels: int) -> None:
        """Refuse a source of other channels than the target; one channel feeds all."""
        if source_channels not in (1, channels):
            raise ValueError(
                f"the source has {source_channels} channels and the target {channels}, but {self} "
                "joins channel n to channel n, or one channel to all: use Dense(wiring='all')"
            )

    @abstractmethod
    def _build(
        self,
        source: Shape,
        target: Shape,
        source_channels: int,
        channels: int,
        **start: Any,
    ) -> Synapses:
        """Build synapses whose shapes and channels fit, from a generator, dtype and device."""


@options
class Dense(Options):
    """Every presynaptic neuron feeds every neuron."""

    bias: bool = False
    """Whether every neuron adds a learned bias, which starts at 0."""
    wiring: Wiring = "matching"
    """Channel n feeds channel n, or every presynaptic channel feeds every channel."""
    sparsity: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the presynaptic neurons that a neuron does not hear, drawn once for each neuron."""
    method: Method = DENSE
    """Multiply matrices, or add the weights of those inputs alone that are not 0."""
    mask: Annotated[Tensor | None, Field(exclude=True)] = field(
        default=None, repr=False, compare=False
    )
    """Which presynaptic neuron feeds which neuron, (H, P), in place of a sparsity."""
    kind: Literal["dense"] = field(default="dense", kw_only=True, repr=False)

    def output_shape(self, source: Shape) -> Shape | None:
        """Give None: any shape will do."""
        return None

    def check_channels(self, source_channels: int, channels: int) -> None:
        """Accept all channels with the wiring "all", which joins each to each."""
        if self.wiring == "matching":
            super().check_channels(source_channels, channels)

    def _build(
        self,
        source: Shape,
        target: Shape,
        source_channels: int,
        channels: int,
        **start: Any,
    ) -> Synapses:
        return DenseSynapses(
            source,
            target,
            channels=channels,
            bias=self.bias,
            wiring=self.wiring,
            source_channels=source_channels,
            sparsity=self.sparsity,
            mask=self.mask,
            method=self.method,
            **start,
        )


@options
class Convolution(Options):
    """Neurons on a grid see a window each, and all of a map share their weights."""

    maps: PositiveInt
    """Maps of the target."""
    kernel: PositiveInt
    """Side of a window."""
    stride: PositiveInt = 1
    """Distance between windows."""
    padding: NonNegativeInt = 0
    """Zeros added on each side."""
    bias: bool = False
    """Whether every map adds a learned bias, which starts at 0."""
    kind: Literal["convolution"] = field(default="convolution", kw_only=True, repr=False)

    def output_shape(self, source: Shape) -> Shape:
        """Give the maps and the sides that the windows leave."""
        _check_grid(self, source)
        shape = convolved_shape(source, self.maps, self.kernel, self.stride, self.padding)
        return _placed(self, source, shape)

    def _build(
        self,
        source: Shape,
        target: Shape,
        source_channels: int,
        channels: int,
        **start: Any,
    ) -> Synapses:
        return ConvolutionSynapses(
            source,
            self.maps,
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            channels=channels,
            bias=self.bias,
            **start,
        )


@options
class Pool(Options):
    """Means over windows that touch."""

    window: PositiveInt
    """Side of a window."""
    kind: Literal["pool"] = field(default="pool", kw_only=True, repr=False)

    def output_shape(self, source: Shape) -> Shape:
        """Give the sides divided by the window; what is left over is dropped."""
        _check_grid(self, source)
        return _placed(self, source, pooled_shape(source, self.window))

    def output_channels(self, source_channels: int, channels: int) -> int:
        """Keep the channels of the source."""
        return source_channels

    def _build(
        self,
        source: Shape,
        target: Shape,
        source_channels: int,
        channels: int,
        **start: Any,
    ) -> Synapses:
        return PoolSynapses(source, self.window, channels=channels)


@options
class Identity(Options):
    """Neuron p feeds neuron p, with weight 1."""

    kind: Literal["identity"] = field(default="identity", kw_only=True, repr=False)

    def output_shape(self, source: Shape) -> Shape:
        """Keep the shape."""
        return source

    def output_channels(self, source_channels: int, channels: int) -> int:
        """Keep the channels of the source."""
        return source_channels

    def _build(
        self,
        source: Shape,
        target: Shape,
        source_channels: int,
        channels: int,
        **start: Any,
    ) -> Synapses:
        return IdentitySynapses(source, channels=channels)


@options
class Module(Options):
    """A linear module of torch, which maps `(B, *source)`; all channels share it."""

    module: Annotated[nn.Module, Field(exclude=True)]
    """The module."""
    kind: Literal["module"] = field(default="module", kw_only=True, repr=False)

    def output_shape(self, source: Shape) -> Shape:
        """Give the shape that the module makes of a sample."""
        return shape_after(self.module, source)

    def output_channels(self, source_channels: int, channels: int) -> int:
        """Keep the channels of the source."""
        return source_channels

    def _build(
        self,
        source: Shape,
        target: Shape,
        source_channels: int,
        channels: int,
        **start: Any,
    ) -> Synapses:
        for name, parameter in self.module.named_parameters():
            if parameter.dtype != start["dtype"]:
                raise ValueError(
                    f"{name} of {self.module} is {parameter.dtype}, but the network "
                    f"{start['dtype']}; turn one of them into the other"
                )
        return ModuleSynapses(self.module, source, target, channels=channels)


def _parts(given: Any) -> Any:
    """Make options of what stands for them, and lay chains within chains out flat."""
    if not isinstance(given, tuple | list):
        return given
    made = [options_of(part) if isinstance(part, nn.Module | tuple) else part for part in given]
    flat = [part.parts if isinstance(part, Chain) else (part,) for part in made]
    return tuple(part for parts in flat for part in parts)


_Part = Annotated[Dense | Convolution | Pool | Identity | Module, Field(discriminator="kind")]


@options
class Chain(Options):
    """Synapses one after the other, with no neurons between them."""

    parts: Annotated[tuple[_Part, ...], Field(min_length=1), BeforeValidator(_parts)]
    """The synapses, the first acting first."""
    kind: Literal["chain"] = field(default="chain", kw_only=True, repr=False)

    def output_shape(self, source: Shape) -> Shape | None:
        """Give the shape that comes of a source through all parts."""
        return self._shapes(source)[-1]

    def check_channels(self, source_channels: int, channels: int) -> None:
        """Refuse parts whose channels do not fit; the last may give one channel, for all."""
        for part, before, after in self._channels(source_channels, channels):
            part.check_channels(before, after)
        super().check_channels(self.output_channels(source_channels, channels), channels)

    def output_channels(self, source_channels: int, channels: int) -> int:
        """Count the channels that come through all parts."""
        *_, (_, _, last) = self._channels(source_channels, channels)
        return last

    def _build(
        self,
        source: Shape,
        target: Shape,
        source_channels: int,
        channels: int,
        **start: Any,
    ) -> Synapses:
        shapes = [*self._shapes(source)[:-1], target]
        built: list[Synapses] = []
        for (part, before, after), shape in zip(
            self._channels(source_channels, channels), shapes, strict=True
        ):
            built.append(part.build(source, shape, source_channels=before, channels=after, **start))
            source = shape
        return ChainSynapses(built, channels=channels)

    def _shapes(self, source: Shape) -> list[Shape | None]:
        """The shape after each part."""
        shapes: list[Shape | None] = []
        shape: Shape | None = source
        for part in self.parts:
            if shape is None:
                raise ValueError(
                    f"{self.parts[len(shapes) - 1]} gives no shape of its own, so it "
                    "may only be the last of a chain"
                )
            shape = part.output_shape(shape)
            shapes.append(shape)
        return shapes

    def _channels(self, channels: int, target: int) -> Iterator[tuple[Options, int, int]]:
        """Each part with the channels before and after it."""
        for part in self.parts:
            before, channels = channels, part.output_channels(channels, target)
            yield part, before, channels


def options_of(given: Any) -> Options:
    """Make options of what may stand for them: a module of torch, or a tuple for a chain."""
    if isinstance(given, Options):
        return given
    if isinstance(given, nn.Module):
        return Module(given)
    if isinstance(given, tuple | list):
        return Chain(tuple(given))
    raise TypeError(
        f"synapses is {given!r}; it may be Dense(), Convolution(), Pool(), Identity(), a linear "
        "torch.nn.Module, or a tuple of them, one after the other"
    )


def _check_grid(of: Options, source: Shape) -> None:
    if len(source) not in (2, 3):
        raise ValueError(
            f"{of} needs a source on a grid, (maps, length) or (maps, height, width), but the "
            f"source has shape {source}"
        )


def _placed(of: Options, source: Shape, shape: Shape | None) -> Shape:
    if shape is None:
        raise ValueError(f"{of} finds no place for its window in a source of shape {source}")
    return shape
