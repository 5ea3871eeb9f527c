"""The classical resonator, for comparison: a resonate-and-fire neuron without reset.

    a_t = decay e^(i precession) a_(t-1) + z_t,     s_t = 1 if Im a_t > threshold

Decay, precession and threshold are learned; the surrogate is that of LIF. The membrane holds two
real numbers, and reading it costs nothing.

Source: Izhikevich, Neural Networks 14 (2001); without reset, as in Higuchi et al., Balanced
resonate-and-fire neurons, arXiv:2402.14603.
"""

from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from sqsnn.neurons import surrogates
from sqsnn.neurons.stepped import SteppedPopulation, learned


class Amplitude(NamedTuple):
    """The state: the two parts of the membrane, `(B, H, N)`."""

    real: Tensor
    imaginary: Tensor


class ResonateAndFire(SteppedPopulation):
    """H resonate-and-fire neurons of one channel.

    Args:
        size: Neurons H.
        decay: First value of the membrane's decay per step.
        generator: Unused, since no initial value is random.
        dtype: torch.float32 or torch.float64.
        device: Where the parameters lie.
    """

    is_stochastic = False

    def __init__(
        self,
        size: int,
        *,
        decay: float = 0.9,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(size)
        self.decay = learned(decay, self.size, 1, dtype, device)
        self.precession = learned(0.0, self.size, 1, dtype, device)  # radians per step
        self.threshold = learned(1.0, self.size, 1, dtype, device)

    def rest(self, drive: Float[Tensor, "B H N"]) -> Amplitude:
        """Start without amplitude."""
        return Amplitude(torch.zeros_like(drive), torch.zeros_like(drive))

    def drive(self, currents: Float[Tensor, "T B H N"]) -> Float[Tensor, "T B H N"]:
        """Give the currents as they are."""
        return currents

    def fire(self, drive: Float[Tensor, "B H N"], state: Amplitude) -> tuple[Tensor, Tensor]:
        """Compute the spike and the membrane."""
        pole = torch.polar(surrogates.held(self.decay, 0.0, 1.0), self.precession)
        membrane = pole * torch.complex(*state) + drive
        return surrogates.threshold(membrane.imag - self.threshold), membrane

    def settle(self, carried: Complex[Tensor, "B H N"], spikes: Tensor) -> Amplitude:
        """Keep the membrane: a spike changes nothing."""
        return Amplitude(carried.real, carried.imag)
