"""HDF5 files, believed in nothing: a dataset lies in the file itself and holds what it promises.

The format can point to other files, make gigabytes out of a few bytes, and load programs to unpack
them. Nothing of it is needed here, and all of it is refused before a value is read.
"""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sqsnn.data.files import broken, reading
from sqsnn.data.trust import check_size

# What h5py raises on damaged files, from many thousands of damaged ones. A group has no shape:
# AttributeError.
FAULTS = (
    *(OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, AttributeError),
    zlib.error,
)
_HARD_LINK = 0  # h5py.h5l.TYPE_HARD
_DEFLATE, _SHUFFLE = 1, 2  # lzf does not know damage
_FILTERS = ((), (_DEFLATE,), (_SHUFFLE, _DEFLATE))


@contextmanager
def opened(path: Path, expected: str, where: str = "") -> Iterator[Any]:
    """Open a file for reading; what fails within is an error that names it.

    Args:
        path: The file.
        expected: What should be in it.
        where: What is read.

    Raises:
        DataError: If the file is damaged, or cannot be read.
    """
    import h5py

    with reading(path, FAULTS, expected, where), h5py.File(path, "r") as file:
        yield file


def dataset(path: Path, file: Any, name: str) -> Any:
    """Find a dataset whose values are all in the file, and as large as they look.

    Args:
        path: The file, in errors.
        file: The open file.
        name: Names of groups and of the dataset, with slashes between them.

    Raises:
        DataError: If it lies elsewhere, or does not hold what it promises.
    """
    import h5py

    found = file
    for part in name.split("/"):
        if not isinstance(found, h5py.Group):
            raise broken(path, f"a group that holds {part}", "values", where=name)
        if found.id.links.get_info(part.encode()).type != _HARD_LINK:
            raise broken(path, "values in the file itself", "a link", where=name)
        found = found[part]
    if not isinstance(found, h5py.Dataset):
        raise broken(path, "values", "a group of others", where=name)
    plan = found.id.get_create_plist()
    if plan.get_external_count() or plan.get_layout() == h5py.h5d.VIRTUAL:
        raise broken(path, "values in the file itself", "values of other files", where=name)
    filters = filters_of(found)
    if filters not in _FILTERS:
        raise broken(path, "values packed by gzip, or not", f"{filters}", where=name)
    size = math.prod(found.shape) * found.id.get_type().get_size()
    check_size(path, name, size)
    if plan.get_layout() == h5py.h5d.CHUNKED:
        _check_chunks(path, name, found)
    elif size and not found.id.get_storage_size():
        raise broken(path, "values", "none", where=name)
    return found


def filters_of(found: Any) -> tuple[int, ...]:
    """List the filters of a dataset by their numbers, in the order of writing."""
    plan = found.id.get_create_plist()
    return tuple(plan.get_filter(number)[0] for number in range(plan.get_nfilters()))


def read_chunk(found: Any, place: tuple[int, ...]) -> bytes:
    """Unpack a chunk of a dataset, up to one byte more than it promises."""
    width = found.id.get_type().get_size()
    mask, raw = found.id.read_direct_chunk(place)
    for number, kind in reversed(list(enumerate(filters_of(found)))):
        if mask >> number & 1:  # left out in this chunk
            continue
        if kind == _DEFLATE:
            raw = zlib.decompressobj().decompress(raw, math.prod(found.chunks) * width + 1)
        elif kind == _SHUFFLE:
            raw = np.frombuffer(raw, np.uint8).reshape(width, -1).T.tobytes()
    return raw


def _check_chunks(path: Path, name: str, found: Any) -> None:
    """Refuse chunks that are absent, which HDF5 reads as zeros, or unpack to other sizes."""
    size = math.prod(found.chunks) * found.id.get_type().get_size()
    check_size(path, name, size)
    sides = zip(found.shape, found.chunks, strict=True)
    wanted = math.prod(-(-length // side) for length, side in sides)
    chunks: list[Any] = []
    if found.id.get_num_chunks() == wanted:
        found.id.chunk_iter(chunks.append)
    places = {chunk.chunk_offset for chunk in chunks}
    if len(places) != wanted:
        raise broken(path, f"{wanted} chunks", f"{len(places)}", where=name)
    if any(len(read_chunk(found, place)) != size for place in places):
        raise broken(path, f"chunks of {size} bytes", "others", where=name)
