"""Synapses: spikes in, currents out.

    z[n, h] = sum_p w[n, h, p] x[p, n]

Channel n of every presynaptic neuron feeds channel n; presynaptic spikes of one channel feed all.
"""

import math
from functools import reduce
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sqsnn.checks import check_choice, check_positive_int, check_same_device, check_shape
from sqsnn.native import events, library

Method = Literal["dense", "events"]
DENSE: Method = "dense"  # the default


def check_method(
    method: Method, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> None:
    """Refuse a method of synapses that does not exist, or that cannot run on such weights."""
    check_choice("synapses", method, Method)
    if method == DENSE:
        return
    obstacle = library.obstacle()
    if torch.device(device).type != "cpu":
        obstacle = f"the weights are on {device}, and the compiled kernel runs on CPUs"
    elif dtype not in (torch.float32, torch.float64):
        obstacle = f"the weights are {dtype}, and the compiled kernel takes float32 and float64"
    if obstacle is not None:
        raise ValueError(f"synapses is 'events', but {obstacle}; use 'dense'")


class Synapses(nn.Module):
    """Linear maps from spikes to currents, one per channel, without bias.

    Args:
        presynaptic: Presynaptic neurons P.
        neurons: Postsynaptic neurons H.
        channels: Channels N.
        method: "dense" multiplies matrices; "events" adds, through the compiled kernel, the weights
            of those inputs alone that are not 0, in their order, whatever the batch. It is faster
            where few inputs fire. A weight that is not finite acts where its input fires alone.
        generator: Draws the initial weights from U(-1/sqrt(P), 1/sqrt(P)).
        dtype: torch.float32 or torch.float64.
        device: Where the weights lie.

    Attributes:
        weight: The weights, `(N, H, P)`.
    """

    def __init__(
        self,
        presynaptic: int,
        neurons: int,
        *,
        channels: int = 1,
        method: Method = DENSE,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        check_positive_int("presynaptic", presynaptic)
        check_positive_int("neurons", neurons)
        check_positive_int("channels", channels)
        shape = (channels, neurons, presynaptic)
        uniform = torch.rand(
            shape, generator=generator, device=generator.device, dtype=torch.float64
        )
        start = (2 * uniform - 1) / math.sqrt(presynaptic)
        self.weight = nn.Parameter(start.to(device=device, dtype=dtype))
        self.method: Method = method
        self._check_method()

    def forward(self, spikes: Tensor) -> Float[Tensor, "T B H N"]:
        """Compute the currents of T steps.

        Args:
            spikes: Presynaptic spikes, `(T, B, P, N)` or `(T, B, P, 1)`.
        """
        channels, _, presynaptic = self.weight.shape
        given = spikes.shape[-1] if spikes.dim() == 4 else 1
        check_shape(
            "spikes", spikes, ("steps", "batch", presynaptic, 1 if given == 1 else channels)
        )
        check_same_device(spikes=spikes, weight=self.weight)
        if spikes.dtype != self.weight.dtype:
            raise ValueError(f"spikes has dtype {spikes.dtype}; the weights {self.weight.dtype}")
        if self.method == DENSE:
            return _StepwiseProduct.apply(spikes, self.weight)
        self._check_method()
        return _EventProduct.apply(spikes, self.weight)

    def _check_method(self) -> None:
        """Refuse a method that cannot run on the weights, which may have moved."""
        check_method(self.method, self.weight.device, self.weight.dtype)


class _StepwiseProduct(torch.autograd.Function):
    """One matrix product per step and channel: a sequence in two halves gives the same bits.

    The gradients, free of that promise, are one product per channel.
    """

    @staticmethod
    def forward(ctx: Any, spikes: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(spikes, weight)
        steps, batch = spikes.shape[:2]
        channels, neurons, _ = weight.shape
        currents = spikes.new_empty(channels, steps, batch, neurons)
        for n in range(channels):
            source = spikes[..., n if spikes.shape[-1] > 1 else 0]
            for t in range(steps):
                torch.mm(_aligned(source[t]), weight[n].T, out=currents[n, t])
        return currents.movedim(0, -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        spikes, weight = ctx.saved_tensors
        needs_spikes, needs_weight = ctx.needs_input_grad
        by_channel = [g.flatten(0, 1) for g in gradient.unbind(-1)]  # (T*B, H)
        spike_gradient = weight_gradient = None
        if needs_weight:
            sources = [x.flatten(0, 1) for x in spikes.unbind(-1)]  # (T*B, P)
            sources = sources if len(sources) == len(by_channel) else sources * len(by_channel)
            weight_gradient = torch.empty_like(weight)
            for target, g, x in zip(weight_gradient, by_channel, sources, strict=True):
                torch.mm(g.T, x, out=target)
        if needs_spikes:
            spike_gradient = _spike_gradient(by_channel, weight, spikes.shape)
        return spike_gradient, weight_gradient


class _EventProduct(torch.autograd.Function):
    """Sums over events: a row of currents has the same bits in any batch and any split in time."""

    @staticmethod
    def forward(ctx: Any, spikes: Tensor, weight: Tensor) -> Tensor:
        found = [events.find(x.flatten(0, 1)) for x in spikes.unbind(-1)]
        ctx.save_for_backward(weight, *(part for source in found for part in source))
        ctx.shape = spikes.shape
        steps, batch = spikes.shape[:2]
        channels, neurons, _ = weight.shape
        currents = weight.new_empty(channels, steps * batch, neurons)
        for n in range(channels):
            events.currents(found[n if len(found) > 1 else 0], weight[n], currents[n])
        return currents.unflatten(1, (steps, batch)).movedim(0, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        weight, *parts = ctx.saved_tensors
        needs_spikes, needs_weight = ctx.needs_input_grad
        by_channel = [g.flatten(0, 1) for g in gradient.unbind(-1)]  # (T*B, H)
        spike_gradient = weight_gradient = None
        if needs_weight:
            found = [events.Events(*parts[k : k + 3]) for k in range(0, len(parts), 3)]
            by_source = [events.by_column(source, weight.shape[2]) for source in found]
            weight_gradient = torch.empty_like(weight, memory_format=torch.contiguous_format)
            for n, g in enumerate(by_channel):
                source = by_source[n if len(by_source) > 1 else 0]
                events.weight_gradient(source, g, weight_gradient[n])
        if needs_spikes:
            spike_gradient = _spike_gradient(by_channel, weight, ctx.shape)
        return spike_gradient, weight_gradient


def _spike_gradient(by_channel: list[Tensor], weight: Tensor, shape: torch.Size) -> Tensor:
    """Carry gradients by the currents, `(T*B, H)` per channel, to spikes of a shape."""
    products = [g @ w for g, w in zip(by_channel, weight, strict=True)]
    if shape[-1] == 1:
        flat = reduce(torch.add, products).unsqueeze(-1)
    else:
        flat = torch.stack(products, dim=-1)
    return flat.unflatten(0, shape[:2])


def _aligned(matrix: Tensor) -> Tensor:
    """Copy a matrix that does not start at a whole cache line, where products round otherwise."""
    return matrix if matrix.data_ptr() % 64 == 0 else matrix.clone()
