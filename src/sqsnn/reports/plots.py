"""The plots of a run: learning curve and confusion matrix.

Every function makes a `matplotlib.figure.Figure` of its own; pyplot and matplotlib's global
settings are left alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sqsnn.reports.style import BLUE, INK, MUTED, VERMILION, styled
from sqsnn.training.trainer import rank

_EMPTY = "#F6F8FA"  # a cell without samples


@styled
def learning_curve(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw loss and accuracy over the epochs, with a circle at the epoch of the best weights.

    Where spikes were measured, `validation_accuracy_probability` is None.
    """
    if not metrics:
        raise ValueError("metrics must hold at least one epoch, but is empty")
    columns = {
        name: np.array([epoch[name] for epoch in metrics], dtype=float)  # NaN for None
        for name in (
            "epoch",
            "train_loss",
            "train_accuracy",
            "validation_accuracy",
            "validation_accuracy_probability",
        )
    }
    epochs = columns["epoch"]
    figure = Figure(figsize=(8, 3.7), layout="constrained")
    loss, accuracy = figure.subplots(1, 2, width_ratios=(2, 3), gridspec_kw={"wspace": 0.06})
    dots = {"marker": "o", "markersize": 4} if len(epochs) <= 15 else {}
    loss.plot(epochs, columns["train_loss"], color=INK, **dots)
    loss.set(title="Training loss", ylabel="cross-entropy (nats)")
    loss.set_ylim(0, 1.08 * columns["train_loss"].max() or 1)
    for name, label, color, line in (
        ("train_accuracy", "training", MUTED, ":"),
        ("validation_accuracy_probability", "validation, by probability", VERMILION, "--"),
        ("validation_accuracy", "validation, by spikes", BLUE, "-"),
    ):
        if np.isfinite(columns[name]).any():
            accuracy.plot(epochs, 100 * columns[name], line, color=color, label=label, **dots)
    best = max(range(len(metrics)), key=lambda number: rank(metrics[number]))
    reached = 100 * columns["validation_accuracy"][best]
    accuracy.plot(epochs[best], reached, "o", markersize=9, markerfacecolor="none", color=BLUE)
    accuracy.set(
        title=f"Accuracy: validation {reached:.1f} % in the best epoch, {epochs[best]:.0f}",
        ylabel="correct samples (%)",
    )
    accuracy.set_ylim(top=min(101, accuracy.get_ylim()[1]))
    for axes in (loss, accuracy):
        axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
        axes.grid(axis="y")
    figure.legend(loc="outside lower right", ncols=3, borderaxespad=0.2)
    return figure


@styled
def confusion_matrix(
    counts: Int[np.ndarray, "classes classes"], class_names: Sequence[str]
) -> Figure:
    """Draw how often each true class, a row, was read as each class, a column.

    The diagonal is shaded blue by the share of its row; mistakes are orange on a scale of their
    own, up to the largest share but at least a tenth: on the blue scale of a good network they
    would not be visible.
    """
    classes = len(counts)
    if counts.shape != (classes, classes) or counts.sum() == 0 or counts.min() < 0:
        raise ValueError(
            "counts must be a square matrix of samples, at least one in all and none negative, "
            f"but has shape {counts.shape} and sum {counts.sum()}"
        )
    check_names(class_names, classes, "row of counts")
    side = min(9.0, max(4.8, 0.45 * classes + 1.4))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    colors = _cell_colors(counts)
    edges, line = np.arange(classes + 1) - 0.5, 1.2 if classes <= 20 else 0.6
    axes.pcolormesh(edges, edges, colors, edgecolors="white", linewidth=line)
    size = min(10.0, 1.7 * 72 * (side - 1.4) / classes / 5)
    for row, column in zip(*np.nonzero(counts), strict=True):
        is_dark = colors[row, column] @ (0.299, 0.587, 0.114) < 0.55
        cell = axes.text(column, row, str(counts[row, column]), fontsize=size)
        cell.set(color="white" if is_dark else INK, ha="center", va="center_baseline")
    correct, total = np.trace(counts), counts.sum()
    axes.set(
        title=f"Confusion matrix: {correct} of {total} correct ({100 * correct / total:.1f} %)",
        xlabel="predicted class",
        ylabel="true class",
        ylim=(classes - 0.5, -0.5),
    )
    is_long = max(map(len, class_names)) > 3
    axes.set_xticks(range(classes), class_names, rotation=90 if is_long else 0)
    axes.set_yticks(range(classes), class_names)
    axes.tick_params(length=0, labelsize=min(9.0, size + 1))
    axes.spines[:].set_visible(False)
    return figure


def _cell_colors(counts: np.ndarray) -> np.ndarray:
    """RGB of every cell, (classes, classes, 3): hits on a blue scale, mistakes on an orange one."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    is_hit = np.eye(len(counts), dtype=bool)
    mistakes = np.where(is_hit, 0, shares)
    mistakes = mistakes / max(mistakes.max(), 0.1)
    # The scales stop short of their darkest ends, which look alike.
    hits = colormaps["Blues"](0.05 + 0.75 * shares)
    misses = colormaps["Oranges"](0.55 * mistakes)
    colors = np.where(is_hit[..., None], hits, misses)[..., :3]
    colors[counts == 0] = to_rgb(_EMPTY)
    return colors


def check_names(class_names: Sequence[str], classes: int, each: str) -> None:
    """Refuse class names whose number is not that of the classes."""
    if len(class_names) != classes:
        raise ValueError(
            f"class_names must have {classes} names, one per {each}, but has {len(class_names)}"
        )
