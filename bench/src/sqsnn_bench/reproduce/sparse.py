"""The sparsity penalty of the authors' script for MNIST-DVS, as a rule to compare with.

    loss + weight sum_layers sum_t (sum p)^2 / (sum p^2)

over all firing probabilities p of a layer, outputs included, and all samples of a batch. The ratio
counts how many of them are about as large as the largest: 1 if one alone is above 0, at most as
many as there are. It does not change where all p are halved: it asks for few neurons, not for few
spikes. With the script's weight it adds at most 5e-10 x 20 steps x 64 samples x 266 neurons = 2e-4
nats to the loss.

Source: github.com/kclip/SQSNN, SQSNN_dynamic.py, by the authors of arXiv:2506.21324.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.learning import Backprop
from sqsnn.learning.rule import Figures
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.population import Record
from sqsnn.readout import Targets


@dataclass(frozen=True)
class SparseBackprop:
    """Backpropagation with the penalty, which a second pass with the same random numbers adds."""

    backprop: Backprop = field(default_factory=lambda: Backprop(loss_on="count"))
    weight: float = 5e-10

    def check(self, network: SpikingNetwork) -> None:
        """Accept what backpropagation accepts."""
        self.backprop.check(network)

    def step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        targets: Targets | Tensor,
        generator: torch.Generator,
    ) -> Figures:
        """Add the gradient of loss and penalty; see `sqsnn.learning.rule.Rule.step`."""
        again = torch.Generator(generator.device)
        again.set_state(generator.get_state())
        figures = self.backprop.step(network, spikes, targets, generator)
        spread = sparsity(network(spikes, generator=again).layers)
        (self.weight * spread).backward()
        return figures | {"sparsity": spread.item()}

    def state_dict(self) -> dict[str, Tensor]:
        """Give nothing: no step depends on an earlier one."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave: nothing."""

    def fresh(self) -> "SparseBackprop":
        """Return a rule with the same options."""
        return self


def sparsity(layers: Sequence[Record]) -> Float[Tensor, ""]:
    """Sum the ratio over layers and steps; a step in which no neuron can fire adds 0."""
    ratios = []
    for record in layers:
        p = record.probability.flatten(1)  # (T, B H N)
        squares = p.square().sum(1)
        ratios.append((p.sum(1).square() / squares.where(squares > 0, 1)).sum())
    return torch.stack(ratios).sum()
