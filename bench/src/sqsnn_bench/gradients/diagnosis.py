"""How good gradients from measured bits are, against the exact ones of the same spikes.

A network runs once on a batch, and all its spikes are then data. Of the score gradient

    g = 1/B sum_b sum_t A_t sum_neurons d log p(s_t | s_<t) / d(parameters)

measured bits miss something in three ways, which are kept apart:

    the window       replays from fresh memory: its bias stays with infinitely many shots
    the trials       events that `max_trials` trials do not bring are given up: a bias, too
    the shots        noise, and with Laplace estimates one more bias, which falls with the shots

The signal A is 1 ("likelihood"), or a random sign per sample and step ("signs"), as uninformed as
an advantage can be. The mean of d log p over spikes is 0, that of a window is not: with
"likelihood" g shrinks against the bias of the window as the batch grows; with "signs" both shrink
alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import check_choice, check_positive_int
from sqsnn.learning.bit_source import require_circuits
from sqsnn.learning.estimators import Cost, Derivative, Geometric, Laplace
from sqsnn.learning.layers import Layer, run_layers
from sqsnn.learning.scores import Exact, Measured
from sqsnn.network import SpikingNetwork
from sqsnn_bench.gradients.scores import WindowedScore, gradient

SignalName = Literal["likelihood", "signs"]

# A gradient this much smaller than the exact one is rounding, and points nowhere.
_ROUNDING = 1e-6

# Receives what is measured next, its number from 1, and how many there are.
Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Limit:
    """The gradient of a window at infinitely many shots.

    Attributes:
        window: W.
        max_trials: Trials after which an event is given up; None for no limit.
        impossible: Share of the windows whose spikes cannot happen from fresh memory.
        cosine: With g, by kind; 0 where the gradient vanishes, None where g does.
        bias: Distance from g in units of |g|, by kind; None where g vanishes.
    """

    window: int
    max_trials: int | None
    impossible: float
    cosine: dict[str, float | None]
    bias: dict[str, float | None]


@dataclass(frozen=True)
class Quality:
    """How a kind of parameters came out in all draws; None where g vanishes.

    Attributes:
        cosine: Of the mean of the draws with g.
        bias: Distance of the mean from g, in units of |g|.
        bias_noise: What noise alone makes of this distance: its standard error.
        variance: Mean squared distance of a draw from its mean, in units of |g|^2.
        draw_cosine: Of a single draw with g, on average.
    """

    cosine: float | None
    bias: float | None
    bias_noise: float | None
    variance: float | None
    draw_cosine: float | None


@dataclass(frozen=True)
class Estimate:
    """One estimator, and how it did.

    Attributes:
        derivative: As in `Measured`.
        estimator: Its kind, "geometric" or "laplace".
        window: W.
        repeats: R (geometric); else None.
        shots: K (laplace); else None.
        shots_per_step: Shots of a draw per recorded step of a neuron.
        circuits_per_step: Circuits of a draw per recorded step of a neuron.
        given_up: Share of the events that `max_trials` trials did not bring; None with laplace.
        quality: By kind of parameter.
    """

    derivative: Derivative
    estimator: Literal["geometric", "laplace"]
    window: int
    repeats: int | None
    shots: int | None
    shots_per_step: float
    circuits_per_step: float
    given_up: float | None
    quality: dict[str, Quality]

    @property
    def name(self) -> str:
        """The estimator in one word: geometric, laplace or spsa."""
        return "spsa" if self.derivative == "spsa" else self.estimator

    @property
    def size(self) -> int | None:
        """R or K."""
        return self.repeats if self.shots is None else self.shots


@dataclass(frozen=True)
class Diagnosis:
    """All that was measured on a batch.

    Attributes:
        neuron_steps: Recorded steps of neurons: samples times steps times neurons.
        draws: How often each estimate was drawn.
        parameters: How many there are, by kind.
        norm: |g|, by kind.
        limits: Two per window: without a limit of trials, and with it.
        estimates: One per estimator.
    """

    neuron_steps: int
    draws: int
    parameters: dict[str, int]
    norm: dict[str, float]
    limits: tuple[Limit, ...]
    estimates: tuple[Estimate, ...]


def estimators(
    windows: Sequence[int], repeats: Sequence[int], shots: Sequence[int], max_trials: int
) -> tuple[Measured, ...]:
    """List the estimators to compare: shift with both inverses for each window, and spsa.

    Args:
        windows: W of each.
        repeats: R of each (geometric, spsa).
        shots: K of each (laplace).
        max_trials: As in `Geometric`.

    Raises:
        ValueError: If a number is below 1.
    """
    geometric = [Geometric(repeats=many, max_trials=max_trials) for many in repeats]
    laplace = [Laplace(shots=many) for many in shots]
    return (
        *(
            Measured(window=window, estimator=one)
            for window in windows
            for one in (*geometric, *laplace)
        ),
        *(Measured(derivative="spsa", estimator=one) for one in geometric),
    )


def diagnose(
    network: SpikingNetwork,
    spikes: Float[Tensor, "T B P N"],
    *,
    windows: Sequence[int],
    repeats: Sequence[int],
    shots: Sequence[int],
    max_trials: int,
    draws: int,
    signal: SignalName = "signs",
    generator: torch.Generator,
    watch: Watch = lambda estimator, number, of: None,
) -> Diagnosis:
    """Run a network once, and compare measured gradients of what it did with the exact ones.

    Args:
        network: Of quantum circuits in all layers.
        spikes: Encoded samples.
        windows: As in `estimators`.
        repeats: As in `estimators`.
        shots: As in `estimators`.
        max_trials: As in `estimators`.
        draws: How often each estimate is drawn, at least 2.
        signal: A of g.
        generator: Draws all random numbers.
        watch: Called before each estimator.

    Raises:
        TypeError: If the neurons of a layer are no circuits.
        ValueError: If a number is out of range.
    """
    check_positive_int("draws", draws, low=2)
    check_choice("signal", signal, SignalName)
    compared = estimators(windows, repeats, shots, max_trials)
    for population in map(network.population, network.names):
        require_circuits(population)
    layers = list(run_layers(network, spikes, generator, differentiable=False).values())
    weights = _signal(signal, layers, generator)
    exact = gradient(layers, weights, Exact(), generator).parts
    limits = [
        _limit(layers, weights, WindowedScore(window, trials), exact, generator)
        for window in windows
        for trials in (None, max_trials)
    ]
    estimates = []
    for number, score in enumerate(compared, start=1):
        watch(_described(score), number, len(compared))
        estimates.append(_estimate(layers, weights, score, exact, draws, generator))
    return Diagnosis(
        _neuron_steps(layers),
        draws,
        {kind: part.numel() for kind, part in exact.items()},
        {kind: float(part.norm()) for kind, part in exact.items()},
        tuple(limits),
        tuple(estimates),
    )


def _described(score: Measured) -> str:
    estimator = score.estimator
    if isinstance(estimator, Laplace):
        return f"laplace, W = {score.window}, K = {estimator.shots}"
    name = "spsa" if score.derivative == "spsa" else "geometric"
    return f"{name}, W = {score.window}, R = {estimator.repeats}"


def _signal(
    name: SignalName, layers: Sequence[Layer], generator: torch.Generator
) -> Float[Tensor, "T B"]:
    like = layers[0].driven.detach()[..., 0, 0]
    if name == "likelihood":
        return torch.ones_like(like)
    signs = torch.randint(0, 2, like.shape, generator=generator, device=generator.device)
    return (2 * signs - 1).to(like)


def _limit(
    layers: Sequence[Layer],
    weights: Tensor,
    score: WindowedScore,
    exact: dict[str, Tensor],
    generator: torch.Generator,
) -> Limit:
    parts, cost = gradient(layers, weights, score, generator)
    return Limit(
        score.window,
        score.max_trials,
        cost.truncations / cost.events,
        {kind: _cosine(part, exact[kind]) for kind, part in parts.items()},
        {kind: _distance(part, exact[kind]) for kind, part in parts.items()},
    )


def _estimate(
    layers: Sequence[Layer],
    weights: Tensor,
    score: Measured,
    exact: dict[str, Tensor],
    draws: int,
    generator: torch.Generator,
) -> Estimate:
    drawn = [gradient(layers, weights, score, generator) for _ in range(draws)]
    cost = Cost()
    for draw in drawn:
        cost = cost.plus(draw.cost)
    estimator = score.estimator
    steps = draws * _neuron_steps(layers)
    return Estimate(
        score.derivative,
        estimator.kind,
        score.window,
        estimator.repeats if isinstance(estimator, Geometric) else None,
        estimator.shots if isinstance(estimator, Laplace) else None,
        cost.shots / steps,
        cost.circuits / steps,
        cost.truncations / cost.events if isinstance(estimator, Geometric) else None,
        {
            kind: _quality(torch.stack([draw.parts[kind] for draw in drawn]), part)
            for kind, part in exact.items()
        },
    )


def _quality(drawn: Float[Tensor, "draws n"], exact: Float[Tensor, " n"]) -> Quality:
    size = float(exact.norm())
    if size == 0:
        return Quality(None, None, None, None, None)
    mean = drawn.mean(0)
    variance = float((drawn - mean).square().sum()) / (len(drawn) - 1) / size**2
    cosines = [_cosine(draw, exact) or 0.0 for draw in drawn]
    return Quality(
        _cosine(mean, exact),
        _distance(mean, exact),
        (variance / len(drawn)) ** 0.5,
        variance,
        sum(cosines) / len(cosines),
    )


def _cosine(one: Float[Tensor, " n"], exact: Float[Tensor, " n"]) -> float | None:
    sizes = float(one.norm()), float(exact.norm())
    if sizes[1] == 0:
        return None
    return 0.0 if sizes[0] < _ROUNDING * sizes[1] else float(one @ exact) / (sizes[0] * sizes[1])


def _distance(one: Float[Tensor, " n"], exact: Float[Tensor, " n"]) -> float | None:
    size = float(exact.norm())
    return float((one - exact).norm()) / size if size else None


def _neuron_steps(layers: Sequence[Layer]) -> int:
    return sum(layer.record.log_likelihood.numel() for layer in layers)
