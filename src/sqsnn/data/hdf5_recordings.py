"""Reader of event recordings in the HDF5 layout of the Spiking Heidelberg Digits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sqsnn.data.dataset_spec import DatasetSpec, EventSpec, Part
from sqsnn.data.events import LONGEST, MICROSECONDS, Events, Recording, Recordings
from sqsnn.data.files import broken, reading
from sqsnn.data.hdf5 import FAULTS, dataset, opened
from sqsnn.data.hdf5_lists import check_lists, find_lists

_KINDS = {
    "spikes/times": "lists of fractional numbers",
    "spikes/units": "lists of whole numbers",
    "labels": "whole numbers",
}


def open_hdf5(spec: DatasetSpec, path: Path, part: Part) -> Recordings:
    """Open a file of recordings, each a list of times and a list of units.

    It holds spikes/times (seconds) and spikes/units, of variable length, labels, and extra/keys
    with the names of the classes.
    """
    events = spec.events
    assert events is not None and events.sensor is not None
    labels, class_names = _read_labels(path, len(spec.class_names))

    def read() -> Iterator[Recording]:
        with opened(path, "times and units") as file:
            spikes = {name: dataset(path, file, f"spikes/{name}") for name in ("times", "units")}
            for number, label in enumerate(labels):
                where = f"recording {number}"
                yield Recording(where, int(label), _read_events(path, spikes, number, events))

    return Recordings(path, (path,), events.sensor, class_names, len(labels), read)


def _read_labels(path: Path, classes: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the labels and the names of the classes, and check the layout."""
    import h5py

    index = "the list of its datasets"
    lists = find_lists(path)
    with opened(path, f"a whole HDF5 file with {', '.join(_KINDS)}, extra/keys", index) as file:
        datasets = [dataset(path, file, name) for name in _KINDS]
        shapes = [found.shape for found in datasets]
        kinds = [_kind(found) for found in datasets]
        for found in datasets[:2]:
            check_lists(path, found, lists)
        labels = np.asarray(datasets[2])
        keys = dataset(path, file, "extra/keys")
        if h5py.check_string_dtype(keys.dtype) is None:
            raise ValueError("extra/keys holds no text")
        if keys.shape != (classes,):
            found = " x ".join(map(str, keys.shape)) or "one"
            raise broken(path, f"the names of {classes} classes", found, where="extra/keys")
        check_lists(path, keys, lists)
        names = tuple(str(key, "utf-8") for key in keys[()])
    count = len(labels) if labels.ndim == 1 else 0
    if not count or shapes[:2] != [(count,)] * 2:
        found = f"shapes {', '.join(map(str, shapes))}"
        raise broken(path, "as many times and units as labels, at least 1", found, where=index)
    for (name, expected), kind in zip(_KINDS.items(), kinds, strict=True):
        if kind != expected:
            raise broken(path, expected, kind, where=name)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        where = f"labels, recording {wrong[0]}"
        expected = f"a label from 0 to {classes - 1}"
        raise broken(path, expected, f"{labels[wrong[0]]}", where=where)
    return labels.astype(np.int64), names


def _kind(dataset: Any) -> str:
    """What a dataset holds, in words."""
    import h5py

    ragged = h5py.check_vlen_dtype(dataset.dtype)
    kind = dataset.dtype.kind if ragged is None else np.dtype(ragged).kind
    # HDF5 crashes on lists whose type, four bits of the encoded datatype, is not 0 for a sequence.
    if ragged is not None and dataset.id.get_type().encode()[3] & 0x0F:
        return "lists of an unknown kind"
    numbers = {"f": "fractional numbers", "i": "whole numbers", "u": "whole numbers"}
    return ("" if ragged is None else "lists of ") + numbers.get(kind, "no numbers")


def _read_events(path: Path, spikes: Any, number: int, spec: EventSpec) -> Events:
    """Read one recording, its times in whole microseconds."""
    assert spec.sensor is not None
    where, last = f"recording {number}", spec.sensor.columns - 1
    with reading(path, FAULTS, "times and units", where):
        seconds = np.asarray(spikes["times"][number]).astype(np.float64)
        units = np.asarray(spikes["units"][number]).astype(np.int64)
    if len(seconds) != len(units) or not len(units):
        found = f"{len(seconds)} times and {len(units)} units"
        raise broken(path, "as many times as units, at least 1", found, where=where)
    checks = [
        (seconds, ~((seconds >= 0) & (seconds <= LONGEST)), f"a time from 0 to {LONGEST} s"),
        (units, (units < 0) | (units > last), f"a unit from 0 to {last}"),
    ]
    if spec.in_order:
        falls = np.diff(seconds, prepend=0.0) < 0
        checks.append((seconds, falls, "a time not below the previous one"))
    for values, wrong, expected in checks:
        if wrong.any():
            first = int(wrong.argmax())
            raise broken(path, expected, f"{values[first]}", where=f"{where}, event {first}")
    times = np.rint(seconds * MICROSECONDS).astype(np.int64)
    return Events(times, units, np.zeros_like(units), np.ones(len(units), bool))
