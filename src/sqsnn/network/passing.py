"""One pass through a network: who has fired so far, and what arrives where.

Rules of learning and devices run the populations in their own ways; the order, the currents and the
state of the connections are the same for all, and live here.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.network.connection import INPUT
from sqsnn.network.graph import Component
from sqsnn.network.pathway import Pathway, PathwayState
from sqsnn.neurons.population import Record
from sqsnn.readback import naming

if TYPE_CHECKING:
    from sqsnn.network.network import SpikingNetwork

# fire(name, steps, currents (T, B, H, N)) -> spikes (T, B, H, N) of these steps
Fire = Callable[[str, slice, Tensor], Tensor]


class NetworkState(NamedTuple):
    """What a network keeps between two calls, in the orders of populations and of connections."""

    populations: tuple[Any, ...]
    pathways: tuple[PathwayState, ...]


class Pass:
    """A pass over T steps; populations are run from outside, in the order of the components.

    Args:
        network: The network.
        spikes: Input spikes, `(T, B, P, C)`.
        pathways: The connections' states from which to go on; None starts afresh.

    Attributes:
        emitted: The spikes of each source so far, `(T, B, H, N)`.
        pathways: The connections' states after the steps that have run.
        arrived: What the synapses of each connection received last, `(T, B, P, C)`.
    """

    def __init__(
        self,
        network: "SpikingNetwork",
        spikes: Float[Tensor, "T B P C"],
        pathways: Sequence[PathwayState] | None = None,
    ) -> None:
        self.network = network
        self.emitted: dict[str, Tensor] = {INPUT: spikes}
        self.arrived: dict[int, Tensor] = {}
        if pathways is None:
            self.pathways = [PathwayState()] * len(network.pathways)
            return
        self.pathways = list(pathways)
        for pathway, state in zip(network.pathways, self.pathways, strict=True):
            pathway = cast(Pathway, pathway)
            step = spikes[0] if pathway.source == INPUT else self._silence(pathway)
            pathway.check_state(state, step)

    def run(self, component: Component, fire: Fire) -> None:
        """Run a component, a cyclic one step by step; `fire` turns currents into spikes."""
        steps = len(self.emitted[INPUT])
        if not component.is_cyclic:
            (name,) = component.names
            self.emitted[name] = fire(name, slice(0, steps), self.currents(name))
            return
        incoming = {name: self.network.incoming(name) for name in component.names}
        pathways = {n: pathway for found in incoming.values() for n, pathway in found.items()}
        inner = {n: pathway for n, pathway in pathways.items() if pathway.source in incoming}
        outer = {n: self._whole(n, pathway) for n, pathway in pathways.items() if n not in inner}
        fired: dict[str, list[Tensor]] = {name: [] for name in component.names}
        for t in range(steps):
            for name, found in incoming.items():
                parts = []
                for number, pathway in found.items():
                    if number in outer:
                        parts.append(outer[number][t : t + 1])
                    elif pathway.is_instant:
                        parts.append(self._carried(number, pathway, fired[pathway.source][-1]))
                    else:
                        parts.append(self._recalled(number, pathway))
                fired[name].append(fire(name, slice(t, t + 1), _sum(parts)))
            for number, pathway in inner.items():
                if not pathway.is_instant:
                    spikes = fired[pathway.source][-1][0]
                    self.pathways[number] = pathway.keep(spikes, self.pathways[number])
        self.emitted |= {name: torch.cat(spikes) for name, spikes in fired.items()}

    def simulate(
        self,
        component: Component,
        uniforms: Mapping[str, Tensor],
        states: dict[str, Any],
        *,
        keep_memory: bool = False,
    ) -> dict[str, Record]:
        """Run the populations of a component, and move their states on.

        Args:
            component: The component.
            uniforms: The random numbers of each population, `(T, B, *uniforms_shape)`.
            states: The state of each population; None where it starts afresh.
            keep_memory: Also record the memory states.
        """
        records: dict[str, list[Record]] = {name: [] for name in component.names}
        received: dict[str, list[Tensor]] = {name: [] for name in component.names}
        steps, batch = self.emitted[INPUT].shape[:2]

        def fire(name: str, here: slice, currents: Tensor) -> Tensor:
            population, numbers = self.network.population(name), uniforms[name][here]
            with naming(f"population {name!r}"):
                if not records[name]:
                    if component.is_cyclic:  # else the population itself sees all of them
                        population.check_uniforms(uniforms[name], steps, batch)
                    record, states[name] = population(
                        currents, states[name], uniforms=numbers, keep_memory=keep_memory
                    )
                else:  # the state is its own, and the rest is checked once: a third of the time
                    record, states[name] = population.run(
                        currents, states[name], numbers, None, keep_memory
                    )
            records[name].append(record)
            if component.is_cyclic:
                received[name].append(currents)
            return record.spikes

        self.run(component, fire)
        for name, currents in received.items():
            if currents:
                with naming(f"population {name!r}"):
                    whole = torch.cat(currents)
                    self.network.population(name).check_currents(whole, "steps", "batch")
        return {name: joined(pieces) for name, pieces in records.items()}

    def currents(self, name: str) -> Float[Tensor, "T B H N"]:
        """Compute the currents of a population over all steps, once its sources have fired."""
        return _sum([self._whole(*one) for one in self.network.incoming(name).items()])

    def _whole(self, number: int, pathway: Pathway) -> Tensor:
        """Compute the currents of a connection over all steps."""
        return self._carried(number, pathway, self.emitted[pathway.source])

    def _carried(self, number: int, pathway: Pathway, spikes: Tensor) -> Tensor:
        arrived, self.pathways[number] = pathway.arrive(spikes, self.pathways[number])
        self.arrived[number] = arrived
        return pathway.synapses(arrived)

    def _recalled(self, number: int, pathway: Pathway) -> Tensor:
        """Compute the currents of a connection in the next step, from earlier spikes alone."""
        silence = self._silence(pathway)
        arrived, self.pathways[number] = pathway.recall(self.pathways[number], silence)
        self.arrived[number] = arrived
        return pathway.synapses(arrived)

    def _silence(self, pathway: Pathway) -> Float[Tensor, "B P C"]:
        """Give a step of a population without spikes."""
        source, batch = self.network.population(pathway.source), self.emitted[INPUT].shape[1]
        zero = source.parameter_like.new_zeros(())
        return zero.expand(batch, source.size, source.channels)


def joined(records: Sequence[Record]) -> Record:
    """Join the records of pieces of a sequence."""
    if len(records) == 1:
        return records[0]
    spikes, probability, likelihood, memory = zip(*records, strict=True)
    kept = None if memory[0] is None else torch.cat(memory)
    return Record(torch.cat(spikes), torch.cat(probability), torch.cat(likelihood), kept)


def _sum(parts: Sequence[Tensor]) -> Tensor:
    """Add currents in the order of the connections, so that every pass gives the same bits."""
    return reduce(torch.add, parts)
