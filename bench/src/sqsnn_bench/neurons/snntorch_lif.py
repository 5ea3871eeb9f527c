"""The leaky integrate-and-fire neuron of snnTorch, for comparison: a second implementation of LIF.

    u_t = beta u_{t-1} + z_t + b - threshold s_{t-1}
    s_t = 1 if u_t > threshold else 0

`snntorch.Leaky` computes membrane, spike, reset and surrogate gradient (its default, the derivative
of an arctangent) as it is installed; only the bias is added before it. Law and parameters are those
of `sqsnn.LIF` without a floor: the reset acts one step after the spike and passes no gradient. The
gradient of beta differs: snnTorch clamps beta to [0, 1] with no gradient beyond, so that a beta
that has left the interval never returns.

Source: Eshraghian et al., Proc. IEEE 111 (2023), arXiv:2109.12894.
"""

from typing import Any, NamedTuple

import snntorch
import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.neurons.population import Record
from sqsnn.neurons.stepped import SteppedPopulation, learned


class Membrane(NamedTuple):
    """The state: the membrane, `(B, H, N)`; the last spike follows from it."""

    membrane: Tensor


class SnnTorchLIF(SteppedPopulation):
    """H leaky neurons of snnTorch; beta, threshold and bias are learned per neuron and channel.

    Args:
        size: Neurons H.
        channels: Channels N, membranes side by side.
        beta: First value of the membrane's decay per step, in [0, 1].
        threshold: First value of the threshold.
        generator: Unused, since no initial value is random.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.
    """

    is_stochastic = False
    membrane_operations = 2

    def __init__(
        self,
        size: int,
        *,
        channels: int = 1,
        beta: float = 0.9,
        threshold: float = 1.0,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(size, channels)
        if not 0 <= beta <= 1:
            raise ValueError(f"beta is {beta}; it must be in [0, 1]")
        self.leaky = snntorch.Leaky(
            beta=learned(beta, self.size, channels, dtype, device).detach(),
            threshold=learned(threshold, self.size, channels, dtype, device).detach(),  # pyright: ignore[reportArgumentType]
            learn_beta=True,
            learn_threshold=True,
        )
        # snnTorch would keep every neuron that was ever made.
        snntorch.SpikingNeuron.instances.remove(self.leaky)
        self.bias = learned(0.0, self.size, channels, dtype, device)

    def evolve(
        self,
        currents: Float[Tensor, "T B H N"],
        state: Any,
        uniforms: Float[Tensor, "T B H *numbers"] | None,
        observed: Float[Tensor, "T B H N"] | None,
        keep_memory: bool,
    ) -> tuple[Record, Any]:
        """Run T steps, then let go of the membrane that `Leaky` keeps, and of its graph."""
        found = super().evolve(currents, state, uniforms, observed, keep_memory)
        self.leaky.mem = currents.new_zeros(0)
        return found

    def drive(self, currents: Float[Tensor, "T B H N"]) -> Float[Tensor, "T B H N"]:
        """Compute z + b."""
        return currents + self.bias

    def fire(self, drive: Float[Tensor, "B H N"], state: Membrane) -> tuple[Tensor, Tensor]:
        """Let snnTorch compute the spike and the membrane."""
        spikes, membrane = self.leaky(drive, state.membrane)
        return spikes.to(membrane.dtype), membrane  # its spikes are float32

    def settle(self, carried: Float[Tensor, "B H N"], spikes: Tensor) -> Membrane:
        """Keep the membrane; snnTorch resets it at the next step."""
        return Membrane(carried)

    def rest(self, drive: Float[Tensor, "B H N"]) -> Membrane:
        """Start without charge."""
        return Membrane(torch.zeros_like(drive))
