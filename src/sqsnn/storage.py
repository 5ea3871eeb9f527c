"""Files that are whole at any moment, whatever is going on when they are written."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from sqsnn.errors import CheckpointError, SqsnnError, WriteError

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{32}\.part")


def write_json(path: Path, content: object) -> None:
    """Write a JSON file of finite numbers that is whole at any moment."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda path: path.write_text(text, "utf-8"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file in one step: after a crash it is the old one or the new one.

    Raises:
        WriteError: If the disk is full, or the folder is read-only or gone.
    """
    with writing(path):
        try:
            _put(path, write, os.replace)
        except FileNotFoundError:  # a command that now owns the folder took it for a leftover
            _put(path, write, os.replace)


def write_new(path: Path, write: Callable[[Path], object]) -> None:
    """Make a file in one step that no other process can make, too.

    Raises:
        FileExistsError: If it is there.
        WriteError: If the disk is full, or the folder is read-only or gone.
    """
    with writing(path):
        _put(path, write, _claim)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file in whatever goes wrong on the disk: the system names none when it is full."""
    try:
        yield
    except (FileExistsError, SqsnnError):
        raise
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror or error}") from error


def is_leftover(path: Path) -> bool:
    """Whether a file is what a process left that was killed while it wrote."""
    return _LEFTOVER.fullmatch(path.name) is not None


def _put(path: Path, write: Callable[[Path], object], move: Callable[[Path, Path], None]) -> None:
    # In the same folder, because a file can only be renamed in one step within a file system.
    # With a name of its own, because another process may be writing the same file.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder, but must be a file: move it away")
        move(temporary, path)
    finally:
        with suppress(OSError):  # the next owner of the folder removes it
            temporary.unlink()


def _claim(temporary: Path, path: Path) -> None:
    """Give a file its name unless the name is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a disk that knows no second names, such as exFAT
        with path.open("xb"):
            pass
        os.replace(temporary, path)
