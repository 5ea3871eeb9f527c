"""A whole run: from settings to a folder with the trained network, its figures and its pictures."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from sqsnn.checks import check_positive_int
from sqsnn.data import catalog
from sqsnn.data.catalog import Dataset, Samples
from sqsnn.data.events import Binning
from sqsnn.errors import ConfigError
from sqsnn.learning.bit_source import BitSource
from sqsnn.network import SpikingNetwork
from sqsnn.runs import backend, checkpoint, costs, folder
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.noise import settle_noise
from sqsnn.runs.pictures import draw_run
from sqsnn.settings.run import RunSettings
from sqsnn.storage import write_json
from sqsnn.training import evaluate, trainer
from sqsnn.training.build import (
    Purpose,
    build_network,
    count_trained,
    seeded,
)
from sqsnn.training.evaluate import Scores
from sqsnn.training.machine import describe_machine, threads
from sqsnn.training.trainer import Epoch, Metrics, Progress, Step


class Watcher:
    """Follows a run and may display it; this one displays nothing."""

    def begin(self, folder: RunFolder, settings: RunSettings, epochs: int) -> None:
        """Training starts after `epochs` whole epochs."""

    def spend(self, estimate: str, billed: bool) -> None:
        """A backend will run jobs of this estimate; raise an error to stop before it does."""

    def step(self, step: Step) -> None:
        """A training step is done."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done and kept."""

    def finish(self, epoch: int) -> None:
        """Training is over; the weights of this epoch will be tested and the pictures drawn."""


SILENT = Watcher()


class Loaded(NamedTuple):
    """A trained network and its data, ready to be tested.

    Attributes:
        settings: The settings of the run.
        dataset: The data.
        network: The network with the best weights.
        epoch: The epoch that the weights are from.
        source: Measures the spikes of a backend; None where they are simulated.
    """

    settings: RunSettings
    dataset: Dataset
    network: SpikingNetwork
    epoch: int
    source: BitSource | None = None

    def generator(self, purpose: Purpose = Purpose.TEST, epoch: int = 0) -> torch.Generator:
        """The generator of the run's seed for a purpose, on the run's device."""
        training = self.settings.training
        return seeded(training.seed, purpose, epoch=epoch, device=training.device)


def begin(
    settings: RunSettings, out: Path | None, watcher: Watcher = SILENT, *, pictures: bool = True
) -> RunFolder:
    """Train a network in a new folder and test it.

    Args:
        settings: The settings.
        out: The folder, or None for the first free runs/<dataset>-<n>.
        watcher: Follows the run.
        pictures: Whether to draw the pictures at the end.

    Raises:
        ConfigError: If the folder is in use, or the settings do not fit the machine or each other.
        DataError: If the dataset cannot be had.
        HardwareError: If the device that gives the noise is unknown.
        TrainingError: If a loss or a gradient is not finite.
        ValueError: If a setting does not fit the dataset or the circuit.
    """
    if out is not None:
        folder.refuse_used(out)
    with threads(settings.training.threads):
        settled, dataset = prepare(settings)
        # Before the folder: a refused run leaves nothing behind.
        progress = _start(settled, dataset)
        _ask(settled, dataset, progress, watcher)
        made = folder.create(out, settled)
        _run(made, settled, dataset, progress, watcher, pictures)
    return made


def resume(run: RunFolder, watcher: Watcher = SILENT, *, pictures: bool = True) -> None:
    """Go on with a run as if it had never stopped."""
    settled = run.read_settings()
    with threads(settled.training.threads):
        dataset = _load_data(settled)
        progress = _start(settled, dataset)
        # Without a checkpoint the run was stopped in its first epoch, and starts again.
        if run.checkpoint.is_file():
            checkpoint.load(run.checkpoint, progress, settled)
        _ask(settled, dataset, progress, watcher)
        run.truncate_metrics(progress.epoch)
        _run(run, settled, dataset, progress, watcher, pictures)


def prepare(settings: RunSettings) -> tuple[RunSettings, Dataset]:
    """Load the data, and write down what only files and devices know: a rerun asks neither."""
    dataset = _load_data(settings)
    data_dir = settings.data.data_dir and settings.data.data_dir.expanduser().absolute()
    data = settings.data.model_copy(update={"source": dataset.source, "data_dir": data_dir})
    return settle_noise(settings).model_copy(update={"data": data}), dataset


def load(run: RunFolder, data_dir: Path | None = None) -> Loaded:
    """Load the data of a run and its network with the best weights so far.

    Args:
        run: The folder of a run.
        data_dir: The folder of the datasets now, or None for that of the training.

    Raises:
        CheckpointError: If no epoch has ended yet or the folder is damaged.
        ConfigError: If the machine or the data are not what the settings need.
        DataError: If the dataset cannot be had.
    """
    settled = run.read_settings()
    if data_dir is not None:
        data = settled.data.model_copy(update={"data_dir": data_dir})
        settled = settled.model_copy(update={"data": data})
    dataset = _load_data(settled)
    network = build_network(settled, dataset.features, len(dataset.class_names))
    return Loaded(settled, dataset, network, checkpoint.load_best(run.best, network))


