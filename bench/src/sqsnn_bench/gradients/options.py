"""The options of `sqsnn-bench gradients`, checked when made; no torch here."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt


def _split_commas(value: object) -> object:
    """Read "1,2", alone or in a list as the command line gives it, as the list of its parts."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    return [part.strip() for text in texts for part in text.split(",")]


_Choices = Annotated[tuple[PositiveInt, ...], BeforeValidator(_split_commas), Field(min_length=1)]


class GradientOptions(BaseModel):
    """Which estimators of the gradient to compare, and how thoroughly."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    windows: _Choices = (1, 2, 4)
    """Windows W in steps, each with every estimator but spsa, which has W = 1."""
    repeats: _Choices = (1, 5, 20)
    """Repeats R of geometric and spsa."""
    shots: _Choices = (20,)
    """Shots K of laplace."""
    max_trials: PositiveInt = 50
    """Trials after which geometric and spsa give an event up."""
    draws: Annotated[int, Field(ge=2)] = 10
    """How often each estimate is drawn."""
    batch: PositiveInt = 16
    """Validation samples, all in one batch."""
    signal: Literal["likelihood", "signs"] = "signs"
    """What weighs log p of every spike: a random sign per sample and step (an advantage), or 1."""
