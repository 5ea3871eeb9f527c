"""Backpropagation through time with surrogates for the sampled spikes.

The forward pass samples spikes; the backward pass takes d(spike)/d(probability) from the surrogate
of each population (`neurons/surrogates.py`), which also decides the slope of the encoding and
whether own spikes pass a gradient to the memory. The options here choose the loss.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from sqsnn.learning.layers import check_clamped
from sqsnn.learning.rule import Figures, check_network
from sqsnn.network import NetworkRecord, Pass, SpikingNetwork
from sqsnn.neurons.population import Record
from sqsnn.options import options
from sqsnn.placing import full_precision
from sqsnn.processes import batch_mean
from sqsnn.readback import read, together
from sqsnn.readout import ClassLoss, SpikeLoss, Targets, loss_of
from sqsnn.readout.losses import LossOn


@options
class Backprop:
    """The gradient of the loss through the whole network and all time steps."""

    loss_on: LossOn = "probability"
    """Logits of the cross-entropy: firing probabilities or spikes, summed over the steps. Real
    values are always read from spikes. Or "likelihood": that of target spikes, to which the outputs
    are clamped; the output of the class fires in every step, the others never."""
    rate_penalty: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the squared excess of hidden firing rates outside the rate bounds."""
    rate_bounds: tuple[float, float] = (0.05, 0.5)
    """Lowest and highest mean number of spikes per step that the penalty leaves alone."""
    kind: Literal["backprop"] = field(default="backprop", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rate_bounds[0] <= self.rate_bounds[1] <= 1:
            raise ValueError(
                f"rate_bounds is {self.rate_bounds}, but must be 0 <= lower <= upper <= 1"
            )

    def check(self, network: SpikingNetwork) -> None:
        """Refuse outputs that cannot be clamped, where the loss clamps them."""
        if self.loss_on == "likelihood":
            check_clamped(network)

    def step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        targets: Targets | Tensor,
        generator: torch.Generator,
    ) -> Figures:
        """Run the network forward and backward once; see `Rule.step`.

        The rate penalty counts all steps, also those that a mask leaves out.
        """
        with together():
            return self._step(network, spikes, Targets.of(targets), generator)

    def _step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        targets: Targets,
        generator: torch.Generator,
    ) -> Figures:
        check_network(network, spikes, takes_shards=True)
        network.check_spikes(spikes)
        self.check(network)
        law = loss_of(network, self.loss_on)
        targets = law.check(targets, network.outputs, spikes)
        record = network(spikes, generator=generator)
        output = record.layers[-1]
        if isinstance(law, SpikeLoss):
            output = _clamped(network, spikes, record, law.spikes_of(targets, output.spikes))
        loss = law.total(output, targets)
        total = loss
        hidden = record.layers[: -1 if isinstance(law, ClassLoss) else None]
        if self.rate_penalty > 0 and hidden:
            rates = batch_mean(generator, firing_rates(hidden))
            total = loss + self.rate_penalty * rate_excess(rates, *self.rate_bounds)
        with full_precision(loss):
            total.backward()
        figures = {"loss": loss}
        if isinstance(law, ClassLoss) and targets.are_classes:
            figures["correct"] = law.correct(record.layers[-1], targets)
        return dict(zip(figures, read(*figures.values()), strict=True))

    def state_dict(self) -> dict[str, Tensor]:
        """Give nothing: no step depends on an earlier one."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave: nothing."""

    def fresh(self) -> "Backprop":
        """Return a rule with the same options."""
        return replace(self)


def _clamped(
    network: SpikingNetwork, spikes: Tensor, record: NetworkRecord, target: Tensor
) -> Record:
    """Run the outputs on the same currents with given spikes."""
    running = Pass(network, spikes)
    running.emitted |= {name: record[name].spikes for name in network.names}
    name = network.names[-1]
    return network.population(name)(running.currents(name), observed=target)[0]


def firing_rates(layers: Sequence[Record]) -> Float[Tensor, " neurons"]:
    """Average the spikes of each neuron over steps, samples and channels.

    Gradients pass through the spikes' surrogate.
    """
    return torch.cat([record.spikes.mean(dim=(0, 1, 3)) for record in layers])


def rate_excess(rates: Float[Tensor, " neurons"], lower: float, upper: float) -> Float[Tensor, ""]:
    """Average over neurons the squared excess of firing rates outside two bounds."""
    excess = rates - rates.clamp(lower, upper)
    return excess.square().mean()
