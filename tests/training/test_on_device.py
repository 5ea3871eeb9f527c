"""A trained run on a backend: what is written, said, kept, and refused before anything is sent."""

import json
import shutil
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
import torch
from hardware_stubs import FridgeError, StubSampler, ibm_device, perfect, result_of, rows_of
from qiskit.primitives import BitArray

from sqsnn import hardware
from sqsnn.errors import CheckpointError, ConfigError, HardwareError
from sqsnn.hardware import executor as executing
from sqsnn.hardware import ibm
from sqsnn.reports import plots
from sqsnn.training import run, run_folder
from sqsnn.training.config import (
    DataOptions,
    EncodingConfig,
    ModelConfig,
    ReadoutConfig,
    Recipe,
    TrainingConfig,
    for_dataset,
)
from sqsnn.training.device_config import DeviceOptions
from sqsnn.training.on_device import SIMULATIONS, run_on_device
from sqsnn.training.run_folder import RunFolder

HIDDEN, CLASSES, STEPS, TEST_SAMPLES, SAMPLES = 4, 3, 3, 30, 8
ASKED = {
    "backend", "samples", "shots", "pack", "mitigate_readout", "ideal", "mode", "seed"
}  # fmt: skip


def trained(path, epochs: int = 4, **sections) -> RunFolder:
    recipe = Recipe(
        model=ModelConfig(hidden=(HIDDEN,)),
        encoding=EncodingConfig(steps=STEPS),
        training=TrainingConfig(epochs=epochs, batch_size=20, learning_rate=0.05),
        **sections,
    )
    options = DataOptions(classes=(0, 1, 2), train_samples=150, test_samples=TEST_SAMPLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: ())
        return run.begin(for_dataset("digits", options, recipe), path)


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("on-device") / "run")


@pytest.fixture
def folder(once, tmp_path) -> RunFolder:
    """A trained run, to do with as one likes."""
    return RunFolder(shutil.copytree(once.path, tmp_path / "run"))


@pytest.fixture
def service(monkeypatch) -> StubSampler:
    """A device of IBM's, played by Aer; what it was sent is kept."""
    sampler = StubSampler(perfect)
    monkeypatch.setattr(hardware, "find", ibm_device)
    monkeypatch.setattr(executing, "sampler_for", lambda *args, **options: sampler)
    monkeypatch.setattr(ibm, "job", lambda number: sampler.jobs[number])
    return sampler


def go(folder: RunFolder, **options):
    """The outcome, and what was written: result.json and bits.npz."""
    settings = DeviceOptions(**{"samples": SAMPLES, **options})
    outcome, place = run_on_device(folder, settings, None)
    assert place == folder.path / "hardware" / settings.label
    assert {path.name for path in place.iterdir()} == {"result.json", "bits.npz"}
    with np.load(place / "bits.npz", allow_pickle=False) as file:
        bits = dict(file)
    written = json.loads((place / "result.json").read_text("utf-8"))
    if outcome.jobs:  # where none was sent, what was paid before stays written
        assert written == {**settings.model_dump(mode="json"), **asdict(outcome)}
    return outcome, bits


def jobs(folder: RunFolder) -> list[str]:
    kept = folder.path / "hardware" / "jobs"
    return sorted(path.name for path in kept.iterdir()) if kept.exists() else []


# What comes out


