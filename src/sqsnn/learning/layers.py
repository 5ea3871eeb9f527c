"""A network run layer by layer, each cut off from the others, for local learning.

The currents of a layer are connected to its own synapses' weights, the record to the currents, and
neither to any other layer: presynaptic spikes are data.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.learning.bit_source import BitSource, measured_record, require_circuits
from sqsnn.learning.rule import add_gradient
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.population import Population, Record
from sqsnn.synapses import Synapses


class Layer(NamedTuple):
    """One layer and what it did.

    The record is differentiable in `driven` and the population's parameters, also through own
    spikes where the population says so; detached where the score measures.
    """

    synapses: Synapses
    population: Population
    currents: Tensor  # (T, B, H, N), differentiable in the synapses' weights
    driven: Tensor  # the same numbers, a leaf at which the population's gradient ends
    record: Record

    def with_data(self) -> "Layer":
        """Give the layer with own spikes as data to its probabilities, too."""
        return self._replace(record=self.scored())

    def scored(self) -> Record:
        """Give the record with own spikes as data, differentiable in `driven` and parameters."""
        if self.population.own_spikes_are_data and self.record.probability.requires_grad:
            return self.record
        with torch.enable_grad():
            record, _ = self.population(self.driven, observed=self.record.spikes)
        return record

    def add_gradients(self, parameters: Sequence[Tensor], currents: Tensor) -> None:
        """Add gradients of all of the population's parameters, and the weights' with dz/dw = x."""
        weight = self.synapses.weight
        if weight.requires_grad:
            (by_weight,) = torch.autograd.grad(self.currents, [weight], currents)
            add_gradient(weight, by_weight)
        for parameter, gradient in zip(self.population.parameters(), parameters, strict=True):
            add_gradient(parameter, gradient)


def run_layers(
    network: SpikingNetwork,
    spikes: Float[Tensor, "T B P N"],
    generator: torch.Generator,
    *,
    differentiable: bool,
    source: BitSource | None = None,
) -> list[Layer]:
    """Run a network; simulated spikes are those of `network(spikes, generator=generator)`.

    From a source, spikes are all that is known; `differentiable` keeps the graph of probabilities.
    """
    network.check_spikes(spikes)
    drawn = (
        network.draw_uniforms(len(spikes), spikes.shape[1], generator)
        if source is None
        else [None] * len(network.layers)
    )
    layers = []
    for (synapses, population), uniforms in zip(network.layers, drawn, strict=True):
        with torch.enable_grad():
            currents = synapses(spikes)
        driven = currents.detach().requires_grad_()
        if source is not None:
            circuits = require_circuits(population)
            record = measured_record(circuits, driven.detach(), source, generator)
        else:
            with torch.set_grad_enabled(differentiable):
                record, _ = population(driven, uniforms=uniforms)
            record = record._replace(spikes=record.spikes.detach())
        layers.append(Layer(synapses, population, currents, driven, record))
        spikes = record.spikes
    return layers
