"""What a circuit is: a list of gate placements, from which all else about a neuron follows.

A circuit says which qubits the currents rotate (its *encoding*) and which parametrised gates
V(theta) follow. Qubits 0..N-1 are the channels, N..N+M-1 the memory; qubit 0 is the most
significant. The named circuits stand in `circuits.py`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.quantum import gates

MAX_CHANNELS, MAX_MEMORY_QUBITS = 4, 6


class Normal(NamedTuple):
    """Initial values in radians, mean + deviation * N(0, 1)."""

    mean: float = 0.0
    deviation: float = 0.0
    random_sign: bool = False  # whether the mean gets a random sign per neuron


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


@dataclass(frozen=True)
class Circuit:
    """A neuron's circuit, encoding rotations and then V(theta); build one with `Circuit.build`."""

    channels: int  # N
    memory_qubits: int  # M
    encoding: tuple[Encoded, ...]  # rotations by the currents, in order of the qubits
    gates: tuple[Gate, ...]  # V(theta), in the order in which the gates act
    initial: tuple[Normal, ...]  # the initial values of each parameter
    name: str = "custom"  # the name that it is registered under

    @classmethod
    def build(
        cls,
        channels: int,
        memory_qubits: int,
        placements: Iterable[tuple[Any, ...]],
        encoding: Sequence[Encoded] | None = None,
    ) -> "Circuit":
        """Build a circuit from a list of gates.

        Args:
            channels: N, 1..4.
            memory_qubits: M, 0..6.
            placements: (gate name, qubits, angle) in the order in which the gates act. The angle is
                a `Normal` for a parameter of its own, which starts there; a float for a fixed angle
                in radians; or an integer k to share parameter k of the gates before. Gates without
                an angle have none: ("H", (0,)).
            encoding: Which qubits the currents rotate; by default channel n by current n. A channel
                that is not named is not rotated.

        Raises:
            ValueError: If a gate, qubit, channel or initial value does not fit.

        Example:
            >>> gates = [("CRX", (0, 1), Normal(1.0)), ("RX", (0,), 0.5), ("H", (0,))]
            >>> circuit = Circuit.build(1, 1, gates)
            >>> circuit.parameters, circuit.is_real
            (1, False)
        """
        check_qubits(channels, memory_qubits)
        placed: list[Gate] = []
        initial: list[Normal] = []
        for placement in placements:
            placed.append(_read_placement(placement, initial))
        rotated = _complete_encoding(encoding, channels, memory_qubits)
        return cls(channels, memory_qubits, rotated, tuple(placed), tuple(initial))

    def __post_init__(self) -> None:
        """Refuse gates that are none."""
        for gate in self.gates:
            if not isinstance(gate, Gate):
                raise TypeError(f"gates holds {gate!r}, which is no Gate: use Circuit.build")
            _check_gate(gate, self.qubits)

    def __str__(self) -> str:
        """What `print(circuit)` shows: one gate per line."""
        from sqsnn.quantum import circuit_text

        return circuit_text.table(self)

    def draw(self) -> str:
        """Draw one time step as text; `sqsnn.draw(circuit)` draws it as a figure.

        Example:
            >>> print(Circuit.build(1, 1, [("CRX", (0, 1), Normal()), ("RX", (0,), 0.5)]).draw())
            channel ─RX(φ0)────●─────RX(0.5)──measure──|0>─
                               │
            memory  ─────────RX(θ0)────────────────────────
        """
        from sqsnn.quantum import circuit_text

        return circuit_text.picture(self)

    @property
    def qubits(self) -> int:
        """N + M."""
        return self.channels + self.memory_qubits

    @property
    def parameters(self) -> int:
        """The number of gate angles."""
        return len(self.initial)

    @property
    def trainable_gains(self) -> int:
        """The number of trainable encoding gains."""
        return sum(rotation.trainable for rotation in self.encoding)

    @property
    def is_real(self) -> bool:
        """Whether V(theta) is real in the real frame, which makes simulation 2-4 times cheaper."""
        return all(gates.GATES[gate.name].is_real for gate in self.gates)

    @property
    def placed_qubits(self) -> list[tuple[int, ...]]:
        """The qubits of every gate of one step in their order, those of the encoding first."""
        rotated = [(rotation.qubit,) for rotation in self.encoding if rotation.is_gate]
        return [*rotated, *(gate.qubits for gate in self.gates)]

    def gate_counts(self) -> dict[str, int]:
        """How often each gate is placed in one step, the encoding's RX included."""
        counts = Counter(gate.name for gate in self.gates)
        counts["RX"] += sum(rotation.is_gate for rotation in self.encoding)
        return dict(counts)

    def initial_parameters(self, neurons: int, generator: torch.Generator) -> Tensor:
        """Draw initial gate angles in float64, `(neurons, parameters)`."""
        shape = (neurons, self.parameters)
        like = torch.empty(0, dtype=torch.float64, device=generator.device)
        signs = 2.0 * torch.randint(0, 2, shape, generator=generator, device=like.device) - 1.0
        noise = torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
        starts = like.new_tensor(self.initial).reshape(self.parameters, 3)
        mean, deviation, random_sign = starts.unbind(1)
        return torch.where(random_sign > 0, signs, 1.0) * mean + deviation * noise

    def split_memory_tail(self) -> tuple[tuple[Gate, ...], tuple[Gate, ...]]:
        """Split V = (1 (x) W) V' into the gates of V' and those of W.

        W acts on the memory alone at the end and therefore commutes with the measurement; its
        gates count their qubits from the first of the memory.
        """
        blocked = set(range(self.channels))
        body: list[Gate] = []
        tail: list[Gate] = []
        for gate in reversed(self.gates):
            if blocked.isdisjoint(gate.qubits):
                inner = tuple(qubit - self.channels for qubit in gate.qubits)
                tail.append(gate._replace(qubits=inner))
            else:
                body.append(gate)
                blocked.update(gate.qubits)
        return tuple(reversed(body)), tuple(reversed(tail))


