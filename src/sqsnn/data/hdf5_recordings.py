"""Event recordings in the HDF5 layout of the Spiking Heidelberg Digits, read one at a time.

The HDF5 library never comes back from some damaged files: it walks its heaps of lists of variable
length from object to object, and does not notice one of size 0. So they are walked here first.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sqsnn.data.events import LONGEST, MICROSECONDS, Events, Recording, Sensor
from sqsnn.data.recordings import Recordings, damaged

# What h5py raises on damaged files, from many thousands of damaged ones.
_FAULTS = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)
_DATASETS = ("spikes/times", "spikes/units", "labels", "extra/keys")
_KINDS = ("lists of fractional numbers", "lists of whole numbers", "whole numbers")
# A global heap: signature, version 1, reserved, size. HDF5 File Format Specification, III.E.
_HEAP = struct.Struct("<4sB3xQ")
_HEAP_START = b"GCOL\x01"
# An object in it: index, references, reserved, size; index 0 is the free space, header included.
_OBJECT = struct.Struct("<HH4xQ")


def open_hdf5(path: Path, sensor: Sensor, classes: int, *, in_order: bool) -> Recordings:
    """Look into a file of the Spiking Heidelberg Digits' layout.

    It holds spikes/times (seconds) and spikes/units, of variable length, labels, and extra/keys
    with the names of the classes.

    Args:
        path: the file.
        sensor: what the events come from, one row of units.
        classes: how many there are.
        in_order: refuse times that fall within a recording.

    Raises:
        DataError: if the file is no whole HDF5 file, or has another layout, or labels that fit no
            class.
    """
    _check_heaps(path)
    labels, class_names = _read_labels(path, classes)

    def read() -> Iterator[Recording]:
        import h5py

        with h5py.File(path, "r") as file:
            spikes = file["spikes"]
            for number, label in enumerate(labels):
                where = f"recording {number}"
                yield Recording(where, int(label), _row(path, spikes, number, sensor, in_order))

    return Recordings(path, (path,), sensor, class_names, len(labels), read)


def _read_labels(path: Path, classes: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The labels and the names of the classes, once the layout is known to be right."""
    import h5py

    index = "the list of its datasets"
    try:
        with h5py.File(path, "r") as file:
            datasets: list[Any] = [file[name] for name in _DATASETS]
            shapes = [dataset.shape for dataset in datasets]
            kinds = [_kind(dataset.dtype) for dataset in datasets[:3]]
            labels = np.asarray(datasets[2])
            names = tuple(str(key, "utf-8") for key in datasets[3][()])
    # No shape, where a dataset is a group.
    except (*_FAULTS, AttributeError) as error:
        expected = f"a whole HDF5 file with {', '.join(_DATASETS)}"
        raise damaged(path, index, expected, f"{error}") from error
    count = len(labels) if labels.ndim == 1 else 0
    if not count or shapes[:2] != [(count,)] * 2:
        found = f"shapes {', '.join(map(str, shapes[:3]))}"
        raise damaged(path, index, "as many times and units as labels, at least 1", found)
    for name, kind, expected in zip(_DATASETS, kinds, _KINDS, strict=False):
        if kind != expected:
            raise damaged(path, name, expected, kind)
    if len(names) != classes:
        raise damaged(path, "extra/keys", f"the names of {classes} classes", f"{len(names)}")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        where = f"labels, recording {wrong[0]}"
        raise damaged(path, where, f"a label from 0 to {classes - 1}", f"{labels[wrong[0]]}")
    return labels.astype(np.int64), names


def _kind(dtype: np.dtype) -> str:
    """What a dataset holds, in words."""
    import h5py

    ragged = h5py.check_vlen_dtype(dtype)
    kind = dtype.kind if ragged is None else np.dtype(ragged).kind
    numbers = {"f": "fractional numbers", "i": "whole numbers", "u": "whole numbers"}
    return ("" if ragged is None else "lists of ") + numbers.get(kind, "no numbers")


def _row(path: Path, spikes: Any, number: int, sensor: Sensor, in_order: bool) -> Events:
    """One recording, its times in whole microseconds."""
    where = f"recording {number}"
    try:
        seconds = np.asarray(spikes["times"][number]).astype(np.float64)
        units = np.asarray(spikes["units"][number]).astype(np.int64)
    except _FAULTS as error:
        raise damaged(path, where, "times and units", f"{error}") from error
    if len(seconds) != len(units) or not len(units):
        found = f"{len(seconds)} times and {len(units)} units"
        raise damaged(path, where, "as many times as units, at least 1", found)
    checks = [
        (seconds, ~((seconds >= 0) & (seconds <= LONGEST)), f"a time from 0 to {LONGEST} s"),
        (units, (units < 0) | (units >= sensor.columns), f"a unit from 0 to {sensor.columns - 1}"),
    ]
    if in_order:
        falls = np.diff(seconds, prepend=0.0) < 0
        checks.append((seconds, falls, "a time of at least the one before"))
    for values, wrong, expected in checks:
        if wrong.any():
            first = int(wrong.argmax())
            raise damaged(path, f"{where}, event {first}", expected, f"{values[first]}")
    times = np.rint(seconds * MICROSECONDS).astype(np.int64)
    return Events(times, units, np.zeros_like(units), np.ones(len(units), bool))


def _check_heaps(path: Path) -> None:
    """Refuse a file with a heap that cannot be walked from its start to its end."""
    try:
        with path.open("rb") as file:
            raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise damaged(path, "byte 0", "a whole HDF5 file", f"{error}") from error
    with raw:
        heap = raw.find(_HEAP_START)
        while heap >= 0:
            _walk(path, raw, heap)
            heap = raw.find(_HEAP_START, heap + 1)


def _walk(path: Path, raw: mmap.mmap, heap: int) -> None:
    size = _HEAP.unpack_from(raw, heap)[2] if heap + _HEAP.size <= len(raw) else 0
    end = heap + size
    if size < _HEAP.size or end > len(raw):
        found = f"{size} of the {len(raw) - heap} bytes up to the end of the file"
        raise damaged(path, f"byte {heap}", "a whole heap of lists", found)
    place = heap + _HEAP.size
    while place + _OBJECT.size <= end:
        index, _, length = _OBJECT.unpack_from(raw, place)
        # Lists are padded to whole eights of bytes.
        used = length if index == 0 else _OBJECT.size + -(-length // 8) * 8
        if used == 0 or place + used > end:
            found = f"one of {used} in a heap with {end - place} left"
            raise damaged(path, f"byte {place}", "a list of at least 1 byte", found)
        place += used
