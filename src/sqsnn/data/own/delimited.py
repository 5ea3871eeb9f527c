"""Reader of text tables, .csv and .tsv, parsed by pandas.

pandas is fast, but it tells little about what is wrong, and is lenient. So a table with a fault is
read again, row by row and strictly, until the place is found.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from sqsnn.data.own.faults import (
    DELIMITERS,
    MISSING,
    are_plain_numbers,
    number_fault,
    refuse,
    shortened,
    text_lines,
    to_labels,
)
from sqsnn.errors import DataError

# What helps where no number stands: in a column of text, and in a gap.
_WAY_OUT = {
    False: "; leave such a column out by columns (--columns)",
    True: "; fill it, or leave its row or its column (--columns) out",
}
_SWITCHES = ("true", "false")
_NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"}


def read_names(path: Path) -> list[str]:
    """Read the names of the columns from the first line.

    Raises:
        DataError: If there is one column only, as with another delimiter.
    """
    line, header = next(_rows(path), (1, [""]))
    if len(header) > 1:
        return [name.strip() for name in header]
    wanted = _NAMES[DELIMITERS[path.suffix.lower()]]
    others = [name for sign, name in _NAMES.items() if sign in header[0]]
    hint = f"; its delimiter seems to be the {others[0]}: save it with a {wanted}" if others else ""
    expected = f"names of columns with a {wanted} between them"
    raise refuse(path, f"line {line}", expected, f"one column{hint}")


def read_columns(
    path: Path, names: Sequence[str], features: Sequence[str], texts: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Read the features, (n, F), and columns of labels or groups by name.

    Raises:
        DataError: If a row or a value does not fit; it names line and column.
    """
    positions = {name: index for index, name in enumerate(names)}
    chosen = [positions[name] for name in features]
    kinds: dict[Any, Any] = dict.fromkeys(range(len(names)), object)
    kinds |= dict.fromkeys(chosen, np.float64)
    try:
        frame = pd.read_csv(
            path,
            sep=DELIMITERS[path.suffix.lower()],
            header=0,
            names=list(range(len(names))),
            dtype=kinds,
            na_filter=False,
            low_memory=False,  # the type of a column is decided once, not for each block of lines
        )
        X = frame[chosen].to_numpy(np.float64)
        # A row with more values than the header makes pandas take the first for an index.
        if not isinstance(frame.index, pd.RangeIndex) or not X.size or not np.isfinite(X).all():
            raise ValueError("values that do not fit the names of the columns")
        entries = {name: frame[positions[name]].tolist() for name in texts}
        labels = {name: to_labels(path, cells, [""] * len(X)) for name, cells in entries.items()}
    except (DataError, ValueError, OverflowError, MemoryError) as error:
        _find_fault(path, names, features, texts, error)
    return np.ascontiguousarray(X), labels


def _find_fault(
    path: Path,
    names: Sequence[str],
    features: Sequence[str],
    texts: Sequence[str],
    error: Exception,
) -> NoReturn:
    """Raise an error that names the first fault of the table."""
    places: list[int] = []
    entries: dict[str, list[str]] = {name: [] for name in texts}
    switches: set[str] | None = None  # columns of True and False, which pandas reads as 1 and 0
    rows = _rows(path)
    next(rows)
    for line, row in rows:
        if len(row) != len(names):
            raise refuse(path, f"line {line}", f"{len(names)} values", f"{len(row)}") from error
        cells = dict(zip(names, row, strict=True))
        if switches is None:
            switches = {name for name in features if cells[name].lower() in _SWITCHES}
        if switches or not are_plain_numbers([cells[name] for name in features]):
            for name in features:
                expected, fault = "a number", number_fault(cells[name])
                if fault is not None:
                    fault += _WAY_OUT[cells[name].strip().lower() in MISSING]
                if name in switches:
                    is_switch = cells[name].lower() in _SWITCHES
                    expected, fault = "True or False", None if is_switch else shortened(cells[name])
                if fault is not None:
                    raise refuse(path, _place(line, name), expected, fault) from error
        places.append(line)
        for name in texts:
            entries[name].append(cells[name])
    if not places:
        raise refuse(path, "", "samples below the names of the columns", "none") from error
    for name, cells in entries.items():
        to_labels(path, cells, [_place(line, name) for line in places])
    raise refuse(path, "", "a table with one sample per line", f"{error}") from error


def _place(line: int, name: str) -> str:
    return f"line {line}, column {name!r}"


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read rows strictly, each with the number of its first line; blank lines are skipped."""
    lines = (text for _, text in text_lines(path))
    reader = csv.reader(lines, delimiter=DELIMITERS[path.suffix.lower()], strict=True)
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise refuse(path, f"line {line}", "values and quotation marks", f"{error}") from error
