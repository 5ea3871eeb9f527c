"""The neuron once more, slow and obviously right: density matrices of the whole register.

Gate list in, numbers out. Every gate is a full 2^(N+M) matrix made of Kronecker products or a
matrix exponential, in the laboratory frame, in double precision, and every state is a density
matrix. Nothing here is shared with `sqsnn`, and nothing here imports torch.

Conventions: channel qubits first (most significant bit), then memory qubits; outcome
s = sum_n s_n 2^(N-1-n); a sequence's index has step 1 in its most significant bits.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

Matrix = NDArray[np.complex128]

PAULI: dict[str, Matrix] = {
    "I": np.diag([1, 1]).astype(complex),
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]], complex),
    "Z": np.diag([1, -1]).astype(complex),
}
PROJECTOR: tuple[Matrix, Matrix] = (
    np.diag([1, 0]).astype(complex),
    np.diag([0, 1]).astype(complex),
)


class Gate(NamedTuple):
    """One placed gate: RX RY RZ RXX RZZ CRX CRY CRZ CX CZ H; controlled ones (control, target)."""

    name: str
    qubits: tuple[int, ...]
    angle: float = 0.0


class Drive(NamedTuple):
    """One encoding gate: RX(gain * pi * max(z[channel], 0)) on a channel or a memory qubit."""

    qubit: int
    channel: int
    gain: float = 1.0


class Placement(NamedTuple):
    """A gate of a named circuit: which parameter is its angle (None for CZ)."""

    name: str
    qubits: tuple[int, ...]
    parameter: int | None


@dataclass(frozen=True)
class Noise:
    """Noise, each piece a function of a density matrix, or absent.

    after_gate(rho, qubits, total) follows every placed gate, encoding gates included (where
    z <= 0 no encoding gate is placed). idle(rho) acts on the memory alone, once a step.
    readout[r, s] is the probability of recording r when the outcome is s. Give it to a neuron
    with dataclasses.replace(neuron, noise=...).
    """

    after_gate: Callable[[Matrix, tuple[int, ...], int], Matrix] | None = None
    idle: Callable[[Matrix], Matrix] | None = None
    readout: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Neuron:
    """A neuron as two gate lists; gates act in order, encoding first."""

    channels: int
    memory_qubits: int
    encoding: tuple[Drive, ...]
    gates: tuple[Gate, ...]
    noise: Noise = Noise()

    @property
    def qubits(self) -> int:
        """Qubits of the whole register."""
        return self.channels + self.memory_qubits


# Gates


def on(factors: dict[int, Matrix], total: int) -> Matrix:
    """The Kronecker product of 2x2 factors, the identity on every qubit not named."""
    qubits = [factors.get(qubit, PAULI["I"]) for qubit in range(total)]
    return reduce(np.kron, qubits, np.eye(1, dtype=complex))


@lru_cache(maxsize=512)
def gate_matrix(gate: Gate, total: int) -> Matrix:
    """The 2^total x 2^total matrix of one placed gate."""
    name, qubits, angle = gate
    if name.startswith("R"):  # exp(-i a P/2) for one qubit or exp(-i a PP/2) for two
        paulis = {qubit: PAULI[axis] for qubit, axis in zip(qubits, name[1:], strict=True)}
        return expm(-0.5j * angle * on(paulis, total))
    if name.startswith("C"):
        control, target = qubits
        if name.startswith("CR"):
            applied = expm(-0.5j * angle * on({target: PAULI[name[2]]}, total))
        else:
            applied = on({target: PAULI[name[1]]}, total)
        return on({control: PROJECTOR[0]}, total) + on({control: PROJECTOR[1]}, total) @ applied
    if name == "H":
        return on({qubits[0]: (PAULI["X"] + PAULI["Z"]) / np.sqrt(2)}, total)
    raise KeyError(name)


def unitary(gates: Sequence[Gate], total: int) -> Matrix:
    """The product of the gates, the first one rightmost."""
    start = np.eye(2**total, dtype=complex)
    return reduce(lambda product, gate: gate_matrix(gate, total) @ product, gates, start)


# The six circuits; in "every pair" the memory is the outer loop, the channel the inner one


def placements(
    name: str, channels: int, memory_qubits: int, layers: int | None = None
) -> list[Placement]:
    """The gates of a named circuit in order, one parameter for every rotation.

    Without `layers`: as many as the circuit has by default.
    """
    parameter = itertools.count()

    def rotation(gate: str, *qubits: int) -> Placement:
        return Placement(gate, qubits, next(parameter))

    channel = list(range(channels))
    memory = list(range(channels, channels + memory_qubits))
    both = channel + memory
    match name:
        case "crx":
            return [
                *[rotation("CRX", m, n) for m in memory for n in channel],
                *[rotation("RX", m) for m in memory],
                *[rotation("RX", n) for n in channel],
            ]
        case "bidirectional":
            return [
                *[rotation("CRX", n, m) for m in memory for n in channel],
                *[rotation("CRX", a, b) for a, b in itertools.pairwise(memory)],
                *[rotation("RX", m) for m in memory],
                *[rotation("CRX", m, n) for m in memory for n in channel],
                *[rotation("RX", n) for n in channel],
            ]
        case "integrate_and_fire":
            return [
                *[rotation("CRX", m, n) for m in memory for n in channel],
                *[rotation("CRX", n, m) for m in memory for n in channel],
                *[rotation("RX", m) for m in memory],
                *[rotation("RX", n) for n in channel],
            ]
        case "hardware_efficient":
            gates: list[Placement] = []
            for _ in range(layers or 1):
                gates += [rotation("RX", q) for q in both]
                gates += [rotation("RZ", q) for q in both]
                gates += [Placement("CZ", pair, None) for pair in itertools.pairwise(both)]
                if len(both) > 2:
                    gates.append(Placement("CZ", (both[-1], both[0]), None))
            return gates + [rotation("RX", n) for n in channel]
        case "clock":
            gates = []
            for _ in range(layers or (1 if memory_qubits == 1 else 3)):
                gates += [rotation("CRX", m, n) for m in memory for n in channel]
                gates += [rotation("CRX", n, m) for m in memory for n in channel]
                gates += [rotation("CRX", a, b) for a, b in itertools.pairwise(memory)]
                gates += [rotation("CRX", b, a) for a, b in itertools.pairwise(memory)]
                gates += [rotation("RX", q) for q in memory + channel]
            return gates
        case "universal":
            turn = ("RZ", "RX", "RZ")
            gates = [rotation(axis, q) for q in both for axis in turn]
            for _ in range(layers or (1 if len(both) <= 2 else len(both))):
                for a, b in itertools.pairwise(both):
                    gates += [rotation(pair, a, b) for pair in ("RXX", "RYY", "RZZ")]
                    gates += [rotation(axis, q) for q in (a, b) for axis in turn]
            return gates
    raise KeyError(name)


def named(
    name: str,
    channels: int,
    memory_qubits: int,
    angles: Sequence[float],
    gains: Sequence[float] = (),
    layers: int | None = None,
) -> Neuron:
    """A neuron of one of the six circuits.

    `angles` has one entry per rotation, in gate order; `gains`, (N+M,) in qubit order, are those of
    the trainable encoding of integrate_and_fire and clock; `layers` are those of the circuits that
    repeat their gates.
    """
    drives = [Drive(n, n) for n in range(channels)]
    if name in ("integrate_and_fire", "clock"):
        memory = range(memory_qubits)
        drives = [Drive(channels + m, m % channels, gains[channels + m]) for m in memory]
        drives += [Drive(n, n, gains[n]) for n in range(channels)]
    gates = [
        Gate(gate, qubits, 0.0 if parameter is None else float(angles[parameter]))
        for gate, qubits, parameter in placements(name, channels, memory_qubits, layers)
    ]
    return Neuron(channels, memory_qubits, tuple(drives), tuple(gates))


# One step and many


def encoding_gates(neuron: Neuron, current: Sequence[float]) -> list[Gate]:
    """The encoding gates that currents z (channels,) place: none where z <= 0."""
    return [
        Gate("RX", (drive.qubit,), drive.gain * np.pi * float(current[drive.channel]))
        for drive in neuron.encoding
        if current[drive.channel] > 0
    ]


def kraus_operators(neuron: Neuron, current: Sequence[float]) -> Matrix:
    """K_s on the memory, (2^N, 2^M, 2^M): the circuit between |0> and <s| on the channels."""
    gates = [*encoding_gates(neuron, current), *neuron.gates]
    d, D = 2**neuron.channels, 2**neuron.memory_qubits
    return unitary(gates, neuron.qubits).reshape(d, D, d, D)[:, :, 0, :]


def step(neuron: Neuron, memory: Matrix, current: Sequence[float]) -> Matrix:
    """Every recorded outcome's unnormalised memory, (2^N, 2^M, 2^M); its trace is P(outcome)."""
    total, noise = neuron.qubits, neuron.noise
    d, D = 2**neuron.channels, 2**neuron.memory_qubits
    ground = np.zeros((d, d), complex)
    ground[0, 0] = 1
    rho = np.kron(ground, memory)
    for gate in [*encoding_gates(neuron, current), *neuron.gates]:
        U = gate_matrix(gate, total)
        rho = U @ rho @ U.conj().T
        if noise.after_gate is not None:
            rho = noise.after_gate(rho, gate.qubits, total)
    outcomes = []
    for s in range(d):  # measure the channels, then forget them: what is left is the memory
        row = np.kron(np.eye(d)[s : s + 1], np.eye(D))  # <s| on the channels, (2^M, 2^(N+M))
        left = row @ rho @ row.conj().T
        outcomes.append(left if noise.idle is None else noise.idle(left))
    if noise.readout is None:
        return np.array(outcomes)
    return np.einsum("rs,sij->rij", noise.readout, np.array(outcomes))


