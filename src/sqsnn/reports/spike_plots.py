"""Plots of a model of spike trains: what follows a spike, and the time-rescaling test."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sqsnn.reports.style import BLUE, FAINT, INK, MUTED, VERMILION, styled

Law = Float[np.ndarray, " groups"]


@styled
def after_spike(
    units: Mapping[str, tuple[Law, Law, Law]],
    edges: Float[np.ndarray, " groups_and_1"],
    time: str,
    title: str,
    ylabel: str,
) -> Figure:
    """Draw the recording as bars, the model as a line and a Poisson process as a dashed line.

    Args:
        units: Of each unit, by its name, the probabilities after a spike of the three, per bin, in
            groups of bins of equal number.
        edges: Of the groups, in units of time.
        time: The unit of time, and the width of a bar, for the axis.
        title: The title of the picture.
        ylabel: What the vertical axis shows.
    """
    columns = min(2, len(units))
    rows = -(-len(units) // columns)
    figure = Figure(figsize=(8, 1 + 2.6 * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    middle = (edges[:-1] + edges[1:]) / 2
    for axes, (name, (recorded, model, poisson)) in zip(grid, units.items(), strict=False):
        axes.stairs(recorded, edges, fill=True, color=FAINT, label="recorded")
        axes.stairs(recorded, edges, color=MUTED, linewidth=0.8)
        axes.plot(middle, model, color=BLUE, label="model")
        axes.plot(middle, poisson, "--", color=VERMILION, label="Poisson process")
        axes.set(xlabel=f"time since a spike ({time})", ylabel=ylabel, xlim=(0, edges[-1]))
        axes.set_ylim(bottom=0)
        if len(units) > 1:
            axes.set_title(name)
    for axes in grid[len(units) :]:
        axes.set_visible(False)
    figure.suptitle(title, x=0.012, ha="left")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=3, borderaxespad=0.2)
    return figure


@styled
def time_rescaling(parts: Mapping[str, tuple[Float[np.ndarray, "..."], float]]) -> Figure:
    """Draw the distribution of rescaled intervals against the uniform one, with its 95 % band.

    It is a staircase, whose largest distance from the diagonal is that of the test.

    Args:
        parts: Of each part of a recording, by its name, the rescaled intervals, sorted, and the
            largest distance from the diagonal that 95 % of right models keep.
    """
    figure = Figure(figsize=(0.4 + 3.8 * len(parts), 4), layout="constrained")
    grid = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, (name, (z, limit)) in zip(grid, parts.items(), strict=True):
        _draw_rescaled(axes, z, limit)
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
