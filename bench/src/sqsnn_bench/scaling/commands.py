"""The commands `sqsnn-bench scaling ...`: what more processes and larger networks give and cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.text import Text

from sqsnn.cli.ends import Output

if TYPE_CHECKING:
    from sqsnn_bench.shapes.kept import Kept

FIGURES = Path("bench/results/scaling.json")

scaling = App(
    name="scaling",
    help="Measure trainings that processes share, and how a training step grows.",
    default_parameter=Parameter(negative=()),
)


@scaling.command
def parity(*, out: Path = FIGURES) -> None:
    """Compare trainings of two and four processes with that of one, on MNIST under $SQSNN_DATA.

    Trainings that are done are kept: the same command again goes on where it stopped.

    Args:
        out: File of the figures.
    """
    from sqsnn_bench.scaling import parity as task
    from sqsnn_bench.shapes.kept import Kept

    task.measure_all(kept := Kept(out, "parity"), _say)
    _finish("parity", kept)


@scaling.command
def processes(
    *, turns: Annotated[int, Parameter(validator=Number(gte=1))] = 5, out: Path = FIGURES
) -> None:
    """Time training and evaluation of two processes against one; wants an idle machine.

    Args:
        turns: Times that each team of processes starts.
        out: File of the figures.
    """
    from sqsnn_bench.scaling import processes as task
    from sqsnn_bench.shapes.kept import Kept

    task.measure_all(kept := Kept(out, "processes"), turns, _say)
    _finish(f"processes --turns {turns}", kept)


@scaling.command
def growth(*, out: Path = FIGURES) -> None:
    """Measure time and memory of a step against batch, hidden neurons, time steps and qubits.

    Points that are done are kept: the same command again goes on where it stopped.

    Args:
        out: File of the figures.
    """
    from sqsnn_bench.scaling import growth as task
    from sqsnn_bench.shapes.kept import Kept

    task.measure_all(kept := Kept(out, "growth"), _say)
    _finish("growth", kept)


@scaling.command
def calculated(*, out: Path = FIGURES) -> None:
    """Calculate what many processes and quantum processors would take, from `processes`' figures.

    Needs Qiskit: `pip install -c constraints.txt -e '.[hardware]'`.

    Args:
        out: File of the figures.
    """
    from sqsnn_bench.scaling import calculated as task
    from sqsnn_bench.shapes.kept import Kept

    measured = Kept(out, "processes").read()["networks"]
    task.calculate_all(kept := Kept(out, "calculated"), measured)
    _finish("calculated", kept)


@scaling.command
def tables(*, out: Path = FIGURES) -> None:
    """Print the figures as Markdown tables.

    Args:
        out: File of the figures.
    """
    from sqsnn_bench.scaling import text

    Output().print(Text(text.tables(out)), soft_wrap=True)


def _finish(words: str, kept: "Kept") -> None:
    """Keep what the figures of a command depend on."""
    from sqsnn_bench.timing import machine

    _say(kept.finish({"command": f"sqsnn-bench scaling {words}", **machine()}))


def _say(line: str) -> None:
    Output().print(Text(line), soft_wrap=True)
