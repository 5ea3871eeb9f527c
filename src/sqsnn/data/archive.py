"""Zip archives, believed only as far as their index and their members agree."""

import struct
import zipfile
import zlib
from copy import copy
from pathlib import Path, PurePosixPath
from stat import S_ISLNK

from sqsnn.data.trust import check_size

# What the zip reader and its decompressors raise on damaged files, from many thousands of them.
FAULTS = (
    *(OSError, EOFError, ValueError, KeyError, OverflowError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """List the members of an archive, none of which reaches into another or out of the archive.

    Raises:
        zipfile.BadZipFile: If a member is a link, lies elsewhere or shares bytes or its name.
        DataError: If they are too large together.
    """
    found = sorted(archive.infolist(), key=lambda member: member.header_offset)
    end, names = 0, set[str]()
    for member in found:
        name, place = member.filename, PurePosixPath(member.filename.replace("\\", "/"))
        for is_wrong, fault in (
            (place.is_absolute() or ".." in place.parts, "lies outside the archive"),
            (S_ISLNK(member.external_attr >> 16), "is a link"),
            (name in names, "stands there twice"),
            (name.endswith("/") and member.file_size, "is a folder with content"),
            (member.header_offset < end, "shares its bytes with another member"),
        ):
            if is_wrong:
                raise zipfile.BadZipFile(f"{name[:80]!r} {fault}")
        names.add(name)
        end = member.header_offset + member.compress_size
    check_size(path, "its members", sum(member.file_size for member in found))
    return found


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Read a member that is as large as the index says, and test its checksum.

    Raises:
        zipfile.BadZipFile: If it is larger; for other faults, what the zip reader raises.
    """
    # Up to one byte more: a reader without a limit unpacks everything.
    longer = copy(member)
    longer.file_size += 1
    with archive.open(longer) as file:
        raw = file.read(longer.file_size)
    if len(raw) != member.file_size:
        raise zipfile.BadZipFile(f"{len(raw)} bytes, and {member.file_size} in the index")
    return raw
