"""Training from a backend's bits alone: nothing is simulated, and everything is kept."""

from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hardware_stubs import FridgeError, StubSampler, perfect, play_ibm
from tools import StopAt, stopped

from sqsnn.errors import ConfigError, HardwareError
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.runs import backend, loading, pictures, run
from sqsnn.runs import folder as folders
from sqsnn.runs.backend import build_source
from sqsnn.settings.run import RunSettings, from_flat
from sqsnn.training import evaluate, trainer
from sqsnn.training.build import build_network, require_circuit

MEASURED = {"rule": "local", "score": "measured"}


def settings(**chosen: Any) -> RunSettings:
    small = {"classes": (0, 1), "train_samples": 24, "test_samples": 10, "hidden": (2,), "steps": 2}
    small |= {"epochs": 2, "batch_size": 12, **MEASURED, "backend": "aer"}
    return from_flat("digits", {**small, **chosen})


def test_the_estimate_counts_the_inputs_that_an_encoding_makes():
    chosen = settings(encoding="population", fields=3, hidden=())
    settled, dataset = run.prepare(chosen)
    source = build_source(settled)
    progress = trainer.start(settled, dataset.features, dataset.outputs, 24, source)
    assert backend.estimate(settled, dataset, progress).jobs > 0


class Estimates(StopAt):
    """Keeps the estimates of spending, and interrupts the run at a training step."""

    def __init__(self, epoch: int = 0, batch: int | None = None) -> None:
        super().__init__(epoch, batch)
        self.estimates: list[tuple[str, bool]] = []

    def spend(self, estimate: str, billed: bool) -> None:
        self.estimates.append((estimate, billed))


@contextmanager
def no_simulation():
    """Forbid to simulate any neuron but for a picture; yield which draws were simulated."""
    draw, evolve, simulated = evaluate.draw, SQSNeurons.evolve, []
    allowed = []

    def watched(*args, source=None, **options):
        simulated.append(source is None)
        allowed.append(source is None)
        try:
            return draw(*args, source=source, **options)
        finally:
            allowed.pop()

    def refuse(*args, **options):
        if not any(allowed):
            raise AssertionError("a neuron was simulated")
        return evolve(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "draw_training", lambda *args: {})
        patch.setattr(evaluate, "draw", watched)
        patch.setattr(SQSNeurons, "evolve", refuse)
        yield simulated


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run from bits alone: folder, watcher, executor, and which draws were simulated."""
    sources, watcher = [], Estimates()

    def watched(recipe):
        sources.append(build_source(recipe))
        return sources[-1]

    with no_simulation() as simulated, pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "build_source", watched)
        folder = run.begin(settings(), tmp_path_factory.mktemp("measured") / "run", watcher)
    (source,) = sources
    return folder, watcher, source.executor, simulated


def test_a_network_learns_is_validated_and_tested_without_a_simulated_neuron(measured):
    folder, _, _, simulated = measured
    # Two validations, the test, and last of all the picture.
    assert simulated == [False, False, False, True]
    assert folder.is_finished()
    before = build_network(folder.read_settings(), 64, 2)
    after = loading.load(folder).network
    for (name, one), other in zip(before.named_parameters(), after.parameters(), strict=True):
        assert other.isfinite().all()
        # What an own spike takes is learned where there was one; the outputs are silent here.
        assert one.numel() == 0 or name.endswith("reset") or not one.equal(other), name


def test_figures_that_no_device_gives_are_left_out(measured):
    folder, _, _, _ = measured
    lines = folder.read_metrics()
    assert len(lines) == 2
    for line in lines:
        assert line["validation_accuracy_probability"] is None
        assert 0 <= line["validation_accuracy"] <= 1
        assert np.isfinite(line["validation_loss"])
        assert len(line["spikes_per_sample"]) == 2
        # 21 samples or so, two steps, two neurons per layer; 14 shifted circuits of a hidden one,
        # and 4 of an output, which has no memory.
        assert line["train_circuits"] == line["train_shots"] > 0
        assert line["train_circuits"] % (2 * 2 * (14 + 4)) == 0
        assert "train_log_likelihood" not in line
    result = folder.read_result()
    assert result["test_accuracy_probability"] is None
    assert result["test_samples"] == 10
    assert result["costs"] is None


def test_the_estimate_is_what_was_sent(measured):
    _, watcher, executor, _ = measured
    ((text, billed),) = watcher.estimates
    assert not billed
    counts = executor.counts
    assert counts.resumed == 0
    numbers = f"{counts.jobs:,} jobs, {counts.circuits:,} circuits, {counts.shots:,} shots"
    assert text == f"Estimate: {numbers}; a simulator takes no device time."


def test_a_stopped_run_goes_on_bit_for_bit(measured, tmp_path):
    whole, _, _, _ = measured
    folder = stopped(settings(), tmp_path / "run", 2, 1)
    assert len(folder.read_metrics()) == 1
    run.resume(folder, pictures=False)
    for name in ("metrics.jsonl", "metrics.json", "best.safetensors", "checkpoint.safetensors"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name


def test_the_whole_membrane_learns_from_free_runs_in_one_circuit(tmp_path):
    watcher, made = Estimates(), []
    chosen = settings(epochs=1, steps=4, reset_steps=None, train_samples=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            backend, "build_source", lambda one: made.append(build_source(one)) or made[0]
        )
        folder = run.begin(chosen, tmp_path / "run", watcher, pictures=False)
    ((text, _),) = watcher.estimates
    counts = made[0].executor.counts
    # Of both layers of a batch the free runs, 1 + 4 jobs, and the shifted circuits.
    assert f"{counts.jobs:,} jobs, {counts.circuits:,} circuits" in text
    # Free runs of four steps and of one, whose circuit is that of the outputs' scores; and single
    # steps of the hidden neurons.
    assert counts.transpilations == 3
    assert sum(folder.read_metrics()[0]["spikes_per_sample"]) > 0


def test_another_seed_gives_another_run(measured, tmp_path):
    whole, _, _, _ = measured
    folder = run.begin(settings(epochs=1, seed=1), tmp_path / "run", pictures=False)
    assert folder.read_metrics()[0]["train_loss"] != whole.read_metrics()[0]["train_loss"]


# A device of IBM's


@pytest.fixture
def service(monkeypatch) -> StubSampler:
    """A device of IBM's, played by Aer with seeds from the angles alone: a run repeats."""

    def answer(block, _):
        (values,) = block[1].values()
        return perfect(block, int(abs(values).sum() * 1e6) % 2**31)

    return play_ibm(monkeypatch, answer)


