"""Parameters that neurons share: one row per group, trained, which reads as one row per neuron.

A population on a grid `(maps, height, width)` is to a quantum circuit what a feature map is to a
kernel: `share="map"` gives the neurons of a map one circuit, `share="population"` all of them.
"""

from math import prod
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.utils import parametrize

from sqsnn.checks import check_choice

Share = Literal["none", "map", "population"]


class _SharedRows(nn.Module):
    """Repeats every row for the neurons of its group, which are neighbours."""

    def __init__(self, each: int) -> None:
        super().__init__()
        self.each = each

    def forward(self, shared: Tensor) -> Tensor:
        # The gradient of expand is the sum over the group.
        return shared.unsqueeze(1).expand(-1, self.each, *shared.shape[1:]).flatten(0, 1)

    def right_inverse(self, whole: Tensor) -> Tensor:
        groups = whole.detach().unflatten(0, (-1, self.each))
        if bool((groups != groups[:, :1]).any()):
            raise ValueError(
                f"the rows of {self.each} neurons that share one differ; give them equal values"
            )
        return groups[:, 0].clone()


def count_groups(shape: tuple[int, ...], share: Share) -> int:
    """Count the groups of neurons that share parameters, neurons alone included.

    Raises:
        ValueError: If the name is unknown, or the population has no maps.
    """
    check_choice("share", share, Share)
    if share == "population":
        return 1
    if share == "none":
        return prod(shape)
    if len(shape) < 2:
        raise ValueError(
            f"share is 'map', but the population has the shape {shape}, which has no maps; give "
            "a grid such as size=(12, 28, 28), maps first, or share 'none' or 'population'"
        )
    return shape[0]


def share_rows(module: nn.Module, name: str, each: int) -> None:
    """Let every row of a parameter, `(groups, ...)`, stand for `each` neurons.

    Under its name, the parameter then reads as `(groups * each, ...)`, a row per neuron, and can be
    assigned as such where the neurons of a group have equal rows; what is trained keeps the shape
    `(groups, ...)`. Columns are frozen before rows are shared.
    """
    if each == 1:
        return
    rows = _SharedRows(each)
    if not parametrize.is_parametrized(module, name):
        own = module.get_parameter(name)
        whole = rows(own.detach()).contiguous()
        setattr(module, name, nn.Parameter(whole, requires_grad=own.requires_grad))
    # "unsafe" permits a parametrization that changes the shape.
    parametrize.register_parametrization(module, name, rows, unsafe=True)


def unpickled(kind: type[nn.Module], state: dict[str, Any]) -> nn.Module:
    """Make a module again whose parameters are shared or frozen, from its class and attributes."""
    module = kind.__new__(kind)
    nn.Module.__init__(module)
    others = dict(state["_modules"])
    made = others.pop("parametrizations")
    module.__dict__.update(state | {"_modules": others})
    for name, steps in made.items():
        originals = list(steps.parameters(recurse=False))
        first, *rest = steps
        setattr(module, name, nn.Parameter(first(*originals).detach()))
        parametrize.register_parametrization(module, name, first, unsafe=True)
        for step in rest:
            parametrize.register_parametrization(module, name, step, unsafe=True)
        again = module.get_submodule(f"parametrizations.{name}").parameters(recurse=False)
        for parameter, original in zip(again, originals, strict=True):
            parameter.requires_grad_(original.requires_grad)
    return module
