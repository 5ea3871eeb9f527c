"""A trained network as one file, or in the folder of its run: weights, settings, preparation.

The file is a safetensors file with its settings (TOML), its preparation and its figures in the
metadata; it needs neither the run nor the dataset. Nothing in it is ever executed.
"""

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import NonNegativeInt
from torch import Tensor

from sqsnn.data.preparation import Preparation
from sqsnn.readfile import Stored, checked
from sqsnn.runs import checkpoint
from sqsnn.runs import folder as folders
from sqsnn.runs.schemas import result
from sqsnn.runs.tensors import read_tensors, write_tensors
from sqsnn.settings.run import RunSettings
from sqsnn.settings.toml import from_toml, to_toml


class _Header(Stored):
    settings: str
    preparation: dict[str, Any]
    metrics: dict[str, Any]
    epoch: NonNegativeInt


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
        CheckpointError: If it is missing or damaged, its files do not belong together, or no epoch
            has ended yet.
        ConfigError: If its settings are of another format.
    """
    if path.is_file():
        return _read_file(path)
    found = folders.find(path)
    settings = found.read_settings()
    weights, header, _ = checkpoint.read_weights(found.best)
    preparation = found.read_preparation()
    checkpoint.check_origin(found.best, header, settings, preparation)
    metrics = found.read_result() if found.is_finished() else {}
    return Model(weights, settings, preparation, metrics, header.epoch)


def write_model(path: Path, model: Model) -> None:
    """Write a trained network as one file, in one step."""
    header = _Header(
        settings=to_toml(model.settings),
        preparation=model.preparation.to_json(),
        metrics=model.metrics,
        epoch=model.epoch,
    )
    write_tensors(path, model.weights, header.model_dump())


def _read_file(path: Path) -> Model:
    weights, content, _ = read_tensors(path)
    header = checked(content, _Header.model_validate, path)
    return Model(
        weights,
        from_toml(header.settings, str(path)),
        checked(header.preparation, Preparation.from_json, path),
        checked(header.metrics, result, path) if header.metrics else {},
        header.epoch,
    )
