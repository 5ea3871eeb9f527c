"""Scores: how a learning signal becomes the gradient of one population, and of no other.

Presynaptic spikes are data: given them, each neuron's probabilities depend on its own circuit,
drive and currents alone. A score pulls the two signals back through that dependence,

    sum_t [ L_t . d p_t + A_t d log p(s_t | s_<t) ],

to the parameters and the currents; the synapses' gradient follows from these (dz/dw = x). No
gradient enters from, or leaves to, another neuron. In the second term own spikes are data, too; in
the first a surrogate may run through them, as far as it stays inside the neuron (through the reset
of a leaky drive, or through the collapse).
"""

from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import partial, reduce
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from sqsnn.learning.bit_source import Backend, BitSource, SimulatedBits, require_circuits
from sqsnn.learning.estimators import Cost, Derivative, Geometric, Laplace, measure
from sqsnn.learning.layers import Layer
from sqsnn.neurons.population import Population
from sqsnn.options import Count, options
from sqsnn.quantum import shift_rules


class Signals(NamedTuple):
    """What a population receives; None where it receives nothing."""

    on_probability: Tensor | None  # L, on the firing probabilities, (T, B, H, N)
    on_likelihood: Tensor | None  # A, on the log-likelihood of the own spikes, (T, B, H)


class Pulled(NamedTuple):
    """The gradient of a population."""

    parameters: tuple[Tensor, ...]  # one per parameter of `population.parameters()`
    currents: Tensor  # (T, B, H, N)
    delta: Tensor  # the part of `currents` that comes from L; feedback carries it downward
    log_likelihood: (
        Tensor | None
    )  # 0-dim, of own spikes per step and neuron, in nats; None if unknown
    cost: Cost  # what ran on a source of bits


@options
class Exact:
    """Exact gradients by autograd inside each neuron, through its own recurrence."""

    kind: Literal["exact"] = field(default="exact", kw_only=True, repr=False)

    measured: ClassVar[bool] = False

    def check(self, population: Population) -> None:
        """Accept every population."""

    def pull(self, layer: Layer, signals: Signals, generator: torch.Generator) -> Pulled:
        """Pull signals back by autograd, for any population that scores `observed` spikes."""
        record, on_likelihood = layer.record, signals.on_likelihood
        scored = record if on_likelihood is None else layer.scored()
        pairs = (record.probability, signals.on_probability), (scored.log_likelihood, on_likelihood)
        wanted = [layer.driven, *_trained(layer.population)]
        # The graph is kept for the second part, and freed with the record.
        pull = partial(torch.autograd.grad, retain_graph=True, materialize_grads=True)
        parts = [pull(output, wanted, signal) for output, signal in pairs if signal is not None]
        currents, *gradients = (reduce(torch.add, of_one) for of_one in zip(*parts, strict=True))
        no_probability = signals.on_probability is None
        delta = torch.zeros_like(layer.driven) if no_probability else parts[0][0]
        likelihood = record.log_likelihood.detach().mean()
        parameters = _of_all(layer.population, gradients)
        return Pulled(parameters, currents, delta, likelihood, Cost())


