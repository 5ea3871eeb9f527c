"""`sqsnn evaluate`: test the network of a run again, with any number of shots."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def evaluate(
    run: Path,
    /,
    *,
    shots: int = 1,
    predictions: Annotated[Path | None, Parameter(show_default=False)] = None,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Test the best network of a run on the test samples.

    Parameters
    ----------
    run
        Folder of the run.
    shots
        Independent runs of the network per sample, whose spikes and probabilities are summed.
    predictions
        File for the answer to each test sample beside its label, as CSV.
    data_dir
        Folder of the datasets [default: that of the training].
    """
    from sqsnn.cli.progress import Screen
    from sqsnn.runs import folder
    from sqsnn.runs.loading import evaluate_run

    found = folder.find(run)
    Screen().show_evaluation(found, evaluate_run(found, shots, data_dir, predictions))
