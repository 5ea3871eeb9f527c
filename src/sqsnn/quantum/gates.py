"""Gates: rotation angles in, small matrices out.

Every gate of the package is one formula with three constant matrices,

    G(a) = fixed + cos(a/2) even + sin(a/2) odd,

for instance RX(a) = exp(-i a X/2) = cos(a/2) 1 + sin(a/2) (-iX), and a controlled rotation leaves
the control-0 block in `fixed`. A gate without an angle is its `fixed` part.

**Real frame.** The change of basis D = diag(1, -i) on every qubit turns RX into RY and CRX into
CRY and leaves CZ as it is. A gate is real in that frame when D^+ G D is real for every angle;
this is computed from the three matrices, not listed by hand.

Controlled gates act on (control, target); the first qubit of a gate is the most significant.
"""

import math
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from torch import Tensor

from sqsnn.placing import constant

_IDENTITY = np.eye(2)
_X = np.array([[0, 1], [1, 0]], dtype=complex)
_Y = np.array([[0, -1j], [1j, 0]])
_Z = np.diag([1.0, -1.0]).astype(complex)
_ZERO, _ONE = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])


class GateForm(NamedTuple):
    """The three constant matrices of a gate, G(a) = fixed + cos(a/2) even + sin(a/2) odd."""

    fixed: np.ndarray
    even: np.ndarray
    odd: np.ndarray

    @property
    def qubits(self) -> int:
        """How many qubits the gate acts on: 1 or 2."""
        return len(self.fixed).bit_length() - 1

    @property
    def parametrised(self) -> bool:
        """Whether the gate has an angle."""
        return bool(self.even.any())

    def at(self, angle: float) -> "GateForm":
        """The gate at one angle in radians, as a gate without an angle."""
        turned = math.cos(angle / 2) * self.even + math.sin(angle / 2) * self.odd
        return _fixed(self.fixed + turned)

    def in_real_frame(self) -> "GateForm":
        """Change the basis by diag(1, -i) on each of the gate's qubits."""
        frame = frame_phases(self.qubits)
        change = np.outer(frame.conj(), frame)
        return GateForm(*(change * part for part in self))

    @property
    def is_real(self) -> bool:
        """Whether the gate is a real matrix in the real frame at every angle."""
        return all(np.allclose(np.imag(part), 0) for part in self.in_real_frame())

    @property
    def pattern(self) -> np.ndarray:
        """Which matrix elements can differ from zero; boolean, the same in both frames."""
        return np.any([np.abs(part) > 0 for part in self], axis=0)


def _fixed(matrix: np.ndarray) -> GateForm:
    return GateForm(matrix, np.zeros_like(matrix), np.zeros_like(matrix))


def _rotation(pauli: np.ndarray) -> GateForm:
    identity = np.eye(len(pauli), dtype=complex)
    return GateForm(np.zeros_like(identity), identity, -1j * pauli)


def _controlled(pauli: np.ndarray) -> GateForm:
    idle, turned = (np.kron(control, _IDENTITY).astype(complex) for control in (_ZERO, _ONE))
    return GateForm(idle, turned, np.kron(_ONE, -1j * pauli))


GATES = MappingProxyType(
    {
        "RX": _rotation(_X),
        "RY": _rotation(_Y),
        "RZ": _rotation(_Z),
        "CRX": _controlled(_X),
        "CRY": _controlled(_Y),
        "CRZ": _controlled(_Z),
        "RXX": _rotation(np.kron(_X, _X)),
        "RYY": _rotation(np.kron(_Y, _Y)),
        "RZZ": _rotation(np.kron(_Z, _Z)),
        "CX": _fixed(np.kron(_ZERO, _IDENTITY) + np.kron(_ONE, _X)),
        "CZ": _fixed(np.kron(_ZERO, _IDENTITY) + np.kron(_ONE, _Z)),
        "H": _fixed((_X + _Z) / np.sqrt(2)),
    }
)


def frame_phases(qubits: int) -> np.ndarray:
    """Diagonal of diag(1, -i) on every qubit, (-i)^(ones in the index), `(2**qubits,)`."""
    powers = np.array([1, -1j, -1, 1j])
    return np.array([powers[index.bit_count() % 4] for index in range(2**qubits)])


def matrix(
    name: str, angle: Float[Tensor, "*batch"] | None, *, real_frame: bool, like: Tensor
) -> Float[Tensor, "*batch dim dim"] | Complex[Tensor, "*batch dim dim"]:
    """The matrix of a gate, complex or D^+ G D as a real tensor; `like` gives its precision."""
    if real_frame and not GATES[name].is_real:
        raise ValueError(f"gate {name} is not real in the real frame; use the laboratory frame")
    dtype = like.dtype if real_frame else like.dtype.to_complex()
    fixed, even, odd = (
        constant(_part, name, part, real_frame, like=like, dtype=dtype) for part in range(3)
    )
    if not GATES[name].parametrised:
        return fixed
    if angle is None:
        raise ValueError(f"gate {name} needs an angle, but angle is None")
    half = angle[..., None, None] / 2
    return fixed + half.cos() * even + half.sin() * odd


def derivative(
    name: str, angle: Float[Tensor, "*batch"], *, real_frame: bool, like: Tensor
) -> Float[Tensor, "*batch dim dim"] | Complex[Tensor, "*batch dim dim"]:
    """dG/da = [G(a + pi) - fixed] / 2 of a gate with an angle; the arguments are `matrix`'s."""
    turned = matrix(name, angle + math.pi, real_frame=real_frame, like=like)
    return (turned - constant(_part, name, 0, real_frame, like=turned, dtype=turned.dtype)) / 2


def _part(name: str, part: int, real_frame: bool) -> np.ndarray:
    """One of a gate's three constant matrices."""
    form = GATES[name].in_real_frame() if real_frame else GATES[name]
    return np.real(form[part]) if real_frame else form[part]


def apply(gate: Tensor, qubits: tuple[int, ...], register: Tensor, count: int) -> Tensor:
    """Apply a gate `(*batch, d, d)` to some qubits of `(*batch, 2**count, columns)`."""
    return from_front(gate @ to_front(register, qubits, count), qubits, count)


def to_front(register: Tensor, qubits: tuple[int, ...], count: int) -> Tensor:
    """Bring some qubits to the front: `(*batch, 2**count, columns)` -> `(*batch, d, rest)`."""
    batch, columns = register.shape[:-2], register.shape[-1]
    split = register.reshape(*batch, *(2,) * count, columns)
    places, front = _places(len(batch), qubits)
    return split.movedim(places, front).reshape(*batch, 2 ** len(qubits), -1)


def from_front(values: Tensor, qubits: tuple[int, ...], count: int) -> Tensor:
    """Bring them back: `(*batch, d, rest)` -> `(*batch, 2**count, columns)`."""
    batch = values.shape[:-2]
    places, front = _places(len(batch), qubits)
    split = values.reshape(*batch, *(2,) * count, -1).movedim(front, places)
    return split.reshape(*batch, 2**count, -1)


def _places(first: int, qubits: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Give the dimensions of qubits, and those in front, after `first` others."""
    return [first + qubit for qubit in qubits], list(range(first, first + len(qubits)))
