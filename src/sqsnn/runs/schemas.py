"""What the JSON of a run must hold; each function gives the content, or a ValueError says why."""

from typing import Any

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt

from sqsnn.readfile import Stored

# Figures of classes and of real values: those that are numbers, and those that may be unknown.
_CLASSES = ("accuracy",), ("accuracy_ties_by_probability", "accuracy_probability")
_VALUES = ("mse", "mae"), ("nmse", "r2")


class _Figures(Stored):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]  # pyright: ignore[reportIncompatibleVariableOverride]


class _Epoch(_Figures):
    epoch: PositiveInt
    train_loss: float
    gradient_norm: float
    learning_rate: float
    spikes_per_sample: list[float]


class _Events(Stored):
    """Costs; the text of a layer is its name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, bool | float | str]  # pyright: ignore[reportIncompatibleVariableOverride]

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
    total: _Events
    layers: list[_Events]
    best_epoch: PositiveInt | None = None


class _Baseline(Stored):
    model: str
    figures: dict[str, float | None]


class _Class(Stored):
    name: str = Field(alias="class")
    precision: float
    recall: float
    f1: float
    samples: NonNegativeInt


class _Result(_Figures):
    dataset: str
    test_samples: PositiveInt
    populations: list[str]
    spikes_per_sample: list[float]
    parameters: NonNegativeInt
    best_epoch: PositiveInt
    chance: float | None
    baseline: _Baseline | None
    costs: _Costs | None
    classes: list[_Class] = Field(default_factory=list)
    metrics_sha256: str = ""


class _Times(Stored):
    training_seconds: float
    machine: dict[str, Any]
    epoch_seconds: list[float | None]


def epoch_line(content: Any) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    _Epoch.model_validate(content)
    reads_values = _require(content, "validation_")
    for name in () if reads_values else ("train_accuracy", "validation_loss"):
        if content.get(name) is None:
            raise ValueError(f"{name} is missing")
    return content


def result(content: Any) -> dict[str, Any]:
    """metrics.json."""
    _Result.model_validate(content)
    _require(content, "test_")
    return content


def costs(content: Any) -> dict[str, Any]:
    """costs.json."""
    _Costs.model_validate(content)
    return content


def times(content: Any) -> dict[str, Any]:
    """timing.json."""
    _Times.model_validate(content)
    return content


def _require(content: dict[str, Any], part: str) -> bool:
    """Refuse figures that are not whole; tells whether they are of real values."""
    reads_values = f"{part}mse" in content
    known, maybe = _VALUES if reads_values else _CLASSES
    for name in (*known, *maybe):
        if f"{part}{name}" not in content or (name in known and content[part + name] is None):
            raise ValueError(f"{part}{name} is missing")
    return reads_values
