"""`sqsnn evaluate`: test a trained network again, on its test samples or on those of a file."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def evaluate(
    run: Path,
    data: Path | None = None,
    /,
    *,
    label: Annotated[str | None, Parameter(show_default=False)] = None,
    shots: int = 1,
    predictions: Annotated[Path | None, Parameter(show_default=False)] = None,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Test the network of a run on its test samples, or on the samples of a file.

    Parameters
    ----------
    run
        Folder of the run; with a file of samples also a saved network.
    data
        A file with samples and labels, as for `sqsnn train` [default: the test samples].
    label
        Label column of a table [default: that of the training].
    shots
        Independent runs of the network per sample, whose spikes and probabilities are summed.
    predictions
        File for the answer to each test sample beside its label, as CSV.
    data_dir
        Folder of the datasets [default: that of the training].
    """
    from sqsnn import launch
    from sqsnn.cli.progress import Screen
    from sqsnn.errors import ConfigError
    from sqsnn.runs import api, folder
    from sqsnn.runs.loading import evaluate_run
    from sqsnn.runs.prediction import evaluate_file

    if data is None:
        if label is not None:
            raise ConfigError("--label goes with a file of samples")
        figures = evaluate_run(folder.find(run), shots, data_dir, predictions)
    else:
        if launch.is_launched():
            raise ConfigError("one process tests a file of samples: call it without torchrun")
        if predictions is not None or data_dir is not None:
            raise ConfigError(
                "--predictions and --data-dir go with the test samples; for a file of samples, "
                "`sqsnn predict` writes the answers"
            )
        figures = evaluate_file(api.load(run), data, label, shots)
    Screen().show_evaluation(run, figures)
