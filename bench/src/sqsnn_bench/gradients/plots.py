"""The picture of a gradient diagnosis: what the window costs, and what the shots."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sqsnn.reports.style import BLUE, GREEN, INK, MUTED, VERMILION, styled
from sqsnn_bench.gradients.diagnosis import Diagnosis, Estimate
from sqsnn_bench.gradients.scores import ALL

_COLORS = {"geometric": BLUE, "laplace": VERMILION, "spsa": GREEN}
_MARKERS = "osD^vP*X"
_SPREAD = 0.34  # half the width of a window's group


@styled
def gradients(found: Diagnosis) -> Figure:
    """Draw cosines with the exact gradient of all parameters, against windows and against shots.

    On the left the mean of all draws beside what infinitely many shots would give: the bias. On the
    right a single draw, one line per estimator and window: the noise.

    Args:
        found: What `diagnose` returned.

    Raises:
        ValueError: If the exact gradient vanishes, so that nothing has a cosine with it.
    """
    figure = Figure(figsize=(9.5, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.04})
    windows = sorted({limit.window for limit in found.limits})
    _draw_means(left, found, windows)
    _draw_draws(right, found, windows)
    for axes in (left, right):
        axes.grid(axis="y")
        axes.axhline(0, color=MUTED, linewidth=0.8)
    low = min(0.0, *left.get_ylim(), *right.get_ylim())
    left.set(ylim=(low, 1.03), ylabel="cosine with the exact gradient")
    names = [name for name in _COLORS if any(one.name == name for one in found.estimates)]
    trials = next(one.max_trials for one in found.limits if one.max_trials is not None)
    figure.legend(
        handles=[
            Line2D([], [], color=INK, label="infinitely many shots"),
            Line2D(
                [],
                [],
                color=INK,
                linestyle=":",
                label=f"{trials} trials per event (geometric)",
            ),
            *(Line2D([], [], color=_COLORS[name], label=name) for name in names),
            *(
                Line2D([], [], color=MUTED, marker=_MARKERS[n % 8], linestyle="", label=f"W = {w}")
                for n, w in enumerate(windows)
            ),
        ],
        loc="outside lower center",
        ncols=5,
        borderaxespad=0.2,
    )
    return figure


def _draw_means(axes: Axes, found: Diagnosis, windows: Sequence[int]) -> None:
    for place, window in enumerate(windows):
        for limit in found.limits:
            if limit.window == window:
                line = "-" if limit.max_trials is None else ":"
                cosine = _drawn(limit.cosine[ALL])
                axes.plot([place - 0.42, place + 0.42], [cosine, cosine], line, color=INK)
        group = [one for one in found.estimates if one.window == window]
        for number, one in enumerate(group):
            x = place + _SPREAD * (2 * (number + 0.5) / len(group) - 1)
            y = _drawn(one.quality[ALL].cosine)
            axes.plot(x, y, _MARKERS[place % 8], color=_COLORS[one.name], markersize=5)
            axes.annotate(
                str(one.size),
                (x, y),
                (0, -5),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=7,
                color=MUTED,
            )
    axes.set_xticks(range(len(windows)), [str(window) for window in windows])
    axes.set(
        title=f"Mean of {found.draws} draws (numbers: R or K)",
        xlabel="window W (steps)",
        xlim=(-0.6, len(windows) - 0.4),
    )


def _draw_draws(axes: Axes, found: Diagnosis, windows: Sequence[int]) -> None:
    lines: dict[tuple[str, int], list[Estimate]] = {}
    for one in found.estimates:
        lines.setdefault((one.name, one.window), []).append(one)
    for (name, window), line in lines.items():
        ordered = sorted(line, key=lambda one: one.shots_per_step)
        axes.plot(
            [one.shots_per_step for one in ordered],
            [_drawn(one.quality[ALL].draw_cosine) for one in ordered],
            marker=_MARKERS[windows.index(window) % 8] if window in windows else ".",
            markersize=5,
            color=_COLORS[name],
        )
    axes.set(title="A single draw", xlabel="shots per neuron and step", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _drawn(cosine: float | None) -> float:
    if cosine is None:
        raise ValueError("the exact gradient vanishes: no cosine with it can be drawn")
    return cosine
