"""The network of a run on a quantum backend, beside the simulator on the same samples.

RUN/hardware/jobs      the jobs, shared by all settings: one that is done is never paid again
RUN/hardware/LABEL     result.json, and bits.npz with every spike that was recorded
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from sqsnn import readout
from sqsnn.data.dataset import Samples
from sqsnn.errors import ConfigError
from sqsnn.learning.bit_source import Backend, run_network
from sqsnn.network import NetworkRecord
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.ownership import owned
from sqsnn.quantum.circuit import Circuit
from sqsnn.runs import loading
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.loading import Loaded
from sqsnn.settings.section import Section
from sqsnn.storage import write_atomically, write_json
from sqsnn.training import evaluate, trainer
from sqsnn.training.build import Purpose, require_circuit, require_classes, seeded

if TYPE_CHECKING:
    from sqsnn.hardware import Executor
    from sqsnn.hardware.cost import Estimate
    from sqsnn.hardware.free_run import Plan
    from sqsnn.hardware.mitigation import ReadoutErrors

# How often the simulator runs the same samples: its mean has little noise of its own.
SIMULATIONS = 10

# Called with the estimate, and whether it will be billed; raises an error to stop.
Confirm = Callable[[str, bool], None]


class DeviceOptions(Section):
    """Where and how to run the network of a run."""

    device: Backend = Backend()
    samples: Annotated[int, Field(ge=2)] = 50
    """Test samples, chosen by the seed."""
    shots: PositiveInt = 1
    """Inferences per sample, whose spikes are summed."""
    mitigate_readout: bool = False
    """Measure the readout errors first and take them out of currents and counts."""
    ideal: bool = False
    """Take the chip of a snapshot (fake_...) without its noise."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the choice of samples, their encoding and simulated outcomes; as done jobs are kept,
    new bits need another seed."""

    @model_validator(mode="after")
    def _of_a_snapshot(self) -> "DeviceOptions":
        if self.ideal and not self.device.backend.startswith("fake_"):
            raise ValueError(f"ideal is for snapshots (fake_...), not {self.device.shown}")
        return self

    @property
    def label(self) -> str:
        """A name for the folder of the results: the settings that differ from the defaults."""
        parts = [self.device.backend.replace(":", "-")]
        if self.device.pack != 1:
            parts.append(f"pack-{self.device.pack}")
        for name, value in self.model_dump(exclude={"device"}).items():
            if value != type(self).model_fields[name].default:
                parts.append(name.replace("_", "-") if value is True else f"{name}-{value}")
        return "-".join(parts)


@dataclass(frozen=True)
class LayerOnDevice:
    """How the neurons of a layer ran."""

    circuit: str
    channels: int
    memory_qubits: int
    neurons_side_by_side: int
    steps_per_circuit: int  # all, or 1 where the membrane is integrated between two jobs
    gates: dict[str, int]  # that one shot of a neuron's circuit executes, as it runs on the device
    depth: int  # of these
    shot_microseconds: float | None  # of that circuit, without the delay
    feed_forward_microseconds: float  # of these, waiting for own spikes
    conditional_microseconds: float  # of these, gates under conditions, executed or not


@dataclass(frozen=True)
class Outcome:
    """What came out; all accuracies by spike count with ties broken at random."""

    backend: str
    calibrated: str | None
    samples: int
    shots: int
    accuracy: float
    simulator_accuracy: float
    difference: float  # device minus simulator, sample by sample
    standard_error: float  # of the difference
    spikes_per_sample: list[float]
    simulator_spikes_per_sample: list[float]
    jobs: int
    resumed_jobs: int
    circuits: int
    executions: int
    transpilations: int
    layers: list[LayerOnDevice]
    estimated_seconds: float | None  # before anything ran
    estimated_seconds_unpacked: float | None  # one neuron after another
    device_seconds: float | None  # as billed; None of a simulation
    false_spike: list[float] | None
    missed_spike: list[float] | None
    seconds: float


def run_on_device(
    folder: RunFolder,
    options: DeviceOptions,
    data_dir: Path | None,
    confirm: Confirm = lambda text, billed: None,
) -> tuple[Outcome, Path]:
    """Run test samples through the network of a run on a backend, and write all bits.

    `confirm` gets the estimate before anything runs. The path is the folder of the results.
    """
    from sqsnn import hardware
    from sqsnn.hardware import ibm

    require_classes(folder.read_settings(), "`sqsnn hardware`")
    loaded = loading.load(folder, data_dir)
    require_circuit(loaded.settings)
    loaded.network.eval()
    # A run that was trained with noise is compared with a perfect device, too.
    for neurons, _ in _planned(loaded):
        neurons.noise = None
    device = hardware.find(options.device.backend)
    generator = seeded(options.seed, Purpose.DEVICE, device=loaded.settings.training.device)
    chosen, (values, labels, lengths, _) = _choose(loaded, options, generator)
    assert isinstance(values, Tensor)  # chosen samples are in memory
    spikes = loaded.settings.encoding.encode(values, lengths=lengths, generator=generator)
    mask = evaluate.report_mask(loaded.settings, values, lengths)
    began = time.perf_counter()
    executor = hardware.Executor(
        device,
        pack=None if options.device.pack == "all" else options.device.pack,
        noisy=not options.ideal,
        threads=loaded.settings.training.threads,
        journal=hardware.Journal(folder.path / "hardware" / "jobs"),
    )
    expected = _estimate(executor, loaded, len(values), options)
    said, unpacked = expected.in_words(), None
    if expected.slots > 1:
        unpacked = _estimate(hardware.Executor(device), loaded, len(values), options).device_seconds
        said += f" Without --pack it would be {unpacked:.3g} s."
    if options.device.mode == "session":
        said += " A session is billed from its first job to its end, waiting included."
    confirm(said, device.kind == "ibm")
    errors: list[ReadoutErrors] = []
    mode, place = options.device.mode, folder.path / "hardware"
    with owned(place), ibm.open_mode(device.backend, mode) as executor.mode:
        if options.mitigate_readout:
            found = {
                (circuit, planned): hardware.calibrate(
                    executor, circuit, planned.steps, generator, reset_steps=planned.reset_steps
                )
                for circuit, planned in dict.fromkeys(_circuits(loaded))
            }
            errors = [found[layer] for layer in _circuits(loaded)]
        source = hardware.DeviceBits(executor)
        correct = [each.correct for each in errors] or None
        measured = run_network(loaded.network, spikes, source, generator, correct=correct)
    seconds = time.perf_counter() - began
    place /= options.label
    place.mkdir(parents=True, exist_ok=True)
    _write_bits(place / "bits.npz", chosen, labels, spikes, measured)
    shots = options.shots
    right = _rightly_named(measured, mask, labels, shots, generator)
    simulated = [
        _simulated(loaded, spikes, mask, labels, shots, generator) for _ in range(SIMULATIONS)
    ]
    expected_right = torch.stack([one for one, _ in simulated]).mean(0)
    difference = right - expected_right
    layers, counts = _layers(executor, loaded), executor.counts
    outcome = Outcome(
        backend=options.device.backend,
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
        layers=layers,
        estimated_seconds=expected.device_seconds,
        estimated_seconds_unpacked=unpacked,
        device_seconds=counts.device_seconds or None,
        false_spike=_mean_rates([each.false_spike for each in errors]),
        missed_spike=_mean_rates([each.missed_spike for each in errors]),
        seconds=seconds,
    )
    # The same command again sends nothing: what was paid the first time stays on record.
    if counts.jobs or not (place / "result.json").is_file():
        chosen = options.model_dump(exclude={"device"}) | asdict(options.device)
        write_json(place / "result.json", {**chosen, **asdict(outcome)})
    return outcome, place


def _planned(loaded: Loaded) -> list[tuple[SQSNeurons, "Plan"]]:
    """Find the neurons of each population, and how they run free."""
    from sqsnn.hardware.free_run import plan_network

    return plan_network(loaded.network, loaded.settings.encoding.steps)


def _circuits(loaded: Loaded) -> list[tuple[Circuit, "Plan"]]:
    return [(neurons.circuit, planned) for neurons, planned in _planned(loaded)]


def _layers(executor: "Executor", loaded: Loaded) -> list[LayerOnDevice]:
    layers = []
    for circuit, planned in _circuits(loaded):
        compiled = planned.compiled(executor, circuit)
        layers.append(
            LayerOnDevice(
                circuit=circuit.name,
                channels=circuit.channels,
                memory_qubits=circuit.memory_qubits,
                neurons_side_by_side=compiled.slots,
                steps_per_circuit=planned.steps,
                gates=dict(compiled.gate_counts),
                depth=compiled.depth,
                shot_microseconds=None if compiled.duration is None else 1e6 * compiled.duration,
                feed_forward_microseconds=1e6 * compiled.feed_forward,
                conditional_microseconds=1e6 * compiled.under_conditions,
            )
        )
    return layers


def _mean_rates(of_layers: list[np.ndarray]) -> list[float] | None:
    """Average over the places of each channel; the layers' channels one after another."""
    return [rate for rates in of_layers for rate in rates.mean(0).tolist()] or None


