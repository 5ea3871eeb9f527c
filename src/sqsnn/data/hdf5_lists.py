"""Lists of variable length in HDF5 files, whose sizes and places its library believes.

HDF5 keeps such lists as objects in heaps, and its library walks a heap from object to object: over
an object of size 0 for ever. It also makes room for as many values as a list says it has. So the
heaps are walked here first, and each list is compared with the object that holds it.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sqsnn.data.files import broken, reading
from sqsnn.data.hdf5 import read_chunk

# A global heap: signature, version 1, reserved, size. HDF5 File Format Specification, III.E.
_HEAP = struct.Struct("<4sB3xQ")
_HEAP_START = b"GCOL\x01"
# An object in it: index, references, reserved, size; index 0 is the free space, header included.
_OBJECT = struct.Struct("<HH4xQ")
# A list in a dataset: its length, the place of its heap, and its number there. The same, VIII.B.
_LIST = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])

Lists = dict[tuple[int, int], int]  # bytes of each object, by the place of its heap and its number


def find_lists(path: Path) -> Lists:
    """Find the objects of all heaps of a file.

    Raises:
        DataError: If a heap cannot be walked from its start to its end.
    """
    # An empty file cannot be mapped: ValueError.
    with (
        reading(path, (OSError, ValueError), "a whole HDF5 file", "byte 0"),
        path.open("rb") as file,
    ):
        raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with raw:
        lists: Lists = {}
        heap = raw.find(_HEAP_START)
        while heap >= 0:
            lists |= {(heap, index): size for index, size in _walk(path, raw, heap)}
            heap = raw.find(_HEAP_START, heap + 1)
        return lists


def _walk(path: Path, raw: mmap.mmap, heap: int) -> Iterator[tuple[int, int]]:
    size = _HEAP.unpack_from(raw, heap)[2] if heap + _HEAP.size <= len(raw) else 0
    end = heap + size
    if size < _HEAP.size or end > len(raw):
        found = f"{size} of the {len(raw) - heap} bytes up to the end of the file"
        raise broken(path, "a whole heap of lists", found, where=f"byte {heap}")
    place = heap + _HEAP.size
    while place + _OBJECT.size <= end:
        index, _, length = _OBJECT.unpack_from(raw, place)
        # Lists are padded to whole eights of bytes.
        used = length if index == 0 else _OBJECT.size + -(-length // 8) * 8
        if used == 0 or place + used > end:
            found = f"one of {used} in a heap with {end - place} left"
            raise broken(path, "a list of at least 1 byte", found, where=f"byte {place}")
        yield index, length
        place += used


def check_lists(path: Path, found: Any, lists: Lists) -> None:
    """Refuse a dataset with a list that no object holds; values and texts of one size may pass.

    Args:
        path: The file, in errors.
        found: The dataset.
        lists: The objects of the heaps.

    Raises:
        DataError: If there is such a list; it names the list.
    """
    import h5py

    kind = found.id.get_type()
    is_text = h5py.check_string_dtype(found.dtype) is not None
    if found.dtype.kind != "O" or found.ndim != 1:
        return
    size = 1 if is_text else kind.get_super().get_size()
    for number, (length, heap, index) in enumerate(_references(path, found).tolist()):
        held = lists.get((heap, index), 0)
        if length and held != length * size:
            where = f"{found.name}, list {number}"
            raise broken(path, f"{length * size} bytes", f"{held}", where=where)


def _references(path: Path, found: Any) -> np.ndarray:
    """Read where a dataset says that its lists are."""
    if not found.chunks:
        place = found.id.get_offset()
        if place is None:
            raise ValueError("lists that are neither in a row nor in chunks")
        with path.open("rb") as file:
            file.seek(place)
            return np.frombuffer(file.read(_LIST.itemsize * len(found)), _LIST)
    starts = range(0, len(found), found.chunks[0])
    raw = b"".join(read_chunk(found, (start,)) for start in starts)
    return np.frombuffer(raw, _LIST, len(found))
