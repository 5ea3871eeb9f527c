"""Looking into a trained run: how good gradients from measured bits would be there."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sqsnn.data.catalog import Samples
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.storage import write_json
from sqsnn.training import run, trainer
from sqsnn.training.build import Purpose, encode, seeded
from sqsnn.training.inspect_config import GradientOptions
from sqsnn.training.run_folder import RunFolder

if TYPE_CHECKING:
    from sqsnn.reports.diagnosis import Diagnosis, Watch


def gradients(
    folder: RunFolder,
    options: GradientOptions,
    data_dir: Path | None = None,
    watch: "Watch" = lambda setting, number, of: None,
) -> "Diagnosis":
    """Compare estimators of the score gradient on validation samples, with the best weights.

    Writes gradients.json and gradients.png into the folder.

    Args:
        folder: the folder of a run with at least one whole epoch.
        options: which estimators, and how thoroughly.
        data_dir: where the datasets lie now, or None for where they lay in training.
        watch: is told which estimator is measured.

    Raises:
        CheckpointError, DataError: as `run.load` does.
        ConfigError: as `run.load` does; or if neurons are no circuits, or there are too few
            samples.
    """
    from sqsnn.reports import diagnosis, gradient_plots, style

    loaded = run.load(folder, data_dir)
    _require_circuits(loaded.network)
    training = loaded.config.training
    generator = seeded(training.seed, Purpose.INSPECTION, device=training.device)
    samples = trainer.place(loaded.dataset.validation, training)
    spikes = encode(
        loaded.config.encoding, _choose(samples, options.batch, generator), generator=generator
    )
    found = diagnosis.diagnose(
        loaded.network,
        spikes,
        **options.model_dump(exclude={"batch"}),
        generator=generator,
        watch=watch,
    )
    content = {"best_epoch": loaded.epoch, **options.model_dump(mode="json"), **asdict(found)}
    write_json(folder.path / "gradients.json", content)
    style.save(gradient_plots.gradients(found), folder.path / "gradients.png")
    return found


def _require_circuits(network: SpikingNetwork) -> None:
    for layer, population in enumerate(network.populations, start=1):
        if not isinstance(population, SQSNeurons):
            raise ConfigError(
                f"gradients from measured bits need neurons that are circuits (SQSNeurons), but "
                f"layer {layer} of this run has {type(population).__name__}"
            )
        # Every window would be compiled, and none is run often enough to pay for it.
        population.compile_steps = False


def _choose(samples: Samples, batch: int, generator: torch.Generator) -> torch.Tensor:
    """Some samples by chance, since they may lie ordered by class."""
    values = samples.values
    if batch > len(values):
        raise ConfigError(f"batch is {batch}, but the run has {len(values)} validation samples")
    order = torch.randperm(len(values), generator=generator, device=generator.device)
    return values[order[:batch]]
