"""A whole run: from settings to a folder with the trained network, its figures and its pictures."""

from pathlib import Path
from typing import NamedTuple

import torch

from sqsnn.checks import check_positive_int
from sqsnn.data import catalog
from sqsnn.data.catalog import Dataset, Samples
from sqsnn.errors import ConfigError
from sqsnn.learning.bit_source import BitSource
from sqsnn.network import SpikingNetwork
from sqsnn.storage import write_json
from sqsnn.training import backend, checkpoint, costs, evaluate, run_folder, trainer
from sqsnn.training.build import (
    Purpose,
    binning,
    build_network,
    seeded,
)
from sqsnn.training.config import RunConfig, settle
from sqsnn.training.evaluate import Scores
from sqsnn.training.machine import describe_machine, prepare_machine
from sqsnn.training.neurons import build_circuit, count_trained
from sqsnn.training.noise import settle_noise
from sqsnn.training.pictures import draw_run
from sqsnn.training.run_folder import RunFolder
from sqsnn.training.trainer import Epoch, Metrics, Progress, Step


class Watcher:
    """Is told how a run goes; this one says nothing."""

    def begin(self, folder: RunFolder, settings: RunConfig, epochs: int) -> None:
        """Training starts after `epochs` whole epochs."""

    def spend(self, estimate: str, billed: bool) -> None:
        """A backend will be asked for so much; raise to stop before it is."""

    def step(self, step: Step) -> None:
        """A training step is done."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done and kept."""

    def finish(self, epoch: int) -> None:
        """Training is over; the weights of this epoch will be tested and the pictures drawn."""


SILENT = Watcher()


class Loaded(NamedTuple):
    """A trained network, ready to be tested."""

    config: RunConfig
    dataset: Dataset
    network: SpikingNetwork
    epoch: int  # that the weights are from
    source: BitSource | None = None  # what measures the spikes of a backend


def begin(
    settings: RunConfig, out: Path | None, watcher: Watcher = SILENT, *, pictures: bool = True
) -> RunFolder:
    """Train a network in a new folder and test it.

    Args:
        settings: the settings.
        out: the folder, or None for the first free runs/<dataset>-<n>.
        watcher: who is told how it goes.
        pictures: draw the pictures at the end.

    Raises:
        ConfigError: if the folder is in use, or the settings do not fit the machine or each other.
        DataError: if the dataset cannot be had.
        HardwareError: if the noise is to come from a device that there is not.
        TrainingError: if a loss or a gradient is not finite.
        ValueError: if a setting does not fit the dataset or the circuit.
    """
    if out is not None:
        run_folder.refuse_used(out)
    settled, dataset = prepare(settings)
    progress = _start(settled, dataset)  # before the folder: what is refused leaves nothing behind
    _ask(settled, dataset, progress, watcher)
    folder = run_folder.create(out, settled)
    _run(folder, settled, dataset, progress, watcher, pictures)
    return folder


def resume(folder: RunFolder, watcher: Watcher = SILENT, *, pictures: bool = True) -> None:
    """Go on with a run as if it had never stopped.

    Args:
        folder: the folder of a run that is not finished.
        watcher: who is told how it goes.
        pictures: draw the pictures at the end.

    Raises:
        CheckpointError: if the folder is damaged or its settings were changed.
        ConfigError, DataError, TrainingError, ValueError: as `begin` does.
    """
    settled = folder.read_config()
    prepare_machine(settled.training)
    dataset = _load_data(settled)
    progress = _start(settled, dataset)
    # Without a checkpoint the run was stopped in its first epoch, and starts again.
    if folder.checkpoint.is_file():
        checkpoint.load(folder.checkpoint, progress, settled)
    _ask(settled, dataset, progress, watcher)
    folder.truncate_metrics(progress.epoch)
    _run(folder, settled, dataset, progress, watcher, pictures)


