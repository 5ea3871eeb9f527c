"""Event recordings in files, read one at a time; here those of N-MNIST, which lie in zips.

What is damaged is refused with the place of the damage.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from sqsnn.data.events import Events, Recording, Sensor
from sqsnn.errors import DataError

NMNIST_SENSOR = Sensor(columns=34, rows=34, polarities=2)
_EVENT_BYTES = 5
_OVERFLOW_ROW = 240  # an event of this y says that the clock has run over
_OVERFLOW = 2**13  # microseconds
# What zipfile and zlib raise on damaged archives, from many thousands of damaged ones.
_ZIP_FAULTS = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Recordings:
    """One part of an event dataset before its events are read.

    Args:
        path: the file, or the folder of the files.
        files: all files that the events come from.
        sensor: what recorded them.
        class_names: one name a class; None where only the labels tell how many there are.
        count: how many recordings there are.
        read: gives them one after another, from the first.
    """

    path: Path
    files: tuple[Path, ...]
    sensor: Sensor
    class_names: tuple[str, ...] | None
    count: int
    read: Callable[[], Iterator[Recording]]


def damaged(path: Path, where: str, expected: str, found: str) -> DataError:
    """The error that says what is wrong with a file of events, where, and what to do about it.

    Args:
        path: the damaged file.
        where: the member or recording, and the place in it.
        expected: what a whole file has there.
        found: what this one has.
    """
    return DataError(
        f"{path} is broken, at {where}: expected {expected}, found {found}. Put a whole copy in "
        "its place; or delete it, and it is downloaded by the next run, where there is a download."
    )


def open_nmnist(path: Path, class_names: tuple[str, ...]) -> Recordings:
    """Look into one of N-MNIST's zips, whose recordings are <part>/<digit>/<number>.bin.

    Args:
        path: Train.zip or Test.zip, of any number of recordings.
        class_names: the names of the digits.

    Returns:
        its recordings, in the order of their names.

    Raises:
        DataError: if the file is no whole zip, or holds other things than recordings of digits.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except _ZIP_FAULTS as error:
        raise damaged(path, "the list of its members", "a whole zip file", f"{error}") from error
    labelled = sorted((name, _label_of(path, name)) for name in members if _is_recording(name))
    if not labelled:
        found = f"{len(members)} members, none of them one"
        raise damaged(path, "the list of its members", "recordings <digit>/<number>.bin", found)
    for (name, _), (following, _) in pairwise(labelled):
        if name == following:
            raise damaged(path, name, "one recording of that name", "two")

    def read() -> Iterator[Recording]:
        with zipfile.ZipFile(path) as archive:
            for name, label in labelled:
                yield Recording(name, label, _decode(path, name, _member(path, archive, name)))

    return Recordings(path, (path,), NMNIST_SENSOR, class_names, len(labelled), read)


def _is_recording(name: str) -> bool:
    # A Mac adds files of its own to archives; they are named so that they can be told apart.
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not name.endswith("/") and not hidden and len(parts) > 1


def _label_of(path: Path, name: str) -> int:
    member = PurePosixPath(name)
    digit = member.parent.name
    if member.suffix != ".bin" or len(digit) != 1 or digit not in "0123456789":
        raise damaged(path, name, "recordings <digit>/<number>.bin alone", "another member")
    return int(digit)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except _ZIP_FAULTS as error:
        raise damaged(path, name, "a whole member", f"{error}") from error


def _decode(path: Path, name: str, raw: bytes) -> Events:
    """Events of five bytes: x, y, then the polarity in one bit and microseconds in 23."""
    whole = len(raw) // _EVENT_BYTES * _EVENT_BYTES
    if whole != len(raw) or not raw:
        found = f"{len(raw) - whole} bytes" if raw else "an empty member"
        raise damaged(path, f"{name}, byte {whole}", "events of 5 bytes", found)
    table = np.frombuffer(raw, np.uint8).reshape(-1, _EVENT_BYTES).astype(np.int64)
    x, y, high, middle, low = table.T
    overflows = y == _OVERFLOW_ROW
    times = ((high & 0x7F) << 16 | middle << 8 | low) + _OVERFLOW * np.cumsum(overflows)
    events = np.flatnonzero(~overflows)  # places among all that the member holds
    if not len(events):
        raise damaged(path, f"{name}, byte 0", "events", "overflows of the clock alone")
    for column, axis in ((x, "x"), (y, "y")):
        wrong = events[column[events] >= NMNIST_SENSOR.columns]
        if len(wrong):
            place = _EVENT_BYTES * wrong[0] + (axis == "y")
            found = f"{column[wrong[0]]}"
            raise damaged(path, f"{name}, byte {place}", f"{axis} from 0 to 33", found)
    times = times[events]
    falls = np.flatnonzero(np.diff(times) < 0)
    if len(falls):
        place = _EVENT_BYTES * events[falls[0] + 1] + 2
        before, after = times[falls[0]], times[falls[0] + 1]
        raise damaged(
            path, f"{name}, byte {place}", f"a time of at least {before} us", f"{after} us"
        )
    return Events(times, x[events], y[events], (high[events] >> 7).astype(bool))
