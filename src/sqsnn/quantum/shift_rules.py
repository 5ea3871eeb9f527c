"""Parameter-shift rules: derivatives of probabilities from circuits whose gates are turned further.

They hold for a joint probability f = P(s_1..s_t), whatever the memory does meanwhile, with noise
and readout error too, if every *occurrence* of a parameter is shifted alone and summed:

    RX RY RZ RXX RYY RZZ, encoding:   f' = [f(+pi/2) - f(-pi/2)] / 2
    CRX CRY CRZ:                      f' = c+ [f(+pi/2) - f(-pi/2)] - c- [f(+3pi/2) - f(-3pi/2)],
                                  c+- = (sqrt2 +- 1) / (4 sqrt2)

A controlled rotation has three frequencies, 0, 1/2 and 1, because it leaves half of its space
alone: two terms would give a wrong number. `replay.py` runs the shifted circuits.

Source: Schuld et al., arXiv:1811.11184 (two terms); Anselmetti et al., arXiv:2104.05695 (four).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sqsnn.quantum import gates
from sqsnn.quantum.circuit import Circuit

Place = Literal["gate", "encoding"]

_HALF_PI = math.pi / 2
_C_PLUS, _C_MINUS = ((math.sqrt(2) + sign) / (4 * math.sqrt(2)) for sign in (1, -1))
TWO_TERMS = ((0.5, _HALF_PI), (-0.5, -_HALF_PI))
FOUR_TERMS = (
    (_C_PLUS, _HALF_PI),
    (-_C_PLUS, -_HALF_PI),
    (-_C_MINUS, 3 * _HALF_PI),
    (_C_MINUS, -3 * _HALF_PI),
)


class Shift(NamedTuple):
    """One gate of one step, turned by an additional angle; it is placed whatever the current."""

    step: int  # from 0
    place: Place
    index: int  # in `circuit.gates` or `circuit.encoding`
    angle: float | Tensor  # in radians; a tensor (H,) for one angle per neuron


# All shifts of one circuit; () leaves the circuit unchanged.
Shifts = tuple[Shift, ...]


class Occurrence(NamedTuple):
    """One place at which a parameter acts in a circuit of several steps."""

    step: int
    place: Place
    index: int

    def shifted(self, angle: float | Tensor) -> Shift:
        """This occurrence turned by an additional angle."""
        return Shift(*self, angle)


class Combination(NamedTuple):
    """How derivatives come from probabilities f_j: df/d(occurrence o) = sum_j c[o, j] f_j."""

    occurrences: tuple[Occurrence, ...]  # O places
    shifts: tuple[Shifts, ...]  # J circuits
    coefficients: Tensor  # (O, J, H), or (O, J, 1) where they are the same for every neuron


def terms(gate: str) -> tuple[tuple[float, float], ...]:
    """The (coefficient, shift in radians) pairs of a gate's rule."""
    form = gates.GATES[gate]
    if not form.parametrised:
        rotations = ", ".join(name for name, other in gates.GATES.items() if other.parametrised)
        raise ValueError(f"gate {gate} has no angle to shift; rules exist for {rotations}")
    return FOUR_TERMS if form.fixed.any() else TWO_TERMS


def occurrences(circuit: Circuit, steps: int) -> tuple[Occurrence, ...]:
    """Every place at which an angle, a gain or a current acts in `steps` steps of a circuit."""
    once = [Occurrence(0, "encoding", e) for e, turn in enumerate(circuit.encoding) if turn.is_gate]
    turnable = [g for g, gate in enumerate(circuit.gates) if gate.parameter is not None]
    once += [Occurrence(0, "gate", g) for g in turnable]
    return tuple(place._replace(step=step) for step in range(steps) for place in once)


def parameter_shift(circuit: Circuit, steps: int, like: Tensor) -> Combination:
    """The exact rule: every occurrence alone, two or four circuits each."""
    places = occurrences(circuit, steps)
    rules = [
        terms(circuit.gates[place.index].name) if place.place == "gate" else TWO_TERMS
        for place in places
    ]
    shifts = tuple(
        (place.shifted(angle),)
        for place, rule in zip(places, rules, strict=True)
        for _, angle in rule
    )
    rows = (like.new_tensor([coefficient for coefficient, _ in rule]) for rule in rules)
    coefficients = torch.block_diag(*rows).reshape(len(places), len(shifts), 1)
    return Combination(places, shifts, coefficients)


def simultaneous_perturbation(
    circuit: Circuit,
    neurons: int,
    directions: int,
    size: float,
    generator: torch.Generator,
    like: Tensor,
) -> Combination:
    """SPSA over the angles of one step: all turned at once by +-size along random signs D.

        df/d(angle o) ~ [f(+size D) - f(-size D)] / (2 size) * D_o,

    averaged over directions: two circuits each, however many angles there are, at the price of a
    noise that grows with them and a bias of order size^2. Every neuron has signs of its own.

    Source: Spall, IEEE Trans. Automatic Control 37 (1992).
    """
    places = occurrences(circuit, 1)
    shape = (len(places), directions, neurons)
    drawn = torch.randint(0, 2, shape, generator=generator, device=generator.device)
    signs = (2 * drawn - 1).to(like)
    shifts = tuple(
        tuple(place.shifted(sign * size * signs[o, d]) for o, place in enumerate(places))
        for d in range(directions)
        for sign in (1.0, -1.0)
    )
    pairs = torch.stack([signs, -signs], dim=2).flatten(1, 2)  # (O, 2 * directions, H)
    return Combination(places, shifts, pairs / (2 * size * directions))


def sum_by_parameter(
    circuit: Circuit, places: Sequence[Occurrence], values: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum values `(O, *rest)` per gate angle, `(*rest, K)`, and rotation, `(steps, *rest, E)`."""
    steps = 1 + max(place.step for place in places)
    rest = values.shape[1:]
    by_angle = values.new_zeros(circuit.parameters, *rest)
    by_rotation = values.new_zeros(steps, len(circuit.encoding), *rest)
    for place, value in zip(places, values, strict=True):
        if place.place == "gate":
            by_angle[circuit.gates[place.index].parameter] += value
        else:
            by_rotation[place.step, place.index] += value
    return by_angle.movedim(0, -1), by_rotation.movedim(1, -1)
