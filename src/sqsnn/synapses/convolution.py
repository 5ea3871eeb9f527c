"""Convolutions: neurons of a map share their weights and see a window each, in 1-D or 2-D.

z[n, m, i] = sum_{m', j} w[n, m, m', j] x[m', stride i + j - padding, n] + b[n, m]
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.checks import Shape, check_positive_int, differentiable_once
from sqsnn.synapses.base import Synapses, aligned, draw_weight, lowered


def convolved_shape(
    source: Shape, maps: int, kernel: int, stride: int, padding: int
) -> Shape | None:
    """Give the shape that a convolution makes of a grid; None if its window finds no place."""
    sides = [(side + 2 * padding - kernel) // stride + 1 for side in source[1:]]
    return (maps, *sides) if min(sides) > 0 else None


class ConvolutionSynapses(Synapses):
    """One convolution per channel.

    Args:
        source: Shape of the presynaptic population, `(maps, length)` or `(maps, height, width)`.
        maps: Maps of the postsynaptic population.
        kernel: Side of a window.
        stride: Distance between windows.
        padding: Zeros added on each side.
        channels: Channels N.
        bias: Whether every map and channel adds a bias, which starts at 0.
        generator: Draws the initial weights from U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
        dtype: torch.float32 or torch.float64.
        device: Where the weights lie.

    Attributes:
        weight: The weights, `(N, maps, source maps, kernel)` or `(..., kernel, kernel)`.
        bias: The biases, `(N, maps)`, or None.
    """

    def __init__(
        self,
        source: Shape,
        maps: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        channels: int = 1,
        bias: bool = False,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        check_positive_int("kernel", kernel)
        check_positive_int("stride", stride)
        check_positive_int("padding", padding, low=0)
        if len(source) not in (2, 3):
            raise ValueError(f"source is {source}; it must be a grid of 1 or 2 dimensions and maps")
        target = convolved_shape(source, maps, kernel, stride, padding)
        if target is None:
            raise ValueError(f"a window of {kernel} finds no place in a source of {source}")
        super().__init__(source, target, channels)
        self.kernel, self.stride, self.padding = kernel, stride, padding
        shape = (channels, maps, source[0], *[kernel] * self.dimensions)
        self.weight = draw_weight(shape, self.fan_in, generator, dtype, device)
        self.bias = None
        if bias:
            self.bias = nn.Parameter(torch.zeros(channels, maps, dtype=dtype, device=device))

    @property
    def parameter_like(self) -> Tensor:
        """The weights."""
        return self.weight

    @property
    def dimensions(self) -> int:
        """The dimensions of the grid, 1 or 2."""
        return len(self.source) - 1

    @property
    def fan_in(self) -> int:
        """The weights of a window."""
        return self.source[0] * self.kernel**self.dimensions

    def carry(self, spikes: Tensor) -> Float[Tensor, "T B H N"]:
        """Compute the currents of T steps, one convolution per step and channel."""
        grid, weight = lowered(spikes.unflatten(2, self.source), self.weight)
        currents = _StepwiseConvolution.apply(grid, weight, self.target, self.stride, self.padding)
        if self.bias is None:
            return currents
        each = self.bias.repeat_interleave(math.prod(self.target[1:]), dim=1)  # (N, H)
        return currents + each.T

    def gather(self, values: Float[Tensor, " H"]) -> Float[Tensor, " P"]:
        """Sum values of neurons over those that each presynaptic neuron feeds, in float64."""
        weight = values.new_ones(self.weight.shape[1:])
        spikes = values.new_zeros(1, *self.source)
        gradient = values.view(1, *self.target)
        geometry = _geometry(self.dimensions, self.stride, self.padding)
        gathered, *_ = torch.ops.aten.convolution_backward(
            gradient, spikes, weight, None, *geometry, [True, False, False]
        )
        return gathered.flatten()


class _StepwiseConvolution(torch.autograd.Function):
    """One convolution per step and channel: a sequence in two halves gives the same bits.

    The gradients go step by step, too: one call for all steps takes up to twice the time, since
    what it needs does not fit into the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, spikes: Tensor, weight: Tensor, target: Shape, stride: int, padding: int
    ) -> Tensor:
        ctx.save_for_backward(spikes, weight)
        ctx.target = target
        ctx.geometry = _geometry(weight.dim() - 3, stride, padding)
        steps, batch = spikes.shape[:2]
        currents = spikes.new_empty(len(weight), steps, batch, *target)
        for n, kernel in enumerate(weight):
            source = _of_channel(spikes, n)
            for t in range(steps):
                x = aligned(source[t].contiguous())
                currents[n, t] = torch.ops.aten.convolution(x, kernel, None, *ctx.geometry)
        return currents.flatten(3).movedim(0, -1)

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spikes, weight = ctx.saved_tensors
        wanted = [*ctx.needs_input_grad[:2], False]
        by_spikes = torch.zeros_like(spikes) if wanted[0] else None
        by_weight = torch.zeros_like(weight) if wanted[1] else None
        for n, kernel in enumerate(weight):
            source = _of_channel(spikes, n)
            for t, x in enumerate(source):
                arriving = gradient[t, ..., n].unflatten(1, ctx.target)
                back, own, _ = torch.ops.aten.convolution_backward(
                    arriving, x, kernel, None, *ctx.geometry, wanted
                )
                if by_spikes is not None:
                    _of_channel(by_spikes, n)[t] += back
                if by_weight is not None:
                    by_weight[n] += own
        return by_spikes, by_weight, None, None, None


def _of_channel(spikes: Tensor, channel: int) -> Tensor:
    """A view of one channel; one presynaptic channel stands for all."""
    return spikes[..., channel if spikes.shape[-1] > 1 else 0]


def _geometry(dimensions: int, stride: int, padding: int) -> tuple[Any, ...]:
    """Stride, padding, dilation, transposed, output padding and groups, as torch takes them."""
    ones, zeros = [1] * dimensions, [0] * dimensions
    return [stride] * dimensions, [padding] * dimensions, ones, False, zeros, 1