@options
class Measured:
    """Gradients from measured bits alone: every step is replayed from fresh memory in a window."""

    window: Count = 1
    """Steps replayed per spike. 1 takes one circuit but is biased; as many as there are steps
    leaves no bias but that of events given up: an event takes about 2^(N (window - 1)) trials."""
    derivative: Derivative = "shift"
    """Derivative of the bits: the exact parameter shift, or all angles at once (window 1 only)."""
    estimator: Annotated[Geometric | Laplace, Field(discriminator="kind")] = Geometric()
    """How shots become probabilities: trials until an event, or smoothed shares."""
    backend: Backend | None = None
    """Device that measures all spikes, also those of validation and test: aer, braket, a snapshot
    such as fake_boston, or ibm:NAME [default: the simulator]."""
    source: Annotated[BitSource | None, Field(exclude=True)] = field(default=None, repr=False)
    """A running source of bits, which measures all spikes of the network; None: the simulator."""
    kind: Literal["measured"] = field(default="measured", kw_only=True, repr=False)

    measured: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.window > 1 and self.derivative == "spsa":
            raise ValueError(
                f"window is {self.window}, but derivative 'spsa' works with window 1 only, 'shift' "
                "with any"
            )

    def check(self, population: Population) -> None:
        """Refuse neurons that are no circuits, or need more than bits; see `Rule.check`."""
        neurons = require_circuits(population, "score 'measured'")
        if neurons.surrogate != "straight_through":
            raise ValueError(
                f"surrogate is {neurons.surrogate!r}, which needs probabilities, but score "
                "'measured' sees bits alone; use 'straight_through'"
            )
        if self.backend is not None and neurons.noise is not None:
            raise ValueError(
                "noise rates go with the simulator only, but backend is "
                f"{self.backend.shown}: leave them out"
            )

    def pull(self, layer: Layer, signals: Signals, generator: torch.Generator) -> Pulled:
        """Pull signals back through circuits that are replayed with shifted angles."""
        neurons = require_circuits(layer.population)
        source = self.source or SimulatedBits()
        spikes = layer.record.spikes
        with torch.enable_grad():
            # The recorded spikes fix every angle, also those of a leaky drive.
            potentials = neurons.potentials(layer.driven, spikes)
            rotations = torch.stack(neurons.encoding_angles(potentials), dim=-1)
        encoded = potentials.detach()
        steps, batch = encoded.shape[:2]
        shape = (2, steps, batch, neurons.size, len(neurons.circuit.encoding))
        by_rotation = encoded.new_zeros(shape)  # of L, and of A
        by_angle = torch.zeros_like(neurons.angles)
        cost, likelihood = Cost(), encoded.new_zeros((), dtype=torch.float64)
        for length, first in _windows(steps, min(self.window, steps)):
            last = slice(first.start + length - 1, first.stop + length - 1)
            here = Signals(*(None if s is None else s[last].flatten(0, 1) for s in signals))
            measured = measure(
                self.derivative,
                self.estimator,
                source,
                neurons,
                _replayed(encoded, length, first),
                _replayed(spikes, length, first),
                generator,
                probability=here.on_probability is not None,
                score=here.on_likelihood is not None,
            )
            cost = cost.plus(measured.cost)
            if measured.log_likelihood is not None:
                likelihood += measured.log_likelihood.sum()
            measured_parts = zip((measured.probability, measured.score), here, strict=True)
            for part, (derivative, signal) in enumerate(measured_parts):
                if derivative is None or signal is None:
                    continue
                values = derivative * signal
                if values.ndim == 4:  # the channels of the probability
                    values = values.sum(-1)
                angles, turned = shift_rules.sum_by_parameter(
                    neurons.circuit, measured.occurrences, values
                )
                by_angle += angles.sum(0)
                for step, there in enumerate(turned.unflatten(1, (-1, batch))):
                    by_rotation[part, first.start + step : first.stop + step] += there
        with torch.enable_grad():  # for angles that are made of other parameters
            made = [(rotations, by_rotation.sum(0)), (neurons.angles, by_angle)]
        (delta,) = torch.autograd.grad(rotations, [layer.driven], by_rotation[0], retain_graph=True)
        outputs, weights = zip(*(pair for pair in made if pair[0].requires_grad), strict=True)
        by_current, *gradients = torch.autograd.grad(
            outputs, [layer.driven, *_trained(neurons)], weights, materialize_grads=True
        )
        on_likelihood = signals.on_likelihood
        return Pulled(
            _of_all(neurons, gradients),
            by_current,
            delta,
            None if on_likelihood is None else likelihood / on_likelihood.numel(),
            cost,
        )


def _trained(population: Population) -> list[Tensor]:
    return [parameter for parameter in population.parameters() if parameter.requires_grad]


def _of_all(population: Population, gradients: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Add to the gradients of trained parameters those of frozen ones, which are 0."""
    trained = iter(gradients)
    return tuple(
        next(trained) if parameter.requires_grad else torch.zeros_like(parameter)
        for parameter in population.parameters()
    )


def _windows(steps: int, window: int) -> Iterator[tuple[int, slice]]:
    """Yield lengths of windows and their first steps; one window ends at every step."""
    # Windows that would begin before the first step begin there.
    for length in range(1, window):
        yield length, slice(0, 1)
    yield window, slice(0, steps - window + 1)


def _replayed(values: Tensor, length: int, first: slice) -> Float[Tensor, "W windows_B H N"]:
    steps = [values[first.start + step : first.stop + step] for step in range(length)]
    return torch.stack(steps).flatten(1, 2)
