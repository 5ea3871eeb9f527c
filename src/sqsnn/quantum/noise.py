"""Noise: imperfect gates, an idle memory, wrong readout; the model and its channels.

A channel acts after every placed gate, then on the memory while the channel qubits are measured and
reset. The true outcome s collapses the memory; the recorded r, with probability q(r|s), is emitted,
fed onward and scored. The reset is unconditional:

    rho'_r = sum_s q(r|s) K_s rho K_s^+ / P(r)              (the sum also runs over the gate noise)

`density.py` computes this law by density matrices, `sampled_noise.py` samples it.
"""

import itertools
import math
from dataclasses import KW_ONLY, asdict
from functools import reduce
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from sqsnn.options import options

_PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])

# Strict: True is no rate.
Rate = Annotated[float, Field(ge=0, le=1, strict=True)]


@options
class Noise:
    """The rates of a noise model, each a probability in [0, 1]; all are 0 unless given.

    After every gate: first depolarising on its qubits together, rho -> (1 - p) rho + p 1/d; then on
    each of them amplitude damping (|1> decays to |0> with probability gamma) and phase damping
    (coherence shrinks by sqrt(1 - lambda)). A rotation of the encoding counts as a gate where its
    current is positive, whatever its gain; a fixed gain of 0 is no gate. The same three act in this
    order on every memory qubit once per step while it idles.

    Raises:
        ValueError: If a rate is not a number in [0, 1].

    Example:
        >>> Noise(depolarising_2q=0.01, missed_spike=0.02).scaled(2).depolarising_2q
        0.02
    """

    _: KW_ONLY
    depolarising_1q: Rate = 0.0
    """Depolarising after gates on one qubit: rho -> (1 - p) rho + p 1/d."""
    depolarising_2q: Rate = 0.0
    """Depolarising after gates on two qubits."""
    amplitude_damping_1q: Rate = 0.0
    """Decay after gates on one qubit."""
    amplitude_damping_2q: Rate = 0.0
    """Decay of each qubit after gates on two."""
    phase_damping_1q: Rate = 0.0
    """Dephasing after gates on one qubit: coherence shrinks by sqrt(1 - rate)."""
    phase_damping_2q: Rate = 0.0
    """Dephasing of each qubit after gates on two."""
    idle_depolarising: Rate = 0.0
    """Depolarising of each memory qubit, once per step, while channels are measured and reset."""
    idle_amplitude_damping: Rate = 0.0
    """Decay of each memory qubit meanwhile."""
    idle_phase_damping: Rate = 0.0
    """Dephasing of each memory qubit meanwhile."""
    false_spike: Rate = 0.0
    """Probability that a measured 0 is recorded as a spike."""
    missed_spike: Rate = 0.0
    """Probability that a measured 1 is not recorded."""

    def scaled(self, strength: float | int) -> "Noise":
        """Multiply every rate by a strength >= 0, up to 1."""
        return Noise(**{name: min(strength * rate, 1.0) for name, rate in asdict(self).items()})

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
        false, missed = self.false_spike, self.missed_spike
        return np.array([[1 - false, missed], [false, 1 - missed]])


class Site(NamedTuple):
    """A place where noise acts; no row of an operator has two elements: sampling stays cheap."""

    qubits: tuple[int, ...]
    kraus: np.ndarray  # Kraus operators on these qubits, (count, d, d)


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


def damping_rates(time: float, t1: float, t2: float) -> tuple[float, float]:
    """The rates gamma and lambda of amplitude and phase damping after a time of relaxation.

    A T2 above 2 T1, which no qubit can have, counts as 2 T1; either may be infinite.
    """
    if not (time >= 0 and t1 > 0 and t2 > 0):
        raise ValueError(
            f"time, t1 and t2 are {time}, {t1} and {t2}; the first must be at least 0, the others "
            "positive"
        )
    t2 = min(t2, 2 * t1)
    # Rounding makes the second -1e-17 at T2 = 2 T1.
    return -math.expm1(-time / t1), max(0.0, -math.expm1(time / t1 - 2 * time / t2))


def relaxation(qubit: int, time: float, t1: float, t2: float) -> tuple[Site, ...]:
    """The channels of a waiting qubit: it decays with T1, its coherence as exp(-time / T2)."""
    return _sites((qubit,), 0.0, *damping_rates(time, t1, t2))


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
