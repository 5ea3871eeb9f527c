"""Feedback: the paths by which deltas come down from a population to those that feed it.

    L_h = sum over connections h -> k of F_hk delta_k        `chained`
    L_h = F_h delta_output                                   `direct`

F is the transposed map of a connection, its delay and trace included, with the synapses' own
weights or with others. Where a connection leads back, closing a cycle, no feedback runs: its source
learns from what it does to the populations after it alone.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.learning.memory import Memory, mirror
from sqsnn.learning.signals import Feedback
from sqsnn.network import INPUT, Pathway, SpikingNetwork
from sqsnn.synapses import DenseSynapses

# Parameters of synapses to use in place of their own; None: their own.
Weights = Mapping[str, Tensor] | None


class Paths(NamedTuple):
    """The ways down in a network, with their weights."""

    network: SpikingNetwork
    chained: Mapping[int, Weights]  # by the number of the pathway
    direct: Mapping[str, Tensor]  # by the name of the population, (N, outputs, H)

    def received(self, name: str, deltas: Mapping[str, Tensor]) -> Float[Tensor, "T B H N"] | None:
        """Sum what a population receives from the deltas of others; None if nothing reaches it."""
        channels = self.network.population(name).channels
        if self.direct:
            return fed_back(deltas[self.network.names[-1]], self.direct[name], channels)
        parts = [
            pathway.pull_back(deltas[pathway.target], channels, self.chained[number])
            for number, pathway in self.network.outgoing(name).items()
            if number in self.chained and pathway.target in deltas
        ]
        return sum(parts[1:], parts[0]) if parts else None


def paths(
    network: SpikingNetwork, feedback: Feedback, memory: Memory, generator: torch.Generator
) -> Paths:
    """Find the paths of a network's feedback; random weights are drawn once and kept in memory."""
    if feedback.feedback_path == "direct":
        output = network.population(network.names[-1])
        shapes = {
            name: (output.channels, output.size, network.population(name).size)
            for name in network.names[:-1]
        }
        like = output.parameter_like.detach()
        return Paths(
            network,
            {},
            {
                name: memory.fixed(f"feedback/{name}", shape, shape[2], generator, like)
                for name, shape in shapes.items()
            },
        )
    chained = {
        number: _weights(f"feedback/{number}", pathway, feedback, memory, generator)
        for name in network.names
        for number, pathway in network.outgoing(name).items()
        if not network.leads_back(pathway)
    }
    return Paths(network, chained, {})


def check_paths(network: SpikingNetwork, feedback: Feedback) -> None:
    """Refuse a network whose synapses the feedback cannot learn."""
    if feedback.feedback != "mirrored":
        return
    for pathway in network.pathways:
        assert isinstance(pathway, Pathway)
        if pathway.source == INPUT or network.leads_back(pathway):
            continue
        synapses = pathway.synapses
        if not isinstance(synapses, DenseSynapses) or synapses.joins_all_channels:
            wired = ", wired 'all'" if synapses.joins_all_channels else ""
            raise ValueError(
                "feedback 'mirrored' learns the weights of dense synapses that match channels, but "
                f"{pathway} has {type(synapses).__name__}{wired}; use 'random' or 'symmetric'"
            )


def fed_back(
    delta: Float[Tensor, "T B above N"], weights: Float[Tensor, "N above below"], channels: int
) -> Float[Tensor, "T B below M"]:
    """Compute L = sum_o F_o delta_o for neurons of `channels` channels.

    Neurons of one channel, which feed all channels above, receive the sum over them.
    """
    received = torch.einsum("tbon,nop->tbpn", delta, weights)
    return received if channels == received.shape[-1] else received.sum(-1, keepdim=True)


def _weights(
    name: str, pathway: Pathway, feedback: Feedback, memory: Memory, generator: torch.Generator
) -> Weights:
    synapses = pathway.synapses
    if feedback.feedback == "symmetric":
        return None
    if feedback.feedback == "mirrored":
        assert isinstance(synapses, DenseSynapses)
        return {"weight": mirror(synapses, generator)}
    return {
        part: memory.fixed(
            f"{name}/{part}", tuple(weight.shape), synapses.fan_in, generator, weight.detach()
        )
        for part, weight in synapses.named_parameters()
        if not part.endswith("bias")
    }
