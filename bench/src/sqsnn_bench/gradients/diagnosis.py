"""How good gradients from measured bits are, against the exact ones of the same spikes.

A network runs once on a batch, and all its spikes are then data. Of the score gradient

    g = 1/B sum_b sum_t A_t sum_neurons d log p(s_t | s_<t) / d(parameters)

measured bits leave something out in three ways, which are told apart:

    the window       replays from fresh memory: its bias stays with infinitely many shots
    the trials       events that `max_trials` trials do not bring are given up: a bias, too
    the shots        noise, and with "laplace" one more bias, which falls with the shots

The signal A is 1 ("likelihood"), or a random sign a sample and step ("signs"), as uninformed as an
advantage can be. The mean of d log p over spikes is 0, that of a window is not: with "likelihood"
g shrinks against the bias of the window as the batch grows; with "signs" both shrink alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import check_choice, check_positive_int
from sqsnn.learning.bit_source import require_circuits
from sqsnn.learning.estimators import Cost, Derivative, Estimator, Inverse
from sqsnn.learning.layers import Layer, run_layers
from sqsnn.learning.scores import ExactScore, MeasuredScore
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.population import Population
from sqsnn.reports.score_gradients import WindowedScore, gradient

SignalName = Literal["likelihood", "signs"]

# A gradient this much smaller than the exact one is rounding, and points nowhere.
_ROUNDING = 1e-6

# Is told which setting comes, its number from 1, and how many there are.
Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Limit:
    """The gradient of a window at infinitely many shots.

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
    """One setting of the estimator, and how it did.

    derivative, inverse, window: The setting, and either `repeats` or `shots`; the other is None.
    shots_per_step: Shots of a draw a recorded step of a neuron.
    circuits_per_step: Circuits of a draw a recorded step of a neuron.
    given_up: Share of the events that `max_trials` trials did not bring; None with "laplace".
    quality: By kind of parameter.
    """

    derivative: Derivative
    inverse: Inverse
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
        return "spsa" if self.derivative == "spsa" else self.inverse

    @property
    def size(self) -> int | None:
        """R or K."""
        return self.repeats if self.shots is None else self.shots


@dataclass(frozen=True)
class Diagnosis:
    """All that was measured on a batch.

    neuron_steps: Recorded steps of neurons: samples times steps times neurons.
    draws: How often each estimate was drawn.
    parameters: How many there are, by kind.
    norm: |g|, by kind.
    limits: Two a window: without a limit of trials, and with it.
    estimates: One a setting.
    """

    neuron_steps: int
    draws: int
    parameters: dict[str, int]
    norm: dict[str, float]
    limits: tuple[Limit, ...]
    estimates: tuple[Estimate, ...]


def settings(
    windows: Sequence[int], repeats: Sequence[int], shots: Sequence[int], max_trials: int
) -> tuple[MeasuredScore, ...]:
    """The estimators to compare: shift with "geometric" and "laplace" for each window, and spsa.

    Args:
        windows: W of each.
        repeats: R of each ("geometric", spsa).
        shots: K of each ("laplace").
        max_trials: As in `Estimator`.

    Raises:
        ValueError: A number is below 1.
    """
    geometric = [Estimator(repeats=many, max_trials=max_trials) for many in repeats]
    laplace = [Estimator(inverse="laplace", shots=many) for many in shots]
    spsa = [Estimator("spsa", repeats=many, max_trials=max_trials) for many in repeats]
    return (
        *(MeasuredScore(window, one) for window in windows for one in (*geometric, *laplace)),
        *(MeasuredScore(1, one) for one in spsa),
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
    watch: Watch = lambda setting, number, of: None,
) -> Diagnosis:
    """Run a network once, and compare measured gradients of what it did with the exact ones.

    Args:
        network: Of quantum circuits in all layers.
        spikes: Encoded samples.
        windows: As in `settings`.
        repeats: As in `settings`.
        shots: As in `settings`.
        max_trials: As in `settings`.
        draws: How often each estimate is drawn, at least 2.
        signal: A of g.
        generator: Draws all random numbers.
        watch: Is told what comes.

    Raises:
        TypeError: A layer is not one of quantum circuits.
        ValueError: A number is out of range.
    """
    check_positive_int("draws", draws, low=2)
    check_choice("signal", signal, SignalName)
    compared = settings(windows, repeats, shots, max_trials)
    for population in cast(Sequence[Population], network.populations):
        require_circuits(population)
    layers = run_layers(network, spikes, generator, differentiable=False)
    told = _signal(signal, layers, generator)
    exact = gradient(layers, told, ExactScore(), generator).parts
    limits = [
        _limit(layers, told, WindowedScore(window, trials), exact, generator)
        for window in windows
        for trials in (None, max_trials)
    ]
    estimates = []
    for number, setting in enumerate(compared, start=1):
        watch(_described(setting), number, len(compared))
        estimates.append(_estimate(layers, told, setting, exact, draws, generator))
    return Diagnosis(
        _neuron_steps(layers),
        draws,
        {kind: part.numel() for kind, part in exact.items()},
        {kind: float(part.norm()) for kind, part in exact.items()},
        tuple(limits),
        tuple(estimates),
    )


def _described(setting: MeasuredScore) -> str:
    estimator = setting.estimator
    if estimator.inverse == "laplace":
        return f"laplace, W = {setting.window}, K = {estimator.shots}"
    name = "spsa" if estimator.derivative == "spsa" else "geometric"
    return f"{name}, W = {setting.window}, R = {estimator.repeats}"


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
    told: Tensor,
    score: WindowedScore,
    exact: dict[str, Tensor],
    generator: torch.Generator,
) -> Limit:
    parts, cost = gradient(layers, told, score, generator)
    return Limit(
        score.window,
        score.max_trials,
        cost.truncations / cost.events,
        {kind: _cosine(part, exact[kind]) for kind, part in parts.items()},
        {kind: _distance(part, exact[kind]) for kind, part in parts.items()},
    )


def _estimate(
    layers: Sequence[Layer],
    told: Tensor,
    setting: MeasuredScore,
    exact: dict[str, Tensor],
    draws: int,
    generator: torch.Generator,
) -> Estimate:
    drawn = [gradient(layers, told, setting, generator) for _ in range(draws)]
    cost = Cost()
    for draw in drawn:
        cost = cost.plus(draw.cost)
    estimator = setting.estimator
    geometric = estimator.inverse == "geometric"
    steps = draws * _neuron_steps(layers)
    return Estimate(
        estimator.derivative,
        estimator.inverse,
        setting.window,
        estimator.repeats if geometric else None,
        None if geometric else estimator.shots,
        cost.shots / steps,
        cost.circuits / steps,
        cost.truncations / cost.events if geometric else None,
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
