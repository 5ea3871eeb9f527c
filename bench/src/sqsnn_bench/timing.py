"""Fair timing: contenders take turns in one process, and each is compared with the first by turns.

Times are process CPU time on one thread. A machine that slows down slows all contenders of a turn,
so that ratios are to be trusted before nanoseconds.
"""

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Contender = Callable[[], object]
Table = dict[str, dict[str, float]]


def turns(contenders: Mapping[str, Contender], repeats: int) -> dict[str, list[float]]:
    """Run every contender once, then time all of them by turns; CPU seconds per contender."""
    for work in contenders.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, work in contenders.items():
            began = time.process_time()
            work()
            seconds[name].append(time.process_time() - began)
    return seconds


def interleaved(contenders: Mapping[str, Contender], repeats: int) -> Table:
    """Time contenders by turns, and compare them with the first.

    Args:
        contenders: What to run, by name.
        repeats: Turns.

    Returns:
        For each contender the CPU seconds `median`, `min` and `max`, and the median `ratio` to the
        first contender of the same turn; the middle 60 % of the ratios lie from `low` to `high`.
    """
    seconds = turns(contenders, repeats)
    base = next(iter(seconds.values()))
    return {name: summary(values) | ratios(values, base) for name, values in seconds.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Median and span of times."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(values: list[float], base: list[float]) -> dict[str, float]:
    """Median of the ratios turn by turn, and the range of the middle 60 % of them."""
    found = sorted(value / of for value, of in zip(values, base, strict=True))
    fifth = len(found) // 5
    return {"ratio": statistics.median(found), "low": found[fifth], "high": found[-1 - fifth]}


def training_step(
    forward: Callable[[Tensor], Tensor], parameters: list[Tensor], spikes: Tensor
) -> Contender:
    """Make a whole training step: forward, cross-entropy of counts, backward, fused Adam.

    Args:
        forward: Spikes `(T, B, P)` to spike counts `(B, 10)`.
        parameters: What Adam trains.
        spikes: The input, `(T, B, P)`.
    """
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    labels = torch.randint(0, 10, (spikes.shape[1],))

    def work() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(forward(spikes), labels).backward()
        optimizer.step()

    return work


def machine() -> dict[str, Any]:
    """Describe what the figures depend on."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
