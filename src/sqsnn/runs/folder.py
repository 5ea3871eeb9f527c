"""The folder of a run: what its files are called, and how they are written without tearing.

config.toml             the settings
preparation.json        how samples become inputs and answers labels: names, scaling
data.npz                the samples, where a training was given arrays
metrics.jsonl           one line per epoch; no times, so that the same seed gives the same bytes
trackers.json           ids under which trackers know the run
events.out.tfevents.*   its curves for TensorBoard
checkpoint.safetensors  where training stands after the last whole epoch
best.safetensors        the weights that did best on the validation samples
timing.json             seconds, and the machine
metrics.json            the result; it means "finished": only pictures come later
evaluation*.json        the test repeated by `sqsnn evaluate`
jobs/                   jobs on a real device, and their bits
noise.json              what `sqsnn inspect noise` found
costs.json              what `sqsnn inspect costs` counted
*.png                   pictures; drawn after the result
report.html             all of it on one page, by `sqsnn report`
"""

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqsnn import launch
from sqsnn.data.preparation import Preparation
from sqsnn.data.specs import is_folder, is_own
from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.settings.run import RunSettings
from sqsnn.settings.toml import from_toml, to_toml
from sqsnn.storage import write_atomically, write_json


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The settings."""
        return self.path / "config.toml"

    @property
    def preparation(self) -> Path:
        """How samples become inputs, and answers labels."""
        return self.path / "preparation.json"

    @property
    def data(self) -> Path:
        """The samples of a training that was given arrays."""
        return self.path / "data.npz"

    @property
    def metrics(self) -> Path:
        """One line of figures per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Where training stands after the last whole epoch."""
        return self.path / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        """The best weights so far."""
        return self.path / "best.safetensors"

    @property
    def timing(self) -> Path:
        """Seconds, and the machine."""
        return self.path / "timing.json"

    @property
    def result(self) -> Path:
        """The result of a finished run."""
        return self.path / "metrics.json"

    @property
    def jobs(self) -> Path:
        """The jobs of a training on a real device, and their bits."""
        return self.path / "jobs"

    @property
    def resume_command(self) -> str:
        """What to type to go on."""
        return f"{launch.command()} train --resume {shlex.quote(str(self.path))}"

    def kept(self) -> str:
        """Say which epochs are kept."""
        epochs = self.metrics.read_bytes().count(b"\n") if self.metrics.is_file() else 0
        if epochs < 2:
            return "epoch 1 is kept" if epochs else "no epoch had ended"
        return f"epochs 1 to {epochs} are kept"

    def is_finished(self) -> bool:
        """Whether the run has its result."""
        return self.result.is_file()

    def read_settings(self) -> RunSettings:
        """Read the settings."""
        return from_toml(self.config.read_text("utf-8"), str(self.config))

    def read_preparation(self) -> Preparation:
        """Read how samples become inputs, and answers labels."""
        try:
            content = json.loads(self.preparation.read_text("utf-8"))
            return Preparation.from_json(content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{self.preparation} cannot be read: {error}") from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the figures of all epochs so far."""
        if not self.metrics.is_file():
            return []
        return [json.loads(line) for line in self.metrics.read_text("utf-8").splitlines()]

    def append_metrics(self, figures: dict[str, Any]) -> None:
        """Add the line of one epoch; it is on the disk when this returns."""
        with self.metrics.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(figures, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def truncate_metrics(self, epochs: int) -> None:
        """Keep the lines of the first `epochs` epochs: a torn or later line is done again."""
        text = self.metrics.read_bytes() if self.metrics.is_file() else b""
        lines = text.splitlines(keepends=True)[:epochs]
        if len(lines) < epochs or not all(line.endswith(b"\n") for line in lines):
            raise CheckpointError(
                f"{self.metrics} must hold the {epochs} epochs of the checkpoint, "
                f"but holds {len(lines)}: the folder is damaged"
            )
        write_atomically(self.metrics, lambda path: path.write_bytes(b"".join(lines)))

    def read_result(self) -> dict[str, Any]:
        """Read the result of a finished run."""
        return json.loads(self.result.read_text("utf-8"))

    def read_timing(self) -> list[float]:
        """Read the seconds of the epochs so far."""
        if not self.timing.is_file():
            return []
        return json.loads(self.timing.read_text("utf-8"))["epoch_seconds"]

    def write_timing(self, seconds: list[float], machine: dict[str, Any]) -> None:
        """Write the seconds of all epochs so far, and the machine that they were measured on."""
        content = {"training_seconds": sum(seconds), "machine": machine, "epoch_seconds": seconds}
        write_json(self.timing, content)


def create(out: Path | None, settings: RunSettings) -> RunFolder:
    """Make the folder of a new run and write the settings into it."""
    if out is None:
        path = first_free(Path("runs"), settings.data.dataset)
    else:
        refuse_used(out)
        out.mkdir(parents=True, exist_ok=True)
        path = out
    folder = RunFolder(path)
    write_atomically(folder.config, lambda path: path.write_text(to_toml(settings), "utf-8"))
    return folder


def refuse_used(out: Path) -> None:
    """Refuse to put a new run where files lie already."""
    folder = RunFolder(out)
    if folder.config.is_file():
        raise ConfigError(
            f"{out} holds a run already: go on with `{folder.resume_command}`, "
            "or choose another --out"
        )
    if out.exists() and (not out.is_dir() or {path.name for path in out.iterdir()} - {"data.npz"}):
        raise ConfigError(f"out must be a new or empty folder, but {out} is neither")


def find(path: Path) -> RunFolder:
    """Open the folder of an existing run."""
    folder = RunFolder(path)
    if path.is_file():
        raise CheckpointError(
            f"{path} is a file, but this needs the folder of a run; a saved network takes predict, "
            "evaluate on a file, and train --from"
        )
    if not folder.config.is_file():
        found = f"there is no {folder.config}" if path.is_dir() else "there is no such folder"
        raise CheckpointError(f"{path} holds no run: {found}")
    return folder


def first_free(parent: Path, dataset: str) -> Path:
    """Make the first folder <dataset>-<n> that does not exist."""
    parent.mkdir(parents=True, exist_ok=True)
    if is_own(dataset) or is_folder(dataset):
        dataset = Path(dataset).stem
    number = 1
    while True:
        path = parent / f"{dataset.replace(':', '-')}-{number}"
        try:
            # Making it is the only test that two runs started at once cannot both pass.
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path
