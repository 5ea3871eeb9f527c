"""Hidden Markov models that emit on transitions, fitted to spike trains by Baum-Welch.

In state i the model moves to j and emits s with probability A[s, i, j]. Models that emit on states
are the special case in which s depends on j alone; they need more states for the same trains.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from sqsnn_bench.spikes.processes import Law

ENOUGH = 1e-7  # nats per bin: a gain per round below it ends a stage


class Stage(NamedTuple):
    """A part of a fit.

    Short pieces of trains are much faster than whole trains, as all pieces are one batch; what is
    lost is the memory across their ends.

    Attributes:
        models: How many of the best models take part; None for all.
        bins: About how many bins they see.
        piece: Longest piece, in bins.
        rounds: Rounds at most.
    """

    models: int | None
    bins: float
    piece: int
    rounds: int


STAGES = (
    Stage(None, 20_000, 100, 60),
    Stage(4, math.inf, 200, 500),
    Stage(1, math.inf, 10**9, 100),
)

Trains = Sequence[np.ndarray]  # each (T,), of whole numbers from 0 on
Moves = Float64[np.ndarray, "S d d"]


@dataclass(frozen=True)
class EdgeHMM:
    """A hidden Markov model that emits on transitions.

    Args:
        start: Distribution of the first state, `(d,)`.
        moves: A[s, i, j], the probability to emit s and to move from i to j; sums over s and j
            are 1.
    """

    start: Float64[np.ndarray, " d"]
    moves: Moves

    def log_likelihood(self, trains: Trains) -> Float64[np.ndarray, " trains"]:
        """Compute ln P of each train in nats; -inf where it has probability 0.

        Raises:
            ValueError: If a train is empty, or holds something that is no symbol of the model.
        """
        check(trains, len(self.moves))
        plan = plan_of(trains, len(self.moves))
        logs, _, _ = _forward(self.start[None], self.moves[None], plan)
        return logs[0]

    def sample(
        self, trains: int, steps: int, generator: np.random.Generator
    ) -> Int64[np.ndarray, "trains steps"]:
        """Draw trains of `steps` bins."""
        states = len(self.start)
        joint = self.moves.transpose(1, 0, 2).reshape(states, -1).cumsum(1)  # (i, s * d + j)
        now = generator.choice(states, trains, p=self.start)
        spikes = np.empty((trains, steps), np.int64)
        for step, uniform in enumerate(generator.random((steps, trains, 1))):
            event = (uniform * joint[now, -1:] >= joint[now]).sum(1)
            spikes[:, step], now = np.divmod(event, states)
        return spikes

    def interval_law(self, longest: int) -> Float64[np.ndarray, " K"]:
        """Compute the law of the interval that follows a spike, in equilibrium.

        Args:
            longest: The longest interval, in bins.

        Returns:
            Probabilities of intervals of 1..`longest` bins.
        """
        silent, spike = self.moves
        values, vectors = np.linalg.eig((silent + spike).T)
        stationary = np.real(vectors[:, np.abs(values - 1).argmin()])
        now = stationary @ spike / (stationary @ spike).sum()
        law = np.empty(longest)
        for k in range(longest):
            law[k], now = (now @ spike).sum(), now @ silent
        return law


def renewal(law: Law) -> EdgeHMM:
    """Make the model that is a renewal process: its hidden state is the time since a spike.

    Args:
        law: Probabilities of intervals of 1..K bins, that of K above 0.
    """
    left = law[::-1].cumsum()[::-1]  # P(interval >= k)
    moves = np.zeros((2, len(law), len(law)))
    moves[1, :, 0] = law / left
    moves[0, range(len(law) - 1), range(1, len(law))] = left[1:] / left[:-1]
    return EdgeHMM(left / left.sum(), moves)


def fit(
    trains: Trains,
    states: int,
    starts: int,
    generator: np.random.Generator,
    symbols: int = 2,
    stages: Sequence[Stage] = STAGES,
) -> EdgeHMM:
    """Fit a model by expectation maximisation from many random starts, in stages.

    Args:
        trains: Trains, of any lengths.
        states: Hidden states.
        starts: Random starts.
        generator: Source of the starts.
        symbols: Values that a bin may have.
        stages: Parts of the fit, the last of one model.

    Raises:
        ValueError: If a train is empty, or holds something else than 0..symbols - 1.
    """
    check(trains, symbols)
    start = generator.dirichlet(np.ones(states), starts)
    rows = generator.dirichlet(np.full(symbols * states, 0.5), (starts, states))
    moves = rows.reshape(starts, states, symbols, states).transpose(0, 2, 1, 3)
    ends, logs = np.cumsum([len(train) for train in trains]), np.zeros(starts)
    for stage in stages:
        best = logs.argsort()[::-1][: stage.models]
        start, moves, before = start[best], moves[best], np.full(len(best), -np.inf)
        seen = trains[: 1 + int(np.searchsorted(ends, stage.bins))]
        pieces = [
            train[begin : begin + stage.piece]
            for train in seen
            for begin in range(0, len(train), stage.piece)
        ]
        plan, bins = plan_of(pieces, symbols), sum(map(len, pieces))
        for _ in range(stage.rounds):
            logs, *better = improve(start, moves, plan)
            if (logs - before < ENOUGH * bins).all():
                break
            (start, moves), before = better, logs
    return EdgeHMM(start[0], moves[0])


def check(trains: Trains, symbols: int) -> None:
    """Refuse trains that are empty or hold something else than 0..symbols - 1."""
    for number, train in enumerate(trains):
        if not len(train) or not np.isin(train, np.arange(symbols)).all():
            raise ValueError(
                f"trains[{number}] must hold at least one bin, each one of 0..{symbols - 1}, "
                f"but has {len(train)} bins of values {np.unique(train).tolist()}"
            )


class Plan(NamedTuple):
    """Which trains have which value in each bin; a train that has ended is in none."""

    trains: int
    members: list[list[np.ndarray]]  # by bin and value: numbers of trains


def plan_of(trains: Trains, symbols: int) -> Plan:
    """Sort trains by their value in each bin."""
    bins = padded(trains, max(map(len, trains)), symbols).T
    return Plan(len(trains), [[np.flatnonzero(bin == s) for s in range(symbols)] for bin in bins])


def padded(trains: Trains, bins: int, filler: int) -> Int64[np.ndarray, "trains bins"]:
    """Make trains equally long: `filler` stands in the bins beyond an end."""
    filled = np.full((len(trains), bins), filler, np.int64)
    for row, train in zip(filled, trains, strict=True):
        row[: len(train)] = train
    return filled


def _forward(
    start: Float64[np.ndarray, "R d"], moves: Float64[np.ndarray, "R S d d"], plan: Plan
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give logs `(R, N)`, filtered states before each bin `(T, R, N, d)`, factors `(T, R, N)`."""
    steps, (models, states) = len(plan.members), start.shape
    filtered = np.empty((steps, models, plan.trains, states))
    factors = np.ones((steps, models, plan.trains))
    now = np.repeat(start[:, None], plan.trains, 1)  # (R, N, d)
    for step, values in enumerate(plan.members):
        filtered[step] = now
        for symbol, rows in enumerate(values):
            if len(rows):
                joint = now[:, rows] @ moves[:, symbol]
                total = joint.sum(2)
                factors[step][:, rows] = total
                now[:, rows] = joint / np.where(total > 0, total, 1)[:, :, None]
    with np.errstate(divide="ignore"):
        return np.log(factors).sum(0), filtered, factors


def improve(
    start: Float64[np.ndarray, "R d"], moves: Float64[np.ndarray, "R S d d"], plan: Plan
) -> tuple[Float64[np.ndarray, " R"], np.ndarray, np.ndarray]:
    """Take one round of expectation maximisation for R models at once.

    Returns:
        The log-likelihood of the models given, and the start and the moves of better ones.
    """
    logs, filtered, factors = _forward(start, moves, plan)
    models, states = start.shape
    counts = np.zeros_like(moves)
    later = np.ones((models, plan.trains, states))  # (R, N, d): P(rest | state) / P(rest | past)
    for step in range(len(plan.members) - 1, -1, -1):
        for symbol, rows in enumerate(plan.members[step]):
            if len(rows):
                scaled = later[:, rows] / factors[step][:, rows, None]
                counts[:, symbol] += filtered[step][:, rows].mT @ scaled
                later[:, rows] = scaled @ moves[:, symbol].mT
    first = start * later.mean(1)
    expected = counts * moves
    visits = expected.sum((1, 3), keepdims=True)
    better = np.where(visits > 0, expected / np.where(visits > 0, visits, 1), moves)
    return logs.sum(1), first / first.sum(1, keepdims=True), better
