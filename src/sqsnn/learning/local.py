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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from sqsnn import readout
from sqsnn.learning import signals
from sqsnn.learning.bit_source import BitSource
from sqsnn.learning.estimators import Cost
from sqsnn.learning.layers import Layer, run_layers
from sqsnn.learning.online import Online, learn_online
from sqsnn.learning.rule import Figures
from sqsnn.learning.scores import Exact, Measured, Signals
from sqsnn.learning.signals import Both, Feedback, Memory, NoSignal, Reinforce
from sqsnn.network import SpikingNetwork
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Record
from sqsnn.options import options


class _Remembering:
    """Declares what is no option: the memory of a rule."""

    _memory: Memory


@options
class Local(_Remembering):
    """Learning without backpropagation through the network.

    Example:
        >>> rule = Local(signal=Feedback("symmetric"), score=Online())
        >>> rule.score
        Online(update_every_step=False)
    """

    signal: Annotated[Feedback | Reinforce | Both | NoSignal, Field(discriminator="kind")] = (
        Feedback()
    )
    """What hidden neurons receive. Outputs always minimise the loss through their own
    probabilities."""
    score: Annotated[Exact | Online | Measured, Field(discriminator="kind")] = Exact()
    """How a neuron turns its signal into its own gradient."""
    loss_on: Literal["probability", "count"] = "probability"
    """Logits of the cross-entropy: firing probabilities or spikes, summed over the steps; with
    score 'measured' spikes are all that is known."""
    kind: Literal["local"] = field(default="local", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        reward = self.signal.by_score
        if reward and isinstance(self.score, Online) and reward.horizon == "episodic":
            raise ValueError(
                "horizon is 'episodic', which is known at the last step only, but score 'online' "
                "never waits for it; use to_go, same_step or discounted"
            )
        if reward and self.score.measured and not reward.output_score:
            raise ValueError(
                "output_score is False, but with score 'measured' outputs have no such term to "
                "leave out; leave output_score at its default"
            )
        object.__setattr__(self, "_memory", Memory())

    @property
    def source(self) -> BitSource | None:
        """What measures the network's spikes; None where they are simulated."""
        return self.score.source if isinstance(self.score, Measured) else None

    @property
    def sees_counts(self) -> bool:
        """Whether the loss is that of the outputs' spikes."""
        return self.score.measured or self.loss_on == "count"

    @property
    def updates_every_step(self) -> bool:
        """Whether `step` needs `update`, to change the weights after every time step."""
        return isinstance(self.score, Online) and self.score.update_every_step

    def check(self, network: SpikingNetwork) -> None:
        """Refuse a network that the signal or the score cannot train; see `Rule.check`."""
        for _, population in network.layers:
            if self.signal.by_score and not population.is_stochastic:
                raise ValueError(
                    f"signal {self.signal.kind!r} learns from the likelihood of spikes, but "
                    f"{type(population).__name__} draws none; use signal 'feedback'"
                )
            if not self.signal.by_feedback and population.surrogate != "straight_through":
                raise ValueError(
                    f"surrogate is {population.surrogate!r}, but signal {self.signal.kind!r} uses "
                    "no surrogate; leave it out, or use signal 'feedback' or 'both'"
                )
            if getattr(population, "through_collapse", False):
                raise ValueError(
                    "through_collapse is True, but goes with rule 'backprop' only: a local rule "
                    "passes no gradient through time"
                )
            self.score.check(population)

    def step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        labels: Int64[Tensor, "B"],
        generator: torch.Generator,
        report_steps: int | None = None,
        *,
        update: Callable[[], None] | None = None,
    ) -> Figures:
        """Run the network, and add every neuron's own gradient; see `Rule.step`.

        With `Online(update_every_step=True)`, `update` is called after every time step that counts,
        when `.grad` holds the gradient of that step, to change the weights and to empty `.grad`.
        """
        network.check_spikes(spikes)
        self.check(network)
        readout.check_labels(labels, spikes.shape[1], network.sizes[-1], spikes)
        if (update is not None) != self.updates_every_step:
            raise ValueError(
                "update goes with score Online(update_every_step=True) and with no other, but "
                f"update is {'given' if update else 'missing'} and score is {self.score}"
            )
        if isinstance(self.score, Online):
            return learn_online(
                self.signal,
                self._memory,
                network,
                spikes,
                labels,
                generator,
                report_steps,
                update,
                on_counts=self.sees_counts,
            )
        if isinstance(self.score, Measured) and self.score.backend and not self.score.source:
            raise ValueError(
                f"backend is {self.score.backend.backend!r}, but no source measures on it: give "
                "Measured(source=hardware.DeviceBits(...)), or train through sqsnn.train"
            )
        score = self.score
        counting = signals.reported(len(spikes), report_steps, spikes)
        copies = self.signal.runs
        labels = labels.repeat(copies)
        layers = run_layers(
            network,
            spikes.repeat(1, copies, 1, 1) if copies > 1 else spikes,
            generator,
            differentiable=not score.measured,
            source=self.source,
        )
        with torch.no_grad():
            reported = readout.last(layers[-1].record, report_steps)
            seen = "count" if self.sees_counts else "probability"
            loss = readout.cross_entropy(reported, labels, on=seen)
            cost, likelihoods = self._learn(score, network, layers, labels, counting, generator)
        ties = None if self.source is None else generator
        correct = (readout.predict(reported, generator=ties) == labels).sum()
        figures = {"loss": loss.item(), "correct": float(correct) / copies}
        if likelihoods:
            figures["log_likelihood"] = sum(likelihoods) / len(likelihoods)
        return figures | (cost._asdict() if score.measured else {})

    def state_dict(self) -> dict[str, Tensor]:
        """Give the random feedback weights and the running baselines."""
        return dict(self._memory.tensors)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        self._memory.tensors = dict(state)

    def fresh(self) -> "Local":
        """Return a rule with the same options that remembers nothing."""
        return replace(self)

    def _learn(
        self,
        score: Exact | Measured,
        network: SpikingNetwork,
        layers: Sequence[Layer],
        labels: Tensor,
        counting: Float[Tensor, "T"],
        generator: torch.Generator,
    ) -> tuple[Cost, list[float]]:
        """Compute signal and gradient of each layer, and delta for the layer below."""
        signal, output = self.signal, layers[-1].record
        feedback, reward = signal.by_feedback, signal.by_score
        # On a device the outputs' spikes are all that is known of their probabilities.
        seen = output.spikes if self.sees_counts else output.probability
        scores = signals.running_scores(seen, counting)
        to_output = to_hidden = None
        if reward:
            steps = signal.score_weight * signals.increments(scores, labels)
            to_hidden, to_output = signals.advantages(steps, labels, reward, self._memory)
            # The loss of counts contains an output's spike itself, not only what it does to the
            # memory.
            scored = reward.output_score and layers[-1].population.keeps_memory
            if self.sees_counts or not scored:
                to_output = None
        error = counting[:, None, None] * signals.error(scores[-1], labels)  # (T, B, classes)
        on_probability = error[..., None].expand_as(seen).contiguous()
        if self.sees_counts:
            surrogate = layers[-1].population.surrogate
            on_probability = on_probability * surrogates.spike_slope(output.probability, surrogate)
        received = Signals(on_probability, _of_every_neuron(to_output, output))
        weights: Sequence[Tensor] = ()
        if feedback and len(layers) > 1:
            weights = self._memory.feedback_weights(network, feedback, generator)
        cost, likelihoods = Cost(), []
        deltas: list[Tensor] = []
        last = len(layers) - 1
        for index in range(last, -1 if feedback or reward else last - 1, -1):
            layer = layers[index]
            if deltas:
                on_probability = None
                if feedback:
                    delta = feedback.delta_above(deltas)
                    population = layer.population
                    on_probability = signals.fed_back(
                        delta, weights[index], population.channels
                    ) * surrogates.spike_slope(layer.record.probability, population.surrogate)
                received = Signals(on_probability, _of_every_neuron(to_hidden, layer.record))
            if index == last and to_output is not None:
                # The advantage answers for what own spikes change later: once is enough.
                pulled = score.pull(layer.with_data(), received, generator)
                if feedback and index > 0:
                    downward = received._replace(on_likelihood=None)
                    pulled = pulled._replace(delta=score.pull(layer, downward, generator).delta)
            else:
                pulled = score.pull(layer, received, generator)
            layer.add_gradients(pulled.parameters, pulled.currents)
            deltas.append(pulled.delta)
            cost = cost.plus(pulled.cost)
            if pulled.log_likelihood is not None:
                likelihoods.append(pulled.log_likelihood)
        return cost, likelihoods


def _of_every_neuron(advantage: Tensor | None, record: Record) -> Tensor | None:
    """Give one signal, `(T, B)`, to all neurons of a layer, as a share of the batch's mean."""
    if advantage is None:
        return None
    shape = record.log_likelihood.shape
    return (advantage / advantage.shape[1])[..., None].expand(shape).contiguous()
