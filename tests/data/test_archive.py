"""Archives whose index lies: about sizes, places, names and bytes that belong to one member."""

import io
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import own_files
import pytest

from sqsnn.data.archive import members, read_member
from sqsnn.data.nmnist import open_nmnist
from sqsnn.data.own.reading import read_own
from sqsnn.data.specs import SPECS
from sqsnn.errors import DataError

EVENT = bytes((1, 2, 0, 0, 9))


def lying(content, size):
    """An archive whose index and checksum promise the first bytes of a member's content alone."""
    raw = bytearray(own_files.zip_of({"Train/3/1.bin": content}))
    promise = struct.pack("<I", zlib.crc32(content[:size]))
    index = raw.index(b"PK\x01\x02")
    for place in (14, index + 16):
        raw[place : place + 4] = promise
        raw[place + 8 : place + 12] = struct.pack("<I", size)
    return bytes(raw)


def overlapping():
    """An archive whose second member is inside the first."""
    inner = own_files.zip_of({"Train/4/2.bin": EVENT}, zipfile.ZIP_STORED)
    start = inner.index(b"PK\x01\x02")
    outer = own_files.zip_of({"Train/3/1.bin": inner[:start]}, zipfile.ZIP_STORED)
    index = outer.index(b"PK\x01\x02", 30 + start)
    end = outer.index(b"PK\x05\x06")
    second = bytearray(inner[start : inner.index(b"PK\x05\x06")])
    second[42:46] = struct.pack("<I", 30 + len("Train/3/1.bin"))
    both = outer[index:end] + bytes(second)
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(both), index, 0)
    return outer[:index] + both + tail


def link():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("Train/3/1.bin")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, EVENT)
    return buffer.getvalue()


def encrypted():
    raw = bytearray(own_files.zip_of({"Train/3/1.bin": EVENT}))
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


HOSTILE = {
    "overlap": (overlapping(), "shares its bytes with another member"),
    "absolute": (own_files.zip_of({"/Train/3/1.bin": EVENT}), "lies outside the archive"),
    "above": (own_files.zip_of({"../3/1.bin": EVENT}), "lies outside the archive"),
    "backslash": (own_files.zip_of({"..\\3\\1.bin": EVENT}), "lies outside the archive"),
    "folder": (own_files.zip_of({"Train/3/": EVENT, "Train/3/1.bin": EVENT}), "is a folder with"),
    "link": (link(), "is a link"),
    "encrypted": (encrypted(), "encrypted"),
    "more": (lying(EVENT * 9, 5), "Bad CRC-32|6 bytes, and 5 in the index"),
    "many": (own_files.zip_of({"Train/3/1.bin": bytes(2**29)}), "its members: expected at most"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_archives_that_lie_are_refused_before_memory_is_spent(tmp_path, kind):
    raw, said = HOSTILE[kind]
    path = tmp_path / "Train.zip"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=said) as caught:
        list(open_nmnist(SPECS["nmnist"], path, "train").read())
    assert str(path) in str(caught.value)


def test_no_more_is_unpacked_than_the_index_promises(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(lying(bytes(10**8), 10))
    with zipfile.ZipFile(path) as archive:
        (member,) = members(path, archive)
        tracemalloc.start()
        with pytest.raises(zipfile.BadZipFile):
            read_member(archive, member)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 10**7


def test_an_array_that_is_larger_than_the_index_says_is_refused(tmp_path):
    whole = own_files.npz({"X": np.zeros((1000, 10))}, compressed=True)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        content = archive.read("X.npy")
    path = tmp_path / "own.npz"
    path.write_bytes(lying(content, 200).replace(b"Train/3/1.bin", b"X.npy\0\0\0\0\0\0\0\0"))
    with pytest.raises(DataError, match=r"own\.npz"):
        read_own(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("size", [0, 1, 5000, 300_000])
def test_members_are_read_as_they_were_written(tmp_path, method, size):
    path, content = tmp_path / "a.zip", np.random.default_rng(0).bytes(size)
    path.write_bytes(own_files.zip_of({"a": b"first", "b": content, "c/": b""}, method))
    with zipfile.ZipFile(path) as archive:
        found = [read_member(archive, member) for member in members(path, archive)]
    assert found == [b"first", content, b""]
