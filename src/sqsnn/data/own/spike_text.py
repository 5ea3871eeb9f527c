"""Reader of spike times in text: .csv, .tsv and .txt, one spike per line."""

import csv
from array import array
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np

from sqsnn.data.own.faults import (
    DELIMITERS,
    are_plain_numbers,
    meaningful_lines,
    number_fault,
    refuse,
    shortened,
    suggestion,
    to_labels,
)
from sqsnn.data.own.spike_table import SpikeTable, number_labels, one_label

COLUMNS = ("time", "train", "trial", "unit")


def read_spike_text(path: Path) -> SpikeTable:
    """Read a table of spikes.

    Args:
        path: The file. Its columns are named time, train (or trial) and unit, in any order; a
            column of times alone needs no name. Without trains there is one, and without units one
            unit.

    Raises:
        DataError: If a line does not fit; it names line and column.
    """
    split = _splitter(path)
    lines = meaningful_lines(path, "#")
    first = next(lines, None)
    if first is None:
        raise refuse(path, "", "a line with the time of a spike", "none")
    names = [name.strip().lower() for name in split(*first)]
    if len(names) == 1 and number_fault(names[0]) is None:
        names, lines = ["time"], chain([first], lines)
    else:
        _check_names(path, f"line {first[0]}", names)
    # Arrays of the standard library, since a list of as many numbers would take four times as much.
    rows, times = array("q"), array("d")
    # Of trains and units: each label with its position among them, and the position of each row's.
    labels = {name: (dict[str, int](), array("q")) for name in names if name != "time"}
    for number, line in lines:
        cells = split(number, line)
        if len(cells) != len(names):
            raise refuse(path, f"line {number}", f"{len(names)} values", f"{len(cells)}")
        for name, cell in zip(names, cells, strict=True):
            if name != "time":
                known, positions = labels[name]
                positions.append(known.setdefault(cell.strip(), len(known)))
            elif are_plain_numbers([cell]) or number_fault(cell) is None:
                times.append(float(cell))
            else:
                fault = number_fault(cell) or shortened(cell)
                raise refuse(path, f"line {number}, column 'time'", "a number", fault)
        rows.append(number)
    if not rows:
        raise refuse(path, "", "times below the names of the columns", "none")
    found = {}
    for name, (known, positions) in labels.items():
        _, first = np.unique(positions, return_index=True)
        places = [f"line {rows[row]}, column {name!r}" for row in first]
        numbered = number_labels(path, to_labels(path, list(known), places), places.__getitem__)
        found[name] = numbered._replace(of_spikes=numbered.of_spikes[positions])
    trains = found.get("train") or found.get("trial") or one_label(len(rows))
    units = found.get("unit") or one_label(len(rows))
    return SpikeTable(np.array(times), trains, units, None, lambda row: f"line {rows[row]}")


def _splitter(path: Path) -> Callable[[int, str], list[str]]:
    """Give the function that splits a line into its values."""
    delimiter = DELIMITERS.get(path.suffix.lower())

    def split(number: int, line: str) -> list[str]:
        if '"' not in line:
            return line.split(delimiter)
        try:
            # Line by line: csv would join a line to the next one where a quotation mark is missing.
            return next(csv.reader([line], delimiter=delimiter or " ", strict=True))
        except csv.Error as error:
            raise refuse(path, f"line {number}", "pairs of quotation marks", f"{error}") from error

    return split


def _check_names(path: Path, where: str, names: list[str]) -> None:
    for name in names:
        if name not in COLUMNS:
            hint = "several columns need a header line such as time,train"
            if number_fault(name) is not None:
                hint = suggestion(name[:100], COLUMNS)
            expected = "the names of the columns, of time, train and unit"
            raise refuse(path, where, expected, f"{shortened(name)}; {hint}")
    if "time" not in names or len(set(names)) < len(names) or {"train", "trial"} <= {*names}:
        expected = "one column time, and train (or trial) and unit once at most"
        raise refuse(path, where, expected, ", ".join(names))
