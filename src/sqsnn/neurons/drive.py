"""The drive: how the currents of a quantum neuron become the angles of its encoding.

    Rectified    phi_t = pi max(z_t, 0)                    the paper's
    Saturating   phi_t = pi clip(z_t, 0, 1)                a stronger current is never quieter
    Leaky        phi_t = pi clip(u_t, 0, 1)                a current too weak to fire is remembered

with, for a reset of the whole membrane and for one of K steps,

    u_t = max(beta u_{t-1} + z_t + c - theta s_{t-1}, floor)
    u_t = v_t - sum_{k=1..K} theta_k s_{t-k},   v_t = max(beta v_{t-1} + z_t + c, floor)

Leaky is the membrane of the spike response neuron (Gerstner and Kistler, 2002), held by the
controller that computes the currents anyway; the circuit decides on the spike and holds the quantum
memory. Without memory qubits, it is a classical membrane whose coin is a qubit.
"""

from collections.abc import Callable
from dataclasses import field
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from sqsnn.neurons import surrogates
from sqsnn.neurons.stepped import learned
from sqsnn.options import options
from sqsnn.quantum.control import Turns

MAX_RESET_STEPS = 4


class _Memoryless:
    """What drives without a membrane share."""

    remembered_spikes: ClassVar[int] = 0
    passes_gradients: ClassVar[bool] = False


@options
class Rectified(_Memoryless):
    """The paper's encoding: a current at or below 0 places no gate."""

    kind: Literal["rectified"] = field(default="rectified", kw_only=True, repr=False)

    saturates: ClassVar[bool] = False


@options
class Saturating(_Memoryless):
    """Turn no further than a full flip, so that a stronger current never makes a neuron quieter."""

    kind: Literal["saturating"] = field(default="saturating", kw_only=True, repr=False)

    saturates: ClassVar[bool] = True


@options
class Leaky:
    """A membrane that leaks, integrates and is reset by the neuron's own spikes.

    beta, theta (`reset`) and c (`bias`) are learned, one value per neuron and channel.
    """

    beta: Annotated[float, Field(ge=0, le=1)] = 0.5
    """First value of the membrane's decay per step, in [0, 1]."""
    reset: float = 1.0
    """First value of theta, what an own spike takes from the membrane."""
    bias: float = 0.0
    """First value of c, a current that is always there."""
    floor: Annotated[float, Field(le=0)] = -1.0
    """Lowest value of the membrane; it is not learned."""
    reset_steps: Annotated[int, Field(ge=0, le=MAX_RESET_STEPS)] | None = None
    """Steps for which an own spike counts, 0 to 4, each with its own theta; none: as long as the
    membrane remembers it. A device runs all steps in one circuit with 3 or fewer, or up to 6 steps
    with any [default: none, or the preset's]."""
    through_reset: bool = True
    """Let own spikes pass their surrogate gradient to the membrane that they reset."""
    kind: Literal["leaky"] = field(default="leaky", kw_only=True, repr=False)

    saturates: ClassVar[bool] = True

    @property
    def remembered_spikes(self) -> int:
        """Count the last spikes that a drive keeps: K, or 1 to reset the whole membrane."""
        return 1 if self.reset_steps is None else self.reset_steps

    @property
    def passes_gradients(self) -> bool:
        """Whether own spikes pass a gradient."""
        return self.through_reset and self.remembered_spikes > 0


Drive = Annotated[Rectified | Saturating | Leaky, Field(discriminator="kind")]


def check_drive(drive: object) -> None:
    """Refuse what is no drive."""
    if not isinstance(drive, Rectified | Saturating | Leaky):
        raise TypeError(f"drive is {drive!r}; it may be Rectified(), Saturating() or Leaky()")


class Membrane(NamedTuple):
    """The state of a leaky drive between two steps."""

    membrane: Tensor  # u, or v with a reset of K steps, (B, H, N)
    spikes: Tensor  # the last spikes, the newest first, (B, H, N, K), or K = 1


class Learned(NamedTuple):
    """The learned parameters of a leaky drive."""

    beta: Tensor  # (H, N)
    reset: Tensor  # theta, (H, N), or theta_k, (H, N, K)
    bias: Tensor  # c, (H, N)


def first_values(
    drive: Leaky, size: int, channels: int, dtype: torch.dtype, device: torch.device | str | None
) -> Learned:
    """Make the learned parameters; theta_k starts at reset * beta**(k - 1)."""
    beta, reset, bias = (
        learned(value, size, channels, dtype, device)
        for value in (drive.beta, drive.reset, drive.bias)
    )
    if drive.reset_steps is not None:
        powers = [drive.beta**k for k in range(drive.reset_steps)]
        with torch.no_grad():
            reset = nn.Parameter(reset[..., None] * reset.new_tensor(powers))
    return Learned(beta, reset, bias)


def at_rest(drive: Leaky, currents: Float[Tensor, "B H N"]) -> Membrane:
    """Make the state before the first step: no charge, no spikes."""
    silent = currents.new_zeros(*currents.shape, drive.remembered_spikes)
    return Membrane(torch.zeros_like(currents), silent)


def integrate(
    drive: Leaky,
    learned: Learned,
    currents: Float[Tensor, "*batch H N"],
    before: Membrane,
    *,
    exact: bool,
) -> tuple[Tensor, Membrane]:
    """Compute the potential u of a step and the membrane after it.

    Args:
        drive: The drive.
        learned: Its parameters, beta clamped.
        currents: Currents of the step.
        before: The state before it.
        exact: Whether the slope of the floor is 0; else 0.3, as if the membrane still moved.
    """
    charge = torch.addcmul(currents + learned.bias, learned.beta, before.membrane)
    if drive.reset_steps is None:
        charge = torch.addcmul(charge, learned.reset, before.spikes[..., 0], value=-1)
    membrane = surrogates.floored(charge, drive.floor, exact=exact)
    potential = membrane
    if drive.reset_steps:
        potential = membrane - (learned.reset * before.spikes).sum(-1)
    return potential, before._replace(membrane=membrane)


def settle(membrane: Membrane, spikes: Float[Tensor, "*batch H N"]) -> Membrane:
    """Take the spikes of a step into the state."""
    kept = membrane.spikes.shape[-1]
    newest = torch.cat([spikes[..., None], membrane.spikes], dim=-1)[..., :kept]
    return membrane._replace(spikes=newest)


class LeakyController(NamedTuple):
    """A leaky drive over the currents of one pass; see `quantum/control.py`."""

    drive: Leaky
    learned: Learned
    currents: Float[Tensor, "T *batch H N"]
    start: Membrane
    exact: bool  # whether the floor has its true slope, 0
    encode: Callable[[Tensor], Turns]  # from potentials to angles
    surrogate: Callable[[Tensor, Tensor], Tensor] | None  # of own spikes; None: they are data

    def turns(self, t: int, state: Membrane) -> tuple[Turns, Membrane]:
        """Integrate a step's currents and encode the potential."""
        potential, after = integrate(
            self.drive, self.learned, self.currents[t], state, exact=self.exact
        )
        return self.encode(potential), after

    def settle(self, state: Membrane, bits: Tensor, marginals: Tensor | None) -> Membrane:
        """Take the spikes of a step into the state."""
        if self.surrogate is not None and marginals is not None:
            bits = self.surrogate(bits, marginals)
        return settle(state, bits)
