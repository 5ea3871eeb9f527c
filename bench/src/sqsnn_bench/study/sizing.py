"""Networks of one size: the width at which a model has a given number of parameters."""

from collections.abc import Callable
from typing import NamedTuple

from sqsnn.errors import ConfigError

TOLERANCE = 0.01  # of the number of parameters that a study wants


class Size(NamedTuple):
    """How large a network is.

    Attributes:
        hidden: Neurons of each hidden layer.
        parameters: Trainable parameters.
    """

    hidden: tuple[int, ...]
    parameters: int


def fit(
    count: Callable[[tuple[int, ...]], int],
    parameters: int,
    layers: int = 1,
    tolerance: float = TOLERANCE,
) -> Size:
    """Choose the width of the hidden layers that comes nearest to a number of parameters.

    Args:
        count: Counts the parameters of a network with these hidden layers.
        parameters: Trainable parameters wanted.
        layers: Hidden layers, all of one width.
        tolerance: How far from it the network may be, as a share of it.

    Raises:
        ConfigError: If no width comes as near, or the network cannot be built.
    """

    def size(width: int) -> Size:
        hidden = (width,) * layers
        return Size(hidden, count(hidden))

    below, above = size(1), size(1)
    while above.parameters < parameters:
        below, above = above, size(2 * above.hidden[0])
    while above.hidden[0] - below.hidden[0] > 1:
        middle = size((below.hidden[0] + above.hidden[0]) // 2)
        below, above = (middle, above) if middle.parameters < parameters else (below, middle)
    nearest = min(below, above, key=lambda one: abs(one.parameters - parameters))
    if abs(nearest.parameters - parameters) > tolerance * parameters:
        raise ConfigError(
            f"parameters is {parameters}, but the nearest networks have {below.parameters} "
            f"(hidden {below.hidden[0]}) and {above.parameters} (hidden {above.hidden[0]}): "
            f"choose a number within {tolerance:.0%} of one of them"
        )
    return nearest
