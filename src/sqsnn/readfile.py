"""Files of runs and studies, read with suspicion.

What does not fit is refused in one line that names the path, where it can the line, and what to do.
"""

import codecs
import hashlib
import json
import math
import stat
import tomllib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sqsnn.errors import CheckpointError
from sqsnn.options import explain
from sqsnn.storage import write_json

Refusal = type[Exception]
T = TypeVar("T")

LARGEST_TEXT = 2**26  # bytes: a longer text is no file of a run, and would fill the memory
LARGEST_TOML = 2**20
SEAL = "sha256"
_DEEPEST = 50
_LONGEST = 500  # characters of a reason: an error is one line
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Stored(BaseModel):
    """What a file must hold: these names, of these types, finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def read_bytes(
    path: Path, largest: int = LARGEST_TEXT, refusal: Refusal = CheckpointError
) -> bytes:
    """Read a regular file that is not larger than any of its kind.

    Raises:
        SqsnnError: `refusal`, if it is missing, no file, not readable or too large.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise refusal(f"{path} must be a file, but is none: move it away, or restore the file")
        if found.st_size > largest:
            raise refusal(
                f"{path} has {found.st_size} bytes, but a file of its kind has at most {largest}: "
                "restore it from a copy"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise refusal(f"there is no file {path}: name another, or restore it from a copy") from None
    except PermissionError:
        raise refusal(f"{path} may not be read by this user: change its permissions") from None
    except OSError as error:
        raise refusal(f"{path} cannot be read: {error.strerror or error}") from error


def read_text(path: Path, largest: int = LARGEST_TEXT, refusal: Refusal = CheckpointError) -> str:
    """Read a file of UTF-8 text without a byte order mark."""
    raw = read_bytes(path, largest, refusal)
    if raw.startswith(_MARKS):
        raise refusal(f"{path} begins with a byte order mark: save it as UTF-8 without one")
    return decoded(raw, path, refusal)


def decoded(raw: bytes, where: object, refusal: Refusal = CheckpointError) -> str:
    """Read bytes as UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = _line(raw.count(b"\n", 0, error.start) + 1, where)
        raise refusal(f"{where}{line} is not UTF-8: {error.reason}") from None


def parsed_json(text: str, where: object, refusal: Refusal = CheckpointError) -> Any:
    """Read JSON of finite numbers in which no object names a key twice.

    Args:
        text: The JSON.
        where: The path of the file, or a string that names the place in it.
        refusal: What is raised.
    """
    try:
        content = json.loads(
            text, object_pairs_hook=_named_once, parse_constant=_finite, parse_float=_finite
        )
        _refuse_depth(content)
        return content
    except json.JSONDecodeError as error:
        line = _line(error.lineno, where)
        raise refusal(f"{where}{line} is not valid JSON: {error.msg}") from None
    except RecursionError:
        raise refusal(f"{where} is not valid JSON: it nests too deep") from None
    except ValueError as error:
        raise refusal(f"{where} is not valid JSON: {shortened(error)}") from None


def _line(number: int, where: object) -> str:
    return f", line {number}," if isinstance(where, Path) else ""


def parsed_toml(text: str, where: object, refusal: Refusal) -> dict[str, Any]:
    """Read TOML of finite numbers."""
    try:
        content = tomllib.loads(text, parse_float=_finite)
        _refuse_depth(content)
        return content
    except RecursionError:
        raise refusal(f"{where} is not valid TOML: it nests too deep") from None
    except ValueError as error:
        raise refusal(f"{where} is not valid TOML: {shortened(error)}") from None


def checked(
    content: object,
    check: Callable[[Any], T],
    where: object,
    refusal: Refusal = CheckpointError,
) -> T:
    """Give what a check makes of the content of a file; its ValueError is the refusal's reason."""
    try:
        return check(content)
    except ValidationError as error:
        raise refusal(f"{where} does not fit: {shortened(explain(error))}") from None
    except (ValueError, TypeError) as error:
        raise refusal(f"{where} does not fit: {shortened(error)}") from None


def read_json(path: Path, check: Callable[[Any], T], refusal: Refusal = CheckpointError) -> T:
    """Read a JSON file and check what it holds."""
    content = parsed_json(read_text(path, refusal=refusal), path, refusal)
    return checked(content, check, path, refusal)


def write_sealed(path: Path, content: Mapping[str, Any], tie: str = "") -> None:
    """Write a JSON file with the digest of its content.

    Args:
        path: The file.
        content: What it holds.
        tie: The digest of a file that it goes with.
    """
    write_json(path, {**content, SEAL: digest_of([content, tie])})


def read_sealed(
    path: Path,
    check: Callable[[Any], T],
    tie: str = "",
    beside: str = "it",
    refusal: Refusal = CheckpointError,
) -> T:
    """Read what `write_sealed` wrote, and refuse it where anything has changed since.

    Args:
        path: The file.
        check: Takes what it holds, or raises a ValueError.
        tie: The digest of the file that it goes with.
        beside: The name of that file.
        refusal: What is raised.
    """

    def opened(content: Any) -> T:
        if not isinstance(content, dict) or SEAL not in content:
            raise ValueError(f"it has no {SEAL} of its content: restore it from a copy")
        seal = content.pop(SEAL)
        if seal != digest_of([content, tie]):
            raise ValueError(
                f"it has changed since it was written, or {beside} is of another run: restore it "
                "from a copy"
            )
        return check(content)

    return read_json(path, opened, refusal)


def read_or_begin_anew(path: Path, check: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Read a sealed file on which no result depends; where it does not fit, warn and start anew."""
    try:
        return read_sealed(path, check)
    except CheckpointError as error:
        warnings.warn(f"{error}. No result depends on this file: it is begun anew", stacklevel=2)
        return {}


def digest_of(content: object) -> str:
    """The SHA-256 of content as JSON: the same for equal content, whatever its layout."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shortened(repr(twice))} stands there twice")
    return found


def _refuse_depth(content: object) -> None:
    level = [content]
    for _ in range(_DEEPEST):
        level = [
            below
            for part in level
            if isinstance(part, dict | list)
            for below in (part.values() if isinstance(part, dict) else part)
        ]
    if level:
        raise ValueError(f"it nests more than {_DEEPEST} levels deep")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def shortened(reason: object) -> str:
    """Say a reason in one line that is not too long."""
    text = " ".join(str(reason).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
