"""How near to a renewal process a memory of given size comes: exact, without any sampling.

The distance of a model to a renewal process, per step, is the Kullback-Leibler distance of their
interval laws over the mean interval. Models that keep something across a spike come no nearer than
those that begin afresh after each: the distance is a mean over the memories that spikes leave
behind, one of these memories is at least as good as the mean, and a model that returns to it after
every spike has its distance. So the best model has an interval law of one of two kinds:

- d classical states, a phase-type law: P(k) = a T^(k-1) (1 - T) 1, with a the distribution after a
  spike and T, of rows that sum to at most 1, the transitions without spike.
- D levels of an instrument with one Kraus operator per outcome:
  P(k) = |K^(k-1) r|^2 - |K^k r|^2, with r the unit vector after a spike and K, whose singular
  values are at most 1, the Kraus operator without spike. r and K are free: no such instrument does
  better; where 1 - K^+ K = |b><b| has rank one, the operator |r><b| of a spike attains it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from scipy.optimize import minimize
from torch import Tensor

from sqsnn_bench.spikes.processes import Law, Renewal

STARTS, KEPT = 48, 5  # random starts, and how many of them are followed to the end
ADAM_STEPS, ADAM_RATE = 500, 0.05
ITERATIONS = 3000

Family = Callable[[Tensor, int, int], Tensor]  # parameters (B, N), size, K -> laws (B, K)


class Limit(NamedTuple):
    """The best law that was found.

    Attributes:
        millinats: Its distance to the process per step.
        law: Its probabilities of intervals of 1..K bins; longer ones have the rest.
        agreeing: How many of the starts that were followed came within 0.01 millinats of it.
    """

    millinats: float
    law: Law
    agreeing: int


def classical(process: Renewal, states: int, generator: torch.Generator) -> Limit:
    """Find the nearest law of any hidden Markov model of `states` states."""
    # Logits of the first state, and of the next state or the spike: wide, so that chains occur.
    numbers = states + states * (states + 1)
    return _nearest(process, phase_type, states, numbers, 3.0, generator)


def quantum(process: Renewal, levels: int, generator: torch.Generator) -> Limit:
    """Find the nearest law of any instrument of `levels` levels, one operator per outcome."""
    numbers = levels * (2 * levels + 3)
    return _nearest(process, kraus, levels, numbers, 1.0, generator)


def distance(process: Renewal, law: Law) -> float:
    """Compute the distance of an interval law to a renewal process, in millinats per step.

    Args:
        process: The process.
        law: Probabilities of at least as many intervals as the process has.
    """
    laws = torch.as_tensor(law)[None, : len(process.law)]
    return float(_distances(laws, torch.as_tensor(process.law))[0])


def phase_type(parameters: Tensor, states: int, longest: int) -> Tensor:
    """Make laws of `states` classical states from logits `(B, N)`."""
    first = torch.softmax(parameters[:, :states], 1)
    rows = parameters[:, states:].reshape(-1, states, states + 1)
    moves = torch.softmax(rows, 2)  # (B, state, next state or spike)
    occupied = _orbit(first, moves[:, :, :states], longest)
    return (occupied @ moves[:, :, states:]).squeeze(2)


def kraus(parameters: Tensor, levels: int, longest: int) -> Tensor:
    """Make laws of `levels` quantum levels from real numbers `(B, N)`.

    K = W diag(cos c), W the exponential of a skew-Hermitian matrix; a further unitary on the right
    would change the basis alone.
    """
    sizes = (2 * levels**2, 2 * levels, levels)
    matrix, after, angles = parameters.split(sizes, 1)
    generator = torch.view_as_complex(matrix.reshape(-1, levels, levels, 2).contiguous())
    turn = torch.linalg.matrix_exp(generator - generator.mH)
    first = torch.nn.functional.normalize(after, dim=1).reshape(-1, levels, 2)
    cosines = torch.cos(angles)
    states = _orbit(torch.view_as_complex(first), (turn * cosines[:, None]).mT, longest)
    squares = states.real**2 + states.imag**2  # (B, K, D)
    return (squares @ (1 - cosines**2)[:, :, None]).squeeze(2)


def _orbit(first: Tensor, step: Tensor, longest: int) -> Tensor:
    """Stack the rows first step^k, k = 0..longest - 1, by doubling: `(B, K, D)`."""
    rows = first[:, None]
    while rows.shape[1] < longest:
        rows = torch.cat([rows, rows @ step], 1)
        step = step @ step
    return rows[:, :longest]


def _distances(laws: Tensor, true: Tensor) -> Tensor:
    occurs = true > 0
    ratios = true[occurs].log() - laws[:, occurs].log()
    mean = true @ torch.arange(1, len(true) + 1, dtype=true.dtype)
    return 1000 * (ratios @ true[occurs]) / mean


def _nearest(
    process: Renewal,
    family: Family,
    size: int,
    numbers: int,
    spread: float,
    generator: torch.Generator,
) -> Limit:
    """Minimise the distance from many starts: Adam on all at once, then L-BFGS on the best."""
    true = torch.as_tensor(process.law)
    start = torch.randn(STARTS, numbers, generator=generator, dtype=torch.float64)
    parameters = (spread * start).requires_grad_()
    optimizer = torch.optim.Adam([parameters], lr=ADAM_RATE)
    for _ in range(ADAM_STEPS):
        optimizer.zero_grad()
        _distances(family(parameters, size, len(true)), true).sum().backward()
        optimizer.step()

    def value_and_slope(point: Float64[np.ndarray, " N"]) -> tuple[float, np.ndarray]:
        here = torch.tensor(point)[None].requires_grad_()
        value = _distances(family(here, size, len(true)), true)
        value.backward()
        assert here.grad is not None
        return value.item(), here.grad[0].numpy()

    best = _distances(family(parameters, size, len(true)), true).argsort()[:KEPT]
    options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "maxcor": 30, "ftol": 1e-12}
    found = [
        minimize(value_and_slope, point, jac=True, method="L-BFGS-B", options=options)
        for point in parameters.detach()[best].numpy()
    ]
    found.sort(key=lambda one: one.fun)
    law = family(torch.tensor(found[0].x)[None], size, len(true))[0].numpy()
    agreeing = sum(one.fun < found[0].fun + 0.01 for one in found)
    return Limit(float(found[0].fun), law, agreeing)
