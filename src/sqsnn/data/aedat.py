"""AEDAT 2.0, the files of the DVS128 camera, and MNIST-DVS, which consists of them.

Lines that begin with "#", then eight bytes per event, big-endian: an address and microseconds. Of
the address, bit 0 is 1 for OFF, bits 1 to 7 are the column from the right, bits 8 to 14 the row;
bit 15 marks what is no pixel.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from sqsnn.data.archive import FAULTS, members, read_member
from sqsnn.data.dataset_spec import DatasetSpec, Part, Sensor
from sqsnn.data.events import Events, Recording, Recordings
from sqsnn.data.files import broken, find, reading
from sqsnn.data.nmnist import Describe
from sqsnn.errors import DataError

DVS128 = Sensor(128, 128, 2)
_EVENT_BYTES, _ADDRESSES, _NO_PIXEL = 8, 2**16, 2**15
# The digits of scale 4 lie within 26 x 26 pixels, from this column and row on.
_CORNER, _SCALE = 48, "scale4"


def decode_aedat(path: Path, name: str, raw: bytes, describe: Describe = broken) -> Events:
    """Decode the events of a DVS128; times are those of the camera's clock.

    Args:
        path: The archive, or the file, in errors.
        name: The member of the archive; empty for a file.
        raw: Its bytes.
        describe: Makes the error; `broken` for a file that is published.

    Raises:
        DataError: If the bytes are no such events; it names the byte.
    """

    def damaged(byte: int, expected: str, found: str) -> DataError:
        place = f"{name}, byte {byte}" if name else f"byte {byte}"
        return describe(path, expected, found, where=place)

    start = 0
    while raw[start : start + 1] == b"#":
        end = raw.find(b"\n", start) + 1
        line = raw[start : end or len(raw)]
        if line.startswith(b"#!AER-DAT") and not line.startswith(b"#!AER-DAT2"):
            found = line[2:13].decode("latin-1").strip()
            raise damaged(start, "AEDAT 2.0, of a DVS128", found)
        start = end or len(raw)
    left = (len(raw) - start) % _EVENT_BYTES
    if left or start == len(raw):
        found = f"{left} bytes" if left else "none"
        raise damaged(len(raw) - left, f"events of {_EVENT_BYTES} bytes", found)
    table = np.frombuffer(raw, ">u4", offset=start).reshape(-1, 2).astype(np.int64)
    wrong = np.flatnonzero(table[:, 0] >= _ADDRESSES)
    if len(wrong):
        place, found = start + _EVENT_BYTES * int(wrong[0]), f"{table[wrong[0], 0]}"
        raise damaged(place, f"an address of a DVS128, below {_ADDRESSES}", found)
    address, times = table[table[:, 0] < _NO_PIXEL].T
    if not len(times):
        raise damaged(start, "events of pixels", "none")
    return Events(times, 127 - (address >> 1 & 127), address >> 8 & 127, address & 1 == 0)


def open_mnist_dvs(spec: DatasetSpec, path: Path, part: Part) -> Recordings:
    """Open the digits of scale 4; of each, the last tenth by name is the test.

    Args:
        spec: The dataset.
        path: A zip file of the folder in which those of all digits lie.
        part: Training or test part.
    """
    assert spec.events is not None and spec.events.sensor is not None
    sensor, chosen = spec.events.sensor, dict[Path, list[str]]()
    for file in spec.sources[-1].files:
        place = find(file, path.parent)
        assert place is not None  # they were fetched
        names = sorted(_recordings(place))
        if len(names) < 2:
            raise broken(place, f"at least 2 recordings {_SCALE}/<name>.aedat", f"{len(names)}")
        ends = len(names) - max(1, len(names) // 10)
        chosen[place] = names[:ends] if part == "train" else names[ends:]

    def read() -> Iterator[Recording]:
        for label, (place, names) in enumerate(chosen.items()):
            with reading(place, FAULTS, "a whole zip file"), zipfile.ZipFile(place) as archive:
                for name in names:
                    with reading(place, FAULTS, "a whole member", name):
                        raw = read_member(archive, archive.getinfo(name))
                    events = _within(decode_aedat(place, name, raw), sensor)
                    if not len(events.times):
                        raise broken(place, "events where the digit is", "none", where=name)
                    yield Recording(name, label, events)

    count = sum(map(len, chosen.values()))
    return Recordings(path.parent, tuple(chosen), sensor, spec.class_names, count, read)


def _recordings(path: Path) -> Iterator[str]:
    with reading(path, FAULTS, "a whole zip file"), zipfile.ZipFile(path) as archive:
        for member in members(path, archive):
            name = PurePosixPath(member.filename)
            hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
            if name.suffix == ".aedat" and name.parent.name == _SCALE and not hidden:
                yield member.filename


def _within(events: Events, sensor: Sensor) -> Events:
    """Cut out the pixels of the digit; times count from the first of all events."""
    x, y = events.x - _CORNER, events.y - _CORNER
    kept = (x >= 0) & (x < sensor.columns) & (y >= 0) & (y < sensor.rows)
    times = events.times - events.times.min()
    return Events(times[kept], x[kept], y[kept], events.on[kept])