def _choose(
    loaded: Loaded, options: DeviceOptions, generator: torch.Generator
) -> tuple[Tensor, Samples]:
    """Draw test samples: their places, and the samples, each repeated in a row for every shot."""
    samples = trainer.place(loaded.dataset.load_test(), loaded.settings.training)
    there = len(samples.targets)
    if options.samples > there:
        raise ConfigError(f"samples is {options.samples}, but there are {there} test samples")
    order = torch.randperm(there, generator=generator, device=generator.device)
    chosen = order[: options.samples].repeat_interleave(options.shots)
    return chosen, samples.chosen(chosen)


def _estimate(
    executor: "Executor", loaded: Loaded, inferences: int, options: DeviceOptions
) -> "Estimate":
    """Estimate all layers, and the calibrations, as one."""
    from sqsnn.hardware import free_run
    from sqsnn.hardware.cost import Estimate
    from sqsnn.hardware.mitigation import CALIBRATION_SHOTS

    parts = [
        free_run.estimate(executor, neurons, planned, inferences)
        for neurons, planned in _planned(loaded)
    ]
    if options.mitigate_readout:
        # A little too long: a calibration has one or two steps. It has no conditions.
        for circuit, planned in dict.fromkeys(_circuits(loaded)):
            slots = planned.compiled(executor, circuit).slots
            longer = planned.estimate(executor, circuit, 2 * slots, CALIBRATION_SHOTS)
            parts.append(longer.without_conditions())
    return Estimate.together(parts)


