"""`sqsnn export`: a trained neuron for other quantum stacks."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.text import Text

from sqsnn.cli.ends import Output


def export(
    run: Path,
    /,
    *,
    layer: int = 0,
    neuron: int = 0,
    steps: Annotated[int | None, Parameter(show_default=False)] = None,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
    dialect: Literal["qiskit", "braket"] = "qiskit",
) -> None:
    """Write a trained neuron as an OpenQASM 3 program and as a drawing into the folder of the run.

    Parameters
    ----------
    run
        Folder of the run.
    layer
        Layer, from 0, the first hidden one.
    neuron
        Neuron of the layer, from 0.
    steps
        Time steps [default: those of the run].
    data_dir
        Folder of the datasets [default: that of the training].
    dialect
        qiskit: OpenQASM 3 with its standard gates; braket: Amazon's gates and conditions.
    """
    from sqsnn.runs import folder
    from sqsnn.runs.export import export_neuron

    for path in export_neuron(folder.find(run), layer, neuron, steps, data_dir, dialect):
        Output().print(Text(str(path)), soft_wrap=True)
