"""Opens a user's folder of event recordings: a sub-folder per class, a file per recording.

Files are .bin, in the format of N-MNIST and N-Caltech101; .aedat, version 2.0 of a DVS128, as in
CIFAR10-DVS; or .aedat4, as cameras of iniVation write them, read by the library tonic (extra
`events`, and its package `aedat`).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from sqsnn.data.aedat import decode_aedat
from sqsnn.data.dataset_spec import DatasetSpec, Part, Sensor
from sqsnn.data.events import LONGEST, MICROSECONDS, Events, Recording, Recordings
from sqsnn.data.nmnist import decode_events
from sqsnn.data.own.faults import listed, refuse, unreadable
from sqsnn.data.splits import split
from sqsnn.data.trust import check_size
from sqsnn.errors import ConfigError, DataError

# x of .bin is a byte, and 240 of y marks an overflow of the clock.
_BIN_SENSOR = Sensor(256, 240, 2)
# Rows and columns of the largest event camera are below 2**11; beyond 2**14, the file is damaged.
_LARGEST = 2**14


def open_part(spec: DatasetSpec, path: Path, part: Part) -> Recordings:
    """Open a part of a folder; a fifth of each class is the test, where there is no folder of it.

    Args:
        spec: The dataset.
        path: The folder.
        part: Training or test part.
    """
    opened = open_event_folder(path)
    if "test" in opened:
        return opened[part]
    whole = opened["train"]
    labels = [file.parent.name for file in whole.files]
    least = min(labels.count(name) for name in set(labels))
    if least < 2:
        raise refuse(path, "", "at least 2 recordings per class", f"{least} of a class")
    halves = split(np.arange(len(labels)), 0.2, classes=np.array(labels))
    chosen = set(halves[part == "test"].tolist())

    def read() -> Iterator[Recording]:
        return (one for number, one in enumerate(whole.read()) if number in chosen)

    files = tuple(whole.files[number] for number in sorted(chosen))
    return replace(whole, files=files, count=len(chosen), read=read)


def open_event_folder(path: Path, sensor: Sensor | None = None) -> dict[Part, Recordings]:
    """Open the training part, and the test part if there are sub-folders train and test.

    Args:
        path: The folder: CLASS/NAME.bin, or train/CLASS/NAME.bin and test/CLASS/NAME.bin.
        sensor: Sensor that recorded the events; None for the smallest that holds all, for which
            each file is read once here.

    Raises:
        DataError: If a file is damaged or out of place.
        ConfigError: If a package that reads the files is not installed.
    """
    if not path.is_dir():
        raise refuse(path, "", "a folder of event recordings", "a file or nothing")
    folders = {folder.name.lower(): folder for folder in _visible(path)}
    parts: dict[Part, Path] = {"train": path}
    if set(folders) == {"train", "test"}:
        parts = {"train": folders["train"], "test": folders["test"]}
    classes = tuple(folder.name for folder in _visible(parts["train"]))
    found = {part: _list_files(place, classes) for part, place in parts.items()}
    if sensor is None:
        sensor = _smallest_sensor([file for one in found.values() for file, _ in one])
    opened: dict[Part, Recordings] = {}
    for part, place in parts.items():
        opened[part] = _open_part(place, found[part], classes, sensor)
    return opened


def _visible(folder: Path) -> list[Path]:
    """Files and folders in a folder by name, without hidden ones."""
    return sorted(place for place in folder.iterdir() if not place.name.startswith("."))


def _list_files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """List the recordings of a part, each with the number of its class."""
    labelled: list[tuple[Path, int]] = []
    for place in _visible(folder):
        if not place.is_dir():
            raise refuse(place, "", "a folder per class, with its recordings", "a file")
        if place.name not in classes:
            raise refuse(place, "", "a class of the training part", f"another; {listed(classes)}")
        files = _visible(place)
        for file in files:
            if file.suffix.lower() not in _READERS or not file.is_file():
                raise refuse(file, "", f"a recording, {' or '.join(_READERS)}", "something else")
        if not files:
            raise refuse(place, "", "recordings", "none")
        labelled += [(file, classes.index(place.name)) for file in files]
    if not labelled:
        raise refuse(folder, "", "a folder per class, with its recordings", "none")
    return labelled


def _open_part(
    folder: Path, labelled: list[tuple[Path, int]], classes: tuple[str, ...], sensor: Sensor
) -> Recordings:
    def read() -> Iterator[Recording]:
        for file, label in labelled:
            events = _read_events(file)
            for axis, values, size in (
                ("x", events.x, sensor.columns),
                ("y", events.y, sensor.rows),
            ):
                if values.max() >= size:
                    raise refuse(file, "", f"{axis} from 0 to {size - 1}", f"{values.max()}")
            yield Recording(f"{file.parent.name}/{file.name}", label, events)

    files = tuple(file for file, _ in labelled)
    return Recordings(folder, files, sensor, classes, len(labelled), read)


def _smallest_sensor(files: list[Path]) -> Sensor:
    """Find the smallest sensor that holds the events of all files."""
    columns = rows = 0
    for file in files:
        events = _read_events(file)
        columns, rows = max(columns, int(events.x.max())), max(rows, int(events.y.max()))
    return Sensor(columns + 1, rows + 1, 2)


def _read_events(path: Path) -> Events:
    """Read the events of a file; times count from the first event."""
    check_size(path, "its events", 8 * path.stat().st_size)
    try:
        events = _READERS[path.suffix.lower()](path)
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise unreadable(path, error) from error
    if not len(events.times):
        raise refuse(path, "", "events", "none")
    times = events.times - events.times.min()
    times[events.times < 0] = -1  # of 64 bits without a sign; the difference may have run over
    checks = (
        ("time in microseconds", times, LONGEST * MICROSECONDS),
        ("x", events.x, _LARGEST),
        ("y", events.y, _LARGEST),
    )
    for name, values, limit in checks:
        wrong = np.flatnonzero((values < 0) | (values >= limit))
        if len(wrong):
            where = f"event {wrong[0]}"
            raise refuse(path, where, f"{name} from 0 to {limit - 1}", f"{values[wrong[0]]}")
    return events._replace(times=times)


def _describe(path: Path, expected: str, found: str, where: str) -> DataError:
    return refuse(path, where, expected, found)


def _read_bin(path: Path) -> Events:
    # tonic's reader takes minutes for a damaged file that is full of overflows of the clock.
    return decode_events(path, "", path.read_bytes(), _BIN_SENSOR, _describe)


def _read_aedat(path: Path) -> Events:
    return decode_aedat(path, "", path.read_bytes(), _describe)


def _read_aedat4(path: Path) -> Events:
    try:
        import aedat  # noqa: F401 # pyright: ignore[reportMissingImports]
        from tonic.io import read_aedat4
    except ImportError as error:
        raise ConfigError(
            f"{path} is read by the packages tonic and aedat, and {error.name} is not installed; "
            "install both by: pip install 'sqsnn[events]' aedat"
        ) from error
    try:
        raw = read_aedat4(str(path))
        fields = ("t", "x", "y", "on" if "on" in (raw.dtype.names or ()) else "p")
        times, x, y, on = (raw[field].astype(np.int64) for field in fields)
    except Exception as error:  # its decoder raises anything on damaged files
        found = f"{type(error).__name__}: {error}"
        raise refuse(path, "", "a whole file of events", found) from error
    return Events(times, x, y, on.astype(bool))


_READERS: dict[str, Callable[[Path], Events]] = {
    ".bin": _read_bin,
    ".aedat": _read_aedat,
    ".aedat4": _read_aedat4,
}
