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
.lock                   who trains it, see `sqsnn.ownership`
"""

import json
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqsnn import launch
from sqsnn.data.preparation import Preparation
from sqsnn.data.specs import is_folder, is_own
from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.ownership import contents
from sqsnn.readfile import (
    LARGEST_TOML,
    checked,
    decoded,
    parsed_json,
    read_bytes,
    read_json,
    read_or_begin_anew,
    read_sealed,
    read_text,
    shortened,
    write_sealed,
)
from sqsnn.runs import checkpoint
from sqsnn.runs.checkpoint import chain
from sqsnn.runs.schemas import costs, epoch_line, result, times
from sqsnn.settings.run import RunSettings
from sqsnn.settings.toml import from_toml, to_toml
from sqsnn.storage import write_atomically, write_new, writing

_METRICS = "metrics_sha256"  # in the result: the digest of all lines of metrics


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
    def costs(self) -> Path:
        """The costs of an inference, where they were counted after the run."""
        return self.path / "costs.json"

    @property
    def jobs(self) -> Path:
        """The jobs of a training on a real device, and their bits."""
        return self.path / "jobs"

    @property
    def resume_command(self) -> str:
        """What to type to go on."""
        return f"{launch.command()} train --resume {shlex.quote(str(self.path))}"

    def kept(self) -> str:
        """Say which epochs a resumed training goes on from."""
        there = self.checkpoint.is_file()
        epochs = checkpoint.read_progress(self.checkpoint)[1].epoch if there else 0
        if epochs < 2:
            return "epoch 1 is kept" if epochs else "no epoch had ended"
        return f"epochs 1 to {epochs} are kept"

    def is_finished(self) -> bool:
        """Whether the run has its result."""
        return self.result.exists()

    def read_settings(self) -> RunSettings:
        """Read the settings."""
        return from_toml(read_text(self.config, LARGEST_TOML, ConfigError), str(self.config))

    def read_preparation(self) -> Preparation:
        """Read how samples become inputs, and answers labels."""
        return read_json(self.preparation, Preparation.from_json)

    def has_checkpoint(self) -> bool:
        """Whether an epoch has ended; without one, a run starts again.

        Raises:
            CheckpointError: If the checkpoint of a run that has come further is lost.
        """
        if self.checkpoint.exists():
            return True
        # The line of the first epoch may be there: it is written just before the checkpoint.
        lines = read_bytes(self.metrics).split(b"\n")[:-1] if self.metrics.exists() else []
        later = [path.name for path in (self.best, self.timing, self.result) if path.exists()]
        if len(lines) > 1 or later:
            beside = ", ".join([*later, f"{len(lines)} lines of {self.metrics.name}"])
            raise CheckpointError(
                f"{self.checkpoint} was lost, but beside it lie {beside}: restore it from a copy, "
                "or start a new run with `sqsnn train --config` and this config.toml"
            )
        return False

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the figures of the epochs up to the checkpoint, or of all of a finished run.

        The one or the other proves them.
        """
        if self.is_finished():
            raw, witness = read_bytes(self.metrics), self.result
            digest, epochs = self._read_result()[_METRICS], raw.count(b"\n")
        elif self.has_checkpoint():
            _, header = checkpoint.read_progress(self.checkpoint)
            digest, epochs, witness = header.metrics, header.epoch, self.checkpoint
        else:
            return []
        lines = [
            checked(parsed_json(decoded(line, where), where), epoch_line, where)
            for number, line in enumerate(self._lines(epochs), start=1)
            for where in [f"{self.metrics}, line {number}"]
        ]
        found = [line["epoch"] for line in lines]
        if found != list(range(1, epochs + 1)):
            raise CheckpointError(
                f"{self.metrics} must hold epochs 1..{epochs} in this order, but holds "
                f"{shortened(found)}: restore it from a copy"
            )
        if chain(lines) != digest:
            raise CheckpointError(
                f"{self.metrics} has changed since {witness.name} was written, or one of them is "
                "of another run: restore both from a copy"
            )
        return lines

    def _lines(self, epochs: int) -> list[bytes]:
        """The first whole lines of the metrics, in bytes."""
        raw = read_bytes(self.metrics) if epochs or self.metrics.exists() else b""
        lines = raw.split(b"\n")[:-1][:epochs]
        if len(lines) < epochs:
            raise CheckpointError(
                f"{self.metrics} must hold the {epochs} epochs of {self.checkpoint.name}, but "
                f"holds {len(lines)}: restore both from a copy"
            )
        return lines

    def append_metrics(self, figures: dict[str, Any]) -> None:
        """Add the line of one epoch; it is on the disk when this returns."""
        with writing(self.metrics), self.metrics.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(figures, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def truncate_metrics(self, epochs: int) -> None:
        """Keep the lines of the first `epochs` epochs: a torn or later line is done again."""
        kept = "".join(json.dumps(line) + "\n" for line in self.read_metrics()[:epochs])
        write_atomically(self.metrics, lambda path: path.write_bytes(kept.encode()))

    def read_result(self) -> dict[str, Any]:
        """Read the result of a finished run, which goes with its best weights."""
        content = self._read_result()
        return {name: content[name] for name in content if name != _METRICS}

    def _read_result(self) -> dict[str, Any]:
        return self._read_with_best(self.result, result)

    def write_result(self, content: dict[str, Any]) -> None:
        """Write the result: the run is finished."""
        content = {**content, _METRICS: chain(self.read_metrics())}
        write_sealed(self.result, content, checkpoint.read_weights(self.best).digest)

    def read_costs(self) -> dict[str, Any]:
        """Read the costs that were counted after the run, with its best weights."""
        return self._read_with_best(self.costs, costs)

    def _read_with_best(self, path: Path, check: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        digest = checkpoint.read_weights(self.best).digest
        return read_sealed(path, check, digest, self.best.name)

    def write_costs(self, content: dict[str, Any]) -> None:
        """Write the costs that were counted."""
        write_sealed(self.costs, content, checkpoint.read_weights(self.best).digest)

    def read_timing(self, epochs: int) -> list[float | None]:
        """Read the seconds of the first `epochs` epochs; None where they are not known."""
        known = self.read_times().get("epoch_seconds", [])[:epochs]
        return [*known, *[None] * (epochs - len(known))]

    def read_times(self) -> dict[str, Any]:
        """Read seconds and machine; none where they were lost, for no result depends on them."""
        return read_or_begin_anew(self.timing, times) if self.timing.exists() else {}

    def write_timing(self, seconds: Sequence[float | None], machine: dict[str, Any]) -> None:
        """Write the seconds of all epochs so far, and the machine that they were measured on."""
        known = [second for second in seconds if second is not None]
        content = {"training_seconds": sum(known), "machine": machine, "epoch_seconds": seconds}
        write_sealed(self.timing, content)


def create(out: Path, settings: RunSettings) -> RunFolder:
    """Write the settings of a new run into its folder, which is made if it is missing."""
    refuse_used(out, settings.data.dataset)
    folder = RunFolder(out)
    with writing(folder.config):
        out.mkdir(parents=True, exist_ok=True)
    try:
        write_new(folder.config, lambda path: path.write_text(to_toml(settings), "utf-8"))
    except FileExistsError:
        refuse_used(out)  # another process has begun a run there meanwhile
        raise
    return folder


def refuse_used(out: Path, dataset: str = "") -> None:
    """Refuse to put a new run where files lie already; its data may lie there."""
    folder = RunFolder(out)
    if folder.config.is_file():
        raise ConfigError(
            f"{out} holds a run already: go on with `{folder.resume_command}`, "
            "or choose another --out"
        )
    if not out.exists():
        return
    own = {folder.data.name} if Path(dataset).resolve() == folder.data.resolve() else set()
    if not out.is_dir() or contents(out) - own:
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
