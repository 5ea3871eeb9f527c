"""Training from a backend's bits alone: nothing is simulated, and everything is kept."""

import re
from contextlib import contextmanager

import numpy as np
import pytest
from hardware_stubs import FridgeError, StubSampler, ibm_device, perfect
from pydantic import ValidationError

from sqsnn import hardware
from sqsnn.errors import ConfigError, HardwareError
from sqsnn.hardware import executor as executing
from sqsnn.hardware import ibm
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.reports import plots
from sqsnn.training import backend, evaluate, run, run_folder
from sqsnn.training.backend import build_source
from sqsnn.training.build import build_network
from sqsnn.training.config import (
    DataOptions,
    EncodingConfig,
    ModelConfig,
    Recipe,
    RunConfig,
    TrainingConfig,
    explain,
    for_dataset,
)
from sqsnn.training.neurons import build_circuit
from sqsnn.training.noise_config import NoiseConfig
from sqsnn.training.rule_config import RuleConfig

MEASURED = {"rule": "local", "score": "shift"}


def settings(epochs: int = 2, train_samples: int = 24, **rule) -> RunConfig:
    recipe = Recipe(
        model=ModelConfig(hidden=(2,)),
        encoding=EncodingConfig(steps=2),
        rule=RuleConfig(**{**MEASURED, "backend": "aer", **rule}),
        training=TrainingConfig(epochs=epochs, batch_size=12),
    )
    options = DataOptions(classes=(0, 1), train_samples=train_samples, test_samples=10)
    return for_dataset("digits", options, recipe)


class Told(run.Watcher):
    """Keeps what it is told of spending, and pulls the plug at a training step."""

    def __init__(self, stop: tuple[int, int] | None = None) -> None:
        self.estimates: list[tuple[str, bool]] = []
        self.stop = stop

    def spend(self, estimate: str, billed: bool) -> None:
        self.estimates.append((estimate, billed))

    def step(self, step) -> None:
        if (step.epoch, step.batch) == self.stop:
            raise KeyboardInterrupt


