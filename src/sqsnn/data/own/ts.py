"""Reader of .ts files, the format of the archives of time series (timeseriesclassification.com).

Header lines start with @, comments with # or %. Each line after @data is a series: its dimensions
between colons, their values between commas, the label last.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sqsnn.data.own.faults import meaningful_lines, refuse, shortened, suggestion, to_numbers
from sqsnn.data.own.series import Series

_SWITCHES = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")
_SIZES = ("dimension", "dimensions", "serieslength")
_TAGS = ("problemname", *_SWITCHES, *_SIZES, "data")


def parse_ts(path: Path) -> Series:
    """Parse a .ts file.

    Raises:
        DataError: If a line does not fit; it names line, dimension and position.
    """
    lines = meaningful_lines(path, "#%")
    header = _parse_header(path, lines)
    classes = header.get("classlabel")
    labelled = classes is not None or "targetlabel" in header
    samples, labels, places = [], [], []
    for number, line in lines:
        where = f"line {number}"
        *dimensions, label = [part.strip() for part in line.split(":")]
        if not labelled:
            dimensions.append(label)
        elif classes is not None and label not in classes:
            hint = suggestion(label[:100], classes)
            raise refuse(path, where, "a declared class", f"{shortened(label)}; {hint}")
        sample = _parse_dimensions(path, where, dimensions)
        _check_shape(path, where, sample, header, samples[0] if samples else sample)
        samples.append(sample)
        labels.append(label)
        places.append(f"{where}, label")
    if not samples:
        raise refuse(path, "", "series after @data", "none")
    name = "class" if classes is not None else "target"
    return Series(samples, labels if labelled else None, places, name)


def _parse_header(path: Path, lines: Iterator[tuple[int, str]]) -> dict[str, list[str]]:
    """Parse the lines up to @data; switches that are off are left out."""
    header: dict[str, list[str]] = {}
    seen: set[str] = set()
    for number, line in lines:
        where = f"line {number}"
        tag, *values = line.split()
        name = tag.removeprefix("@").lower()
        if not tag.startswith("@") or name not in _TAGS:
            hint = suggestion(f"@{name}"[:100], [f"@{known}" for known in _TAGS])
            raise refuse(path, where, "a line of the header", f"{shortened(tag)}; {hint}")
        if name == "data":
            if values:
                raise refuse(path, where, "nothing after @data on its line", shortened(line))
            return header
        if name in seen and name != "problemname":
            raise refuse(path, where, f"one line {tag}", "another")
        seen.add(name)
        if name in _SWITCHES:
            if not values or values[0].lower() not in ("true", "false"):
                raise refuse(path, where, f"true or false after {tag}", shortened(line))
            if values[0].lower() == "false":
                continue
            if name == "timestamps":
                raise refuse(path, where, "@timeStamps false, values at equal intervals", "true")
            if name == "classlabel" and len(values) < 2:
                raise refuse(path, where, f"the names of the classes after {tag} true", "none")
            values = values[1:]
        elif name in _SIZES and not re.fullmatch(r"[0-9]{1,9}", " ".join(values)):
            raise refuse(path, where, f"a whole number after {tag}", shortened(line))
        header["dimensions" if name == "dimension" else name] = values
    raise refuse(path, "", "a line @data", "the end of the file")


def _parse_dimensions(path: Path, where: str, dimensions: list[str]) -> np.ndarray:
    """Parse the dimensions of a series to (T, F)."""
    if not dimensions:
        raise refuse(path, where, "values, and the label behind a colon", "no colon")
    rows = [
        to_numbers(path, f"{where}, dimension {index}", dimension.split(","))
        for index, dimension in enumerate(dimensions, start=1)
    ]
    for index, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            expected = f"{len(rows[0])} values as in dimension 1"
            raise refuse(path, f"{where}, dimension {index}", expected, f"{len(row)}")
    return np.array(rows).T


def _check_shape(
    path: Path, where: str, sample: np.ndarray, header: dict[str, list[str]], first: np.ndarray
) -> None:
    """Compare the shape of a series with the header and the first series."""
    steps, features = sample.shape
    declared = 1 if "univariate" in header else int(header.get("dimensions", [features])[0])
    if not features == declared == first.shape[1]:
        other = f"{declared} declared, {first.shape[1]} in the first series"
        raise refuse(path, where, f"as many dimensions as others ({other})", f"{features}")
    if "equallength" in header:
        length = int(header.get("serieslength", [len(first)])[0])
        if steps != length:
            raise refuse(path, where, f"{length} values (@equalLength true)", f"{steps}")
