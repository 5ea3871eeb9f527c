"""What circuits are made of: placed gates, rotations by the currents, initial values of angles."""

from collections.abc import Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any, NamedTuple

from sqsnn.quantum import gates


class Normal(NamedTuple):
    """Initial values in radians, mean + deviation * N(0, 1)."""

    mean: float = 0.0
    deviation: float = 0.0
    random_sign: bool = False  # whether the mean gets a random sign per neuron


# Where parameters start whose circuit does not say.
START = Normal(0.0, 0.5)


class Gate(NamedTuple):
    """One placed gate."""

    name: str  # a key of `gates.GATES`
    qubits: tuple[int, ...]  # the control first
    parameter: int | None = None  # which of the circuit's parameters is its angle
    angle: float | None = None  # in radians, where it is fixed; None with a parameter


class Encoded(NamedTuple):
    """One rotation RX(gain * phi[channel]) of the encoding."""

    qubit: int  # the qubit that turns
    channel: int  # the channel whose current turns it
    gain: float = 1.0  # the initial value of a trainable one
    trainable: bool = False  # whether every neuron learns a gain of its own

    @property
    def is_gate(self) -> bool:
        """Whether a positive current makes this a gate: not at a fixed gain of 0."""
        return self.trainable or self.gain != 0


def complete_encoding(
    encoding: Sequence[Encoded] | None, channels: int, memory_qubits: int
) -> tuple[Encoded, ...]:
    """The encoding in order of the qubits, channels that no current rotates at a fixed gain 0.

    Raises:
        ValueError: If a qubit is rotated twice, or there is no such qubit or channel.
    """
    rotated = {n: Encoded(n, n, 1.0 if encoding is None else 0.0) for n in range(channels)}
    named = [rotation.qubit for rotation in encoding or ()]
    for rotation in encoding or ():
        if not 0 <= rotation.qubit < channels + memory_qubits or named.count(rotation.qubit) > 1:
            raise ValueError(
                f"encoding rotates qubit {rotation.qubit}; each of the qubits "
                f"0..{channels + memory_qubits - 1} may be rotated once"
            )
        if not 0 <= rotation.channel < channels:
            raise ValueError(
                f"encoding of qubit {rotation.qubit} names channel {rotation.channel}; it may be "
                f"0..{channels - 1}"
            )
        rotated[rotation.qubit] = rotation
    return tuple(rotated[qubit] for qubit in sorted(rotated))


def read_placement(placement: tuple[Any, ...], initial: list[Normal]) -> Gate:
    """The gate that a user placed; a parameter of its own is added to the initial values.

    Raises:
        ValueError: If it is no placement, or shares a parameter that there is not.
    """
    if len(placement) not in (2, 3):
        raise ValueError(f"a gate is (name, qubits) or (name, qubits, angle), but is {placement!r}")
    name, qubits = placement[:2]
    angle: Any = placement[2] if len(placement) == 3 else None
    if not isinstance(qubits, Sequence):
        raise ValueError(f"gate {name} was placed on qubits {qubits!r}; write ({qubits},)")
    if isinstance(angle, Normal):
        initial.append(angle)
        return Gate(name, tuple(qubits), len(initial) - 1)
    if isinstance(angle, Integral):
        number = int(angle)
        if isinstance(angle, bool) or not 0 <= number < len(initial):
            raise ValueError(
                f"gate {name} on qubits {tuple(qubits)} has the angle {angle!r}: an integer shares "
                f"a parameter of the gates before, which have {len(initial)}; write "
                f"{float(number)} for a fixed angle in radians"
            )
        return Gate(name, tuple(qubits), number)
    return Gate(name, tuple(qubits), None, float(angle) if isinstance(angle, Real) else angle)


def check_gate(gate: Gate, available: int) -> None:
    """Refuse a gate that does not exist, does not fit its qubits or has too many or few angles."""
    if gate.name not in gates.GATES:
        raise ValueError(f"gate is {gate.name!r}; it may be one of {', '.join(gates.GATES)}")
    form, place = gates.GATES[gate.name], f"gate {gate.name} on qubits {gate.qubits}"
    distinct = len(set(gate.qubits)) == len(gate.qubits) == form.qubits
    if not distinct or not all(0 <= qubit < available for qubit in gate.qubits):
        raise ValueError(
            f"gate {gate.name} was placed on qubits {gate.qubits}; it needs {form.qubits} "
            f"different ones of 0..{available - 1}"
        )
    if gate.angle is not None and not (isinstance(gate.angle, float) and isfinite(gate.angle)):
        raise ValueError(f"{place} has the angle {gate.angle!r}, which is no finite number")
    angles = (gate.parameter is not None) + (gate.angle is not None)
    if not form.parametrised and angles:
        raise ValueError(f"{place} takes no angle")
    if form.parametrised and angles != 1:
        raise ValueError(
            f"{place} takes one angle: a Normal, such as Normal(0.0, 0.5), for one that is learned "
            "from there, or a float for a fixed one in radians"
        )
