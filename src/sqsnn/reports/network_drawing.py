"""The drawing of a network: a box for each population, an arrow for each connection.

Time of evaluation runs from left to right: a population stands right of all that feed it forward.
Connections that close a cycle lead back below the boxes.
"""

import math
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from sqsnn.network import INPUT, Pathway, SpikingNetwork
from sqsnn.network.description import shown_shape, shown_synapses, shown_transport
from sqsnn.reports.style import BLUE, GREEN, INK, MUTED, VERMILION, styled
from sqsnn.training.build import count_trained

_WIDTH, _HEIGHT = 1.9, 0.72  # of a box, in inches, as all below
_COLUMN, _ROW = 3.6, 1.5  # from box to box
_MARGIN, _TITLE = 0.3, 0.75
_ARROWS, _BOXES, _LABELS = 1, 2, 3
_FILLS = {MUTED: "#EEF1F4", BLUE: "#DCEBF7", GREEN: "#D8F0E7"}


class _Place(NamedTuple):
    """The middle of a box."""

    x: float
    y: float  # downward


@styled
def draw_network(network: SpikingNetwork) -> Figure:
    """Draw populations with their shapes, and connections with their synapses and delays."""
    columns = _columns(network)
    rows = max(map(len, columns))
    places = {
        name: _Place(
            _MARGIN + _WIDTH / 2 + column * _COLUMN,
            _TITLE + _ROW * (0.5 + row + (rows - len(names)) / 2),
        )
        for column, names in enumerate(columns)
        for row, name in enumerate(names)
    }
    width = 2 * _MARGIN + _WIDTH + (len(columns) - 1) * _COLUMN
    height = _TITLE + rows * _ROW + 0.6
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    counted = f"{count_trained(network):,} parameters"
    axes.text(_MARGIN, 0.28, counted, fontsize=9, color=MUTED, va="center")
    for name, place in places.items():
        _draw_box(axes, network, name, place)
    for number, pathway in enumerate(network.pathways):
        if isinstance(pathway, Pathway):
            source, target = places[pathway.source], places[pathway.target]
            is_back = network.leads_back(pathway)
            _draw_arrow(axes, pathway, source, target, f"connection {number}", is_back=is_back)
    return figure


def _columns(network: SpikingNetwork) -> list[list[str]]:
    """Sort the input and the populations into columns by the longest way that leads to them."""
    depth = {INPUT: 0}
    for name in network.order:
        sources = [
            pathway.source
            for pathway in network.incoming(name).values()
            if not network.leads_back(pathway)
        ]
        depth[name] = 1 + max((depth[source] for source in sources), default=0)
    columns: list[list[str]] = [[] for _ in range(1 + max(depth.values()))]
    for name, column in depth.items():
        columns[column].append(name)
    return columns


def _draw_box(axes: Axes, network: SpikingNetwork, name: str, place: _Place) -> None:
    color = {INPUT: MUTED, network.names[-1]: GREEN}.get(name, BLUE)
    corner = place.x - _WIDTH / 2, place.y - _HEIGHT / 2
    box = FancyBboxPatch(
        corner, _WIDTH, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", gid=f"box {name}"
    )
    box.set(facecolor=_FILLS[color], edgecolor=color, linewidth=1.2, zorder=_BOXES)
    axes.add_patch(box)
    size = network.inputs
    kind = "spikes or values"
    if name != INPUT:
        population = network.population(name)
        size, kind = population.shape, type(population).__name__
    middle = {"ha": "center", "va": "center", "zorder": _LABELS}
    axes.text(place.x, place.y - 0.13, name, fontsize=10, color=INK, **middle)
    below = f"{shown_shape(size)}, {kind}"
    axes.text(place.x, place.y + 0.15, below, fontsize=7.5, color=MUTED, **middle)


def _draw_arrow(
    axes: Axes, pathway: Pathway, source: _Place, target: _Place, gid: str, *, is_back: bool
) -> None:
    words = [shown_synapses(pathway.connection), *shown_transport(pathway.connection)]
    text = "\n".join([words[0].replace(" then ", "\nthen "), *words[1:]])
    color = VERMILION if is_back else INK
    if is_back:
        begin = source.x + 0.35, source.y + _HEIGHT / 2
        end = target.x - 0.35, target.y + _HEIGHT / 2
        bend = -0.9 if source == target else -0.35
        label = (begin[0] + end[0]) / 2, max(begin[1], end[1]) + 0.4
    elif target.x - source.x > 1.5 * _COLUMN:  # over the boxes in between
        begin = source.x + 0.35, source.y - _HEIGHT / 2
        end = target.x - 0.35, target.y - _HEIGHT / 2
        rise = 0.6
        # An arc of `bend` rises by half of it times the distance.
        bend = -2 * rise / math.dist(begin, end)
        label = (begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2 - rise
    else:
        begin, end = (source.x + _WIDTH / 2, source.y), (target.x - _WIDTH / 2, target.y)
        bend, label = 0.0, ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2)
    arrow = FancyArrowPatch(
        begin, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=10, gid=gid
    )
    arrow.set(color=color, linewidth=1.1, zorder=_ARROWS)
    axes.add_patch(arrow)
    shown = axes.text(*label, text, ha="center", va="center", fontsize=7, color=color)
    shown.set(zorder=_LABELS)
    shown.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.5})
