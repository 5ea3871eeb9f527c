"""The spike raster: samples on their way through the network, side by side."""

from collections.abc import Sequence
from textwrap import fill
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sqsnn.checks import check_shape
from sqsnn.network import NetworkRecord
from sqsnn.network.wiring import say_layer
from sqsnn.reports.plots import check_names
from sqsnn.reports.style import BLUE, FAINT, INK, MUTED, VERMILION, styled

_SHADE = "#B9D5EC"  # what a firing probability of 1 looks like behind the spikes


class Shown(NamedTuple):
    """A sample to draw, and what the network did with it.

    Attributes:
        title: What stands above it.
        input_spikes: What the network was given, `(T, B, P, C)`.
        record: What the network did.
        place: The place of the sample in the batch, from 0.
        label: The class of the sample.
        prediction: The class that the network names.
    """

    title: str
    input_spikes: Tensor
    record: NetworkRecord
    place: int
    label: int
    prediction: int


@styled
def raster(samples: Sequence[Shown], class_names: Sequence[str]) -> Figure:
    """Draw the spikes of samples through all layers, from the input to the classes.

    Time runs to the right; each row is a neuron, its channels side by side in thinner rows. Behind
    the spikes of a layer lies the probability with which they were drawn. The bars beside a layer
    count each neuron's spikes; that of the named class is blue where it is right. Analogue input
    is shaded.

    Args:
        samples: Samples of one network, left to right; two at most are readable.
        class_names: One name per class.
    """
    if not samples:
        raise ValueError("samples must hold at least one sample, but is empty")
    layers = [_layers(sample) for sample in samples]  # of each sample, each (T, neurons, channels)
    *hidden, (steps, classes, _) = [layer.shape for layer in layers[0]]
    check_names(class_names, classes, "output neuron")
    heights = [min(2.2, max(1.2, 0.028 * neurons)) for _, neurons, _ in hidden]
    heights.append(max(0.9, min(6.0, 0.2 * classes)))
    width = 8 if len(samples) == 1 else 5 * len(samples)  # inches, as all below
    heads = [fill(sample.title, 8 * width // len(samples)) for sample in samples]
    above = 0.15 + 0.2 * max(head.count("\n") + 1 for head in heads)
    height = above + sum(heights) + 0.5 * len(heights) + 0.6
    # The layout would take the width of the heads for that of the columns: they stand above it.
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - above / height))
    figure = Figure(figsize=(width, height), layout=layout)
    grid = figure.subplots(
        len(heights),
        2 * len(samples),
        sharex="col",
        sharey="row",
        width_ratios=(6, 1) * len(samples),
        height_ratios=heights,
    )
    for number, (sample, shown) in enumerate(zip(samples, layers, strict=True)):
        _draw_sample(grid[:, 2 * number : 2 * number + 2], sample, shown, heights)
        head = {"color": _color(sample), "fontsize": 12, "fontweight": "bold", "in_layout": False}
        grid[0, 2 * number].annotate(
            heads[number], (0, 1), (0, 26), "axes fraction", "offset points", **head
        )
    longest = max(axes.get_xlim()[1] for axes in grid[-1, 1::2])
    for axes, totals in zip(grid[-1, ::2], grid[-1, 1::2], strict=True):
        axes.set(xlabel="time step", xlim=(0.5, steps + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
        totals.set(xlabel="spikes", xlim=(0, longest))
        totals.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    for axes in grid[:, 0]:
        axes.set_ylabel("neuron")
    grid[-1, 0].set_ylabel("class")
    grid[-1, 0].set_yticks(range(classes), class_names)
    figure.align_ylabels(grid[:, 0])
    notes = "shading: firing probability     ▸ true class     coloured bar: named class"
    figure.supxlabel(notes, x=0.99, ha="right", fontsize=9, color=MUTED)
    return figure


def _layers(sample: Shown) -> list[np.ndarray]:
    """The spikes of a sample, layer by layer, the input first."""
    steps, batch, _, _ = sample.record.layers[-1].spikes.shape
    check_shape("input_spikes", sample.input_spikes, (steps, batch, "P", "C"))
    if not 0 <= sample.place < batch:
        raise ValueError(f"place must lie in 0..{batch - 1}, but is {sample.place}")
    spikes = [sample.input_spikes, *(layer.spikes for layer in sample.record.layers)]
    return [_of_sample(layer, sample.place) for layer in spikes]


def _title(population: str) -> str:
    """Name a population: "hidden_2" is "Hidden layer 2", and names of no layer stay."""
    words = say_layer(population)
    return population if words == population else words.capitalize()


def _color(sample: Shown) -> str:
    return BLUE if sample.prediction == sample.label else VERMILION


def _of_sample(values: Tensor, place: int) -> np.ndarray:
    return values[:, place].detach().cpu().double().numpy()  # (T, neurons, channels)


def _draw_sample(
    grid: np.ndarray, sample: Shown, layers: Sequence[np.ndarray], heights: Sequence[float]
) -> None:
    """Draw a sample into two columns of axes, (layers, 2): its spikes, and their totals."""
    names = ["Input", *map(_title, sample.record.names[:-1]), "Output"]
    last = len(layers) - 1
    rows = zip(grid, names, layers, heights, strict=True)
    for number, ((axes, totals), name, layer, height) in enumerate(rows):
        _, neurons, channels = layer.shape
        _draw_spikes(axes, layer, BLUE if number else INK, 72 * height / neurons / channels)
        axes.set_title(_describe(name, layer))
        axes.set_ylim(neurons - 0.5, -0.5)
        colors = [FAINT] * neurons
        if number == last:
            colors[sample.prediction] = _color(sample)
        _draw_totals(totals, layer, colors)
    for (axes, _), record in zip(grid[1:], sample.record.layers, strict=True):
        _shade_probability(axes, _of_sample(record.probability, sample.place))
    output = grid[-1, 0]
    output.annotate(
        "▸",
        (0, sample.label),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="center",
        color=INK,
    )
    output.tick_params(axis="y", pad=9)


def _draw_spikes(axes: Axes, values: np.ndarray, color: str, row_height: float) -> None:
    """Draw a bar per value of one sample, (T, neurons, channels), but 0, shaded by its size.

    Currents may lie beyond [-1, 1], as values do beyond the range of the training: they are full.
    """
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
        alpha=np.abs(values[steps, neurons, channels]).clip(max=1),
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


def _draw_totals(axes: Axes, values: np.ndarray, colors: Sequence[str]) -> None:
    """Draw a bar per neuron, as long as its spikes are many; none for analogue values."""
    totals = values.sum(axis=(0, 2))
    if _is_analogue(values):
        axes.set_visible(False)
    elif len(set(colors)) == 1:
        edges = np.arange(len(totals) + 1) - 0.5
        axes.stairs(totals, edges, orientation="horizontal", fill=True, color=colors[0])
    else:
        axes.barh(range(len(totals)), totals, height=0.8, color=colors)
    axes.tick_params(axis="y", length=0)


def _describe(title: str, values: np.ndarray) -> str:
    _, neurons, channels = values.shape
    each = f" of {channels} channels" if channels > 1 else ""
    what = "analogue values" if _is_analogue(values) else f"{values.sum():.0f} spikes"
    return f"{title}: {neurons} neurons{each}, {what}"


def _is_analogue(values: np.ndarray) -> bool:
    return bool(((values != 0) & (values != 1)).any())
