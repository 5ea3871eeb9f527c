"""A trained run on a backend: what is written, reported, kept, and refused before it is sent."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hardware_stubs import FridgeError, StubSampler, perfect, play_ibm, result_of, rows_of
from pydantic import ValidationError
from qiskit.primitives import BitArray
from tools import populations_of, synapses_of

from sqsnn import hardware
from sqsnn.errors import CheckpointError, ConfigError, HardwareError
from sqsnn.hardware import executor as executing
from sqsnn.hardware import ibm
from sqsnn.options import explain
from sqsnn.ownership import owned
from sqsnn.runs import folder as folders
from sqsnn.runs import loading, run
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.on_device import SIMULATIONS, DeviceOptions, run_on_device
from sqsnn.settings import flat
from sqsnn.settings.run import from_flat

HIDDEN, CLASSES, STEPS, TEST_SAMPLES, SAMPLES = 4, 3, 3, 30, 8
SNAPSHOT = "fake_manila"


def options_of(**chosen: Any) -> DeviceOptions:
    """Options by the names of the flags of `sqsnn hardware`."""
    return DeviceOptions.model_validate(flat.nest(DeviceOptions, chosen, {}))


def trained(path, epochs: int = 12, **chosen: Any) -> RunFolder:
    small = {"hidden": (HIDDEN,), "steps": STEPS, "batch_size": 20, "learning_rate": 0.05}
    small |= {"classes": (0, 1, 2), "train_samples": 150, "test_samples": TEST_SAMPLES}
    settings = from_flat("digits", {**small, "epochs": epochs, **chosen})
    return run.begin(settings, path, pictures=False)


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("on-device") / "run")


@pytest.fixture
def folder(once, tmp_path) -> RunFolder:
    """A copy of a trained run, to change at will."""
    return RunFolder(shutil.copytree(once.path, tmp_path / "run"))


@pytest.fixture
def service(monkeypatch) -> StubSampler:
    """A device of IBM's, played by Aer."""
    return play_ibm(monkeypatch, perfect)


def go(folder: RunFolder, **chosen: Any):
    """The outcome, and what was written: result.json and bits.npz."""
    options = options_of(**{"samples": SAMPLES, **chosen})
    outcome, place = run_on_device(folder, options, None)
    assert place == folder.path / "hardware" / options.label
    assert {path.name for path in place.iterdir()} == {"result.json", "bits.npz"}
    with np.load(place / "bits.npz", allow_pickle=False) as file:
        bits = dict(file)
    written = json.loads((place / "result.json").read_text("utf-8"))
    if outcome.jobs:  # where none was sent, the first result stays
        flags = flat.flatten(DeviceOptions, options.model_dump(mode="json"))
        assert written == {**flags, **asdict(outcome)}
    return outcome, bits


def jobs(folder: RunFolder) -> list[str]:
    kept = folder.path / "hardware" / "jobs"
    return sorted(path.name for path in kept.iterdir()) if kept.exists() else []


# What comes out


def test_a_run_goes_to_the_simulator_of_braket_as_it_stands(folder):
    outcome, bits = go(folder, backend="braket", samples=2)
    assert (outcome.jobs, outcome.circuits) == (2, 2 * (HIDDEN + CLASSES))
    assert bits["layer_2"].shape == (STEPS, 2, CLASSES, 1) and bits["layer_1"].any()
    assert outcome.device_seconds is outcome.estimated_seconds is None


