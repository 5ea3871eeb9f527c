"""The network of a run on a quantum backend, beside the simulator on the same samples.

RUN/hardware/jobs      the jobs, shared by all settings: one that is done is never paid again
RUN/hardware/LABEL     result.json, and bits.npz with every spike that was recorded
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from sqsnn import readout
from sqsnn.errors import ConfigError
from sqsnn.learning.bit_source import require_circuits
from sqsnn.network import Run
from sqsnn.neurons.population import Population
from sqsnn.quantum.circuit import Circuit
from sqsnn.storage import write_atomically, write_json
from sqsnn.training import run, trainer
from sqsnn.training.build import Purpose, encode, seeded
from sqsnn.training.device_config import DeviceOptions
from sqsnn.training.neurons import build_circuit
from sqsnn.training.run import Loaded
from sqsnn.training.run_folder import RunFolder

if TYPE_CHECKING:
    from sqsnn.hardware import Executor
    from sqsnn.hardware.cost import Estimate

# How often the simulator runs the same samples: its mean has little noise of its own.
SIMULATIONS = 10

# Is told the estimate, and whether it will be billed; raises to stop.
Confirm = Callable[[str, bool], None]


@dataclass(frozen=True)
class Outcome:
    """What came out; all accuracies by spike count with ties broken at random.

    difference: Device minus simulator, sample by sample, and its standard error.
    gates, depth, shot_microseconds: Of one neuron over all steps, as it runs on the device.
    device_seconds: As billed; None of a simulation. `estimated_seconds` was said before, and
        `estimated_seconds_unpacked` what it would be one neuron after another.
    """

    backend: str
    calibrated: str | None
    samples: int
    shots: int
    accuracy: float
    simulator_accuracy: float
    difference: float
    standard_error: float
    spikes_per_sample: list[float]
    simulator_spikes_per_sample: list[float]
    jobs: int
    resumed_jobs: int
    circuits: int
    executions: int
    transpilations: int
    neurons_side_by_side: int
    gates: dict[str, int]
    depth: int
    shot_microseconds: float | None
    estimated_seconds: float | None
    estimated_seconds_unpacked: float | None
    device_seconds: float | None
    false_spike: list[float] | None
    missed_spike: list[float] | None
    seconds: float


def run_on_device(
    folder: RunFolder,
    options: DeviceOptions,
    data_dir: Path | None,
    confirm: Confirm = lambda text, billed: None,
) -> tuple[Outcome, Path]:
    """Run test samples through the network of a run on a backend.

    Args:
        folder: the folder of a run with at least one whole epoch.
        options: where and how.
        data_dir: where the datasets lie now, or None for where they lay in training.
        confirm: told the estimate before anything runs.

    Returns:
        what came out, and the folder into which it and all bits were written.

    Raises:
        CheckpointError, ConfigError, DataError: as `run.load` does, or too few samples.
        HardwareError: if the backend is not to be had, or a job failed.
    """
    from sqsnn import hardware
    from sqsnn.hardware import ibm

    loaded = run.load(folder, data_dir)
    build_circuit(loaded.config.model)  # refuses neurons that are none
    loaded.network.eval()
    # A run that was trained with noise is compared with a perfect device, too.
    for population in cast(Iterable[Population], loaded.network.populations):
        require_circuits(population).noise = None
    circuit = _one_circuit(loaded)
    device = hardware.find(options.backend)
    generator = seeded(options.seed, Purpose.DEVICE, device=loaded.config.training.device)
    chosen, values, labels = _choose(loaded, options, generator)
    spikes = encode(loaded.config.encoding, values, generator=generator)
    began = time.perf_counter()
    executor = hardware.Executor(
        device,
        pack=None if options.pack == "all" else options.pack,
        noisy=not options.ideal,
        threads=loaded.config.training.threads,
        journal=hardware.Journal(folder.path / "hardware" / "jobs"),
    )
    expected = _estimate(executor, loaded, len(values), options)
    said, unpacked = expected.describe(), None
    if expected.slots > 1:
        unpacked = _estimate(hardware.Executor(device), loaded, len(values), options).device_seconds
        said += f" Without --pack it would be {unpacked:.3g} s."
    if options.mode == "session":
        said += " A session is billed from its first job to its end, waiting included."
    confirm(said, device.kind == "ibm")
    steps, errors = loaded.config.encoding.steps, None
    with ibm.open_mode(device.backend, options.mode) as mode:
        executor.mode = mode
        if options.mitigate_readout:
            errors = hardware.calibrate(executor, circuit, steps, generator)
        source = hardware.DeviceBits(executor)
        measured = hardware.run_network(loaded.network, spikes, source, generator, errors=errors)
    seconds = time.perf_counter() - began
    place = folder.path / "hardware" / options.label
    place.mkdir(parents=True, exist_ok=True)
    _write_bits(place / "bits.npz", chosen, labels, spikes, measured)
    right = _rightly_named(loaded, measured, labels, options.shots, generator)
    simulated = [_simulated(loaded, spikes, labels, options, generator) for _ in range(SIMULATIONS)]
    expected_right = torch.stack([one for one, _ in simulated]).mean(0)
    difference = right - expected_right
    compiled, counts = executor.compiled(circuit, steps), executor.counts
    outcome = Outcome(
        backend=options.backend,
        calibrated=" and ".join(sorted(executor.calibrations)) or device.calibrated,
        samples=options.samples,
        shots=options.shots,
        accuracy=right.mean().item(),
        simulator_accuracy=expected_right.mean().item(),
        difference=difference.mean().item(),
        standard_error=difference.std().item() / len(right) ** 0.5,
        spikes_per_sample=_spikes_per_sample(measured),
        simulator_spikes_per_sample=np.mean([each for _, each in simulated], axis=0).tolist(),
        jobs=counts.jobs,
        resumed_jobs=counts.resumed,
        circuits=counts.circuits,
        executions=counts.shots,
        transpilations=counts.transpilations,
        neurons_side_by_side=compiled.slots,
        gates=dict(compiled.gate_counts),
        depth=compiled.depth,
        shot_microseconds=None if compiled.duration is None else 1e6 * compiled.duration,
        estimated_seconds=expected.device_seconds,
        estimated_seconds_unpacked=unpacked,
        device_seconds=counts.device_seconds or None,
        false_spike=None if errors is None else errors.false_spike.mean(0).tolist(),
        missed_spike=None if errors is None else errors.missed_spike.mean(0).tolist(),
        seconds=seconds,
    )
    # The same command again sends nothing: what was paid the first time stays on record.
    if counts.jobs or not (place / "result.json").is_file():
        write_json(place / "result.json", {**options.model_dump(mode="json"), **asdict(outcome)})
    return outcome, place


def _one_circuit(loaded: Loaded) -> Circuit:
    """The circuit of all layers."""
    return require_circuits(cast(Population, loaded.network.populations[0])).circuit


def _choose(
    loaded: Loaded, options: DeviceOptions, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Test samples by chance: their places in the test set, values and labels, every sample as
    often in a row as it has shots."""
    samples = trainer.place(loaded.dataset.load_test(), loaded.config.training)
    there = len(samples.labels)
    if options.samples > there:
        raise ConfigError(f"samples is {options.samples}, but there are {there} test samples")
    order = torch.randperm(there, generator=generator, device=generator.device)
    chosen = order[: options.samples].repeat_interleave(options.shots)
    return chosen, samples.values[chosen], samples.labels[chosen]


