"""Plots of a run that predicts real values: errors over the epochs, predictions beside truth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sqsnn.reports.style import BLUE, INK, MUTED, VERMILION, styled
from sqsnn.training.trainer import rank

MOST_PANELS = 4  # values that are drawn, the first ones


@styled
def error_curve(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the training loss and the validation error over the epochs, the best epoch circled."""
    if not metrics:
        raise ValueError("metrics must hold at least one epoch, but is empty")
    epochs = np.array([epoch["epoch"] for epoch in metrics], dtype=float)
    figure = Figure(figsize=(8, 3.7), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    dots = {"marker": "o", "markersize": 4} if len(epochs) <= 15 else {}
    left.plot(epochs, [epoch["train_loss"] for epoch in metrics], color=INK, **dots)
    left.set(title="Training loss", ylabel="loss of targets of variance 1")
    errors = np.array([epoch["validation_nmse"] for epoch in metrics], dtype=float)  # NaN for None
    right.plot(epochs, errors, color=BLUE, **dots)
    right.axhline(1, color=MUTED, linestyle=":")
    best = max(range(len(metrics)), key=lambda number: rank(metrics[number]))
    right.plot(epochs[best], errors[best], "o", markersize=9, markerfacecolor="none", color=BLUE)
    reached = "not defined" if np.isnan(errors[best]) else f"{errors[best]:.3f}"
    right.set(
        title=f"NMSE: validation {reached} in the best epoch, {epochs[best]:.0f}",
        ylabel="squared error / variance (1: the mean)",
    )
    right.set_ylim(0, 1.08 * float(np.nanmax(np.append(errors, 1))))
    for axes in (left, right):
        axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
        axes.grid(axis="y")
    return figure


@styled
def predictions(
    found: Float[np.ndarray, "n *T K"], truth: Float[np.ndarray, "n *T K"], names: Sequence[str]
) -> Figure:
    """Draw predictions beside the truth: the first test series, or one dot per test sample.

    Args:
        found: Predicted values, NaN at the steps of a series that do not count.
        truth: True values.
        names: Names of the K values; the first four are drawn.
    """
    shown = min(MOST_PANELS, len(names))
    every_step = found.ndim == 3
    if every_step:
        figure = Figure(figsize=(8, 1.2 + 1.6 * shown), layout="constrained")
        grid = figure.subplots(shown, 1, sharex=True, squeeze=False)[:, 0]
    else:
        figure = Figure(figsize=(0.6 + 3.2 * shown, 3.6), layout="constrained")
        grid = figure.subplots(1, shown, squeeze=False)[0]
    for place, axes in enumerate(grid):
        predicted, true = found[..., place], truth[..., place]
        if every_step:
            steps = np.arange(1, found.shape[1] + 1)
            true = np.where(np.isnan(predicted), np.nan, true)
            axes.plot(steps, true[0], color=MUTED, label="truth")
            axes.plot(steps, predicted[0], color=BLUE, label="prediction")
            axes.set(ylabel=names[place])
            axes.grid(axis="y")
        else:
            low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
            axes.plot([low, high], [low, high], color=VERMILION, linewidth=1)
            axes.plot(true, predicted, "o", markersize=3, alpha=0.5, color=BLUE)
            axes.set(xlabel=f"{names[place]}, true", ylabel="predicted")
    if every_step:
        grid[-1].set(xlabel="time step")
        grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        grid[0].set_title("The first test series")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower right", ncols=2, borderaxespad=0.2)
    else:
        figure.suptitle("Test samples: predicted against true", x=0.012, ha="left")
    return figure
