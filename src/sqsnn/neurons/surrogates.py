"""Gradients by convention: what backpropagation sees of a sampled spike and of the encoding.

The forward values are exact; only the backward pass is chosen here. A function may stand beside
the names, and then serves backpropagation, feedback and online traces alike:

    surrogate(p)         d(spike)/d(p) at the firing probabilities p: 1 ("straight_through"),
                         p (1 - p) ("sigmoid"), or a function of your own
    encoding_slope(z)    (d phi/d z) / pi at the currents z, on both sides of 0

Each takes a tensor of any shape and returns one of the same shape.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.placing import bounded, smallest_probability

SpikeSurrogate = Literal["straight_through", "sigmoid"] | Callable[[Tensor], Tensor]
EncodingSlope = Literal["exponential", "exact"] | Callable[[Tensor], Tensor]

# Distance from the encoding's range, in units of current, at which the slope has fallen to 1/e.
SILENT_SCALE = 0.3
# Of cos and sin of half the angle, in units of pi.
PERIOD = 4.0
# Slope of a membrane below its floor.
FLOOR_SLOPE = 0.3


def spike(bits: Tensor, probability: Tensor, surrogate: SpikeSurrogate) -> Tensor:
    """Pass sampled bits on, with the surrogate's gradient for the probability p of a spike."""
    return _Spike.apply(bits, probability, surrogate)


def own_spike(bits: Tensor, probability: Tensor, surrogate: SpikeSurrogate) -> Tensor:
    """Do the same for a spike that acts on its own neuron's next step; hold its gradient.

    From step to step it may grow without bound.
    """
    return _OwnSpike.apply(bits, probability, surrogate)


def spike_slope(probability: Tensor, surrogate: SpikeSurrogate) -> Tensor | float:
    """Compute d(spike)/d(p), the slope of a surrogate, for rules that work without autograd."""
    if callable(surrogate):
        return surrogate(probability)
    return probability * (1 - probability) if surrogate == "sigmoid" else 1.0


def encoding_angle(
    currents: Tensor,
    slope: EncodingSlope,
    *,
    saturate: bool = False,
    gain: Tensor | float = 1.0,
) -> Tensor:
    """Encode currents as angles, gain phi with phi = pi max(z, 0), or pi clip(z, 0, 1) to saturate.

    Whole turns of 4 pi are left out before pi comes in: angles of currents up to 1e6 are exact to
    rounding. A gain belongs to all currents, or broadcasts to them.

    In the backward pass the slope outside that range, d away, is 0 ("exact"; a neuron whose current
    is negative for every sample then never learns again) or pi exp(-d / 0.3) ("exponential"); a
    function of z gives slope / pi everywhere.
    """
    whole = not isinstance(gain, Tensor) and gain == 1
    if whole and slope != "exact":
        return _Encoding.apply(currents, slope, saturate)
    turns = encoding_turns(currents, slope, saturate=saturate)
    if whole:
        return math.pi * (turns if saturate else turns.fmod(PERIOD))
    return _Angle.apply(turns, torch.as_tensor(gain, dtype=turns.dtype, device=turns.device))


def encoding_turns(currents: Tensor, slope: EncodingSlope, *, saturate: bool = False) -> Tensor:
    """Compute phi / pi, no turn left out; see `encoding_angle`."""
    if slope != "exact":
        return _Turns.apply(currents, slope, saturate)
    # Unlike clamp's, the slope of relu at 0 is 0.
    rectified = currents.relu()
    return rectified - (currents - 1).relu() if saturate else rectified


def floored(values: Float[Tensor, "*shape"], floor: float, *, exact: bool) -> Tensor:
    """Keep values at or above a floor; below it the slope is 0.3, or 0 where it is to be exact.

    A membrane on the floor would otherwise pass no gradient to the currents that push it there.
    """
    return _Floored.apply(values, floor, 0.0 if exact else FLOOR_SLOPE)


def floor_slope(membrane: Tensor, floor: float, *, exact: bool) -> Tensor:
    """Compute the slope of `floored` where it gave these values, for rules without autograd."""
    slope = torch.full_like(membrane, 0.0 if exact else FLOOR_SLOPE)
    return slope.masked_fill_(membrane > floor, 1.0)


