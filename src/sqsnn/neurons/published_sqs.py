"""The formula in the PyTorch script that circulates for arXiv:2506.21324, for comparison only.

    phi_t = pi max(z_t, 0)
    p_t   = sin^2((phi_t + th_in + th_mem + th_ent s_{t-1}) / 2),     s_0 = 0
    s_t   = 1 with probability p_t

It has no quantum memory: of its past a neuron knows its last spike alone, one classical bit, and
th_in and th_mem are one parameter written twice. The true neuron is `SQSNeurons`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.checks import check_choice
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import LARGEST_PARAMETER
from sqsnn.neurons.sharing import Share
from sqsnn.neurons.stepped import SteppedPopulation, learned
from sqsnn.neurons.surrogates import EncodingSlope, SpikeSurrogate
from sqsnn.quantum.instrument import collapsed


class PublishedState(NamedTuple):
    """The state."""

    spikes: Tensor  # the last ones, (B, H, 1)


class PublishedSQS(SteppedPopulation):
    """H neurons of the circulating script, N = M = 1; th_in, th_mem and th_ent are learned.

    Arguments that are not listed are those of `SQSNeurons`.

    Args:
        surrogate: d(spike)/d(probability) in the backward pass: a name or a function.
        encoding_slope: Slope of the encoding where a current is 0 or below: a name or a function.
        share: Which neurons learn one set of parameters: "none", each has its own; "map", those of
            one map of a grid; or "population", all of them.
        generator: Draws the initial values, those of `crx`.
    """

    largest_parameter = LARGEST_PARAMETER

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        surrogate: SpikeSurrogate = "straight_through",
        encoding_slope: EncodingSlope = "exponential",
        share: Share = "none",
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(size, share=share)
        check_choice("surrogate", surrogate, SpikeSurrogate)
        check_choice("encoding_slope", encoding_slope, EncodingSlope)
        self.surrogate: SpikeSurrogate = surrogate
        self.encoding_slope: EncodingSlope = encoding_slope
        self.input_angle = _spread(0.3, self.groups, generator, dtype, device)
        self.memory_angle = _spread(0.0, self.groups, generator, dtype, device)
        self.entangling_angle = _spread(0.0, self.groups, generator, dtype, device)
        self.share_parameters("input_angle", "memory_angle", "entangling_angle")

    def drive(self, currents: Float[Tensor, "T B H N"]) -> Float[Tensor, "T B H N"]:
        """Compute phi + th_in + th_mem."""
        phi = surrogates.encoding_angle(currents, self.encoding_slope)
        return phi + self.input_angle + self.memory_angle

    def fire(self, drive: Float[Tensor, "B H N"], state: PublishedState) -> tuple[Tensor, Tensor]:
        """Compute the firing probability; nothing is carried on."""
        angle = drive + self.entangling_angle * state.spikes
        return (angle / 2).sin().square(), angle

    def log_probability(self, spikes: Tensor, probability: Tensor, carried: Tensor) -> Tensor:
        """Compute that of a spike from its amplitude, of which rare ones keep their gradient."""
        _, of_spike = collapsed((carried / 2).sin()[..., None])
        return torch.where(spikes > 0, of_spike, surrogates.log_of(1 - probability))

    def settle(self, carried: Tensor, spikes: Tensor) -> PublishedState:
        """Only the spike is remembered."""
        return PublishedState(spikes)

    def rest(self, drive: Float[Tensor, "B H N"]) -> PublishedState:
        """No spike."""
        return PublishedState(torch.zeros_like(drive))


def _spread(
    mean: float,
    size: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device | str | None,
) -> nn.Parameter:
    """Draw a learned angle per neuron from mean + 0.5 N(0, 1)."""
    noise = torch.randn(size, 1, generator=generator, device=generator.device, dtype=torch.float64)
    angle = learned(mean, size, 1, dtype, device)
    with torch.no_grad():
        angle.add_((0.5 * noise).to(angle))
    return angle
