"""`sqsnn inspect`: a closer look at a trained run, and at neurons."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich import box
from rich.table import Table
from rich.text import Text

from sqsnn.cli.ends import Output
from sqsnn.cli.help import FLAGS
from sqsnn.runs.inspect import NoiseOptions
from sqsnn.training.memory import MemoryOptions

if TYPE_CHECKING:
    from sqsnn.reports.noise_plot import NoisePoint
    from sqsnn.runs.inspect import Watch
    from sqsnn.training.memory import Capacity

inspect = App(
    name="inspect", help="Take a closer look at a trained run, or at neurons.", help_flags=FLAGS
)

_COUNTED = """\
A synaptic operation adds a weight to a current, where a spike arrives; a dense network multiplies \
and adds one number for every weight. A leaky membrane does so for its decay and for each spike \
that resets it. Every measured qubit is reset."""

_UNCOUNTED = " The linear readout of the last layer is not counted."

_REMEMBERED = """\
Squared correlation of the input some steps ago with a linear readout of the spikes of one step, \
and their sum; chance gives about {chance:.3f} per step. Neurons that draw nothing ran once. \
`bidirectional` without a drive has couplings of 0.6 pi."""
_SHOWN_DELAYS = 5


@inspect.command
def noise(
    run: Path,
    /,
    *,
    options: Annotated[NoiseOptions | None, Parameter(name="*")] = None,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Run a network under the noise of a device, weaker and stronger, on validation samples.

    Writes noise.json and noise.png into the folder of the run.

    Parameters
    ----------
    run
        Folder of the run.
    data_dir
        Folder of the datasets [default: that of the training].
    """
    from sqsnn.runs import folder as folders
    from sqsnn.runs.inspect import noise as measure

    console, watch = _watched()
    folder = folders.find(run)
    points = measure(folder, options or NoiseOptions(), data_dir, watch)
    console.print()
    console.print(_strengths(points, folder.read_settings().population_names))
    for name in ("noise.json", "noise.png"):
        console.print(Text(str(folder.path / name)), soft_wrap=True)


@inspect.command
def costs(
    run: Path,
    /,
    *,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Count spikes, synaptic operations, gates and measurements of an inference, layer by layer.

    Counts on test samples, and writes costs.json into the folder of the run.

    Parameters
    ----------
    run
        Folder of the run.
    data_dir
        Folder of the datasets [default: that of the training].
    """
    from sqsnn.runs import folder as folders
    from sqsnn.runs.inspect import costs as count

    console = Output()
    folder = folders.find(run)
    found = count(folder, data_dir)
    console.print()
    reads_values = folder.read_settings().reads_values
    console.print(_costs(found))
    console.print(Text(_COUNTED + (_UNCOUNTED if reads_values else "")))
    console.print(Text(str(folder.path / "costs.json")), soft_wrap=True)


@inspect.command
def memory(
    circuit: str | None = None,
    /,
    *,
    options: Annotated[MemoryOptions | None, Parameter(name="*")] = None,
) -> None:
    """Measure how far back untrained neurons remember a random input, with and without a drive.

    Parameters
    ----------
    circuit
        A circuit [default: all, and the classical neurons beside them].
    """
    from sqsnn.training.memory import TESTED, measure

    console, watch = _watched()
    found = measure(circuit, options or MemoryOptions(), watch)
    console.print()
    console.print(_capacities(found))
    console.print(Text(_REMEMBERED.format(chance=1 / TESTED)))


def _watched() -> "tuple[Output, Watch]":
    console = Output()

    def watch(setting: str, number: int, of: int) -> None:
        console.print(Text(f"{number} of {of}: {setting}"), soft_wrap=True)

    return console, watch


def _strengths(points: "tuple[NoisePoint, ...]", populations: Sequence[str]) -> Table:
    from sqsnn.network.wiring import say_layer

    layers = [say_layer(name).replace(" ", "\n", 1) for name in populations]
    table = _table(
        f"Validation accuracy over {len(points[0].accuracies)} runs; spikes per sample",
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


def _capacities(found: "tuple[Capacity, ...]") -> Table:
    delays = range(min(_SHOWN_DELAYS, len(found[0].by_delay)))
    headings = [f"{k + 1} ago" for k in delays]
    table = _table("Memory capacity of a layer", "neurons", "capacity", *headings)
    table.columns[0].justify = "left"
    for row in found:
        shown = (f"{row.by_delay[k]:.2f}" for k in delays)
        table.add_row(row.name, f"{row.total:.2f}", *shown)
    return table


def _costs(found: dict[str, Any]) -> Table:
    from sqsnn.network.wiring import say_layer
    from sqsnn.runs.costs import cost_rows

    names = [say_layer(layer["population"]) for layer in found["layers"]]
    headings = ("", *(name.replace(" ", "\n", 1) for name in names), "all")
    table = _table(f"Costs of an inference, mean over {found['samples']} test samples", *headings)
    table.columns[0].justify = "left"
    for row in cost_rows(found):
        total = "" if row.total is None else f"{row.total:,.0f}"
        table.add_row(row.label, *(f"{count:,.0f}" for count in row.layers), total)
    return table


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
        table.add_column(heading, justify="right", no_wrap=True)
    return table