def threshold(excess: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Give 1 where a membrane exceeds its threshold, else 0, with the slope of atan(pi x) / pi."""
    return _Threshold.apply(excess)


def log_of(probability: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Take the logarithm; an impossible event gives -inf with gradient 0.

    Gradients, 1/p, are held to the largest that a step passes on.
    """
    return _Log.apply(probability)


def held(values: Float[Tensor, "*shape"], low: float, high: float) -> Float[Tensor, "*shape"]:
    """Clamp values to [low, high], but let a gradient that leads back inside pass.

    A plain clamp would keep a learned parameter outside for ever once it has crossed a bound.
    """
    return _Held.apply(values, low, high)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bits: Tensor, probability: Tensor, surrogate: SpikeSurrogate) -> Tensor:
        ctx.surrogate = surrogate
        if surrogate != "straight_through":
            ctx.save_for_backward(probability)
        return bits.view_as(bits)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        return None, _through_spike(ctx, gradient), None


class _OwnSpike(torch.autograd.Function):
    forward = _Spike.forward

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        return None, _through_spike(ctx, bounded(gradient)), None


def _through_spike(ctx: Any, gradient: Tensor) -> Tensor:
    if ctx.surrogate == "straight_through":
        return gradient
    (probability,) = ctx.saved_tensors
    if ctx.surrogate == "sigmoid":
        return gradient * probability * (1 - probability)
    return gradient * ctx.surrogate(probability)


class _Turns(torch.autograd.Function):
    """Currents in the range of the encoding, with its slope."""

    @staticmethod
    def forward(ctx: Any, currents: Tensor, slope: EncodingSlope, saturate: bool) -> Tensor:
        ctx.save_for_backward(currents)
        ctx.slope, ctx.saturate = slope, saturate
        return currents.clamp(0.0, 1.0 if saturate else None)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _through_encoding(ctx, gradient), None, None


class _Encoding(torch.autograd.Function):
    """Angles without a gain, in fewer operations."""

    @staticmethod
    def forward(ctx: Any, currents: Tensor, slope: EncodingSlope, saturate: bool) -> Tensor:
        ctx.save_for_backward(currents)
        ctx.slope, ctx.saturate = slope, saturate
        if saturate:
            return currents.clamp(0.0, 1.0).mul_(math.pi)
        return currents.clamp_min(0.0).fmod_(PERIOD).mul_(math.pi)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _through_encoding(ctx, gradient).mul_(math.pi), None, None


def _through_encoding(ctx: Any, gradient: Tensor) -> Tensor:
    (currents,) = ctx.saved_tensors
    if callable(ctx.slope):
        slope: Any = ctx.slope(currents)
        return slope * gradient
    # exp(0) = 1 is the slope of the inside, so that one clamp serves it, too.
    outside = currents.clamp_max(0.0)
    if ctx.saturate:
        outside -= (currents - 1).clamp_min_(0.0)
    return outside.div_(SILENT_SCALE).exp_().mul_(gradient)


class _Angle(torch.autograd.Function):
    """pi times the product of turns and gains, whole periods left out."""

    @staticmethod
    def forward(ctx: Any, turns: Tensor, gain: Tensor) -> Tensor:
        ctx.save_for_backward(turns, gain)
        # Of float32, the product in float64 is exact.
        return (turns.double() * gain.double()).fmod_(PERIOD).to(turns.dtype).mul_(math.pi)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        turns, gain = ctx.saved_tensors
        turned = math.pi * gradient
        by_gain = (turns * turned).sum_to_size(gain.shape) if ctx.needs_input_grad[1] else None
        return gain * turned, by_gain


class _Floored(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, floor: float, slope: float) -> Tensor:
        ctx.save_for_backward(values > floor)
        ctx.slope = slope
        return values.clamp_min(floor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (above,) = ctx.saved_tensors
        return torch.where(above, gradient, ctx.slope * gradient), None, None


class _Threshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, excess: Tensor) -> Tensor:
        ctx.save_for_backward(excess)
        return (excess > 0).to(excess.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (excess,) = ctx.saved_tensors
        return gradient / (1 + (math.pi * excess).square())


class _Log(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, probability: Tensor) -> Tensor:
        possible = probability >= smallest_probability(probability)
        ctx.save_for_backward(probability, possible)
        return torch.where(possible, probability, 0.0).log()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        probability, possible = ctx.saved_tensors
        return bounded(gradient / torch.where(possible, probability, 1.0)) * possible


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