@contextmanager
def no_simulation():
    """Forbid to simulate any neuron but for a picture; gives which draws were simulated."""
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
        patch.setattr(plots, "save_run_pictures", lambda *args, **options: ())
        patch.setattr(evaluate, "draw", watched)
        patch.setattr(SQSNeurons, "evolve", refuse)
        yield simulated


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run from bits alone: its folder, who was told, its executor, which draws were simulated."""
    sources, told = [], Told()

    def watched(recipe):
        sources.append(build_source(recipe))
        return sources[-1]

    with no_simulation() as simulated, pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "build_source", watched)
        folder = run.begin(settings(), tmp_path_factory.mktemp("measured") / "run", told)
    (source,) = sources
    return folder, told, source.executor, simulated


def test_a_network_learns_is_validated_and_tested_without_a_simulated_neuron(measured):
    folder, _, _, simulated = measured
    # Two validations, the test, and last of all the picture.
    assert simulated == [False, False, False, True]
    assert folder.is_finished()
    before = build_network(folder.read_config(), 64, 2)
    after = run.load(folder).network
    for (name, one), other in zip(before.named_parameters(), after.parameters(), strict=True):
        assert other.isfinite().all()
        assert one.numel() == 0 or not one.equal(other), name


def test_what_no_device_knows_is_not_reported(measured):
    folder, _, _, _ = measured
    lines = folder.read_metrics()
    assert len(lines) == 2
    for line in lines:
        assert line["validation_accuracy_probability"] is None
        assert 0 <= line["validation_accuracy"] <= 1
        assert np.isfinite(line["validation_loss"])
        assert len(line["spikes_per_sample"]) == 2
        # 21 samples or so, two steps, two layers of two neurons, fourteen shifted circuits.
        assert line["train_circuits"] == line["train_shots"] > 0
        assert line["train_circuits"] % (2 * 4 * 14) == 0
        assert "train_log_likelihood" not in line
    result = folder.read_result()
    assert result["test_accuracy_probability"] is None
    assert result["test_samples"] == 10
    assert result["costs"] is None


def test_what_was_told_before_is_what_was_sent(measured):
    _, told, executor, _ = measured
    ((text, billed),) = told.estimates
    assert not billed
    counts = executor.counts
    assert counts.resumed == 0
    numbers = f"{counts.jobs:,} jobs, {counts.circuits:,} circuits, {counts.shots:,} shots"
    assert text == f"Estimate: {numbers}; a simulator takes no device time."


@pytest.mark.usefixtures("no_pictures")
def test_a_stopped_run_goes_on_bit_for_bit(measured, tmp_path):
    whole, _, _, _ = measured
    with pytest.raises(KeyboardInterrupt):
        run.begin(settings(), tmp_path / "run", Told(stop=(2, 1)))
    folder = run_folder.find(tmp_path / "run")
    assert len(folder.read_metrics()) == 1
    run.resume(folder)
    for name in ("metrics.jsonl", "metrics.json", "best.safetensors", "checkpoint.safetensors"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name


@pytest.mark.usefixtures("no_pictures")
def test_another_seed_gives_another_run(measured, tmp_path):
    whole, _, _, _ = measured
    config = settings(epochs=1)
    training = config.training.model_copy(update={"seed": 1})
    folder = run.begin(config.model_copy(update={"training": training}), tmp_path / "run")
    assert folder.read_metrics()[0]["train_loss"] != whole.read_metrics()[0]["train_loss"]


# A device of IBM's


@pytest.fixture
def service(monkeypatch) -> StubSampler:
    """Played by Aer, with seeds from the angles alone, so that a run can be repeated."""

    def answer(block, _):
        (values,) = block[1].values()
        return perfect(block, int(abs(values).sum() * 1e6) % 2**31)

    sampler = StubSampler(answer)
    monkeypatch.setattr(hardware, "find", ibm_device)
    monkeypatch.setattr(executing, "sampler_for", lambda *args, **options: sampler)
    monkeypatch.setattr(ibm, "job", lambda number: sampler.jobs[number])
    return sampler


@pytest.mark.usefixtures("no_pictures")
def test_a_training_that_died_pays_for_no_job_twice(service, tmp_path):
    config = settings(epochs=1, train_samples=12, backend="ibm:x")
    whole = run.begin(config, tmp_path / "whole")
    needed, answer = len(service.blocks), service.answer
    service.blocks.clear()

    def dies(block, number):
        if number == 5:
            raise FridgeError("the fridge is warm")
        return answer(block, number)

    service.answer = dies
    with pytest.raises(HardwareError, match="the fridge is warm"):
        run.begin(config, tmp_path / "run")
    service.answer = answer
    folder = run_folder.find(tmp_path / "run")
    run.resume(folder)
    assert len(service.blocks) == needed + 1  # the one that was refused
    for name in ("metrics.jsonl", "metrics.json", "best.safetensors"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name


class RefusedError(Exception):
    """Somebody said no."""


def test_who_refuses_the_estimate_sends_nothing_and_leaves_nothing(service, tmp_path):
    class Refusing(run.Watcher):
        def spend(self, estimate, billed):
            assert billed and estimate.endswith("of device time.")
            raise RefusedError

    with pytest.raises(RefusedError):
        run.begin(settings(backend="ibm:x"), tmp_path / "run", Refusing())
    assert not service.blocks
    assert not (tmp_path / "run").exists()


# Settings


def test_neurons_side_by_side_are_asked_for_by_the_settings():
    config = settings(backend="fake_manila", pack=2)
    source = build_source(config)
    circuit = build_circuit(config.model)
    assert source.executor.compiled(circuit, config.encoding.steps).slots == 2
    assert build_source(settings(backend=None)) is None


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"rule": "backprop", "backend": "aer"}, "backend is 'aer'.*score shift or spsa"),
        ({"rule": "local", "backend": "aer"}, "backend is 'aer'.*score shift or spsa"),
        (
            {"rule": "local", "score": "online", "backend": "aer"},
            "backend is 'aer'.*score shift or spsa",
        ),
        ({**MEASURED, "pack": 2}, "pack is 2.*backend"),
        ({**MEASURED, "backend": "aer", "pack": 2}, "pack is 2.*chip"),
        ({**MEASURED, "backend": "fake_manila", "pack": 0}, "pack: .*greater than 0"),
        ({**MEASURED, "backend": "aer", "mode": "batch"}, "mode is 'batch'.*ibm:NAME"),
        ({**MEASURED, "backend": "aer", "surrogate": "sigmoid"}, "needs probabilities"),
    ],
    ids=str,
)
def test_settings_that_do_not_go_with_a_backend_are_refused(rule, said):
    with pytest.raises(ValidationError) as refused:
        RuleConfig(**rule)
    assert re.search(said, explain(refused.value))


@pytest.mark.parametrize(
    ("rule", "error", "said"),
    [
        ({"backend": "fake_atlantis"}, HardwareError, "fake_atlantis"),
        ({"backend": "aer2"}, HardwareError, "'aer2'"),
        ({"backend": "fake_manila", "pack": 3}, HardwareError, "3"),
    ],
)
def test_what_cannot_run_is_refused_before_there_is_a_folder(tmp_path, rule, error, said):
    with pytest.raises(error, match=said):
        run.begin(settings(**rule), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_backend_has_its_own_noise(tmp_path):
    config = settings().model_copy(update={"noise": NoiseConfig(false_spike=0.1)})
    with pytest.raises(ConfigError, match="'aer', which has its own noise"):
        run.begin(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
