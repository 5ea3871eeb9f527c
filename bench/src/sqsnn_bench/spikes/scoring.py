"""What every model of spike trains gives, a likelihood, and the one score: held-out bits per spike.

All models are scored on the same bins. The first bins of each train, the *warm-up*, feed the memory
of a model and are not scored: by the chain rule

    log p(s_{w+1..T} | s_{1..w}) = log p(s_{1..T}) - log p(s_{1..w}),

so that whatever gives the likelihood of a whole train can be scored.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float64
from scipy.special import xlog1py, xlogy

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn_bench.spikes.options import WARM_UP


@dataclass(frozen=True, eq=False)
class Data:
    """Spike trains of one unit, and what was presented meanwhile.

    Attributes:
        trains: One unit.
        stimulus: Features per bin, (T_i, K) for each train; empty where nothing was presented.

    Raises:
        ValueError: If there are several units, or a stimulus does not fit its train.
    """

    trains: SpikeTrains
    stimulus: tuple[Float64[np.ndarray, "_ K"], ...] = ()

    def __post_init__(self) -> None:
        if self.trains.units != 1:
            raise ValueError(f"trains must have one unit, but have {self.trains.units}")
        lengths = [len(train) for train in self.trains]
        if self.stimulus and [len(shown) for shown in self.stimulus] != lengths:
            raise ValueError(
                f"stimulus must have as many bins as the trains, {lengths}, but has "
                f"{[len(shown) for shown in self.stimulus]}"
            )

    @property
    def features(self) -> int:
        """Features of the stimulus, K."""
        return self.stimulus[0].shape[1] if self.stimulus else 0

    def heads(self, bins: int) -> "Data":
        """The first bins of each train.

        Raises:
            ValueError: If a train has no bin beyond.
        """
        shortest = min(len(train) for train in self.trains)
        if not 0 < bins < shortest:
            raise ValueError(f"bins must be from 1 to {shortest - 1}, but is {bins}")
        spikes = tuple(train[:bins] for train in self.trains)
        return Data(
            SpikeTrains(spikes, self.trains.bin_width),
            tuple(shown[:bins] for shown in self.stimulus),
        )


class Fitted(Protocol):
    """A model of spike trains that was fitted."""

    @property
    def parameters(self) -> int:
        """Free parameters."""
        ...

    @property
    def memory(self) -> str:
        """What of the past it keeps, e.g. "2 states"."""
        ...

    def log_likelihood(self, data: Data) -> Float64[np.ndarray, " n"]:
        """Log-likelihood of each whole train, in nats."""
        ...


Fit = Callable[[Data, np.random.Generator], Fitted]


@dataclass(frozen=True)
class Constant:
    """Spikes at random, independent from bin to bin: a Poisson process in bins.

    Attributes:
        rate: Probability of a spike in a bin.
    """

    rate: float
    parameters: int = 1
    memory: str = "none"

    def log_likelihood(self, data: Data) -> Float64[np.ndarray, " n"]:
        """Log-likelihood of each whole train, in nats."""
        counts = np.array([(len(train), train.sum(dtype=np.int64)) for train in data.trains])
        bins, spikes = counts.T
        return xlogy(spikes, self.rate) + xlog1py(bins - spikes, -self.rate)


def fit_constant(data: Data, generator: np.random.Generator) -> Constant:
    """Take the rate of the trains; nothing is drawn."""
    return Constant(float(data.trains.rate[0]))


class Score(NamedTuple):
    """How well a model predicts held-out trains.

    Attributes:
        bits_per_spike: Gain over spikes at random of the training rate.
        nats_per_bin: Log-likelihood per scored bin.
        spikes: Scored spikes.
    """

    bits_per_spike: float
    nats_per_bin: float
    spikes: int


def score(fitted: Fitted, baseline: Fitted, held_out: Data, warm_up: int = WARM_UP) -> Score:
    """Score a model on held-out trains, beside the baseline.

    Args:
        fitted: The model.
        baseline: Spikes at random, of the rate of the training trains.
        held_out: Trains that neither was fitted to.
        warm_up: Bins at the beginning of each train that feed the memory; at least 1.

    Raises:
        ValueError: If a train is no longer than the warm-up, or no scored bin has a spike.
    """
    heads = held_out.heads(warm_up)
    spikes = held_out.trains.count - heads.trains.count
    if not spikes:
        raise ValueError("held_out has no spike after the warm-up")
    bins = held_out.trains.bins - heads.trains.bins

    def scored(model: Fitted) -> float:
        return float(model.log_likelihood(held_out).sum() - model.log_likelihood(heads).sum())

    found = scored(fitted)
    gain = (found - scored(baseline)) / spikes / math.log(2)
    return Score(gain, found / bins, spikes)
