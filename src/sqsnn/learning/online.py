"""The local rule strictly online: step t uses nothing but what is known at step t.

The derivatives of each neuron's memory are carried forward (`traces.py`), so that the memory that a
training step takes does not grow with T. The price, compared with exact scores:

* the error of an output is that of the scores so far, softmax(sum_{t' <= t} p_t') - target;
* delta, and with it the feedback, is that of the same step: dp_t/dz_t, without later steps.

Rewards pay no price: with sum_{t' >= t} g^(t'-t) r_t' for a spike at t, the loss r_t of a step goes
with the scores of all steps up to it, z_t = g z_{t-1} + dlog p(s_t | s_<t), one more trace.
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn import readout
from sqsnn.learning import signals
from sqsnn.learning.bit_source import require_circuits
from sqsnn.learning.eligibility import Gradient
from sqsnn.learning.memory import Memory
from sqsnn.learning.rule import Figures, add_gradient
from sqsnn.learning.signals import Signal
from sqsnn.learning.traces import Observed, Traced
from sqsnn.network import SpikingNetwork
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Population
from sqsnn.options import options
from sqsnn.readout import Targets


@options
class Online:
    """Gradients forward in time, in memory that does not grow with the number of steps."""

    update_every_step: bool = False
    """Change the weights after every time step."""
    kind: Literal["online"] = field(default="online", kw_only=True, repr=False)

    measured: ClassVar[bool] = False

    def check(self, population: Population) -> None:
        """Refuse a population whose derivatives cannot be carried forward; see `Rule.check`."""
        neurons = require_circuits(population, "score 'online'")
        if neurons.noise is not None:  # it would need traces of density matrices
            raise ValueError("score 'online' works without noise only; use score 'exact'")


@torch.no_grad()
def learn_online(
    signal: Signal,
    memory: Memory,
    network: SpikingNetwork,
    spikes: Float[Tensor, "T B P N"],
    targets: Targets,
    generator: torch.Generator,
    update: Callable[[], None] | None = None,
    *,
    on_counts: bool = False,
) -> Figures:
    """Run the network once, and add every neuron's own gradient on the way; see `Local.step`.

    Without `update`, `.grad` holds the sum over all steps.
    """
    copies, (steps, samples) = signal.runs, spikes.shape[:2]
    batch, scored = copies * samples, signal.by_score is not None
    layers = [
        Traced(require_circuits(population), synapses.weight.shape[2], batch, scored)
        for synapses, population in network.layers
    ]
    reward = signal.by_score
    # The loss of counts contains an output's spike itself, not only what it does to later ones.
    output_answers = (
        reward is not None
        and reward.output_score
        and layers[-1].neurons.keeps_memory
        and not on_counts
    )
    targets = targets.repeated(copies)
    labels = targets.values
    counting = spikes.new_ones(steps, batch) if targets.mask is None else targets.mask.to(spikes)
    scores = spikes.new_zeros(batch, network.sizes[-1])
    counts = torch.zeros_like(scores)
    eligibilities = [layer.of_score.no_score() for layer in layers] if scored else []
    weights: Sequence[Tensor] = ()
    for t in range(steps):
        if signal.by_feedback and len(layers) > 1 and (t == 0 or update is not None):
            weights = memory.feedback_weights(network, signal.by_feedback, generator)
        uniforms = network.draw_uniforms(1, batch, generator)
        sources, seen = spikes[t].repeat(copies, 1, 1), []
        for (synapses, _), layer, numbers in zip(network.layers, layers, uniforms, strict=True):
            seen.append(layer.observe(sources, synapses(sources[None])[0], numbers[0]))
            sources = seen[-1].spikes
        output = seen[-1]
        logits = output.spikes if on_counts else output.probability
        counts_now = counting[t, :, None]  # (B, 1)
        before, scores = scores, scores + counts_now * logits.sum(-1)
        counts += counts_now * output.spikes.sum(-1)
        error = counts_now * signals.error(scores, targets)
        advantage = None
        if signal.by_score:
            loss = signals.losses(scores, labels) - signals.losses(before, labels)
            reduced = signals.without_baseline(
                (signal.score_weight * loss)[None], labels, signal.by_score, memory, f"baseline/{t}"
            )
            advantage = reduced[0] / batch
            if targets.weights is not None:
                advantage = advantage * targets.weights
        received = error[..., None].expand_as(output.probability)
        if on_counts:
            surrogate = layers[-1].neurons.surrogate
            received = received * surrogates.spike_slope(output.probability, surrogate)
        _learn(
            signal,
            network,
            layers,
            seen,
            received,
            advantage,
            eligibilities,
            weights,
            output_answers=output_answers,
        )
        for layer, observed in zip(layers, seen, strict=True):
            layer.carry(observed)
        if update is not None and counting[t].any():  # else all gradients are 0
            update()
            for layer in layers:
                layer.parameters_changed()
    possible = steps * layers[-1].neurons.channels
    predicted = readout.break_ties(counts, scores, possible).argmax(-1)
    return {
        "loss": targets.averaged(signals.losses(scores, labels)).item(),
        "correct": float((predicted == labels).sum()) / copies,
    }


def _learn(
    signal: Signal,
    network: SpikingNetwork,
    layers: Sequence[Traced],
    seen: Sequence[Observed],
    received: Float[Tensor, "B classes N"],
    advantage: Float[Tensor, "B"] | None,
    eligibilities: list[Gradient],
    weights: Sequence[Tensor],
    *,
    output_answers: bool,
) -> None:
    """Add the gradients of one step, from the outputs down; `eligibilities` holds z per layer."""
    feedback, reward, last = signal.by_feedback, signal.by_score, len(layers) - 1
    deltas: list[Tensor] = []
    for index in range(last, -1 if feedback or reward else last - 1, -1):
        layer, observed = layers[index], seen[index]
        answers = index < last or output_answers
        parts: list[Gradient] = []
        if index == last or feedback:
            if feedback and index < last:
                delta = feedback.delta_above(deltas)[None]
                received = signals.fed_back(delta, weights[index], layer.neurons.channels)[0]
                received = received * surrogates.spike_slope(
                    observed.probability, layer.neurons.surrogate
                )
            slope = layer.slope_of_probability(observed, received)
            traces = layer.of_score if index == last and answers else layer.traces
            parts.append(traces.gradient(observed, slope))
            deltas.append(layer.by_current(observed, slope))
        if reward and advantage is not None and answers:
            score = layer.of_score.scores(observed, layer.slope_of_likelihood(observed))
            earlier = Gradient(*(reward.decay * values for values in eligibilities[index]))
            eligibilities[index] = Gradient(*map(torch.add, earlier, score))
            # The loss of a step does not depend on the output spikes of the step itself.
            counted = earlier if index == last else eligibilities[index]
            parts.append(Gradient(*(advantage @ values for values in counted)))
        for part in parts:
            add_gradient(network.layers[index][0].weight, layer.by_weight(part))
            layer.add_gradient(part)
