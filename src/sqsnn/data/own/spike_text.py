"""Reader of spike times in text: .csv, .tsv and .txt, one spike per line."""

import csv
import re
from array import array
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np

from sqsnn.data.own.faults import (
    are_plain_numbers,
    meaningful_lines,
    number_fault,
    refuse,
    shortened,
    suggestion,
)
from sqsnn.data.own.spike_table import SpikeTable
from sqsnn.errors import DataError

COLUMNS = ("time", "train", "unit")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_WHOLE = re.compile(r"\+?[0-9]{1,18}")


def read_spike_text(path: Path) -> SpikeTable:
    """Read a table of spikes.

    Args:
        path: The file. Its columns are named time, train and unit, in any order; a column of times
            alone needs no name. Without trains there is one, and without units one unit.

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
    numbers = {name: array("q") for name in names if name != "time"}
    for number, line in lines:
        cells = split(number, line)
        if len(cells) != len(names):
            raise refuse(path, f"line {number}", f"{len(names)} values", f"{len(cells)}")
        for name, cell in zip(names, cells, strict=True):
            if name == "time" and _is_number(cell):
                times.append(float(cell))
            elif name != "time" and _WHOLE.fullmatch(cell.strip()):
                numbers[name].append(int(cell))
            else:
                raise _wrong_cell(path, number, name, cell)
        rows.append(number)
    if not rows:
        raise refuse(path, "", "times below the names of the columns", "none")
    trains, units = (
        np.array(numbers[name] if name in numbers else np.zeros(len(rows)), np.int64)
        for name in ("train", "unit")
    )
    return SpikeTable(
        np.array(times), trains, units, np.unique(units), None, lambda row: f"line {rows[row]}"
    )


def _splitter(path: Path) -> Callable[[int, str], list[str]]:
    """Give the function that splits a line into its values."""
    delimiter = _DELIMITERS.get(path.suffix.lower())

    def split(number: int, line: str) -> list[str]:
        if '"' not in line:
            return line.split(delimiter)
        try:
            # Line by line: csv would join a line to the next one where a quotation mark is missing.
            return next(csv.reader([line], delimiter=delimiter or " ", strict=True))
        except csv.Error as error:
            raise refuse(path, f"line {number}", "pairs of quotation marks", f"{error}") from error

    return split


def _is_number(cell: str) -> bool:
    return are_plain_numbers([cell]) or number_fault(cell) is None


def _wrong_cell(path: Path, number: int, name: str, cell: str) -> DataError:
    where = f"line {number}, column {name!r}"
    if name == "time":
        return refuse(path, where, "a number", number_fault(cell) or shortened(cell))
    return refuse(path, where, "a whole number from 0, of at most 18 digits", shortened(cell))


def _check_names(path: Path, where: str, names: list[str]) -> None:
    for name in names:
        if name not in COLUMNS:
            hint = suggestion(name[:100], COLUMNS)
            expected = "the names of the columns, of time, train and unit"
            raise refuse(path, where, expected, f"{shortened(name)}; {hint}")
    if "time" not in names or len(set(names)) < len(names):
        raise refuse(path, where, "one column time, and train or unit once", ", ".join(names))
