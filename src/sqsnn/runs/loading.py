"""A trained network and its data, loaded from the folder of a run and tested."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from sqsnn.checks import check_positive_int
from sqsnn.data import catalog
from sqsnn.data.dataset import Dataset, Samples
from sqsnn.data.events import Binning
from sqsnn.data.own_sets import Columns
from sqsnn.data.preparation import Preparation
from sqsnn.data.specs import is_own
from sqsnn.errors import ConfigError
from sqsnn.learning.bit_source import BitSource
from sqsnn.network import SpikingNetwork
from sqsnn.processes import ALONE, Processes, joined
from sqsnn.runs import checkpoint, tables
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.model import read_model
from sqsnn.settings.data import table_of
from sqsnn.settings.run import RunSettings
from sqsnn.storage import write_json
from sqsnn.training import baselines, trainer
from sqsnn.training.build import Purpose, build_network, count_trained, seeded
from sqsnn.training.evaluate import Scores
from sqsnn.training.machine import threads
from sqsnn.training.progress import Metrics
from sqsnn.training.values import Predictions


class Tested(NamedTuple):
    """What a network answered to the test samples.

    Attributes:
        answers: Its scores, or the values that it predicts.
        samples: The test samples.
        figures: Accuracies or errors by name.
        spikes: Spikes per sample and run of each layer.
    """

    answers: Scores | Predictions
    samples: Samples
    figures: Metrics
    spikes: tuple[float, ...]


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

    def generator(
        self, purpose: Purpose = Purpose.TEST, epoch: int = 0, processes: Processes = ALONE
    ) -> torch.Generator:
        """The generator of the run's seed for a purpose, on the run's device."""
        training = self.settings.training
        return seeded(
            training.seed,
            purpose,
            epoch=epoch,
            device=training.device,
            processes=processes,
        )


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
    model = read_model(run.path)
    settled = model.settings
    if data_dir is not None:
        data = settled.data.model_copy(update={"data_dir": data_dir})
        settled = settled.model_copy(update={"data": data})
    dataset = load_data(settled, model.preparation if is_own(settled.data.dataset) else None)
    network = build_network(settled, dataset.shape, dataset.outputs)
    checkpoint.load_weights(network, model.weights, run.best)
    return Loaded(settled, dataset, network, model.epoch)


def test(loaded: Loaded, shots: int = 1, processes: Processes = ALONE) -> Tested:
    """Run a network over the test samples; with one shot it is the test that ends a run.

    Args:
        loaded: The network and its data.
        shots: Runs of the network per sample.
        processes: Those that share the test.
    """
    samples = trainer.place(loaded.dataset.load_test(), loaded.settings.training)
    loaded.network.eval()
    generator = loaded.generator(processes=processes)
    answers, found, spikes = trainer.assess(
        loaded.network, loaded.settings, samples, generator, loaded.source, shots
    )
    return Tested(answers, samples, found, spikes)


def evaluate_run(
    run: RunFolder, shots: int, data_dir: Path | None, predictions: Path | None = None
) -> Metrics:
    """Test the network of a run once more; writes evaluation.json, or evaluation-shots-K.json.

    Args:
        run: The folder of the run.
        shots: Runs of the network per sample.
        data_dir: The folder of the datasets now, or None for that of the training.
        predictions: File for the answer to each sample, as CSV; None for none.
    """
    check_positive_int("shots", shots)  # before the data are read
    with joined() as processes:
        loaded = load(run, data_dir)
        with threads(loaded.settings.training.threads):
            tested = test(loaded, shots, processes)
    content = {"shots": shots, **figures(loaded, tested)}
    if not processes.is_first:
        return content
    name = "evaluation.json" if shots == 1 else f"evaluation-shots-{shots}.json"
    write_json(run.path / name, content)
    if predictions is not None:
        answer = tables.of_test(tested, loaded.dataset.preparation)
        tables.write(predictions, answer)
    return content


def load_data(settled: RunSettings, preparation: Preparation | None = None) -> Dataset:
    """Load the dataset of a run, and refuse another source of it than that of the training.

    Args:
        settled: The settings of the run.
        preparation: The labels and the scaling that a user's own file must take over; None to
            find them in its training samples.
    """
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
        delay=data.cue_delay,
        binning=binning,
        columns=_columns(settled) if is_own(data.dataset) else None,
        clip=settled.encoding.bounded,
        preparation=preparation,
    )
    if data.source not in (None, dataset.source) and is_own(data.dataset):
        raise ConfigError(
            f"{data.dataset} holds other samples now than when the run began: then {data.source} "
            f"(source in config.toml), now {dataset.source}"
        )
    if data.source not in (None, dataset.source):
        raise ConfigError(
            f"the run was trained on {data.dataset} from {data.source} (source in config.toml), "
            f"but here lies {dataset.source}, which has other values: point --data-dir to the "
            "former"
        )
    return dataset


def _columns(settled: RunSettings) -> Columns:
    """What the columns of a user's own file mean."""
    columns = table_of(settled.data.model_dump(), settled.readout.kind)
    return replace(columns, on_grid=settled.grid is not None)


def figures(loaded: Loaded, tested: Tested) -> Metrics:
    """The figures of a test beside chance and a linear model, as metrics.json holds them."""
    dataset, report_steps = loaded.dataset, loaded.settings.report_steps
    linear = baselines.ridge(dataset, tested.samples, report_steps)
    return {
        "dataset": Path(dataset.name).name,  # wherever an own file lies, the result is the same
        **answers(loaded.network, tested, dataset.class_names),
        "best_epoch": loaded.epoch,
        "chance": baselines.chance(dataset, tested.samples, report_steps),
        "baseline": None if linear is None else linear._asdict(),
    }


def answers(network: SpikingNetwork, tested: Tested, class_names: tuple[str, ...]) -> Metrics:
    """The figures of a network's own answers."""
    found = {name: figure for name, figure in tested.figures.items() if name != "loss"}
    content: Metrics = {
        "test_samples": len(tested.samples.targets),
        **{f"test_{name}": figure for name, figure in found.items()},
        "populations": list(network.names),
        "spikes_per_sample": list(tested.spikes),
        "parameters": count_trained(network),
    }
    if isinstance(tested.answers, Scores):
        content |= baselines.class_report(tested.answers, tested.samples.targets, class_names)
    return content
