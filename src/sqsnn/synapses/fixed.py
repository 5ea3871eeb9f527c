"""Synapses without parameters: mean pooling and the identity."""

from jaxtyping import Float
from torch import Tensor, nn

from sqsnn.checks import Shape, check_positive_int
from sqsnn.synapses.base import Synapses


def pooled_shape(source: Shape, window: int) -> Shape | None:
    """Give the shape that pooling makes of a grid; None if its window finds no place."""
    sides = [side // window for side in source[1:]]
    return (source[0], *sides) if min(sides) > 0 else None


class PoolSynapses(Synapses):
    """Means over windows that touch; what is left at the far sides of the grid is dropped.

    Args:
        source: Shape of the presynaptic population, `(maps, length)` or `(maps, height, width)`.
        window: Side of a window.
        channels: Channels N.
    """

    keeps_channels = True

    def __init__(self, source: Shape, window: int, *, channels: int = 1) -> None:
        check_positive_int("window", window)
        if len(source) not in (2, 3):
            raise ValueError(f"source is {source}; it must be a grid of 1 or 2 dimensions and maps")
        target = pooled_shape(source, window)
        if target is None:
            raise ValueError(f"a window of {window} finds no place in a source of {source}")
        super().__init__(source, target, channels)
        self.window = window

    @property
    def fan_in(self) -> int:
        """The neurons of a window."""
        return self.window ** (len(self.source) - 1)

    def carry(self, spikes: Tensor) -> Float[Tensor, "T B H C"]:
        """Compute the means over the windows; each is a sum of its own, whatever the batch."""
        grids = spikes.movedim(-1, 2).flatten(0, 2).unflatten(1, self.source)  # (T*B*C, maps, ...)
        pool = nn.functional.avg_pool1d if len(self.source) == 2 else nn.functional.avg_pool2d
        means = pool(grids, self.window).flatten(1)
        steps, batch, _, channels = spikes.shape
        return means.unflatten(0, (steps, batch, channels)).movedim(2, -1)

    def gather(self, values: Float[Tensor, " H"]) -> Float[Tensor, " P"]:
        """Give each presynaptic neuron the value of its window; 0 to those that were dropped."""
        grid = values.view(self.target)
        for dimension in range(1, len(self.source)):
            grid = grid.repeat_interleave(self.window, dim=dimension)
        gathered = values.new_zeros(self.source)
        gathered[tuple(map(slice, grid.shape))] = grid
        return gathered.flatten()


class IdentitySynapses(Synapses):
    """Neuron p feeds neuron p, its spikes being the currents.

    Args:
        shape: Shape of both populations.
        channels: Channels N.
    """

    keeps_channels = True

    def __init__(self, shape: Shape, *, channels: int = 1) -> None:
        super().__init__(shape, shape, channels)

    @property
    def fan_in(self) -> int:
        """One way leads to a neuron."""
        return 1

    def carry(self, spikes: Tensor) -> Tensor:
        """Hand the spikes on."""
        return spikes

    def gather(self, values: Tensor) -> Tensor:
        """Hand the values on."""
        return values
