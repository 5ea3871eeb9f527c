"""Spike trains on disk: a cache of binned events that is read batch by batch.

The cache is an HDF5 file of the user's cache folder, never of the data folder, which may be
read-only. It says what it was made of and carries a checksum, so that a file that is damaged, or
was made of something else, is made again.
"""

import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pooch
import torch
from jaxtyping import Float, Int
from rich.console import Console
from rich.progress import track
from torch import Tensor

from sqsnn.data.events import MICROSECONDS, Binning, Recording, bin_events
from sqsnn.data.recordings import Recordings
from sqsnn.errors import DataError

CACHE_VARIABLE = "SQSNN_CACHE"
_LAYOUT = 1  # of the cache files; another number makes them all again
_BLOCK_BYTES = 2**20  # read at once when a whole file is checked
_FAULTS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)


class StoredSpikes:
    """Spike trains in a cache file, which stand where a tensor of all samples would.

    Only the samples that are asked for are read, whenever they are asked for.

    Args:
        path: the cache file.
        chosen: (n,), which samples of the file these are.
        device: where the samples are put.
        dtype: what they become.

    Raises:
        DataError: if the file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        chosen: Int[np.ndarray, " n"],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        import h5py

        self.path = path
        self.device = torch.device(device)
        self.dtype = dtype
        self._chosen = chosen
        try:
            self._spikes: Any = h5py.File(path, "r")["spikes"]
        except _FAULTS as error:
            raise _unreadable(path, error) from error

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor that this stands for: (n, T, units), or (n, T, units, 2)."""
        return (len(self), *self._spikes.shape[1:])

    def __getitem__(
        self, which: Int[Tensor, " B"] | slice
    ) -> Float[Tensor, "B T units"] | Float[Tensor, "B T units channels"]:
        """Read some samples.

        Args:
            which: their places among these samples.
        """
        places = which if isinstance(which, slice) else which.cpu().numpy()
        chosen = self._chosen[places]
        read = np.empty((len(chosen), *self._spikes.shape[1:]), np.uint8)
        try:
            # One at a time: h5py is thirty times slower with a list of samples.
            for place, sample in enumerate(chosen):
                read[place] = self._spikes[sample]
        except _FAULTS as error:
            raise _unreadable(self.path, error) from error
        return torch.from_numpy(read).to(self.device, self.dtype)

    def split(self, size: int) -> Iterator[Tensor]:
        """Read all samples, so many at a time.

        Args:
            size: samples of a batch, at least 1; the last may have fewer.
        """
        return (self[start : start + size] for start in range(0, len(self), size))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "StoredSpikes":
        """The same samples, to be put elsewhere or in another precision when they are read.

        Args:
            device: where the samples are put.
            dtype: what they become.
        """
        return StoredSpikes(self.path, self._chosen, device=device, dtype=dtype)

    def select(self, which: Int[np.ndarray, " m"]) -> "StoredSpikes":
        """Some of the samples, still on disk.

        Args:
            which: their places among these samples.
        """
        return StoredSpikes(self.path, self._chosen[which], device=self.device, dtype=self.dtype)


class StoredPart(NamedTuple):
    """One part of an event dataset, binned and cached."""

    spikes: StoredSpikes
    labels: Int[np.ndarray, " n"]


