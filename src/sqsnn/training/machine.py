"""The machine that a run is on: made ready before, written down after."""

import platform
from typing import Any

import torch

from sqsnn import __version__
from sqsnn.training.build import choose_device
from sqsnn.training.config import TrainingConfig


def prepare_machine(training: TrainingConfig) -> None:
    """Check that the machine has what the settings name, and set torch's threads.

    Args:
        training: the settings of the training loop.

    Raises:
        ConfigError, CompilerMissingError: as `choose_device` does.
    """
    choose_device(training)
    # For the whole process, so that it is for runs alone: a classifier leaves it to its user.
    torch.set_num_threads(training.threads)


def describe_machine(training: TrainingConfig) -> dict[str, Any]:
    """Name device, threads and versions, for whoever reads the seconds of a run.

    Args:
        training: the settings of the training loop.
    """
    return {
        "device": torch.cuda.get_device_name() if training.device == "cuda" else "cpu",
        "threads": training.threads,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sqsnn": __version__,
    }
