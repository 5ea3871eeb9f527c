"""Spike trains on disk: a cache of binned events that is read batch by batch.

The cache is an HDF5 file in the user's cache folder, never in the data folder, which may be
read-only. It records what it was made from and a checksum, so that a file that is damaged, or was
made from something else, is made again.
"""

import json
import math
import os
import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pooch
import torch
from jaxtyping import Int
from rich.console import Console
from rich.progress import track
from torch import Tensor

from sqsnn.data.events import MICROSECONDS, Binning, Recordings, bin_events
from sqsnn.errors import ConfigError, DataError

CACHE_VARIABLE = "SQSNN_CACHE"
_LAYOUT = 2  # of the cache files; another number makes them all again
# Level of gzip: unlike lzf it knows damage, and never gives what was in memory before.
_PACKING = 1
_LARGEST = 2**30  # bytes of one spike train
_BLOCK_BYTES = 2**20  # read at once when a whole file is checked
_FAULTS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)


class StoredSpikes:
    """Spike trains in a cache file, which stand where a tensor of all samples would.

    Samples are read from disk whenever they are indexed or iterated. The file is open only while it
    is read, so that the object can be pickled, and read by many processes:
    `DataLoader(TensorDataset(samples.values, samples.targets), num_workers=2)`.

    Args:
        path: The cache file.
        chosen: (n,), places in the file of these samples.
        device: Device of the samples that are read.
        dtype: Precision of the samples that are read.

    Raises:
        DataError: If the file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        chosen: Int[np.ndarray, " n"],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.path = path
        self.device = torch.device(device)
        self.dtype = dtype
        self._chosen = chosen
        with self._opened() as spikes:
            self._sample_shape: tuple[int, ...] = spikes.shape[1:]

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor that this stands for: (n, T, units), or (n, T, units, 2)."""
        return (len(self), *self._sample_shape)

    def size(self, dimension: int) -> int:
        """Give the size of a dimension, as of a tensor."""
        return self.shape[dimension]

    def __getitem__(
        self, which: int | np.integer | slice | Tensor | np.ndarray | Sequence[int]
    ) -> Tensor:
        """Read a sample, `(T, units)` or `(T, units, 2)`; or several, with a dimension in front."""
        chosen = self._chosen[which.cpu().numpy() if isinstance(which, Tensor) else which]
        places = np.atleast_1d(chosen)
        read = np.empty((len(places), *self._sample_shape), np.uint8)
        with self._opened() as spikes:
            # One at a time: h5py is thirty times slower with a list of samples.
            for number, place in enumerate(places):
                read[number] = spikes[place]
        samples = torch.from_numpy(read).to(self.device, self.dtype)
        return samples[0] if np.ndim(chosen) == 0 else samples

    def __iter__(self) -> Iterator[Tensor]:
        return (sample for batch in self.split(64) for sample in batch)

    def split(self, size: int) -> Iterator[Tensor]:
        """Read all samples in batches."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "StoredSpikes":
        """Return the same samples, to be read on another device or in another precision."""
        return StoredSpikes(self.path, self._chosen, device=device, dtype=dtype)

    def select(self, which: Int[np.ndarray, " m"]) -> "StoredSpikes":
        """Return some of the samples, still on disk."""
        return StoredSpikes(self.path, self._chosen[which], device=self.device, dtype=self.dtype)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import h5py

        try:
            with h5py.File(self.path, "r") as file:
                yield file["spikes"]
        except _FAULTS as error:
            raise _unreadable(self.path, error) from error


class RawSamples(NamedTuple):
    """Values and labels of one part of a dataset, as they are stored.

    Attributes:
        values: (n, features) numbers from 0 to `white`, or spike trains (n, T, features[, 2]).
        targets: (n,) int64, classes 0..classes-1.
        white: The value that stands for 1.
    """

    values: np.ndarray | StoredSpikes
    targets: np.ndarray
    white: float = 1.0


def cache_folder() -> Path:
    """Find the folder of cached spike trains: $SQSNN_CACHE, else below the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return (Path(chosen).expanduser() if chosen else Path(pooch.os_cache("sqsnn"))) / "events"


