"""Other readers of users' data files, which share no code with sqsnn: numpy, pandas, scipy, csv.

Each gives the arrays of a file, as plain as can be, or raises whatever its library raises.
"""

import csv
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import arff

Arrays = dict[str, Any]
LABELS = ("label", "class", "target", "y")


def read_npz(path: Path) -> Iterator[Arrays]:
    """What numpy reads, with 0 beyond the lengths and columns of one label made flat."""
    with np.load(path, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    for name in ("X", "X_test"):
        if name in found:
            found[name] = found[name].astype(float)
            lengths = found.get(name.replace("X", "lengths"))
            for series, length in zip(
                found[name], () if lengths is None else lengths, strict=False
            ):
                series[length:] = 0
    for name in ("y", "y_test", "groups"):
        if name in found and found[name].ndim == 2 and found[name].shape[1] == 1:
            found[name] = found[name][:, 0]
    yield found


def read_table(path: Path) -> Iterator[Arrays]:
    """What pandas reads by its parser in Python, then what the csv module reads."""
    delimiter = {".csv": ",", ".tsv": "\t"}[path.suffix]
    options: Any = {"engine": "python", "dtype": str, "keep_default_na": False, "header": None}
    try:
        frame = pd.read_csv(path, sep=delimiter, encoding="utf-8-sig", **options)
        yield _from_rows(frame.to_numpy(object).tolist())
    except (ValueError, csv.Error):  # which does not know files of carriage returns
        pass
    text = path.read_bytes().decode("utf-8-sig")
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter)
    yield _from_rows([row for row in rows if len(row) > 1 or "".join(row).strip()])


def _from_rows(rows: list[list[str]]) -> Arrays:
    header = [str(name).strip() for name in rows[0]]
    if {len(row) for row in rows} != {len(header)}:
        raise ValueError("ragged")
    columns = dict(zip(header, map(list, zip(*rows[1:], strict=True)), strict=True))
    found: Arrays = {}
    (label,) = [name for name in header if name.lower() in LABELS]
    found["y"] = columns.pop(label)
    if "who" in columns:
        found["groups"] = columns.pop("who")
    switches = {"true": "1", "false": "0"}
    found["X"] = [[float(switches.get(x.lower(), x)) for x in each] for each in columns.values()]
    found["X"] = np.array(found["X"]).T
    return found


def read_parquet(path: Path) -> Iterator[Arrays]:
    """What pandas reads, whose parser of this format is pyarrow too."""
    frame = pd.read_parquet(path, engine="pyarrow")
    (label,) = [name for name in frame.columns if name.lower() in LABELS]
    found: Arrays = {"y": frame.pop(label).tolist()}
    if "who" in frame:
        found["groups"] = frame.pop("who").tolist()
    yield found | {"X": frame.to_numpy(np.float64)}


def read_ts(path: Path) -> Iterator[Arrays]:
    """A parser of a few lines, which believes whatever the file says."""
    found = _ts_part(path)
    if path.stem.endswith("_TRAIN"):
        test = _ts_part(Path(str(path).replace("_TRAIN", "_TEST")))
        found |= {f"{name}_test": value for name, value in test.items()}
    yield found


def _ts_part(path: Path) -> Arrays:
    lines = [line.strip() for line in path.read_text("utf-8-sig").split("\n")]
    lines = [line for line in lines if line and line[0] not in "#%"]
    start = [line.lower().split()[0] for line in lines].index("@data")
    samples, labels = [], []
    for line in lines[start + 1 :]:
        *dimensions, label = line.split(":")
        samples.append([[float(value) for value in each.split(",")] for each in dimensions])
        labels.append(label.strip())
    return _padded(samples) | {"y": labels}


def _padded(samples: list[list[list[float]]]) -> Arrays:
    """Series as lists of dimensions -> X with zeros behind, and lengths."""
    lengths = [len(sample[0]) for sample in samples]
    X = np.zeros((len(samples), max(lengths), len(samples[0])))
    for place, sample in enumerate(samples):
        X[place, : lengths[place]] = np.array(sample).T
    return {"X": X, "lengths": np.array(lengths)}


