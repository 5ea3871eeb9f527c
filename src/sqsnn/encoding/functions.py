"""From values to spikes or currents: one function per encoding.

Every function takes samples that do not change in time, `(B, P)`, or series, `(B, T0, P)`, of which
each value lasts T / T0 steps. It keeps their dtype and device and puts time first: what it returns
has shape `(T, B, P', channels)`, ready for a network. What does not fit raises a TypeError or
ValueError that names it.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import (
    check_finite,
    check_positive_int,
    check_same_device,
    check_shape,
    check_unit_interval,
)
from sqsnn.encoding.duration import hold, steps_per_value
from sqsnn.uniforms import draw_uniforms

Values = Float[Tensor, "B P"] | Float[Tensor, "B length P"]

LATENCY_STEPS = 2, "with one, all spikes fall together"
PHASE_STEPS = "one per bit"
MAXIMUM_BITS = 24  # of float32


def rate(
    values: Values,
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
        steps: Time steps T, a multiple of the length of a series.
        max_rate: Probability of a spike per step at a value of 1; above 0, at most 1.
        generator: Draws the random numbers; must be on the device of `values`.
        uniforms: The random numbers themselves instead, in [0, 1).
    """
    series = _time_first(values)
    if not 0.0 < max_rate <= 1.0:
        raise ValueError(f"max_rate must be above 0 and at most 1, but is {max_rate}")
    lasting = steps_per_value(steps, len(series))
    _, batch, features = series.shape
    probability = hold(series.detach() * max_rate, lasting)
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


def latency(values: Values, steps: int) -> Float[Tensor, "T B P 1"]:
    """Spike once per value, the larger the earlier.

    Of the K = T / T0 steps of a value, counted from 0, the spike falls at step
    round((1 - value) (K - 1)), with halves rounded to the even step: a value of 1 at the first
    step, one just above 0 at the last. A value of 0 never spikes.

    Args:
        values: Intensities in [0, 1].
        steps: Time steps T, a multiple of the length of a series, at least 2 per value.
    """
    series = _time_first(values).detach()
    lasting = steps_per_value(steps, len(series), *LATENCY_STEPS)
    when = torch.round((1.0 - series) * (lasting - 1)).to(torch.int64)
    spikes = series.new_zeros((len(series), lasting, *series.shape[1:]))
    spikes.scatter_(1, when.unsqueeze(1), (series > 0).to(series.dtype).unsqueeze(1))
    return spikes.flatten(0, 1).unsqueeze(-1)


def delta(
    values: Float[Tensor, "B length P"], steps: int, *, threshold: float = 0.1
) -> Float[Tensor, "T B P 2"]:
    """Spike where a series has moved by a threshold since the last spike (send on delta).

    A reference starts at the first value, so that the first step never spikes. At every later
    step, value - reference >= threshold spikes on channel 0 (ON) and moves the reference up by one
    threshold; reference - value >= threshold spikes on channel 1 (OFF) and moves it down by one. At
    most one spike falls per step: a jump of k thresholds takes k steps, which more steps per value
    leave time for.

    The receiver can follow: the first value + threshold * cumsum(ON - OFF) is the reference, and
    stays within one threshold of the series as long as that moves by at most one threshold a step.

    Args:
        values: Series of any finite numbers.
        steps: Time steps T, a multiple of the length of a series.
        threshold: Change that makes a spike, in the units of `values`; above 0.

    Source:
        Miskowicz, Send-On-Delta Concept: An Event-Based Data Reporting Strategy, Sensors 6 (2006),
        with the reference moved by one threshold per spike, as in delta modulation.
    """
    series = _time_first(values, bounded=False).detach()
    if values.ndim == 2:
        raise ValueError(
            f"delta encodes changes in time and needs series, (B, T, P), but values has shape "
            f"{tuple(values.shape)}: what is constant never spikes"
        )
    if not (threshold > 0 and math.isfinite(threshold)):
        raise ValueError(f"threshold must be a finite number above 0, but is {threshold}")
    series = hold(series, steps_per_value(steps, len(series)))
    spikes = series.new_zeros((*series.shape, 2))
    # Counting whole thresholds keeps the reference exact; adding them up would let it drift.
    level = torch.zeros_like(series[0])  # (B, P)
    for value, spike in zip(series[1:], spikes[1:], strict=True):
        change = value - (series[0] + threshold * level)
        spike[..., 0] = change >= threshold
        spike[..., 1] = change <= -threshold
        level += spike[..., 0] - spike[..., 1]
    return spikes


