"""`sqsnn predict`: the answers of a trained network to new samples."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def predict(
    run: Path,
    data: Path,
    /,
    *,
    out: Path | None = None,
    shots: Annotated[int, Parameter(show_default=True)] = 10,
) -> None:
    """Predict the labels, or the values, of the samples of a file.

    Parameters
    ----------
    run
        Folder of a run, or file of a saved network.
    data
        The samples: .csv, .tsv, .parquet, .npz, .ts or .arff, with the features of the training;
        labels are not needed.
    out
        File for the answers, as CSV [default: print them].
    shots
        Runs of the network that are averaged.
    """
    from rich.text import Text

    from sqsnn.cli.ends import Output, writing_output
    from sqsnn.runs import api, tables
    from sqsnn.runs.prediction import predict_file

    answers = predict_file(api.load(run), data, shots)
    if out is None:
        text = tables.text_of(answers)
        with writing_output():
            print(text, end="", flush=True)
    else:
        tables.write(out, answers)
        Output().print(Text(f"{out}: {len(answers.rows)} rows"), soft_wrap=True)
