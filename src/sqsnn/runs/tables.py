"""Answers as a table: one row per sample, written as CSV."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sqsnn.data.preparation import Preparation
from sqsnn.storage import write_atomically
from sqsnn.training.evaluate import Scores
from sqsnn.training.values import Predictions

if TYPE_CHECKING:
    from sqsnn.runs.loading import Tested


class Table(NamedTuple):
    """Named columns, and one row per sample."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def of_classes(
    labels: np.ndarray, chances: np.ndarray, preparation: Preparation, truth: Any = None
) -> Table:
    """Lay out predicted labels and the probability of each class.

    Args:
        labels: `(n,)`.
        chances: `(n, classes)`.
        preparation: Names the classes.
        truth: The true labels, `(n,)`; None where they are not known.
    """
    given = () if truth is None else ("label",)
    columns = ("sample", *given, "prediction", *(f"p({name})" for name in preparation.class_names))
    truths = [()] * len(labels) if truth is None else [(one,) for one in truth.tolist()]
    rows = [
        (number, *true, label, *shares)
        for number, (true, label, shares) in enumerate(
            zip(truths, labels.tolist(), chances.tolist(), strict=True)
        )
    ]
    return Table(columns, rows)


def of_values(predictions: Predictions, preparation: Preparation, truth: Any = None) -> Table:
    """Lay out real values; with one value per step, a row per sample and step that counts.

    Args:
        predictions: The values.
        preparation: Names them.
        truth: The true values, of the same shape; None where they are not known.
    """
    values, deviation, counts, _ = predictions
    parts = [("", values), (" (standard deviation)", deviation), (" (true)", truth)]
    given = [(suffix, part.cpu().numpy()) for suffix, part in parts if part is not None]
    every_step = values.ndim == 3
    names = preparation.target_names
    columns = ("sample", *(("step",) if every_step else ()))
    columns += tuple(name + suffix for suffix, _ in given for name in names)
    rows = [
        (*place, *(number for _, part in given for number in part[place]))
        for place in np.ndindex(*values.shape[:-1])
        if counts is None or counts[place]
    ]
    return Table(columns, rows)


def of_test(tested: "Tested", preparation: Preparation) -> Table:
    """Lay out the answers of a test beside the truth."""
    answers, targets = tested.answers, tested.samples.targets
    if not isinstance(answers, Scores):
        return of_values(answers, preparation, targets)
    chances = answers.shares().cpu().numpy()
    named = preparation.named(answers.predicted)
    return of_classes(named, chances, preparation, preparation.named(targets))


def write(path: Path, table: Table) -> None:
    """Write a table as CSV, in one step."""

    def save(part: Path) -> None:
        with part.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(_lines(table))

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save)


def text_of(table: Table) -> str:
    """Write a table as the text of a CSV file."""
    file = StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(_lines(table))
    return file.getvalue()


def _lines(table: Table) -> Iterator[Sequence[Any]]:
    yield table.columns
    yield from table.rows