def start(neuron: Neuron) -> Matrix:
    """The memory before the first step, |0..0><0..0|."""
    memory = np.zeros((2**neuron.memory_qubits,) * 2, complex)
    memory[0, 0] = 1
    return memory


def outcome_index(spikes: Sequence[float]) -> int:
    """s = sum_n s_n 2^(N-1-n) of the spikes (channels,) of one step."""
    return int("".join(str(int(bit)) for bit in spikes), 2)


def outcome_bits(outcome: int, channels: int) -> list[int]:
    """The spikes (channels,) of outcome s."""
    return [int(bit) for bit in format(outcome, f"0{channels}b")]


def marginals(law: NDArray[np.float64], channels: int) -> NDArray[np.float64]:
    """P(channel n spikes), (channels,), from the law (2^N,) of the outcomes."""
    return np.array([outcome_bits(s, channels) for s in range(2**channels)]).T @ law


def draw(law: NDArray[np.float64], uniform: float) -> int:
    """The outcome that a uniform number selects, outcomes laid out from 2^N - 1 downward."""
    edge = 0.0
    for s in reversed(range(len(law))):
        edge += law[s]
        if uniform < edge:
            return s
    return 0


def follow(
    neuron: Neuron, currents: Sequence[Sequence[float]], spikes: Sequence[Sequence[float]]
) -> Iterator[tuple[NDArray[np.float64], Matrix]]:
    """Step by step: the law p(. | past) (2^N,), and the memory after the given spikes.

    `currents` and `spikes` are (T, channels); the spikes, to condition on, must be possible.
    """
    memory = start(neuron)
    for current, spike in zip(currents, spikes, strict=True):
        outcomes = step(neuron, memory, current)
        law = np.einsum("sii->s", outcomes).real
        s = outcome_index(spike)
        memory = outcomes[s] / law[s]
        yield law, memory


