"""Where tensors lie and how precise they are: the default device, constants, autocast."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor

CONSTANTS = 1024  # tables kept, of some hundred bytes each

# Largest gradient that a step passes on by its spikes, or by the amplitudes that it has measured.
# That of one event is smaller, however rare it is, but those of several multiply.
LARGEST_GRADIENT = {torch.float32: 1e25, torch.float64: 1e200}


def place(device: torch.device | str | None) -> torch.device:
    """Give the device on which something is made; None stands for torch's default device."""
    return torch.get_default_device() if device is None else torch.device(device)


def constant(make: Callable[..., np.ndarray], *of: Any, like: Tensor, dtype: torch.dtype) -> Tensor:
    """Give the array that `make(*of)` makes, on the device of a tensor; it is made there once.

    A copy to a device in every time step would stop the host as often.
    """
    return _constant(make, of, like.device, dtype)


@lru_cache(maxsize=CONSTANTS)
def _constant(
    make: Callable[..., np.ndarray], of: tuple[Any, ...], device: torch.device, dtype: torch.dtype
) -> Tensor:
    with torch.inference_mode(False):  # such a tensor could take part in no gradient
        return torch.as_tensor(np.array(make(*of)), device="cpu").to(device=device, dtype=dtype)


def columns(values: Tensor, chosen: tuple[int, ...]) -> Tensor:
    """Take columns of the last dimension; an index that is a list would be copied to the device."""
    if chosen == tuple(range(values.shape[-1])):
        return values
    index = constant(np.array, chosen, like=values, dtype=torch.int64)
    return values.index_select(-1, index)


def smallest_probability(like: Tensor) -> float:
    """Give the smallest normal number: an event of a lower probability counts as impossible."""
    return torch.finfo(like.dtype).smallest_normal


def possible_draws(uniforms: Tensor) -> Tensor:
    """Raise numbers next to 0, with which outcomes would be drawn that count as impossible."""
    return uniforms.clamp_min(4 * smallest_probability(uniforms))


def bounded(gradient: Tensor) -> Tensor:
    """Hold a gradient, complex ones by their parts, to the largest that a step passes on."""
    if gradient.is_complex():
        return torch.view_as_complex(bounded(torch.view_as_real(gradient.resolve_conj())))
    largest = LARGEST_GRADIENT[gradient.dtype]
    return gradient.clamp(-largest, largest)


def indicator(index: Tensor, count: int, like: Tensor) -> Tensor:
    """Give 1 at an index in 0..count-1 and 0 elsewhere; torch's `one_hot` reads the index back."""
    return (index[..., None] == torch.arange(count, device=index.device)).to(like)


def lowered_dtype(like: Tensor) -> torch.dtype | None:
    """Give the precision in which autocast multiplies matrices; None where it does nothing.

    As everywhere in torch, float64 stays float64.
    """
    if like.dtype == torch.float64 or not _autocasts(like.device.type):
        return None
    return torch.get_autocast_dtype(like.device.type)


def full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Switch autocast off: states, probabilities and gradients keep their precision."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if _autocasts(kind) else nullcontext()


def in_full_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a method of neurons, which have a `parameter_like`, with autocast off."""

    @wraps(method)
    def run(self: Any, *given: Any, **options: Any) -> Any:
        with full_precision(self.parameter_like):
            return method(self, *given, **options)

    return run


def _autocasts(kind: str) -> bool:
    return _can_autocast(kind) and torch.is_autocast_enabled(kind)


_can_autocast = lru_cache(torch.amp.is_autocast_available)
