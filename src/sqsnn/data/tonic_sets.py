"""Event datasets that the library tonic reads (extra `events`): any whose parts are train and test
and whose recordings have one label each.
"""

import inspect
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sqsnn.data.events import Events, Recording, Sensor
from sqsnn.data.images import Part
from sqsnn.data.presets import TONIC
from sqsnn.data.recordings import Recordings
from sqsnn.errors import ConfigError, DataError


def open_parts(name: str, folder: Path) -> dict[Part, Recordings]:
    """Look into both parts of one of tonic's datasets, which tonic downloads where it can.

    Recordings are timed from their first event, since some of tonic's datasets have other clocks.

    Args:
        name: the name of a class of tonic.datasets.
        folder: where tonic's datasets lie, each in a folder of its own.

    Raises:
        ConfigError: if tonic is not installed, has no such dataset, or one of another kind.
        DataError: if tonic cannot read it.
    """
    reader = _find_reader(name)
    return {part: _open(reader, name, folder, part) for part in ("train", "test")}


def _find_reader(name: str) -> Any:
    """The class of a dataset, if it takes `train`."""
    try:
        from tonic import datasets
    except ImportError as error:
        raise ConfigError(
            f"{TONIC}{name} is read by the library tonic, which is not installed; install it by: "
            "pip install 'sqsnn[events]'"
        ) from error
    reader = getattr(datasets, name, None)
    if not inspect.isclass(reader) or not _has_parts(reader):
        usable = [known for known in datasets.__all__ if _has_parts(getattr(datasets, known))]
        reason = (
            "has no training and test part" if inspect.isclass(reader) else "is none of tonic's"
        )
        raise ConfigError(
            f"{TONIC}{name} {reason}; datasets of tonic that have both are {', '.join(usable)}"
        )
    return reader


def _has_parts(reader: Any) -> bool:
    return "train" in inspect.signature(reader).parameters


def _open(reader: Any, name: str, folder: Path, part: Part) -> Recordings:
    try:
        dataset = reader(str(folder), train=part == "train")
        count = len(dataset)
    # Whatever a reader of tonic's or the network raises; some readers leave the program.
    except (Exception, SystemExit) as error:
        raise DataError(
            f"tonic cannot open {name} in {folder}: {type(error).__name__}: {error}"
        ) from error
    size = getattr(dataset, "sensor_size", None)
    if not isinstance(size, tuple) or len(size) != 3:
        raise ConfigError(
            f"{TONIC}{name} cannot be trained on: its sensor_size must be (columns, rows, "
            f"polarities), but is {size}"
        )
    if not count:
        raise DataError(f"tonic finds no recordings of {name} ({part}) in {folder}")
    sensor = Sensor(*map(int, size))
    place = folder / name
    files = tuple(sorted(path for path in place.rglob("*") if path.is_file()))
    class_names = _class_names(dataset)
    read = partial(_read, dataset, f"{place} ({part})", sensor, class_names)
    return Recordings(place, files, sensor, class_names, count, read)


def _class_names(dataset: Any) -> tuple[str, ...] | None:
    found = getattr(dataset, "classes", None)
    if not isinstance(found, list | tuple | np.ndarray) or not len(found):
        return None
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in found)


def _read(
    dataset: Any, place: str, sensor: Sensor, class_names: tuple[str, ...] | None
) -> Iterator[Recording]:
    for number in range(len(dataset)):
        where = f"recording {number}"
        try:
            events, label = dataset[number]
        except Exception as error:  # whatever a reader of tonic's raises on damaged files
            raise _unfit(
                f"{place}, {where}", "events and a label", f"{type(error).__name__}: {error}"
            ) from error
        yield Recording(
            where,
            _label(f"{place}, {where}", label, class_names),
            _events(f"{place}, {where}", events, sensor),
        )


def _label(where: str, label: object, class_names: tuple[str, ...] | None) -> int:
    names = () if class_names is None else class_names
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
            first = wrong[0]
            raise _unfit(
                f"{where}, event {first}", f"{field} from 0 to {size - 1}", f"{values[first]}"
            )
    return Events(times - times.min(), x, y, on.astype(bool))


def _unfit(where: str, expected: str, found: str) -> DataError:
    return DataError(
        f"{where}: expected {expected}, found {found}. If files are damaged, delete that folder, "
        "and tonic gets them again; other kinds of datasets cannot be trained on."
    )
