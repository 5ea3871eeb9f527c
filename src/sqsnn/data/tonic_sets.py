"""Event datasets that the library tonic reads (extra `events`).

Any dataset of tonic with a training and a test part, whose recordings have one label each.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sqsnn.data.dataset_spec import DatasetSpec, Part, Sensor
from sqsnn.data.events import Events, Recording, Recordings
from sqsnn.errors import ConfigError, DataError


def open_part(spec: DatasetSpec, folder: Path, part: Part) -> Recordings:
    """Open a part of one of tonic's datasets, which tonic downloads where it can.

    The times of a recording count from its first event, since tonic's datasets start their clocks
    differently.
    """
    name = spec.name.partition(":")[2]
    reader = _find_reader(spec.name, name)
    try:
        dataset = reader(str(folder), train=part == "train")
        count = len(dataset)
    # Readers of tonic raise anything, and some leave the program.
    except (Exception, SystemExit) as error:
        raise DataError(
            f"tonic cannot open {name} in {folder}: {type(error).__name__}: {error}"
        ) from error
    size = getattr(dataset, "sensor_size", None)
    if not isinstance(size, tuple) or len(size) != 3:
        raise ConfigError(
            f"{spec.name} cannot be trained on: its sensor_size must be (columns, rows, "
            f"polarities), but is {size}"
        )
    if not count:
        raise DataError(f"tonic finds no recordings of {name} ({part}) in {folder}")
    place, sensor, class_names = folder / name, Sensor(*map(int, size)), _class_names(dataset)
    files = tuple(sorted(path for path in place.rglob("*") if path.is_file()))

    def read() -> Iterator[Recording]:
        for number in range(count):
            where = f"recording {number}"
            full = f"{place} ({part}), {where}"
            try:
                events, label = dataset[number]
            except Exception as error:  # readers of tonic raise anything on damaged files
                found = f"{type(error).__name__}: {error}"
                raise _unfit(full, "events and a label", found) from error
            yield Recording(where, _label(full, label, class_names), _events(full, events, sensor))

    return Recordings(place, files, sensor, class_names, count, read)


def _find_reader(full_name: str, name: str) -> Any:
    """Find the class of a dataset, which must take `train`."""
    try:
        from tonic import datasets
    except ImportError as error:
        raise ConfigError(
            f"{full_name} is read by the library tonic, which is not installed; install it by: "
            "pip install 'sqsnn[events]'"
        ) from error
    reader = getattr(datasets, name, None)
    if inspect.isclass(reader) and _has_parts(reader):
        return reader
    usable = [known for known in datasets.__all__ if _has_parts(getattr(datasets, known))]
    reason = "has no training and test part" if inspect.isclass(reader) else "is not in tonic"
    raise ConfigError(
        f"{full_name} {reason}; datasets of tonic that have both are {', '.join(usable)}"
    )


def _has_parts(reader: Any) -> bool:
    return "train" in inspect.signature(reader).parameters


def _class_names(dataset: Any) -> tuple[str, ...] | None:
    found = getattr(dataset, "classes", None)
    if not isinstance(found, list | tuple | np.ndarray) or not len(found):
        return None
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in found)


def _label(where: str, label: object, class_names: tuple[str, ...] | None) -> int:
    names = class_names or ()
    if isinstance(label, str) and label in names:
        return names.index(label)
    classes = len(names) or np.iinfo(np.int64).max
    if not isinstance(label, int | np.integer) or not 0 <= label < classes:
        expected = f"a label from 0 to {classes - 1}" if names else "a label from 0"
        raise _unfit(where, expected, repr(label))
    return int(label)


def _events(where: str, events: object, sensor: Sensor) -> Events:
    names = getattr(getattr(events, "dtype", None), "names", None) or ()
    if not isinstance(events, np.ndarray) or not {"t", "x", "p"} <= set(names):
        raise _unfit(where, "an array with the fields x, t and p", f"{type(events).__name__}")
    if not len(events):
        raise _unfit(where, "events", "none")
    times, x = (events[field].astype(np.int64) for field in ("t", "x"))
    y = events["y"].astype(np.int64) if "y" in names else np.zeros_like(x)
    on = events["p"].astype(np.int64) if sensor.polarities == 2 else np.ones_like(x)
    limits = (("x", x, sensor.columns), ("y", y, sensor.rows), ("p", on, 2))
    for field, values, size in limits:
        wrong = np.flatnonzero((values < 0) | (values >= size))
        if len(wrong):
            event = f"{where}, event {wrong[0]}"
            raise _unfit(event, f"{field} from 0 to {size - 1}", f"{values[wrong[0]]}")
    return Events(times - times.min(), x, y, on.astype(bool))


def _unfit(where: str, expected: str, found: str) -> DataError:
    return DataError(
        f"{where}: expected {expected}, found {found}. If files are damaged, move that folder "
        "away, and tonic downloads them again where it can; other kinds of datasets cannot be "
        "trained on."
    )
