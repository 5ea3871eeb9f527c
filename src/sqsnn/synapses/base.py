"""What all synapses share: shapes, checks at the door, and the weights that they start from."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.func import functional_call

from sqsnn.checks import Shape, check_positive_int, check_same_device, check_shape
from sqsnn.placing import lowered_dtype, place


class Synapses(nn.Module, ABC):
    """A map from spikes to currents, linear up to a bias.

    Spikes and currents are flat, row by row over the shapes of the populations.

    Args:
        source: Shape of the presynaptic population, of P neurons.
        target: Shape of the postsynaptic population, of H neurons.
        channels: Channels N of the target.

    Attributes:
        presynaptic: Presynaptic neurons P.
        neurons: Postsynaptic neurons H.
        keeps_channels: Whether spikes of one channel give currents of one, which feeds all N.
    """

    keeps_channels: ClassVar[bool] = False

    def __init__(self, source: Shape, target: Shape, channels: int) -> None:
        super().__init__()
        for argument, shape in (("source", source), ("target", target)):
            for size in shape:
                check_positive_int(argument, size)
        check_positive_int("channels", channels)
        self.source, self.target, self.channels = source, target, channels
        self.presynaptic, self.neurons = math.prod(source), math.prod(target)

    def forward(self, spikes: Tensor) -> Float[Tensor, "T B H N"]:
        """Compute the currents of T steps; a sequence in two halves gives the same bits.

        Args:
            spikes: Presynaptic spikes, `(T, B, P, N)` or `(T, B, P, 1)`, which feeds all channels;
                with the wiring "all" `(T, B, P, C)` of all presynaptic channels.
        """
        given, accepted = spikes.shape[-1] if spikes.dim() == 4 else 1, self.accepted_channels
        channels = given if given in accepted else accepted[-1]
        check_shape("spikes", spikes, ("steps", "batch", self.presynaptic, channels))
        like = spikes if self.parameter_like is None else self.parameter_like
        if lowered_dtype(like) == spikes.dtype:  # what autocast has lowered, a part of a chain
            spikes = spikes.to(like.dtype)
        self._check_like(spikes)
        currents = self.carry(spikes).to(like.dtype)  # sums and membranes keep their precision
        if currents.shape[-1] == self.channels:
            return currents
        return currents.expand(*currents.shape[:-1], self.channels)

    @property
    def parameter_like(self) -> Tensor | None:
        """A parameter, of the device and dtype of all; None where there is none."""
        return next(self.parameters(), None)

    @property
    def accepted_channels(self) -> tuple[int, ...]:
        """The channels that spikes may have."""
        return (1, self.channels)

    @property
    def joins_all_channels(self) -> bool:
        """Whether every presynaptic channel feeds every channel."""
        return False

    @property
    @abstractmethod
    def fan_in(self) -> int:
        """The ways that lead to a neuron, at most."""

    @abstractmethod
    def carry(self, spikes: Tensor) -> Tensor:
        """Compute currents `(T, B, H, N)`, or `(T, B, H, 1)` for all channels, without checks."""

    @abstractmethod
    def gather(self, values: Float[Tensor, " H"]) -> Float[Tensor, " P"]:
        """Sum values of neurons over those that each presynaptic neuron feeds, in float64."""

    def pull_back(
        self,
        gradient: Float[Tensor, "T B H N"],
        channels: int,
        weights: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "T B P C"]:
        """Apply the transposed map: carry gradients by the currents to the spikes.

        Args:
            gradient: Gradients by the currents.
            channels: Channels C of the spikes.
            weights: Parameters to use in place of the map's own, by their names.
        """
        steps, batch = gradient.shape[:2]
        shape = (steps, batch, self.presynaptic, channels)
        with torch.enable_grad():
            # A linear map has the same transpose everywhere, also at 0.
            spikes = gradient.new_zeros(shape, requires_grad=True)
            own = {name: value.detach() for name, value in self.named_parameters()}
            currents = functional_call(self, own | dict(weights or {}), (spikes,))
        (by_spikes,) = torch.autograd.grad(currents, spikes, gradient)
        return by_spikes

    def fan_out_counts(self) -> Int64[Tensor, " P"]:
        """Count the weights that a spike of each presynaptic neuron adds, per channel fed.

        A chain counts the weights on all ways: its parts act as one map, so that means over windows
        leave as many as the window has in the part that follows.
        """
        like = self.parameter_like
        device = None if like is None else like.device
        ones = torch.ones(self.neurons, dtype=torch.float64, device=device)
        return self.gather(ones).round().long()

    def parameter_count(self) -> int:
        """Count the parameters that act: those that a mask sets to 0 do not."""
        return sum(parameter.numel() for parameter in self.parameters())

    def extra_repr(self) -> str:
        """Say from which shape to which the map leads."""
        return f"{self.source} -> {self.target}, channels={self.channels}"

    def _check_like(self, spikes: Tensor) -> None:
        """Refuse spikes of another device or precision than the weights."""
        weight = self.parameter_like
        if weight is None:
            if not spikes.is_floating_point():
                raise ValueError(f"spikes has dtype {spikes.dtype}; write spikes.float()")
            return
        check_same_device(spikes=spikes, weight=weight)
        if spikes.dtype != weight.dtype:
            raise ValueError(
                f"spikes has dtype {spikes.dtype}; the weights {weight.dtype}: write "
                f"spikes.to({weight.dtype})"
            )


def draw_weight(
    shape: Shape,
    fan_in: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device | str | None,
) -> nn.Parameter:
    """Draw weights from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the same in every precision."""
    return scale_weight(draw_uniform(shape, generator), fan_in, dtype, device)


def draw_uniform(shape: Shape, generator: torch.Generator) -> Tensor:
    """Draw from U(0, 1) in float64, whatever the precision of the weights."""
    return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)


def scale_weight(
    uniform: Tensor, fan_in: int, dtype: torch.dtype, device: torch.device | str | None
) -> nn.Parameter:
    """Turn U(0, 1) into weights of U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    start = (2 * uniform - 1) / math.sqrt(fan_in)
    return nn.Parameter(start.to(device=place(device), dtype=dtype))


def lowered(*factors: Tensor) -> tuple[Tensor, ...]:
    """Give the factors of a product in the precision of autocast, where it is on."""
    dtype = lowered_dtype(factors[0])
    return factors if dtype is None else tuple(factor.to(dtype) for factor in factors)


def aligned(values: Tensor) -> Tensor:
    """Copy what does not start at a whole cache line, where products round otherwise."""
    return values if values.data_ptr() % 64 == 0 else values.clone()
