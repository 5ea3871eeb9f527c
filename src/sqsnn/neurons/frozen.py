"""Parameters of which some columns stay as they are while the others are trained."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class _FrozenColumns(nn.Module):
    """Puts a tensor together from its trained and its frozen columns."""

    def __init__(self, frozen: Sequence[bool]) -> None:
        super().__init__()
        self.trained = [column for column, fixed in enumerate(frozen) if not fixed]
        self.fixed = [column for column, fixed in enumerate(frozen) if fixed]
        placed = self.trained + self.fixed
        self.order = [placed.index(column) for column in range(len(frozen))]

    def forward(self, trained: Tensor, fixed: Tensor) -> Tensor:
        return torch.cat([trained, fixed], dim=-1)[:, self.order]

    def right_inverse(self, whole: Tensor) -> tuple[Tensor, Tensor]:
        return whole[:, self.trained], whole[:, self.fixed]


def freeze_columns(module: nn.Module, name: str, frozen: Sequence[bool]) -> None:
    """Exclude columns of a matrix from training.

    The matrix stays readable and assignable under its name; what changes under it are two
    parameters, of which the frozen one has `requires_grad` False. If no column is frozen, nothing
    changes.
    """
    if any(frozen):
        parametrize.register_parametrization(module, name, _FrozenColumns(frozen))
        module.get_parameter(f"parametrizations.{name}.original1").requires_grad_(False)
