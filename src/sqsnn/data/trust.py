"""How far a data file is trusted: with how much memory, and with what the system says of it."""

import errno
import math
import os
from pathlib import Path

from sqsnn.errors import ConfigError, DataError

LARGEST_VARIABLE = "SQSNN_LARGEST"
LARGEST = 8 * 2**30  # bytes of one array
# A small file that promises more than this, and more than 200 bytes for each of its own, is a bomb.
SMALL, EXPANSION = 256 * 2**20, 200

# What the system says of a place that a damaged file names; with no number, it is the reader's.
_OF_THE_FILE = (None, 0, errno.EINVAL, errno.EOVERFLOW, errno.EFBIG, errno.ENXIO)
_REMEDIES = {
    errno.EAGAIN: "another program has it open for writing; close that, and run again",
    errno.EACCES: "you may not read it; ask its owner, or run as one who may",
    errno.EPERM: "you may not read it; ask its owner, or run as one who may",
}


def check_size(path: Path, where: str, promised: int) -> None:
    """Refuse what would fill the memory, before any memory is spent on it.

    Args:
        path: The file.
        where: What in the file is that large.
        promised: Its bytes in memory.

    Raises:
        DataError: If there are too many, or far more than a file of this size can mean, unless
            $SQSNN_LARGEST allows as many GB.
        ConfigError: If that variable is no number.
    """
    limit = largest_array(min(LARGEST, SMALL + EXPANSION * path.stat().st_size))
    if promised > limit:
        raise DataError(
            f"{path}, {where}: expected at most {limit:,} bytes in memory, found {promised:,} "
            f"bytes; if you trust the file, allow more by ${LARGEST_VARIABLE}, in GB"
        )


def largest_array(default: int = LARGEST) -> int:
    """Bytes that an array may have: those that $SQSNN_LARGEST allows, else `default`.

    Raises:
        ConfigError: If that variable is no number.
    """
    chosen = os.environ.get(LARGEST_VARIABLE)
    return _bytes(chosen) if chosen else default


def _bytes(chosen: str) -> int:
    try:
        size = float(chosen)
    except ValueError:
        size = math.nan
    if not 0 < size < 1e9:
        raise ConfigError(f"${LARGEST_VARIABLE} is {chosen[:40]!r}; it may be a number of GB")
    return int(size * 1e9)


def denied(path: Path, error: BaseException) -> DataError | None:
    """Say why a file cannot be read that may well be whole; None if the fault is in its content.

    Args:
        path: The file.
        error: What reading it raised.
    """
    if not isinstance(error, OSError) or error.errno in _OF_THE_FILE:
        return None
    said = _REMEDIES.get(error.errno or 0, "the system or the disk refused it, not its content")
    return DataError(f"{path} cannot be read: {os.strerror(error.errno or 0)}: {said}")