def _simulated(
    loaded: Loaded,
    spikes: Tensor,
    mask: Tensor | None,
    labels: Tensor,
    shots: int,
    generator: torch.Generator,
) -> tuple[Tensor, list[float]]:
    """Find which samples the simulator names rightly, and its spikes per sample."""
    with torch.no_grad():
        simulated = loaded.network(spikes, generator=generator)
    # As of a device: spikes are all that counts.
    output = simulated.layers[-1]
    seen = simulated._replace(
        layers=(*simulated.layers[:-1], output._replace(probability=output.spikes))
    )
    right = _rightly_named(seen, mask, labels, shots, generator)
    return right, _spikes_per_sample(simulated)


def _rightly_named(
    measured: NetworkRecord,
    mask: Tensor | None,
    labels: Tensor,
    shots: int,
    generator: torch.Generator,
) -> Tensor:
    """Find whether each sample is named rightly, its shots summed; float64."""
    output = readout.masked(measured.layers[-1], mask)
    # `probability` is the spikes, or what is left of them without readout errors.
    # Summed in float64: rounding must not break ties, least of all by the order of spikes.
    spikes = output.probability.double().sum(dim=(0, 3))
    scores = spikes.unflatten(0, (-1, shots)).sum(1)
    ties = torch.rand(scores.shape, generator=generator, device=generator.device)
    # Little beside scores that, without their readout errors, are no whole numbers.
    named = readout.break_ties(scores, ties, 10**6).argmax(1)
    return (named == labels[::shots]).double()


def _spikes_per_sample(record: NetworkRecord) -> list[float]:
    return [layer.spikes.sum().item() / layer.spikes.shape[1] for layer in record.layers]


def _write_bits(
    path: Path, chosen: Tensor, labels: Tensor, spikes: Tensor, measured: NetworkRecord
) -> None:
    named = {"test_samples": chosen, "labels": labels, "input": spikes}
    arrays = {name: values.cpu().numpy() for name, values in named.items()}
    for number, record in enumerate(measured.layers, start=1):
        arrays[f"layer_{number}"] = record.spikes.cpu().numpy() > 0  # (T, B, H, N)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    write_atomically(path, write)
