"""The leaky membrane that LIF and StochasticLIF share, with a soft reset.

u_t = max(beta u_{t-1} + z_t + b - threshold s_{t-1}, floor)

There is no floor by default; below one, the slope is 0.3 in the backward pass. With
`through_reset`, the surrogate gradient of the drawn spike s_{t-1} runs into u_t.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.neurons import fused_membranes, surrogates
from sqsnn.neurons.population import LARGEST_PARAMETER, Backend, Record
from sqsnn.neurons.sharing import Share
from sqsnn.neurons.stepped import SteppedPopulation, learned


class LeakyState(NamedTuple):
    """The state of leaky membranes, `(B, H, N)` each."""

    membrane: Tensor  # the potential u
    spikes: Tensor  # the last spikes s


class LeakyPopulation(SteppedPopulation):
    """H neurons whose membranes leak, integrate and are reset by subtraction.

    beta, threshold and bias are learned, one per channel and neuron, or group that shares them;
    beta acts clamped to [0, 1].
    The arguments are those of `LIF`.
    """

    largest_parameter = LARGEST_PARAMETER
    membrane_operations = 2

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        channels: int = 1,
        beta: float = 0.9,
        threshold: float = 1.0,
        floor: float | None = None,
        through_reset: bool = False,
        share: Share = "none",
        backend: Backend = "auto",
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(size, channels, share)
        if not 0 <= beta <= 1:
            raise ValueError(f"beta is {beta}; it must be in [0, 1]")
        if floor is not None and not -math.inf < floor <= 0:
            raise ValueError(f"floor is {floor}; it must be finite and at most 0, or None")
        self.floor = floor
        self.own_spikes_are_data = not through_reset
        self.beta = learned(beta, self.groups, channels, dtype, device)
        self.threshold = learned(threshold, self.groups, channels, dtype, device)
        self.bias = learned(0.0, self.groups, channels, dtype, device)
        self.share_parameters("beta", "threshold", "bias")
        self.choose_backend(backend)

    def obstacle_to_kernel(self) -> str | None:
        """Say why the compiled kernel cannot run these neurons; None where it can."""
        return fused_membranes.obstacle(self)

    def evolve(
        self,
        currents: Float[Tensor, "T B H N"],
        state: Any,
        uniforms: Float[Tensor, "T B H *numbers"] | None,
        observed: Float[Tensor, "T B H N"] | None,
        keep_memory: bool,
    ) -> tuple[Record, Any]:
        """Run T steps; see `Population.evolve`."""
        if keep_memory or not self.runs_fused:
            return super().evolve(currents, state, uniforms, observed, keep_memory)
        if state is not None:
            self.check_start(state, LeakyState, currents)
        return fused_membranes.evolve(self, currents, state, uniforms, observed)

    def drive(self, currents: Float[Tensor, "T B H N"]) -> Float[Tensor, "T B H N"]:
        """Compute z + b."""
        return currents + self.bias

    def membrane(self, drive: Float[Tensor, "B H N"], state: LeakyState) -> Float[Tensor, "B H N"]:
        """Compute the membrane of this step."""
        beta = surrogates.held(self.beta, 0.0, 1.0)
        charge = beta * state.membrane + drive - self.threshold * state.spikes
        return charge if self.floor is None else surrogates.floored(charge, self.floor, exact=False)

    def settle(self, carried: Float[Tensor, "B H N"], spikes: Float[Tensor, "B H N"]) -> LeakyState:
        """Keep membrane and spikes; the reset acts in the next step."""
        return LeakyState(carried, spikes)

    def rest(self, drive: Float[Tensor, "B H N"]) -> LeakyState:
        """Start without charge and without spike."""
        return LeakyState(torch.zeros_like(drive), torch.zeros_like(drive))
