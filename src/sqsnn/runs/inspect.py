"""A closer look at a trained run: the noise of a device, and the costs of an inference."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt

from sqsnn.data.dataset import Samples
from sqsnn.errors import ConfigError
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.noise import Noise
from sqsnn.runs import costs as counting
from sqsnn.runs import loading
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.loading import Loaded
from sqsnn.runs.noise import device_noise
from sqsnn.settings.section import Section, split_commas
from sqsnn.storage import write_json
from sqsnn.training import evaluate, trainer
from sqsnn.training.build import Purpose, require_classes
from sqsnn.training.machine import threads

if TYPE_CHECKING:
    from sqsnn.reports.noise_plot import NoisePoint

# Called with a description of what comes next, its number from 1, and how many there are.
Watch = Callable[[str, int, int], None]

MAX_DENSITY_QUBITS = 4
DEFAULT_SAMPLES = 200


class NoiseOptions(Section):
    """The noise to put on a run, its strengths, and the number of runs."""

    backend: str = "fake_boston"
    """Device whose error rates have strength 1."""
    strengths: Annotated[
        tuple[Annotated[float, Field(ge=0)], ...],
        BeforeValidator(split_commas),
        Field(min_length=1),
    ] = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
    """Factors of the rates; 0 is a perfect device."""
    samples: PositiveInt | None = None
    """Validation samples [default: all, but at most 200]."""
    repeats: Annotated[int, Field(ge=2)] = 5
    """Runs of all samples at each strength, one shot each."""


def noise(
    folder: RunFolder,
    options: NoiseOptions,
    data_dir: Path | None = None,
    watch: Watch = lambda name, number, of: None,
) -> "tuple[NoisePoint, ...]":
    """Run a network under a device's noise of growing strength, on validation samples.

    Writes noise.json and noise.png into the folder. The noise takes the place of that of training;
    every strength sees the same samples, input spikes and random numbers.
    """
    from sqsnn.reports import noise_plot, style

    require_classes(folder.read_settings(), "`sqsnn inspect noise`")
    loaded = loading.load(folder, data_dir)
    populations = _small_circuits(loaded)
    # The largest circuit has the gates of all others.
    circuit = max((population.circuit for population in populations), key=lambda it: it.qubits)
    rates = device_noise(options.backend, circuit)
    chosen = _choose(loaded, options.samples)
    points = []
    with threads(loaded.settings.training.threads):
        for number, strength in enumerate(options.strengths, start=1):
            watch(f"strength {strength:g}", number, len(options.strengths))
            scaled = rates.scaled(strength) if strength else None
            points.append(_point(loaded, populations, scaled, chosen, strength, options.repeats))
    content = {
        "best_epoch": loaded.epoch,
        **options.model_dump(mode="json", exclude={"strengths", "samples"}),
        "samples": len(chosen.targets),
        "rates": asdict(rates),
        "points": [asdict(point) for point in points],
    }
    write_json(folder.path / "noise.json", content)
    classes = len(loaded.dataset.class_names)
    picture = noise_plot.accuracy_against_noise(points, options.backend, classes)
    style.save(picture, folder.path / "noise.png")
    return tuple(points)


def costs(folder: RunFolder, data_dir: Path | None = None) -> dict[str, Any]:
    """Count the costs of an inference on test samples, with the best weights, into costs.json.

    A run that was measured on a backend is counted as if it were simulated.
    """
    loaded = loading.load(folder, data_dir)
    loaded.network.eval()
    samples = trainer.place(loaded.dataset.load_test(), loaded.settings.training)
    with threads(loaded.settings.training.threads):
        found = counting.of_test(loaded, samples)
    folder.write_costs({"best_epoch": loaded.epoch, **found})
    return found


def _point(
    loaded: Loaded,
    populations: list[SQSNeurons],
    noise: Noise | None,
    samples: Samples,
    strength: float,
    repeats: int,
) -> "NoisePoint":
    """Run all samples a few times, with the same random numbers at every strength."""
    from sqsnn.reports.noise_plot import NoisePoint

    for population in populations:
        population.noise = noise
    accuracies, spikes = [], []
    for repeat in range(1, repeats + 1):
        generator = loaded.generator(Purpose.INSPECTION, epoch=repeat)
        scores = evaluate.score(
            loaded.network,
            loaded.settings,
            samples.values,
            lengths=samples.lengths,
            generator=generator,
        )
        accuracies.append(evaluate.accuracy(scores, samples.targets).spikes)
        spikes.append(scores.spikes)
    return NoisePoint(
        strength=strength,
        accuracies=tuple(accuracies),
        mean=fmean(accuracies),
        deviation=stdev(accuracies),
        spikes_per_sample=tuple(map(fmean, zip(*spikes, strict=True))),
    )


def _small_circuits(loaded: Loaded) -> list[SQSNeurons]:
    """List the populations, if their neurons are small enough for density matrices."""
    populations = []
    for name in loaded.network.names:
        population = loaded.network.population(name)
        if not isinstance(population, SQSNeurons):
            raise ConfigError(
                "the noise of gates needs neurons that are circuits (SQSNeurons), but population "
                f"{name!r} of this run has {population.class_name}"
            )
        if population.circuit.qubits > MAX_DENSITY_QUBITS:
            raise ConfigError(
                f"the neurons have {population.circuit.qubits} qubits; noise is simulated with "
                f"density matrices, for up to {MAX_DENSITY_QUBITS}"
            )
        populations.append(population)
    return populations


def _choose(loaded: Loaded, number: int | None) -> Samples:
    """Choose validation samples by chance, since they may lie ordered by class."""
    import torch

    samples = trainer.place(loaded.dataset.validation, loaded.settings.training)
    there = len(samples.targets)
    wanted = min(there, DEFAULT_SAMPLES) if number is None else number
    if wanted > there:
        raise ConfigError(f"samples is {wanted}, but the run has {there} validation samples")
    generator = loaded.generator(Purpose.INSPECTION)
    order = torch.randperm(there, generator=generator, device=generator.device)[:wanted]
    return samples.chosen(order)
