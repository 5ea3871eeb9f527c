"""Plots of a model of spike trains: what follows a spike, and the time-rescaling test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sqsnn.reports.style import BLUE, FAINT, INK, MUTED, VERMILION, styled


@dataclass(frozen=True)
class AfterSpike:
    """Probabilities after a spike of one unit, per bin, in groups of bins of equal number."""

    unit: str
    recorded: Float[np.ndarray, " groups"]
    model: Float[np.ndarray, " groups"]
    poisson: Float[np.ndarray, " groups"]


@styled
def after_spike(
    units: Sequence[AfterSpike],
    edges: Float[np.ndarray, " groups_and_1"],
    time: str,
    title: str,
    ylabel: str,
) -> Figure:
    """Draw the recording as bars, the model as a line and a Poisson process as a dashed line.

    Args:
        units: One panel each.
        edges: Of the groups, in units of time.
        time: The unit of time, and the width of a bar, for the axis.
        title: Of the picture.
        ylabel: Of the vertical axis.
    """
    columns = min(2, len(units))
    rows = -(-len(units) // columns)
    figure = Figure(figsize=(8, 1 + 2.6 * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, shown in zip(grid, units, strict=False):
        middle = (edges[:-1] + edges[1:]) / 2
        axes.stairs(shown.recorded, edges, fill=True, color=FAINT, label="recorded")
        axes.stairs(shown.recorded, edges, color=MUTED, linewidth=0.8)
        axes.plot(middle, shown.model, color=BLUE, label="model")
        axes.plot(middle, shown.poisson, "--", color=VERMILION, label="Poisson process")
        axes.set(xlabel=f"time since a spike ({time})", ylabel=ylabel, xlim=(0, edges[-1]))
        axes.set_ylim(bottom=0)
        if len(units) > 1:
            axes.set_title(shown.unit)
    for axes in grid[len(units) :]:
        axes.set_visible(False)
    figure.suptitle(title, x=0.012, ha="left")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=3, borderaxespad=0.2)
    return figure


@styled
def time_rescaling(
    parts: Mapping[str, Float[np.ndarray, "..."]], limits: Mapping[str, float]
) -> Figure:
    """Draw the distribution of rescaled intervals against the uniform one, with its 95 % band.

    It is a staircase, whose largest distance from the diagonal is that of the test.

    Args:
        parts: Rescaled intervals, sorted, of each part of a recording.
        limits: The largest distance from the diagonal that 95 % of right models keep, of each part.
    """
    figure = Figure(figsize=(0.4 + 3.8 * len(parts), 4), layout="constrained")
    for axes, (name, z) in zip(
        figure.subplots(1, len(parts), squeeze=False)[0], parts.items(), strict=True
    ):
        _draw_rescaled(axes, z, limits[name])
        axes.set_title(f"{name}: {len(z):,} intervals")
    return figure


def _draw_rescaled(axes: Axes, z: np.ndarray, limit: float) -> None:
    uniform = np.array([0.0, 1.0])
    axes.fill_between(uniform, uniform - limit, uniform + limit, color=FAINT, label="95 % band")
    axes.plot(uniform, uniform, color=INK, linewidth=0.8)
    share = np.append(np.arange(len(z) + 1) / len(z), 1)  # of intervals up to 0, z_1, ..., z_n, 1
    at = np.concatenate([[0.0], z, [1.0]])
    axes.step(at, share, where="post", color=BLUE, label="recording")
    axes.set(xlabel="interval, rescaled by the model", ylabel="share of intervals up to it")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_aspect("equal")
    axes.legend(loc="upper left")
