"""A safetensors file with JSON in its metadata and the digest of all its other bytes; never pickle.

Tensors and JSON lie in the same file, so they cannot come apart, and a flipped bit is found
wherever it is.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor

from sqsnn import readfile
from sqsnn.errors import CheckpointError
from sqsnn.readfile import SEAL
from sqsnn.settings.toml import FORMAT
from sqsnn.storage import write_atomically

_LARGEST = 2**34
_KEY, _OPEN = "sqsnn", "0" * 64  # the digest is taken while zeros stand in its place


class Tensors(NamedTuple):
    """What such a file holds.

    Attributes:
        tensors: The tensors by name.
        header: The JSON beside them.
        digest: The SHA-256 of the rest of the file.
    """

    tensors: dict[str, Tensor]
    header: dict[str, Any]
    digest: str


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and JSON, in one step; the same content always gives the same bytes."""
    # One key, because those of the metadata have no order; sorted, because tensors of one size
    # keep theirs.
    whole = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    text = json.dumps({SEAL: _OPEN, "format": FORMAT, **header}, allow_nan=False)
    raw = save_bytes(whole, {_KEY: text})
    digest = hashlib.sha256(raw).hexdigest()
    sealed = raw.replace(_OPEN.encode(), digest.encode(), 1)
    write_atomically(path, lambda part: part.write_bytes(sealed))


def read_tensors(path: Path) -> Tensors:
    """Read what `write_tensors` wrote.

    Raises:
        CheckpointError: If it is missing, damaged, of another format, or no such file.
    """
    raw = readfile.read_bytes(path, _LARGEST)
    header = _header(raw, path)
    digest, found = header.pop(SEAL, None), header.pop("format", None)
    if digest is not None and digest != _digest(raw, digest):
        raise CheckpointError(
            f"{path} is damaged: its digest does not fit the rest of it; restore it from a copy"
        )
    if found != FORMAT:
        raise CheckpointError(
            f"{path} has format {found}, but this version of sqsnn reads format {FORMAT}: train "
            "the network again with this version, or use the version that wrote the file"
        )
    if digest is None:
        raise CheckpointError(f"{path} is damaged: it has no digest; restore it from a copy")
    try:
        return Tensors(load_bytes(raw), header, digest)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; restore it from a copy") from error


def _header(raw: bytes, path: Path) -> dict[str, Any]:
    """Read the JSON in the metadata."""
    end = 8 + int.from_bytes(raw[:8], "little")
    foreign = CheckpointError(
        f"{path} is damaged, or no file of tensors that sqsnn wrote: restore it from a copy"
    )
    if not 8 < end <= min(len(raw), readfile.LARGEST_TEXT):
        raise foreign
    whole = readfile.parsed_json(readfile.decoded(raw[8:end], path), f"{path}: its header")
    metadata = whole.get("__metadata__") if isinstance(whole, dict) else None
    text = metadata.get(_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise foreign
    header = readfile.parsed_json(text, f"{path}: its metadata")
    if not isinstance(header, dict):
        raise foreign
    return header


def _digest(raw: bytes, stated: object) -> str:
    if not isinstance(stated, str) or len(stated) != len(_OPEN) or not stated.isascii():
        return ""
    return hashlib.sha256(raw.replace(stated.encode(), _OPEN.encode(), 1)).hexdigest()
