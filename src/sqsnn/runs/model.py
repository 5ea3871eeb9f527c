"""A trained network as one file, or in the folder of its run: weights, settings, preparation.

The file is a safetensors file with its settings (TOML), its preparation and its figures (JSON) in
the metadata; it needs neither the run nor the dataset. Nothing in it is ever executed.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as save_bytes
from torch import Tensor

from sqsnn.data.preparation import Preparation
from sqsnn.errors import CheckpointError
from sqsnn.runs import checkpoint
from sqsnn.runs import folder as folders
from sqsnn.settings.run import RunSettings
from sqsnn.settings.toml import from_toml, to_toml
from sqsnn.storage import write_atomically

_KEYS = ("settings", "preparation", "metrics", "epoch")


class Model(NamedTuple):
    """A trained network as it is stored.

    Attributes:
        weights: Its parameters by name.
        settings: The settings of its training.
        preparation: How samples become inputs, and answers labels.
        metrics: The figures of its test; empty where it was not tested.
        epoch: The epoch that the weights are from.
    """

    weights: dict[str, Tensor]
    settings: RunSettings
    preparation: Preparation
    metrics: dict[str, Any]
    epoch: int


def read_model(path: Path) -> Model:
    """Read a trained network from the folder of its run, or from its file.

    Raises:
        CheckpointError: If it is missing or damaged, or no epoch has ended yet.
        ConfigError: If its settings are of another format.
    """
    if path.is_file():
        return _read_file(path)
    found = folders.find(path)
    weights, epoch = checkpoint.read_weights(found.best)
    metrics = found.read_result() if found.is_finished() else {}
    return Model(weights, found.read_settings(), found.read_preparation(), metrics, epoch)


def write_model(path: Path, model: Model) -> None:
    """Write a trained network as one file, in one step."""
    metadata = {
        "settings": to_toml(model.settings),
        "preparation": json.dumps(model.preparation.to_json(), allow_nan=False),
        "metrics": json.dumps(model.metrics, allow_nan=False),
        "epoch": str(model.epoch),
    }
    tensors = {
        name: model.weights[name].detach().cpu().contiguous() for name in sorted(model.weights)
    }
    metadata = {f"sqsnn/{name}": text for name, text in metadata.items()}
    write_atomically(path, lambda part: part.write_bytes(save_bytes(tensors, metadata)))


def _read_file(path: Path) -> Model:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        weights = load_file(path)
        settings, preparation, metrics, epoch = (metadata[f"sqsnn/{name}"] for name in _KEYS)
    except (SafetensorError, KeyError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged, or no network that sqsnn saved: {error}"
        ) from error
    settled = from_toml(settings, str(path))
    try:
        return Model(
            weights,
            settled,
            Preparation.from_json(json.loads(preparation)),
            json.loads(metrics),
            int(epoch),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