@pytest.mark.parametrize("shots", [1, 3])
def test_the_files_hold_the_measured_bits(folder, shots):
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
    samples = loading.load(folder).dataset.load_test()
    np.testing.assert_array_equal(bits["labels"], samples.targets[bits["test_samples"]])
    never = samples.values[bits["test_samples"]].numpy() == 0
    assert never.any() and not bits["input"][..., 0].any(axis=0)[never].any()
    # Figures are those of the bits: spikes per sample and shot, and the class that fired most.
    per_inference = [bits[name].sum() / inferences for name in ("layer_1", "layer_2")]
    assert outcome.spikes_per_sample == pytest.approx(per_inference)
    counts = bits["layer_2"].sum(axis=(0, 3)).reshape(SAMPLES, shots, CLASSES).sum(axis=1)
    labels = bits["labels"].reshape(SAMPLES, shots)[:, 0]
    own = counts[np.arange(SAMPLES), labels]
    others = np.where(np.arange(CLASSES) == labels[:, None], -1, counts).max(axis=1)
    assert (own > others).sum() <= round(outcome.accuracy * SAMPLES) <= (own >= others).sum()
    assert (own == others).sum() < SAMPLES  # ties alone would say nothing
    # One job per layer, and a circuit for every neuron and inference; outputs have no memory.
    rows = inferences * (HIDDEN + CLASSES)
    assert (outcome.samples, outcome.shots) == (SAMPLES, shots)
    assert (outcome.jobs, outcome.resumed_jobs, outcome.transpilations) == (2, 0, 2)
    assert outcome.circuits == outcome.executions == rows
    assert [layer.neurons_side_by_side for layer in outcome.layers] == [1, 1]
    hidden, output = outcome.layers
    assert [layer.memory_qubits for layer in outcome.layers] == [1, 0]
    for layer in outcome.layers:
        assert (layer.gates["measure"], layer.gates["reset"]) == (STEPS, STEPS - 1)
        # A reset of three steps: conditions for 1 and 2 bits of the past.
        assert layer.gates["if_else"] == 2 + 4
        assert layer.steps_per_circuit == STEPS
    assert hidden.depth > output.depth > 0
    # What a simulator does not have.
    for name in ("calibrated", "estimated_seconds", "device_seconds"):
        assert getattr(outcome, name) is None
    assert outcome.false_spike is None and outcome.missed_spike is None


def test_hidden_spikes_on_the_device_are_what_drives_the_outputs(folder):
    # Bits of the second layer follow the likelihood that the network gives them on the first's.
    _, bits = go(folder, samples=TEST_SAMPLES, shots=3)
    network = loading.load(folder).network.double()
    inputs = [torch.as_tensor(bits[name]).double() for name in ("input", "layer_1", "layer_2")]
    for layer, (given, spikes) in enumerate(pairwise(inputs)):
        with torch.no_grad():
            currents = synapses_of(network)[layer](given)
            record, _ = populations_of(network)[layer](currents, observed=spikes)
            drawn, _ = populations_of(network)[layer](
                currents, generator=torch.Generator().manual_seed(0)
            )
            mixed, _ = populations_of(network)[layer](
                synapses_of(network)[layer](given.flip(1)), observed=spikes
            )
        own, again = record.log_likelihood, drawn.log_likelihood
        # Independent over runs and neurons: beyond 4.5 errors at one seed in 100,000.
        error = (own.sum(0).var() + again.sum(0).var()).sqrt() / own[0].numel() ** 0.5
        assert abs(own.sum(0).mean() - again.sum(0).mean()) < 4.5 * error
        assert mixed.log_likelihood.sum(0).mean() < own.sum(0).mean() - 4.5 * error


def test_the_simulators_figures_are_those_of_the_same_samples(folder):
    # Noiseless Aer: the difference lies within 4 of its standard errors (Student's t of 30, once in
    # 2500 seeds), and spikes per sample within 4 of theirs.
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


def test_more_shots_are_summed(tmp_path):
    # A sample's spikes of many shots name its class more surely than those of one.
    folder = trained(tmp_path / "run", drive="rectified", output_memory_qubits=1)
    many, _ = go(folder, samples=TEST_SAMPLES, shots=8)
    one, _ = go(folder, samples=TEST_SAMPLES)
    assert many.accuracy > one.simulator_accuracy
    assert many.simulator_accuracy > one.simulator_accuracy + 0.05


def test_a_snapshot_adds_what_a_chip_has(folder):
    outcome, _ = go(folder, backend="fake_manila", samples=3, pack="all", mitigate_readout=True)
    device = hardware.find("fake_manila")
    assert outcome.calibrated == device.calibrated
    assert [layer.neurons_side_by_side for layer in outcome.layers] == [2, 5]
    # Layers of 12 and 9 rows, two and five per circuit, and two of the calibration of each.
    assert (outcome.jobs, outcome.circuits, outcome.transpilations) == (4, 6 + 2 + 2 + 2, 4)
    for layer in outcome.layers:
        assert 1 < layer.shot_microseconds < 1000
        assert layer.feed_forward_microseconds == pytest.approx((STEPS - 1) * 0.7)
        # A rotation is two pulses, under each of 2 + 4 conditions.
        pulse = 1e6 * device.target["sx"][0,].duration
        assert layer.conditional_microseconds == pytest.approx(6 * 2 * pulse)
    assert outcome.estimated_seconds > 4 * 2  # the jobs' overhead at least
    assert outcome.device_seconds is None  # nothing is billed
    for rates in (outcome.false_spike, outcome.missed_spike):
        assert len(rates) == 2  # a channel in each layer
        assert all(0.005 < rate < 0.1 for rate in rates)
    ideal, _ = go(folder, backend="fake_manila", samples=3, ideal=True)
    assert ideal.resumed_jobs == 0
    assert [layer.gates for layer in ideal.layers] == [layer.gates for layer in outcome.layers]


