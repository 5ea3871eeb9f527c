"""Uniform random numbers, drawn so that a sequence in pieces equals the sequence in one piece.

A generator on an accelerator gives other numbers in one call for T steps than in T calls for one
step. Encodings and populations therefore all draw here, with one call per time step.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import check_positive_int


def draw_uniforms(
    steps: int,
    batch: int,
    neurons: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device | str,
) -> Float[Tensor, "T B H"]:
    """Draw uniform numbers in [0, 1) step by step from a generator on the same device.

    Drawing T1 and then T2 steps gives the same numbers as drawing T1 + T2 steps, on any device.
    """
    check_positive_int("steps", steps)
    check_positive_int("batch", batch, low=0)
    check_positive_int("neurons", neurons)
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, but is {generator!r}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64, but is {dtype}")
    uniforms = torch.empty((steps, batch, neurons), dtype=dtype, device=device)
    # Compared with the tensor's own device, because "cuda" alone names whichever one is current.
    if generator.device != uniforms.device:
        raise ValueError(
            f"generator must be on the device of the numbers, {uniforms.device}, "
            f"but is on {generator.device}"
        )
    for step in uniforms:
        torch.rand((batch, neurons), generator=generator, out=step)
    return uniforms
