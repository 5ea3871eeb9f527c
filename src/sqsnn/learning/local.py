"""The local rule: every neuron learns from its own spikes, its own circuit and a broadcast signal.

No gradient crosses from one neuron to another. A step runs the network without gradients, works
out the signals, and lets each population pull them back through itself, from the outputs down:

    output   dL/dp . dp + A_t dlog p(s_t | s_<t)             A only where there is a memory
    hidden   L_t . dp_t + A_t dlog p(s_t | s_<t)             L_t = F delta_t of the layer above

Outputs run free: clamped to the target, those with memory would read the target from their own
forced spikes.

Source: Chen, Rajendran, Simeone, arXiv:2506.21324; feedback, baselines, free outputs
and gradients from two- and four-term shifts are this package's.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqsnn import readout
from sqsnn.checks import check_positive_int
from sqsnn.learning import signals
from sqsnn.learning.bit_source import BitSource
from sqsnn.learning.estimators import Cost
from sqsnn.learning.layers import Layer, run_layers
from sqsnn.learning.rule import Figures
from sqsnn.learning.scores import ExactScore, Score, Signals
from sqsnn.learning.signals import LearningSignal
from sqsnn.network import SpikingNetwork
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Population, Record


class LocalRule:
    """Learning without backpropagation through the network.

    Args:
        signal: What is broadcast to the neurons.
        score: How a neuron turns it into its own gradient: `ExactScore()`, or a `MeasuredScore`,
            with which spikes are all that is seen of the network, outputs included.
        report_steps: Only so many last steps count for the loss; None for all.
        source: Measures the network's spikes, with a `MeasuredScore`; None: they are simulated.

    Raises:
        ValueError: `report_steps` is below 1, or a score wants more than the source's bits.
    """

    def __init__(
        self,
        signal: LearningSignal | None = None,
        *,
        score: Score | None = None,
        report_steps: int | None = None,
        source: BitSource | None = None,
    ) -> None:
        self.signal = signal or LearningSignal()
        self.score = score or ExactScore()
        if source is not None and not self.score.measured:
            raise ValueError(
                f"a source of bits goes with a MeasuredScore; {type(self.score).__name__} needs "
                "probabilities, which no device gives"
            )
        self.source = source
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
    ) -> Figures:
        """Run the network, and add every neuron's own gradient; see `Rule.step`.

        Raises:
            TypeError: Measured bits are asked of neurons that are no circuits.
            ValueError: Labels do not fit, a likelihood is asked of neurons that draw nothing, or
                the surrogate needs probabilities that are unknown.
        """
        network.check_spikes(spikes)
        self._check_likelihoods(network)
        readout.check_labels(labels, spikes.shape[1], network.sizes[-1], spikes)
        counting = signals.reported(len(spikes), self.report_steps, spikes)
        copies = self.signal.runs
        labels = labels.repeat(copies)
        layers = run_layers(
            network,
            spikes.repeat(1, copies, 1, 1) if copies > 1 else spikes,
            generator,
            differentiable=not self.score.measured,
            source=self.source,
        )
        with torch.no_grad():
            reported = readout.last(layers[-1].record, self.report_steps)
            seen = "count" if self.score.measured else "probability"
            loss = readout.cross_entropy(reported, labels, on=seen)
            cost, likelihoods = self._learn(network, layers, labels, counting, generator)
        ties = None if self.source is None else generator
        correct = (readout.predict(reported, generator=ties) == labels).sum()
        figures = {"loss": loss.item(), "correct": float(correct) / copies}
        if likelihoods:
            figures["log_likelihood"] = sum(likelihoods) / len(likelihoods)
        return figures | (cost._asdict() if self.score.measured else {})

    def _check_likelihoods(self, network: SpikingNetwork) -> None:
        for population in cast(Sequence[Population], network.populations):
            if self.signal.by_score and not population.is_stochastic:
                raise ValueError(
                    f"signal {self.signal.name!r} learns from the likelihood of spikes, but "
                    f"{type(population).__name__} draws none; use signal 'feedback'"
                )

    def state_dict(self) -> dict[str, Tensor]:
        """The random feedback weights and the running baseline."""
        return dict(self.state.tensors)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave."""
        self.state.load(state)

    def _learn(
        self,
        network: SpikingNetwork,
        layers: Sequence[Layer],
        labels: Tensor,
        counting: Float[Tensor, "T"],
        generator: torch.Generator,
    ) -> tuple[Cost, list[float]]:
        """From the outputs down: signal, gradient, delta for the layer below."""
        signal, output = self.signal, layers[-1].record
        # On a device the outputs' spikes are all that is known of their probabilities.
        seen = output.spikes if self.score.measured else output.probability
        scores = signals.running_scores(seen, counting)
        advantages = None
        if signal.by_score:
            steps = signal.score_weight * signals.increments(scores, labels)
            advantages = signals.advantages(steps, labels, signal, self.state)
        error = counting[:, None, None] * signals.error(scores[-1], labels)  # (T, B, classes)
        # The loss of counts has seen an output's spike itself, not only what it does to the memory.
        remembers = layers[-1].population.keeps_memory and not self.score.measured
        told = Signals(
            error[..., None].expand_as(seen).contiguous(),
            _of_every_neuron(advantages.output, output)
            if advantages is not None and signal.output_score and remembers
            else None,
        )
        weights: Sequence[Tensor] = ()
        if signal.by_feedback and len(layers) > 1:
            weights = self.state.feedback_weights(network, signal, generator)
        cost, likelihoods = Cost(), []
        deltas: list[Tensor] = []
        for index in reversed(range(len(layers))):
            layer = layers[index]
            if index < len(layers) - 1:
                if signal.name == "none":
                    break
                told = Signals(
                    self._feedback(layer, weights[index], deltas) if weights else None,
                    _of_every_neuron(advantages.hidden, layer.record)
                    if advantages is not None
                    else None,
                )
            pulled = self.score.pull(layer, told, generator)
            layer.add_gradients(pulled.parameters, pulled.currents)
            deltas.append(pulled.delta)
            cost = cost.plus(pulled.cost)
            if pulled.log_likelihood is not None:
                likelihoods.append(pulled.log_likelihood)
        return cost, likelihoods

    def _feedback(self, layer: Layer, weights: Tensor, deltas: Sequence[Tensor]) -> Tensor:
        """L of a hidden layer, `(T, B, H, N)`: F delta, times the slope of the surrogate."""
        source = deltas[0] if self.signal.path == "direct" else deltas[-1]
        population = layer.population
        heard = signals.fed_back(source, weights, population.channels)
        if self.score.measured and population.surrogate != "straight_through":
            raise ValueError(
                f"surrogate is {population.surrogate!r}, which needs probabilities; from measured "
                "bits only 'straight_through' works"
            )
        return heard * surrogates.spike_slope(layer.record.probability, population.surrogate)


def _of_every_neuron(advantage: Float[Tensor, "T B"], record: Record) -> Float[Tensor, "T B H"]:
    """One signal for all neurons of a layer, as a share of the batch's mean."""
    shape = record.log_likelihood.shape
    return (advantage / advantage.shape[1])[..., None].expand(shape).contiguous()
