"""One owner per folder: a lock of the operating system, which dies with the process that holds it.

The file `.lock` says nothing by being there. It stays beside other files, empty while they have no
owner: if it were removed, one process could lock the old file while another makes and locks a new.
"""

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from sqsnn.errors import ConfigError, WriteError
from sqsnn.storage import is_leftover, writing

LOCK = ".lock"
_LOOKS = 25
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a folder, which is made if it is missing; what killed writes left in it is removed.

    A thread may own what it owns already. Where nothing is put into a folder, it is left as it was
    found: without a lock, or not at all.

    Args:
        folder: The folder. Who only reads it need not own it.

    Raises:
        ConfigError: If another process owns it.
        WriteError: If nothing can be written there, or the file system has no locks.
    """
    is_new, file = not folder.exists(), folder / LOCK
    with writing(file):
        folder.mkdir(parents=True, exist_ok=True)
        # A singleton, so that a thread which holds the lock may take it once more.
        lock = FileLock(
            file, blocking=False, is_singleton=True, fallback_to_soft=False, on_acquired=_sign
        )
        try:
            lock.acquire()
        except Timeout:
            said = f"{folder} is in use by {_owner(file)}: wait until it ends, or stop it"
            raise ConfigError(said) from None
        except OSError as error:
            if error.errno in _NO_LOCKS:
                said = f"{folder} lies on a file system without locks: choose another folder"
                raise WriteError(said) from error
            raise
    try:
        for path in filter(is_leftover, folder.iterdir()):
            with writing(path):
                path.unlink(missing_ok=True)
        yield
    finally:
        if lock.lock_counter == 1:
            _tidy(file)
        lock.release()
        if is_new:
            with suppress(OSError):  # it holds files
                folder.rmdir()


def contents(folder: Path) -> set[str]:
    """Name what lies in a folder, without its lock and what killed writes left."""
    return {path.name for path in folder.iterdir() if not is_leftover(path)} - {LOCK}


def _sign(file: int) -> None:
    """Write into the lock who holds it."""
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    os.truncate(file, 0)
    os.write(file, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())


def _owner(file: Path) -> str:
    """Read who holds the lock; it is signed a moment after it is taken."""
    for _ in range(_LOOKS):
        with suppress(OSError, UnicodeDecodeError):  # Windows lets only the owner read it
            if said := file.read_text("utf-8").strip():
                return said
        time.sleep(0.02)
    return "another process"


def _tidy(file: Path) -> None:
    """Take back what was signed; a folder without content needs no lock."""
    with suppress(OSError):  # the folder may be gone
        if contents(file.parent):
            os.truncate(file, 0)
        else:
            file.unlink()
