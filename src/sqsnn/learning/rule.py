"""The contract of every learning rule: one step fills `.grad` and returns figures."""

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.network import SpikingNetwork
from sqsnn.readout import Targets

Figures = dict[str, float | int]

# Figures that an epoch sums over its batches; all others are averages over its samples.
COUNTS = ("circuits", "shots", "events", "truncations")


@runtime_checkable
class Rule(Protocol):
    """How gradients are made; all that the trainer knows of a rule."""

    def check(self, network: SpikingNetwork) -> None:
        """Refuse a network that the rule cannot train.

        Raises:
            TypeError: If the rule needs other neurons.
            ValueError: If an option of the neurons does not go with the rule.
        """
        ...

    def step(
        self,
        network: SpikingNetwork,
        spikes: Float[Tensor, "T B P N"],
        targets: Targets | Tensor,
        generator: torch.Generator,
    ) -> Figures:
        """Add the gradient of one batch to the `.grad` of the network's parameters.

        Args:
            network: The network to train.
            spikes: Encoded samples.
            targets: Their classes, 0..outputs-1, or real values where the network has a readout of
                values; a tensor, or `Targets` with a mask of the steps that count and weights.
            generator: Draws all random numbers of the step.

        Returns:
            At least `loss` (mean over the batch), for classes `correct` (samples whose spike counts
            name their class), and any other figures for the metrics.
        """
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Give what the rule remembers between steps; a checkpoint keeps it."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        ...

    def fresh(self) -> "Rule":
        """Return a rule with the same options that remembers nothing."""
        ...


def check_network(network: object, *, takes_shards: bool) -> None:
    """Refuse a network that a rule cannot train: a wrapper, or one that is spread over processes.

    Raises:
        TypeError: If it is no `SpikingNetwork`, or is sharded and the rule takes no shards.
    """
    if not isinstance(network, SpikingNetwork):
        raise TypeError(
            f"network must be a SpikingNetwork, but is a {type(network).__name__}; a wrapper goes "
            "with a loop of one's own, and rules share a batch by sqsnn.processes"
        )
    # Known by its mesh: importing DTensor takes a second.
    if not takes_shards and any(hasattr(p, "device_mesh") for p in network.parameters()):
        raise TypeError(
            "network is sharded by fully_shard, but a local rule needs every neuron whole; share "
            "the batch by sqsnn.processes, or use rule 'backprop'"
        )


def add_gradients(parameters: Iterable[Tensor], gradients: Iterable[Tensor]) -> None:
    """Add gradients to `.grad` of parameters in one go; see `add_gradient`."""
    pairs = zip(parameters, gradients, strict=True)
    trained = [(parameter, gradient) for parameter, gradient in pairs if parameter.requires_grad]
    if trained:
        outputs, weights = zip(*trained, strict=True)
        torch.autograd.backward(outputs, weights)


def add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Add a gradient to `.grad` of a parameter, or of those that it is made of, unless frozen."""
    if parameter.requires_grad:
        parameter.backward(gradient)
