"""Scores: how a learning signal becomes the gradient of one population, and of no other.

All spikes, own and presynaptic, are data: given them, each neuron's probabilities depend on its own
circuit and currents alone. A score pulls the two signals back through that dependence,

    sum_t [ L_t . d p_t + A_t d log p(s_t | s_<t) ],

to angles, gains and currents; synapses take it from there (dz/dw = x). No gradient enters from, or
leaves to, another neuron.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.learning.bit_source import BitSource, SimulatedBits, require_circuits
from sqsnn.learning.estimators import Cost, Derivatives, Estimator
from sqsnn.learning.layers import Layer
from sqsnn.quantum import shift_rules


class Signals(NamedTuple):
    """What a population is told; None where there is nothing.

    on_probability: L, to go with the firing probabilities, `(T, B, H, N)`.
    on_likelihood: A, to go with the log-likelihood of the own spikes, `(T, B, H)`.
    """

    on_probability: Tensor | None
    on_likelihood: Tensor | None


class Pulled(NamedTuple):
    """The gradient of a population.

    parameters: One for each of `population.parameters()`.
    currents: `(T, B, H, N)`.
    delta: The part of it that comes from L, which feedback carries on downward.
    log_likelihood: Of the own spikes a step and neuron, in nats, as far as it is known.
    """

    parameters: tuple[Tensor, ...]
    currents: Tensor
    delta: Tensor
    log_likelihood: float | None
    cost: Cost


@runtime_checkable
class Score(Protocol):
    """How signals are pulled back; `measured` scores see bits alone, and so must the signals."""

    @property
    def measured(self) -> bool:
        """Whether probabilities are unknown."""
        ...

    def pull(self, layer: Layer, signals: Signals, generator: torch.Generator) -> Pulled:
        """Pull signals back through one population.

        Args:
            layer: What it did, from fresh memory.
            signals: What it is told.
            generator: Draws what has to be drawn.
        """
        ...


class ExactScore:
    """By autograd inside each neuron, through its own recurrence."""

    measured = False

    def pull(self, layer: Layer, signals: Signals, generator: torch.Generator) -> Pulled:
        """See `Score.pull`; works for every population that can score `observed` spikes."""
        record = layer.scored()
        # A frozen parameter is a constant, with a gradient of 0.
        wanted = [layer.driven, *(p for p in layer.population.parameters() if p.requires_grad)]
        outputs = (record.probability, record.log_likelihood)
        parts = [
            [torch.zeros_like(tensor) for tensor in wanted]
            if signal is None
            # The graph is kept for the second part, and freed with the record.
            else torch.autograd.grad(
                output, wanted, signal, retain_graph=True, materialize_grads=True
            )
            for output, signal in zip(outputs, signals, strict=True)
        ]
        currents, *trained = (a + b for a, b in zip(*parts, strict=True))
        gradients = iter(trained)
        parameters = tuple(
            next(gradients) if p.requires_grad else torch.zeros_like(p)
            for p in layer.population.parameters()
        )
        likelihood = record.log_likelihood.detach().mean().item()
        return Pulled(parameters, currents, parts[0][0], likelihood, Cost())


@dataclass(frozen=True)
class MeasuredScore:
    """From measured bits alone, step by step, each replayed from fresh memory in a window.

    Args:
        window: W; the replay starts W - 1 steps before the spike. 1 takes one circuit and is
            biased; the number of steps or more is unbiased, as far as the trials reach: an event
            takes about 2^(N (W - 1)) of them.
        estimator: How many circuits and shots.
        source: Where bits come from.

    Raises:
        ValueError: A window below 1, or beyond 1 with SPSA.
    """

    window: int = 1
    estimator: Estimator = field(default_factory=Estimator)
    source: BitSource = field(default_factory=SimulatedBits)

    measured = True

    def __post_init__(self) -> None:
        check_positive_int("window", self.window)
        if self.window > 1 and self.estimator.derivative == "spsa":
            raise ValueError(
                f"window is {self.window}; derivative 'spsa' works with window 1 only, "
                "'shift' with any"
            )

    def pull(self, layer: Layer, signals: Signals, generator: torch.Generator) -> Pulled:
        """See `Score.pull`.

        Raises:
            TypeError: The population is not one of quantum circuits.
        """
        neurons = require_circuits(layer.population)
        currents, spikes = layer.driven.detach(), layer.record.spikes
        steps, batch = currents.shape[:2]
        shape = (2, steps, batch, neurons.size, len(neurons.circuit.encoding))
        by_rotation = currents.new_zeros(shape)  # of L, and of A
        by_angle = torch.zeros_like(neurons.angles)
        cost, likelihood = Cost(), 0.0
        for length, first in _windows(steps, min(self.window, steps)):
            last = slice(first.start + length - 1, first.stop + length - 1)
            told = Signals(*(None if s is None else s[last].flatten(0, 1) for s in signals))
            measured = self.estimator.measure(
                self.source,
                neurons,
                _replayed(currents, length, first),
                _replayed(spikes, length, first),
                generator,
                probability=told.on_probability is not None,
                score=told.on_likelihood is not None,
            )
            cost = cost.plus(measured.cost)
            if measured.log_likelihood is not None:
                likelihood += measured.log_likelihood.sum().item()
            for part, values in enumerate(_weighted(measured, told)):
                if values is None:
                    continue
                angles, rotations = shift_rules.sum_by_parameter(
                    neurons.circuit, measured.occurrences, values
                )
                by_angle += angles.sum(0)
                for step, there in enumerate(rotations.unflatten(1, (-1, batch))):
                    by_rotation[part, first.start + step : first.stop + step] += there
        with torch.enable_grad():
            rotations = torch.stack(neurons.encoding_angles(layer.driven), dim=-1)
        (delta,) = torch.autograd.grad(rotations, [layer.driven], by_rotation[0], retain_graph=True)
        wanted = [layer.driven, *([neurons.gains] if neurons.gains.requires_grad else [])]
        by_current, *by_gain = torch.autograd.grad(
            rotations, wanted, by_rotation.sum(0), materialize_grads=True
        )
        told = signals.on_likelihood
        return Pulled(
            (by_angle, by_gain[0] if by_gain else torch.zeros_like(neurons.gains)),
            by_current,
            delta,
            None if told is None else likelihood / told.numel(),
            cost,
        )


def _windows(steps: int, window: int) -> Iterator[tuple[int, slice]]:
    """Lengths of windows, and their first steps: one window ends at every step, and those that
    would begin before the first step begin there."""
    for length in range(1, window):
        yield length, slice(0, 1)
    yield window, slice(0, steps - window + 1)


def _replayed(
    values: Float[Tensor, "T B H N"], length: int, first: slice
) -> Float[Tensor, "length windows_B H N"]:
    steps = [values[first.start + step : first.stop + step] for step in range(length)]
    return torch.stack(steps).flatten(1, 2)


def _weighted(measured: Derivatives, told: Signals) -> Iterator[Tensor | None]:
    """The derivatives of each occurrence, `(O, B, H)`, weighted with L, then with A."""
    if measured.probability is None or told.on_probability is None:
        yield None
    else:
        yield (measured.probability * told.on_probability).sum(-1)
    if measured.score is None or told.on_likelihood is None:
        yield None
    else:
        yield measured.score * told.on_likelihood