def cache_folder() -> Path:
    """The folder of cached spike trains: $SQSNN_CACHE, else below the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return (Path(chosen).expanduser() if chosen else Path(pooch.os_cache("sqsnn"))) / "events"


def store(name: str, recordings: Recordings, binning: Binning) -> StoredPart:
    """Bin a part of an event dataset, or find it in the cache.

    Args:
        name: of dataset and part, for the name of the cache file.
        recordings: the part.
        binning: how its events become spike trains.

    Raises:
        DataError: if a recording is damaged or has no event within the duration, or the cache
            cannot be written.
    """
    key = _key(name, recordings, binning)
    path = cache_folder() / f"{name.replace(':', '-')}-{key[:16]}.h5"
    labels = _read_labels(path, key)
    if labels is None:
        _write(path, key, recordings, binning)
        labels = _read_labels(path, key)
        if labels is None:
            raise DataError(
                f"{path} was written just now and is damaged already: the disk that it lies on is "
                f"not to be trusted; name another folder by ${CACHE_VARIABLE}"
            )
    return StoredPart(StoredSpikes(path, np.arange(len(labels))), labels)


def _key(name: str, recordings: Recordings, binning: Binning) -> str:
    """A digest of all that the cached spike trains depend on."""
    files = []
    for file in recordings.files:
        facts = file.stat()
        files.append([file.name, facts.st_size, facts.st_mtime_ns])
    made_from = {
        "layout": _LAYOUT,
        "name": name,
        "files": files,
        "sensor": recordings.sensor,
        "steps": binning.steps,
        "microseconds": binning.microseconds,
        "pool": binning.pool,
        "polarity": binning.polarity,
    }
    return sha256(json.dumps(made_from).encode()).hexdigest()


def _read_labels(path: Path, key: str) -> np.ndarray | None:
    """The labels in a cache file; None where there is no whole one that was made of the same."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if file.attrs["key"] != key:
                return None
            labels, spikes = np.asarray(file["labels"]), cast(h5py.Dataset, file["spikes"])
            block = max(1, _BLOCK_BYTES // int(np.prod(spikes.shape[1:])))
            checksum = 0
            for start in range(0, len(spikes), block):
                checksum = zlib.crc32(spikes[start : start + block].data, checksum)
            whole = file.attrs["checksum"] == zlib.crc32(labels.data, checksum)
            return labels if whole and len(labels) == len(spikes) else None
    except _FAULTS:  # none there, or a damaged one: it is made again
        return None


def _write(path: Path, key: str, recordings: Recordings, binning: Binning) -> None:
    """Make a cache file under a temporary name, and give it its own only once it is whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    except OSError as error:
        raise _unwritable(path, error) from error
    os.close(handle)
    part = Path(name)
    try:
        _fill(part, key, recordings, binning)
        part.replace(path)
    except DataError:  # of a recording; it is an OSError too
        raise
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _fill(part: Path, key: str, recordings: Recordings, binning: Binning) -> None:
    import h5py

    shape = binning.shape(recordings.sensor)
    labels = np.empty(recordings.count, np.int64)
    checksum = 0
    # The latest layout has checksums on what HDF5 adds to the data.
    with h5py.File(part, "w", libver="latest") as file:
        spikes = file.create_dataset(
            "spikes",
            (recordings.count, *shape),
            np.uint8,
            chunks=(1, *shape),
            compression="lzf",
        )
        for number, recording in enumerate(_watched(recordings)):
            train = bin_events(recording.events, recordings.sensor, binning)
            if not train.any():
                first = recording.events.times.min() / MICROSECONDS
                raise DataError(
                    f"{recordings.path}, {recording.where}: the first event is at {first:g} s, and "
                    f"only those before the duration, {binning.duration:g} s, are used; give a "
                    "longer duration"
                )
            spikes[number] = train
            labels[number] = recording.label
            checksum = zlib.crc32(train.data, checksum)
        file["labels"] = labels
        file.attrs["key"] = key
        file.attrs["checksum"] = zlib.crc32(labels.data, checksum)


def _watched(recordings: Recordings) -> Iterator[Recording]:
    """The recordings, with a progress bar on the error stream that goes when all are read."""
    return iter(
        track(
            recordings.read(),
            f"Binning {recordings.path.name}",
            recordings.count,
            console=Console(stderr=True),
            transient=True,
        )
    )


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"the spike trains of events cannot be kept in {path.parent} ({error}); name another "
        f"folder by ${CACHE_VARIABLE}"
    )


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}, a cache of spike trains, was whole when it was opened and can no longer be read "
        f"({error}); run again, and it is made again"
    )
