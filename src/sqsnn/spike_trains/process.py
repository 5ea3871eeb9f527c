"""A neuron as a point process: what one neuron, with or without a stimulus, says of spike trains.

    z_t = W x_t + b                          the stimulus x as a current; 0 without one
    log p(s_1..s_T) = sum_t log p(s_t | s_<t, z_<=t)

The sum is the neuron's own score, with the recorded spikes as data.
"""

import math
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqsnn.checks import check_positive_int
from sqsnn.data.trust import largest_array
from sqsnn.neurons.population import Record
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.spike_trains.recording import Recording, pieces


class Observed(NamedTuple):
    """Spike trains of similar length as tensors, padded to the longest."""

    which: list[int]  # their numbers among all trains
    spikes: Float[Tensor, "T n N"]
    scored: Bool[Tensor, "T n"]  # bins that count: of the train, and after its warm-up
    stimulus: Float[Tensor, "T n F"] | None


class PointProcess(nn.Module):
    """One neuron of N channels, a unit each, and the filter of its stimulus.

    Args:
        neurons: One quantum neuron in float64.
        features: Features F of the stimulus; 0 without one.
        generator: Draws the weights of the filter.
    """

    def __init__(self, neurons: SQSNeurons, features: int, generator: torch.Generator) -> None:
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


def _filter(features: int, neurons: SQSNeurons, generator: torch.Generator) -> nn.Linear:
    """Make a filter whose current starts near 0.2: of a rectified one no gradient leads back."""
    skipped = nn.utils.skip_init(  # which would draw from torch's own generator
        nn.Linear,
        features,
        neurons.channels,
        bias=not hasattr(neurons, "bias"),  # one is enough
        dtype=torch.float64,
    )
    made = cast("nn.Linear", skipped)
    nn.init.normal_(made.weight, 0.0, 0.1 / math.sqrt(features), generator=generator)
    if made.bias is not None:
        nn.init.constant_(made.bias, 0.2)
    return made


def observe(recording: Recording, warm_up: int) -> list[Observed]:
    """Make tensors of a recording, in groups of trains whose padding is less than half.

    Raises:
        ValueError: If no bin is left to score.
    """
    lengths = list(map(len, recording.trains))
    if max(lengths) <= warm_up:
        raise ValueError(
            f"warm_up is {warm_up}, but the longest train has {max(lengths)} bins: none would be "
            "left to score"
        )
    groups: dict[int, list[int]] = {}
    for number, length in enumerate(lengths):
        groups.setdefault(length.bit_length(), []).append(number)
    return [_observed(recording, warm_up, groups[size]) for size in sorted(groups)]


def _observed(recording: Recording, warm_up: int, which: list[int]) -> Observed:
    trains, stimulus, _ = pieces(recording, [(number, slice(None)) for number in which])
    spikes, present = trains.padded()
    present[:warm_up] = False
    values = None
    if stimulus is not None:
        values = torch.zeros(*present.shape, stimulus[0].shape[1], dtype=torch.float64)
        for column, shown in enumerate(stimulus):
            values[: len(shown), column] = torch.from_numpy(shown)
    return Observed(which, torch.from_numpy(spikes).double(), torch.from_numpy(present), values)
