"""`sqsnn report`: a run as one page to mail."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from sqsnn.cli.ends import Output


def report(
    folder: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Write a run as one HTML page that holds its figures and pictures and loads nothing.

    Parameters
    ----------
    folder
        Folder of the run.
    out
        The file [default: report.html in the folder].
    data_dir
        Folder of the datasets, for pictures that are missing [default: that of the training].
    """
    from sqsnn.runs.report import write_report

    written = write_report(folder, out, data_dir)
    console = Output()
    for why in written.left_out:
        console.print(Text(why, style="yellow"), soft_wrap=True)
    console.print(Text(str(written.path)), soft_wrap=True)
