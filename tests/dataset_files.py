"""Small files in the formats of the named datasets, and other readers of them, from a seed."""

import gzip
import io
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import event_files
import h5py
import numpy as np
from own_files import Files, damage, zip_of

from sqsnn.data import images, stored
from sqsnn.data.dataset_spec import EventSpec, Sensor
from sqsnn.data.events import Binning, Events, Recording, Recordings
from sqsnn.data.hdf5_recordings import open_hdf5
from sqsnn.data.nmnist import open_nmnist
from sqsnn.data.own.event_folder import open_event_folder
from sqsnn.data.specs import SPECS

COUNT, CLASSES = 20, ("a", "b", "c")
IMAGES = replace(
    SPECS["mnist"], class_names=CLASSES, image_shape=(2, 3), train_size=COUNT, test_counts=(0, 0, 0)
)
LISTS = replace(
    SPECS["shd"], class_names=CLASSES, events=EventSpec(Sensor(24), None, 1, in_order=False)
)
SENSOR, BINNING = Sensor(4, 3, 2), Binning(steps=5, duration=1e-3, polarity="channels")
Rows = list[Any]


# Whole files


def pixels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (COUNT, 2, 3), dtype=np.uint8)


def make_idx(rng: np.random.Generator) -> Files:
    files = {}
    for name, array in (("idx.gz", pixels(rng)), ("idx_labels.gz", rng.integers(0, 3, COUNT))):
        header = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
        files[name] = gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)
    return files


def make_usps(rng: np.random.Generator) -> Files:
    buffer = io.BytesIO()
    packing = {"compression": "gzip", "chunks": (8, 3)} if rng.random() < 0.7 else {}
    latest = {"libver": "latest"} if rng.random() < 0.3 else {}
    with h5py.File(buffer, "w", **latest) as file:
        values = (pixels(rng).reshape(COUNT, -1) / 255).astype(np.float32)
        file.create_dataset("train/data", data=values, **packing)
        file["train/target"] = rng.integers(0, 3, COUNT).astype(np.int32)
    return {"usps.h5": buffer.getvalue()}


def make_shd(rng: np.random.Generator) -> Files:
    lengths = rng.integers(1, 30, 8).tolist()
    times = [np.sort(rng.random(length)).tolist() for length in lengths]
    units = [rng.integers(0, 24, length).tolist() for length in lengths]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shd.h5"
        event_files.write_hdf5(path, times, units, rng.integers(0, 3, 8).tolist(), CLASSES)
        return {"shd.h5": path.read_bytes()}


def events(rng: np.random.Generator) -> bytes:
    times = np.sort(rng.integers(0, 2**20, rng.integers(1, 40))).tolist()
    cells = rng.integers(0, (34, 34, 2), (len(times), 3)).tolist()
    rows = [(time, x, y, bool(on)) for time, (x, y, on) in zip(times, cells, strict=True)]
    return event_files.nmnist_member(rows)


def make_nmnist(rng: np.random.Generator) -> Files:
    members = {f"Train/{rng.integers(10)}/{number:05d}.bin": events(rng) for number in range(4)}
    return {"nmnist.zip": zip_of(members)}


def make_events(rng: np.random.Generator) -> Files:
    return {"cats/own.bin": events(rng), "dogs/own2.bin": events(rng)}


def make_cache(rng: np.random.Generator) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        cached(Path(folder))
        (path,) = (Path(folder) / "events").iterdir()
        return {f"events/{path.name}": path.read_bytes()}


def cached(folder: Path) -> Rows:
    """Read recordings by way of a cache in a folder."""
    with patch.dict(os.environ, {stored.CACHE_VARIABLE: str(folder)}):
        found = stored.store("cache", _recordings(), BINNING)
    assert isinstance(found.values, stored.StoredSpikes)
    return [found.values[:].tolist(), found.targets.tolist()]


MAKERS = {
    "idx": make_idx,
    "usps": make_usps,
    "shd": make_shd,
    "nmnist": make_nmnist,
    "events": make_events,
    "cache": make_cache,
}


# Damage


def harm(rng: np.random.Generator, raw: bytes) -> bytes:
    """Damage the bytes of a file, or what is packed in it with checksums that fit."""
    if rng.random() < 0.3:
        return set_fields(rng, raw)
    if raw[:2] == b"\x1f\x8b" and rng.random() < 0.6:
        return gzip.compress(harm(rng, gzip.decompress(raw)), mtime=0)
    if raw[:2] == b"PK" and rng.random() < 0.6:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        victim = list(members)[rng.integers(len(members))]
        return zip_of(members | {victim: harm(rng, members[victim])})
    return damage(rng, raw)


