"""A neuron as a point process: what one neuron, with or without a stimulus, says of spike trains.

    z_t = W x_t + b                          the stimulus x as a current; 0 without one
    log p(s_1..s_T) = sum_t log p(s_t | s_<t, z_<=t)

The sum is the neuron's own score, with the recorded spikes as data.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqsnn.checks import check_positive_int
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.data.trust import largest_array
from sqsnn.neurons.population import Population, Record


class Observed(NamedTuple):
    """Spike trains of similar length as tensors, padded to the longest."""

    which: list[int]  # their numbers among all trains
    spikes: Float[Tensor, "T n N"]
    scored: Bool[Tensor, "T n"]  # bins that count: of the train, and after its warm-up
    stimulus: Float[Tensor, "T n F"] | None


class PointProcess(nn.Module):
    """One neuron of N channels, a unit each, and the filter of its stimulus.

    Args:
        neurons: A population of one stochastic neuron in float64.
        features: Features F of the stimulus; 0 without one.
        generator: Draws the weights of the filter.
    """

    def __init__(self, neurons: Population, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.neurons = neurons
        self.filter = _filter(features, neurons, generator) if features else None

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that matter: without any current, the gains of its encoding do not."""
        named = dict(self.named_parameters())
        if self.filter is None and "neurons.bias" not in named:
            named.pop("neurons.gains", None)
        return named

    def count(self) -> int:
        """Count these parameters."""
        return sum(values.numel() for values in self.trained().values())

    def limits(self) -> list[tuple[float, float] | tuple[None, None]]:
        """The range of each number in these parameters; None where there is none."""
        return [
            (0.0, 1.0) if name == "neurons.beta" else (None, None)
            for name, values in self.trained().items()
            for _ in range(values.numel())
        ]

    def currents(self, spikes: Tensor, stimulus: Tensor | None) -> Float[Tensor, "T n 1 N"]:
        """Compute the currents of all bins."""
        if self.filter is None or stimulus is None:
            return spikes.new_zeros(*spikes.shape[:2], 1, spikes.shape[2])
        return self.filter(stimulus)[:, :, None]

    def score(self, data: Observed) -> Record:
        """Run the neuron along recorded spikes; the record has log p(s_t | s_<t) of every bin."""
        currents = self.currents(data.spikes, data.stimulus)
        record, _ = self.neurons(currents, observed=data.spikes[:, :, None])
        return record

    def log_likelihood(self, data: Observed) -> Float[Tensor, "T n"]:
        """Compute log p(s_t | s_<t) in nats, 0 in bins that are not scored."""
        return torch.where(data.scored, self.score(data).log_likelihood[..., 0], 0.0)

    def sample(
        self, bins: int, trains: int, stimulus: Tensor | None, generator: torch.Generator
    ) -> Float[Tensor, "T n N"]:
        """Draw spike trains."""
        like = torch.zeros(bins, trains, self.neurons.channels, dtype=torch.float64)
        record, _ = self.neurons(self.currents(like, stimulus), generator=generator)
        return record.spikes[:, :, 0].detach()


def check_sample(trains: int, bins: int, units: int) -> None:
    """Refuse sizes of a sample that are no numbers, or would fill the memory."""
    check_positive_int("trains", trains)
    check_positive_int("bins", bins)
    # Currents, random numbers, spikes and probabilities in float64, and copies of some.
    if (size := 100 * trains * bins * units) > largest_array():
        raise ValueError(
            f"trains is {trains} and bins is {bins}, which take about {size / 1e9:,.0f} GB: sample "
            "fewer at a time"
        )


def _filter(features: int, neurons: Population, generator: torch.Generator) -> nn.Linear:
    """Make a filter whose current starts near 0.2: of a rectified one no gradient leads back."""
    weights = torch.empty(neurons.channels, features, dtype=torch.float64)
    first = {"weight": weights.normal_(0.0, 0.1 / math.sqrt(features), generator=generator)}
    if has_bias := not hasattr(neurons, "bias"):  # one is enough
        first["bias"] = torch.full((neurons.channels,), 0.2, dtype=torch.float64)
    made = nn.utils.skip_init(
        nn.Linear, features, neurons.channels, bias=has_bias, dtype=torch.float64
    )
    made.load_state_dict(first)
    return cast("nn.Linear", made)


def observe(
    trains: SpikeTrains, stimulus: Sequence[np.ndarray] | None, warm_up: int
) -> list[Observed]:
    """Make tensors of trains and of their stimulus, in groups whose padding is less than half.

    Args:
        trains: The spike trains.
        stimulus: The stimulus of each train, (T_i, F).
        warm_up: Bins at the beginning of each train that are not scored.

    Raises:
        ValueError: If no bin is left to score.
    """
    longest = max(map(len, trains))
    if longest <= warm_up:
        raise ValueError(
            f"warm_up is {warm_up}, but the longest train has {longest} bins: none would be left "
            "to score"
        )
    groups: dict[int, list[int]] = {}
    for number, train in enumerate(trains):
        groups.setdefault(len(train).bit_length(), []).append(number)
    return [_observed(trains, stimulus, warm_up, groups[size]) for size in sorted(groups)]


def _observed(
    trains: SpikeTrains, stimulus: Sequence[np.ndarray] | None, warm_up: int, which: list[int]
) -> Observed:
    group = replace(trains, spikes=tuple(trains[number] for number in which))
    spikes, present = group.padded()
    present[:warm_up] = False
    values = None
    if stimulus is not None:
        values = torch.zeros(*present.shape, stimulus[0].shape[1], dtype=torch.float64)
        for column, number in enumerate(which):
            values[: len(trains[number]), column] = torch.from_numpy(stimulus[number])
    return Observed(which, torch.from_numpy(spikes).double(), torch.from_numpy(present), values)
