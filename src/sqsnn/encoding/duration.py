"""How long values last: the steps per value of a series, and the steps that padding leaves out."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqsnn.checks import check_positive_int, check_same_device, check_shape


def steps_per_value(steps: int, length: int, least: int = 1, why: str = "") -> int:
    """Count the time steps that each value of a series lasts, T / T0.

    Args:
        steps: Time steps T.
        length: Values in time, T0; 1 for samples that do not change in time.
        least: The fewest steps that a value can last.
        why: The reason for `least`, for the error.

    Raises:
        ValueError: If T is no multiple of T0, or leaves fewer than `least` steps per value.
    """
    check_positive_int("steps", steps)
    check_positive_int("the length of a series", length)
    if steps % length:
        raise ValueError(
            f"steps must be a multiple of {length}, the length of the series, but is {steps}"
        )
    if steps < least * length:
        values = "" if length == 1 else f" for {length} values in time"
        raise ValueError(
            f"steps must be at least {least} per value ({why}), but is {steps}{values}"
        )
    return steps // length


def hold(series: Float[Tensor, "length *sample"], lasting: int) -> Float[Tensor, "T *sample"]:
    """Repeat each value of a series for some steps; without a copy where only one is repeated."""
    held = series.unsqueeze(1).expand(-1, lasting, *series.shape[1:])
    return held.flatten(0, 1)


def step_mask(
    lengths: Int64[Tensor, " B"], length: int, steps: int, *, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "T B"]:
    """Tell which time steps belong to each of some padded series: 1 within it, 0 behind its end.

    Example:
        >>> step_mask(torch.tensor([3, 1]), length=3, steps=6).T
        tensor([[1., 1., 1., 1., 1., 1.],
                [1., 1., 0., 0., 0., 0.]])

    Args:
        lengths: Values of each series before its padding, 1 to `length`.
        length: Values of a series with its padding, T0.
        steps: Time steps T, a multiple of T0.
        dtype: torch.float32 or torch.float64.

    Raises:
        TypeError: If the lengths are no int64 numbers.
        ValueError: If T is no multiple of T0, or a length is out of range.
    """
    check_shape("lengths", lengths, ("B",))
    if lengths.dtype != torch.int64:
        raise TypeError(f"lengths must have dtype torch.int64, but has {lengths.dtype}")
    lasting = steps_per_value(steps, length)
    wrong = lengths[(lengths < 1) | (lengths > length)]
    if len(wrong):
        raise ValueError(
            f"lengths must lie in 1..{length}, the length of the padded series, but one is "
            f"{wrong[0].item()}"
        )
    step = torch.arange(steps, device=lengths.device)
    return (step[:, None] < lengths * lasting).to(dtype)


def cut(values: Tensor, lengths: Tensor) -> Tensor:
    """Put 0 behind the end of each series, whatever stood there.

    Args:
        values: Padded series, `(B, T0, ...)`.
        lengths: Values of each series before its padding, `(B,)`.
    """
    if values.ndim < 3:
        raise ValueError(
            "lengths goes with series, (B, T, P), but values has shape "
            f"{tuple(values.shape)}: leave lengths out"
        )
    batch, length = values.shape[:2]
    check_shape("lengths", lengths, (batch,))
    check_same_device(values=values, lengths=lengths)
    inside = step_mask(lengths, length, length).T.bool()
    return values.where(inside.view(batch, length, *(1,) * (values.ndim - 2)), 0)
