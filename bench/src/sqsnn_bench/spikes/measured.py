"""One neuron fitted to short windows of a spike train by gradients from measured bits alone.

A window begins just after a spike, with the memory at |0>. Without a current all windows of T bins
are records of one circuit, so that the same shots serve all of them. With w_s the share of windows
that hold the spikes s, f_j(s) the probability of these spikes in the circuit of shift j, and a_j
its coefficient (`sqsnn.quantum.shift_rules`), the mean log-likelihood of a window has the gradient

    sum_s w_s d log P(s) = sum_s w_s / P(s) * sum_j a_j f_j(s).

f_j(s) is measured as a share of shots, and 1 / P(s) as the number of trials until s comes, so that
the gradient is unbiased but for what `max_trials` cuts off (`sqsnn.learning.estimators`). A network
needs a circuit for every step t that is scored; here one is enough, since log p(s_t | s_<t) summed
over t is log P(s).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

from sqsnn import Rectified, SQSNeurons
from sqsnn.learning.bit_source import BitSource
from sqsnn.learning.estimators import Geometric
from sqsnn.quantum import shift_rules
from sqsnn_bench.spikes.processes import Renewal

ESTIMATOR = Geometric(repeats=25, max_trials=400)
STEPS, RATE = 100, 0.1  # of Adam; its rate falls to 0 in a straight line

Law = Float64[np.ndarray, " records"]


class Windows(NamedTuple):
    """Windows of spikes, equal ones merged."""

    spikes: UInt8[np.ndarray, "S T"]
    counts: Int64[np.ndarray, " S"]

    @property
    def share(self) -> Float64[np.ndarray, " S"]:
        """The share of all windows that hold these spikes."""
        return self.counts / self.counts.sum()

    def per_bin(self, log_probability: Float64[np.ndarray, " S"]) -> float:
        """Average log-probabilities of these spikes over all windows, per bin."""
        return float(self.share @ log_probability / self.spikes.shape[1])

    def score(self, law: Law) -> float:
        """Compute the log-likelihood per bin, in nats, under a law of all records.

        Args:
            law: Probabilities of all records of T bins, the first bin the most significant.
        """
        numbers = self.spikes @ (1 << np.arange(self.spikes.shape[1])[::-1])
        return self.per_bin(np.log(law[numbers]))


class Pulled(NamedTuple):
    """What measured bits tell about the mean log-likelihood of a window, in nats."""

    gradient: Float[Tensor, "1 K"]  # by the angles
    log_likelihood: float
    given_up: float  # share of the series of trials that `max_trials` ended


class Fit(NamedTuple):
    """What a fit found, and what it saw on its way."""

    neurons: SQSNeurons
    steps: list[Pulled]


def draw(process: Renewal, count: int, bins: int, generator: np.random.Generator) -> Windows:
    """Draw windows of a renewal process that begin just after a spike.

    Args:
        process: The process.
        count: Windows.
        bins: Bins T of each.
        generator: Source of randomness.
    """
    ends = process.intervals(count, bins, generator).cumsum(1)
    spikes = np.zeros((count, bins + 1), np.uint8)
    np.put_along_axis(spikes, ends.clip(max=bins + 1) - 1, 1, axis=1)
    return Windows(*np.unique(spikes[:, :bins], axis=0, return_counts=True))


def neuron(generator: torch.Generator) -> SQSNeurons:
    """Make a neuron that keeps the time in one memory qubit, with the circuit's own start."""
    return SQSNeurons(
        1,
        memory_qubits=1,
        circuit="clock",
        drive=Rectified(),
        encoding_slope="exact",
        generator=generator,
        dtype=torch.float64,
    )


def silence(bins: int) -> Float[Tensor, "T 1 1 1"]:
    """Make the currents of a neuron that nothing drives."""
    return torch.zeros(bins, 1, 1, 1, dtype=torch.float64)


def exact_law(neurons: SQSNeurons, bins: int) -> Law:
    """Compute the probabilities of all records of T bins, the first bin the most significant."""
    with torch.no_grad():
        return neurons.sequence_probabilities(silence(bins))[0, 0].numpy()


def pull(
    source: BitSource,
    neurons: SQSNeurons,
    windows: Windows,
    estimator: Geometric,
    generator: torch.Generator,
) -> Pulled:
    """Measure the gradient of the mean log-likelihood of a window by the neuron's angles.

    Args:
        source: Runs the circuits.
        neurons: The neuron.
        windows: The recorded spikes.
        estimator: Shots of each shifted circuit, and trials of the one without a shift.
        generator: Draws the outcomes where they are simulated.
    """
    recorded, share = torch.from_numpy(windows.spikes > 0), torch.from_numpy(windows.share)
    currents = silence(recorded.shape[1])
    rule = shift_rules.parameter_shift(neurons.circuit, len(currents), neurons.angles.detach())
    # The encoding turns nothing without a current, and has nothing to learn.
    used = [j for j, (shift,) in enumerate(rule.shifts) if shift.place == "gate"]
    shots, trials = estimator.circuit_shots
    shifted = source.sample(neurons, currents, [rule.shifts[j] for j in used], shots, generator)
    unshifted = source.sample(neurons, currents, [()], trials, generator)[0]

    def agree(bits: Tensor) -> Tensor:
        """Compare shots (*, T, 1, 1, 1) with all windows: (*, S)."""
        return (bits[..., None, :, 0, 0, 0] == recorded).all(-1)

    fired = unshifted[:, -1].expand(-1, len(recorded), -1, -1)
    event = estimator.event(agree(unshifted)[..., None], fired, share)
    by_shift = agree(shifted).to(share).mean(1) @ (share * event.inverse[:, 0])  # (J,)
    by_place = rule.coefficients[:, used, 0] @ by_shift
    by_angle, _ = shift_rules.sum_by_parameter(neurons.circuit, rule.occurrences, by_place)
    return Pulled(
        by_angle[None],
        float(share @ event.log_probability[:, 0]),
        event.cost.truncations / event.cost.events,
    )


def fit(source: BitSource, windows: Windows, generator: torch.Generator) -> Fit:
    """Fit a neuron to windows by stochastic gradient ascent, from the first start that is drawn.

    Args:
        source: Runs the circuits.
        windows: The recorded spikes.
        generator: Draws the start, and the outcomes where they are simulated.
    """
    neurons, pulled = neuron(generator), []
    optimizer = torch.optim.Adam([neurons.angles], RATE, maximize=True)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS)
    for _ in range(STEPS):
        pulled.append(pull(source, neurons, windows, ESTIMATOR, generator))
        neurons.angles.grad = pulled[-1].gradient
        optimizer.step()
        falling.step()
    return Fit(neurons, pulled)
