"""Synapses as settings: immutable objects that carry their options and build synapses."""

from abc import ABC, abstractmethod
from dataclasses import field
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from sqsnn.checks import Shape
from sqsnn.options import Count, Whole, options
from sqsnn.synapses.base import Synapses
from sqsnn.synapses.convolution import ConvolutionSynapses, convolved_shape
from sqsnn.synapses.dense import DENSE, DenseSynapses, Method, Wiring
from sqsnn.synapses.fixed import IdentitySynapses, PoolSynapses, pooled_shape


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
        self, source: Shape, target: Shape, source_channels: int, channels: int, **start: Any
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
        self, source: Shape, target: Shape, source_channels: int, channels: int, **start: Any
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
    """Neurons on a grid see a window each, and all of a map share their weights.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> options = Convolution(maps=12, kernel=5)
        >>> options.output_shape((2, 34, 34))
        (12, 30, 30)
        >>> synapses = options.build((2, 34, 34), (12, 30, 30), generator=generator)
        >>> synapses(torch.ones(10, 4, 2 * 34 * 34, 1)).shape  # spikes (T, B, P, 1)
        torch.Size([10, 4, 10800, 1])
    """

    maps: Count
    """Maps of the target."""
    kernel: Count
    """Side of a window."""
    stride: Count = 1
    """Distance between windows."""
    padding: Whole = 0
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
        self, source: Shape, target: Shape, source_channels: int, channels: int, **start: Any
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

    window: Count
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
        self, source: Shape, target: Shape, source_channels: int, channels: int, **start: Any
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
        self, source: Shape, target: Shape, source_channels: int, channels: int, **start: Any
    ) -> Synapses:
        return IdentitySynapses(source, channels=channels)


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
