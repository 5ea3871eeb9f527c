"""Reader of .parquet tables, by pyarrow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute, parquet, types

from sqsnn.data.own.faults import LONGEST_LABEL, refuse, to_labels
from sqsnn.data.trust import check_size, denied
from sqsnn.errors import DataError

# What pyarrow raises on damaged files.
_FAULTS = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError)


def read_names(path: Path) -> list[str]:
    """Read the names of the columns."""
    return list(_read_schema(path).names)


def read_columns(
    path: Path, names: Sequence[str], features: Sequence[str], texts: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Read the features, (n, F), and columns of labels or groups by name.

    Raises:
        DataError: If a value does not fit; it names row, from 1, and column.
    """
    schema = _read_schema(path)
    for name in features:
        kind = schema.field(name).type
        if not _is_number(kind):
            raise refuse(path, f"column {name!r}", "numbers", f"the type {kind}")
    try:
        with parquet.ParquetFile(path) as file:
            held = file.metadata
            groups = [held.row_group(index) for index in range(held.num_row_groups)]
            cells = 8 * held.num_rows * len(names)
            check_size(path, "the table", max(cells, sum(one.total_byte_size for one in groups)))
        # Stricter than reading from the open file, which overlooks damage of the metadata.
        # Texts stay in dictionaries: a few bytes may repeat a long text for every row.
        columns = [*features, *texts]
        table = parquet.read_table(
            path, columns=columns, use_threads=False, read_dictionary=list(texts)
        )
        table.validate(full=True)
        if not table.num_rows:
            raise refuse(path, "", "rows", "none")
        X = np.column_stack([_numbers(path, name, table[name]) for name in features])
        return X, {name: _labels(path, name, table[name]) for name in texts}
    except DataError:
        raise
    except _FAULTS as error:
        raise _broken(path, error) from error


def _read_schema(path: Path) -> pa.Schema:
    try:
        return parquet.read_schema(path)
    except _FAULTS as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> DataError:
    found = f"{type(error).__name__}: {error}"
    return denied(path, error) or refuse(path, "", "a whole parquet file", found)


def _is_number(kind: pa.DataType) -> bool:
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    return any(test(kind) for test in tests)


def _numbers(path: Path, name: str, column: Any) -> np.ndarray:
    """Turn a column into finite floats."""
    _check_present(path, name, column)
    numbers = column.cast(pa.float64()).to_numpy()
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        where = f"row {wrong[0] + 1}, column {name!r}"
        raise refuse(path, where, "a finite number", f"{numbers[wrong[0]]}")
    return numbers


def _labels(path: Path, name: str, column: Any) -> np.ndarray:
    """Turn a column into labels: integers, floats or text."""
    if types.is_dictionary(column.type):
        for chunk in column.chunks:
            _check_lengths(path, name, chunk.dictionary)
        column = column.cast(column.type.value_type)
    _check_present(path, name, column)
    kind = column.type
    if types.is_integer(kind) or types.is_boolean(kind):
        return column.cast(pa.int64()).to_numpy()
    if _is_number(kind):
        return _numbers(path, name, column)
    if not _is_text(kind):
        raise refuse(path, f"column {name!r}", "numbers or text", f"the type {kind}")
    places = [f"row {row}, column {name!r}" for row in range(1, len(column) + 1)]
    return to_labels(path, column.to_pylist(), places)


def _check_lengths(path: Path, name: str, texts: Any) -> None:
    """Refuse long texts before each is copied for every row that has it."""
    if not _is_text(texts.type) or not len(texts):
        return
    lengths = compute.call_function("binary_length", [texts])
    longest = compute.call_function("max", [lengths]).as_py() or 0
    if longest > 4 * LONGEST_LABEL:  # bytes of the longest characters
        expected = f"labels of at most {LONGEST_LABEL} characters"
        raise refuse(path, f"column {name!r}", expected, f"{longest} bytes")


def _is_text(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind)


def _check_present(path: Path, name: str, column: Any) -> None:
    """Refuse missing values."""
    if column.null_count:
        row = np.flatnonzero(column.is_null().to_numpy())[0] + 1
        raise refuse(path, f"row {row}, column {name!r}", "a value", "a missing one")
