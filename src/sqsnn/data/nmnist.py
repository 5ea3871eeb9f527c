"""Reader of N-MNIST's zip files, one recording at a time; names the byte where one is damaged."""

import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from sqsnn.data.dataset_spec import DatasetSpec, Part, Sensor
from sqsnn.data.events import Events, Recording, Recordings
from sqsnn.data.files import broken
from sqsnn.errors import DataError

_EVENT_BYTES = 5
_OVERFLOW_ROW = 240  # an event of this y says that the clock has run over
_OVERFLOW = 2**13  # microseconds
# What zipfile and zlib raise on damaged archives, from many thousands of damaged ones.
_ZIP_FAULTS = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


def open_nmnist(spec: DatasetSpec, path: Path, part: Part) -> Recordings:
    """Open a zip of any number of recordings <part>/<digit>/<number>.bin, ordered by name."""
    assert spec.events is not None and spec.events.sensor is not None
    sensor = spec.events.sensor
    index = "the list of its members"
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except _ZIP_FAULTS as error:
        raise broken(path, "a whole zip file", f"{error}", where=index) from error
    labelled = sorted((name, _label(path, name)) for name in members if _is_recording(name))
    if not labelled:
        found = f"{len(members)} members, none of them one"
        raise broken(path, "recordings <digit>/<number>.bin", found, where=index)
    for (name, _), (following, _) in pairwise(labelled):
        if name == following:
            raise broken(path, "one recording of that name", "two", where=name)

    def read() -> Iterator[Recording]:
        with zipfile.ZipFile(path) as archive:
            for name, label in labelled:
                try:
                    raw = archive.read(name)
                except _ZIP_FAULTS as error:
                    raise broken(path, "a whole member", f"{error}", where=name) from error
                yield Recording(name, label, decode_events(path, name, raw, sensor))

    return Recordings(path, (path,), sensor, spec.class_names, len(labelled), read)


def _is_recording(name: str) -> bool:
    # macOS adds files of its own to archives, under names that tell them apart.
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not name.endswith("/") and not hidden and len(parts) > 1


def _label(path: Path, name: str) -> int:
    member = PurePosixPath(name)
    digit = member.parent.name
    if member.suffix != ".bin" or len(digit) != 1 or digit not in "0123456789":
        found = "another member"
        raise broken(path, "only recordings <digit>/<number>.bin", found, where=name)
    return int(digit)


def decode_events(path: Path, name: str, raw: bytes, sensor: Sensor) -> Events:
    """Decode events of five bytes: x, y, then the polarity in one bit and microseconds in 23.

    Args:
        path: The archive, or the folder, in errors.
        name: The member or file in it.
        raw: Its bytes.
        sensor: Sensor that must hold all events.

    Raises:
        DataError: If the bytes are no such events; it names the byte.
    """

    def damaged(byte: object, expected: str, found: object) -> DataError:
        return broken(path, expected, f"{found}", where=f"{name}, byte {byte}")

    whole = len(raw) // _EVENT_BYTES * _EVENT_BYTES
    if whole != len(raw) or not raw:
        found = f"{len(raw) - whole} bytes" if raw else "an empty member"
        raise damaged(whole, "events of 5 bytes", found)
    table = np.frombuffer(raw, np.uint8).reshape(-1, _EVENT_BYTES).astype(np.int64)
    x, y, high, middle, low = table.T
    overflows = y == _OVERFLOW_ROW
    times = ((high & 0x7F) << 16 | middle << 8 | low) + _OVERFLOW * np.cumsum(overflows)
    events = np.flatnonzero(~overflows)  # places among all that the member holds
    if not len(events):
        raise damaged(0, "events", "only overflows of the clock")
    limits = (("x", x, sensor.columns), ("y", y, sensor.rows))
    for offset, (axis, column, size) in enumerate(limits):
        wrong = events[column[events] >= size]
        if len(wrong):
            place = _EVENT_BYTES * wrong[0] + offset
            raise damaged(place, f"{axis} from 0 to {size - 1}", column[wrong[0]])
    times = times[events]
    falls = np.flatnonzero(np.diff(times) < 0)
    if len(falls):
        before, after = times[falls[0]], times[falls[0] + 1]
        place = _EVENT_BYTES * events[falls[0] + 1] + 2
        raise damaged(place, f"a time of at least {before} us", f"{after} us")
    return Events(times, x[events], y[events], (high[events] >> 7).astype(bool))
