"""A fitted model of spike trains as one file, of which nothing is ever executed."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter

from sqsnn.checks import check_finite
from sqsnn.errors import CheckpointError
from sqsnn.neurons.drive import Drive
from sqsnn.quantum import circuits
from sqsnn.readfile import Stored, checked
from sqsnn.runs.tensors import read_tensors, write_tensors
from sqsnn.spike_trains.build import quantum_process

if TYPE_CHECKING:
    from sqsnn.spike_trains.model import SpikeTrainModel


DRIVE: TypeAdapter[Any] = TypeAdapter(Drive)
_PLAIN = ("memory_qubits", "circuit", "stimulus_lags", "warm_up")


class _Header(Stored):
    memory_qubits: NonNegativeInt
    circuit: str
    circuit_options: dict[str, Any]
    drive: dict[str, Any]
    stimulus_lags: PositiveInt
    warm_up: NonNegativeInt
    features: NonNegativeInt
    rate: list[Annotated[float, Field(gt=0, le=1)]]
    bin_width: PositiveFloat | None
    agreeing: NonNegativeInt
    n_iter: NonNegativeInt
    converged: bool


def write(model: "SpikeTrainModel", path: Path) -> None:
    """Write a fitted model; see `SpikeTrainModel.save`."""
    if model.circuit not in circuits.names():
        raise ValueError(
            f"circuit is {model.circuit!r}, which a file cannot hold: register it under a name by "
            "sqsnn.circuits.register, and fit the model with this name"
        )
    stimulated = model.process_.filter
    header = _Header(
        **{name: _plain(getattr(model, name)) for name in _PLAIN},
        circuit_options={name: _plain(it) for name, it in (model.circuit_options or {}).items()},
        drive=asdict(model.drive),
        features=0 if stimulated is None else stimulated.in_features,
        rate=model.rate_.tolist(),
        bin_width=model.bin_width_,
        agreeing=model.agreeing_,
        n_iter=model.n_iter_,
        converged=model.converged_,
    )
    tensors = {**model.process_.state_dict(), "starts": torch.from_numpy(model.starts_)}
    write_tensors(path, tensors, {"spike_train_model": header.model_dump()})


def read(cls: type["SpikeTrainModel"], path: Path) -> "SpikeTrainModel":
    """Read a fitted model; see `SpikeTrainModel.load`."""
    weights, content, _ = read_tensors(path)
    if "spike_train_model" not in content:
        raise CheckpointError(f"{path} holds no model of spike trains, as `save` writes it")
    header = checked(content["spike_train_model"], _Header.model_validate, path)
    if header.circuit not in circuits.names():
        raise CheckpointError(
            f"{path} has circuit {header.circuit!r}, which is not registered: import the module "
            "that registers it"
        )
    model = cls(
        **{name: getattr(header, name) for name in _PLAIN},
        circuit_options=header.circuit_options,
        drive=checked(header.drive, DRIVE.validate_python, path),
    )

    def restore(weights: dict[str, torch.Tensor]) -> None:
        starts = weights.pop("starts", None)
        if starts is None or not header.rate:
            raise ValueError("starts or rates are missing")
        generator = torch.Generator().manual_seed(0)
        model.process_ = quantum_process(model, len(header.rate), header.features, generator)
        try:
            model.process_.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        for name, values in model.process_.named_parameters():
            check_finite(name, values)
        model.starts_ = starts.numpy()

    checked(weights, restore, path)
    model.rate_, model.bin_width_ = np.array(header.rate), header.bin_width
    model.n_iter_, model.converged_ = header.n_iter, header.converged
    model.parameters_ = model.process_.count()
    model.agreeing_ = header.agreeing
    model.stimulus_features_ = header.features // header.stimulus_lags
    return model


def _plain(value: Any) -> Any:
    """Give a number of numpy, as searches over parameters have them, as one of Python."""
    return value.item() if isinstance(value, np.generic) else value
