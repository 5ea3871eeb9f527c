"""Reader of .npz files: arrays X and y, and what else numpy wrote beside them; never pickled."""

import io
import tokenize
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from sqsnn.data.archive import FAULTS, members, read_member
from sqsnn.data.own.faults import refuse, shortened, suggestion
from sqsnn.data.own.own_data import OwnData, default_names
from sqsnn.data.trust import denied
from sqsnn.errors import DataError

KEYS = ("X", "y", "X_test", "y_test", "groups", "lengths", "lengths_test", "feature_names")
_KINDS = {"b": "truth values", "i": "integers", "u": "integers", "f": "floats"}
_TEXTS = {"U": "text", "S": "bytes"}
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What numpy's reader of headers raises, which parses them as Python.
_HEADER_FAULTS = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, SyntaxError),
    *(MemoryError, RecursionError, tokenize.TokenError),
)


def read_npz(path: Path) -> OwnData:
    """Read the arrays of an .npz file as numpy does, and bring them into the forms of `OwnData`.

    Args:
        path: The file. It holds X and y, and may hold X_test, y_test, groups, lengths,
            lengths_test (steps of each series) and feature_names.

    Raises:
        DataError: If an array is damaged, too large, or not of a kind that is read.
    """
    arrays = read_arrays(path, KEYS)
    if "X" not in arrays:
        held = ", ".join(arrays) or "none of them"
        raise refuse(path, "", "an array X of samples, and y of labels", held)
    X, lengths = _samples(path, arrays, "X", "lengths")
    X_test = lengths_test = None
    if "X_test" in arrays:
        X_test, lengths_test = _samples(path, arrays, "X_test", "lengths_test")
    elif "lengths_test" in arrays:
        raise refuse(path, "", "X_test where there is lengths_test", "none")
    names = arrays.get("feature_names")
    return OwnData(
        X=X,
        y=_labels(path, arrays, "y"),
        path=path,
        X_test=X_test,
        y_test=_labels(path, arrays, "y_test"),
        groups=_labels(path, arrays, "groups"),
        lengths=lengths,
        lengths_test=lengths_test,
        feature_names=default_names(X.shape[-1]) if names is None else _names(path, names),
    )


def read_arrays(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Read all arrays of a file, which have known names and hold numbers or text.

    Args:
        path: The file.
        keys: The known names.

    Raises:
        DataError: If an array is damaged, too large, of another name, or not of a kind that is
            read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = {
                member.filename.removesuffix(".npy"): member for member in members(path, archive)
            }
            for name in held:
                if name not in keys:
                    hint = suggestion(name, keys)
                    raise refuse(
                        path, "", f"arrays named {', '.join(keys)}", f"{shortened(name)}; {hint}"
                    )
            return {
                name: _read_array(path, name, read_member(archive, member))
                for name, member in held.items()
            }
    except DataError:
        raise
    except FAULTS as error:
        found = f"{type(error).__name__}: {error}"
        if isinstance(error, zipfile.BadZipFile) and not zipfile.is_zipfile(path):
            found = "no whole zip archive, which every .npz file is"
        expected = "a whole file as numpy.savez writes it"
        raise denied(path, error) or refuse(path, "", expected, found) from error


def _read_array(path: Path, name: str, raw: bytes) -> np.ndarray:
    """Read one array, after its header has been compared with the size of the member."""
    file = io.BytesIO(raw)
    shape, in_columns, kind = _read_header(path, name, file)
    if kind.hasobject:
        found = "Python objects, which only pickle could read; save numbers or text"
        raise refuse(path, name, "an array without objects", found)
    if kind.kind not in (*_KINDS, *_TEXTS):
        raise refuse(path, name, "numbers or text", f"the type {kind}")
    count = 1
    for size in shape:  # Python's integers: no overflow
        count *= size
    promised, held = count * kind.itemsize, len(raw) - file.tell()
    if bool in map(type, shape) or min(shape, default=1) < 1 or not promised:
        raise refuse(path, name, "an array with values", f"the shape {shape}")
    if promised != held:
        expected = f"{promised:,} bytes for the shape {shape}"
        raise refuse(path, name, expected, f"{held:,} bytes")
    order = "F" if in_columns else "C"
    array = np.frombuffer(raw, kind, offset=file.tell()).reshape(shape, order=order)
    return array.astype(kind.newbyteorder("="), order="C", copy=False)


def _read_header(path: Path, name: str, file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(file)
    if version not in _HEADERS:  # version 3 is for fields named beyond latin-1
        raise refuse(path, name, "an array of version 1.0 or 2.0", f"version {version}")
    try:
        return _HEADERS[version](file)
    except _HEADER_FAULTS as error:
        found = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise refuse(path, name, "a header as numpy writes it", found) from error


def _samples(
    path: Path, arrays: dict[str, np.ndarray], name: str, lengths_name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Bring samples into floats, 0 beyond the length of each series."""
    array, lengths = arrays[name], arrays.get(lengths_name)
    if array.dtype.kind not in _KINDS:
        raise refuse(path, name, "numbers", f"{_TEXTS[array.dtype.kind]} ({array.dtype})")
    if array.ndim not in (2, 3):
        hint = "; one feature is X.reshape(-1, 1)" if array.ndim == 1 else ""
        expected = "the shape (n, F) for values or (n, T, F) for series"
        raise refuse(path, name, expected, f"{array.shape}{hint}")
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    with np.errstate(over="ignore"):  # what overflows is found with the other infinities
        X = array.astype(np.float32 if single else np.float64)
    if lengths is None:
        return X, None
    if X.ndim != 3 or lengths.shape != X.shape[:1] or lengths.dtype.kind not in "iu":
        expected = f"one integer per series of {name}, (n,)"
        raise refuse(path, lengths_name, expected, f"{lengths.dtype} of shape {lengths.shape}")
    wrong = np.flatnonzero((lengths < 1) | (lengths > X.shape[1]))
    if len(wrong):
        where, found = f"{lengths_name}[{wrong[0]}]", f"{lengths[wrong[0]]}"
        raise refuse(path, where, f"from 1 to {X.shape[1]} steps", found)
    lengths = lengths.astype(np.int64)
    X[np.arange(X.shape[1]) >= lengths[:, None]] = 0
    return X, lengths


def _labels(path: Path, arrays: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    """Bring labels, targets or groups into integers, floats or text."""
    array = arrays.get(name)
    if array is None:
        return None
    array = _text(path, name, array)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if name == "groups" and array.dtype.kind == "f":
        raise refuse(path, name, "integers or text", "floats")
    if array.dtype.kind == "u" and array.max() >= 2**63:
        raise refuse(path, name, "integers below 2**63", f"{array.max()}")
    return array.astype({"f": np.float64, "U": array.dtype}.get(array.dtype.kind, np.int64))


def _names(path: Path, array: np.ndarray) -> tuple[str, ...]:
    array = _text(path, "feature_names", array)
    if array.ndim != 1 or array.dtype.kind != "U":
        found = f"{array.dtype} of shape {array.shape}"
        raise refuse(path, "feature_names", "one text per feature", found)
    return tuple(array.tolist())


def _text(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    """Decode bytes and check that text is text; numbers stay."""
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeError as error:
            raise refuse(path, name, "text in UTF-8", f"{error}") from error
    if array.dtype.kind == "U":  # numpy takes any 32 bits for a character
        codes = array.reshape(-1).view(np.uint32)
        wrong = codes[(codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))]
        if len(wrong):
            raise refuse(path, name, "text", f"the code {wrong[0]:#x}, which is no character")
    return array
