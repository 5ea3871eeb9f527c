"""Hidden Markov models: emitting from states (hmmlearn), or along transitions (`hmm.py`)."""

from dataclasses import dataclass

import numpy as np
from hmmlearn.hmm import CategoricalHMM
from jaxtyping import Float64

from sqsnn_bench.spikes.scoring import Data

STARTS, SHORT, LONG = 4, 30, 300  # starts; iterations of each, and of the best of them
TOLERANCE = 0.05  # nats of all training trains, per iteration


@dataclass(frozen=True, eq=False)
class StateEmitting:
    """A hidden Markov model in which the state decides whether there is a spike.

    Attributes:
        model: hmmlearn's model of d states.
    """

    model: CategoricalHMM

    @property
    def parameters(self) -> int:
        """Free parameters: of the first state, of the transitions, and a rate per state."""
        states = self.model.n_components
        return (states - 1) + states * (states - 1) + states

    @property
    def memory(self) -> str:
        """What of the past it keeps."""
        return f"{self.model.n_components} states"

    def log_likelihood(self, data: Data) -> Float64[np.ndarray, " n"]:
        """Log-likelihood of each whole train, in nats."""
        return np.array([self.model.score(train) for train in data.trains])


def fit_state_emitting(states: int, data: Data, generator: np.random.Generator) -> StateEmitting:
    """Fit by expectation maximisation: a few iterations from each start, the best to the end.

    Half of the starts are hmmlearn's, random; the other half are noisy rings that emit in their
    last state, which regular trains need and random starts rarely find.

    Args:
        states: Hidden states, d.
        data: What it is fitted to.
        generator: Draws the starts.
    """
    spikes = np.concatenate(data.trains.spikes)
    lengths = [len(train) for train in data.trains]
    starts = [_start(states, number % 2 == 0, generator) for number in range(STARTS)]
    for model in starts:
        model.fit(spikes, lengths)
    begun = max(starts, key=lambda model: model.score(spikes, lengths))
    best = _model(states, LONG)
    best.startprob_, best.transmat_ = begun.startprob_, begun.transmat_
    best.emissionprob_ = begun.emissionprob_
    return StateEmitting(best.fit(spikes, lengths))


def _model(
    states: int, iterations: int, drawn: str = "", seed: int | None = None
) -> CategoricalHMM:
    return CategoricalHMM(
        states,
        n_features=2,
        n_iter=iterations,
        tol=TOLERANCE,
        init_params=drawn,
        random_state=seed,
        implementation="scaling",
    )


def _start(states: int, ring: bool, generator: np.random.Generator) -> CategoricalHMM:
    seed = int(generator.integers(2**31))
    if not ring:
        return _model(states, SHORT, "ste", seed)
    model = _model(states, SHORT, "s", seed)
    steps = (np.eye(states) + np.roll(np.eye(states), 1, axis=1)) / 2
    model.transmat_ = (steps + generator.dirichlet(np.ones(states), states)) / 2
    model.emissionprob_ = np.array([(0.98, 0.02)] * (states - 1) + [(0.5, 0.5)])
    return model
