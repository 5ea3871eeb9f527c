"""The contract of every learning rule: one step fills `.grad` and returns figures."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqsnn.network import SpikingNetwork

Figures = dict[str, float]

# Figures that are summed over the batches of an epoch; all others are averaged over its samples.
COUNTS = ("circuits", "shots", "events", "truncations")


@runtime_checkable
class Rule(Protocol):
    """How gradients are made; the trainer knows rules by this alone."""

    def step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        labels: Int64[Tensor, "B"],
        generator: torch.Generator,
    ) -> Figures:
        """Add the gradient of one batch to the `.grad` of the network's parameters.

        Args:
            network: The network to train.
            spikes: Encoded samples.
            labels: Their classes, 0..outputs-1.
            generator: Draws all random numbers of the step.

        Returns:
            At least `loss` (mean over the batch) and `correct` (samples named rightly by spike
            count), and whatever else the rule wants to see in the metrics.
        """
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What the rule remembers from step to step; a checkpoint keeps it."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave."""
        ...


def add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Add to `parameter.grad`, as `backward` does; nothing to a parameter that is frozen."""
    if parameter.requires_grad:
        parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
