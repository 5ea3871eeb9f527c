"""What feeds a population, as the one matrix of inputs that online traces need.

    z_nh = sum_p w_nhp x_pn

over all columns p of all dense synapses that lead to the population, one after the other: the
presynaptic spikes as they arrive, delayed and traced, and a column of ones for each bias.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.learning.rule import add_gradient
from sqsnn.network import INPUT, Pathway, SpikingNetwork
from sqsnn.synapses import DenseSynapses, Synapses


class Inputs(NamedTuple):
    """The pathways into one population."""

    pathways: Mapping[int, Pathway]  # by number
    channels: int  # of the population

    @property
    def columns(self) -> int:
        """The columns of the matrix."""
        return sum(_columns(pathway.synapses) for pathway in self.pathways.values())

    def gather(self, arrived: Mapping[int, Tensor]) -> Float[Tensor, "B P N"]:
        """Join what arrived in a step, `(1, B, P, C)` by the number of the pathway."""
        first = next(iter(arrived.values()))
        parts = [first.new_empty(first.shape[1], 0, self.channels)]
        for number, pathway in self.pathways.items():
            synapses, spikes = pathway.synapses, arrived[number][0]
            if not isinstance(synapses, DenseSynapses):
                continue
            if synapses.joins_all_channels:
                spikes = spikes.flatten(1)[..., None]
            parts.append(spikes.expand(-1, -1, self.channels))
            if synapses.bias is not None:
                parts.append(spikes.new_ones(len(spikes), 1, self.channels))
        return parts[1] if len(parts) == 2 else torch.cat(parts, dim=1)

    def add_gradient(self, gradient: Float[Tensor, "N H P"]) -> None:
        """Add a gradient by all columns to `.grad` of weights and biases."""
        synapses = [pathway.synapses for pathway in self.pathways.values()]
        pieces = gradient.split([_columns(part) for part in synapses], dim=-1)
        for part, piece in zip(synapses, pieces, strict=True):
            if not isinstance(part, DenseSynapses):
                continue
            weights = part.weight.shape[-1]
            add_gradient(part.weight, piece[..., :weights] * part.spread_mask)
            if part.bias is not None:
                add_gradient(part.bias, piece[..., weights])


def inputs_of(network: SpikingNetwork, name: str) -> Inputs:
    """Give what feeds a population."""
    return Inputs(network.incoming(name), network.population(name).channels)


def check_inputs(network: SpikingNetwork, *, has_feedback: bool) -> None:
    """Refuse a network whose connections online traces cannot follow.

    Raises:
        ValueError: If synapses with weights are not dense, a delay is learned, or feedback would
            have to wait for a delay or a trace.
    """
    for pathway in network.pathways:
        assert isinstance(pathway, Pathway)
        synapses, why = pathway.synapses, None
        is_way = pathway.source != INPUT and not network.leads_back(pathway)
        if _columns(synapses) == 0 and any(True for _ in synapses.parameters()):
            why = f"its synapses are {type(synapses).__name__}, and traces follow dense ones alone"
        elif pathway.steps is not None:
            why = "its delay is learned, and traces follow fixed delays alone"
        elif has_feedback and is_way and (pathway.longest or pathway.trace is not None):
            why = (
                "feedback runs along it, and would come too late for the spikes that a delay or a "
                "trace carried"
            )
        if why is not None:
            raise ValueError(f"score 'online' cannot go with {pathway}: {why}; use score 'exact'")


def _columns(synapses: Synapses) -> int:
    """Count the columns of synapses; 0 for those that carry no trace."""
    if not isinstance(synapses, DenseSynapses):
        return 0
    return synapses.weight.shape[-1] + (synapses.bias is not None)
