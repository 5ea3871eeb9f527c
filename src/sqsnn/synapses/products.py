"""Products of spikes and weights, one per step and channel, and their gradients."""

from functools import reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import differentiable_once
from sqsnn.native import events
from sqsnn.synapses.base import aligned


def dense_product(spikes: Tensor, weight: Tensor) -> Float[Tensor, "T B H N"]:
    """Multiply spikes, `(T, B, P, N)` or `(T, B, P, 1)`, and weights, `(N, H, P)`."""
    return _StepwiseProduct.apply(spikes, weight)


def event_product(spikes: Tensor, weight: Tensor) -> Float[Tensor, "T B H N"]:
    """Add the weights of those spikes that are not 0; see `dense_product`."""
    return _EventProduct.apply(spikes, weight)


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
                torch.mm(aligned(source[t]), weight[n].T, out=currents[n, t])
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
    @differentiable_once
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
