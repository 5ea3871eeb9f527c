"""Reads an own data file of any format: the one door of this room."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sqsnn.data.own import SUFFIXES, TABLES
from sqsnn.data.own.faults import refuse, unreadable
from sqsnn.data.own.own_data import OwnData
from sqsnn.data.trust import check_size
from sqsnn.errors import ConfigError, DataError


def read_own(
    path: Path | str,
    *,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    groups: str | None = None,
    needs_labels: bool = True,
) -> OwnData:
    """Read samples and labels from a file.

    The suffix tells the format. `.npz` holds arrays `X`, `y` and optionally `X_test`, `y_test`,
    `groups`, `lengths`, `lengths_test`, `feature_names`. `.csv`, `.tsv` and `.parquet` are tables
    of one sample per row (extra `tables`). `.ts` and `.arff` hold time series; NAME_TEST beside
    NAME_TRAIN is the test part.

    Args:
        path: The file.
        label: Column of the labels in a table; by default the one named label, class, target or y.
        columns: Columns of the features in a table; by default all others.
        groups: Column of a table whose equal entries mark samples that a split keeps together.
        needs_labels: Whether to refuse a file without labels; where not, the column `label` may be
            absent too.

    Raises:
        DataError: If the file is absent, damaged or does not fit; it names file, line and column.
        ConfigError: If an argument does not fit the file, or an extra is not installed.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{path} has the suffix {suffix!r}; data files may be {', '.join(SUFFIXES)}"
        )
    chosen = {"label": label, "columns": columns, "groups": groups}
    given = [name for name, value in chosen.items() if value is not None]
    if given and suffix not in TABLES:
        raise ConfigError(
            f"{', '.join(given)} names columns of a table, and {path} is none: a table is one of "
            f"{', '.join(TABLES)}"
        )
    with openable(path):
        if suffix == ".npz":
            from sqsnn.data.own.npz import read_npz

            data = read_npz(path)
        elif suffix in TABLES:
            from sqsnn.data.own.tables import read_table

            data = read_table(path, label, columns, groups, needs_labels=needs_labels)
        else:
            from sqsnn.data.own.series import read_series

            data = read_series(path)
    _check(data, needs_labels)
    return data


@contextmanager
def openable(path: Path, suffixes: Sequence[str] = SUFFIXES) -> Iterator[None]:
    """Refuse a file that is absent, empty, too large or not readable, while a block reads it.

    Args:
        path: The file.
        suffixes: Those that it may have.

    Raises:
        DataError: If it is refused.
    """
    if path.exists() and not path.is_file():  # which a pipe is not either, and would wait for ever
        raise DataError(f"{path} is no file, but own data are one: {', '.join(suffixes)}")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise refuse(path, "", "samples", "an empty file")
        check_size(path, "the file", path.stat().st_size)
        yield
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or path} does not exist") from error
    except DataError:
        raise
    except OSError as error:
        raise unreadable(Path(error.filename or path), error) from error


def _check(data: OwnData, needs_labels: bool) -> None:
    """Check what holds for all formats: sizes that fit each other, and finite numbers."""
    path, X = data.path, data.X
    if needs_labels and (data.y is None or (data.X_test is not None and data.y_test is None)):
        part = "y" if data.y is None else "y_test"
        raise refuse(path, "", f"labels ({part})", "none, which only prediction can do without")
    if data.X_test is not None and data.X_test.shape[1:] != X.shape[1:]:
        expected = f"samples of shape {X.shape[1:]}, as in X"
        raise refuse(path, "X_test", expected, f"{data.X_test.shape[1:]}")
    names = data.feature_names
    if len(names) != X.shape[-1] or len(set(names)) != len(names):
        found = f"{len(names)} names, {len(set(names))} of them different"
        raise refuse(path, "feature_names", f"{X.shape[-1]} different names", found)
    _check_finite(data, "X", X)
    _check_finite(data, "X_test", data.X_test)
    for name, array, samples in (
        ("y", data.y, X),
        ("y_test", data.y_test, data.X_test),
        ("groups", data.groups, X),
    ):
        if array is not None:
            _check_labels(data, name, array, samples)
    if data.y is not None and data.y_test is not None:
        kinds = [array.dtype.kind == "U" for array in (data.y, data.y_test)]
        if kinds[0] != kinds[1] or data.y.shape[1:] != data.y_test.shape[1:]:
            found = f"{data.y_test.dtype} of shape {data.y_test.shape}"
            expected = f"what y holds: {data.y.dtype} of shape {data.y.shape}"
            raise refuse(path, "y_test", expected, found)


def _check_labels(data: OwnData, name: str, array: np.ndarray, X: np.ndarray | None) -> None:
    """Check one array with an entry per sample."""
    if X is None:
        raise refuse(data.path, "", f"X_test where there is {name}", "none")
    shapes = [X.shape[:1]]
    if name != "groups" and array.dtype.kind != "U":
        shapes += [(len(X), *array.shape[1:2])] * (array.ndim == 2)
        shapes += [(*X.shape[:2], *array.shape[2:3])] * (array.ndim == X.ndim == 3)
    if array.shape not in shapes:
        found = f"the shape {array.shape} for {len(X)} samples"
        raise refuse(data.path, name, f"one entry per sample, ({len(X)},)", found)
    _check_finite(data, name, array)
    if array.dtype.kind == "U" and not array.all():
        where = f"{name}, sample {np.flatnonzero(array == '')[0]}"
        raise refuse(data.path, where, "a label", "an empty text")


def _check_finite(data: OwnData, name: str, array: np.ndarray | None) -> None:
    """Refuse NaN and infinities, and name the first."""
    if array is None or array.dtype.kind != "f" or np.isfinite(array).all():
        return
    first = tuple(int(index[0]) for index in np.nonzero(~np.isfinite(array)))
    parts = [f"{name}, sample {first[0]}"]
    if array.ndim == 3:
        parts.append(f"step {first[1]}")
    if array.ndim > 1:
        parts.append(f"{'feature' if name.startswith('X') else 'target'} {first[-1]}")
    hint = ""
    if name.startswith("X"):
        parts[-1] += f" ({data.feature_names[first[-1]]})"
        if array.ndim == 3:
            hint = "; lengths tells how many steps each series has"
    raise refuse(data.path, ", ".join(parts), "a finite number", f"{array[first]}{hint}")