def store(name: str, recordings: Recordings, binning: Binning) -> RawSamples:
    """Bin a part of an event dataset, or find it in the cache."""
    shape = (recordings.count, *binning.shape(recordings.sensor))
    if math.prod(shape[1:]) > _LARGEST:
        raise ConfigError(
            f"steps is {binning.steps} and pool is {binning.pool}, with which a spike train of "
            f"{recordings.path} has {math.prod(shape[1:]):,} bytes, and may have {_LARGEST:,}: "
            "choose fewer steps, or a larger pool"
        )
    key = _key(name, recordings, binning)
    path = cache_folder() / f"{re.sub(r'[^A-Za-z0-9-]+', '-', name)[-60:]}-{key[:16]}.h5"
    labels = _read_labels(path, key, shape)
    if labels is None:
        _write(path, key, recordings, binning)
        labels = _read_labels(path, key, shape)
    if labels is None:
        raise DataError(
            f"{path} has just been written and is damaged already: the disk that holds it is not "
            f"reliable; name another folder by ${CACHE_VARIABLE}"
        )
    return RawSamples(StoredSpikes(path, np.arange(len(labels))), labels)


def _key(name: str, recordings: Recordings, binning: Binning) -> str:
    """Digest everything that the cached spike trains depend on."""
    place = recordings.path
    stats = [
        (str(file.relative_to(place)) if place.is_dir() else file.name, file.stat())
        for file in recordings.files
    ]
    made_from = {
        "layout": _LAYOUT,
        "name": name,
        "files": [(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats],
        "sensor": recordings.sensor,
        "steps": binning.steps,
        "microseconds": binning.microseconds,
        "pool": binning.pool,
        "polarity": binning.polarity,
    }
    return sha256(json.dumps(made_from).encode()).hexdigest()


def _read_labels(path: Path, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Read the labels of a cache file; None unless it is whole and was made from the same."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            # Texts without a fixed length lie in heaps, which have no checksum and may have no end.
            if file.attrs.get_id("key").dtype.kind != "S" or file.attrs["key"] != key.encode():
                return None
            spikes, stored = (cast(h5py.Dataset, file[name]) for name in ("spikes", "labels"))
            if (spikes.shape, spikes.dtype, stored.shape) != (shape, np.uint8, shape[:1]):
                return None
            labels = np.asarray(stored)
            block = max(1, _BLOCK_BYTES // int(np.prod(spikes.shape[1:])))
            checksum = 0
            for start in range(0, len(spikes), block):
                checksum = zlib.crc32(spikes[start : start + block].data, checksum)
            whole = file.attrs["checksum"] == zlib.crc32(labels.data, checksum)
            return labels if whole else None
    except _FAULTS:  # missing or damaged: it is made again
        return None


def _write(path: Path, key: str, recordings: Recordings, binning: Binning) -> None:
    """Make a cache file elsewhere, and move it to its place once it is whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / path.name
            _fill(part, key, recordings, binning)
            part.replace(path)
    except DataError:  # of a recording; it is an OSError too
        raise
    except OSError as error:
        raise DataError(
            f"the spike trains of events cannot be kept in {path.parent} ({error}); name another "
            f"folder by ${CACHE_VARIABLE}"
        ) from error


def _fill(part: Path, key: str, recordings: Recordings, binning: Binning) -> None:
    import h5py

    shape = binning.shape(recordings.sensor)
    labels = np.empty(recordings.count, np.int64)
    checksum = 0
    console = Console(stderr=True)
    watched = track(
        recordings.read(),
        f"Binning {recordings.path.name}",
        recordings.count,
        console=console,
        transient=True,
        disable=not console.is_terminal,  # where it would leave an empty line
    )
    # The latest layout has checksums on what HDF5 adds to the data.
    with h5py.File(part, "w", libver="latest") as file:
        spikes = file.create_dataset(
            "spikes", (recordings.count, *shape), np.uint8, chunks=(1, *shape), compression=_PACKING
        )
        for number, recording in enumerate(watched):
            train = bin_events(recording.events, recordings.sensor, binning)
            if not train.any():
                first = recording.events.times.min() / MICROSECONDS
                raise DataError(
                    f"{recordings.path}, {recording.where}: the first event is at {first:g} s, but "
                    f"only events before the duration, {binning.duration:g} s, are used; give a "
                    "longer duration"
                )
            spikes[number] = train
            labels[number] = recording.label
            checksum = zlib.crc32(train.data, checksum)
        file["labels"] = labels
        file.attrs["key"] = np.bytes_(key)
        file.attrs["checksum"] = zlib.crc32(labels.data, checksum)


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}, a cache of spike trains, was whole when it was opened and can no longer be read "
        f"({error}); run again, and it is made again"
    )
