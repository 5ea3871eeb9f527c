"""The jobs of a run on the disk, so that a run that dies half-way never pays twice.

A job is identified by what it runs: device, circuit, angles, shots and seed. A note is written
before it is sent, under a tag that the job carries, and again with the service's number of the job.
A job that is still queued, or has finished meanwhile, is then fetched and not sent again; one that
was sent and not noted is found by its tag.

KEY.bits           the bits, `(rows, shots, T, N)`, packed, behind their digest
KEY-ATTEMPT.json   the note of a job on a service; the name is the tag
.lock              held while a run goes on
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sqsnn.errors import HardwareError
from sqsnn.ownership import owned
from sqsnn.storage import write_atomically, write_json

_DIGEST = hashlib.sha256().digest_size
_LONGEST_NOTE = 10_000_000  # bytes; the places of neurons on a chip take a few thousand


def job_key(about: Mapping[str, Any], values: Float[np.ndarray, "rows parameters"]) -> str:
    """Name a job by a digest of all that decides its outcome."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(str(values.shape).encode())
    digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()[:32]


class Note(BaseModel):
    """What is noted of a job on a service: where it is, and what it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    job: Annotated[str | None, Field(pattern=r"^[\w.-]{1,100}$")] = None
    """The service's number of the job; None until it is known."""
    calibrated: str | None = None
    """Date and time of the device's calibration before the job was sent."""
    about: dict[str, Any]
    sha256: str = ""
    """Digest of the tag and of the rest of the note."""

    def signed(self, tag: str) -> "Note":
        """Give the note the digest of its contents."""
        text = json.dumps([tag, self.model_dump(exclude={"sha256"})], sort_keys=True)
        return self.model_copy(update={"sha256": hashlib.sha256(text.encode()).hexdigest()})


def new_tag(key: str) -> str:
    """Make a tag for a job, which no other job carries, be it of the same key."""
    return f"{key}-{uuid4().hex[:12]}"


class Journal:
    """Keeps the jobs of a run in a folder, which is made for the first job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def held(self) -> AbstractContextManager[None]:
        """Own the folder, so that no other process sends the same jobs meanwhile.

        Raises:
            ConfigError: If another process owns it.
        """
        return owned(self.folder)

    def write(self, tag: str, note: Note) -> None:
        """Write the note of a job; it is on the disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.note(tag), note.signed(tag).model_dump())
        if os.name == "posix":  # the name, too
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def tag(self, key: str) -> str | None:
        """Find the tag of a job that was sent, or was about to be; None for any other job."""
        notes = sorted(self.folder.glob(f"{key}-*.json"))
        if len(notes) > 1:
            raise HardwareError(
                f"{' and '.join(map(str, notes))} are notes of the same job: move those away that "
                "came from elsewhere"
            )
        return notes[0].stem if notes else None

    def read(self, tag: str) -> Note | None:
        """Read the note of a job; None if it is damaged."""
        raw = self._read(self.note(tag), _LONGEST_NOTE)
        with suppress(ValidationError):
            note = Note.model_validate_json(raw)
            if note == note.signed(tag):
                return note
        return None

    def keep(self, key: str, spikes: Bool[np.ndarray, "rows shots T N"]) -> None:
        """Keep the spikes of a finished job."""
        self.folder.mkdir(parents=True, exist_ok=True)
        packed = np.packbits(spikes).tobytes()
        content = _bits_digest(key, spikes.shape, packed) + packed
        write_atomically(self._bits(key), lambda path: path.write_bytes(content))

    def kept(
        self, key: str, shape: tuple[int, ...], again: str
    ) -> Bool[np.ndarray, "rows shots T N"] | None:
        """Read the spikes of a job that has finished; None for any other job.

        `again` says what happens once a damaged file is removed.
        """
        path = self._bits(key)
        if not path.exists():
            return None
        count = int(np.prod(shape))
        size = _DIGEST + -(-count // 8)
        raw = self._read(path, size)
        if len(raw) != size or raw[:_DIGEST] != _bits_digest(key, shape, raw[_DIGEST:]):
            raise HardwareError(f"{path} is damaged: {again}")
        packed = np.frombuffer(raw, np.uint8, offset=_DIGEST)
        return np.unpackbits(packed, count=count).astype(bool).reshape(shape)

    def _read(self, path: Path, longest: int) -> bytes:
        """Read a file, and one byte too much of one that is too long."""
        if not path.is_file():
            raise HardwareError(f"{path} is no file; the journal of jobs keeps one there")
        try:
            with path.open("rb") as file:
                return file.read(longest + 1)
        except OSError as error:
            raise HardwareError(f"{path} cannot be read ({error.strerror})") from None

    def note(self, tag: str) -> Path:
        """Path of the note of a job."""
        return self.folder / f"{tag}.json"

    def _bits(self, key: str) -> Path:
        return self.folder / f"{key}.bits"


def _bits_digest(key: str, shape: tuple[int, ...], packed: bytes) -> bytes:
    return hashlib.sha256(f"{key} {list(shape)} ".encode() + packed).digest()
