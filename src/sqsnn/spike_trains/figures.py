"""How well a model describes a recording, as figures and in words."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.neurons.drive import Leaky
from sqsnn.spike_trains.goodness import TimeRescaling
from sqsnn.spike_trains.model import SpikeTrainModel
from sqsnn.spike_trains.recording import Recording

# Of the Kolmogorov-Smirnov distance: a right model exceeds LIMIT / sqrt(intervals) in 5 % of tests.
LIMIT = 1.36


class Figures(NamedTuple):
    """What a model makes of a recording, or of a part of one."""

    trains: SpikeTrains
    bits_per_spike: float  # more than a Poisson process; -inf if the recording is impossible
    rescaling: TimeRescaling | None  # None if the recording is impossible

    def as_json(self) -> dict[str, Any]:
        """The figures for a file; those that an impossible recording does not have are None."""
        test = self.rescaling
        return {
            "trains": len(self.trains),
            "bins": self.trains.bins,
            "spikes": self.trains.count,
            "bits_per_spike": None if test is None else self.bits_per_spike,
            "ks_distance": None if test is None else test.statistic,
            "ks_p_value": None if test is None else test.p_value,
        }


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
    return Figures(trains, bits, test)


def limit(test: TimeRescaling) -> float:
    """The Kolmogorov-Smirnov distance that a right model exceeds in 5 % of tests."""
    return LIMIT / math.sqrt(len(test.rescaled))


def in_words(model: SpikeTrainModel, figures: Mapping[str, Figures]) -> dict[str, str]:
    """Write all figures, by what each line says.

    Args:
        model: The fitted model.
        figures: Of each part of a recording, by its name, such as "held out".
    """
    per_bin, unit = 1.0, " spikes per bin"
    if model.bin_width_ is not None:
        per_bin, unit = model.bin_width_, " spikes/s"
    ended = "converged" if model.converged_ else "not converged"
    rows = {
        "rate": ", ".join(f"{rate / per_bin:.3g}" for rate in model.rate_) + unit,
        "circuit": f"{model.circuit}, {_counted(model.parameters_, 'parameter')}",
        "memory": memory_in_words(model),
        "fit": f"{ended} after {_counted(model.n_iter_, 'iteration')}",
        "spikes merged": f"{next(iter(figures.values())).trains.merged:,}",
    }
    for name, found in figures.items():
        test = found.rescaling
        rows[name] = size_in_words(found.trains)
        rows[f"bits per spike, {name}"] = bits_in_words(found.bits_per_spike)
        if test is not None:
            rows[f"KS test, {name}"] = (
                f"distance {test.statistic:.3f} (95 % limit {limit(test):.3f}), "
                f"p = {test.p_value:.2g}"
            )
    return rows


def memory_in_words(model: SpikeTrainModel) -> str:
    """Say what carries the past of a model from bin to bin."""
    qubits = _counted(model.memory_qubits, "qubit")
    if not isinstance(model.drive, Leaky):
        return qubits
    units = len(model.rate_)
    return f"{qubits} and " + (
        "1 real number, the membrane" if units == 1 else f"{units} real numbers, the membranes"
    )


def size_in_words(trains: SpikeTrains) -> str:
    """Write how much was recorded."""
    width = "" if trains.bin_width is None else f" of {1000 * trains.bin_width:g} ms"
    bins, spikes = f"{_counted(trains.bins, 'bin')}{width}", _counted(trains.count, "spike")
    return f"{_counted(len(trains), 'train')}, {bins}, {spikes}"


def bits_in_words(bits: float) -> str:
    """Write a gain in bits per spike."""
    return f"{bits:+.3f}" if math.isfinite(bits) else "impossible spikes"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
