"""The machine that a run is on: its threads, and what is written down beside the seconds."""

import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sqsnn import __version__
from sqsnn.checks import check_positive_int
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.options import as_text
from sqsnn.settings.run import MOST_THREADS, Recipe, TrainingSettings


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use this many threads, and put the former number back.

    Raises:
        ValueError: If there are more than any machine has.
        ConfigError: If what is done within needs more memory than there is.
    """
    check_positive_int("threads", number, high=MOST_THREADS)
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise ConfigError(
            f"there is too little memory ({str(error).partition(chr(10))[0]}): choose fewer hidden "
            "neurons or steps, or a smaller batch_size"
        ) from error
    finally:
        torch.set_num_threads(before)


def check_memory(recipe: Recipe, weights: int, neurons: int) -> None:
    """Refuse a training that cannot fit this machine, before it takes the memory of all others.

    Args:
        recipe: The settings.
        weights: Weights of the network.
        neurons: Inputs and neurons, whose spikes of all steps of a batch are kept.

    Raises:
        ConfigError: If even the least that it needs is more than there is.
    """
    training, steps = recipe.training, recipe.encoding.steps + (recipe.longest_delay or 0)
    size = getattr(torch, training.dtype).itemsize
    # A weight, its gradient, and two moments of Adam.
    kept, spikes = 4 * size * weights, size * steps * training.batch_size * neurons
    has = math.inf  # Windows does not tell
    if hasattr(os, "sysconf"):
        has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if kept + spikes > has:
        raise ConfigError(
            f"hidden is {as_text(recipe.hidden)}, steps {recipe.encoding.steps} and batch_size "
            f"{training.batch_size}: weights need at least {kept / 1e9:,.0f} GB, and the spikes of "
            f"a batch {spikes / 1e9:,.0f} GB, but this machine has {has / 1e9:,.0f} GB"
        )


def describe_machine(
    training: TrainingSettings, network: SpikingNetwork, processes: int = 1
) -> dict[str, Any]:
    """Name device, processes, threads, backends and versions, to explain the times of a run."""
    return {
        "device": torch.cuda.get_device_name() if training.device == "cuda" else "cpu",
        "processes": processes,
        "threads": training.threads,
        "neurons_run_on": [
            "fused" if network.population(name).runs_fused else "torch" for name in network.names
        ],
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sqsnn": __version__,
    }
