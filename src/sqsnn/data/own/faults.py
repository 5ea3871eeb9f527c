"""What the readers of text files share: lines, numbers and labels, and what is wrong with them."""

import math
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import numpy as np

from sqsnn.data.trust import SMALL, denied
from sqsnn.errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
# How files write that a value is missing.
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
LONGEST_LABEL = 1000  # characters; an array of text gives each label the room of the longest
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def refuse(path: Path, where: str, expected: str, found: str) -> DataError:
    """Describe what is wrong with a file, and where."""
    place = f", {where}" if where else ""
    return DataError(f"{path}{place}: expected {expected}, found {found}")


def unreadable(path: Path, error: OSError) -> DataError:
    """Describe a file that the system does not let read, or that its reader does not."""
    return denied(path, error) or refuse(path, "", "a file that can be read", f"{error}")


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Read the lines of a UTF-8 file one by one, with their numbers from 1.

    Raises:
        DataError: If a line is no text, or too long; it names the line.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(iter(partial(file.readline, SMALL + 1), b""), start=1):
            where = f"line {number}"
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if b"\0" in raw:
                raise refuse(path, where, "text in UTF-8", "a NUL byte, as in UTF-16 or no text")
            if len(raw) > SMALL:
                raise refuse(path, where, f"lines of at most {SMALL:,} bytes", "a longer one")
            try:
                yield number, raw.decode()
            except UnicodeDecodeError as error:
                found = f"the byte 0x{raw[error.start]:02X}; save the file as UTF-8"
                raise refuse(path, where, "text in UTF-8", found) from error


def meaningful_lines(path: Path, comments: str) -> Iterator[tuple[int, str]]:
    """Read the lines of a UTF-8 file that are neither blank nor comments, without their ends.

    Args:
        path: The file.
        comments: The signs with which comments start.

    Raises:
        DataError: If a line is no text, or holds a carriage return before its end.
    """
    for number, line in text_lines(path):
        if "\r" in line.rstrip("\r\n"):
            found = "a carriage return within one"
            raise refuse(path, f"line {number}", "lines that end with a line feed", found)
        line = line.strip()
        if line and line[0] not in comments:
            yield number, line


def number_fault(text: str) -> str | None:
    """Say what is wrong with the text of a number; None if nothing is."""
    text = text.strip()
    if text.lower() in MISSING:
        return f"a missing value ({text!r})" if text else "a missing value"
    if _NUMBER.fullmatch(text):
        return None if math.isfinite(float(text)) else f"{shortened(text)}, which is too large"
    if re.fullmatch(r"[+-]?inf(inity)?", text.lower()):
        return f"{text}, which is infinite"
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", text):
        return f"{shortened(text)}: write decimals with a point, not a comma"
    return shortened(text)


def to_numbers(path: Path, where: str, texts: Sequence[str]) -> list[float]:
    """Turn texts into finite numbers.

    Args:
        path: The file.
        where: Where in the file the texts stand.
        texts: One number each, decimals with a point.

    Raises:
        DataError: If one is no finite number; it names its position, from 1.
    """
    if not are_plain_numbers(texts):
        for position, text in enumerate(texts, start=1):
            fault = number_fault(text)
            if fault is not None:
                raise refuse(path, f"{where}, value {position}", "a number", fault)
    return list(map(float, texts))


def are_plain_numbers(texts: Sequence[str]) -> bool:
    """Tell quickly that texts are finite numbers; False says only that each must be tested."""
    joined = "".join(texts)
    if "_" in joined or not joined.isascii():  # Python also reads 1_000, and digits of all scripts
        return False
    try:
        return math.isfinite(sum(map(float, texts)))  # only if all are
    except ValueError:
        return False


def to_labels(path: Path, texts: Sequence[str], places: Sequence[str]) -> np.ndarray:
    """Turn the texts of labels into integers or floats if all are numbers, else keep them.

    Args:
        path: The file.
        texts: One text per sample.
        places: Where each stands.

    Raises:
        DataError: If a label is missing or infinite.
    """
    texts = [text.strip() for text in texts]
    known = [text for text in texts if text.lower() not in MISSING]
    numbers = bool(known) and all(map(_NUMBER.fullmatch, known))
    for text, place in zip(texts, places, strict=True):
        # "none" may be the name of a class, but is no number among numbers.
        if not text or (numbers and text.lower() in MISSING):
            raise refuse(path, place, "a label", f"a missing value ({text!r})")
        if len(text) > LONGEST_LABEL:
            found = f"{len(text)} characters; is a quotation mark missing?"
            raise refuse(path, place, f"a label of at most {LONGEST_LABEL} characters", found)
        if "\0" in text:  # which numpy drops at the end of a text
            raise refuse(path, place, "a label", f"a NUL byte in {shortened(text)}")
        if numbers and not math.isfinite(float(text)):
            raise refuse(path, place, "a finite number", shortened(text))
    whole = numbers and all(map(_INTEGER.fullmatch, texts))
    # Integers beyond 18 digits are names, such as hashes, and floats would not tell them apart.
    if not numbers or (whole and max(map(len, texts)) > 18):
        return np.array(texts, dtype=np.str_)
    return np.array(list(map(int if whole else float, texts)))


def suggestion(name: str, known: Sequence[str]) -> str:
    """Name the closest known name, or list the first."""
    close = get_close_matches(name, known, 1)
    if close:
        return f"did you mean {shortened(close[0])}?"
    return listed(known)


def listed(known: Sequence[str]) -> str:
    """List the first ten names that may be given."""
    more = f" and {len(known) - 10} more" if len(known) > 10 else ""
    return f"it may be one of {', '.join(map(shortened, known[:10]))}{more}"


def shortened(text: str) -> str:
    """A text as Python writes it, cut if it is long."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
