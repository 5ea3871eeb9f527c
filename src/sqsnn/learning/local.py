"""The local rule: every neuron learns from its own spikes, its own circuit and a broadcast signal.

No gradient crosses from one neuron to another. A step runs the network without gradients, works
out the signals, and lets each population pull them back through itself, from the outputs down:

    output   dL/dp . dp + A_t dlog p(s_t | s_<t)             A only where there is a memory
    hidden   L_t . dp_t + A_t dlog p(s_t | s_<t)             L_t = F delta_t of the layer above

Outputs run free, unless the loss is the likelihood of target spikes: clamped to these, outputs with
a memory or a drive also read the target from their own forced spikes.

A readout of real values learns by its own exact gradient. The last population is then a hidden
one: its L_t is F times the readout's error, through the traces, where F is the readout's own
weight (symmetric, mirrored) or random.

Source: Chen, Rajendran, Simeone, arXiv:2506.21324; feedback, baselines, free outputs
and gradients from two- and four-term shifts are this package's.
"""

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from sqsnn.learning import signals
from sqsnn.learning.bit_source import BitSource
from sqsnn.learning.estimators import Cost
from sqsnn.learning.feedback import check_paths, paths
from sqsnn.learning.inputs import check_inputs
from sqsnn.learning.layers import Layer, check_clamped, run_layers
from sqsnn.learning.memory import Memory
from sqsnn.learning.online import Online, learn_online, output_answers
from sqsnn.learning.rule import Figures, check_network
from sqsnn.learning.scores import Exact, Measured, Signals
from sqsnn.learning.signals import Both, Feedback, NoSignal, Reinforce
from sqsnn.network import SpikingNetwork
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import Record
from sqsnn.options import options
from sqsnn.placing import full_precision
from sqsnn.readback import read, together
from sqsnn.readout import ClassLoss, SpikeLoss, Targets, ValueLoss, loss_of
from sqsnn.readout.losses import Loss, LossOn


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
    loss_on: LossOn = "probability"
    """Logits of the cross-entropy: firing probabilities or spikes, summed over the steps; with
    score 'measured' spikes are all that is known. Or "likelihood": that of target spikes, to which
    the outputs are clamped; the output of the class fires in every step, the others never."""
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
        if self.loss_on == "likelihood" and not isinstance(self.score, Exact):
            raise ValueError(
                f"loss_on is 'likelihood', which goes with score 'exact' only, but score is "
                f"{self.score.kind!r}"
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
    def _loss_on(self) -> LossOn:
        return "count" if self.sees_counts else self.loss_on

    @property
    def updates_every_step(self) -> bool:
        """Whether `step` needs `update`, to change the weights after every time step."""
        return isinstance(self.score, Online) and self.score.update_every_step

    def check(self, network: SpikingNetwork) -> None:
        """Refuse a network that the signal or the score cannot train; see `Rule.check`."""
        if self.loss_on == "likelihood":
            check_clamped(network)
        if self.signal.by_feedback:
            check_paths(network, self.signal.by_feedback)
        for name in network.names:
            population = network.population(name)
            if self.signal.by_score and not population.is_stochastic:
                raise ValueError(
                    f"signal {self.signal.kind!r} learns from the likelihood of spikes, but "
                    f"{population.class_name} draws none; use signal 'feedback'"
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
        if isinstance(self.score, Online):
            check_inputs(network, has_feedback=self.signal.by_feedback is not None)
        if network.readout is not None and isinstance(self.score, Online):
            raise ValueError(
                "score 'online' carries no eligibility through the traces of a readout of values; "
                "use score 'exact' or 'measured'"
            )

    def step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        targets: Targets | Tensor,
        generator: torch.Generator,
        *,
        update: Callable[[], None] | None = None,
    ) -> Figures:
        """Run the network, and add every neuron's own gradient; see `Rule.step`.

        With `Online(update_every_step=True)`, `update` is called after every time step that counts,
        when `.grad` holds the gradient of that step, to change the weights and to empty `.grad`.
        """
        with together():
            return self._step(network, spikes, Targets.of(targets), generator, update)

    def _step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        targets: Targets,
        generator: torch.Generator,
        update: Callable[[], None] | None,
    ) -> Figures:
        check_network(network, spikes, takes_shards=False)
        network.check_spikes(spikes)
        self.check(network)
        loss = loss_of(network, self._loss_on)
        targets = loss.check(targets, network.outputs, spikes)
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
                targets,
                generator,
                update,
                on_counts=self.sees_counts,
            )
        if isinstance(self.score, Measured) and self.score.backend and not self.score.source:
            raise ValueError(
                f"backend is {self.score.backend.backend!r}, but no source measures on it: give "
                "Measured(source=hardware.DeviceBits(...)), or train through sqsnn.train"
            )
        score, copies = self.score, self.signal.runs
        targets = targets.repeated(copies)
        layers = run_layers(
            network,
            spikes.repeat(1, copies, 1, 1) if copies > 1 else spikes,
            generator,
            differentiable=not score.measured,
            source=self.source,
        )
        last = network.names[-1]
        output = layers[last].record
        if isinstance(loss, SpikeLoss):
            layers[last] = layers[last].clamped(loss.spikes_of(targets, output.spikes))
        with torch.no_grad(), full_precision(spikes):
            figures = {"loss": loss.total(layers[last].record, targets)}
            cost, likelihoods = self._learn(score, network, layers, loss, targets, generator)
            if isinstance(loss, ClassLoss) and targets.are_classes:
                ties = None if self.source is None else generator
                figures["correct"] = loss.correct(output, targets, ties) / copies
        known = read(*figures.values(), *likelihoods)
        found = dict(zip(figures, known, strict=False))
        if likelihoods:
            found["log_likelihood"] = sum(known[len(figures) :]) / len(likelihoods)
        return found | (cost._asdict() if score.measured else {})

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
        layers: dict[str, Layer],
        loss: Loss,
        targets: Targets,
        generator: torch.Generator,
    ) -> tuple[Cost, list[Tensor]]:
        """Compute signal and gradient of each population, and delta for those that feed it."""
        feedback, last = self.signal.by_feedback, network.names[-1]
        ways = None
        if feedback and len(layers) > 1:
            ways = paths(network, feedback, self._memory, generator)
        error, to_output, to_hidden = self._broadcast(
            network, layers[last], loss, targets, generator
        )
        cost, likelihoods = Cost(), []
        deltas: dict[str, Tensor] = {}
        for name, layer in reversed(layers.items()):
            is_output = isinstance(loss, ClassLoss) and name == last
            on_probability = None
            if name == last:
                on_probability = error
            elif ways is not None:
                on_probability = ways.received(name, deltas)
                if on_probability is not None:
                    on_probability = on_probability * surrogates.spike_slope(
                        layer.record.probability, layer.population.surrogate
                    )
            to_layer = _of_every_neuron(to_output if is_output else to_hidden, layer.record)
            received = Signals(on_probability, to_layer)
            if all(part is None for part in received):
                continue
            if isinstance(loss, SpikeLoss) and is_output:
                pulled = score.pull(layer, received, generator)
                pulled = pulled._replace(delta=pulled.currents)
            elif is_output and to_output is not None:
                # The advantage answers for what own spikes change later: once is enough.
                pulled = score.pull(layer.with_data(), received, generator)
                if feedback and len(layers) > 1:
                    downward = received._replace(on_likelihood=None)
                    pulled = pulled._replace(delta=score.pull(layer, downward, generator).delta)
            else:
                pulled = score.pull(layer, received, generator)
            layer.add_gradients(pulled.parameters, pulled.currents)
            deltas[name] = pulled.delta
            cost = cost.plus(pulled.cost)
            if pulled.log_likelihood is not None:
                likelihoods.append(pulled.log_likelihood)
        return cost, likelihoods

    def _broadcast(
        self,
        network: SpikingNetwork,
        output: Layer,
        loss: Loss,
        targets: Targets,
        generator: torch.Generator,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Compute the error of the last population, and the rewards of outputs and hidden layers.

        A readout of values gets its gradient here.
        """
        signal, record, reward = self.signal, output.record, self.signal.by_score
        clamped = None
        if isinstance(loss, SpikeLoss):
            steps, error = loss.steps(record, targets), None
            clamped = -torch.ones_like(steps) if targets.mask is None else -targets.mask.to(steps)
            if targets.weights is not None:
                clamped = clamped * targets.weights
        elif isinstance(loss, ValueLoss):
            rows, steps = signals.learn_readout(loss, record.spikes, targets)
            error = None
            if signal.by_feedback:
                back = self._memory.readout_weight(loss.readout, signal.by_feedback, generator)
                error = loss.readout.pull_back(rows, back)
        else:
            # On a device the outputs' spikes are all that is known of their probabilities.
            seen = record.spikes if loss.on_spikes else record.probability
            scores = signals.running_scores(seen, targets.mask)
            steps = signals.increments(scores, targets.values)
            error = signals.error_per_step(scores[-1], targets, len(seen))
            error = error[..., None].expand_as(seen).contiguous()
        if error is not None and loss.on_spikes:
            surrogate = output.population.surrogate
            error = error * surrogates.spike_slope(record.probability, surrogate)
        if not reward:
            return error, clamped, None
        to_hidden, to_output = signals.advantages(
            signal.score_weight * steps,
            signals.classes_of(targets),
            reward,
            self._memory,
            generator,
        )
        if targets.weights is not None:
            to_hidden, to_output = to_hidden * targets.weights, to_output * targets.weights
        if clamped is not None:
            return error, clamped, to_hidden
        # The loss of counts contains an output's spike itself, not only what it does to the memory.
        scored = reward.output_score and output_answers(network)
        return error, to_output if scored and not loss.on_spikes else None, to_hidden


def _of_every_neuron(advantage: Tensor | None, record: Record) -> Tensor | None:
    """Give one signal, `(T, B)`, to all neurons of a layer, as a share of the batch's mean."""
    if advantage is None:
        return None
    shape = record.log_likelihood.shape
    return (advantage / advantage.shape[1])[..., None].expand(shape).contiguous()
