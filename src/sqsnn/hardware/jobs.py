"""The jobs of a run on the disk, so that a run that dies half-way never pays twice.

A job is identified by what it runs: device, circuit, angles, shots and seed. Its bits are kept when
they arrive, and the service's number of the job as soon as it is submitted, so that a job that is
still queued, or has finished meanwhile, is fetched and not sent again.

KEY.npy    the bits, `(rows, shots, T, N)`, packed
KEY.json   the service's number of the job, and what it runs
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from sqsnn.errors import HardwareError
from sqsnn.storage import write_atomically, write_json


def job_key(about: Mapping[str, Any], values: Float[np.ndarray, "rows parameters"]) -> str:
    """Name a job by a digest of all that decides its outcome."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(str(values.shape).encode())
    digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()[:32]


class Journal:
    """Keeps the jobs of a run in a folder, which is made for the first job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def submitted(self, key: str, number: str, about: Mapping[str, Any]) -> None:
        """Note the service's number of a job, and what it runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.note(key), {"job": number, **about})

    def number(self, key: str) -> str | None:
        """Read the number of a job that was submitted; None for any other job."""
        return self._noted(key).get("job")

    def calibrations(self, key: str) -> list[str]:
        """Read when the device had been calibrated before a job was submitted, if known."""
        calibrated = self._noted(key).get("calibrated")
        return [] if calibrated is None else [calibrated]

    def forget(self, key: str) -> None:
        """Drop the number of a job that has failed, so that it will be sent again."""
        self.note(key).unlink(missing_ok=True)

    def keep(self, key: str, spikes: Bool[np.ndarray, "rows shots T N"]) -> None:
        """Keep the spikes of a finished job."""
        self.folder.mkdir(parents=True, exist_ok=True)

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, np.packbits(spikes), allow_pickle=False)

        write_atomically(self._bits(key), write)

    def kept(self, key: str, shape: tuple[int, ...]) -> Bool[np.ndarray, "rows shots T N"] | None:
        """Read the spikes of a job that has finished; None for any other job."""
        path = self._bits(key)
        if not path.is_file():
            return None
        try:
            packed = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise HardwareError(f"{path} is damaged: remove it") from error
        count = int(np.prod(shape))
        if packed.dtype != np.uint8 or packed.shape != (-(-count // 8),):
            raise HardwareError(f"{path} does not hold the {count} spikes of its job: remove it")
        return np.unpackbits(packed, count=count).astype(bool).reshape(shape)

    def _noted(self, key: str) -> dict[str, Any]:
        if not self.note(key).is_file():
            return {}
        noted = None
        with suppress(json.JSONDecodeError, UnicodeDecodeError):
            noted = json.loads(self.note(key).read_text("utf-8"))
        if not isinstance(noted, dict) or "job" not in noted:
            raise HardwareError(f"{self.note(key)} is damaged: remove it")
        return noted

    def note(self, key: str) -> Path:
        """Path of the file with the number of a job."""
        return self.folder / f"{key}.json"

    def _bits(self, key: str) -> Path:
        return self.folder / f"{key}.npy"
