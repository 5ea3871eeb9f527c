"""`sqsnn inspect`: looking into a trained run."""

from collections.abc import Iterable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sqsnn.training.inspect_config import GradientOptions, NoiseOptions

if TYPE_CHECKING:
    from sqsnn.reports.accounting import Costs
    from sqsnn.reports.diagnosis import Diagnosis, Estimate, Watch
    from sqsnn.reports.noise_plot import NoisePoint

_KEY = ("estimator", "W", "R/K")

inspect = App(name="inspect", help="Look into a trained run.")

_READING = """\
The window: its bias stays at infinitely many shots (first table). A longer window mends it, but \
brings back more events that the trials do not catch (second row of each window).
The shots: noise, which parts a single draw from the mean of many and falls with the shots. A step \
of training sees a single draw. A bias not much above its noise is not told from noise."""
_LIKELIHOOD = """\
With --signal likelihood the exact gradient is 0 on average over spikes and shrinks as the batch \
grows, which the bias of a window does not: compare with --signal signs."""

_COUNTED = """\
A synaptic operation adds a weight to a current, where a spike arrives; a dense network multiplies \
and adds one number for every weight. Every measured qubit is reset."""


@inspect.command
def gradients(
    run: Path,
    /,
    *,
    options: Annotated[GradientOptions | None, Parameter(name="*")] = None,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Measure bias and noise of gradients from measured bits, against the exact gradient of the
    same spikes; writes gradients.json and gradients.png into the folder of the run.

    Parameters
    ----------
    run
        Folder of the run.
    data_dir
        Folder of the datasets [default: where they lay in training].
    """
    from sqsnn.training import run_folder
    from sqsnn.training.inspect import gradients as measure

    console, watch = _watched()
    options = options or GradientOptions()
    folder = run_folder.find(run)
    found = measure(folder, options, data_dir, watch)
    console.print()
    for table in (_windows(found), _estimators(found), _by_kind(found)):
        console.print(table)
    console.print(Text(_READING))
    if options.signal == "likelihood":
        console.print(Text(_LIKELIHOOD))
    for name in ("gradients.json", "gradients.png"):
        console.print(Text(str(folder.path / name)), soft_wrap=True)


@inspect.command
def noise(
    run: Path,
    /,
    *,
    options: Annotated[NoiseOptions | None, Parameter(name="*")] = None,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Run a network under the noise of a device, weaker and stronger, on validation samples; writes
    noise.json and noise.png into the folder of the run.

    Parameters
    ----------
    run
        Folder of the run.
    data_dir
        Folder of the datasets [default: where they lay in training].
    """
    from sqsnn.training import run_folder
    from sqsnn.training.inspect import noise as measure

    console, watch = _watched()
    folder = run_folder.find(run)
    points = measure(folder, options or NoiseOptions(), data_dir, watch)
    console.print()
    console.print(_strengths(points))
    for name in ("noise.json", "noise.png"):
        console.print(Text(str(folder.path / name)), soft_wrap=True)


@inspect.command
def costs(
    run: Path,
    /,
    *,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Count what an inference costs on test samples, layer by layer: spikes, synaptic operations,
    gates, measurements; writes costs.json into the folder of the run.

    Parameters
    ----------
    run
        Folder of the run.
    data_dir
        Folder of the datasets [default: where they lay in training].
    """
    from sqsnn.training import run_folder
    from sqsnn.training.inspect import costs as count

    console = Console()
    folder = run_folder.find(run)
    found = count(folder, data_dir)
    console.print()
    console.print(_costs(found))
    console.print(Text(_COUNTED))
    console.print(Text(str(folder.path / "costs.json")), soft_wrap=True)


def _watched() -> "tuple[Console, Watch]":
    console = Console()

    def watch(setting: str, number: int, of: int) -> None:
        console.print(Text(f"{number} of {of}: {setting}"), soft_wrap=True)

    return console, watch


def _strengths(points: "tuple[NoisePoint, ...]") -> Table:
    hidden = len(points[0].spikes_per_sample) - 1
    layers = [f"hidden\nlayer {layer}" for layer in range(1, hidden + 1)] + ["output\nlayer"]
    table = _table(
        f"Validation accuracy by spike count over {len(points[0].accuracies)} runs; "
        "spikes a sample",
        *("strength", "mean", "devi-\nation", *layers),
    )
    for point in points:
        table.add_row(
            f"{point.strength:g}",
            f"{point.mean:.1%}",
            f"{point.deviation:.1%}",
            *(f"{spikes:.1f}" for spikes in point.spikes_per_sample),
        )
    return table


def _costs(found: "Costs") -> Table:
    from sqsnn.reports.accounting import cost_rows

    hidden = len(found.layers) - 1
    names = [f"hidden\nlayer {layer}" for layer in range(1, hidden + 1)] + ["output\nlayer", "all"]
    table = _table(f"Costs of an inference, mean over {found.samples} test samples", "", *names)
    table.columns[0].justify = "left"
    for row in cost_rows(found.as_dict()):
        total = "" if row.total is None else f"{row.total:,.0f}"
        table.add_row(row.label, *(f"{count:,.0f}" for count in row.layers), total)
    return table


def _windows(found: "Diagnosis") -> Table:
    table = _table(
        "The window alone, at infinitely many shots: cosine",
        *("W", "trials", "impos-\nsible", *_headings(found.norm), "bias,\nall"),
    )
    for limit in found.limits:
        table.add_row(
            str(limit.window),
            "no limit" if limit.max_trials is None else str(limit.max_trials),
            f"{limit.impossible:.1%}",
            *map(_number, limit.cosine.values()),
            _number(limit.bias["all"]),
        )
    return table


def _estimators(found: "Diagnosis") -> Table:
    table = _table(
        f"Estimators, all parameters: {found.draws} draws, {found.neuron_steps} steps of neurons",
        *_KEY,
        *("shots\na step", "cir-\ncuits", "given\nup"),
        *("cosine\nmean", "bias\nmean", "its\nnoise", "vari-\nance", "cosine\ndraw"),
    )
    for one in found.estimates:
        quality = one.quality["all"]
        table.add_row(
            *_key(one),
            f"{one.shots_per_step:,.0f}",
            f"{one.circuits_per_step:.1f}",
            "" if one.given_up is None else f"{one.given_up:.1%}",
            *map(_number, astuple(quality)),
        )
    return table


def _by_kind(found: "Diagnosis") -> Table:
    kinds = [kind for kind in found.norm if kind != "all"]
    table = _table("By kind of parameter: cosine of the mean / of a draw", *_KEY, *_headings(kinds))
    for one in found.estimates:
        chosen = [one.quality[kind] for kind in kinds]
        table.add_row(
            *_key(one), *(f"{_number(q.cosine)} / {_number(q.draw_cosine)}" for q in chosen)
        )
    return table


def _headings(kinds: Iterable[str]) -> Iterator[str]:
    yield from (kind.replace(" ", "\n") for kind in kinds)


def _table(title: str, *headings: str) -> Table:
    # Narrow enough for 80 columns.
    table = Table(
        title=Text(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in headings:
        justify = "left" if heading == "estimator" else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    return table


def _key(one: "Estimate") -> tuple[str, str, str]:
    return one.name, str(one.window), str(one.size)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
