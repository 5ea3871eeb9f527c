"""The folder of a fitted model of spike trains.

model.sqsnn     the model, as `SpikeTrainModel.save` writes it
metrics.json    the recording, the model, and how well they agree
*.png           pictures
report.html     all of it on one page
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from sqsnn.data.own.spike_times import TimeUnit
from sqsnn.errors import ConfigError
from sqsnn.ownership import owned
from sqsnn.quantum import circuits
from sqsnn.readfile import read_json
from sqsnn.runs.folder import refuse_used
from sqsnn.spike_trains.figures import Figures, Fitted, measure, memory_in_words
from sqsnn.spike_trains.model import SpikeTrainModel
from sqsnn.spike_trains.report import write_report
from sqsnn.storage import write_json

MODEL, METRICS = "model.sqsnn", "metrics.json"


class _Settings(BaseModel):
    time_unit: TimeUnit = "s"


class _Metrics(BaseModel):
    settings: _Settings = _Settings()


@contextmanager
def begun(path: Path, circuit: object) -> Iterator[None]:
    """Own a new or empty folder while a model is fitted that a file can hold.

    Raises:
        ConfigError: If the folder is used, or the circuit has no name by which it is found again.
        WriteError: If nothing can be written there.
    """
    if circuit not in circuits.names():
        known = ", ".join(circuits.names())
        raise ConfigError(f"circuit is {circuit!r}; it may be one of {known}")
    refuse_used(path)
    with owned(path):
        refuse_used(path)
        yield


def write(path: Path, fitted: Fitted, settings: Mapping[str, object]) -> dict[str, Figures]:
    """Write model, figures, pictures and page into a folder.

    Args:
        path: The folder.
        fitted: The model and its recording.
        settings: How the recording was read, split and fitted.

    Returns:
        The figures of each part of the recording.
    """
    name, model, parts, seed = fitted
    figures = {part: measure(model, recording, seed) for part, recording in parts.items()}
    trains = fitted.training.trains
    model.save(path / MODEL)
    content = {
        "recording": name,
        "settings": dict(settings),
        "units": trains.units,
        "bin_width": trains.bin_width,
        "merged": trains.merged,
        "rate": model.rate_.tolist(),
        "circuit": model.circuit,
        "memory": memory_in_words(model),
        "parameters": model.parameters_,
        "iterations": model.n_iter_,
        "converged": model.converged_,
        "starts_that_agree": model.agreeing_,
        **{part.replace(" ", "_"): found.as_json() for part, found in figures.items()},
    }
    write_json(path / METRICS, content)
    write_report(path, fitted, figures)
    return figures


def load(path: Path) -> SpikeTrainModel:
    """Read the model of a folder, or of a file.

    Raises:
        CheckpointError: If it is missing, damaged, or no model of spike trains.
    """
    return SpikeTrainModel.load(path / MODEL if path.is_dir() else path)


def time_unit(path: Path) -> TimeUnit:
    """The unit of the times that the model of a folder was fitted to; seconds where none is known.

    Raises:
        CheckpointError: If the figures of the folder are damaged.
    """
    metrics = path / METRICS
    if not metrics.is_file():
        return "s"
    return read_json(metrics, _Metrics.model_validate).settings.time_unit