def score_test(loaded: Loaded, shots: int = 1) -> tuple[Scores, Samples]:
    """Run a network over the test samples; with one shot it is the test that ends a run."""
    samples = trainer.place(loaded.dataset.load_test(), loaded.settings.training)
    loaded.network.eval()
    scores = evaluate.score(
        loaded.network,
        loaded.settings,
        samples.values,
        generator=loaded.generator(),
        shots=shots,
        source=loaded.source,
    )
    return scores, samples


def evaluate_run(run: RunFolder, shots: int, data_dir: Path | None) -> Metrics:
    """Test the network of a run once more; writes evaluation.json, or evaluation-shots-K.json."""
    check_positive_int("shots", shots)  # before the data are read
    loaded = load(run, data_dir)
    with threads(loaded.settings.training.threads):
        scores, samples = score_test(loaded, shots)
    figures = {"shots": shots, **_figures(loaded, scores, samples)}
    name = "evaluation.json" if shots == 1 else f"evaluation-shots-{shots}.json"
    write_json(run.path / name, figures)
    return figures


def _run(
    run: RunFolder,
    settled: RunSettings,
    dataset: Dataset,
    progress: Progress,
    watcher: Watcher,
    pictures: bool,
) -> None:
    watcher.begin(run, settled, progress.epoch)
    # The best weights are in the checkpoint too: their file may be missing after a crash.
    if progress.best is not None:
        checkpoint.save_weights(run.best, progress.best.weights, progress.best.epoch)
    with backend.measuring(progress.source, settled, run):
        _train(run, settled, dataset, progress, watcher)
        best = checkpoint.load_best(run.best, progress.network)
        watcher.finish(best)
        _finish(run, Loaded(settled, dataset, progress.network, best, progress.source), pictures)


def _train(
    run: RunFolder,
    settled: RunSettings,
    dataset: Dataset,
    progress: Progress,
    watcher: Watcher,
) -> None:
    timing = run.read_timing()[: progress.epoch]
    epochs = trainer.epochs(progress, settled, dataset.train, dataset.validation, watcher.step)
    for epoch in epochs:
        # A line without its checkpoint is cut off on resuming, so the line comes first.
        run.append_metrics(epoch.metrics)
        checkpoint.save(run.checkpoint, progress, settled)
        if progress.best is not None and progress.best.epoch == progress.epoch:
            checkpoint.save_weights(run.best, progress.best.weights, progress.epoch)
        timing.append(epoch.timing._asdict())
        run.write_timing(timing, describe_machine(settled.training))
        watcher.epoch(epoch)


def _finish(run: RunFolder, loaded: Loaded, pictures: bool) -> None:
    """Test the best weights, draw the pictures, count costs, and write the result last of all."""
    scores, samples = score_test(loaded)
    if pictures:
        draw_run(run, loaded, scores, samples)
    counted: dict[str, Any] | None = None  # a backend would be paid for the samples once more
    if loaded.source is None:
        counted = costs.of_test(loaded, samples)
    write_json(run.result, {**_figures(loaded, scores, samples), "costs": counted})


def _start(settled: RunSettings, dataset: Dataset) -> Progress:
    return trainer.start(
        settled,
        dataset.features,
        len(dataset.class_names),
        len(dataset.train.labels),
        backend.build_source(settled),
    )


def _ask(settled: RunSettings, dataset: Dataset, progress: Progress, watcher: Watcher) -> None:
    """Estimate the jobs of a backend before it runs them."""
    if progress.source is not None:
        expected = backend.estimate(settled, dataset, progress)
        watcher.spend(expected.in_words(), backend.is_billed(progress.source))


def _load_data(settled: RunSettings) -> Dataset:
    data = settled.data
    binning = None
    if data.duration is not None and data.pool is not None and data.polarity is not None:
        binning = Binning(settled.encoding.steps, data.duration, data.pool, data.polarity)
    dataset = catalog.load(
        data.dataset,
        data_dir=data.data_dir,
        classes=data.classes,
        train_samples=data.train_samples,
        test_samples=data.test_samples,
        delay=data.delay,
        binning=binning,
    )
    if data.source not in (None, dataset.source):
        raise ConfigError(
            f"the run was trained on {data.dataset} from {data.source}, but here lies "
            f"{dataset.source}, which has other values: point --data-dir to the former"
        )
    return dataset


def _figures(loaded: Loaded, scores: Scores, samples: Samples) -> Metrics:
    return {
        "dataset": loaded.dataset.name,
        "test_samples": len(samples.labels),
        **evaluate.accuracy(scores, samples.labels).named("test"),
        "spikes_per_sample": list(scores.spikes),
        "parameters": count_trained(loaded.network),
        "best_epoch": loaded.epoch,
    }