def test_layers_of_different_kinds_run_the_whole_membrane(tmp_path):
    # With memory in one circuit; without it step by step, in single steps that are calibrated too.
    folder = trained(tmp_path / "run", epochs=1, reset_steps=None)
    chosen = {"backend": "fake_manila", "samples": 3, "pack": 2, "mitigate_readout": True}
    outcome, bits = go(folder, **chosen)
    hidden, output = outcome.layers
    assert (hidden.steps_per_circuit, output.steps_per_circuit) == (STEPS, 1)
    assert hidden.gates["if_else"] == 2 + 4 and "if_else" not in output.gates
    assert hidden.feed_forward_microseconds > 0 == output.feed_forward_microseconds
    assert outcome.jobs == 1 + STEPS + 2
    assert bits["layer_1"].any() and bits["layer_2"].shape == (STEPS, 3, CLASSES, 1)
    again, _ = go(folder, **chosen)
    assert (again.resumed_jobs, again.accuracy) == (outcome.jobs, outcome.accuracy)


def test_a_drive_that_no_circuit_holds_is_refused_by_name(tmp_path, service):
    folder = trained(tmp_path / "run", epochs=1, reset_steps=None, steps=7)
    with pytest.raises(HardwareError, match=r"reset_steps is None.*with 7 steps.*at most 6 steps"):
        go(folder, backend="ibm:x")
    assert not service.blocks and not jobs(folder)


def test_only_the_steps_that_report_count(tmp_path, service):
    # At the last step class 0 fires, before it the others do, twice as often.
    folder = trained(tmp_path / "run", epochs=1, report_steps=1)

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
    path = folder.path / "hardware" / options_of(samples=SAMPLES).label / "result.json"
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
    assert len([name for name in jobs(folder) if name.endswith(".bits")]) == 1
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


# Estimates


class RefusedError(Exception):
    """The estimate was refused."""


@pytest.mark.parametrize("mitigated", [False, True])
def test_the_estimate_comes_before_anything_is_sent(folder, service, mitigated):
    given = []

    def confirm(text, billed):
        assert not service.blocks
        given.append((text, billed))

    options = options_of(backend="ibm:x", samples=SAMPLES, mitigate_readout=mitigated)
    outcome, _ = run_on_device(folder, options, None, confirm)
    ((text, billed),) = given
    assert billed
    assert text.startswith("Estimate: ") and text.endswith("of device time.")
    # The estimate is right: jobs, circuits and shots.
    for number, name in (
        (outcome.jobs, "jobs"),
        (outcome.circuits, "circuits"),
        (outcome.executions, "shots"),
    ):
        assert f"{number:,} {name}" in text
    assert len(service.blocks) == outcome.jobs == (4 if mitigated else 2)
    assert outcome.device_seconds == 2.0 * outcome.jobs


def test_a_refused_estimate_sends_nothing(folder, service):
    def refuse(text, billed):
        raise RefusedError

    with pytest.raises(RefusedError):
        run_on_device(folder, options_of(backend="ibm:x", samples=SAMPLES), None, refuse)
    assert not service.blocks and not service.seeds
    assert not (folder.path / "hardware").exists()


def test_a_simulation_is_estimated_too_but_not_billed(folder):
    given = []
    options = options_of(samples=SAMPLES)
    run_on_device(folder, options, None, lambda text, billed: given.append((text, billed)))
    ((text, billed),) = given
    assert not billed
    assert "a simulator takes no device time" in text


def test_jobs_are_sent_in_the_chosen_mode(folder, service, monkeypatch):
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
    made, *modes, closed = seen
    assert len(modes) == 2  # one per circuit
    assert all(isinstance(mode, Mode) for mode in modes)
    assert (made, closed) == ("made", "closed")
    # A job that fails does not leave it open.
    service.answer = lambda block, number: FridgeError("warm")
    with pytest.raises(HardwareError):
        go(folder, backend="ibm:x", mode="session", seed=1)
    assert seen[-1] == "closed"


# Refusals


