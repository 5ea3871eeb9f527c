"""The local rule strictly online: step t uses nothing but what is known at step t.

The derivatives of each neuron's memory are carried forward (`traces.py`), so that the memory that a
training step takes does not grow with T. The price, compared with exact scores:

* the error of an output is that of the scores so far, softmax(sum_{t' <= t} p_t') - target;
* delta, and with it the feedback, is that of the same step: dp_t/dz_t, without later steps.

Rewards pay no price: with sum_{t' >= t} g^(t'-t) r_t' for a spike at t, the loss r_t of a step goes
with the scores of all steps up to it, z_t = g z_{t-1} + dlog p(s_t | s_<t), one more trace.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn import readout
from sqsnn.learning import signals
from sqsnn.learning.bit_source import require_circuits
from sqsnn.learning.eligibility import Gradient
from sqsnn.learning.feedback import Paths, paths
from sqsnn.learning.inputs import Inputs, inputs_of
from sqsnn.learning.memory import Memory
from sqsnn.learning.rule import Figures
from sqsnn.learning.signals import Reinforce, Signal
from sqsnn.learning.traces import Observed, Traced
from sqsnn.network import Pass, SpikingNetwork
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Population
from sqsnn.options import options
from sqsnn.placing import in_full_precision
from sqsnn.processes import batch_sum
from sqsnn.readback import read
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
    batch, reward, last = copies * samples, signal.by_score, network.names[-1]
    inputs = {name: inputs_of(network, name) for name in network.order}
    layers = {
        name: Traced(
            require_circuits(network.population(name)), fed.columns, batch, reward is not None
        )
        for name, fed in inputs.items()
    }
    targets = targets.repeated(copies)
    labels = targets.values
    counting = spikes.new_ones(steps, batch) if targets.mask is None else targets.mask.to(spikes)
    some_count: list[bool] = []  # steps that count for a sample of any process
    if update is not None:
        some_count = (batch_sum(generator, counting.sum(1)) > 0).tolist()
    scores = spikes.new_zeros(batch, network.outputs)
    counts = torch.zeros_like(scores)
    eligibilities = {
        name: layer.of_score.no_score() for name, layer in layers.items() if reward is not None
    }
    # The loss of counts contains an output's spike itself, not only what it does to later ones.
    silent = () if _output_answers(reward, network, on_counts=on_counts) else (last,)
    ways, pathways = None, None
    for t in range(steps):
        if signal.by_feedback and len(layers) > 1 and (t == 0 or update is not None):
            ways = paths(network, signal.by_feedback, memory, generator)
        running = Pass(network, spikes[t : t + 1].repeat(1, copies, 1, 1), pathways)
        seen = _observe(running, inputs, layers, network.draw_uniforms(1, batch, generator))
        pathways, output = running.pathways, seen[last]
        logits = output.spikes if on_counts else output.probability
        counts_now = counting[t, :, None]  # (B, 1)
        before, scores = scores, scores + counts_now * logits.sum(-1)
        counts += counts_now * output.spikes.sum(-1)
        error = counts_now * signals.error(scores, targets)
        advantage = None
        if reward:
            loss = signals.losses(scores, labels) - signals.losses(before, labels)
            reduced = signals.without_baseline(
                (signal.score_weight * loss)[None],
                labels,
                reward,
                memory,
                generator,
                f"baseline/{t}",
            )
            advantage = reduced[0] / batch
            if targets.weights is not None:
                advantage = advantage * targets.weights
        received = error[..., None].expand_as(output.probability)
        if on_counts:
            surrogate = layers[last].neurons.surrogate
            received = received * surrogates.spike_slope(output.probability, surrogate)
        _learn(
            network, reward, inputs, layers, seen, received, ways, advantage, eligibilities, silent
        )
        for name, layer in layers.items():
            layer.carry(seen[name])
        if update is not None and some_count[t]:  # else all gradients are 0
            update()
            for layer in layers.values():
                layer.parameters_changed()
    possible = steps * layers[last].neurons.channels
    predicted = readout.break_ties(counts, scores, possible).argmax(-1)
    loss = targets.averaged(signals.losses(scores, labels))
    known = read(loss, (predicted == labels).sum(dtype=torch.float64) / copies)
    return dict(zip(("loss", "correct"), known, strict=True))


def output_answers(network: SpikingNetwork) -> bool:
    """Whether an output's spikes can change later probabilities: its own, or on a cycle others'."""
    output = network.names[-1]
    return network.population(output).keeps_memory or bool(network.outgoing(output))


def _output_answers(reward: Reinforce | None, network: SpikingNetwork, *, on_counts: bool) -> bool:
    return reward is not None and reward.output_score and output_answers(network) and not on_counts


def _observe(
    running: Pass,
    inputs: Mapping[str, Inputs],
    layers: Mapping[str, Traced],
    uniforms: Sequence[Tensor],
) -> dict[str, Observed]:
    """Run all populations for a step."""
    numbers = dict(zip(running.network.names, uniforms, strict=True))
    seen: dict[str, Observed] = {}

    def fire(name: str, steps: slice, currents: Tensor) -> Tensor:
        sources = inputs[name].gather(running.arrived)
        seen[name] = layers[name].observe(sources, currents[0], numbers[name][0])
        return seen[name].spikes[None]

    for component in running.network.components:
        running.run(component, fire)
    return seen


@in_full_precision
def _learn(
    network: SpikingNetwork,
    reward: Reinforce | None,
    inputs: Mapping[str, Inputs],
    layers: dict[str, Traced],
    seen: Mapping[str, Observed],
    error: Float[Tensor, "B classes N"],
    ways: Paths | None,
    advantage: Float[Tensor, "B"] | None,
    eligibilities: dict[str, Gradient],
    silent: Sequence[str],
) -> None:
    """Add the gradients of one step, from the outputs down.

    `eligibilities` holds z per population; those in `silent` answer for no reward.
    """
    last = network.names[-1]
    deltas: dict[str, Tensor] = {}
    for name, layer in reversed(layers.items()):
        observed, received = seen[name], None
        if name == last:
            received = error
        elif ways is not None and (below := ways.received(name, deltas)) is not None:
            slope = surrogates.spike_slope(observed.probability, layer.neurons.surrogate)
            received = below[0] * slope
        parts: list[Gradient] = []
        answers = reward is not None and name not in silent
        if received is not None:
            slope = layer.slope_of_probability(observed, received)
            traces = layer.of_score if name == last and answers else layer.traces
            parts.append(traces.gradient(observed, slope))
            deltas[name] = layer.by_current(observed, slope)[None]
        if reward is not None and advantage is not None and answers:
            score = layer.of_score.scores(observed, layer.slope_of_likelihood(observed))
            earlier = Gradient(*(reward.decay * values for values in eligibilities[name]))
            eligibilities[name] = Gradient(*map(torch.add, earlier, score))
            # The loss of a step does not depend on the output spikes of the step itself.
            counted = earlier if name == last else eligibilities[name]
            parts.append(Gradient(*(advantage @ values for values in counted)))
        for part in parts:
            inputs[name].add_gradient(layer.by_weight(part))
            layer.add_gradient(part)
