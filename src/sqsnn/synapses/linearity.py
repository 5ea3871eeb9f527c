"""Whether a module of torch is a linear map up to a bias, found out by trying it."""

import copy
from itertools import chain

import torch
from torch import Tensor, nn

from sqsnn.checks import Shape

_ROUNDING = 1e-9  # of the largest value, in float64


def check_linear(module: nn.Module, source: Shape) -> None:
    """Refuse a module that is not linear up to a bias, or that mixes the samples of a batch.

    The module is tried in float64 on random inputs, as it trains and as it evaluates.

    Args:
        module: Takes `(B, *source)`.
        source: Shape of one sample.
    """
    probe = copy.deepcopy(module).double()
    tensors = chain(probe.parameters(), probe.buffers())
    device = next((it.device for it in tensors), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, 3, *source, generator=generator, dtype=torch.float64, device="cpu")
    x, y = drawn.to(device)
    # A dropout draws from the generator of torch, which is to stay as it is.
    devices = [device] if device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices):
        for training in (True, False):
            _check(probe.train(training), x, y, "training" if training else "evaluating")


def in_line(module: nn.Module) -> str:
    """Describe a module on one line."""
    return " ".join(str(module).split())


def _check(module: nn.Module, x: Tensor, y: Tensor, mode: str) -> None:
    bias, of_x, of_y, of_both = (module(each) for each in (torch.zeros_like(x), x, y, x - 2 * y))
    _refuse(module, of_both, of_x - 2 * of_y + 2 * bias, mode, "f(x - 2 y) is not f(x) - 2 f(y)")
    _refuse(module, module(x[:1]), of_x[:1], mode, "a sample alone gives other values than a batch")


def _refuse(module: nn.Module, found: Tensor, expected: Tensor, mode: str, fault: str) -> None:
    gap, largest = (float(values.abs().max()) for values in (found - expected, expected))
    if not gap <= _ROUNDING * max(largest, 1.0):
        raise ValueError(
            f"synapses must be linear up to a bias, but {in_line(module)} is not: while {mode}, "
            f"{fault} (they differ by {gap:.2g})"
        )
