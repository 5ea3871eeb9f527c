"""The leaky integrate-and-fire neuron that fires at random, for comparison.

    u_t = max(beta u_{t-1} + z_t + b - threshold s_{t-1}, floor)
    p_t = sigmoid((u_t - threshold) / tau),     s_t = 1 with probability p_t

Its own spikes are data in the likelihood, as for a quantum neuron: it learns by the same local
rule.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from sqsnn.checks import check_choice
from sqsnn.neurons.leaky import LeakyPopulation, LeakyState
from sqsnn.neurons.population import Backend
from sqsnn.neurons.sharing import Share
from sqsnn.neurons.surrogates import SpikeSurrogate

SMALLEST_TAU = 1e-12


class StochasticLIF(LeakyPopulation):
    """H leaky neurons with escape noise; beta, threshold and bias are learned.

    Arguments that are not listed are those of `LIF`.

    Args:
        channels: Channels N, membranes side by side.
        beta: First value of the membrane's decay per step, in [0, 1].
        threshold: First value of the threshold.
        floor: Lowest value of the membrane, at most 0; it is not learned [default: none].
        through_reset: Let own spikes pass their surrogate gradient to the membrane that they reset.
        share: Which neurons learn one set of parameters: "none", each has its own; "map", those of
            one map of a grid; or "population", all of them.
        tau: Width of the noise, in units of the membrane; at least 1e-12.
        surrogate: d(spike)/d(probability) in the backward pass: a name or a function.
        backend: "fused" runs the time steps through the compiled kernel, "torch" through torch;
            "auto" takes the kernel where it can.
    """

    kernel_knows = True

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
        tau: float = 0.3,
        surrogate: SpikeSurrogate = "straight_through",
        backend: Backend = "auto",
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
            backend=backend,
            generator=generator,
            dtype=dtype,
            device=device,
        )
        if not SMALLEST_TAU <= tau < math.inf:
            raise ValueError(
                f"tau is {tau}; it must be finite and at least {SMALLEST_TAU:g} (without noise, a "
                "membrane is a LIF's)"
            )
        check_choice("surrogate", surrogate, SpikeSurrogate)
        self.tau = tau
        self.surrogate: SpikeSurrogate = surrogate
        self.choose_backend(backend)  # once more: the surrogate decides, too

    def fire(self, drive: Float[Tensor, "B H N"], state: LeakyState) -> tuple[Tensor, Tensor]:
        """Compute the firing probability and the membrane."""
        membrane = self.membrane(drive, state)
        return torch.sigmoid((membrane - self.threshold) / self.tau), membrane

    def log_probability(self, spikes: Tensor, probability: Tensor, carried: Tensor) -> Tensor:
        """Compute log sigmoid(+-(u - threshold) / tau), finite where p rounds to 0 or 1."""
        excess = (carried - self.threshold) / self.tau
        return logsigmoid(torch.where(spikes > 0, excess, -excess))
