"""Generalised linear models of spikes: a rate that depends on past spikes, and on a stimulus.

    p(s_t = 1 | past) = sigmoid(eta_t),   eta_t = a + sum_j h_j (b_j * s)_t + w . stimulus_t

(Truccolo et al., Journal of Neurophysiology 93, 1074, 2005). The logit is the link whose likelihood
has one maximum; beside it, the complementary log-log link gained 0.01 bits per spike at best, and
failed on stimuli with rare large values. Past spikes enter through plain lags, or through raised
cosines of the logarithm of the lag (Pillow et al., Nature 454, 995, 2008).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import log_expit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from sqsnn_bench.spikes.scoring import Data

VALIDATED = 0.2  # of each training train, its last bins
_ITERATIONS = 50  # of reweighted least squares; a bin that never has a spike needs about 30
_OFFSET = 2.0  # bins; raised cosines are about linear in shorter lags


class History(NamedTuple):
    """How past spikes enter.

    Attributes:
        bins: Bins of the past that count; 0 for none.
        functions: Raised cosines, J; 0 for plain lags, J = bins.
    """

    bins: int
    functions: int = 0

    def basis(self) -> Float64[np.ndarray, "L J"]:
        """The functions b_j of the lag, from 1 to `bins`."""
        if not self.functions:
            return np.eye(self.bins)
        lags = np.log(np.arange(1, self.bins + 1) + _OFFSET)
        centers = np.linspace(lags[0], lags[-1], self.functions)
        angles = (lags[:, None] - centers) * np.pi / (2 * (centers[1] - centers[0]))
        return (1 + np.cos(np.clip(angles, -np.pi, np.pi))) / 2


NONE = History(0)
HISTORIES = (
    *(History(16, functions) for functions in (4, 8)),
    *(History(bins, functions) for bins in (32, 64) for functions in (4, 8, 16)),
    History(16),
    History(32),
)


@dataclass(frozen=True, eq=False)
class FittedGLM:
    """A generalised linear model of spikes.

    Attributes:
        history: How past spikes enter.
        coefficients: Intercept a, history h and stimulus w, (1 + J + K,).
    """

    history: History
    coefficients: Float64[np.ndarray, " P"]

    @property
    def parameters(self) -> int:
        """Free parameters."""
        return len(self.coefficients)

    @property
    def memory(self) -> str:
        """What of the past it keeps."""
        return f"history of {self.history.bins} bins" if self.history.bins else "none"

    def log_likelihood(self, data: Data) -> Float64[np.ndarray, " n"]:
        """Log-likelihood of each whole train, in nats, as if no spike had come before it."""
        return np.array([found.sum() for found in self.log_probabilities(data)])

    def log_probabilities(self, data: Data) -> list[Float64[np.ndarray, " T"]]:
        """Log-probability of each bin given the past, in nats, (T_i,) for each train."""
        eta = (rows @ self.coefficients for rows in _designs(data, self.history))
        return [
            _log_probability(train[:, 0] > 0, along)
            for train, along in zip(data.trains, eta, strict=True)
        ]


def fit_rate(data: Data, generator: np.random.Generator) -> FittedGLM:
    """Fit an inhomogeneous Poisson process, whose rate depends on the stimulus alone."""
    return _fit(data, NONE, 1.0)


def fit_history(
    data: Data, generator: np.random.Generator, histories: tuple[History, ...] = HISTORIES
) -> FittedGLM:
    """Fit a model with past spikes, and with the stimulus where there is one.

    The history is the one that, fitted to the first four fifths of each train, gives the last fifth
    the highest likelihood; then all bins are fitted.

    Args:
        data: What it is fitted to.
        generator: Nothing is drawn.
        histories: What it chooses from.

    Raises:
        ValueError: If no train is longer than a history.
    """

    def validation(history: History) -> float:
        fitted = _fit(data, history, 1 - VALIDATED)
        found = fitted.log_probabilities(data)
        return sum(float(bins[round((1 - VALIDATED) * len(bins)) :].sum()) for bins in found)

    return _fit(data, max(histories, key=validation), 1.0)


def _fit(data: Data, history: History, share: float) -> FittedGLM:
    """Fit the first bins of each train, without those whose past is not known."""
    seen = [slice(history.bins, round(share * len(train))) for train in data.trains]
    spikes = np.concatenate([train[kept, 0] for train, kept in zip(data.trains, seen, strict=True)])
    if not len(spikes):
        raise ValueError(f"trains must be longer than a history of {history.bins} bins")
    designs = zip(_designs(data, history), seen, strict=True)
    rows = np.concatenate([all_rows[kept] for all_rows, kept in designs])
    model = GLM(spikes, rows, family=Binomial())
    with np.errstate(over="ignore"):  # where a spike never comes, its probability rounds to 0
        return FittedGLM(history, np.asarray(model.fit(maxiter=_ITERATIONS).params))


def _designs(data: Data, history: History) -> list[Float64[np.ndarray, "_ P"]]:
    """The columns of each train: 1, past spikes, stimulus."""
    shown = data.stimulus or [np.empty((len(train), 0)) for train in data.trains]
    return [
        np.hstack([np.ones((len(train), 1)), _past(train[:, 0], history), columns])
        for train, columns in zip(data.trains, shown, strict=True)
    ]


def _past(spikes: np.ndarray, history: History) -> Float64[np.ndarray, "T J"]:
    """What each function of the lag sees, (T, J): the spikes of earlier bins alone."""
    if not history.bins:
        return np.empty((len(spikes), 0))
    padded = np.concatenate([np.zeros(history.bins), spikes[:-1]])
    return sliding_window_view(padded, history.bins)[:, ::-1] @ history.basis()


def _log_probability(
    fired: Bool[np.ndarray, " T"], eta: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, " T"]:
    return log_expit(np.where(fired, eta, -eta))
