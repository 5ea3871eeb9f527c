"""The settings of `sqsnn inspect`, checked when made; no torch here."""

from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import BeforeValidator, Field, PositiveInt

from sqsnn.training.config import Sizes, split_commas
from sqsnn.training.rule_config import Section

_Choices = Annotated[Sizes, Field(min_length=1)]
_Strengths = Annotated[
    tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(split_commas), Field(min_length=1)
]


DEFAULT_SAMPLES = 200


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


class NoiseOptions(Section):
    """Whose noise to put on a run, how strong, and how often."""

    backend: str = "fake_brisbane"
    """Device whose error rates have strength 1."""
    strengths: _Strengths = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
    """Factors of the rates; 0 is a perfect device."""
    samples: Annotated[PositiveInt | None, Parameter(show_default=False)] = None
    """Validation samples [default: all, but at most 200]."""
    repeats: Annotated[int, Field(ge=2)] = 5
    """Runs of all samples at each strength, one shot each."""
