"""Where a study touches the library: settings are made, networks counted, runs trained and tested.

Everything else in a study knows settings by their dotted names alone.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqsnn.data.specs import is_own
from sqsnn.errors import ConfigError, TrainingError
from sqsnn.runs import run
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import DeviceNoise, RunSettings, for_dataset
from sqsnn.training import trainer
from sqsnn.training.build import build_network, count_trained
from sqsnn.training.machine import describe_machine, threads
from sqsnn_bench.study.config import Table, dotted

Settings = RunSettings

RESULT = RunFolder(Path()).result.name  # the file of a run folder that is finished
_PLACES = {"data": {"data_dir", "source"}}


class Facts(NamedTuple):
    """What only the data say.

    Attributes:
        features: Values per sample.
        outputs: Classes, or values to predict.
        samples: Samples for training and validation.
        source: Where they come from.
    """

    features: int
    outputs: int
    samples: int
    source: str


def resolve(dataset: str, sections: Table) -> Settings:
    """Make the settings of a run from its sections, filled up with the dataset's preset.

    Args:
        dataset: Name of the dataset, or path of a file of one's own.
        sections: Sections as in a config.toml.

    Raises:
        ConfigError: If a setting is unknown or out of range, or settings do not fit each other.
    """
    if is_own(dataset):  # as a run writes it down
        dataset = str(Path(dataset).expanduser().absolute())
    return for_dataset(dataset, sections)


def plain(settings: Settings) -> dict[str, Any]:
    """All settings by their dotted names, but not where the data lie."""
    return dict(dotted(settings.model_dump(mode="json", exclude_none=True, exclude=_PLACES)))


def data_of(settings: Settings) -> Mapping[str, Any]:
    """The settings of the data by their names."""
    return settings.data.model_dump(mode="json")


def resized(settings: Settings, hidden: tuple[int, ...]) -> Settings:
    """The same settings with other hidden layers."""
    return settings.model_copy(update={"hidden": hidden})


def made_of(settings: Settings, source: str) -> Settings:
    """The same settings, with which data of another source are refused."""
    data = settings.data.model_copy(update={"source": source})
    return settings.model_copy(update={"data": data})


def to_text(settings: Settings) -> str:
    """All settings, to be sent to another machine."""
    return settings.model_dump_json()


def from_text(text: str) -> Settings:
    """The settings that were sent."""
    return RunSettings.model_validate_json(text)


def network_key(settings: Settings) -> str:
    """All that decides whether a network can be built, and its size."""
    return settings.model_dump_json(include={"skip", "neurons", "device_noise", "rule"})


def count(settings: Settings, features: int, outputs: int) -> int:
    """Count the trainable parameters of a network, by building it."""
    # Noise has no parameters, and that of a device may not be known yet.
    silent = settings.model_copy(update={"device_noise": DeviceNoise()})
    return count_trained(build_network(silent, features, outputs))


def look(settings: Settings) -> Facts:
    """Read what only the data say."""
    _, dataset = run.prepare(settings)
    samples = len(dataset.train.targets) + len(dataset.validation.targets)
    return Facts(dataset.features, dataset.outputs, samples, dataset.source)


def hidden_of(settings: Settings) -> list[int]:
    """The widths of the hidden layers."""
    return list(settings.hidden)


def validate(settings: Settings) -> dict[str, Any]:
    """Train without a folder; return the figures of the best epoch on the validation samples.

    Raises:
        TrainingError: If a loss is not finite.
    """
    with threads(settings.training.threads):
        settled, dataset = run.prepare(settings)
        progress = trainer.start(
            settled, dataset.shape, dataset.outputs, len(dataset.train.targets)
        )
        epochs = list(trainer.epochs(progress, settled, dataset.train, dataset.validation))
    best = progress.best
    if best is None:
        raise TrainingError("no epoch was validated")
    return {
        "parameters": count_trained(progress.network),
        **_validated(epochs[best.epoch - 1].metrics),
        "best_epoch": best.epoch,
        "epochs": len(epochs),
        "seconds": sum(epoch.seconds for epoch in epochs),
        "machine": describe_machine(settled.training, progress.network),
    }


def train_and_test(settings: Settings, path: Path) -> dict[str, Any]:
    """Train in a folder, going on where it was stopped, test once, and give the figures.

    Args:
        settings: The settings.
        path: The folder of the run.

    Raises:
        ConfigError: If the folder holds a run with other settings.
        TrainingError: If a loss is not finite.
    """
    folder = RunFolder(path)
    if folder.config.is_file():
        before = plain(folder.read_settings())
        if not _known(settings, before):
            raise ConfigError(f"{path} holds a run with other settings: remove it")
        if not folder.is_finished():
            run.resume(folder, pictures=False)
    else:
        # Stopped before its settings were written.
        if path.exists():
            shutil.rmtree(path)
        run.begin(settings, path, pictures=False)
    return _tested(folder)


def _known(settings: Settings, before: Mapping[str, Any]) -> bool:
    """Whether a run has the settings; it adds the rates of a device, which they name alone."""
    return plain(settings).items() <= before.items()


def is_finished(path: Path) -> bool:
    """Whether a run folder holds the figures of the test."""
    return RunFolder(path).is_finished()


def forget_checkpoint(path: Path) -> None:
    """Remove the checkpoint of a run that was tested."""
    RunFolder(path).checkpoint.unlink(missing_ok=True)


def _tested(folder: RunFolder) -> dict[str, Any]:
    result, epochs = folder.read_result(), folder.read_metrics()
    timing = folder.read_times()
    names = ("parameters", "spikes_per_sample", "best_epoch", "test_samples")
    return {
        **{name: result[name] for name in names},
        **_figures(result, ("test_accuracy", "test_nmse", "test_mae")),
        **_validated(epochs[result["best_epoch"] - 1]),
        "epochs": len(epochs),
        "seconds": timing["training_seconds"],
        "machine": timing["machine"],
        "costs": result.get("costs"),
        "baseline": result.get("baseline"),
    }


def _validated(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return _figures(metrics, ("validation_",))


def _figures(metrics: Mapping[str, Any], beginnings: tuple[str, ...]) -> dict[str, Any]:
    """Pick figures by the beginnings of their names, and refuse errors that have no scale."""
    found = {name: value for name, value in metrics.items() if name.startswith(beginnings)}
    for name, value in found.items():
        if name.endswith("_nmse") and value is None:
            raise ConfigError(
                f"{name} cannot be had, because the targets of these samples do not vary: a study "
                "of values compares errors as a share of their variance"
            )
    return found
