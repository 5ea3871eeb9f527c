"""Score gradients of a network that ran, by kind of parameter: exact, measured, or their limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.learning.bit_source import require_circuits
from sqsnn.learning.estimators import Cost
from sqsnn.learning.layers import Layer
from sqsnn.learning.scores import Exact, Measured, Pulled, Signals
from sqsnn.neurons.drive import Leaky, at_rest, settle
from sqsnn.neurons.sqs import SQSState

KINDS = ("weights", "memory gates", "channel gates", "gains", "drive")
ALL = "all"


class Gradient(NamedTuple):
    """The score gradient of all layers, and what it took.

    Attributes:
        parts: A vector in float64 for each kind of parameter that the network has, and `ALL`.
        cost: What ran on a source of bits.
    """

    parts: dict[str, Tensor]
    cost: Cost


def gradient(
    layers: Sequence[Layer],
    weights: Float[Tensor, "T B"],
    score: "Exact | Measured | WindowedScore",
    generator: torch.Generator,
) -> Gradient:
    """Compute the score gradient of all layers' parameters, a mean over the batch.

    Args:
        layers: Those of `run_layers`, of quantum circuits.
        weights: The signal A, for all neurons the same.
        score: How the gradient is made.
        generator: Draws what has to be drawn.
    """
    parts: dict[str, list[Tensor]] = {kind: [] for kind in KINDS}
    cost = Cost()
    for layer in layers:
        shape = layer.driven.shape[:3]
        share = (weights / shape[1])[..., None].expand(shape).contiguous()
        pulled = score.pull(layer, Signals(None, share), generator)
        for kind, part in _by_kind(layer, pulled).items():
            parts[kind].append(part.flatten().double())
        cost = cost.plus(pulled.cost)
    joined = {kind: torch.cat(found) for kind, found in parts.items()}
    present = {kind: part for kind, part in joined.items() if part.numel()}
    return Gradient(present | {ALL: torch.cat(list(present.values()))}, cost)


@dataclass(frozen=True)
class WindowedScore:
    """What `Measured` with this window tends to with infinitely many shots, by autograd.

    Memory starts afresh at the first step of a window; the recorded spikes fix the membrane of a
    leaky drive, also there. An event that cannot happen from fresh memory adds nothing: its
    probability, 0, is a minimum, so that its derivative is 0 too. The cost counts such events as
    given up.

    Attributes:
        window: W.
        max_trials: As in `Geometric`, repeated infinitely often; None for no limit.
    """

    window: int
    max_trials: int | None = None

    measured = False

    def pull(self, layer: Layer, signals: Signals, generator: torch.Generator) -> Pulled:
        """Pull a signal on the likelihood back; see `Exact.pull`.

        Raises:
            ValueError: If a signal on probabilities is given, or none on the likelihood.
        """
        signal = signals.on_likelihood
        if signal is None or signals.on_probability is not None:
            raise ValueError("WindowedScore takes a signal on the likelihood, and no other")
        likelihoods, weights, impossible = [], [], 0
        with torch.enable_grad():
            starts = _fresh_states(layer)
        for last in range(len(signal)):
            window = slice(max(0, last + 1 - self.window), last + 1)
            with torch.enable_grad():
                record, _ = layer.population(
                    layer.driven[window],
                    starts[window.start],
                    observed=layer.record.spikes[window],
                )
            likelihoods.append(record.log_likelihood)
            weights.append(signal[last] * self._weights(record.log_likelihood.detach()))
            impossible += int(record.log_likelihood.detach().isneginf().any(0).sum())
        wanted = [layer.driven, *layer.population.parameters()]
        currents, *parameters = torch.autograd.grad(
            likelihoods, wanted, weights, materialize_grads=True
        )
        cost = Cost(events=signal.numel(), truncations=impossible)
        return Pulled(tuple(parameters), currents, torch.zeros_like(currents), None, cost)

    def _weights(self, likelihood: Float[Tensor, "W B H"]) -> Float[Tensor, "W B H"]:
        """Give a d log P(c, s) - b d log P(c) as weights of d log p of each step.

        Here a and b are what the trials leave of 1; both 1 leave d log p of the last step alone.
        """
        joint = likelihood.cumsum(0).exp().clamp(max=1)  # rounding may end above 1
        kept = self._kept(joint[-1])
        weights = kept.expand_as(likelihood).clone()
        if len(joint) > 1:
            weights[:-1] -= self._kept(joint[-2])
        return weights

    def _kept(self, probability: Tensor) -> Tensor:
        """Compute P E[G] of events whose trials G end at `max_trials`."""
        if self.max_trials is None:
            return (probability > 0).to(probability)
        return -torch.expm1(self.max_trials * torch.log1p(-probability))


def _fresh_states(layer: Layer) -> list[SQSState | None]:
    """Fresh memory at every step, with the membrane that the spikes before it left."""
    neurons, spikes = require_circuits(layer.population), layer.record.spikes
    if not isinstance(neurons.drive, Leaky):
        return [None] * len(spikes)
    _, state = neurons(layer.driven[:1].detach(), observed=spikes[:1])
    memory = torch.zeros_like(state.memory)
    memory[(..., *(0,) * (memory.ndim - 2))] = 1  # |0> or |0><0|
    membrane, states = at_rest(neurons.drive, layer.driven[0]), []
    for current, own in zip(layer.driven, spikes, strict=True):
        states.append(SQSState(memory, *membrane))
        _, membrane = neurons.integrate(current, membrane)
        membrane = settle(membrane, own)
    return states


def _by_kind(layer: Layer, pulled: Pulled) -> dict[str, Tensor]:
    neurons = require_circuits(layer.population)
    names = [name for name, _ in neurons.named_parameters()]
    by_name = dict(zip(names, pulled.parameters, strict=True))
    by_angle = by_name["angles"]
    by_gain = by_name.get("gains", by_angle.new_zeros(len(by_angle), 0))
    of_the_drive = [
        by_name[name].flatten() for name in ("beta", "reset", "bias") if name in by_name
    ]
    by_drive = torch.cat(of_the_drive or [by_angle.new_zeros(0)])
    # The graph is kept for the next draw.
    weights = [weight for pathway in layer.pathways for weight in pathway.parameters()]
    by_weights = torch.autograd.grad(layer.currents, weights, pulled.currents, retain_graph=True)
    by_weight = torch.cat([part.flatten() for part in by_weights])
    touching = {
        gate.parameter
        for gate in neurons.circuit.gates
        if any(qubit >= neurons.channels for qubit in gate.qubits)
    }
    memory = [number for number in range(by_angle.shape[1]) if number in touching]
    others = [number for number in range(by_angle.shape[1]) if number not in touching]
    found = (by_weight, by_angle[:, memory], by_angle[:, others], by_gain, by_drive)
    return dict(zip(KINDS, found, strict=True))
