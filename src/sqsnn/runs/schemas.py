"""What the JSON of a run must hold; each function gives the content, or a ValueError says why."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from sqsnn.readfile import Stored

_Known = float | None


class _Epoch(Stored):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]  # pyright: ignore[reportIncompatibleVariableOverride]

    epoch: PositiveInt
    train_loss: float
    gradient_norm: NonNegativeFloat
    learning_rate: NonNegativeFloat
    spikes_per_sample: list[NonNegativeFloat]


class _ClassesEpoch(_Epoch):
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_accuracy_ties_by_probability: _Known
    validation_accuracy_probability: _Known


class _ValuesEpoch(_Epoch):
    validation_nmse: _Known
    validation_mae: float
    validation_r2: _Known
    validation_mse: float


class _Layer(Stored):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | bool]  # pyright: ignore[reportIncompatibleVariableOverride]

    population: str
    circuit_gates: dict[str, float]


class _Total(Stored):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]  # pyright: ignore[reportIncompatibleVariableOverride]

    synaptic_operations: float
    multiply_accumulates: float
    dense_operations: float
    dense_operations_every_step: float
    membrane_operations: float
    encoding_rotations: float
    skipped_rotations: float
    circuit_gates: dict[str, float]
    gates: float
    measurements: float


class _Costs(Stored):
    samples: PositiveInt
    total: _Total
    layers: list[_Layer]


class _CostsLater(_Costs):
    best_epoch: PositiveInt


class _Baseline(Stored):
    model: str
    figures: dict[str, _Known]


class _Class(Stored):
    name: str = Field(alias="class")
    precision: float
    recall: float
    f1: float
    samples: NonNegativeInt


class _Result(Stored):
    dataset: str
    test_samples: PositiveInt
    populations: list[str]
    spikes_per_sample: list[NonNegativeFloat]
    parameters: NonNegativeInt
    best_epoch: PositiveInt
    chance: _Known
    baseline: _Baseline | None
    costs: _Costs | None
    metrics_sha256: str = ""


class _ClassesResult(_Result):
    test_accuracy: float
    test_accuracy_ties_by_probability: _Known
    test_accuracy_probability: _Known
    test_roc_auc: _Known
    classes: list[_Class]


class _ValuesResult(_Result):
    test_nmse: _Known
    test_mae: float
    test_r2: _Known
    test_mse: float


class _Times(Stored):
    training_seconds: NonNegativeFloat
    machine: dict[str, Any]
    epoch_seconds: list[NonNegativeFloat | None]


def epoch_line(content: Any) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    return _checked(_ValuesEpoch if "validation_mse" in content else _ClassesEpoch, content)


def result(content: Any) -> dict[str, Any]:
    """metrics.json."""
    return _checked(_ValuesResult if "test_mse" in content else _ClassesResult, content)


def costs(content: Any) -> dict[str, Any]:
    """costs.json."""
    return _checked(_CostsLater, content)


def times(content: Any) -> dict[str, Any]:
    """timing.json."""
    return _checked(_Times, content)


def _checked(schema: type[BaseModel], content: Any) -> dict[str, Any]:
    schema.model_validate(content)
    return content