def placed_matrix(
    gate: Gate, angles: Float[Tensor, "neurons parameters"], *, real_frame: bool
) -> Tensor:
    """The matrix of a placed gate per neuron, `(neurons, d, d)`; `(d, d)` where it is fixed."""
    angle = None if gate.parameter is None else angles[:, gate.parameter]
    if gate.angle is not None:
        angle = angles.new_tensor(gate.angle)
    return gates.matrix(gate.name, angle, real_frame=real_frame, like=angles)


def unitary(
    placed: Sequence[Gate],
    angles: Float[Tensor, "neurons parameters"],
    qubits: int,
    *,
    real_frame: bool,
) -> Tensor:
    """The product of placed gates, `(neurons, 2**qubits, 2**qubits)`, differentiable."""
    dtype = angles.dtype if real_frame else angles.dtype.to_complex()
    product = torch.eye(2**qubits, dtype=dtype, device=angles.device).expand(len(angles), -1, -1)
    for gate in placed:
        small = placed_matrix(gate, angles, real_frame=real_frame)
        product = gates.apply(small, gate.qubits, product, qubits)
    return product


def unitary_derivatives(
    placed: Sequence[Gate],
    angles: Float[Tensor, "neurons parameters"],
    qubits: int,
    *,
    real_frame: bool,
) -> Tensor:
    """The derivative of `unitary` by each angle, `(parameters, neurons, 2**qubits, 2**qubits)`."""
    identity = unitary([], angles, qubits, real_frame=real_frame)
    slopes = identity.new_zeros(angles.shape[1], *identity.shape)
    for place, turning in enumerate(placed):
        if turning.parameter is None:
            continue
        before = unitary(placed[:place], angles, qubits, real_frame=real_frame)
        after = unitary(placed[place + 1 :], angles, qubits, real_frame=real_frame)
        slope = gates.derivative(
            turning.name, angles[:, turning.parameter], real_frame=real_frame, like=angles
        )
        slopes[turning.parameter] += after @ gates.apply(slope, turning.qubits, before, qubits)
    return slopes


def pattern(placed: Sequence[Gate], qubits: int) -> np.ndarray:
    """Which elements of the product of placed gates can differ from zero, `(2**n, 2**n)`."""
    product = torch.eye(2**qubits, dtype=torch.float64)
    for gate in placed:
        small = torch.as_tensor(gates.GATES[gate.name].pattern, dtype=torch.float64)
        product = (gates.apply(small, gate.qubits, product, qubits) > 0).double()
    return product.numpy() > 0


def check_qubits(channels: int, memory_qubits: int) -> None:
    """Refuse numbers of qubits outside N = 1..4 and M = 0..6."""
    check_positive_int("channels", channels, high=MAX_CHANNELS)
    check_positive_int("memory_qubits", memory_qubits, low=0, high=MAX_MEMORY_QUBITS)


def _complete_encoding(
    encoding: Sequence[Encoded] | None, channels: int, memory_qubits: int
) -> tuple[Encoded, ...]:
    """The encoding in order of the qubits, channels that no current rotates at a fixed gain 0."""
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


def _read_placement(placement: tuple[Any, ...], initial: list[Normal]) -> Gate:
    """The gate that a user placed; a parameter of its own is added to the initial values."""
    if len(placement) not in (2, 3):
        raise ValueError(f"a gate is (name, qubits) or (name, qubits, angle), but is {placement!r}")
    name, qubits, angle = (*placement, None)[:3]
    if not isinstance(qubits, Sequence):
        raise ValueError(f"gate {name} was placed on qubits {qubits!r}; write ({qubits},)")
    if isinstance(angle, Normal):
        initial.append(angle)
        return Gate(name, tuple(qubits), len(initial) - 1)
    if isinstance(angle, Integral):
        if not 0 <= angle < len(initial) or isinstance(angle, bool):
            raise ValueError(
                f"gate {name} on qubits {tuple(qubits)} has the angle {angle!r}: an integer shares "
                f"a parameter of the gates before, which have {len(initial)}; write "
                f"{float(angle)} for a fixed angle in radians"
            )
        return Gate(name, tuple(qubits), int(angle))
    return Gate(name, tuple(qubits), None, float(angle) if isinstance(angle, Real) else angle)


def _check_gate(gate: Gate, available: int) -> None:
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
