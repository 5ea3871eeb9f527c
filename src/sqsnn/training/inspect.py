"""Looking into a trained run: how good gradients from measured bits would be there, what the noise
of a device does to it, and what an inference costs."""

from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import torch

from sqsnn.data.catalog import Samples
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.density import MAX_DENSITY_QUBITS
from sqsnn.storage import write_json
from sqsnn.training import costs as counting
from sqsnn.training import evaluate, run, trainer
from sqsnn.training.build import Purpose, encode, seeded
from sqsnn.training.inspect_config import DEFAULT_SAMPLES, GradientOptions, NoiseOptions
from sqsnn.training.noise import device_noise
from sqsnn.training.run import Loaded
from sqsnn.training.run_folder import RunFolder

if TYPE_CHECKING:
    from sqsnn.reports.accounting import Costs
    from sqsnn.reports.diagnosis import Diagnosis, Watch
    from sqsnn.reports.noise_plot import NoisePoint


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
    _require_circuits(loaded.network, "gradients from measured bits need")
    training = loaded.config.training
    generator = seeded(training.seed, Purpose.INSPECTION, device=training.device)
    samples = trainer.place(loaded.dataset.validation, training)
    spikes = encode(
        loaded.config.encoding,
        _choose(samples, "batch", options.batch, generator).values[:],
        generator=generator,
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


def noise(
    folder: RunFolder,
    options: NoiseOptions,
    data_dir: Path | None = None,
    watch: "Watch" = lambda setting, number, of: None,
) -> "tuple[NoisePoint, ...]":
    """Run a network under a device's noise of growing strength, on validation samples.

    Writes noise.json and noise.png into the folder. The noise takes the place of that of training;
    every strength sees the same samples, input spikes and random numbers.

    Args:
        folder: the folder of a run with at least one whole epoch.
        options: whose noise, how strong, and how often.
        data_dir: where the datasets lie now, or None for where they lay in training.
        watch: is told which strength is being run.

    Raises:
        CheckpointError, DataError: as `run.load` does.
        ConfigError: as `run.load` does; or if neurons are no circuits, or too large for density
            matrices, or there are too few samples.
        HardwareError: if there is no such device, or it reports no error rates.
    """
    from sqsnn.reports import noise_plot, style

    loaded = run.load(folder, data_dir)
    populations = _require_circuits(loaded.network, "the noise of gates needs")
    rates = device_noise(options.backend, _small_circuit(populations))
    training = loaded.config.training
    validation = trainer.place(loaded.dataset.validation, training)
    chosen = _choose(
        validation,
        "samples",
        options.samples or min(len(validation.labels), DEFAULT_SAMPLES),
        seeded(training.seed, Purpose.INSPECTION, device=training.device),
    )
    points = []
    for number, strength in enumerate(options.strengths, start=1):
        watch(f"strength {strength:g}", number, len(options.strengths))
        for population in populations:
            population.noise = rates.scaled(strength) if strength else None
        points.append(_point(loaded, chosen, strength, options.repeats))
    content = {
        "best_epoch": loaded.epoch,
        **options.model_dump(mode="json", exclude={"strengths", "samples"}),
        "samples": len(chosen.labels),
        "rates": asdict(rates),
        "points": [asdict(point) for point in points],
    }
    write_json(folder.path / "noise.json", content)
    classes = len(loaded.dataset.class_names)
    picture = noise_plot.accuracy_against_noise(points, options.backend, classes)
    style.save(picture, folder.path / "noise.png")
    return tuple(points)


def costs(folder: RunFolder, data_dir: Path | None = None) -> "Costs":
    """Count what an inference costs, on test samples, with the best weights.

    Writes costs.json into the folder. A run that was measured on a backend is counted as if it were
    simulated.

    Args:
        folder: the folder of a run with at least one whole epoch.
        data_dir: where the datasets lie now, or None for where they lay in training.

    Raises:
        CheckpointError, ConfigError, DataError: as `run.load` does.
    """
    loaded = run.load(folder, data_dir)
    training = loaded.config.training
    found = counting.of_test(
        loaded.config,
        loaded.network.eval(),
        trainer.place(loaded.dataset.load_test(), training),
        seeded(training.seed, Purpose.TEST, device=training.device),
    )
    write_json(folder.path / "costs.json", {"best_epoch": loaded.epoch, **found.as_dict()})
    return found


def _point(loaded: Loaded, samples: Samples, strength: float, repeats: int) -> "NoisePoint":
    """Run all samples a few times, with the same random numbers at every strength."""
    from sqsnn.reports.noise_plot import NoisePoint

    training = loaded.config.training
    accuracies, spikes = [], []
    for repeat in range(1, repeats + 1):
        scores = evaluate.score(
            loaded.network,
            loaded.config.encoding,
            samples.values,
            generator=seeded(
                training.seed, Purpose.INSPECTION, epoch=repeat, device=training.device
            ),
            batch_size=training.batch_size,
            report_steps=loaded.config.readout.report_steps,
        )
        accuracies.append(evaluate.accuracy(scores, samples.labels).by_count)
        spikes.append(scores.spikes)
    return NoisePoint(
        strength=strength,
        accuracies=tuple(accuracies),
        mean=fmean(accuracies),
        deviation=stdev(accuracies),
        spikes_per_sample=tuple(map(fmean, zip(*spikes, strict=True))),
    )


def _small_circuit(populations: list[SQSNeurons]) -> Circuit:
    """The circuit of all neurons, if it is small enough for density matrices."""
    circuit = populations[0].circuit
    if circuit.qubits > MAX_DENSITY_QUBITS:
        raise ConfigError(
            f"the neurons have {circuit.qubits} qubits; noise is simulated with density matrices, "
            f"for up to {MAX_DENSITY_QUBITS}"
        )
    return circuit


def _require_circuits(network: SpikingNetwork, need: str) -> list[SQSNeurons]:
    populations = []
    for layer, population in enumerate(network.populations, start=1):
        if not isinstance(population, SQSNeurons):
            raise ConfigError(
                f"{need} neurons that are circuits (SQSNeurons), but layer {layer} of this run has "
                f"{type(population).__name__}"
            )
        # Every window would be compiled, and none is run often enough to pay for it.
        population.compile_steps = False
        populations.append(population)
    return populations


def _choose(samples: Samples, name: str, number: int, generator: torch.Generator) -> Samples:
    """Some samples by chance, since they may lie ordered by class."""
    there = len(samples.labels)
    if number > there:
        raise ConfigError(f"{name} is {number}, but the run has {there} validation samples")
    order = torch.randperm(there, generator=generator, device=generator.device)[:number]
    return Samples(samples.values[order], samples.labels[order])
