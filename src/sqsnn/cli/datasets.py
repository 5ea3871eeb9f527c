"""`sqsnn datasets`: what can be trained on, and whether it is there."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqsnn.data.catalog import Description

_TONIC = """\
Any event dataset of tonic as well (pip install 'sqsnn[events]'), e.g.
  sqsnn train tonic:DVSGesture --duration 1.5"""


def datasets(*, data_dir: Path | None = None) -> None:
    """List the datasets, and whether their files are there.

    Parameters
    ----------
    data_dir
        Folder of the datasets [default: $SQSNN_DATA, else the user's cache folder].
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sqsnn.cli.ends import Output
    from sqsnn.data import catalog
    from sqsnn.data.files import data_folder
    from sqsnn.errors import DataError

    table = Table(box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True, style="bold")
    table.add_column("what it is", ratio=1)
    for heading in ("train", "test", "classes"):
        table.add_column(heading, justify="right", no_wrap=True)
    faults = []
    for name in catalog.names():
        try:
            known = catalog.describe(name, data_dir=data_dir)
        except DataError as error:  # one broken file does not hide the other datasets
            table.add_row(name, Text("broken files, see below", style="red"), "", "", "")
            faults.append(f"{name}: {error}")
            continue
        table.add_row(
            name,
            Text(f"{known.text}\n").append(_state(known), style="dim"),
            f"{known.train_samples:,}",
            f"{known.test_samples:,}",
            f"{len(known.class_names)}",
        )
    console = Output()
    console.print(table)
    # Paths and commands stand outside the table, on lines of their own, and are never folded.
    for line in (*faults, f"Folder of the files: {data_folder(data_dir)}", *_TONIC.splitlines()):
        console.print(Text(line), soft_wrap=True)


def _state(known: "Description") -> str:
    """Which files a dataset has, and whether they are there."""
    where = f" in {known.folder.name}" if known.folder else ""
    missing = "downloaded when first used" if known.obtainable else "to be put there by hand"
    return f"{known.source}{where}: {'ready' if known.present else missing}"
