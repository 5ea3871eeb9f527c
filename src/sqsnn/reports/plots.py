"""The plots of a run: learning curve, spike raster, confusion matrix.

Every function makes a `matplotlib.figure.Figure` of its own; pyplot and matplotlib's global
settings are left alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sqsnn.checks import check_shape
from sqsnn.network import NetworkRecord
from sqsnn.reports.style import BLUE, FAINT, INK, MUTED, VERMILION, styled
from sqsnn.training.trainer import rank

_EMPTY = "#F6F8FA"  # a cell without samples
_SHADE = "#B9D5EC"  # what a firing probability of 1 looks like behind the spikes


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
def raster(
    record: NetworkRecord,
    input_spikes: Float[Tensor, "T B P C"],
    *,
    sample: int = 0,
    label: int,
    prediction: int,
    class_names: Sequence[str],
) -> Figure:
    """Draw the spikes of one sample through all layers, from the input to the classes.

    Time runs to the right; each row is a neuron, its channels side by side in thinner rows. Behind
    the spikes of a layer lies the probability with which they were drawn. The bars on the right
    count each neuron's spikes. Analogue input is shaded.
    """
    steps, batch, classes, _ = record.layers[-1].spikes.shape
    check_shape("input_spikes", input_spikes, (steps, batch, "P", "C"))
    if not 0 <= sample < batch:
        raise ValueError(f"sample must lie in 0..{batch - 1}, but is {sample}")
    _check_names(class_names, classes, "output neuron")

    titles = ["Input", *(f"Hidden layer {n}" for n in range(1, len(record.layers))), "Output"]
    if len(record.layers) == 2:
        titles[1] = "Hidden layer"
    spikes = [input_spikes, *(layer.spikes for layer in record.layers)]
    sizes = [layer.shape[2] for layer in spikes]
    heights = [min(2.2, max(1.2, 0.028 * size)) for size in sizes[:-1]]
    heights.append(max(0.9, min(6.0, 0.2 * classes)))
    figure = Figure(figsize=(8, sum(heights) + 0.48 * len(heights) + 0.9), layout="constrained")
    figure.suptitle(
        f"One sample through the network: label “{class_names[label]}”, "
        f"prediction “{class_names[prediction]}”",
        x=0.012,
        ha="left",
    )
    grid = figure.subplots(
        len(heights), 2, sharex="col", sharey="row", width_ratios=(6, 1), height_ratios=heights
    )
    for (axes, totals), title, layer, height in zip(grid, titles, spikes, heights, strict=True):
        is_output = title == "Output"
        shown = layer[:, sample].detach().cpu().double().numpy()  # (T, neurons, channels)
        rows = shown.shape[1] * shown.shape[2]
        _draw_spikes(axes, shown, INK if title == "Input" else BLUE, 72 * height / rows)
        axes.set_title(_describe(title, shown))
        axes.set_ylabel("class" if is_output else "neuron")
        axes.set_ylim(shown.shape[1] - 0.5, -0.5)
        _draw_totals(totals, shown, prediction if is_output else None, label)
    for (axes, _), layer in zip(grid[1:], record.layers, strict=True):
        _shade_probability(axes, layer.probability[:, sample].detach().cpu().double().numpy())
    grid[0, 1].set_title("Total", color=MUTED)
    figure.align_ylabels(grid[:, 0])
    output, counts = grid[-1]
    output.set_yticks(range(classes), class_names)
    output.get_yticklabels()[label].set(color=INK, fontweight="bold")
    output.set(xlabel="time step (shading: firing probability)", xlim=(0.5, steps + 0.5))
    output.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    counts.set_xlabel("spikes")
    counts.xaxis.set_major_locator(MaxNLocator(3, integer=True))
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
    _check_names(class_names, classes, "row of counts")
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


def _draw_spikes(axes: Axes, values: np.ndarray, color: str, row_height: float) -> None:
    """Draw a bar per value above 0 of one sample, (T, neurons, channels), shaded by the value."""
    steps, neurons, channels = np.nonzero(values)
    if not len(steps):  # matplotlib refuses to shade no bars
        return
    rows = values.shape[2]
    x = steps + 1.0
    y = neurons + (channels + 0.5) / rows - 0.5
    corners = np.array(
        [(-0.42, -0.4 / rows), (0.42, -0.4 / rows), (0.42, 0.4 / rows), (-0.42, 0.4 / rows)]
    )
    bars = PolyCollection(
        list(np.stack([x, y], axis=-1)[:, None] + corners),
        facecolor=color,
        edgecolor=color,
        linewidth=max(0.0, 0.6 - 0.8 * row_height),  # points: keeps the thinnest rows visible
        alpha=values[steps, neurons, channels],
    )
    axes.add_collection(bars)


def _shade_probability(axes: Axes, probability: np.ndarray) -> None:
    steps, neurons, channels = probability.shape
    axes.imshow(
        probability.reshape(steps, neurons * channels).T,
        aspect="auto",
        cmap=LinearSegmentedColormap.from_list("shade", ["white", _SHADE]),
        vmin=0,
        vmax=1,
        extent=(0.5, steps + 0.5, neurons - 0.5, -0.5),
        zorder=0,
    )


def _draw_totals(axes: Axes, values: np.ndarray, prediction: int | None, label: int) -> None:
    totals = values.sum(axis=(0, 2))
    if _is_analogue(values):
        axes.set_visible(False)
    elif prediction is None:
        edges = np.arange(len(totals) + 1) - 0.5
        axes.stairs(totals, edges, orientation="horizontal", fill=True, color=FAINT)
    else:
        colors = [FAINT] * len(totals)
        colors[prediction] = BLUE if prediction == label else VERMILION
        axes.barh(range(len(totals)), totals, height=0.8, color=colors)
    axes.tick_params(axis="y", length=0)


def _describe(title: str, values: np.ndarray) -> str:
    _, neurons, channels = values.shape
    each = f" of {channels} channels" if channels > 1 else ""
    what = "analogue values" if _is_analogue(values) else f"{values.sum():.0f} spikes"
    return f"{title}: {neurons} neurons{each}, {what}"


def _is_analogue(values: np.ndarray) -> bool:
    return bool(((values != 0) & (values != 1)).any())


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


def _check_names(class_names: Sequence[str], classes: int, each: str) -> None:
    if len(class_names) != classes:
        raise ValueError(
            f"class_names must have {classes} names, one per {each}, but has {len(class_names)}"
        )
