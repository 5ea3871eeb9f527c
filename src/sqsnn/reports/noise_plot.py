"""The plot of a trained network under a device's noise: accuracy against its strength."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from sqsnn.reports.style import BLUE, MUTED, styled


@dataclass(frozen=True)
class NoisePoint:
    """A network under noise of one strength."""

    strength: float  # factor of the device's rates
    accuracies: tuple[float, ...]  # by spikes alone, one per run
    mean: float  # of the accuracies
    deviation: float  # standard deviation of a run's accuracy
    spikes_per_sample: tuple[float, ...]  # of each layer


@styled
def accuracy_against_noise(points: Sequence[NoisePoint], backend: str, classes: int) -> Figure:
    """Draw the accuracy at each strength, with the standard deviation of a run, and chance."""
    runs = len(points[0].accuracies)
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(points, key=lambda point: point.strength)
    strengths = [point.strength for point in ordered]
    means = [point.mean for point in ordered]
    deviations = [point.deviation for point in ordered]
    axes.errorbar(strengths, means, deviations, color=BLUE, marker="o", markersize=5, capsize=3)
    note: dict[str, Any] = {"textcoords": "offset points", "color": MUTED, "fontsize": 8.5}
    axes.axhline(1 / classes, color=MUTED, linewidth=0.8, linestyle=":")
    right = ("axes fraction", "data")
    axes.annotate("chance", (1, 1 / classes), (-2, 3), xycoords=right, ha="right", **note)
    axes.axvline(1, color=MUTED, linewidth=0.8)
    axes.annotate("the device", (1, 0), (3, 4), xycoords=("data", "axes fraction"), **note)
    axes.grid(axis="y")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set(
        title=f"Noise of {backend}: mean and standard deviation of {runs} runs",
        xlabel="strength (1: the rates that the device reports)",
        ylabel="validation accuracy (spikes)",
        ylim=(0, 1.02),
    )
    return figure
