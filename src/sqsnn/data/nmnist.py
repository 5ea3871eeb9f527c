"""Reader of N-MNIST's zip files, one recording at a time; names the byte where one is damaged."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from sqsnn.data.archive import FAULTS, members, read_member
from sqsnn.data.dataset_spec import DatasetSpec, Part, Sensor
from sqsnn.data.events import Events, Recording, Recordings
from sqsnn.data.files import broken, reading
from sqsnn.errors import DataError

Describe = Callable[..., DataError]

_EVENT_BYTES = 5
_OVERFLOW_ROW = 240  # an event of this y says that the clock has run over
_OVERFLOW = 2**13  # microseconds


def open_nmnist(spec: DatasetSpec, path: Path, part: Part) -> Recordings:
    """Open a zip of any number of recordings <part>/<digit>/<number>.bin, ordered by name."""
    assert spec.events is not None and spec.events.sensor is not None
    sensor = spec.events.sensor
    index = "the list of its members"
    with reading(path, FAULTS, "a whole zip file", index), zipfile.ZipFile(path) as archive:
        held = {member.filename: member for member in members(path, archive)}
        for name in held:
            if not _is_recording(name):
                archive.open(held[name]).close()  # which compares the name with the member's own
    labelled = sorted((name, _label(path, name)) for name in held if _is_recording(name))
    if not labelled:
        found = f"{len(held)} members, none of them one"
        raise broken(path, "recordings <digit>/<number>.bin", found, where=index)

    def read() -> Iterator[Recording]:
        with reading(path, FAULTS, "a whole zip file", index), zipfile.ZipFile(path) as archive:
            for name, label in labelled:
                with reading(path, FAULTS, "a whole member", name):
                    raw = read_member(archive, held[name])
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


def decode_events(
    path: Path, name: str, raw: bytes, sensor: Sensor, describe: Describe = broken
) -> Events:
    """Decode events of five bytes: x, y, then the polarity in one bit and microseconds in 23.

    Args:
        path: The archive, or the file, in errors.
        name: The member of the archive; empty for a file.
        raw: Its bytes.
        sensor: Sensor that must hold all events.
        describe: Makes the error; `broken` for a file that is published.

    Raises:
        DataError: If the bytes are no such events; it names the byte.
    """

    def damaged(byte: object, expected: str, found: object) -> DataError:
        place = f"{name}, byte {byte}" if name else f"byte {byte}"
        return describe(path, expected, f"{found}", where=place)

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
