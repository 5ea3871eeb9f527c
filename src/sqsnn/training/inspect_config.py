"""The settings of `sqsnn inspect`, checked when made; no torch here."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from sqsnn.training.config import Sizes
from sqsnn.training.rule_config import Section

_Choices = Annotated[Sizes, Field(min_length=1)]


class GradientOptions(Section):
    """Which estimators of the gradient to compare, and how thoroughly."""

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
    """What goes with log p of every spike: a random sign a sample and step (an advantage), or 1."""