def read_arff(path: Path) -> Iterator[Arrays]:
    """What scipy reads, then what a parser of a few lines reads."""
    text = path.read_text("utf-8-sig")
    try:
        rows, _ = arff.loadarff(io.StringIO(text))
        yield _arff_arrays([list(row) for row in rows])
    except Exception:  # scipy raises anything, and does not know escaped quotation marks
        pass
    rows, nested = [], "relational" in text.lower()
    for line in text.lower().partition("@data")[2].partition("\n")[2].split("\n"):
        if line.strip() and not line.strip().startswith("%"):
            line = line.strip().replace('"', "'")
            if nested:
                _, series, rest = line.split("'", 2)
                values = [each.split(",") for each in series.strip().split("\\n")]
                rows.append([[tuple(map(_value, each)) for each in values], rest.lstrip(" ,")])
            else:
                *entries, label = line.split(",")
                rows.append([*map(_value, entries), label])
            rows[-1][-1] = rows[-1][-1].strip().strip("'")
    yield _arff_arrays(rows) | {"lower": True}


def _value(text: str) -> float:
    text = text.strip()
    quoted = text[:1] == "'" == text[-1:] and len(text) > 2
    return np.nan if text == "?" else float(text[1:-1] if quoted else text)


def _arff_arrays(rows: list[list[Any]]) -> Arrays:
    samples, labels = [], []
    for *entries, label in rows:
        nested = len(entries) == 1 and not isinstance(entries[0], int | float)
        series = [list(each) for each in entries[0]] if nested else [entries]
        length = len(series[0])
        while length > 1 and all(np.isnan(each[length - 1]) for each in series):
            length -= 1
        samples.append([each[:length] for each in series])
        labels.append(label.decode() if isinstance(label, bytes) else label)
    return _padded(samples) | {"y": labels}


REFERENCES: dict[str, Callable[[Path], Iterator[Arrays]]] = {
    ".npz": read_npz,
    ".csv": read_table,
    ".tsv": read_table,
    ".parquet": read_parquet,
    ".ts": read_ts,
    ".arff": read_arff,
}


def agrees(found: Any, path: Path) -> str | None:
    """Compare what sqsnn read with the other readers of the format; give what differs."""
    differences = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        readings = REFERENCES[path.suffix](path)
        while True:
            try:
                expected = next(readings)
            except StopIteration:
                break
            except Exception as error:  # a library may raise anything on a damaged file
                differences.append(f"{type(error).__name__}: {error}")
                break
            difference = _difference(found, expected)
            if difference is None:
                return None
            differences.append(difference)
    return "; ".join(differences)


def _difference(found: Any, expected: Arrays) -> str | None:
    """The first array that differs; arrays of the others with one step more or fewer are padded."""
    for name in ("X", "X_test"):
        ours, theirs = getattr(found, name), expected.get(name)
        if (ours is None) != (theirs is None):
            return f"{name} is in one reading only"
        if ours is None or theirs is None:
            continue
        if ours.ndim == 3 and theirs.shape[1] < ours.shape[1]:  # a longer series is in another part
            missing = ours.shape[1] - theirs.shape[1]
            theirs = np.pad(theirs, ((0, 0), (0, missing), (0, 0)))
        with np.errstate(over="ignore"):
            theirs = theirs.astype(ours.dtype)
        if not np.array_equal(ours, theirs):
            return f"{name} differs"
    for name in ("y", "y_test", "groups"):
        ours, theirs = getattr(found, name), expected.get(name)
        if (ours is None) != (theirs is None):
            return f"{name} is in one reading only"
        if ours is not None and not _same_labels(ours, theirs, "lower" in expected):
            return f"{name} differs"
    if found.lengths is not None and not np.array_equal(found.lengths, expected["lengths"]):
        return "lengths differ"
    return None


def _same_labels(ours: np.ndarray, theirs: Any, lower: bool) -> bool:
    theirs = [
        each.decode() if isinstance(each, bytes) else each for each in np.array(theirs).tolist()
    ]
    if ours.dtype.kind == "U":
        texts = [str(each).strip().replace("\r\n", "\n") for each in theirs]
        mine = [each.lower() if lower else each.replace("\r\n", "\n") for each in ours.tolist()]
        return [each.strip() for each in mine] == texts
    return np.array_equal(ours, np.array(theirs, object).astype(ours.dtype))
