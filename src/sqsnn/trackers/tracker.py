"""What all trackers share: the figures and settings that they get, resuming, and how they fail."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

from sqsnn.data.dataset import Dataset
from sqsnn.data.specs import is_folder, is_own
from sqsnn.errors import TrackerError
from sqsnn.readfile import read_or_begin_anew, write_sealed
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.run import Watcher
from sqsnn.settings import flat
from sqsnn.settings.run import Recipe, RunSettings
from sqsnn.training.callback import following
from sqsnn.training.progress import Epoch, Progress

Figures = dict[str, float]
Params = dict[str, bool | int | float | str]
_IDS = TypeAdapter(dict[str, str], config=ConfigDict(strict=True))

# Places on this machine, and what follows from the other settings.
_UNSAID = ("data_dir", "begins_with", "source", "circuit_gates")


class Tracker(Watcher, ABC):
    """Sends the figures of a training, with the epoch as step, and its settings to a tracker.

    A run that goes on continues its curves: trackers.json in its folder keeps the tracker's id of
    it, and epochs that the tracker lacks are sent from metrics.jsonl. An error of the tracker stops
    the training, of which every whole epoch is kept.
    """

    word: ClassVar[str]  # behind --track

    def __init__(self, *failures: type[Exception]) -> None:
        self.flags = f" --track {self.word}"  # what goes on with this tracker, and those beside it
        self._failures = (OSError, *failures)
        self._folder: RunFolder | None = None
        self._id = ""  # of the run, at the tracker
        self._populations: list[str] = []
        self._is_connected = False

    @abstractmethod
    def _connect(self, params: Params) -> int:
        """Begin a run, or go on with the one of `_id`; give the last epoch that it has."""

    @abstractmethod
    def _log(self, figures: Figures, epoch: int) -> None:
        """Send the figures of an epoch."""

    def _log_test(self, figures: Figures, epoch: int) -> None:
        self._log(figures, epoch)

    @abstractmethod
    def _disconnect(self, error: BaseException | None) -> None:
        """End the connection; `error` is what ended the training."""

    @property
    def _title(self) -> str | None:
        return None if self._folder is None else self._folder.path.absolute().name

    def opened(
        self, folder: RunFolder, settings: RunSettings, dataset: Dataset, epochs: int
    ) -> None:
        """Note the folder of the run."""
        self._folder = folder

    def begin(self, progress: Progress | None, recipe: Recipe) -> None:
        """Connect, and send the epochs that the tracker lacks."""
        folder, self._populations = self._folder, recipe.population_names
        path = None if folder is None else folder.path / "trackers.json"
        ids = {}
        if path is not None and path.exists():
            ids = read_or_begin_anew(path, _IDS.validate_python)
        self._id = ids.get(self.word, "")
        with self._reporting():
            last = self._connect(_params(recipe))
            self._is_connected = True
            if path is not None and self._id:
                write_sealed(path, {**ids, self.word: self._id})
            if folder is not None:
                lines = folder.read_metrics()
                kept = zip(lines, folder.read_timing(len(lines)), strict=True)
                for metrics, seconds in list(kept)[last:]:
                    self._send(metrics, seconds)

    def epoch(self, epoch: Epoch, progress: Progress) -> None:
        """Send the figures of an epoch."""
        with self._reporting():
            self._send(epoch.metrics, epoch.seconds)

    def result(self, folder: RunFolder) -> None:
        """Send the figures of the test, at the epoch of the weights that were tested."""
        result = folder.read_result()
        with self._reporting():
            self._log_test(_numbers(result), result["best_epoch"])

    def closed(self, error: BaseException | None) -> None:
        """Disconnect."""
        if self._is_connected:
            self._is_connected = False
            with self._reporting(after=error):
                self._disconnect(error)
        self._folder = None

    def send(self, folder: RunFolder) -> None:
        """Send a finished run, as far as the tracker lacks it."""
        with following([self]):
            self._folder = folder
            self.begin(None, folder.read_settings())
            self.result(folder)

    def _send(self, metrics: Mapping[str, Any], seconds: float | None) -> None:
        figures = {**metrics, "seconds": seconds}
        epoch, spikes = figures.pop("epoch"), figures.pop("spikes_per_sample", ())
        for name, figure in zip(self._populations, spikes, strict=bool(spikes)):
            figures[f"spikes_per_sample/{name}"] = figure
        self._log(_numbers(figures), epoch)

    @contextmanager
    def _reporting(self, after: BaseException | None = None) -> Iterator[None]:
        """Name the tracker that failed; after an error of the training, that one counts."""
        try:
            yield
        except self._failures as failure:
            if after is not None:
                return
            # Not chained, and without the user and password that an address may hold.
            said = re.sub(r"//[^/\s@]*@", "//", " ".join(str(failure).split())).rstrip(".")
            said = f"{type(self).__name__} failed: {type(failure).__name__}: {said}"
            if self._folder is not None:
                again = f"{self._folder.resume_command}{self.flags}"
                kept = self._folder.kept()
                said = f"{said}. Interrupted: {kept}. To go on, also without it: `{again}`"
            raise TrackerError(said) from None


@contextmanager
def extra() -> Iterator[None]:
    """Say what to install where an import fails."""
    try:
        yield
    except ImportError as error:
        raise TrackerError(f"{error}: pip install 'sqsnn[track]'") from error


def _numbers(figures: Mapping[str, Any]) -> Figures:
    """The figures that are finite numbers."""
    return {
        name: float(figure)
        for name, figure in figures.items()
        if isinstance(figure, int | float) and math.isfinite(figure)
    }


def _params(recipe: Recipe) -> Params:
    """The settings by the names of their flags, without places on this machine."""
    found = flat.flatten(type(recipe), recipe.model_dump())
    dataset = found.get("dataset", "")
    if is_own(dataset) or is_folder(dataset):
        found["dataset"] = Path(dataset).name
    return {
        name: value if isinstance(value, bool | int | float | str) else _text(value)
        for name, value in found.items()
        if value is not None and value != {} and name not in _UNSAID
    }


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
