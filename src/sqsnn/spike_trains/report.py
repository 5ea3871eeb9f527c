"""The page of a fitted model of spike trains: how well it does, in figures, pictures and words."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.reports.page import MISSING, count, escape, headline_figures, render, table
from sqsnn.spike_trains.figures import (
    Figures,
    Fitted,
    bits_in_words,
    in_words,
    memory_in_words,
    verdict,
)
from sqsnn.spike_trains.goodness import autocorrelation, interval_shares
from sqsnn.spike_trains.model import SpikeTrainModel, has_law
from sqsnn.spike_trains.recording import Recording
from sqsnn.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# law(longest, unit): probabilities 1..longest bins after a spike of a unit
_Law = Callable[[int, int], Float64[np.ndarray, " longest"]]

REPORT = "report.html"
INTERVALS, AUTOCORRELATION = "intervals.png", "autocorrelation.png"
RESCALING, CIRCUIT = "time-rescaling.png", "circuit.png"

SHOWN = 0.99  # of the recorded intervals
LEAST_BINS, MOST_BINS, GROUPS = 20, 2000, 60
LONGEST_MS = 1000  # of an axis in ms; a longer one is in s
SAMPLED_BINS, SAMPLED_TRAINS = 100_000, 20

_BITS = """\
Bits per spike: how much better than a Poisson process of the same rate, which knows no past, the \
model predicts each spike. 0 is no better; 1 doubles the likelihood of each spike; below 0 the \
model is worse."""
_HELD_OUT = "Trust the held-out figures: those spikes took no part in the fit."
_ALL_FITTED = "All spikes took part in the fit, so that the figures flatter the model."
_FOLLOWING = "Bars: the recording. Line: {source}. Dashed: a Poisson process of the same rate."
_CUT_OFF = """\
An interval that the end of a train cuts off counts for as long as it was seen (Kaplan-Meier \
estimate), since short trains show few long intervals whole. Each bar is the mean of its bins."""
_AUTOCORRELATION = """\
The probability of any spike, not only of the next one, some time after a spike. A regular train \
has peaks at multiples of its interval."""
_RESCALED = """\
The probabilities of a right model turn time into one in which spikes are those of a Poisson \
process of rate 1. Its intervals, rescaled to 0..1, are then spread evenly: the line follows the \
diagonal, and stays within the band in 95 of 100 recordings (Kolmogorov-Smirnov test). Where it \
leaves the band, the model fails: on the left for short intervals, on the right for long ones."""
_NEURON = """\
One time bin. The channel qubits are measured: these are the spikes. The memory qubits keep their \
state for the next bin."""


def write_report(folder: Path, fitted: Fitted, figures: Mapping[str, Figures]) -> None:
    """Write report.html and its pictures into a folder, with the figures of each part."""
    from sqsnn.reports import style

    drawn = _draw(fitted, figures)
    pngs = {picture: style.png(figure) for picture, figure in drawn.items()}
    title = f"{fitted.name}: a quantum neuron"
    text = render(title, _text(fitted.name, fitted.model, figures), pngs)
    for picture, png in pngs.items():
        write_atomically(folder / picture, lambda part, png=png: part.write_bytes(png))
    write_atomically(folder / REPORT, lambda part: part.write_text(text, "utf-8"))


def _text(name: str, model: SpikeTrainModel, figures: Mapping[str, Figures]) -> str:
    last, tested = list(figures.items())[-1]
    test = tested.rescaling
    headline = {
        f"bits per spike, {last}": bits_in_words(tested.bits_per_spike),
        f"KS test, {last}": MISSING if test is None else f"p = {test.p_value:.2g}",
        "parameters": count(model.parameters_),
        "memory": memory_in_words(model),
    }
    following = _FOLLOWING.format(
        source="the model's exact law" if has_law(model) else "a long sample of the model"
    )
    sections = {
        "Intervals between spikes": f"{following} {_CUT_OFF}\n\n![Shares of the intervals between "
        f"two spikes of a unit: recorded, of the model, of a Poisson process]({INTERVALS})",
        "Autocorrelation": f"{_AUTOCORRELATION} {following}\n\n![Probability of a spike against "
        f"the time since a spike: recorded, model, Poisson process]({AUTOCORRELATION})",
        "Time rescaling": f"{_RESCALED}\n\n![Distribution of the rescaled intervals against the "
        f"diagonal, with the band that 95 % of right models keep to]({RESCALING})",
        "All figures": table(("", "value"), list(in_words(model, figures).items()), numbers=False),
        "The neuron": f"{_NEURON}\n\n![The circuit of the neuron, one time bin]({CIRCUIT})",
    }
    return "\n\n".join(
        [
            f"One quantum neuron, fitted to the spike trains of {escape(name)}.",
            headline_figures(headline),
            f"**{verdict(model, figures)}**",
            f"{_BITS} {_ALL_FITTED if len(figures) == 1 else _HELD_OUT}",
            *(f"## {title}\n\n{body}" for title, body in sections.items()),
        ]
    )


def _draw(fitted: Fitted, figures: Mapping[str, Figures]) -> "dict[str, Figure]":
    from sqsnn.reports import circuit_drawing, spike_plots

    model, trains, rate = fitted.model, fitted.training.trains, fitted.model.rate_
    intervals, following = model.intervals, model.autocorrelation
    if not has_law(model):
        drawn = _sample(model, fitted.training, fitted.seed)
        intervals, following = partial(interval_shares, drawn), partial(autocorrelation, drawn)
    # By the recorded intervals, how much time the pictures show, and in which groups of bins.
    longest = max(_shown_bins(trains, unit) for unit in range(trains.units))
    group = -(-longest // GROUPS)
    groups = -(-longest // group)
    scale, time = 1.0, "bins"
    if model.bin_width_ is not None:
        scale, time = 1000 * model.bin_width_, "ms"
        if scale * group * groups > LONGEST_MS:
            scale, time = model.bin_width_, "s"
    time = f"{time}; bar width {scale * group:g}"

    def draw(groups: int, title: str, ylabel: str, *laws: _Law) -> "Figure":
        units = {
            f"unit {unit}": tuple(
                law(group * groups, unit).reshape(-1, group).mean(1) for law in laws
            )
            for unit in range(trains.units)
        }
        # k bins after a spike is a time of k widths, give or take half a width.
        edges = scale * (0.5 + group * np.arange(groups + 1))
        return spike_plots.after_spike(units, edges, time, title, ylabel)

    tests = {
        f"{part}, unit {test.unit}" if trains.units > 1 else part: (test.rescaled, test.limit)
        for part, found in figures.items()
        if (test := found.rescaling) is not None
    }
    return {
        INTERVALS: draw(
            groups,
            "Intervals between spikes",
            "share of intervals per bin",
            partial(interval_shares, trains),
            intervals,
            lambda longest, unit: rate[unit] * (1 - rate[unit]) ** np.arange(longest),
        ),
        AUTOCORRELATION: draw(
            2 * groups,
            "Autocorrelation",
            "probability of a spike per bin",
            partial(autocorrelation, trains),
            following,
            lambda longest, unit: np.full(longest, rate[unit]),
        ),
        RESCALING: spike_plots.time_rescaling(tests),
        CIRCUIT: circuit_drawing.draw(model.process_.neurons.circuit, model.drive),
    }


def _sample(model: SpikeTrainModel, training: Recording, seed: int) -> SpikeTrains:
    """Draw long trains, along the recorded stimulus if there is one."""
    if training.stimulus is None:
        return model.sample(SAMPLED_TRAINS, SAMPLED_BINS // SAMPLED_TRAINS, random_state=seed)
    repeats = -(-SAMPLED_BINS // training.trains.bins)
    found = [
        train
        for number, values in enumerate(training.stimulus)
        for train in model.sample(
            repeats, len(values), [values] * repeats, random_state=seed + number
        )
    ]
    return SpikeTrains.from_bins(found, model.bin_width_)


def _shown_bins(trains: SpikeTrains, unit: int) -> int:
    """The bins that most intervals of a unit do not exceed."""
    shares = interval_shares(trains, max(map(len, trains)), unit)
    most = int(np.searchsorted(np.cumsum(shares), SHOWN * shares.sum())) + 1
    return min(max(LEAST_BINS, most), MOST_BINS) if shares.any() else LEAST_BINS
