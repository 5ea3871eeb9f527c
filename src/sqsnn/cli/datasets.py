"""`sqsnn datasets`: what can be trained on, and whether it is there."""

from pathlib import Path


def datasets(*, data_dir: Path | None = None) -> None:
    """List the datasets, and whether their files are there.

    Parameters
    ----------
    data_dir
        Folder of the datasets [default: $SQSNN_DATA, else the user's cache folder].
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from sqsnn.data import catalog
    from sqsnn.errors import DataError

    table = Table(title="Datasets", show_lines=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is", ratio=1)
    for heading in ("train", "test", "classes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in catalog.names():
        try:
            known = catalog.describe(name, data_dir=data_dir)
        except DataError as error:  # one broken file does not hide the other datasets
            table.add_row(name, escape(f"{error}"), "", "", "")
            continue
        where = f" in {known.folder}" if known.folder else ""
        missing = "downloaded when first used" if known.obtainable else "to be put there by hand"
        there = "ready" if known.present else missing
        table.add_row(
            name,
            f"{known.text}\n{known.source}{where}: {there}",
            str(known.train_samples),
            str(known.test_samples),
            str(len(known.class_names)),
        )
    table.caption = escape(
        "Beside these, any event dataset of the library tonic (pip install 'sqsnn[events]'), e.g. "
        "sqsnn train tonic:DVSGesture --duration 1.5"
    )
    Console().print(table)
