"""The pictures of a study: the headline of every model, and against operations and size."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from sqsnn.reports.style import BLUE, GREEN, INK, MUTED, VERMILION, save, styled
from sqsnn_bench.study import headline
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.costs import OPERATIONS
from sqsnn_bench.study.page import Row

_COLOURS = (BLUE, VERMILION, GREEN, INK, MUTED)
_MARKERS = "osD^v"
_LINE = 0.26  # inches from one label to the next
_ROOM = 0.5  # between the highest figure that can be and the edge


def save_all(study: Study, out: Path, rows: Sequence[Row]) -> None:
    """Draw the pictures of all groups that have a result, and remove the others.

    Args:
        study: The study.
        out: The folder of the results.
        rows: The rows of its table.
    """
    for kind in ("accuracy", "operations", "size"):
        for path in out.glob(f"{kind}-*.png"):
            path.unlink()
    done = [row for row in rows if row["seeds"]]
    for dataset in study.datasets:
        chosen = [row for row in done if row["dataset"] == dataset]
        if chosen:
            save(accuracies(chosen, dataset), out / f"accuracy-{dataset}.png")
        counted = [row for row in chosen if row["synaptic_operations"] is not None]
        if counted:
            save(accuracy_against_operations(counted, dataset), out / f"operations-{dataset}.png")
    for groups in _sizes(study):
        chosen = [row for row in done if row["dataset"] in groups]
        if len({row["dataset"] for row in chosen}) > 1:
            save(accuracy_against_size(chosen, groups[0]), out / f"size-{groups[0]}.png")


@styled
def accuracies(rows: Sequence[Row], dataset: str) -> Figure:
    """Draw one line per model: every seed, their mean, and its 95 % interval.

    Args:
        rows: The rows of a group, each with at least one seed; the first is on top.
        dataset: Name of the group.
    """
    figure = Figure(figsize=(7.2, 1.3 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    shown = headline.of(rows[0])
    for place, row in enumerate(rows):
        reached = row[shown.test]
        values = [shown.scale * value for value in reached["values"]]
        axes.plot(values, [place] * len(values), "|", color=MUTED, markersize=11, zorder=3)
        axes.errorbar(
            shown.scale * reached["mean"],
            place,
            xerr=None if reached["interval"] is None else shown.scale * reached["interval"],
            color=BLUE,
            marker="o",
            markersize=6,
            capsize=3,
        )
    axes.set_yticks(range(len(rows)), [row["label"] for row in rows])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x")
    sizes = sorted({row["parameters"] for row in rows})
    between = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    axes.set(
        title=f"{dataset}, {between} parameters",
        xlabel=f"{shown.axis}: seeds, mean, 95 % interval",
    )
    axes.set_xlim(right=min(axes.get_xlim()[1], shown.most + _ROOM))
    return figure


@styled
def accuracy_against_size(rows: Sequence[Row], dataset: str) -> Figure:
    """Draw the headline of every model against its number of parameters.

    Args:
        rows: Rows of groups that differ in size, each with at least one seed.
        dataset: What the picture is called after.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(rows, key=lambda row: row["model"])
    labels = list(dict.fromkeys(row["model"] for row in rows))
    shown = headline.of(rows[0])
    for model, group in groupby(ordered, key=lambda row: row["model"]):
        number = labels.index(model)
        points = sorted(group, key=lambda row: row["parameters"])
        # Side by side: intervals on one another would look like one.
        aside = 1 + 0.012 * (number - (len(labels) - 1) / 2)
        reached = [point[shown.test] for point in points]
        axes.errorbar(
            [aside * point["parameters"] for point in points],
            [shown.scale * one["mean"] for one in reached],
            [shown.scale * (one["interval"] or 0.0) for one in reached],
            label=points[0]["label"],
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            linestyle=("-", "--", ":")[number // len(_COLOURS) % 3],
            markersize=5,
            capsize=3,
        )
    axes.set_xscale("log")
    groups = {row["dataset"]: row["parameters"] for row in rows}
    axes.set_xticks(list(groups.values()), [f"{size:,}" for size in groups.values()])
    axes.set_xticks([], minor=True)
    axes.grid(axis="y")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set(
        title=f"{dataset}: mean and 95 % interval over seeds",
        xlabel="parameters",
        ylabel=shown.axis,
    )
    return figure


@styled
def accuracy_against_operations(rows: Sequence[Row], dataset: str) -> Figure:
    """Draw the headline of every model against what an inference does.

    Labels stand in a column beside the points, in their order: so none covers another.

    Args:
        rows: The rows of a group, each with at least one seed and its counts.
        dataset: Name of the group.
    """
    figure = Figure(figsize=(7.2, max(3.4, 1.6 + _LINE * len(rows))), layout="constrained")
    axes = figure.subplots()
    shown = headline.of(rows[0])
    ordered = sorted(rows, key=lambda row: row[shown.test]["mean"])
    points = [
        (sum(row[name] for name in OPERATIONS), shown.scale * row[shown.test]["mean"])
        for row in ordered
    ]
    colours = [BLUE if row["measurements"] else VERMILION for row in ordered]
    for row, (done, reached), colour in zip(ordered, points, colours, strict=True):
        axes.errorbar(
            done,
            reached,
            shown.scale * (row[shown.test]["interval"] or 0.0),
            color=colour,
            marker="o" if row["measurements"] else "s",
            markersize=5.5,
            linewidth=1.2,
            capsize=2.5,
        )
    axes.set_title(
        f"{dataset}: mean and 95 % interval over seeds\n"
        "(circles: circuits of qubits, squares: none)"
    )
    axes.set_xlabel("synaptic operations + neuron updates per inference")
    axes.set_ylabel(shown.axis)
    axes.grid(axis="y")
    axes.set_ylim(top=min(axes.get_ylim()[1], shown.most + _ROOM))
    _scale_logarithmically(axes, [done for done, _ in points])
    low, high = axes.get_ylim()
    wanted = [(reached - low) / (high - low) for _, reached in points]
    places = _apart(wanted, _LINE / (figure.get_figheight() - 1.2))
    for row, point, colour, place in zip(ordered, points, colours, places, strict=True):
        line = {"arrowstyle": "-", "color": colour, "alpha": 0.4, "linewidth": 0.8}
        axes.annotate(
            row["label"],
            point,
            (1.05, place),
            textcoords="axes fraction",
            va="center",
            color=colour,
            fontsize=9,
            arrowprops={**line, "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5)},
        )
    return figure


def _scale_logarithmically(axes: Axes, values: Sequence[float]) -> None:
    """Give an axis a factor of at least 1.2: what is nearly equal shall look so."""
    low, high = min(values), max(values)
    wider = max(1.02, math.sqrt(1.2 * low / high), (high / low) ** 0.08)
    low, high = low / wider, high * wider
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    locator = MaxNLocator(5) if high < 3 * low else LogLocator(subs=(1, 2, 5), numticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Move places apart, as little as squares can say, and onto the axis from 0 to 1.

    Args:
        wanted: Where they would be, rising.
        gap: How far apart they must be, at most 1 / (number - 1).
    """
    # Without the gaps it is a rising regression, which the means of runs solve.
    free = [place - gap * number for number, place in enumerate(wanted)]
    n = range(len(free))
    rising = [max(min(fmean(free[j : k + 1]) for k in n if k >= i) for j in n if j <= i) for i in n]
    room = 1 - gap * (len(free) - 1)
    return [min(max(place, 0.0), room) + gap * number for number, place in enumerate(rising)]


def _sizes(study: Study) -> list[list[str]]:
    """Groups that differ in size alone, together."""
    together: dict[Any, list[str]] = {}
    for name, dataset in study.datasets.items():
        rest = dataset.model_dump_json(
            exclude={"dataset", "parameters", "models", "search_from"}, exclude_defaults=True
        )
        together.setdefault((dataset.dataset or name, rest), []).append(name)
    return [groups for groups in together.values() if len(groups) > 1]