@pytest.mark.parametrize("shots", [1, 3])
def test_what_is_written_is_what_was_measured(folder, shots):
    outcome, bits = go(folder, shots=shots)
    inferences = SAMPLES * shots
    assert {name: values.shape for name, values in bits.items()} == {
        "test_samples": (inferences,),
        "labels": (inferences,),
        "input": (STEPS, inferences, 64, 1),
        "layer_1": (STEPS, inferences, HIDDEN, 1),
        "layer_2": (STEPS, inferences, CLASSES, 1),
    }
    assert bits["layer_1"].dtype == bits["layer_2"].dtype == bool
    # Every sample comes once, as often in a row as it has shots, each with an encoding of its own.
    chosen = bits["test_samples"].reshape(SAMPLES, shots)
    assert len(np.unique(chosen[:, 0])) == SAMPLES
    assert (chosen == chosen[:, :1]).all()
    if shots > 1:
        assert (bits["input"][:, 0] != bits["input"][:, 1]).any()
    samples = run.load(folder).dataset.load_test()
    np.testing.assert_array_equal(bits["labels"], samples.labels[bits["test_samples"]])
    never = samples.values[bits["test_samples"]].numpy() == 0
    assert never.any() and not bits["input"][..., 0].any(axis=0)[never].any()
    # Figures are those of the bits: spikes a sample and shot, and the class that fired most.
    per_inference = [bits[name].sum() / inferences for name in ("layer_1", "layer_2")]
    assert outcome.spikes_per_sample == pytest.approx(per_inference)
    counts = bits["layer_2"].sum(axis=(0, 3)).reshape(SAMPLES, shots, CLASSES).sum(axis=1)
    labels = bits["labels"].reshape(SAMPLES, shots)[:, 0]
    own = counts[np.arange(SAMPLES), labels]
    others = np.where(np.arange(CLASSES) == labels[:, None], -1, counts).max(axis=1)
    assert (own > others).sum() <= round(outcome.accuracy * SAMPLES) <= (own >= others).sum()
    assert (own == others).sum() < SAMPLES  # ties alone would say nothing
    # One job a layer, and a circuit for every neuron and inference.
    rows = inferences * (HIDDEN + CLASSES)
    assert (outcome.samples, outcome.shots) == (SAMPLES, shots)
    assert (outcome.jobs, outcome.resumed_jobs, outcome.transpilations) == (2, 0, 1)
    assert outcome.circuits == outcome.executions == rows
    assert outcome.neurons_side_by_side == 1
    assert (outcome.gates["measure"], outcome.gates["reset"]) == (STEPS, STEPS - 1)
    assert outcome.depth > 0
    # What a simulator does not have.
    for name in ("calibrated", "shot_microseconds", "estimated_seconds", "device_seconds"):
        assert getattr(outcome, name) is None
    assert outcome.false_spike is None and outcome.missed_spike is None


def test_hidden_spikes_on_the_device_are_what_drives_the_outputs(folder):
    # Bits of the second layer follow the likelihood that the network gives them on the first's.
    _, bits = go(folder, samples=TEST_SAMPLES, shots=3)
    network = run.load(folder).network.double()
    inputs = [torch.as_tensor(bits[name]).double() for name in ("input", "layer_1", "layer_2")]
    for layer, (given, spikes) in enumerate(pairwise(inputs)):
        with torch.no_grad():
            currents = network.synapses[layer](given)
            record, _ = network.populations[layer](currents, observed=spikes)
            drawn, _ = network.populations[layer](
                currents, generator=torch.Generator().manual_seed(0)
            )
            mixed, _ = network.populations[layer](
                network.synapses[layer](given.flip(1)), observed=spikes
            )
        own, again = record.log_likelihood, drawn.log_likelihood
        # Independent over runs and neurons: beyond 4.5 errors at one seed in 100,000.
        error = (own.sum(0).var() + again.sum(0).var()).sqrt() / own[0].numel() ** 0.5
        assert abs(own.sum(0).mean() - again.sum(0).mean()) < 4.5 * error
        assert mixed.log_likelihood.sum(0).mean() < own.sum(0).mean() - 4.5 * error


def test_the_simulators_figures_are_those_of_the_same_samples(folder):
    # Noiseless Aer: the difference lies within 4 of its standard errors (Student's t of 30, once in
    # 2500 seeds), and spikes a sample within 4 of theirs.
    outcome, bits = go(folder, samples=TEST_SAMPLES)
    assert outcome.difference == pytest.approx(outcome.accuracy - outcome.simulator_accuracy)
    assert 0 < outcome.standard_error < 0.2
    assert abs(outcome.difference) < 4 * outcome.standard_error
    assert outcome.simulator_accuracy > 0.5  # it has learnt something: of three classes
    assert outcome.simulator_accuracy * TEST_SAMPLES * SIMULATIONS == pytest.approx(
        round(outcome.simulator_accuracy * TEST_SAMPLES * SIMULATIONS)
    )
    for layer, (found, expected) in enumerate(
        zip(outcome.spikes_per_sample, outcome.simulator_spikes_per_sample, strict=True), start=1
    ):
        spread = bits[f"layer_{layer}"].sum(axis=(0, 2, 3)).std(ddof=1)
        assert abs(found - expected) < 4 * spread * (1.1 / TEST_SAMPLES) ** 0.5


def test_more_shots_are_summed(folder):
    # A sample's spikes of many shots name its class more surely than those of one.
    many, _ = go(folder, samples=TEST_SAMPLES, shots=8)
    one, _ = go(folder, samples=TEST_SAMPLES)
    assert many.accuracy > one.simulator_accuracy
    assert many.simulator_accuracy > one.simulator_accuracy + 0.05


