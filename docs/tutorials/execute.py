"""Run the tutorials and store their outputs: python docs/tutorials/execute.py [NAME ...]."""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
# Pictures of 8 inches at 80 dots per inch keep a notebook small.
KERNEL = ["--InlineBackend.print_figure_kwargs={'dpi': 80}"]


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Run all cells of a notebook in a folder, and give it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the sums, and so the outputs, repeat
    # A progress bar of another package misses its widgets.
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        extra_arguments=KERNEL,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return notebook


def main(names: list[str]) -> None:
    """Run notebooks in place, all by default."""
    for path in sorted(FOLDER.glob("[0-9]*.ipynb")):
        if names and path.stem not in names:
            continue
        notebook = executed(path, FOLDER)
        notebook.metadata = {
            "kernelspec": {"display_name": "Python 3", "name": "python3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
