"""Synapses one after the other, such as a pooling and a convolution."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.synapses.base import Synapses


class ChainSynapses(Synapses):
    """The composition of synapses, with no neurons between them.

    Args:
        parts: Synapses, each from the shape that the one before gives.
        channels: Channels N of the last.
    """

    def __init__(self, parts: Sequence[Synapses], *, channels: int = 1) -> None:
        for before, after in pairwise(parts):
            if prod(before.target) != prod(after.source):
                raise ValueError(f"parts do not fit: {before.target} is followed by {after.source}")
        super().__init__(parts[0].source, parts[-1].target, channels)
        self.parts = nn.ModuleList(parts)

    @property
    def _parts(self) -> list[Synapses]:
        return [cast(Synapses, part) for part in self.parts]

    @property
    def accepted_channels(self) -> tuple[int, ...]:
        """The channels that spikes may have: what the first part says that does not keep them."""
        deciding = (p.accepted_channels for p in self._parts if not p.keeps_channels)
        return next(deciding, super().accepted_channels)

    @property
    def joins_all_channels(self) -> bool:
        """Whether every presynaptic channel feeds every channel: in one part, at least."""
        return any(part.joins_all_channels for part in self._parts)

    @property
    def fan_in(self) -> int:
        """The ways that lead to a neuron through all parts, at most."""
        return prod(part.fan_in for part in self._parts)

    def carry(self, spikes: Tensor) -> Float[Tensor, "T B H C"]:
        """Compute the currents of T steps, part by part."""
        for part in self._parts:
            spikes = part.carry(spikes)
        return spikes

    def gather(self, values: Float[Tensor, " H"]) -> Float[Tensor, " P"]:
        """Sum values of neurons over the ways by which each presynaptic neuron feeds them."""
        for part in reversed(self._parts):
            values = part.gather(values)
        return values

    def parameter_count(self) -> int:
        """Count the parameters of all parts that act."""
        return sum(part.parameter_count() for part in self._parts)
