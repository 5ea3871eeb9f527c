"""The leaky membrane that LIF and StochasticLIF share; its reset is soft.

u_t = beta u_{t-1} + z_t + b - threshold s_{t-1}
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.neurons import surrogates
from sqsnn.neurons.stepped import SteppedPopulation, learned


class LeakyState(NamedTuple):
    """The membrane u and the last spikes s, `(B, H, N)` each."""

    membrane: Tensor
    spikes: Tensor


class LeakyPopulation(SteppedPopulation):
    """H neurons whose membranes leak, integrate and are reset by subtraction.

    beta, threshold and bias are learned, one a neuron and channel; beta counts as what it is
    clamped to [0, 1].

    Args:
        size: H.
        channels: N, membranes side by side.
        beta: First value of beta, in [0, 1].
        threshold: First value of the threshold.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.

    Raises:
        ValueError: beta or dtype is out of range.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        beta: float,
        threshold: float,
        dtype: torch.dtype,
        device: torch.device | str | None,
    ) -> None:
        super().__init__(size, channels)
        if not 0 <= beta <= 1:
            raise ValueError(f"beta is {beta}; it must be in [0, 1]")
        self.beta = learned(beta, size, channels, dtype, device)
        self.threshold = learned(threshold, size, channels, dtype, device)
        self.bias = learned(0.0, size, channels, dtype, device)

    def drive(self, currents: Float[Tensor, "T B H N"]) -> Float[Tensor, "T B H N"]:
        """z + b."""
        return currents + self.bias

    def membrane(self, drive: Float[Tensor, "B H N"], state: LeakyState) -> Float[Tensor, "B H N"]:
        """The membrane of this step."""
        beta = surrogates.held(self.beta, 0.0, 1.0)
        return beta * state.membrane + drive - self.threshold * state.spikes

    def settle(self, carried: Float[Tensor, "B H N"], spikes: Float[Tensor, "B H N"]) -> LeakyState:
        """The membrane is reset in the next step."""
        return LeakyState(carried, spikes)

    def rest(self, drive: Float[Tensor, "B H N"]) -> LeakyState:
        """No charge, no spike."""
        return LeakyState(torch.zeros_like(drive), torch.zeros_like(drive))