def test_a_training_that_died_pays_for_no_job_twice(service, tmp_path):
    chosen = settings(epochs=1, train_samples=12, backend="ibm:x")
    whole = run.begin(chosen, tmp_path / "whole", pictures=False)
    needed, answer = len(service.blocks), service.answer
    service.blocks.clear()

    def dies(block, number):
        if number == 5:
            raise FridgeError("the fridge is warm")
        return answer(block, number)

    service.answer = dies
    with pytest.raises(HardwareError, match="the fridge is warm"):
        run.begin(chosen, tmp_path / "run", pictures=False)
    service.answer = answer
    folder = folders.find(tmp_path / "run")
    run.resume(folder, pictures=False)
    assert len(service.blocks) == needed + 1  # the one that was refused
    for name in ("metrics.jsonl", "metrics.json", "best.safetensors"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name


class RefusedError(Exception):
    """The estimate was refused."""


def test_a_refused_estimate_sends_nothing_and_leaves_nothing(service, tmp_path):
    class Refusing(run.Watcher):
        def spend(self, estimate, billed):
            assert billed and estimate.endswith("of device time.")
            raise RefusedError

    with pytest.raises(RefusedError):
        run.begin(settings(backend="ibm:x"), tmp_path / "run", Refusing())
    assert not service.blocks
    assert not (tmp_path / "run").exists()


# Settings


def test_neurons_side_by_side_are_those_of_the_settings():
    chosen = settings(backend="fake_manila", pack=2)
    source = build_source(chosen)
    assert source is not None
    compiled = source.executor.compiled(require_circuit(chosen), chosen.encoding.steps)
    assert compiled.slots == 2
    simulated = from_flat("digits", MEASURED)
    assert (build_source(simulated), backend.is_billed(None)) == (None, False)


@pytest.mark.parametrize(
    ("chosen", "error", "said"),
    [
        ({"backend": "fake_atlantis"}, HardwareError, "fake_atlantis"),
        ({"backend": "aer2"}, HardwareError, "'aer2'"),
        ({"reset_steps": None, "steps": 7}, HardwareError, "with 7 steps.*at most 6 steps"),
        ({"backend": "fake_lima"}, HardwareError, "fake_lima offers no if_else"),
        ({"backend": "fake_manila", "pack": 3}, HardwareError, "3"),
        ({"false_spike": 0.1}, ConfigError, "noise rates go with the simulator only"),
        ({"surrogate": "sigmoid"}, ConfigError, "needs probabilities"),
        ({"neurons": "lif"}, ConfigError, "neurons"),
    ],
    ids=str,
)
def test_settings_that_cannot_run_are_refused_before_there_is_a_folder(
    tmp_path, chosen, error, said
):
    with pytest.raises(error, match=said):
        run.begin(settings(**chosen), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"rule": "backprop", "backend": "aer"}, "backend is 'aer'.*score 'measured' only"),
        ({"rule": "local", "backend": "aer"}, "backend is 'aer'.*score 'measured' only"),
        ({"rule": "local", "score": "online", "backend": "aer"}, "backend is 'aer'.*'measured'"),
        ({**MEASURED, "pack": 2}, "pack is 2.*backend"),
        ({**MEASURED, "backend": "aer", "pack": 2}, "pack is 2.*chip"),
        ({**MEASURED, "backend": "fake_manila", "pack": 0}, "pack: .*greater than or equal to 1"),
        ({**MEASURED, "backend": "aer", "mode": "batch"}, "mode is 'batch'.*ibm:NAME"),
    ],
    ids=str,
)
def test_settings_that_do_not_go_with_a_backend_are_refused(chosen, said):
    with pytest.raises(ConfigError, match=said):
        from_flat("digits", chosen)
