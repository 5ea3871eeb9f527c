"""The machine that a run is on, written down beside its seconds."""

import platform
from typing import Any

import torch

from sqsnn import __version__
from sqsnn.settings.run import TrainingSettings


def describe_machine(training: TrainingSettings) -> dict[str, Any]:
    """Name device, threads and versions, for whoever reads the seconds of a run.

    Args:
        training: The settings of the training loop.
    """
    return {
        "device": torch.cuda.get_device_name() if training.device == "cuda" else "cpu",
        "threads": training.threads,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sqsnn": __version__,
    }
