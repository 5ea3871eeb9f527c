"""A network run population by population, each cut off from the others, for local learning.

The currents of a population are connected to the parameters of its own pathways, the record to the
currents, and neither to any other population: presynaptic spikes are data. A cycle first runs step
by step without gradients; its spikes known, its populations then run over all steps at once, as
those of a network without cycles.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.learning.bit_source import BitSource, measure
from sqsnn.learning.rule import add_gradients
from sqsnn.network import Pass, Pathway, SpikingNetwork
from sqsnn.neurons.population import Population, Record


class Layer(NamedTuple):
    """One population with what feeds it, and what it did.

    The record is differentiable in `driven` and the population's parameters, also through own
    spikes where the population says so; detached where the score measures.
    """

    name: str
    pathways: tuple[Pathway, ...]
    population: Population
    currents: Tensor  # (T, B, H, N), differentiable in the pathways' parameters
    driven: Tensor  # the same numbers, a leaf at which the population's gradient ends
    record: Record

    def with_data(self) -> "Layer":
        """Give the layer with own spikes as data to its probabilities, too."""
        return self._replace(record=self.scored())

    def clamped(self, spikes: Float[Tensor, "T B H N"]) -> "Layer":
        """Give the layer with own spikes that are given, in place of those that it drew."""
        with torch.enable_grad():
            record, _ = self.population(self.driven, observed=spikes)
        return self._replace(record=record)

    def scored(self) -> Record:
        """Give the record with own spikes as data, differentiable in `driven` and parameters."""
        if self.population.own_spikes_are_data and self.record.probability.requires_grad:
            return self.record
        with torch.enable_grad():
            record, _ = self.population(self.driven, observed=self.record.spikes)
        return record

    def add_gradients(self, parameters: Sequence[Tensor], currents: Tensor) -> None:
        """Add gradients of the population's parameters, and of the pathways' by the currents."""
        feeding = [p for pathway in self.pathways for p in pathway.parameters() if p.requires_grad]
        if feeding:
            add_gradients(feeding, torch.autograd.grad(self.currents, feeding, currents))
        add_gradients(self.population.parameters(), parameters)


def check_clamped(network: SpikingNetwork) -> None:
    """Refuse a network whose outputs cannot be clamped to given spikes.

    Raises:
        ValueError: If they draw no spikes, or feed a population or a readout of values.
    """
    if network.readout is not None:
        raise ValueError(
            "loss_on is 'likelihood', but the network has a readout of values, which learns by the "
            "loss of its values; leave loss_on out"
        )
    name, output = network.names[-1], network.population(network.names[-1])
    if not output.is_stochastic:
        raise ValueError(
            f"loss_on is 'likelihood', but the outputs are {output.class_name}, which draw no "
            "spikes; use loss_on 'probability' or 'count'"
        )
    if any(pathway.source == name for pathway in network.pathways):
        raise ValueError(
            f"loss_on is 'likelihood', which clamps {name!r}, but {name!r} feeds other populations "
            "or itself; use loss_on 'probability' or 'count'"
        )


def run_layers(
    network: SpikingNetwork,
    spikes: Float[Tensor, "T B P N"],
    generator: torch.Generator,
    *,
    differentiable: bool,
    source: BitSource | None = None,
) -> dict[str, Layer]:
    """Run a network; simulated spikes are those of `network(spikes, generator=generator)`.

    From a source, spikes are all that is known; `differentiable` keeps the graph of probabilities.
    The layers come by name, in the order of evaluation.
    """
    network.check_spikes(spikes)
    uniforms: Mapping[str, Tensor] = {}
    if source is None:
        drawn = network.draw_uniforms(len(spikes), spikes.shape[1], generator)
        uniforms = dict(zip(network.names, drawn, strict=True))
    layers: dict[str, Layer] = {}
    running, ahead = Pass(network, spikes), Pass(network, spikes)
    ahead.emitted = running.emitted  # it finds out spikes, and `running` keeps the graph
    for component in network.components:
        measured: Mapping[str, Record] = {}
        if source is not None:
            with torch.no_grad():
                measured = measure(ahead, component, source, generator)
        elif component.is_cyclic:
            with torch.no_grad():
                ahead.simulate(component, uniforms, dict.fromkeys(component.names))
        for name in component.names:
            population = network.population(name)
            with torch.enable_grad():
                currents = running.currents(name)
            driven = currents.detach().requires_grad_()
            if source is None:
                with torch.set_grad_enabled(differentiable):
                    record, _ = population(driven, uniforms=uniforms[name])
                record = record._replace(spikes=record.spikes.detach())
            else:
                record = measured[name]
            running.emitted[name] = record.spikes
            pathways = tuple(network.incoming(name).values())
            layers[name] = Layer(name, pathways, population, currents, driven, record)
    return layers
