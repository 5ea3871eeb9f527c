"""Generated time series: what the field measures memory in time with.

Every function is pure: the same arguments give the same numbers. A target at step t depends on the
inputs up to t alone, so that a model that reads the series step by step can give it.
"""

import math

import numpy as np
from jaxtyping import Float64, Int64, UInt8

# What keeps the random numbers of two series apart; never renumber.
_NARMA, _MACKEY_GLASS, _MEMORY, _PARITY, _SINES = range(5)

MACKEY_GLASS_RANGE = 0.2, 1.4  # scaled to 0 and 1
PERIODS = 10, 15, 22  # of the three classes of `sines`, in steps

_SUBSTEPS = 10  # integration steps per time unit
_WASHOUT = 500  # time units until Mackey-Glass forgets its start


def narma(
    order: int, steps: int, seed: int
) -> tuple[Float64[np.ndarray, " T"], Float64[np.ndarray, " T"]]:
    """Generate a nonlinear moving average (NARMA) and its random inputs.

        y(t+1) = 0.3 y(t) + 0.05 y(t) sum_{i<n} y(t-i) + 1.5 u(t-n+1) u(t) + 0.1

    with n the order, u uniform in [0, 0.5], and y = u = 0 before the first step. A series can
    diverge, which is rare: one that leaves [0, 1] is drawn again, from the next of a sequence of
    random streams that belong to the seed.

    Args:
        order: n, how many steps the series looks back; 5 or 10.
        steps: Steps T.
        seed: An integer of at least 0.

    Returns:
        The inputs u(t), and the targets y(t+1).

    Raises:
        ValueError: If the order is neither 5 nor 10.

    Source: Atiya and Parlos, IEEE Transactions on Neural Networks 11 (2000), for n = 10.
    """
    if order not in (5, 10):
        raise ValueError(f"order is {order}; it may be 5 or 10")
    attempt = 0
    while True:
        inputs = 0.5 * _generator(_NARMA, order, seed, attempt).random(steps)
        targets = _narma_targets(inputs, order)
        if targets.max(initial=0.0) <= 1:
            return inputs, targets
        attempt += 1


def _narma_targets(inputs: Float64[np.ndarray, " T"], order: int) -> Float64[np.ndarray, " T"]:
    # Zeros before the first step; y[t + order - 1] is y(t).
    u = np.concatenate([np.zeros(order - 1), inputs])
    y = np.zeros(len(inputs) + order)
    for t in range(order - 1, len(y) - 1):
        past = y[t - order + 1 : t + 1].sum()
        y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * past + 1.5 * u[t - order + 1] * u[t] + 0.1
        if y[t + 1] > 1:  # what follows may overflow
            break
    return y[order:]


def mackey_glass(
    steps: int, seed: int, tau: int = 17, horizon: int = 1
) -> tuple[Float64[np.ndarray, " T"], Float64[np.ndarray, " T"]]:
    """Generate the chaotic series of Mackey and Glass, and its value some steps later.

        dx/dt = 0.2 x(t-tau) / (1 + x(t-tau)^10) - 0.1 x(t)

    by fourth-order Runge-Kutta steps of 0.1, the delayed value half-way by linear interpolation;
    one value per time unit. x is constant before the start, at a random value in [0.5, 1.3], and
    the first 500 time units are left out. Values are scaled by (x - 0.2) / 1.2, which for tau = 17
    is in [0, 1].

    Args:
        steps: Steps T.
        seed: An integer of at least 0.
        tau: The delay in time units; chaotic from 17 on.
        horizon: How many steps ahead the target lies.

    Returns:
        The values, and the values `horizon` steps later.

    Source: Mackey and Glass, Science 197 (1977).
    """
    delay, size = tau * _SUBSTEPS, (_WASHOUT + steps + horizon) * _SUBSTEPS
    start = 0.5 + 0.8 * float(_generator(_MACKEY_GLASS, seed).random())
    # Python's floats are faster than arrays, one number at a time. x[i] is `delay` steps ago.
    x, step = [start] * (delay + 1), 1 / _SUBSTEPS
    for i in range(size):
        half = (x[i] + x[i + 1]) / 2
        # What the delayed values add at the start, half-way and at the end of the step.
        first, middle, last = (0.2 * d / (1 + d**10) for d in (x[i], half, x[i + 1]))
        k1 = first - 0.1 * x[-1]
        k2 = middle - 0.1 * (x[-1] + step / 2 * k1)
        k3 = middle - 0.1 * (x[-1] + step / 2 * k2)
        k4 = last - 0.1 * (x[-1] + step * k3)
        x.append(x[-1] + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    low, high = MACKEY_GLASS_RANGE
    values = (np.array(x[delay + _WASHOUT * _SUBSTEPS :: _SUBSTEPS]) - low) / (high - low)
    return values[:steps], values[horizon : horizon + steps]


def memory_inputs(
    steps: int, delays: int, seed: int
) -> tuple[Float64[np.ndarray, " T"], Float64[np.ndarray, "T K"]]:
    """Generate independent inputs, and as targets the inputs 1 to K steps ago.

    The memory capacity of a model is the sum over k of the squared correlation between the target
    k and the model's linear readout.

    Args:
        steps: Steps T.
        delays: K.
        seed: An integer of at least 0.

    Returns:
        The inputs, uniform in [0, 1), and the targets.

    Source: Jaeger, Short term memory in echo state networks, GMD report 152 (2001).
    """
    drawn = _generator(_MEMORY, seed).random(delays + steps)
    ago = [drawn[delays - k : delays - k + steps] for k in range(1, delays + 1)]
    return drawn[delays:], np.stack(ago, axis=-1)


def parity(
    samples: int, steps: int, seed: int
) -> tuple[UInt8[np.ndarray, "n T 1"], Int64[np.ndarray, " n"]]:
    """Generate random bit trains; the label is 1 where the number of ones is odd.

    Every proper part of a train says nothing about its label.

    Args:
        samples: Trains n.
        steps: Steps T.
        seed: An integer of at least 0.
    """
    trains = _generator(_PARITY, seed).random((samples, steps, 1)) < 0.5
    return trains.astype(np.uint8), trains.sum(axis=(1, 2)) % 2


def sines(
    samples: int, steps: int, seed: int
) -> tuple[Float64[np.ndarray, "n T 1"], Int64[np.ndarray, " n"]]:
    """Generate noisy sine waves; the label is the number of their period, 10, 15 or 22 steps.

        x(t) = 1/2 + 0.35 sin(2 pi t / period + phase) + 0.15 noise,    noise uniform in [-1, 1]

    Phases are random, so that the classes have the same mean at every step: a linear model of all
    values stays near chance, a third (44 % for a ridge regression on 1,080 series).

    Args:
        samples: Series n; each class has a third, up to one series.
        steps: Steps T.
        seed: An integer of at least 0.

    Returns:
        Values in [0, 1], and the labels, in random order.
    """
    generator = _generator(_SINES, seed)
    # Sorting uniform numbers, because NumPy may change what `permutation` draws.
    labels = np.argsort(generator.random(samples), kind="stable") % len(PERIODS)
    phases = generator.random((samples, 1))
    noise = 2 * generator.random((samples, steps)) - 1
    turns = np.arange(steps) / np.array(PERIODS)[labels, None] + phases
    return (0.5 + 0.35 * np.sin(2 * math.pi * turns) + 0.15 * noise)[..., None], labels


def _generator(*stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(stream)))