def test_a_snapshot_adds_what_a_chip_has(folder):
    outcome, _ = go(folder, backend="fake_manila", samples=3, pack="all", mitigate_readout=True)
    device = hardware.find("fake_manila")
    assert outcome.calibrated == device.calibrated
    assert outcome.neurons_side_by_side == 2
    # Layers of 12 and 9 rows, two a circuit, and the two of the calibration.
    assert (outcome.jobs, outcome.circuits, outcome.transpilations) == (3, 6 + 5 + 2, 2)
    assert 1 < outcome.shot_microseconds < 1000
    assert outcome.estimated_seconds > 3 * 2  # the jobs' overhead at least
    assert outcome.device_seconds is None  # nothing is billed
    for rates in (outcome.false_spike, outcome.missed_spike):
        (rate,) = rates
        assert 0.005 < rate < 0.1
    ideal, _ = go(folder, backend="fake_manila", samples=3, ideal=True)
    assert ideal.resumed_jobs == 0
    assert ideal.gates == outcome.gates


def test_only_the_steps_that_report_count(tmp_path, service):
    # At the last step class 0 fires, before it the others do, twice as often.
    folder = trained(tmp_path / "run", epochs=1, readout=ReadoutConfig(report_steps=1))

    def answer(block, number):
        rows = rows_of(block)
        fires = np.zeros((rows, 1, STEPS), bool)
        if number == 2:
            fires[::CLASSES, 0, -1] = True
            for other in range(1, CLASSES):
                fires[other::CLASSES, 0, :-1] = True
        bits = BitArray.from_bool_array(fires, order="little")
        return result_of({block[0].cregs[0].name: bits}, rows)

    service.answer = answer
    outcome, bits = go(folder, backend="ibm:x", samples=TEST_SAMPLES)
    assert outcome.spikes_per_sample == [0, 1 + 2 * (CLASSES - 1)]
    share = (bits["labels"] == 0).mean()
    assert outcome.accuracy == pytest.approx(share)
    assert 0.2 < share < 0.5


# Again, and after a stop


def test_the_same_call_again_runs_nothing_and_says_the_same(folder):
    first, bits = go(folder)
    kept = jobs(folder)
    again, same = go(folder)
    path = folder.path / "hardware" / DeviceOptions(samples=SAMPLES).label / "result.json"
    assert json.loads(path.read_text("utf-8"))["jobs"] == 2
    assert (again.jobs, again.resumed_jobs, again.circuits, again.executions) == (0, 2, 0, 0)
    assert jobs(folder) == kept
    counted = ("jobs", "resumed_jobs", "circuits", "executions", "seconds")
    one, other = ({k: v for k, v in asdict(o).items() if k not in counted} for o in (first, again))
    assert one == other
    for name, values in bits.items():
        np.testing.assert_array_equal(same[name], values)


def test_another_seed_takes_other_samples_and_other_draws(folder):
    first, bits = go(folder, seed=0)
    other, others = go(folder, seed=1)
    assert other.resumed_jobs == 0
    assert (bits["test_samples"] != others["test_samples"]).any()
    everything, all_samples = go(folder, seed=2, samples=TEST_SAMPLES)
    assert sorted(all_samples["test_samples"]) == list(range(TEST_SAMPLES))
    assert (all_samples["test_samples"] != np.arange(TEST_SAMPLES)).any()
    assert first.samples == other.samples == SAMPLES != everything.samples


def test_bits_do_not_depend_on_where_it_was_run_before(folder, once, tmp_path):
    go(folder, seed=3)
    _, bits = go(folder, seed=4)
    _, alone = go(RunFolder(shutil.copytree(once.path, tmp_path / "alone")), seed=4)
    for name, values in bits.items():
        np.testing.assert_array_equal(alone[name], values)


