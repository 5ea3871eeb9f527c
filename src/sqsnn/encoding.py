"""From values to spikes: rate, latency, delta and direct encoding.

Every encoding keeps the dtype and the device of its values and puts time first: its spikes have
shape (T, B, P, channels), ready for a network. Values are intensities in [0, 1], series are any
finite numbers. What does not fit raises a TypeError or ValueError that names it.
"""

import math
from collections.abc import Callable
from dataclasses import field
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor

from sqsnn.checks import (
    check_finite,
    check_positive_int,
    check_same_device,
    check_shape,
    check_unit_interval,
)
from sqsnn.options import options
from sqsnn.uniforms import draw_uniforms


def rate(
    values: Float[Tensor, "B P"],
    steps: int,
    *,
    max_rate: float = 1.0,
    generator: torch.Generator | None = None,
    uniforms: Float[Tensor, "T B P"] | None = None,
) -> Float[Tensor, "T B P 1"]:
    """Spike at every step with a probability proportional to the value.

    A spike falls where u < value * max_rate, u uniform in [0, 1): a probability of 0 never spikes
    and one of 1 always does. The numbers are drawn step by step, so that encoding in two halves
    with one generator equals encoding in one pass.

    Example:
        >>> rate(torch.tensor([[0.0, 1.0]]), 3, generator=torch.Generator()).squeeze().T
        tensor([[0., 0., 0.],
                [1., 1., 1.]])

    Args:
        values: Intensities in [0, 1].
        steps: Time steps T, at least 1.
        max_rate: Probability of a spike per step at a value of 1; above 0, at most 1.
        generator: Draws the random numbers; must be on the device of `values`.
        uniforms: The random numbers themselves instead, in [0, 1).
    """
    _check_intensities(values, steps)
    if not 0.0 < max_rate <= 1.0:
        raise ValueError(f"max_rate must be above 0 and at most 1, but is {max_rate}")
    batch, features = values.shape
    probability = values.detach() * max_rate
    if generator is not None and uniforms is None:
        drawn = draw_uniforms(steps, batch, features, generator, values.dtype, values.device)
        # The numbers are ours, so the answer takes their place: half the memory traffic.
        return drawn.lt_(probability).unsqueeze(-1)
    if uniforms is None or generator is not None:
        given = "neither" if uniforms is None else "both"
        raise TypeError(f"rate needs exactly one of generator and uniforms, but got {given}")
    check_shape("uniforms", uniforms, (steps, batch, features))
    check_same_device(values=values, uniforms=uniforms)
    if uniforms.dtype != values.dtype:
        raise TypeError(
            f"uniforms must have the dtype of values, {values.dtype}, but have {uniforms.dtype}"
        )
    check_unit_interval("uniforms", uniforms, below_one=True)
    return (uniforms < probability).to(values.dtype).unsqueeze(-1)


def latency(values: Float[Tensor, "B P"], steps: int) -> Float[Tensor, "T B P 1"]:
    """Spike once, the brighter the earlier.

    The spike falls at step round((1 - value) (T - 1)), counted from 0 and with halves rounded to
    the even step: a value of 1 at the first step, one just above 0 at the last. A value of 0 never
    spikes. With T = 1 every value above 0 spikes at the only step.

    Args:
        values: Intensities in [0, 1].
        steps: Time steps T, at least 1.
    """
    _check_intensities(values, steps)
    values = values.detach()
    when = torch.round((1.0 - values) * (steps - 1)).to(torch.int64)  # (B, P)
    spikes = values.new_zeros((steps, *values.shape))
    spikes.scatter_(0, when.unsqueeze(0), (values > 0).to(values.dtype).unsqueeze(0))
    return spikes.unsqueeze(-1)