def set_fields(rng: np.random.Generator, raw: bytes) -> bytes:
    """Set one to three aligned numbers to values that sizes, counts and places may fear."""
    changed = bytearray(raw)
    for _ in range(rng.integers(1, 4)):
        size = int(rng.choice([1, 2, 4, 8]))
        if len(raw) < size:
            break
        top = 2 ** (8 * size)
        values = (0, 1, 2, top - 1, top // 2, top // 2 - 1, top // 256, len(raw) % top)
        place = int(rng.integers(len(raw) // size)) * size
        value = values[rng.integers(len(values))]
        changed[place : place + size] = value.to_bytes(size, rng.choice(["little", "big"]))
    return bytes(changed)


# Reading: by sqsnn, and by others


def read(path: Path) -> Rows:
    """Read a file of any kind to rows, as `reference` does."""
    match path.suffix, path.parent.name:
        case ".gz", _:
            found = images.read_idx(IMAGES, (path, path.with_name("idx_labels.gz")), "train")
        case ".zip", _:
            return _rows(open_nmnist(SPECS["nmnist"], path, "train"))
        case ".bin", _:
            return _rows(open_event_folder(path.parents[1])["train"])
        case _, "events":
            return cached(path.parents[1])
        case _ if path.stem == "usps":
            found = images.read_usps_h5(IMAGES, (path,), "train")
        case _:
            return _rows(open_hdf5(LISTS, path, "train"))
    return [np.asarray(found.values).tolist(), found.targets.tolist()]


def _rows(recordings: Recordings) -> Rows:
    return [(one.label, [column.tolist() for column in one.events]) for one in recordings.read()]


def agrees(found: Rows, path: Path) -> str | None:
    """Compare what was read with an independent reading; None if it is equal."""
    try:
        expected = reference(path)
    except Exception as error:
        return f"an independent reader fails: {error!r}"
    return None if found == expected else f"{found}\n differs from\n{expected}"


def reference(path: Path) -> Rows:
    """What the plainest reader finds in the same bytes; of the cache, what was once put in."""
    match path.suffix, path.parent.name:
        case ".gz", _:
            raw, labels = (
                gzip.decompress(one.read_bytes()) for one in (path, path.with_name("idx_labels.gz"))
            )
            return [list(map(list, zip(*[iter(raw[16:])] * 6, strict=True))), list(labels[8:])]
        case ".zip", _:
            with zipfile.ZipFile(path) as archive:
                names = sorted(name for name in archive.namelist() if _is_visible(name))
                return [(int(name.split("/")[-2]), _decode(archive.read(name))) for name in names]
        case ".bin", _:
            places = sorted(path.parents[1].rglob("*.bin"))
            decoded = [_decode(place.read_bytes()) for place in places]
            for columns in decoded:
                columns[0] = [time - columns[0][0] for time in columns[0]]
            return list(enumerate(decoded))
        case _, "events":
            return _binned()
    with h5py.File(path) as file:
        content: Any = file
        if path.stem == "usps":
            return [content["train/data"][()].tolist(), content["train/target"][()].tolist()]
        times, units = content["spikes/times"][()], content["spikes/units"][()]
        rows = []
        for label, time, unit in zip(content["labels"][()], times, units, strict=True):
            whole = [round(float(one) * 1e6) for one in time]
            rows.append((int(label), [whole, unit.tolist(), [0] * len(unit), [True] * len(unit)]))
        return rows


def _is_visible(name: str) -> bool:
    return "/" in name and not any(part[0] in "._" for part in name.split("/") if part)


def _decode(raw: bytes) -> Rows:
    """Five bytes per event, one after another."""
    columns: Rows = [[], [], [], []]
    late = 0
    for start in range(0, len(raw), 5):
        x, y, *rest = raw[start : start + 5]
        number = int.from_bytes(bytes(rest), "big")
        if y == 240:
            late += 2**13
            continue
        for column, value in zip(
            columns, (number % 2**23 + late, x, y, number >= 2**23), strict=True
        ):
            column.append(value)
    return columns


def _recordings() -> Recordings:
    def read() -> Iterator[Recording]:
        for number, (times, x, y, on) in enumerate(_CACHED):
            columns = (np.array(times), np.array(x), np.array(y), np.array(on))
            yield Recording(f"recording {number}", number % 2, Events(*columns))

    return Recordings(Path("cache"), (), SENSOR, ("a", "b"), len(_CACHED), read)


_CACHED = [
    ([100 * step + number for step in range(9)], [number] * 9, [step % 3 for step in range(9)], on)
    for number, on in enumerate(([True] * 9, [False] * 9, [True, False, True] * 3))
]


def _binned() -> Rows:
    trains = np.zeros((len(_CACHED), 5, 12, 2))
    for number, columns in enumerate(_CACHED):
        for time, x, y, on in zip(*columns, strict=True):
            trains[number, time * 5 // 1000, 4 * y + x, 0 if on else 1] = 1
    return [trains.tolist(), [0, 1, 0]]