def _estimate(
    executor: "Executor", loaded: Loaded, inferences: int, options: DeviceOptions
) -> "Estimate":
    """All layers, and the calibration, as one estimate."""
    from sqsnn.hardware.mitigation import CALIBRATION_SHOTS

    circuit, steps = _one_circuit(loaded), loaded.config.encoding.steps
    parts = [
        executor.estimate(circuit, steps, inferences * size, 1) for size in loaded.network.sizes[1:]
    ]
    if options.mitigate_readout:
        places = parts[0].slots
        parts.append(executor.estimate(circuit, steps, 2 * places, CALIBRATION_SHOTS))
    return parts[0]._replace(
        jobs=sum(part.jobs for part in parts),
        circuits=sum(part.circuits for part in parts),
        shots=sum(part.shots for part in parts),
    )


def _simulated(
    loaded: Loaded,
    spikes: Tensor,
    labels: Tensor,
    options: DeviceOptions,
    generator: torch.Generator,
) -> tuple[Tensor, list[float]]:
    """Which samples the simulator names rightly, and its spikes per sample."""
    with torch.no_grad():
        simulated = loaded.network(spikes, generator=generator)
    # As of a device: spikes are all that is looked at.
    output = simulated.layers[-1]
    seen = simulated._replace(
        layers=(*simulated.layers[:-1], output._replace(probability=output.spikes))
    )
    right = _rightly_named(loaded, seen, labels, options.shots, generator)
    return right, _spikes_per_sample(simulated)


def _rightly_named(
    loaded: Loaded, measured: Run, labels: Tensor, shots: int, generator: torch.Generator
) -> Tensor:
    """Whether each sample is named rightly, its shots summed; float64."""
    output = readout.last(measured.layers[-1], loaded.config.readout.report_steps)
    # `probability` is the spikes, or what is left of them without readout errors.
    # Summed in float64: rounding must not break ties, least of all by the order of spikes.
    spikes = output.probability.double().sum(dim=(0, 3))
    scores = spikes.unflatten(0, (-1, shots)).sum(1)
    ties = torch.rand(scores.shape, generator=generator, device=generator.device)
    # Little beside scores that, without their readout errors, are no whole numbers.
    named = readout.break_ties(scores, ties, 10**6).argmax(1)
    return (named == labels[::shots]).double()


def _spikes_per_sample(run: Run) -> list[float]:
    return [record.spikes.sum().item() / record.spikes.shape[1] for record in run.layers]


def _write_bits(path: Path, chosen: Tensor, labels: Tensor, spikes: Tensor, measured: Run) -> None:
    arrays = {
        "test_samples": chosen.cpu().numpy(),
        "labels": labels.cpu().numpy(),
        "input": spikes.cpu().numpy(),
    }
    for number, record in enumerate(measured.layers, start=1):
        arrays[f"layer_{number}"] = record.spikes.cpu().numpy() > 0  # (T, B, H, N)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    write_atomically(path, write)
