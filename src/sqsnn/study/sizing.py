"""Networks of one size: the width at which a model has as many parameters as asked for."""

from typing import NamedTuple

from sqsnn.errors import ConfigError
from sqsnn.training.build import build_network
from sqsnn.training.config import Recipe
from sqsnn.training.neurons import count_trained

TOLERANCE = 0.01  # of the number of parameters asked for


class Size(NamedTuple):
    """How large a network is.

    Args:
        hidden: neurons of each hidden layer.
        parameters: trainable parameters.
    """

    hidden: tuple[int, ...]
    parameters: int


def fit(recipe: Recipe, features: int, classes: int, parameters: int, layers: int = 1) -> Size:
    """Choose the width of the hidden layers that comes nearest to a number of parameters.

    Args:
        recipe: the settings; their `hidden` is not looked at.
        features: values of a sample.
        classes: number of classes.
        parameters: trainable parameters wanted.
        layers: hidden layers, all of one width.

    Raises:
        ConfigError: if no width comes within 1 %, or the network cannot be built.
    """

    def size(width: int) -> Size:
        hidden = (width,) * layers
        model = recipe.model.model_copy(update={"hidden": hidden})
        return Size(hidden, count(recipe.model_copy(update={"model": model}), features, classes))

    below, above = size(1), size(1)
    while above.parameters < parameters:
        below, above = above, size(2 * above.hidden[0])
    while above.hidden[0] - below.hidden[0] > 1:
        middle = size((below.hidden[0] + above.hidden[0]) // 2)
        below, above = (middle, above) if middle.parameters < parameters else (below, middle)
    nearest = min(below, above, key=lambda one: abs(one.parameters - parameters))
    if abs(nearest.parameters - parameters) > TOLERANCE * parameters:
        raise ConfigError(
            f"parameters is {parameters}, but the nearest networks have {below.parameters} "
            f"(hidden {below.hidden[0]}) and {above.parameters} (hidden {above.hidden[0]}): "
            f"choose a number within {TOLERANCE:.0%} of one of them"
        )
    return nearest


def count(recipe: Recipe, features: int, classes: int) -> int:
    """Count the trainable parameters of a network, by building it.

    Args:
        recipe: the settings.
        features: values of a sample.
        classes: number of classes.
    """
    return count_trained(build_network(recipe, features, classes), recipe.model)
