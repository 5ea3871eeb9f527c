"""Synapses made of others, as settings: chains, and modules of torch."""

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import nn

from sqsnn.checks import Shape
from sqsnn.options import options
from sqsnn.synapses.base import Synapses
from sqsnn.synapses.chain import ChainSynapses
from sqsnn.synapses.linearity import in_line
from sqsnn.synapses.module import ModuleSynapses, shape_after
from sqsnn.synapses.objects import Convolution, Dense, Identity, Options, Pool


@options
class Module(Options):
    """A linear module of torch, which maps `(B, *source)`; all channels share it."""

    module: Annotated[nn.Module, Field(exclude=True)]
    """The module."""
    kind: Literal["module"] = field(default="module", kw_only=True, repr=False)

    def __repr__(self) -> str:
        return in_line(self.module)

    def output_shape(self, source: Shape) -> Shape:
        """Give the shape that the module makes of a sample."""
        return shape_after(self.module, source)

    def output_channels(self, source_channels: int, channels: int) -> int:
        """Keep the channels of the source."""
        return source_channels

    def _build(
        self, source: Shape, target: Shape, source_channels: int, channels: int, **start: Any
    ) -> Synapses:
        like = torch.empty(0, dtype=start["dtype"], device=start["device"])
        for name, parameter in self.module.named_parameters():
            if parameter.dtype != like.dtype or parameter.device != like.device:
                raise ValueError(
                    f"{name} of {in_line(self.module)} is {parameter.dtype} on {parameter.device}, "
                    f"but the network {like.dtype} on {like.device}; turn one of them into the "
                    "other"
                )
        return ModuleSynapses(self.module, source, target, channels=channels)


def _parts(given: Any) -> Any:
    """Make options of what stands for them, and lay chains within chains out flat."""
    if not isinstance(given, tuple | list):
        return given
    if not given:
        raise ValueError("a chain needs at least one part")
    made = [part if isinstance(part, dict) else options_of(part) for part in given]  # from TOML
    flat = [part.parts if isinstance(part, Chain) else (part,) for part in made]
    return tuple(part for parts in flat for part in parts)


_Part = Annotated[Dense | Convolution | Pool | Identity | Module, Field(discriminator="kind")]


@options
class Chain(Options):
    """Synapses one after the other, with no neurons between them."""

    parts: Annotated[tuple[_Part, ...], BeforeValidator(_parts)]
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
        self, source: Shape, target: Shape, source_channels: int, channels: int, **start: Any
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