def prepare(settings: RunConfig) -> tuple[RunConfig, Dataset]:
    """Ready the machine for a run and load its data.

    Args:
        settings: the settings.

    Returns:
        the settings with what only the files and the machine say, and the data.

    Raises:
        ConfigError, DataError, HardwareError, ValueError: as `begin` does.
    """
    prepare_machine(settings.training)
    dataset = _load_data(settings)
    return _settle(settings, dataset), dataset


def load(folder: RunFolder, data_dir: Path | None = None) -> Loaded:
    """Load the data of a run and its network with the best weights so far.

    Args:
        folder: the folder of a run.
        data_dir: where the datasets lie now, or None for where they lay in training.

    Raises:
        CheckpointError: if no epoch has ended yet or the folder is damaged.
        ConfigError: if the machine or the data are not what the settings need.
        DataError: if the dataset cannot be had.
    """
    settled = folder.read_config()
    prepare_machine(settled.training)
    if data_dir is not None:
        data = settled.data.model_copy(update={"data_dir": data_dir})
        settled = settled.model_copy(update={"data": data})
    dataset = _load_data(settled)
    network = build_network(settled, dataset.features, len(dataset.class_names))
    return Loaded(settled, dataset, network, _load_best(folder, network))


def score_test(loaded: Loaded, shots: int = 1) -> tuple[Scores, Samples]:
    """Run a network over the test samples; with one shot it is the test that ends a run.

    Args:
        loaded: the network and its data.
        shots: independent runs a sample, summed.

    Returns:
        the scores, and the test samples on the network's device.
    """
    training = loaded.config.training
    samples = trainer.place(loaded.dataset.load_test(), training)
    loaded.network.eval()
    scores = evaluate.score(
        loaded.network,
        loaded.config.encoding,
        samples.values,
        generator=_test_generator(loaded.config),
        batch_size=training.batch_size,
        report_steps=loaded.config.readout.report_steps,
        shots=shots,
        source=loaded.source,
    )
    return scores, samples


def evaluate_run(folder: RunFolder, shots: int, data_dir: Path | None) -> Metrics:
    """Test the network of a run once more and write what comes out into its folder.

    Args:
        folder: the folder of a run with at least one whole epoch.
        shots: independent runs a sample, whose spikes and probabilities are summed.
        data_dir: where the datasets lie now, or None for where they lay in training.

    Returns:
        the figures, as written to evaluation.json, or evaluation-shots-<K>.json for K > 1.

    Raises:
        CheckpointError, ConfigError, DataError: as `load` does.
        ValueError: if `shots` is below 1.
    """
    check_positive_int("shots", shots)  # before the data are read
    loaded = load(folder, data_dir)
    scores, samples = score_test(loaded, shots)
    figures = {"shots": shots, **_figures(loaded, scores, samples)}
    name = "evaluation.json" if shots == 1 else f"evaluation-shots-{shots}.json"
    write_json(folder.path / name, figures)
    return figures


def _run(
    folder: RunFolder,
    settled: RunConfig,
    dataset: Dataset,
    progress: Progress,
    watcher: Watcher,
    pictures: bool,
) -> None:
    watcher.begin(folder, settled, progress.epoch)
    # The best weights are in the checkpoint too: their file may be missing after a crash.
    if progress.best is not None:
        checkpoint.save_weights(folder.best, progress.best.weights, progress.best.epoch)
    with backend.measuring(progress.source, settled, folder):
        _train(folder, settled, dataset, progress, watcher)
        best = _load_best(folder, progress.network)
        watcher.finish(best)
        _finish(folder, Loaded(settled, dataset, progress.network, best, progress.source), pictures)