def delta(series: Float[Tensor, "T B P"], threshold: float) -> Float[Tensor, "T B P 2"]:
    """Spike where a series has moved by a threshold since the last spike (send on delta).

    A reference starts at the first step's value, so that the first step never spikes. At every
    later step, series - reference >= threshold spikes on channel 0 (ON) and moves the reference up
    by one threshold; reference - series >= threshold spikes on channel 1 (OFF) and moves it down by
    one. At most one spike falls per step: a jump of k thresholds takes k steps.

    The receiver can follow: series[0] + threshold * cumsum(ON - OFF) is the reference, and stays
    within one threshold of the series as long as the series moves by at most one threshold a step.

    Args:
        series: Any finite numbers.
        threshold: Change that makes a spike, in the units of `series`; above 0.

    Source:
        Miskowicz, Send-On-Delta Concept: An Event-Based Data Reporting Strategy, Sensors 6 (2006),
        with the reference moved by one threshold per spike, as in delta modulation.
    """
    check_shape("series", series, ("T", "B", "P"))
    _check_dtype("series", series)
    check_finite("series", series)
    if series.shape[0] < 1:
        raise ValueError(f"series must have at least 1 step, but has shape {tuple(series.shape)}")
    if not (threshold > 0 and math.isfinite(threshold)):
        raise ValueError(f"threshold must be a finite number above 0, but is {threshold}")
    series = series.detach()
    spikes = series.new_zeros((*series.shape, 2))
    # Counting whole thresholds keeps the reference exact; adding them up would let it drift.
    level = torch.zeros_like(series[0])  # (B, P)
    for value, spike in zip(series[1:], spikes[1:], strict=True):
        change = value - (series[0] + threshold * level)
        spike[..., 0] = change >= threshold
        spike[..., 1] = change <= -threshold
        level += spike[..., 0] - spike[..., 1]
    return spikes


def direct(values: Float[Tensor, "B P"], steps: int) -> Float[Tensor, "T B P 1"]:
    """Feed the value itself, unchanged, at every step.

    The first synapses then see a constant input current instead of spikes; there is no randomness,
    and the gradient reaches the values. The steps share one memory: copy before writing into them.

    Args:
        values: Intensities in [0, 1].
        steps: Time steps T, at least 1.
    """
    _check_intensities(values, steps)
    return values.expand(steps, *values.shape).unsqueeze(-1)


def _check_intensities(values: Tensor, steps: int) -> None:
    check_shape("values", values, ("B", "P"))
    _check_dtype("values", values)
    check_unit_interval("values", values)
    check_positive_int("steps", steps)


def _check_dtype(argument: str, tensor: Tensor) -> None:
    if tensor.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"{argument} must have dtype torch.float32 or torch.float64, but has {tensor.dtype}"
        )


def _time_first(values: Tensor, steps: int) -> Tensor:
    channels = ("N",) if values.ndim == 4 else ()
    check_shape("values (encoding 'spikes')", values, ("B", steps, "P", *channels))
    spikes = values.movedim(1, 0)
    return spikes if channels else spikes.unsqueeze(-1)


@options
class _Encoding:
    """What the encodings share: a function of values and steps."""

    # A docstring would describe it here alone, and not in the encodings.
    steps: Annotated[PositiveInt, Field(description="Time steps per sample.")] = 10
    function: ClassVar[Callable[[Tensor, int], Tensor]]

    def encode(
        self, values: Tensor, *, generator: torch.Generator, shared: bool = False
    ) -> Float[Tensor, "T B P N"]:
        """Turn values into spikes.

        Args:
            values: Intensities in [0, 1], `(B, P)`; for `Spikes` the spike trains, `(B, T, P)` or
                `(B, T, P, N)`.
            generator: Draws the random numbers of `Rate`; the other encodings draw none.
            shared: Give every sample the same random numbers.
        """
        return type(self).function(values, self.steps)


@options
class Rate(_Encoding):
    """Random spikes: in every step, a value is the probability of a spike."""

    max_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Spike probability per step at a value of 1."""
    kind: Literal["rate"] = field(default="rate", kw_only=True, repr=False)

    def encode(
        self, values: Tensor, *, generator: torch.Generator, shared: bool = False
    ) -> Float[Tensor, "T B P 1"]:
        """Draw spikes; see `_Encoding.encode`."""
        if not shared:
            return rate(values, self.steps, max_rate=self.max_rate, generator=generator)
        batch, features = values.shape
        one = draw_uniforms(self.steps, 1, features, generator, values.dtype, values.device)
        uniforms = one.expand(-1, batch, -1)
        return rate(values, self.steps, max_rate=self.max_rate, uniforms=uniforms)


@options
class Latency(_Encoding):
    """One spike per value, the larger the earlier."""

    kind: Literal["latency"] = field(default="latency", kw_only=True, repr=False)

    function = staticmethod(latency)


@options
class Direct(_Encoding):
    """The value itself at every step, as an analogue input."""

    kind: Literal["direct"] = field(default="direct", kw_only=True, repr=False)

    function = staticmethod(direct)


@options
class Spikes(_Encoding):
    """Samples that are spike trains already, of as many steps."""

    kind: Literal["spikes"] = field(default="spikes", kw_only=True, repr=False)

    function = staticmethod(_time_first)
