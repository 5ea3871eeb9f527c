"""Gradients by convention: what backpropagation sees of a sampled spike and of the encoding.

The forward values are exact; only the backward pass is chosen here.
"""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

SpikeSurrogate = Literal["straight_through", "sigmoid"]
EncodingSlope = Literal["exponential", "exact"]

# How far a current lies outside what the encoding takes when its surrogate slope has fallen to 1/e.
SILENT_SCALE = 0.3


def spike(
    bits: Float[Tensor, "*shape"], probability: Float[Tensor, "*shape"], surrogate: SpikeSurrogate
) -> Float[Tensor, "*shape"]:
    """The sampled bits; d(spike)/d(p) is 1 (straight_through) or p (1 - p) (sigmoid)."""
    return _Spike.apply(bits, probability, surrogate == "sigmoid")


def spike_slope(
    probability: Float[Tensor, "*shape"], surrogate: SpikeSurrogate
) -> Float[Tensor, "*shape"] | float:
    """d(spike)/d(p) of a surrogate, for rules that do without autograd."""
    return probability * (1 - probability) if surrogate == "sigmoid" else 1.0


def encoding_angle(
    currents: Float[Tensor, "*shape"], slope: EncodingSlope, *, saturate: bool = False
) -> Float[Tensor, "*shape"]:
    """phi = pi max(z, 0); the slope for z <= 0 is 0 (exact) or exp(z / 0.3) (exponential).

    With the exact slope a neuron whose current is negative for every sample never learns again.

    Args:
        currents: z.
        slope: What the backward pass sees outside the range.
        saturate: No current turns further than a full flip, phi = pi min(max(z, 0), 1); the slope
            for z > 1 is 0 or exp(-(z - 1) / 0.3).
    """
    if slope == "exponential":
        return _ExponentialSlope.apply(currents, saturate)
    # Unlike clamp's, the slope of relu at 0 is 0.
    rectified = currents.relu()
    return math.pi * (rectified - (currents - 1).relu() if saturate else rectified)


def threshold(excess: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1 where a membrane exceeds its threshold, else 0; the slope is that of atan(pi x) / pi."""
    return _Threshold.apply(excess)


def held(values: Float[Tensor, "*shape"], low: float, high: float) -> Float[Tensor, "*shape"]:
    """Values clamped to [low, high]; a gradient that leads back inside passes at the bounds.

    Clamped without it, a learned parameter that once crosses a bound stays there.
    """
    return _Held.apply(values, low, high)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bits: Tensor, probability: Tensor, sigmoid: bool) -> Tensor:
        ctx.sigmoid = sigmoid
        if sigmoid:
            ctx.save_for_backward(probability)
        return bits.view_as(bits)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        if not ctx.sigmoid:
            return None, gradient, None
        (probability,) = ctx.saved_tensors
        return None, gradient * probability * (1 - probability), None


class _ExponentialSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, currents: Tensor, saturate: bool) -> Tensor:
        ctx.save_for_backward(currents)
        ctx.saturate = saturate
        return currents.clamp(0.0, 1.0 if saturate else None).mul_(math.pi)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (currents,) = ctx.saved_tensors
        # exp(0) = 1 is the slope of the inside, so that one clamp serves it, too.
        outside = currents.clamp_max(0.0)
        if ctx.saturate:
            outside -= (currents - 1).clamp_min_(0.0)
        return outside.div_(SILENT_SCALE).exp_().mul_(gradient).mul_(math.pi), None


class _Threshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, excess: Tensor) -> Tensor:
        ctx.save_for_backward(excess)
        return (excess > 0).to(excess.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (excess,) = ctx.saved_tensors
        return gradient / (1 + (math.pi * excess).square())


class _Held(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: float, high: float) -> Tensor:
        # A descent step goes against the gradient: below, a negative one leads back inside.
        ctx.save_for_backward(values < low, values > high)
        return values.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        below, above = ctx.saved_tensors
        outward = (below & (gradient > 0)) | (above & (gradient < 0))
        return gradient.masked_fill(outward, 0.0), None, None