def _train(
    folder: RunFolder,
    settled: RunConfig,
    dataset: Dataset,
    progress: Progress,
    watcher: Watcher,
) -> None:
    timing = folder.read_timing()[: progress.epoch]
    epochs = trainer.epochs(progress, settled, dataset.train, dataset.validation, watcher.step)
    for epoch in epochs:
        # A line without its checkpoint is cut off on resuming, so the line comes first.
        folder.append_metrics(epoch.metrics)
        checkpoint.save(folder.checkpoint, progress, settled)
        if progress.best is not None and progress.best.epoch == progress.epoch:
            checkpoint.save_weights(folder.best, progress.best.weights, progress.epoch)
        timing.append(epoch.timing._asdict())
        folder.write_timing(timing, describe_machine(settled.training))
        watcher.epoch(epoch)


def _finish(folder: RunFolder, loaded: Loaded, pictures: bool) -> None:
    """Test the best weights, draw the pictures, count costs, and write the result last of all."""
    scores, samples = score_test(loaded)
    if pictures:
        draw_run(
            folder,
            loaded.config,
            loaded.network,
            loaded.dataset.class_names,
            (scores, samples),
            _test_generator(loaded.config),
        )
    counted = None  # a backend would be paid for the samples once more
    if loaded.source is None:
        generator = _test_generator(loaded.config)
        counted = costs.of_test(loaded.config, loaded.network, samples, generator).as_dict()
    write_json(folder.result, {**_figures(loaded, scores, samples), "costs": counted})


def _settle(settings: RunConfig, dataset: Dataset) -> RunConfig:
    """Write down what the files and the device say: a repeated run asks neither again."""
    settled = settle(settings, source=dataset.source)
    if not settings.noise.is_open:
        return settled
    noise = settle_noise(settings.noise, build_circuit(settings.model))
    return settled.model_copy(update={"noise": noise})


def _start(settled: RunConfig, dataset: Dataset) -> Progress:
    return trainer.start(
        settled,
        dataset.features,
        len(dataset.class_names),
        len(dataset.train.labels),
        backend.build_source(settled),
    )


def _ask(settled: RunConfig, dataset: Dataset, progress: Progress, watcher: Watcher) -> None:
    """Say what a backend will be asked for, before it is."""
    if progress.source is None:
        return
    expected = backend.estimate(
        progress.source,
        settled,
        dataset.features,
        len(dataset.class_names),
        train=len(dataset.train.labels),
        validation=len(dataset.validation.labels),
        test=dataset.test_samples,
        epochs=settled.training.epochs - progress.epoch,
    )
    watcher.spend(expected.describe(), progress.source.executor.device.kind == "ibm")


def _load_best(folder: RunFolder, network: SpikingNetwork) -> int:
    weights, epoch = checkpoint.read_weights(folder.best)
    checkpoint.load_weights(network, weights, folder.best)
    return epoch


def _load_data(settled: RunConfig) -> Dataset:
    data = settled.data
    dataset = catalog.load(
        data.dataset,
        data_dir=data.data_dir,
        classes=data.classes,
        train_samples=data.train_samples,
        test_samples=data.test_samples,
        delay=data.delay,
        binning=binning(settled),
    )
    if data.source not in (None, dataset.source):
        raise ConfigError(
            f"the run was trained on {data.dataset} from {data.source}, but here lies "
            f"{dataset.source}, which has other values: point --data-dir to the former"
        )
    return dataset


def _figures(loaded: Loaded, scores: Scores, samples: Samples) -> Metrics:
    reached = evaluate.accuracy(scores, samples.labels)
    return {
        "dataset": loaded.dataset.name,
        "test_samples": len(samples.labels),
        "test_accuracy": reached.by_count,
        "test_accuracy_probability": reached.by_probability,
        "test_accuracy_spikes": evaluate.accuracy_of_spikes(scores, samples.labels),
        "spikes_per_sample": list(scores.spikes),
        "parameters": count_trained(loaded.network, loaded.config.model),
        "best_epoch": loaded.epoch,
    }


def _test_generator(settled: RunConfig) -> torch.Generator:
    training = settled.training
    return seeded(training.seed, Purpose.TEST, device=training.device)
