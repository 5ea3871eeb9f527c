"""What a circuit is: a list of gate placements, from which all else about a neuron follows.

A circuit says which qubits the currents rotate (its *encoding*) and which parametrised gates
V(theta) follow. Qubits 0..N-1 are the channels, N..N+M-1 the memory; qubit 0 is the most
significant. The named circuits stand in `circuits.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.quantum import gates
from sqsnn.quantum.placements import (
    START,
    Encoded,
    Gate,
    Normal,
    check_gate,
    complete_encoding,
    read_placement,
)

MAX_CHANNELS, MAX_MEMORY_QUBITS, MAX_QUBITS = 8, 6, 10


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
            channels: N, 1..8; N + M may be up to 10.
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
            placed.append(read_placement(placement, initial))
        rotated = complete_encoding(encoding, channels, memory_qubits)
        return cls(channels, memory_qubits, rotated, tuple(placed), tuple(initial))

    @classmethod
    def from_qiskit(
        cls,
        quantum_circuit: Any,
        *,
        channels: int = 1,
        memory_qubits: int | None = None,
        encoding: Sequence[Encoded] | None = None,
        initial: Normal | Mapping[str, Normal] = START,
        name: str = "custom",
    ) -> "Circuit":
        """Read V(theta) from a Qiskit circuit; qubit q there is qubit q here, channels first.

        Args:
            quantum_circuit: A `qiskit.QuantumCircuit` of the gates that circuits have (rx, ry, rz,
                crx, cry, crz, rxx, ryy, rzz, cx, cz, h), without measurement and reset, which the
                neuron adds. Its parameters become parameters in the order in which the gates use
                them; a number is a fixed angle. Barriers and the global phase are left out.
            channels: N, 1..8; N + M may be up to 10.
            memory_qubits: M, 0..6; by default all other qubits.
            encoding: Which qubits the currents rotate, as in `Circuit.build`.
            initial: Initial values of all parameters, or of some by their Qiskit names.
            name: What to call the circuit.

        Raises:
            ValueError: If the circuit has other instructions, an angle is an expression, or
                numbers of qubits or names do not fit.
        """
        from sqsnn.quantum import from_qiskit

        return from_qiskit.read(quantum_circuit, channels, memory_qubits, encoding, initial, name)

    def __post_init__(self) -> None:
        """Refuse gates that are none."""
        for gate in self.gates:
            if not isinstance(gate, Gate):
                raise TypeError(f"gates holds {gate!r}, which is no Gate: use Circuit.build")
            check_gate(gate, self.qubits)

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

    @cached_property
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

    def cut(self) -> "Circuit":
        """Leave out the gates that couple channels, as if every channel were a neuron of its own.

        Channel n keeps the gates on itself and on the memory qubits m, counted from 0, with m mod
        N = n. Parameters of no gate that stays are left out, too. For one channel, nothing changes.

        Example:
            >>> gates = [("CRX", (0, 2), Normal(1.0)), ("CRX", (1, 2), Normal(1.0))]
            >>> Circuit.build(2, 1, gates).cut().gate_counts()
            {'CRX': 1, 'RX': 2}
        """
        kept = [gate for gate in self.gates if len(set(map(self._block, gate.qubits))) == 1]
        used = sorted({gate.parameter for gate in kept if gate.parameter is not None})
        number = {old: new for new, old in enumerate(used)}
        renumbered = tuple(
            gate if gate.parameter is None else gate._replace(parameter=number[gate.parameter])
            for gate in kept
        )
        return replace(self, gates=renumbered, initial=tuple(self.initial[old] for old in used))

    def _block(self, qubit: int) -> int:
        """Give the channel that a qubit belongs to once the circuit is cut."""
        return qubit if qubit < self.channels else (qubit - self.channels) % self.channels

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
        angle = angles.new_full((), gate.angle)
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
    product = torch.eye(2**qubits, dtype=torch.float64, device="cpu")
    for gate in placed:
        small = torch.as_tensor(gates.GATES[gate.name].pattern, dtype=torch.float64, device="cpu")
        product = (gates.apply(small, gate.qubits, product, qubits) > 0).double()
    return product.numpy() > 0


def check_qubits(channels: int, memory_qubits: int) -> None:
    """Refuse numbers of qubits outside N = 1..8, M = 0..6 and N + M = 1..10."""
    check_positive_int("channels", channels, high=MAX_CHANNELS)
    check_positive_int("memory_qubits", memory_qubits, low=0, high=MAX_MEMORY_QUBITS)
    if channels + memory_qubits > MAX_QUBITS:
        raise ValueError(
            f"channels + memory_qubits is {channels} + {memory_qubits}; together they may be up to "
            f"{MAX_QUBITS}"
        )
