"""The diagnosis of a trained run: how good gradients from measured bits would be there."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.reports import style
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.loading import load
from sqsnn.storage import write_json
from sqsnn.training import trainer
from sqsnn.training.build import Purpose
from sqsnn.training.machine import threads
from sqsnn_bench.gradients import diagnosis, plots
from sqsnn_bench.gradients.diagnosis import Diagnosis, Watch
from sqsnn_bench.gradients.options import GradientOptions


def diagnose_run(
    folder: RunFolder,
    options: GradientOptions,
    data_dir: Path | None = None,
    watch: Watch = lambda estimator, number, of: None,
) -> Diagnosis:
    """Compare estimators of the score gradient on validation samples, with the best weights.

    Writes gradients.json and gradients.png into the folder.

    Args:
        folder: The folder of a run with at least one whole epoch.
        options: Which estimators, and how thoroughly.
        data_dir: The folder of the datasets now, or None for that of the training.
        watch: Called before each estimator.

    Raises:
        CheckpointError, DataError: As `sqsnn.runs.loading.load` does.
        ConfigError: As `sqsnn.runs.loading.load` does; or if neurons are no circuits, or there are
            too few samples.
    """
    loaded = load(folder, data_dir)
    _require_circuits(loaded.network)
    generator = loaded.generator(Purpose.INSPECTION)
    samples = trainer.place(loaded.dataset.validation, loaded.settings.training)
    there = len(samples.targets)
    if options.batch > there:
        raise ConfigError(f"batch is {options.batch}, but the run has {there} validation samples")
    # By chance, since they may lie ordered by class.
    order = torch.randperm(there, generator=generator, device=generator.device)[: options.batch]
    with threads(loaded.settings.training.threads):
        spikes = loaded.settings.encoding.encode(samples.values[order], generator=generator)
        found = diagnosis.diagnose(
            loaded.network,
            spikes,
            **options.model_dump(exclude={"batch"}),
            generator=generator,
            watch=watch,
        )
    content = {"best_epoch": loaded.epoch, **options.model_dump(mode="json"), **asdict(found)}
    write_json(folder.path / "gradients.json", content)
    style.save(plots.gradients(found), folder.path / "gradients.png")
    return found


def _require_circuits(network: SpikingNetwork) -> None:
    for layer, population in enumerate(network.populations.values(), start=1):
        if not isinstance(population, SQSNeurons):
            raise ConfigError(
                "gradients from measured bits need neurons that are circuits (SQSNeurons), but "
                f"layer {layer} of this run has {population.class_name}"
            )
        # Frozen gates have a gradient too, and it is measured like any other.
        for name in ("angles", "gains"):
            if is_parametrized(population, name):
                remove_parametrizations(population, name)
