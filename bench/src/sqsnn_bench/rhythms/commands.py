"""The command `sqsnn-bench rhythms`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from sqsnn.cli.ends import Output
from sqsnn_bench.rhythms.options import RhythmOptions


def rhythms(
    *,
    options: Annotated[RhythmOptions | None, Parameter(name="*")] = None,
    out: Path = Path("bench/results/rhythms.json"),
) -> None:
    """Compare neurons that tell rhythms apart: spin resonances, leaky membranes, resonators.

    Random spikes whose rate goes up and down with one of six periods, at a random phase. Layers are
    compared untrained, and in networks of one size after a search of as many trials for each.
    Writes the figures, and prints them as Markdown tables.

    Args:
        options: What is equal for all networks.
        out: File of the figures.
    """
    from sqsnn_bench.rhythms.run import compare
    from sqsnn_bench.rhythms.text import tables

    console = Output()
    content = compare(
        options or RhythmOptions(), out, lambda line: console.print(Text(line), soft_wrap=True)
    )
    console.print()
    console.print(Text(tables(content)), soft_wrap=True)
    console.print(Text(str(out)), soft_wrap=True)
