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
    from rich.table import Table

    from sqsnn.data import catalog

    table = Table(title="Datasets", show_lines=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is", ratio=1)
    for heading in ("train", "test", "classes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in catalog.names():
        known = catalog.describe(name, data_dir=data_dir)
        where = f" in {known.folder}" if known.folder else ""
        there = "ready" if known.present else "downloaded when first used"
        table.add_row(
            name,
            f"{known.text}\n{known.source}{where}: {there}",
            str(known.train_samples),
            str(known.test_samples),
            str(len(known.class_names)),
        )
    Console().print(table)
