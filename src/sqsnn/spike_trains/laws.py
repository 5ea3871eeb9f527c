"""Exact laws of the spike trains that a neuron without stimulus makes by itself.

With the instrument E_s(rho) = K_s rho K_s^+, the stationary memory rho* = sum_s E_s(rho*), and A
the outcomes in which a unit fires,

    rho_A = E_A(rho*) / tr                                the memory after a spike
    P(k)  = tr E_A(E_notA^(k-1)(rho_A))                   the next spike follows after k bins
    c(k)  = tr E_A(E^(k-1)(rho_A))                        some spike follows after k bins
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex128, Float64

from sqsnn.checks import check_positive_int

_SQUARINGS = 60
_SETTLED = 1e-13


class Unit(NamedTuple):
    """What decides on the spikes of one unit, once it has fired."""

    fires: Complex128[np.ndarray, "outcomes d d"]
    silent: Complex128[np.ndarray, "outcomes d d"]
    after: Complex128[np.ndarray, "d d"]  # the memory after a spike


def after_a_spike(kraus: Complex128[np.ndarray, "outcomes d d"], channels: int, unit: int) -> Unit:
    """Sort the Kraus operators of a neuron, and find its memory after a spike of a unit.

    Args:
        kraus: K_s of every outcome s.
        channels: N.
        unit: The channel.

    Raises:
        ValueError: If the unit never fires.
    """
    bits = np.arange(len(kraus)) >> (channels - 1 - unit) & 1
    fires, silent = kraus[bits == 1], kraus[bits == 0]
    after = _apply(fires, stationary(kraus))
    rate = after.trace().real
    if rate < np.finfo(float).tiny:
        raise ValueError(f"unit {unit} never fires in this model: it has no intervals")
    return Unit(fires, silent, after / rate)


def stationary(kraus: Complex128[np.ndarray, "outcomes d d"]) -> Complex128[np.ndarray, "d d"]:
    """The mean memory over long times, from |0>.

    The lazy channel (1 + E) / 2 has the same mean and no cycles; its powers converge to it.
    """
    d = kraus.shape[-1]
    # On rho as a vector, row by row: K rho K^+ is (K (x) K*) rho.
    step = np.einsum("sab,scd->acbd", kraus, kraus.conj()).reshape(d * d, d * d)
    lazy = (np.eye(d * d) + step) / 2
    mean = lazy[:, 0]
    for _ in range(_SQUARINGS):
        lazy = lazy @ lazy
        before, mean = mean, lazy[:, 0]
        lazy, mean = (it / mean.reshape(d, d).trace().real for it in (lazy, mean))
        if np.abs(mean - before).max() < _SETTLED:
            break
    return mean.reshape(d, d)


def interval_law(unit: Unit, longest: int) -> Float64[np.ndarray, " longest"]:
    """P(k) of intervals of k = 1..longest bins between two spikes of a unit."""
    return _following(unit.fires, unit.silent, unit.after, longest)


def rate_after_spike(unit: Unit, longest: int) -> Float64[np.ndarray, " longest"]:
    """The probability of a spike k = 1..longest bins after one: the autocorrelation of a unit."""
    every = np.concatenate([unit.fires, unit.silent])
    return _following(unit.fires, every, unit.after, longest)


def _following(
    fires: Complex128[np.ndarray, "_ d d"],
    between: Complex128[np.ndarray, "_ d d"],
    memory: Complex128[np.ndarray, "d d"],
    longest: int,
) -> Float64[np.ndarray, " longest"]:
    check_positive_int("longest", longest)
    effect = np.einsum("sba,sbc->ac", fires.conj(), fires)  # sum_s K_s^+ K_s
    law = np.empty(longest)
    for k in range(longest):
        law[k] = np.einsum("ab,ba->", effect, memory).real
        memory = _apply(between, memory)
    return law


def _apply(
    kraus: Complex128[np.ndarray, "_ d d"], memory: Complex128[np.ndarray, "d d"]
) -> Complex128[np.ndarray, "d d"]:
    return np.einsum("sab,bc,sdc->ad", kraus, memory, kraus.conj(), optimize=True)
