"""The quantum leaky integrate-and-fire neuron: one qubit that is rotated, decays, and fires.

    z_t >  0:  phi_t = phi_{t-1} + pi z_t                        the input rotates the qubit
    z_t <= 0:  a_t = a_{t-1} exp(-decay), a = sin^2(phi / 2)     it relaxes: decay = dt / T1
    s_t = 1 if a_t > threshold else 0;  after a spike phi_t = 0

The angle phi is carried instead of the excited population a, so that rotations add up: while it is
driven the qubit may turn beyond the flip and on; relaxing leaves phi = 2 asin(sqrt(a)). Source:
Brand, Petruccione, arXiv:2407.16398. The code that circulates for it decays differently and gives
its hidden layer no gradient; this is the equation, with a surrogate.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import check_choice
from sqsnn.neurons import surrogates
from sqsnn.neurons.population import LARGEST_PARAMETER
from sqsnn.neurons.sharing import Share
from sqsnn.neurons.stepped import SteppedPopulation, learned
from sqsnn.neurons.surrogates import EncodingSlope

SMALLEST_DECAY = 1e-3


class QLIFState(NamedTuple):
    """The state."""

    angle: Tensor  # phi in radians, (B, H, N)


class QLIF(SteppedPopulation):
    """H quantum leaky integrate-and-fire neurons; decay and threshold are learned, or constants.

    Nothing in them is random: the excited population is estimated and compared with the threshold.
    decay acts clamped to at least 0.001, threshold to [0, 1]. A neuron that no sample drives never
    learns, whatever the encoding slope: in the ground state the population's own slope is 0.
    Arguments that are not listed are those of `SQSNeurons`.

    Args:
        channels: Channels N, qubits side by side.
        decay: First value of dt / T1, the decay per step without input; above 0.
        threshold: First value of the excited population beyond which a neuron fires, in (0, 1).
        learn: Whether decay and threshold are learned, one per neuron and channel, which makes the
            neuron much better than its authors' constants do.
        share: Which neurons learn one set of parameters: "none", each has its own; "map", those of
            one map of a grid; or "population", all of them.
        encoding_slope: Slope of the encoding where a current is 0 or below: a name or a function.
    """

    is_stochastic = False
    largest_parameter = LARGEST_PARAMETER
    decay: Tensor
    threshold: Tensor

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        channels: int = 1,
        decay: float = 0.1,
        threshold: float = 0.75,
        learn: bool = True,
        share: Share = "none",
        encoding_slope: EncodingSlope = "exponential",
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(size, channels, share)
        if not decay > 0:
            raise ValueError(f"decay is {decay}; it must be above 0")
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}; it must be in (0, 1)")
        # A word on the command line is text, and all text is true.
        if not isinstance(learn, bool):
            raise ValueError(f"learn is {learn!r}; it may be true or false")
        check_choice("encoding_slope", encoding_slope, EncodingSlope)
        self.encoding_slope: EncodingSlope = encoding_slope
        for name, value in {"decay": decay, "threshold": threshold}.items():
            parameter = learned(value, self.groups, channels, dtype, device)
            if learn:
                self.register_parameter(name, parameter)
                self.share_parameters(name)
            else:
                self.register_buffer(name, parameter.detach())

    @property
    def parameter_like(self) -> Tensor:
        """A tensor with the population's device and dtype."""
        return self.decay

    def drive(self, currents: Float[Tensor, "T B H N"]) -> Float[Tensor, "T B H N"]:
        """Compute max(z, 0): the rotations in units of pi."""
        return surrogates.encoding_turns(currents, self.encoding_slope)

    def fire(self, drive: Float[Tensor, "B H N"], state: QLIFState) -> tuple[Tensor, Tensor]:
        """Compute the spike, and the angle before a reset."""
        # At a decay of 0 the slope of asin has a pole.
        decay = surrogates.held(self.decay, SMALLEST_DECAY, math.inf)
        excited = (state.angle / 2).sin().abs()
        relaxed = 2 * torch.asin(torch.exp(-decay / 2) * excited)
        # Where nothing rotates the drive is 0, but may have a surrogate slope. Whole turns of 4 pi
        # are left out, before and after, as large angles are coarse.
        turned = math.pi * drive.fmod(surrogates.PERIOD)
        angle = torch.where(drive > 0, state.angle, relaxed) + turned
        angle = angle.fmod(math.pi * surrogates.PERIOD)
        threshold = surrogates.held(self.threshold, 0.0, 1.0)
        return surrogates.threshold((angle / 2).sin().square() - threshold), angle

    def settle(self, carried: Float[Tensor, "B H N"], spikes: Float[Tensor, "B H N"]) -> QLIFState:
        """Reset the qubit to the ground state where it fired."""
        return QLIFState(carried * (1 - spikes))

    def rest(self, drive: Float[Tensor, "B H N"]) -> QLIFState:
        """Start in the ground state."""
        return QLIFState(torch.zeros_like(drive))
