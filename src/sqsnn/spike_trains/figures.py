"""How well a model describes a recording, as figures and in words."""

import math
from typing import Any, NamedTuple

from sqsnn.neurons.drive import Leaky
from sqsnn.spike_trains.goodness import TimeRescaling
from sqsnn.spike_trains.model import SpikeTrainModel
from sqsnn.spike_trains.recording import Recording

# Of the Kolmogorov-Smirnov distance: a right model exceeds LIMIT / sqrt(intervals) in 5 % of tests.
LIMIT = 1.36


class Figures(NamedTuple):
    """What a model makes of a recording, or of a part of one."""

    trains: int
    bins: int
    spikes: int
    bits_per_spike: float  # more than a Poisson process; -inf if the recording is impossible
    rescaling: TimeRescaling | None  # None if the recording is impossible

    def as_json(self) -> dict[str, Any]:
        """The figures for a file; None if the recording is impossible."""
        test = self.rescaling
        return {
            "trains": self.trains,
            "bins": self.bins,
            "spikes": self.spikes,
            "bits_per_spike": None if test is None else self.bits_per_spike,
            "ks_distance": None if test is None else test.statistic,
            "ks_p_value": None if test is None else test.p_value,
        }


def limit(test: TimeRescaling) -> float:
    """The Kolmogorov-Smirnov distance that a right model exceeds in 5 % of tests."""
    return LIMIT / math.sqrt(len(test.rescaled))


def measure(model: SpikeTrainModel, recording: Recording, seed: int) -> Figures:
    """Compute the figures of a fitted model on a recording.

    Args:
        model: The model.
        recording: Spike trains, which hold spikes after the warm-up.
        seed: Draws where in its bin a spike lies, for time rescaling.
    """
    trains, stimulus = recording
    bits, test = model.score(trains, stimulus), None
    if math.isfinite(bits):
        test = model.time_rescaling(trains, stimulus, random_state=seed)
    return Figures(len(trains), trains.bins, trains.count, bits, test)


def memory_in_words(model: SpikeTrainModel) -> str:
    """Say what carries the past of a model from bin to bin."""
    qubits = _counted(model.memory_qubits, "qubit")
    if not isinstance(model.drive, Leaky):
        return qubits
    units = len(model.rate_)
    membranes = "1 real number, the membrane" if units == 1 else f"{units} real membranes"
    return f"{qubits} and {membranes}"


def of_recording(trains: int, bins: int, spikes: int, bin_width: float | None) -> str:
    """Describe the size of a recording."""
    width = "" if bin_width is None else f" of {1000 * bin_width:g} ms"
    return f"{_counted(trains, 'train')}, {bins:,} bins{width}, {_counted(spikes, 'spike')}"


def rate_in_words(model: SpikeTrainModel) -> str:
    """Write the rate of each unit in the trains of the fit."""
    if model.bin_width_ is None:
        return f"{', '.join(f'{rate:.3g}' for rate in model.rate_)} spikes per bin"
    return f"{', '.join(f'{rate / model.bin_width_:.3g}' for rate in model.rate_)} spikes/s"


def of_model(model: SpikeTrainModel) -> dict[str, str]:
    """Write what a model is, by what each line says."""
    ended = "converged" if model.converged_ else "not converged"
    return {
        "rate": rate_in_words(model),
        "circuit": f"{model.circuit}, {_counted(model.parameters_, 'parameter')}",
        "memory": memory_in_words(model),
        "fit": f"{ended} after {_counted(model.n_iter_, 'iteration')}",
    }


def of_fit(name: str, figures: Figures, bin_width: float | None) -> dict[str, str]:
    """Write figures, by what each line says.

    Args:
        name: The part of the recording, such as "held out".
        figures: Of this part.
        bin_width: Seconds, or None.
    """
    test = figures.rescaling
    rows = {
        name: of_recording(figures.trains, figures.bins, figures.spikes, bin_width),
        f"bits per spike, {name}": bits_in_words(figures.bits_per_spike),
    }
    if test is not None:
        rows[f"KS test, {name}"] = (
            f"distance {test.statistic:.3f} (95 % limit {limit(test):.3f}), p = {test.p_value:.2g}"
        )
    return rows


def bits_in_words(bits: float) -> str:
    """Write a gain in bits per spike."""
    return f"{bits:+.3f}" if math.isfinite(bits) else "impossible spikes"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
