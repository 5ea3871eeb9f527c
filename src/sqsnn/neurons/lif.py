"""The leaky integrate-and-fire neuron, for comparison.

    u_t = max(beta u_{t-1} + z_t + b - threshold s_{t-1}, floor)
    s_t = 1 if u_t > threshold else 0

With b = 0 and no floor, it is the Leaky of snnTorch (reset "subtract"), whose default surrogate,
the derivative of an arctangent, it shares: Eshraghian et al., Proc. IEEE 111 (2023),
arXiv:2109.12894.
"""

from jaxtyping import Float
from torch import Tensor

from sqsnn.neurons import surrogates
from sqsnn.neurons.leaky import LeakyPopulation, LeakyState


class LIF(LeakyPopulation):
    """H leaky integrate-and-fire neurons; beta, threshold and bias are learned.

    Nothing in them is random: the firing probability is the spike itself, 0 or 1, and carries the
    surrogate gradient.

    Args:
        size: Neurons H, or the shape of their grid, such as (maps, height, width).
        channels: Channels N, membranes side by side.
        beta: First value of the membrane's decay per step, in [0, 1].
        threshold: First value of the threshold.
        floor: Lowest value of the membrane, at most 0; it is not learned [default: none].
        through_reset: Let own spikes pass their surrogate gradient to the membrane that they reset.
        share: Which neurons learn one set of parameters: "none", each has its own; "map", those of
            one map of a grid; or "population", all of them.
        backend: "fused" runs the time steps through the compiled kernel, "torch" through torch;
            "auto" takes the kernel where it can.
        generator: Unused, since no initial value is random.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.
    """

    is_stochastic = False
    kernel_knows = True

    def fire(self, drive: Float[Tensor, "B H N"], state: LeakyState) -> tuple[Tensor, Tensor]:
        """Compute the spike and the membrane."""
        membrane = self.membrane(drive, state)
        return surrogates.threshold(membrane - self.threshold), membrane