def test_a_run_that_dies_after_the_hidden_layer_goes_on_with_the_outputs(folder, service):
    _, expected = go(folder, backend="ibm:other", samples=SAMPLES)
    assert [rows_of(block) for block in service.blocks] == [SAMPLES * HIDDEN, SAMPLES * CLASSES]
    shutil.rmtree(folder.path / "hardware")
    service.blocks.clear()

    def dies(block, number):
        if number == 2:
            raise FridgeError("the fridge is warm")
        return perfect(block, number)

    service.answer = dies
    with pytest.raises(HardwareError, match="the fridge is warm"):
        go(folder, backend="ibm:other")
    assert not (folder.path / "hardware" / f"ibm-other-samples-{SAMPLES}").exists()
    assert len([name for name in jobs(folder) if name.endswith(".npy")]) == 1
    service.answer = perfect
    service.blocks.clear()
    outcome, bits = go(folder, backend="ibm:other")
    assert [rows_of(block) for block in service.blocks] == [SAMPLES * CLASSES]
    assert (outcome.jobs, outcome.resumed_jobs) == (1, 1)
    assert outcome.device_seconds == 2.0  # of the second job alone
    for name in ("test_samples", "labels", "input"):
        np.testing.assert_array_equal(bits[name], expected[name])


def test_neurons_side_by_side_are_not_taken_for_those_that_stood_alone(folder):
    # 8 samples x 4 neurons, and x 3, fill whole circuits of two: the same angles in the same order.
    alone, _ = go(folder, backend="fake_manila")
    packed, _ = go(folder, backend="fake_manila", pack=2)
    assert (packed.jobs, packed.resumed_jobs) == (2, 0)
    assert 2 * packed.circuits == alone.circuits


# Asking first


class RefusedError(Exception):
    """Somebody said no."""


@pytest.mark.parametrize("mitigated", [False, True])
def test_the_estimate_is_told_before_anything_is_sent(folder, service, mitigated):
    told = []

    def confirm(text, billed):
        assert not service.blocks
        told.append((text, billed))

    options = DeviceOptions(backend="ibm:x", samples=SAMPLES, mitigate_readout=mitigated)
    outcome, _ = run_on_device(folder, options, None, confirm)
    ((text, billed),) = told
    assert billed
    assert text.startswith("Estimate: ") and text.endswith("of device time.")
    # What was told is what came: jobs, circuits and shots.
    for number, name in (
        (outcome.jobs, "jobs"),
        (outcome.circuits, "circuits"),
        (outcome.executions, "shots"),
    ):
        assert f"{number:,} {name}" in text
    assert len(service.blocks) == outcome.jobs == (3 if mitigated else 2)
    assert outcome.device_seconds == 2.0 * outcome.jobs


def test_who_refuses_the_estimate_sends_nothing(folder, service):
    def refuse(text, billed):
        raise RefusedError

    with pytest.raises(RefusedError):
        run_on_device(folder, DeviceOptions(backend="ibm:x", samples=SAMPLES), None, refuse)
    assert not service.blocks and not service.seeds
    assert not (folder.path / "hardware").exists()


def test_a_simulation_is_told_too_but_not_billed(folder):
    told = []
    options = DeviceOptions(samples=SAMPLES)
    run_on_device(folder, options, None, lambda text, billed: told.append((text, billed)))
    ((text, billed),) = told
    assert not billed
    assert "a simulator takes no device time" in text


def test_jobs_are_sent_in_the_mode_that_was_asked_for(folder, service, monkeypatch):
    seen = []

    class Mode:
        def __init__(self, backend) -> None:
            seen.append("made")

        def __enter__(self):
            return self

        def __exit__(self, *error) -> None:
            seen.append("closed")

    def sampler_for(*args, mode, **options):
        seen.append(mode)
        return service

    monkeypatch.setattr(ibm, "Session", Mode)
    monkeypatch.setattr(executing, "sampler_for", sampler_for)
    go(folder, backend="ibm:x", mode="session")
    made, mode, closed = seen
    assert isinstance(mode, Mode)
    assert (made, closed) == ("made", "closed")
    # A job that fails does not leave it open.
    service.answer = lambda block, number: FridgeError("warm")
    with pytest.raises(HardwareError):
        go(folder, backend="ibm:x", mode="session", seed=1)
    assert seen[-1] == "closed"


# Refusals


def test_more_samples_than_there_are_are_refused(folder):
    with pytest.raises(ConfigError, match=f"samples is {TEST_SAMPLES + 1}.* {TEST_SAMPLES} test"):
        go(folder, samples=TEST_SAMPLES + 1)
    assert not (folder.path / "hardware").exists()


def test_an_unknown_backend_is_refused(folder):
    with pytest.raises(HardwareError, match="fake_atlantis"):
        go(folder, backend="fake_atlantis")


def test_a_run_without_an_epoch_is_refused(folder, tmp_path):
    fresh = run_folder.create(tmp_path / "fresh", folder.read_config())
    with pytest.raises(CheckpointError, match="no epoch of this run has ended"):
        go(fresh)