def step_probabilities(
    neuron: Neuron, currents: Sequence[Sequence[float]], spikes: Sequence[Sequence[float]]
) -> NDArray[np.float64]:
    """p(. | past) at every step of a record, (T, 2^N)."""
    return np.array([law for law, _ in follow(neuron, currents, spikes)])


def final_memory(
    neuron: Neuron, currents: Sequence[Sequence[float]], spikes: Sequence[Sequence[float]]
) -> Matrix:
    """The memory's density matrix after a record, (2^M, 2^M)."""
    return list(follow(neuron, currents, spikes))[-1][1]


def log_likelihood(
    neuron: Neuron, currents: Sequence[Sequence[float]], spikes: Sequence[Sequence[float]]
) -> NDArray[np.float64]:
    """log p(s_t | past) at every step of a record, (T,)."""
    laws = step_probabilities(neuron, currents, spikes)
    return np.log([law[outcome_index(s)] for law, s in zip(laws, spikes, strict=True)])


def joint_law(neuron: Neuron, currents: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """P(s_1..s_T) of every sequence, (2^(N T),), step 1 most significant."""
    memories = [start(neuron)]  # unnormalised: the trace is the probability so far
    for current in currents:
        memories = [after for memory in memories for after in step(neuron, memory, current)]
    return np.array([np.trace(memory).real for memory in memories])


# Noise channels


def apply_kraus(rho: Matrix, kraus: Sequence[Matrix], qubit: int, total: int) -> Matrix:
    """A one-qubit channel, given by 2x2 Kraus matrices, on one qubit of the register."""
    operators = [on({qubit: K}, total) for K in kraus]
    return sum((K @ rho @ K.conj().T for K in operators), np.zeros_like(rho))


def depolarise(rho: Matrix, qubits: tuple[int, ...], total: int, p: float) -> Matrix:
    """(1-p) rho + p 1/d on the named qubits together: the mean over all Pauli products."""
    strings = list(itertools.product("IXYZ", repeat=len(qubits)))
    mixed = np.zeros_like(rho)
    for string in strings:
        P = on({qubit: PAULI[axis] for qubit, axis in zip(qubits, string, strict=True)}, total)
        mixed += P @ rho @ P / len(strings)
    return (1 - p) * rho + p * mixed


def amplitude_damping(gamma: float) -> list[Matrix]:
    """Kraus matrices of the decay |1> -> |0> with probability gamma."""
    keep = np.array([[1, 0], [0, np.sqrt(1 - gamma)]], complex)
    return [keep, np.array([[0, np.sqrt(gamma)], [0, 0]], complex)]


def phase_damping(lam: float) -> list[Matrix]:
    """Kraus matrices that shrink the coherence by sqrt(1 - lambda) and keep the populations."""
    keep = np.array([[1, 0], [0, np.sqrt(1 - lam)]], complex)
    return [keep, np.array([[0, 0], [0, np.sqrt(lam)]], complex)]


def readout_errors(channels: int, p01: float, p10: float) -> NDArray[np.float64]:
    """q[r, s] of independent bit errors: p01 = P(record 1 | outcome 0), p10 = P(0 | outcome 1)."""
    one = np.array([[1 - p01, p10], [p01, 1 - p10]])
    return reduce(np.kron, [one] * channels)
