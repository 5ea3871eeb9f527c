"""The commands `sqsnn-bench shapes ...`: what networks of any shape give and cost."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.text import Text

from sqsnn.cli.ends import Output

FIGURES = Path("bench/results/shapes.json")
Seeds = Annotated[int, Parameter(validator=Number(gte=2))]

shapes = App(
    name="shapes",
    help="Measure networks of any shape: recurrence, convolutions, memory and speed.",
    default_parameter=Parameter(negative=()),
)


@shapes.command
def parity(*, seeds: Seeds = 5, out: Path = FIGURES) -> None:
    """Compare recurrent and feed-forward networks of one size on the running parity of 20 bits.

    Trials that are done are kept: the same command again goes on where it stopped.

    Args:
        seeds: Seeds that are tested, from 0 on.
        out: File of the figures.
    """
    from sqsnn_bench.shapes import parity as task

    _run("parity", out, {"seeds": seeds}, lambda kept: task.compare(kept, seeds, _say))


@shapes.command
def nmnist(*, seeds: Seeds = 3, out: Path = FIGURES) -> None:
    """Compare convolutional and dense networks on the N-MNIST recordings under $SQSNN_DATA.

    Trials that are done are kept: the same command again goes on where it stopped.

    Args:
        seeds: Seeds that are tested, from 0 on.
        out: File of the figures.
    """
    from sqsnn_bench.shapes import nmnist as task

    _run("nmnist", out, {"seeds": seeds}, lambda kept: task.compare(kept, seeds, _say))


@shapes.command
def memory(*, out: Path = FIGURES) -> None:
    """Measure the memory of a training step on events of 128 x 128 x 2, and what fits in 4 GB.

    Args:
        out: File of the figures.
    """
    from sqsnn_bench.shapes import memory as task

    _run("memory", out, {}, lambda kept: task.measure_all(kept, _say))


@shapes.command
def speed(
    old: Path, /, *, new: Path = Path(), rounds: int = 7, repeats: int = 7, out: Path = FIGURES
) -> None:
    """Time layers against an older version, and a layer that feeds itself beside one that does not.

    Args:
        old: Checkout of the older version, e.g. made by git worktree add ../old 075a3a2.
        new: Checkout to compare.
        rounds: Fresh processes of each version.
        repeats: Turns of each process, and of each cycle.
        out: File of the figures.
    """
    from sqsnn_bench.shapes import cycles
    from sqsnn_bench.shapes import speed as task

    def measure(kept: Any) -> None:
        kept.write({"versions": task.versions(old, new, rounds, repeats, _say)})
        cycles.measure_all(kept, repeats, _say)

    _run("speed", out, {"rounds": rounds, "repeats": repeats}, measure, [f"../{old.name}"])


@shapes.command
def tables(*, out: Path = FIGURES) -> None:
    """Print the figures as Markdown tables.

    Args:
        out: File of the figures.
    """
    from sqsnn_bench.shapes import text

    Output().print(Text(text.tables(out)), soft_wrap=True)


def _run(
    section: str,
    out: Path,
    flags: dict[str, int],
    work: Callable[[Any], None],
    words: list[str] | None = None,
) -> None:
    """Do the work of a command on one thread, and keep what it depends on."""
    from sqsnn.training.machine import threads
    from sqsnn_bench.shapes.kept import Kept
    from sqsnn_bench.timing import machine

    kept = Kept(out, section)
    with threads(1):
        work(kept)
    said = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    command = shlex.join(["sqsnn-bench", "shapes", section, *(words or []), *said])
    _say(kept.finish({"command": command, **machine()}))


def _say(line: str) -> None:
    Output().print(Text(line), soft_wrap=True)
