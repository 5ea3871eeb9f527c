"""The machine that a run is on: its threads, and what is written down beside the seconds."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sqsnn import __version__
from sqsnn.network import SpikingNetwork
from sqsnn.settings.run import TrainingSettings


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use this many threads, and put the former number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
