"""The answers of a trained network to the samples of a file."""

from pathlib import Path
from typing import Any

import numpy as np

from sqsnn.data.own import TABLES
from sqsnn.data.own.own_data import OwnData
from sqsnn.data.own.reading import read_own
from sqsnn.errors import ConfigError, DataError
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
    data = _read(run, path, None, needs_labels=False)
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


def evaluate_file(run: Run, path: Path, label: str | None = None, shots: int = 1) -> dict[str, Any]:
    """Test a network on the labelled samples of a file.

    Args:
        run: The network.
        path: The file.
        label: Column of the labels in a table; None for that of the training.
        shots: Runs of the network per sample.

    Raises:
        DataError: If the file is missing, damaged or does not fit the network.
    """
    column = label or run.settings.data.label
    data = _read(run, path, column, needs_labels=True)
    lengths = None if data.lengths is None else data.lengths.tolist()
    try:
        figures = run.evaluate(data.X, data.y, lengths=lengths, shots=shots)
    except ValueError as error:
        raise DataError(f"{path} does not fit the network: {error}") from None
    return {"dataset": str(path), **figures}


def _read(run: Run, path: Path, label: str | None, *, needs_labels: bool) -> OwnData:
    """Read a file; of a table, the columns of the training."""
    names = run.preparation.feature_names
    is_table = path.suffix.lower() in TABLES
    try:
        return read_own(
            path,
            label=label if is_table else None,
            columns=names if is_table and names else None,
            needs_labels=needs_labels,
        )
    except ConfigError as error:
        known = f", which was trained on {', '.join(names)}" if names else ""
        raise DataError(f"{path} does not fit the network{known}: {error}") from None
