"""The answers of a trained network to the samples of a file."""

from pathlib import Path

import numpy as np

from sqsnn.data.own.reading import TABLES, read_own
from sqsnn.errors import DataError
from sqsnn.runs import tables
from sqsnn.runs.tables import Table
from sqsnn.runs.trained import SHOTS, Run


def predict_file(run: Run, path: Path, shots: int = SHOTS) -> Table:
    """Predict the label, or the values, of each sample of a file.

    Of a table, the columns that the network was trained on are read, in any order; others may be
    there. Labels are not needed and not read.

    Raises:
        DataError: If the file is missing, damaged or does not fit the network.
    """
    names = run.preparation.feature_names
    chosen = names if path.suffix.lower() in TABLES and names else None
    data = read_own(path, columns=chosen, needs_labels=False)
    lengths = None if data.lengths is None else data.lengths.tolist()
    try:
        if run.settings.reads_values:
            found = run.predict_values(data.X, lengths=lengths, shots=shots)
            return tables.of_values(found, run.preparation)
        chances = run.predict_proba(data.X, lengths=lengths, shots=shots)
    except ValueError as error:
        raise DataError(f"{path} does not fit the network: {error}") from None
    labels = np.asarray(run.preparation.labels)[chances.argmax(1)]
    return tables.of_classes(labels, chances, run.preparation)
