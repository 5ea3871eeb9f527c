"""The tasks of the comparison of reservoirs, and how a linear readout does on them."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float64
from scipy.signal import lfilter

from sqsnn.data import series
from sqsnn.training.memory import squared_correlations

WASHOUT, FITTED, VALIDATED, TESTED = 100, 1500, 500, 1000  # steps, one after the other
STEPS = WASHOUT + FITTED + VALIDATED + TESTED
DELAYS = 20
STRENGTHS = tuple(10.0**power for power in range(-6, 3))  # of the ridge
# What the readout sees: spikes of one step, where all memory is that of the neurons, or traces.
DECAYS = {"spikes": 0.0, "traces": 0.8}

Part = Literal["validation", "test"]
Array = Float64[np.ndarray, "..."]
K = TypeVar("K")


class Task(NamedTuple):
    """A generated series with targets.

    Attributes:
        name: The name.
        text: What it is, for readers of the table.
        generate: Makes inputs `(T,)` and targets `(T,)` or `(T, K)` of T steps from a seed.
        error: Whether the figure is the normalised squared error, lower is better; else the memory
            capacity of the neurons, higher is better, for which traces do not count.
    """

    name: str
    text: str
    generate: Callable[[int, int], tuple[Array, Array]]
    error: bool = True

    def figure(self, predicted: Array, targets: Array) -> float:
        """Compute the figure of the task."""
        if not self.error:
            return float(squared_correlations(predicted, targets).sum())
        return float(((predicted - targets) ** 2).mean() / targets.var())

    def best(self, figures: Mapping[K, float]) -> K:
        """Name the best of some figures."""
        return (min if self.error else max)(figures, key=figures.__getitem__)


TASKS = (
    Task("narma5", "NARMA-5", lambda steps, seed: series.narma(5, steps, seed)),
    Task("narma10", "NARMA-10", lambda steps, seed: series.narma(10, steps, seed)),
    Task(
        "mackey-glass-10",
        "Mackey-Glass, 10 ahead",
        lambda steps, seed: series.mackey_glass(steps, seed, horizon=10),
    ),
    Task(
        "mackey-glass-84",
        "Mackey-Glass, 84 ahead",
        lambda steps, seed: series.mackey_glass(steps, seed, horizon=84),
    ),
    Task(
        "memory-capacity",
        "memory capacity",
        lambda steps, seed: series.memory_inputs(steps, DELAYS, seed),
        error=False,
    ),
)


def traces(states: Float64[np.ndarray, "T H"], decay: float) -> Float64[np.ndarray, "T H"]:
    """Sum states with a decay per step."""
    return np.asarray(lfilter([1.0], [1.0, -decay], states, axis=0))


def judge(task: Task, states: Float64[np.ndarray, "T H"], targets: Array) -> dict[Part, float]:
    """Fit a ridge regression, its strength chosen on validation steps, and test it once.

    The readout that is tested is fitted to the validation steps, too.
    """
    first, second = WASHOUT + FITTED, WASHOUT + FITTED + VALIDATED
    fitted, validated, tested = slice(WASHOUT, first), slice(first, second), slice(second, None)

    on_fitted = _Ridge(states[fitted], targets[fitted])
    on_both = _Ridge(states[WASHOUT:second], targets[WASHOUT:second])

    found = {
        strength: task.figure(on_fitted.predict(states[validated], strength), targets[validated])
        for strength in STRENGTHS
    }
    strength = task.best(found)
    test = task.figure(on_both.predict(states[tested], strength), targets[tested])
    return {"validation": found[strength], "test": test}


class _Ridge:
    """A ridge regression with intercept for many strengths, from one eigendecomposition."""

    def __init__(self, states: Array, targets: Array) -> None:
        self.center, self.mean = states.mean(0), targets.mean(0)
        centered = states - self.center
        self.values, self.vectors = np.linalg.eigh(centered.T @ centered)
        self.along = self.vectors.T @ centered.T @ (targets - self.mean)

    def predict(self, states: Array, strength: float) -> Array:
        scaled = (self.along.T / (self.values + strength)).T
        return (states - self.center) @ (self.vectors @ scaled) + self.mean
