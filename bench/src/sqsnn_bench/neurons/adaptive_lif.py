"""The adaptive leaky integrate-and-fire neuron, for comparison: spikes raise its threshold.

    a_t = rho a_{t-1} + s_{t-1}
    u_t = max(beta u_{t-1} + z_t + b - threshold s_{t-1}, floor)
    s_t = 1 if u_t > threshold + kappa a_t else 0

The trace a of its own spikes is a second memory, which decays more slowly than the membrane. As in
`sqsnn.LIF`, a spike subtracts the threshold without the adaptation, and no gradient passes through
own spikes unless `through_reset` lets it. Decays and kappa act clamped, rho and beta to [0, 1],
kappa to 0 and above.

Source: Bellec et al., Long short-term memory and learning-to-learn in networks of spiking neurons,
NeurIPS 2018, arXiv:1803.09574. There, decays are fixed and the reset subtracts the raised
threshold.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.neurons import surrogates
from sqsnn.neurons.leaky import LeakyPopulation, LeakyState
from sqsnn.neurons.sharing import Share
from sqsnn.neurons.stepped import learned


class AdaptiveState(NamedTuple):
    """The state, `(B, H, N)` each."""

    membrane: Tensor  # the potential u
    spikes: Tensor  # the last spikes s
    adaptation: Tensor  # the trace a of earlier spikes


class AdaptiveLIF(LeakyPopulation):
    """H adaptive leaky neurons; beta, threshold, bias, kappa and rho are learned.

    Args:
        size: Neurons H, or the shape of their grid, such as (maps, height, width).
        channels: Channels N, membranes side by side.
        beta: First value of the membrane's decay per step, in [0, 1].
        threshold: First value of the threshold at rest.
        kappa: First value of what a spike adds to the threshold, at least 0.
        rho: First value of the adaptation's decay per step, in [0, 1].
        floor: Lowest value of the membrane, at most 0; it is not learned [default: none].
        through_reset: Let own spikes pass their surrogate gradient to what they reset and raise.
        share: Which neurons learn one set of parameters: "none", "map" or "population".
        generator: Unused, since no initial value is random.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.
    """

    is_stochastic = False
    membrane_operations = 4  # beta u, threshold s, rho a, kappa a

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        channels: int = 1,
        beta: float = 0.9,
        threshold: float = 1.0,
        kappa: float = 0.1,
        rho: float = 0.95,
        floor: float | None = None,
        through_reset: bool = False,
        share: Share = "none",
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            size,
            channels=channels,
            beta=beta,
            threshold=threshold,
            floor=floor,
            through_reset=through_reset,
            share=share,
            generator=generator,
            dtype=dtype,
            device=device,
        )
        if not 0 <= kappa < math.inf:
            raise ValueError(f"kappa is {kappa}; it must be finite and at least 0")
        if not 0 <= rho <= 1:
            raise ValueError(f"rho is {rho}; it must be in [0, 1]")
        self.kappa = learned(kappa, self.groups, channels, dtype, device)
        self.rho = learned(rho, self.groups, channels, dtype, device)
        self.share_parameters("kappa", "rho")

    def fire(self, drive: Float[Tensor, "B H N"], state: AdaptiveState) -> tuple[Tensor, Tensor]:
        """Compute the spike; carry membrane and adaptation on, `(2, B, H, N)`."""
        membrane = self.membrane(drive, LeakyState(state.membrane, state.spikes))
        adaptation = surrogates.held(self.rho, 0.0, 1.0) * state.adaptation + state.spikes
        raised = self.threshold + surrogates.held(self.kappa, 0.0, math.inf) * adaptation
        return surrogates.threshold(membrane - raised), torch.stack([membrane, adaptation])

    def settle(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, carried: Float[Tensor, "2 B H N"], spikes: Float[Tensor, "B H N"]
    ) -> AdaptiveState:
        """Keep all; reset and adaptation act in the next step."""
        membrane, adaptation = carried
        return AdaptiveState(membrane, spikes, adaptation)

    def rest(self, drive: Float[Tensor, "B H N"]) -> AdaptiveState:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Start without charge, spike and adaptation."""
        silent = torch.zeros_like(drive)
        return AdaptiveState(silent, silent, silent)

    def log_probability(
        self,
        spikes: Float[Tensor, "T B H N"],
        probability: Float[Tensor, "T B H N"],
        carried: Float[Tensor, "T 2 B H N"],
    ) -> Float[Tensor, "T B H N"]:
        """Compute log p of observed spikes."""
        return super().log_probability(spikes, probability, carried[:, 0])