def current(values: Values, steps: int) -> Float[Tensor, "T B P 1"]:
    """Feed the value itself, unchanged, at every step that it lasts.

    The first synapses then see analogue input instead of spikes; there is no randomness, and the
    gradient reaches the values. Steps may share memory: copy before writing into them.

    Args:
        values: Any finite numbers.
        steps: Time steps T, a multiple of the length of a series.
    """
    series = _time_first(values, bounded=False)
    return hold(series, steps_per_value(steps, len(series))).unsqueeze(-1)


def population(
    values: Values, steps: int, *, fields: int = 8, width: float = 2 / 3
) -> Float[Tensor, "T B inputs 1"]:
    """Feed each value to several inputs, each with a Gaussian receptive field of its own.

    For field i = 0..fields-1 of value p, input p * fields + i has the current
    exp(-(value - c_i)^2 / (2 sigma^2)) at every step that the value lasts. Neighbouring centres
    are d = 1 / (fields - 2) apart, c_i = (i - 1/2) d, so that the outermost two lie d/2 outside
    [0, 1], and sigma = width * d. The gradient reaches the values.

    Args:
        values: Intensities in [0, 1].
        steps: Time steps T, a multiple of the length of a series.
        fields: Inputs per value, at least 3.
        width: Standard deviation of a field, in distances between centres; above 0.

    Source:
        Bohte, Kok, La Poutré, Error-backpropagation in temporally encoded networks of spiking
        neurons, Neurocomputing 48 (2002), with their beta of 1.5 = 1 / width; there the height of
        a field sets the time of one spike, here it is a current.
    """
    series = _time_first(values)
    check_positive_int("fields", fields, low=3)
    if not (width > 0 and math.isfinite(width)):
        raise ValueError(f"width must be a finite number above 0, but is {width}")
    place = torch.arange(fields, dtype=series.dtype, device=series.device) - 0.5
    distance = (series.unsqueeze(-1) * (fields - 2) - place) / width  # (T0, B, P, fields)
    currents = torch.exp(-distance.square() / 2).flatten(2)
    return hold(currents, steps_per_value(steps, len(series))).unsqueeze(-1)


def phase(values: Values, steps: int, *, bits: int = 8) -> Float[Tensor, "T B P 1"]:
    """Feed the binary digits of each value, one per step, weighted by their place.

    Step k = 0, 1, ... of a value is digit b = k mod bits behind the binary point, as a current of
    2^-(1+b) or 0: a spike with the weight of its phase in an oscillation that all inputs share. The
    currents of one period sum to the value, rounded down to a multiple of 2^-bits; a value of 1
    counts as 1 - 2^-bits. After a period the digits come again, from the first.

    Args:
        values: Intensities in [0, 1].
        steps: Time steps T, a multiple of the length of a series, at least one period per value.
        bits: Steps of a period, 1..24.

    Source:
        Kim, Kim, Huh, Lee, Choi, Deep neural networks with weighted spikes, Neurocomputing 311
        (2018).
    """
    series = _time_first(values).detach()
    check_positive_int("bits", bits, high=MAXIMUM_BITS)
    lasting = steps_per_value(steps, len(series), bits, PHASE_STEPS)
    whole = (series * 2**bits).floor().clamp(max=2**bits - 1).to(torch.int64)
    place = torch.arange(lasting, device=series.device) % bits
    place = place.view(-1, *(1,) * (series.ndim - 1))  # (K, 1, 1)
    digits = (whole.unsqueeze(1) >> (bits - 1 - place)) & 1  # (T0, K, B, P)
    currents = digits.to(series.dtype) * 2.0 ** -(1 + place).to(series.dtype)
    return currents.flatten(0, 1).unsqueeze(-1)


def _time_first(values: Tensor, *, bounded: bool = True) -> Tensor:
    """Check samples, and put their time first, `(T0, B, P)`; T0 is 1 where they have none."""
    if not isinstance(values, Tensor):
        raise TypeError(f"values must be a torch.Tensor, but is a {type(values).__name__}")
    if values.ndim not in (2, 3):
        raise ValueError(
            "values must have shape (B, P), or (B, T, P) for series, but has shape "
            f"{tuple(values.shape)}"
        )
    if values.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"values must have dtype torch.float32 or torch.float64, but has {values.dtype}"
        )
    if bounded:
        check_unit_interval("values", values)
    else:
        check_finite("values", values)
    return values.unsqueeze(0) if values.ndim == 2 else values.movedim(1, 0)
