"""Who chooses the angles of the encoding: known before the first step, or made step by step.

A controller is classical: it may know the spikes of earlier steps, but not the quantum memory.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor


class Turns(NamedTuple):
    """The encoding of one step."""

    angles: Sequence[Tensor]  # of each rotation, (*batch, neurons)
    driven: Tensor | None  # where each is a gate at all, (*batch, neurons, E); only noise asks

    @property
    def gates(self) -> Bool[Tensor, "*batch neurons rotations"]:
        """Where each rotation is a gate, after which there is noise."""
        if self.driven is None:
            raise ValueError("noise needs to know which rotations are gates; give driven")
        return self.driven


@runtime_checkable
class Controller(Protocol):
    """Chooses the angles of each step; its state is a NamedTuple of tensors."""

    @property
    def start(self) -> Any:
        """The state before the first step."""
        ...

    def turns(self, t: int, state: Any) -> tuple[Turns, Any]:
        """Choose the angles of a step."""
        ...

    def settle(self, state: Any, bits: Tensor, marginals: Tensor | None) -> Any:
        """Take in the spikes of a step, with their probabilities unless they are data."""
        ...


class Fixed(NamedTuple):
    """Angles that are known before the first step: a controller without a state."""

    angles: Sequence[Float[Tensor, "steps *batch neurons"]]  # one tensor per rotation
    driven: Bool[Tensor, "steps *batch neurons rotations"] | None = None
    start: None = None

    def turns(self, t: int, state: Any) -> tuple[Turns, None]:
        """Look up the angles of a step."""
        return Turns([angle[t] for angle in self.angles], at(self.driven, t)), None

    def settle(self, state: Any, bits: Tensor, marginals: Tensor | None) -> None:
        """Take in nothing: no angle depends on the spikes."""


def at(source: Tensor | None, t: int) -> Tensor | None:
    """One step of a tensor, time first, or None."""
    return None if source is None else source[t]