def test_too_many_samples_are_refused(folder):
    with pytest.raises(ConfigError, match=f"samples is {TEST_SAMPLES + 1}.* {TEST_SAMPLES} test"):
        go(folder, samples=TEST_SAMPLES + 1)
    assert not (folder.path / "hardware").exists()


def test_two_commands_do_not_measure_into_one_folder(folder):
    def second(*_):
        with ThreadPoolExecutor(1) as pool:
            refused.append(pool.submit(go, folder).exception())

    refused: list[BaseException | None] = []
    with owned(folder.path / "hardware"):
        second()
    assert re.search(r"run/hardware is in use by process \d+ on", str(refused[0]))
    assert not (folder.path / "hardware").exists()
    with owned(folder.path):  # training goes on meanwhile
        second()
    assert refused[1] is None


def test_an_unknown_backend_is_refused(folder):
    with pytest.raises(HardwareError, match="fake_atlantis"):
        go(folder, backend="fake_atlantis")


def test_a_run_without_an_epoch_is_refused(folder, tmp_path):
    fresh = folders.create(tmp_path / "fresh", folder.read_settings())
    with pytest.raises(CheckpointError, match="no epoch of this run has ended"):
        go(fresh)


# Options


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"samples": 1}, "samples: .*greater than or equal to 2, but is 1"),
        ({"shots": 0}, "shots: .*greater than 0, but is 0"),
        ({"shots": 1.5}, "shots: .*integer"),
        ({"seed": -1}, "seed: .*greater than or equal to 0, but is -1"),
        ({"backend": SNAPSHOT, "pack": 0}, "pack: .*greater than or equal to 1 or 'all', but is 0"),
        ({"backend": SNAPSHOT, "pack": "most"}, "pack.*'all'"),
        ({"mode": "sessions", "backend": "ibm:x"}, "mode: .*'job', 'batch' or 'session'"),
        ({"ideal": True}, "ideal is for snapshots .*'aer'"),
        ({"ideal": True, "backend": "ibm:x"}, "ideal is for snapshots .*'ibm:x'"),
        ({"mode": "batch"}, "mode is 'batch'.*ibm:NAME.*'aer'"),
        ({"mode": "session", "backend": SNAPSHOT}, "mode is 'session'.*'fake_manila'"),
        ({"pack": 2}, "pack is 2.*'aer' has no chip"),
        ({"pack": "all"}, "pack is 'all'.*'aer' has no chip"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(chosen, said):
    with pytest.raises(ValidationError) as refused:
        options_of(**chosen)
    assert re.search(said, explain(refused.value))


def test_an_unknown_option_is_refused():
    with pytest.raises(ConfigError, match="no setting packs; did you mean pack"):
        options_of(packs=2)


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"backend": SNAPSHOT, "ideal": True, "pack": "all"},
        {"backend": "ibm:x", "mode": "session", "pack": 7},
        {"mitigate_readout": True, "shots": 5, "samples": 2, "seed": 2**40},
    ],
    ids=str,
)
def test_options_that_go_together_are_kept(chosen):
    options = options_of(**chosen)
    assert flat.flatten(DeviceOptions, options.model_dump()).items() >= chosen.items()
    with pytest.raises(ValidationError):
        options.shots = 2  # pyright: ignore[reportAttributeAccessIssue]


def test_every_option_that_changes_the_outcome_changes_the_name():
    other = {
        "backend": "fake_lima",
        "samples": 7,
        "shots": 3,
        "pack": 2,
        "mitigate_readout": True,
        "ideal": True,
        "seed": 1,
    }
    # `mode` is how jobs are sent, not what they measure.
    assert set(other) | {"mode"} == {leaf.name for leaf in flat.leaves(DeviceOptions)}
    labels = [
        options_of(**{"backend": SNAPSHOT, **{name: other[name] for name in some}}).label
        for count in range(len(other) + 1)
        for some in combinations(other, count)
    ]
    labels += [options_of(backend=SNAPSHOT, pack=pack).label for pack in (3, "all")]
    labels += [options_of(backend=name).label for name in ("aer", "ibm:x", "ibm:manila")]
    assert len(set(labels)) == len(labels) == 2**7 + 5


def test_the_name_is_a_folder_on_any_system():
    assert options_of().label == "aer"
    chosen = {"backend": "ibm:boston", "mitigate_readout": True, "samples": 9, "pack": "all"}
    label = options_of(**chosen).label
    assert label == "ibm-boston-pack-all-samples-9-mitigate-readout"
    assert re.fullmatch(r"[\w-]+", label)
    assert options_of(**chosen, mode="batch").label == label
