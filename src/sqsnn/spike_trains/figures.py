"""How well a model describes a recording, as figures and in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.neurons.drive import Leaky
from sqsnn.options import counted
from sqsnn.spike_trains.build import seed_of
from sqsnn.spike_trains.goodness import TimeRescaling, bits_per_spike, rates, time_rescaling
from sqsnn.spike_trains.model import LEAST_GAIN, SpikeTrainModel
from sqsnn.spike_trains.recording import Recording, whole

SIGNIFICANT = 0.05
_PARTS = {
    "training": "the trains of the fit",
    "held out": "held-out trains",
    "recording": "the recording",
}


class Figures(NamedTuple):
    """What a model makes of a recording, or of a part of one, or of a unit."""

    trains: SpikeTrains
    bits_per_spike: float  # more than a Poisson process; -inf if the recording is impossible
    rescaling: TimeRescaling | None  # None if the recording is impossible
    # Of each unit that fires by itself, given the past of all, if there are several.
    units: "Mapping[int, Figures]" = MappingProxyType({})

    def as_json(self) -> dict[str, Any]:
        """The figures for a file; those that an impossible recording does not have are None."""
        test = self.rescaling
        found = {
            "trains": len(self.trains),
            "bins": self.trains.bins,
            "spikes": self.trains.count,
            "bits_per_spike": None if test is None else self.bits_per_spike,
            "ks_distance": None if test is None else test.statistic,
            "ks_p_value": None if test is None else test.p_value,
        }
        units = {str(number): unit.as_json() for number, unit in self.units.items()}
        return {**found, "units": units} if units else found


class Fitted(NamedTuple):
    """A model, and the recording whose first part it was fitted to."""

    name: str  # of the recording
    model: SpikeTrainModel
    parts: Mapping[str, Recording]
    seed: int  # of time rescaling, and of samples that are drawn for pictures

    @property
    def training(self) -> Recording:
        """The part of the fit."""
        return next(iter(self.parts.values()))


def measure(model: SpikeTrainModel, recording: Recording, seed: int) -> Figures:
    """Compute the figures of a fitted model on a recording.

    What went before runs through the model, too, but does not count. The seed draws where in its
    bin a spike lies, for time rescaling.
    """
    trains, _, before = recording
    known = whole(recording)
    found = model.log_likelihood(known.trains, known.stimulus).sum()
    chance, warm_up = model.predict_proba(known.trains, known.stimulus), model.warm_up
    if before is not None:
        found -= model.log_likelihood(before.trains, before.stimulus).sum()
        chance = [it[len(first) :] for it, first in zip(chance, before.trains, strict=True)]
        warm_up = 0
    seed = seed_of(seed)  # as `model.time_rescaling` does

    def judge(trains: SpikeTrains, found: float, chance: Sequence[Any], rate: Any) -> Figures:
        bits, test = bits_per_spike(found, trains, rate, warm_up), None
        if math.isfinite(bits):
            test = time_rescaling(trains, chance, np.random.default_rng(seed), warm_up)
        return Figures(trains, bits, test)

    units = {}
    for unit in range(trains.units if trains.units > 1 and math.isfinite(found) else 0):
        alone = replace(trains, spikes=tuple(train[:, [unit]] for train in trains))
        own = [it[:, [unit]] for it in chance]
        if rates(alone, warm_up)[0] > 0:
            bins = (
                np.log(np.where(train == 1, it, 1 - it))[warm_up:].sum()
                for train, it in zip(alone, own, strict=True)
            )
            units[unit] = judge(alone, float(sum(bins)), own, model.rate_[[unit]])
    return judge(trains, found, chance, model.rate_)._replace(units=units)


def verdict(model: SpikeTrainModel, figures: Mapping[str, Figures]) -> str:
    """Say whether the model passes its test on the last part, and if not, what to try next."""
    if "training" in figures and figures["training"].bits_per_spike < LEAST_GAIN:
        return "The fit found nothing better than a constant rate: raise --starts."
    part, tested = list(figures.items())[-1]
    test, on = tested.rescaling, _PARTS[part]
    more = f"Try --memory-qubits {model.memory_qubits + 1}, or more --starts."
    if test is None:
        return f"The model holds {on} impossible. {more}"
    tested_by = f"the test of rescaled time (p = {test.p_value:.2g}) on {on}"
    fails = test.p_value < SIGNIFICANT
    return f"The model fails {tested_by}. {more}" if fails else f"The model passes {tested_by}."


def in_words(model: SpikeTrainModel, figures: Mapping[str, Figures]) -> dict[str, str]:
    """Write the figures of all parts of a recording, by what each line says."""
    per_bin, unit = 1.0, " spikes per bin"
    if model.bin_width_ is not None:
        per_bin, unit = model.bin_width_, " spikes/s"
    ended = "converged" if model.converged_ else "not converged"
    rows = {
        "rate": ", ".join(f"{rate / per_bin:.3g}" for rate in model.rate_) + unit,
        "circuit": f"{model.circuit}, {counted(model.parameters_, 'parameter')}",
        "memory": memory_in_words(model),
        "fit": f"{ended} after {counted(model.n_iter_, 'iteration')}",
        "starts": f"{model.agreeing_} of {len(model.starts_)} agree with the best",
        "spikes merged": f"{next(iter(figures.values())).trains.merged:,}",
    }
    for name, found in figures.items():
        test = found.rescaling
        rows[name] = size_in_words(found.trains)
        rows[f"bits per spike, {name}"] = bits_in_words(found.bits_per_spike)
        if test is not None:
            rows[f"KS test, {name}"] = _test_in_words(test)
        for number, unit in found.units.items():
            rows[f"unit {number}, {name}"] = f"{bits_in_words(unit.bits_per_spike)} bits per spike"
            if unit.rescaling is not None:
                rows[f"KS test, unit {number}, {name}"] = _test_in_words(unit.rescaling)
    return rows


def _test_in_words(test: TimeRescaling) -> str:
    return f"distance {test.statistic:.3f} (95 % limit {test.limit:.3f}), p = {test.p_value:.2g}"


def memory_in_words(model: SpikeTrainModel) -> str:
    """Say what carries the past of a model from bin to bin."""
    qubits = counted(model.memory_qubits, "qubit")
    if not isinstance(model.drive, Leaky):
        return qubits
    units = len(model.rate_)
    return f"{qubits} and {counted(units, 'real number')}, the membrane{'s' if units > 1 else ''}"


def size_in_words(trains: SpikeTrains) -> str:
    """Write how much was recorded."""
    width = "" if trains.bin_width is None else f" of {1000 * trains.bin_width:g} ms"
    bins, spikes = f"{counted(trains.bins, 'bin')}{width}", counted(trains.count, "spike")
    return f"{counted(len(trains), 'train')}, {bins}, {spikes}"


def bits_in_words(bits: float) -> str:
    """Write a gain in bits per spike."""
    return f"{bits:+.3f}" if math.isfinite(bits) else "impossible spikes"
