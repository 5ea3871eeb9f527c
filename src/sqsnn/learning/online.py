"""The local rule strictly online: at step t nothing is used but what is known at step t.

The derivatives of each neuron's memory are carried forward (`traces.py`), so that the memory a
training step takes does not grow with T. What is given up for it, against `LocalRule`:

* the error of an output is that of the scores so far, softmax(sum_{t' <= t} p_t') - target;
* delta, and with it the feedback, is that of the same step: dp_t/dz_t, without later steps.

Rewards need nothing given up: with sum_{t' >= t} g^(t'-t) r_t' for a spike at t, the loss r_t of
a step goes with the scores of all steps up to it, z_t = g z_{t-1} + dlog p(s_t | s_<t), one more
trace.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqsnn import readout
from sqsnn.checks import check_positive_int
from sqsnn.learning import signals
from sqsnn.learning.rule import Figures, add_gradient
from sqsnn.learning.signals import LearningSignal
from sqsnn.learning.traces import Gradient, Observed, Traced
from sqsnn.network import SpikingNetwork
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Population
from sqsnn.synapses import Synapses


class OnlineLocalRule:
    """Local learning forward in time, in memory that does not grow with the number of steps.

    Args:
        signal: What is broadcast to the neurons.
        report_steps: Only so many last steps count for the loss; None for all.

    Raises:
        ValueError: A signal that is known at the end alone.
    """

    def __init__(
        self, signal: LearningSignal | None = None, *, report_steps: int | None = None
    ) -> None:
        self.signal = signal or LearningSignal()
        if self.signal.by_score and self.signal.horizon == "episodic":
            raise ValueError(
                "horizon is 'episodic', which is known at the last step only; online it may be "
                "to_go, same_step or discounted"
            )
        if report_steps is not None:
            check_positive_int("report_steps", report_steps)
        self.report_steps = report_steps
        self.state = signals.State()

    def step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        labels: Int64[Tensor, "B"],
        generator: torch.Generator,
        update: Callable[[], None] | None = None,
    ) -> Figures:
        """Run the network once, and add every neuron's own gradient on the way; see `Rule.step`.

        Args:
            network: The network to train.
            spikes: Encoded samples.
            labels: Their classes.
            generator: Draws all random numbers.
            update: Called after every time step that counts, with the gradient of that step in
                `.grad`: takes an optimiser's step and empties `.grad`. None leaves the sum of all
                steps there.

        Raises:
            TypeError: A population is not one of `SQSNeurons`.
            ValueError: A population has noise, or labels do not fit.
        """
        with torch.no_grad():
            return self._step(network, spikes, labels, generator, update)

    def state_dict(self) -> dict[str, Tensor]:
        """The random feedback weights and the running baseline."""
        return dict(self.state.tensors)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave."""
        self.state.load(state)

    def _step(
        self,
        network: SpikingNetwork,
        spikes: Tensor,
        labels: Tensor,
        generator: torch.Generator,
        update: Callable[[], None] | None,
    ) -> Figures:
        signal = self.signal
        network.check_spikes(spikes)
        copies, (steps, samples) = signal.runs, spikes.shape[:2]
        batch = copies * samples
        synapses = cast(Sequence[Synapses], network.synapses)
        layers = [
            Traced(population, incoming.weight.shape[2], batch)
            for population, incoming in zip(
                cast(Sequence[Population], network.populations), synapses, strict=True
            )
        ]
        counting = signals.reported(steps, self.report_steps, spikes)
        scores = spikes.new_zeros(batch, network.sizes[-1])
        readout.check_labels(labels, samples, network.sizes[-1], spikes)
        labels = labels.repeat(copies)
        counts = torch.zeros_like(scores)
        eligibilities = [layer.no_score() for layer in layers] if signal.by_score else []
        for t in range(steps):
            seen = self._observe(network, layers, spikes[t].repeat(copies, 1, 1), generator)
            output = seen[-1]
            before, scores = scores, scores + counting[t] * output.probability.sum(-1)
            counts += counting[t] * output.spikes.sum(-1)
            error = counting[t] * signals.error(scores, labels)
            advantage = None
            if signal.by_score:
                loss = signals.losses(scores, labels) - signals.losses(before, labels)
                advantage = self._advantage(signal.score_weight * loss, labels, t)
            told = error[..., None].expand_as(output.probability)
            self._learn(network, layers, seen, told, advantage, eligibilities, generator)
            for layer, observed in zip(layers, seen, strict=True):
                layer.carry(observed)
            if update is not None and counting[t] > 0:  # else all gradients are 0
                update()
                for layer in layers:
                    layer.parameters_changed()
        possible = int(counting.sum()) * layers[-1].neurons.channels
        predicted = readout.break_ties(counts, scores, possible).argmax(-1)
        return {
            "loss": signals.losses(scores, labels).mean().item(),
            "correct": float((predicted == labels).sum()) / copies,
        }

    def _observe(
        self,
        network: SpikingNetwork,
        layers: Sequence[Traced],
        sources: Tensor,
        generator: torch.Generator,
    ) -> list[Observed]:
        """One step of every layer, from the inputs up."""
        uniforms = network.draw_uniforms(1, len(sources), generator)
        seen = []
        for synapses, layer, numbers in zip(network.synapses, layers, uniforms, strict=True):
            observed = layer.observe(sources, synapses(sources[None])[0], numbers[0])
            seen.append(observed)
            sources = observed.spikes
        return seen

    def _advantage(self, loss: Float[Tensor, "B"], labels: Tensor, step: int) -> Tensor:
        name = f"baseline/{step}"
        above = signals.without_baseline(loss[None], labels, self.signal, self.state, name)[0]
        return above / len(labels)

    def _learn(
        self,
        network: SpikingNetwork,
        layers: Sequence[Traced],
        seen: Sequence[Observed],
        told: Float[Tensor, "B classes N"],
        advantage: Float[Tensor, "B"] | None,
        eligibilities: list[Gradient],
        generator: torch.Generator,
    ) -> None:
        """Add the gradients of one step, from the outputs down; `eligibilities` are z of a layer.

        The signal of the outputs is `told`, that of hidden layers follows from the deltas.
        """
        signal, last = self.signal, len(layers) - 1
        weights: Sequence[Tensor] = ()
        if signal.by_feedback and last > 0:
            weights = self.state.feedback_weights(network, signal, generator)
        deltas: list[Tensor] = []
        for index in range(last, -1 if signal.name != "none" else last - 1, -1):
            layer, observed = layers[index], seen[index]
            parts: list[Gradient] = []
            if index == last or weights:
                if index < last:
                    source = deltas[0] if signal.path == "direct" else deltas[-1]
                    told = signals.fed_back(source[None], weights[index], layer.neurons.channels)[0]
                    told = told * surrogates.spike_slope(
                        observed.probability, layer.neurons.surrogate
                    )
                slope = layer.slope_of_probability(observed, told)
                parts.append(layer.gradient(observed, slope))
                deltas.append(layer.by_current(observed, slope))
            answers = index < last or (signal.output_score and layer.neurons.keeps_memory)
            if advantage is not None and answers:
                score = layer.scores(observed, layer.slope_of_likelihood(observed))
                earlier = Gradient(*(signal.decay * values for values in eligibilities[index]))
                eligibilities[index] = Gradient(*map(torch.add, earlier, score))
                # The loss of a step has not seen the output spikes of the step itself.
                counted = earlier if index == last else eligibilities[index]
                parts.append(Gradient(*(advantage @ values for values in counted)))
            for part in parts:
                parameters, by_weight = layer.split(part)
                add_gradient(cast(Synapses, network.synapses[index]).weight, by_weight)
                for parameter, gradient in zip(layer.neurons.parameters(), parameters, strict=True):
                    add_gradient(parameter, gradient)
