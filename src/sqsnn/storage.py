"""Files that are whole at any moment, whatever is going on when they are written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from sqsnn.errors import CheckpointError


def write_json(path: Path, content: object) -> None:
    """Write a JSON file of finite numbers that is whole at any moment."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda path: path.write_text(text, "utf-8"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file in one step: after a crash it is the old one or the new one."""
    # In the same folder, because a file can only be renamed in one step within a file system.
    # With a name of its own, because another process may be writing the same file.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder, but must be a file: move it away")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
