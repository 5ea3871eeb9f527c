"""The limit as reference: the unconstrained quantum instrument, fitted by maximum likelihood.

An instrument with one Kraus operator K_s per value s of a bin is an isometry, the operators one
below the other: a point of a complex Stiefel manifold, as in Adhikary, Srinivasan, Gordon and Boots
(2020, arXiv:1912.02098). They move along the manifold by Cayley transforms; here a matrix X of full
rank stands for the isometry X R^-1, R the Cholesky factor of X^+ X. The map is smooth and reaches
every isometry, so that L-BFGS needs no constraints.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex128, Float64, Int64
from scipy.optimize import minimize
from torch import Tensor

from sqsnn_bench.spikes.hmm import Trains, check, padded

WORD = 16  # bins: trains repeat so few words of this length that their products are worth a table
FIRST_BINS, FIRST_STEPS, RATE = 20_000, 150, 0.05  # of Adam, on the first trains
FOLLOWED, ITERATIONS = 3, 400  # starts that L-BFGS takes to the end, on all trains


@dataclass(frozen=True)
class Instrument:
    """A quantum memory that emits: P(s_1, .., s_T) = |K_{s_T} .. K_{s_1} |0>|^2.

    Args:
        operators: K_s, `(S, D, D)`, with the sum of K_s^+ K_s the identity.
    """

    operators: Complex128[np.ndarray, "S D D"]

    def log_likelihood(self, trains: Trains) -> Float64[np.ndarray, " trains"]:
        """Compute ln P of each train in nats; -inf where it has probability 0.

        Raises:
            ValueError: If a train is empty, or holds something that is no symbol of the instrument.
        """
        check(trains, len(self.operators))
        words = _words(trains, len(self.operators))
        return _log_likelihood(torch.tensor(self.operators)[None], words)[0].numpy()

    def interval_law(self, longest: int) -> Float64[np.ndarray, " K"]:
        """Compute the law of the interval that follows a spike, in equilibrium.

        Args:
            longest: The longest interval, in bins.

        Returns:
            Probabilities of intervals of 1..`longest` bins.
        """
        silent, spike = self.operators
        levels = len(silent)
        channel = np.kron(silent, silent.conj()) + np.kron(spike, spike.conj())
        values, vectors = np.linalg.eig(channel)
        now = _through(spike, vectors[:, np.abs(values - 1).argmin()].reshape(levels, levels))
        now, law = now / now.trace(), np.empty(longest)
        for k in range(longest):
            law[k], now = _through(spike, now).trace().real, _through(silent, now)
        return law


def fit(
    trains: Trains, levels: int, starts: int, generator: torch.Generator, symbols: int = 2
) -> Instrument:
    """Fit an instrument from many random starts: Adam on all of them, L-BFGS on the best.

    Args:
        trains: Trains, of any lengths.
        levels: Levels of the memory.
        starts: Random starts.
        generator: Source of the starts.
        symbols: Values that a bin may have.

    Raises:
        ValueError: If a train is empty, or holds something else than 0..symbols - 1.
    """
    check(trains, symbols)
    ends = np.cumsum([len(train) for train in trains])
    few = trains[: 1 + int(np.searchsorted(ends, FIRST_BINS))]
    shape = (starts, symbols, levels, levels, 2)
    points = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    words, optimizer = _words(few, symbols), torch.optim.Adam([points], lr=RATE)
    for _ in range(FIRST_STEPS):
        optimizer.zero_grad()
        (-_log_likelihood(isometry(points), words).sum(1) / len(few)).sum().backward()
        optimizer.step()
    words = _words(trains, symbols)

    def value_and_slope(point: Float64[np.ndarray, " N"]) -> tuple[float, np.ndarray]:
        here = torch.tensor(point).requires_grad_()
        logs = _log_likelihood(isometry(here.reshape(1, *shape[1:])), words)
        (-1000 * logs.sum() / ends[-1]).backward()  # in millinats per bin
        assert here.grad is not None
        return -1000 * logs.sum().item() / ends[-1], here.grad.numpy()

    with torch.no_grad():
        best = _log_likelihood(isometry(points), words).sum(1).argsort(descending=True)[:FOLLOWED]
    options = {"maxiter": ITERATIONS, "maxcor": 20, "ftol": 1e-9}
    found = [
        minimize(value_and_slope, point, jac=True, method="L-BFGS-B", options=options)
        for point in points.detach()[best].flatten(1).numpy()
    ]
    winner = min(found, key=lambda one: one.fun)
    return Instrument(isometry(torch.tensor(winner.x).reshape(1, *shape[1:]))[0].numpy())


def isometry(points: Tensor) -> Tensor:
    """Map real numbers `(R, S, D, D, 2)` to Kraus operators `(R, S, D, D)`."""
    stacked = torch.view_as_complex(points).flatten(1, 2)  # (R, S D, D)
    factor = torch.linalg.cholesky(stacked.mH @ stacked, upper=True)
    solved = torch.linalg.solve_triangular(factor, stacked, upper=True, left=False)
    return solved.reshape(points.shape[:-1])


class _Words(NamedTuple):
    """Trains as words of some bins; the value `symbols` fills words beyond the end of a train."""

    spelled: Int64[np.ndarray, "U L"]  # each word that occurs
    numbers: Int64[np.ndarray, "W N"]  # of the words of each train, in time


def _words(trains: Trains, symbols: int) -> _Words:
    count = -(-max(map(len, trains)) // WORD)
    words = padded(trains, count * WORD, symbols).reshape(-1, WORD)
    spelled, numbers = np.unique(words, axis=0, return_inverse=True)
    return _Words(spelled, numbers.reshape(len(trains), count).T.copy())


def _log_likelihood(operators: Tensor, words: _Words) -> Tensor:
    """Compute ln P of each train by each instrument: `(R, S, D, D)` -> `(R, N)`."""
    models, _, levels, _ = operators.shape
    nothing = torch.eye(levels, dtype=operators.dtype).expand(models, 1, levels, levels)
    by_value = torch.cat([operators, nothing], 1)
    products = by_value[:, words.spelled[:, 0]]  # (R, U, D, D)
    for values in words.spelled.T[1:]:
        products = by_value[:, values] @ products
    state = torch.zeros(models, words.numbers.shape[1], levels, 1, dtype=operators.dtype)
    state[:, :, 0] = 1
    logs = torch.zeros(models, words.numbers.shape[1], dtype=torch.float64)
    for numbers in words.numbers:
        state = products[:, numbers] @ state
        probability = (state.real**2 + state.imag**2).sum((2, 3))
        logs = logs + probability.log()
        state = state / probability.where(probability > 0, 1).sqrt()[:, :, None, None]
    return logs


def _through(operator: np.ndarray, state: np.ndarray) -> np.ndarray:
    return operator @ state @ operator.conj().T
