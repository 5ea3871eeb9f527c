"""Small runs on scikit-learn's digits, with pictures only where a test looks at them."""

from collections.abc import Callable
from typing import Any

import pytest

from sqsnn.reports import plots
from sqsnn.training.config import (
    DataOptions,
    EncodingConfig,
    ModelConfig,
    Recipe,
    RunConfig,
    TrainingConfig,
    for_dataset,
)


@pytest.fixture(scope="session")
def recipe() -> Callable[..., Recipe]:
    """Settings of a small network; arguments change those of the training loop."""

    def make(**training: Any) -> Recipe:
        return Recipe(
            model=ModelConfig(hidden=(12,)),
            encoding=EncodingConfig(steps=4),
            training=TrainingConfig(**{"epochs": 3, "batch_size": 40} | training),
        )

    return make


@pytest.fixture(scope="session")
def config(recipe: Callable[..., Recipe]) -> Callable[..., RunConfig]:
    """Settings of a small run on digits; arguments change those of the training loop."""

    def make(**training: Any) -> RunConfig:
        options = DataOptions(classes=(0, 1, 2), train_samples=80, test_samples=40)
        return for_dataset("digits", options, recipe(**training))

    return make


@pytest.fixture(scope="session")
def recall() -> Callable[..., RunConfig]:
    """Settings of a small run on recall; arguments change those of the training loop."""

    def make(**training: Any) -> RunConfig:
        recipe = Recipe(model=ModelConfig(hidden=(8,)), training=TrainingConfig(**training))
        return for_dataset("recall", DataOptions(train_samples=200, test_samples=100), recipe)

    return make


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: pictures take longer than the small runs."""
    monkeypatch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: ())
