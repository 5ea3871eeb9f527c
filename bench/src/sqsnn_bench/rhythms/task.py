"""The task: name the period with which the rate of random input spikes goes up and down.

All lines fire independently of each other at the rate

    r_t = RATE (1 + cos(2 pi t / period + phase)),     the phase drawn anew for every sample

so that neither the number of spikes nor any single step tells the period: only the distances
between spikes do.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from sqsnn.training.build import Purpose

PERIODS = (4, 6, 8, 10, 12, 14)  # steps, one class each
LINES, STEPS = 12, 80
RATE = 0.1  # mean spikes per line and step; at the crest twice as many
PHASES = 64  # of the ideal observer's grid

Spikes = Float[Tensor, "T B P N"]


def rates(
    periods: Float64[np.ndarray, " n"], phases: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "T n"]:
    """Compute the rate of every step, `(T, n)`, in spikes per line.

    Example:
        >>> rates(np.array([4.0]), np.array([0.0]))[:5, 0].round(3).tolist()
        [0.2, 0.1, 0.0, 0.1, 0.2]
    """
    steps = np.arange(STEPS)[:, None]
    return RATE * (1 + np.cos(2 * np.pi * steps / periods + phases))


def draw(samples: int, generator: np.random.Generator) -> tuple[Spikes, Int64[Tensor, "B"]]:
    """Draw samples of random classes and phases.

    Args:
        samples: Samples B.
        generator: Draws all random numbers.

    Returns:
        The spikes, `(T, B, lines, 1)`, and the classes, places in `PERIODS`.
    """
    labels = generator.integers(0, len(PERIODS), samples)
    phases = generator.uniform(0, 2 * np.pi, samples)
    rate = rates(np.array(PERIODS, np.float64)[labels], phases)
    fired = generator.random((STEPS, samples, LINES)) < rate[..., None]
    return torch.from_numpy(fired.astype(np.float32))[..., None], torch.from_numpy(labels)


def fresh(samples: int, seed: int, part: Purpose) -> tuple[Spikes, Int64[Tensor, "B"]]:
    """Draw the samples of a seed for one purpose, which no other seed or purpose shares."""
    return draw(samples, stream(seed, part))


def stream(seed: int, part: Purpose) -> np.random.Generator:
    """Make the generator of a seed for one purpose."""
    return np.random.default_rng([seed, int(part)])


def ideal_observer(spikes: Spikes) -> Float64[np.ndarray, "B classes"]:
    """Compute log p(spikes | period), the phase averaged out: no classifier does better."""
    fired = spikes.sum(dim=(2, 3)).double().numpy()  # (T, B): lines are exchangeable
    phases = np.arange(PHASES) * 2 * np.pi / PHASES
    found = []
    for period in PERIODS:
        rate = rates(np.full(PHASES, float(period)), phases).clip(1e-12)
        log_fired, log_silent = np.log(rate), np.log1p(-rate)
        given_phase = fired.T @ log_fired + (LINES - fired.T) @ log_silent  # (B, phases)
        found.append(np.logaddexp.reduce(given_phase, axis=1) - np.log(PHASES))
    return np.stack(found, axis=1)
