"""Any linear module of torch as synapses."""

import copy
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.checks import Shape
from sqsnn.synapses.base import Synapses, aligned
from sqsnn.synapses.linearity import check_linear, in_line

_BLOCK = 256  # unit vectors that are tried at once
_ROUNDING = 1e-12  # of the largest effect, in float64


def shape_after(module: nn.Module, source: Shape) -> Shape:
    """Give the shape that a module makes of one sample.

    Raises:
        ValueError: If the module refuses such a sample.
    """
    like = next(module.parameters(), torch.empty(0))
    probe = copy.deepcopy(module).eval()  # which draws no numbers and updates no averages
    try:
        with torch.no_grad():
            made = probe(torch.zeros(2, *source).to(like))
    except RuntimeError as error:
        raise ValueError(f"{in_line(module)} takes no source of shape {source}: {error}") from error
    if not isinstance(made, Tensor):
        raise ValueError(
            f"{in_line(module)} gives a {type(made).__name__}; synapses give a tensor of currents"
        )
    return tuple(made.shape[1:])


class ModuleSynapses(Synapses):
    """A module of torch, the same for all channels; it is trained with the network.

    Args:
        module: Takes `(B, *source)` and gives `(B, *target)`.
        source: Shape of the presynaptic population.
        target: Shape of the postsynaptic population.
        channels: Channels N.

    Raises:
        ValueError: If the module is not linear up to a bias, or does not fit the shapes.
    """

    keeps_channels = True

    def __init__(
        self, module: nn.Module, source: Shape, target: Shape, *, channels: int = 1
    ) -> None:
        super().__init__(source, target, channels)
        made = shape_after(module, source)
        if made != target:
            raise ValueError(
                f"{in_line(module)} turns {source} into {made}, but the target is {target}"
            )
        check_linear(module, source)
        self.module = module

    @property
    def fan_in(self) -> int:
        """The presynaptic neurons that act on a neuron, at most."""
        return int(torch.stack([block.sum(0) for block in self._reached()]).sum(0).max())

    def carry(self, spikes: Tensor) -> Float[Tensor, "T B H C"]:
        """Compute the currents of T steps, one call per step."""
        _, batch, _, channels = spikes.shape
        steps = []
        for x in spikes.movedim(-1, 2):  # (B, C, P)
            grid = aligned(x.contiguous()).view(batch * channels, *self.source)
            steps.append(self.module(grid).reshape(batch, channels, -1))
        return torch.stack(steps).movedim(2, -1)

    def gather(self, values: Float[Tensor, " H"]) -> Float[Tensor, " P"]:
        """Sum values of neurons over those that each presynaptic neuron feeds, in float64."""
        return torch.cat([block.to(values) @ values for block in self._reached()])

    def _reached(self) -> Iterator[Tensor]:
        """Yield which neurons a spike of each presynaptic neuron changes, `(P, H)` in blocks."""
        probe = copy.deepcopy(self.module).double()
        size = self.presynaptic
        device = next((p.device for p in probe.parameters()), None)
        for first in range(0, size, _BLOCK):
            units = torch.zeros(min(_BLOCK, size - first), size, dtype=torch.float64, device=device)
            units.diagonal(first).fill_(1)
            with torch.no_grad():
                both = torch.zeros_like(units), units
                silent, made = (probe(x.view(-1, *self.source)).flatten(1) for x in both)
            effects = (made - silent).abs()
            yield effects > _ROUNDING * made.abs().max()
