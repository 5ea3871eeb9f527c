r"""Reader of .arff files of the archives of time series.

Weka's format: the attributes of a series of one dimension are its steps; one of several dimensions
is a relational attribute, whose rows, separated by \n, are the dimensions. The last attribute is
the class.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqsnn.data.own.faults import meaningful_lines, refuse, shortened, suggestion, to_numbers
from sqsnn.data.own.series import Series

# One entry of a row and what ends it: in quotation marks with escapes, or up to the next comma. The
# repetitions give nothing back (*+), else long hostile lines would take hours.
_ENTRY = re.compile(
    r"""\s*+(?:'((?:[^'\\]++|\\.)*+)'\s*+|"((?:[^"\\]++|\\.)*+)"\s*+|([^,'"]*+))(,|$)""", re.DOTALL
)
_ATTRIBUTE = re.compile(
    r"""@attribute\s++('[^']*+'|"[^"]*+"|[^\s'"{]++)\s*+(\{.*\}|[a-z]++)$""", re.IGNORECASE
)
_NUMERIC = ("numeric", "real", "integer")


class _Header(NamedTuple):
    """Steps of a series, whether they stand in a relational attribute, and the classes."""

    steps: int
    relational: bool
    label_name: str
    classes: list[str]


def parse_arff(path: Path) -> Series:
    """Parse an .arff file; missing values (?) at the end of all dimensions make a series shorter.

    Raises:
        DataError: If a line does not fit; it names line, dimension and position.
    """
    lines = meaningful_lines(path, "%")
    header = _parse_header(path, lines)
    samples, labels, places = [], [], []
    for number, line in lines:
        where = f"line {number}"
        entries = _split(path, where, line)
        wanted = 2 if header.relational else header.steps + 1
        if len(entries) != wanted:
            raise refuse(path, where, f"{wanted} entries", f"{len(entries)}")
        label = entries.pop()
        if label not in header.classes:
            hint = suggestion(label[:100], header.classes)
            raise refuse(path, where, "a declared class", f"{shortened(label)}; {hint}")
        rows = [entries]
        if header.relational:
            rows = [row.split(",") for row in re.split(r"\\n|\n", entries[0].strip())]
        sample = _parse_dimensions(path, where, rows, header.steps)
        if samples and sample.shape[1] != samples[0].shape[1]:
            expected = f"as many dimensions as the first series ({samples[0].shape[1]})"
            raise refuse(path, where, expected, f"{sample.shape[1]}")
        samples.append(sample)
        labels.append(label)
        places.append(f"{where}, label")
    if not samples:
        raise refuse(path, "", "series after @data", "none")
    return Series(samples, labels, places, header.label_name)


def _parse_header(path: Path, lines: Iterator[tuple[int, str]]) -> _Header:
    """Parse the lines up to @data."""
    inside: str | None = None  # the relational attribute that is being declared
    relational, steps, number = False, 0, 0
    label_name, classes = "", None
    for number, line in lines:
        where, tag = f"line {number}", line.split()[0].lower()
        if line.lower() == "@data":
            break
        if tag == "@end" and inside is not None:
            inside = None
            continue
        if tag == "@relation":
            continue
        if classes is not None:
            raise refuse(path, where, "@data behind the class, the last attribute", shortened(line))
        match = _ATTRIBUTE.match(line)
        if match is None:
            raise refuse(path, where, "@attribute, a name and a type", shortened(line))
        name, kind = match[1].strip("'\""), match[2]
        if kind.startswith("{") and inside is None:
            label_name, classes = name, _split(path, where, kind[1:-1])
        elif kind.lower() == "relational" and not steps and inside is None:
            inside, relational = name, True
        elif kind.lower() in _NUMERIC and (inside is not None) == relational:
            steps += 1
        else:
            expected = "numeric steps, alone or in one relational attribute, and then the class"
            raise refuse(path, where, expected, shortened(line))
    else:
        raise refuse(path, "", "a line @data", "the end of the file")
    if classes is None or not steps or inside is not None:
        expected = "attributes of numeric steps, and the class in braces as the last"
        raise refuse(path, f"line {number}", f"{expected}, before @data", "none of them")
    return _Header(steps, relational, label_name, classes)


def _split(path: Path, where: str, line: str) -> list[str]:
    """Split a line at the commas outside quotation marks, and take the marks away."""
    if "'" not in line and '"' not in line:
        return [entry.strip() for entry in line.split(",")]
    entries, position = [], 0
    while True:
        match = _ENTRY.match(line, position)
        if match is None:
            found = shortened(line[position:])
            raise refuse(path, where, "entries, commas and pairs of quotation marks", found)
        quoted = match[1] if match[1] is not None else match[2]
        plain = match[3].strip() if quoted is None else re.sub(r"\\(['\"])", r"\1", quoted)
        entries.append(plain)
        position = match.end()
        if match[4] != ",":
            return entries


def _parse_dimensions(
    path: Path, where: str, rows: Sequence[Sequence[str]], steps: int
) -> np.ndarray:
    """Parse the dimensions of a series to (T, F)."""
    for index, row in enumerate(rows, start=1):
        if len(row) != steps:
            expected = f"{steps} values"
            raise refuse(path, f"{where}, dimension {index}", expected, f"{len(row)}")
    length = steps
    while length > 1 and all(row[length - 1].strip() == "?" for row in rows):
        length -= 1
    numbers = [
        to_numbers(path, f"{where}, dimension {index}", row[:length])
        for index, row in enumerate(rows, start=1)
    ]
    return np.array(numbers).T
