"""Noise: imperfect gates, an idle memory, wrong readout; the model and its channels.

A channel acts after every placed gate, then on the memory while the channel qubits are measured and
reset. The true outcome s collapses the memory; what is recorded, emitted, fed onward and scored is
r, with probability q(r|s). The reset is unconditional:

    rho'_r = sum_s q(r|s) K_s rho K_s^+ / P(r)              (the sum also runs over the gate noise)

`noisy_instrument.py` computes this law by density matrices, `noisy_trajectory.py` samples it too.
"""

import itertools
from dataclasses import dataclass, fields
from functools import reduce
from numbers import Real
from typing import NamedTuple

import numpy as np

_PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The rates of a noise model, each a probability in [0, 1]; all are 0 unless given.

    After every gate: first depolarising on its qubits together, rho -> (1 - p) rho + p 1/d; then on
    each of them amplitude damping (|1> decays to |0> with probability gamma) and phase damping
    (coherence shrinks by sqrt(1 - lambda)). A rotation of the encoding counts as a gate where its
    current is positive, whatever its gain; a fixed gain of 0 is no gate. The same three act in this
    order on every memory qubit once a step while it idles.

    Args:
        depolarising_1q: p after gates on one qubit.
        depolarising_2q: p after gates on two qubits.
        amplitude_damping_1q: gamma after gates on one qubit.
        amplitude_damping_2q: gamma after gates on two qubits.
        phase_damping_1q: lambda after gates on one qubit.
        phase_damping_2q: lambda after gates on two qubits.
        idle_depolarising: p of each memory qubit while the channels are measured and reset.
        idle_amplitude_damping: gamma of each memory qubit meanwhile.
        idle_phase_damping: lambda of each memory qubit meanwhile.
        false_spike: q(1|0), the probability that a measured 0 is recorded as a spike.
        missed_spike: q(0|1), the probability that a measured 1 is not recorded.

    Raises:
        TypeError: A rate is not a number.
        ValueError: A rate lies outside [0, 1].
    """

    depolarising_1q: float | int = 0.0
    depolarising_2q: float | int = 0.0
    amplitude_damping_1q: float | int = 0.0
    amplitude_damping_2q: float | int = 0.0
    phase_damping_1q: float | int = 0.0
    phase_damping_2q: float | int = 0.0
    idle_depolarising: float | int = 0.0
    idle_amplitude_damping: float | int = 0.0
    idle_phase_damping: float | int = 0.0
    false_spike: float | int = 0.0
    missed_spike: float | int = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            rate = getattr(self, field.name)
            if isinstance(rate, bool) or not isinstance(rate, Real):
                raise TypeError(f"{field.name} must be a number in [0, 1], but is {rate!r}")
            if not 0 <= float(rate) <= 1:
                raise ValueError(f"{field.name} must be a number in [0, 1], but is {rate}")

    def scaled(self, strength: float) -> "Noise":
        """The same noise with every rate multiplied by a strength >= 0, and at most 1."""
        rates = {field.name: getattr(self, field.name) for field in fields(self)}
        return Noise(**{name: min(strength * rate, 1.0) for name, rate in rates.items()})

    def after_gate(self, qubits: tuple[int, ...]) -> tuple["Site", ...]:
        """The channels after a gate on these one or two qubits, in order."""
        if len(qubits) == 1:
            rates = self.depolarising_1q, self.amplitude_damping_1q, self.phase_damping_1q
        else:
            rates = self.depolarising_2q, self.amplitude_damping_2q, self.phase_damping_2q
        return _sites(qubits, *rates)

    def while_idle(self, memory_qubits: int) -> tuple["Site", ...]:
        """The channels on the idle memory, in order; its qubits are counted from its first."""
        rates = self.idle_depolarising, self.idle_amplitude_damping, self.idle_phase_damping
        return tuple(site for m in range(memory_qubits) for site in _sites((m,), *rates))

    def readout(self) -> np.ndarray:
        """q[r, s] of one channel, `(2, 2)`."""
        false, missed = float(self.false_spike), float(self.missed_spike)
        return np.array([[1 - false, missed], [false, 1 - missed]])


class Site(NamedTuple):
    """A place where noise acts: the qubits, and Kraus operators `(count, d, d)` on them.

    No row of an operator has more than one element, which makes sampling cheap.
    """

    qubits: tuple[int, ...]
    kraus: np.ndarray


def depolarising(rate: float, qubits: int) -> np.ndarray:
    """Kraus operators of rho -> (1 - p) rho + p 1/d: all Pauli products, the identity first."""
    size = 4**qubits
    weights = np.full(size, rate / size)
    weights[0] += 1 - rate
    return np.sqrt(weights)[:, None, None] * pauli_products(qubits)


def amplitude_damping(rate: float) -> np.ndarray:
    """Kraus operators of the decay |1> -> |0> with probability gamma."""
    return np.array([[[1, 0], [0, np.sqrt(1 - rate)]], [[0, np.sqrt(rate)], [0, 0]]], complex)


def phase_damping(rate: float) -> np.ndarray:
    """Kraus operators that shrink a qubit's coherence by sqrt(1 - lambda): Z with some probability.

    This unravelling of the channel into 1 and Z never changes a norm.
    """
    flip = (1 - np.sqrt(1 - rate)) / 2
    return np.array([np.sqrt(1 - flip) * _PAULIS[0], np.sqrt(flip) * _PAULIS[3]])


def pauli_products(qubits: int) -> np.ndarray:
    """All products of 1, X, Y, Z, `(4**n, 2**n, 2**n)`; qubit 0 is the most significant."""
    strings = itertools.product(_PAULIS, repeat=qubits)
    return np.array([reduce(np.kron, string, np.eye(1)) for string in strings])


def _sites(
    qubits: tuple[int, ...], depolarise: float, decay: float, dephase: float
) -> tuple[Site, ...]:
    sites = [Site(qubits, depolarising(depolarise, len(qubits)))] if depolarise else []
    sites += [Site((qubit,), amplitude_damping(decay)) for qubit in qubits if decay]
    sites += [Site((qubit,), phase_damping(dephase)) for qubit in qubits if dephase]
    return tuple(sites)
