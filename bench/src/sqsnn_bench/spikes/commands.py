"""The commands `sqsnn-bench spikes ...`: models of spike trains and their limits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.text import Text

from sqsnn.cli.ends import Output
from sqsnn_bench.spikes.options import CompareOptions

if TYPE_CHECKING:
    from sqsnn_bench.shapes.kept import Kept

FIGURES = Path("bench/results/spikes.json")
COMPARED = Path("bench/results/spikes.jsonl")
Seed = Annotated[int, Parameter(validator=Number(gte=0))]
Family = Literal["hmm", "stiefel", "circuits"]
Seeds = Annotated[int, Parameter(validator=Number(gte=1))]

spikes = App(
    name="spikes",
    help="Compare models of spike trains, and find what memories of a given size allow.",
    default_parameter=Parameter(negative=()),
)


@spikes.command
def compare(
    *,
    options: Annotated[CompareOptions | None, Parameter(name="*")] = None,
    process: tuple[str, ...] = (),
    model: tuple[str, ...] = (),
    out: Path = COMPARED,
) -> None:
    """Compare models of spike trains by held-out bits per spike.

    Six random processes, and a recording without and with its stimulus. A line of the file is one
    fit; fits that are done are kept: the same command again goes on where it stopped. Needs the
    extra `spikes`.

    Args:
        options: How much data.
        process: Process or recording to do now; repeat the flag for several [default: all].
        model: Model to do now; repeat the flag for several [default: all].
        out: File of the fits.
    """
    from sqsnn_bench.spikes import compare as task

    task.compare(options or CompareOptions(), out, _say, process, model)
    _say(str(out))


@spikes.command
def tables(*, out: Path = COMPARED) -> None:
    """Print the comparison as Markdown tables.

    Args:
        out: File of the fits.
    """
    from sqsnn_bench.spikes import compare as task
    from sqsnn_bench.spikes import text

    _say(text.tables(task.read(out)[1]))


@spikes.command
def limits(*, seed: Seed = 0, out: Path = FIGURES) -> None:
    """Find how near classical states and quantum levels come to renewal processes, exactly.

    Limits that are done are kept: the same command again goes on where it stopped.

    Args:
        seed: Of the random starts of each limit.
        out: File of the figures.
    """
    from sqsnn.training.machine import threads
    from sqsnn_bench.shapes.kept import Kept
    from sqsnn_bench.spikes import limit_table

    with threads(1):
        limit_table.measure_all(kept := Kept(out, "limits"), seed, _say)
    _finish(f"limits --seed {seed}", kept)
    _say(limit_table.table(kept.read()))


@spikes.command
def reach(family: Family, *, seed: Seed = 0, out: Path = FIGURES) -> None:
    """Fit models to long trains, and compare them with the exact limits of their memory.

    Fits that are done are kept: the same command again goes on where it stopped.

    Args:
        family: Hidden Markov models that emit on transitions, unconstrained quantum instruments,
            or quantum neurons of several circuits.
        seed: Of the trains and of the starts.
        out: File of the figures.
    """
    from sqsnn.training.machine import threads
    from sqsnn_bench.shapes.kept import Kept
    from sqsnn_bench.spikes import reach as task

    with threads(1):
        task.measure_all(kept := Kept(out, family), task.FITS[family], seed, _say)
    _finish(f"reach {family} --seed {seed}", kept)
    _say(task.table(kept.read(), Kept(out, "limits").read()))


@spikes.command
def cost(*, seed: Seed = 0, out: Path = FIGURES) -> None:
    """Measure seconds and memory of fits of a quantum neuron, each in a fresh process.

    Fits that are done are kept: the same command again goes on where it stopped.

    Args:
        seed: Of the trains and of the starts.
        out: File of the figures.
    """
    from sqsnn_bench.shapes.kept import Kept
    from sqsnn_bench.spikes import cost as task

    task.measure_all(kept := Kept(out, "cost"), seed, _say)
    _finish(f"cost --seed {seed}", kept)
    _say(task.table(kept.read()))


@spikes.command
def measured(*, seeds: Seeds = 5, out: Path = FIGURES) -> None:
    """Fit a neuron from measured bits alone, on Aer and on a noisy snapshot, and run it there.

    Fits that are done are kept: the same command again goes on where it stopped. Needs
    `sqsnn[hardware]`.

    Args:
        seeds: Seeds of windows and starts, from 0 on.
        out: File of the figures.
    """
    from sqsnn.training.machine import threads
    from sqsnn_bench.shapes.kept import Kept
    from sqsnn_bench.spikes import measured_study as task

    with threads(1):
        task.measure_all(kept := Kept(out, "measured"), seeds, _say)
    _finish(f"measured --seeds {seeds}", kept)
    _say(task.tables(kept.read()))


def _finish(words: str, kept: "Kept") -> None:
    """Keep what the figures of a command depend on."""
    from sqsnn_bench.timing import machine

    _say(kept.finish({"command": f"sqsnn-bench spikes {words}", **machine()}))


def _say(line: str) -> None:
    Output().print(Text(line), soft_wrap=True)
