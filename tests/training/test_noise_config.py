"""Noise as a setting: its rates, where they come from, and what they do not go with."""

import re
from dataclasses import asdict, fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sqsnn.data.catalog import Samples
from sqsnn.errors import CheckpointError, ConfigError, HardwareError
from sqsnn.quantum.noise import Noise
from sqsnn.training import checkpoint, noise, run, trainer
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
    from_toml,
    to_toml,
)
from sqsnn.training.neurons import build_circuit
from sqsnn.training.noise import build_noise, settle_noise
from sqsnn.training.noise_config import RATES, NoiseConfig
from sqsnn.training.rule_config import RuleConfig

RATE = st.floats(0, 1)
SOME = NoiseConfig(depolarising_2q=0.02, idle_phase_damping=0.05, missed_spike=0.1)


def test_the_settings_are_the_rates_of_the_noise_model_in_its_order():
    assert tuple(field.name for field in fields(Noise)) == RATES


@given(rates=st.fixed_dictionaries(dict.fromkeys(RATES, RATE)))
def test_every_rate_reaches_the_neurons_and_comes_back_from_toml(rates):
    recipe = Recipe(model=ModelConfig(hidden=(3,)), noise=NoiseConfig(**rates))
    config = for_dataset("digits", DataOptions(), recipe)
    assert from_toml(to_toml(config), "here") == config
    expected = Noise(**rates) if any(rates.values()) else None
    for population in build_network(recipe, 5, 2).populations:
        assert population.noise == expected


def test_settings_from_before_there_was_noise_have_none():
    text = to_toml(for_dataset("digits", DataOptions(), Recipe()))
    before, _, rest = text.partition("[noise]\n")
    after = rest[rest.index("\n[") :]
    config = from_toml(before + after, "here")
    assert config.noise == NoiseConfig()
    assert build_noise(config) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"false_spike": 1.5}, "false_spike: .*less than or equal to 1, but is 1.5"),
        ({"idle_depolarising": -0.1}, "idle_depolarising: .*greater than or equal to 0"),
        ({"noise_strength": 2.0}, "noise_strength is 2.0, .* with noise_from only"),
        ({"noise_from": "fake_brisbane", "noise_strength": 0}, "noise_strength: .*greater than 0"),
        (
            {"noise_from": "fake_brisbane", "false_spike": 0.0},
            "'fake_brisbane' gives all rates, but false_spike was given too",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, said):
    with pytest.raises(ValidationError) as error:
        NoiseConfig(**settings)
    assert re.search(said, explain(error.value))


# What goes with noise


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"model": {"channels": 2, "memory_qubits": 2}}, "memory_qubits is 4, .* at most 3"),
        ({"training": {"compile": True}}, "compile works without noise only"),
        ({"rule": {"through_collapse": True}}, "through_collapse works without noise only"),
        ({"rule": {"rule": "local", "score": "online"}}, "'online' .* use score exact"),
    ],
)
def test_what_does_not_go_with_noise_is_refused(sections, said):
    recipe = Recipe.model_validate({**sections, "noise": {"false_spike": 0.1}})
    with pytest.raises(ConfigError, match=said):
        build_network(recipe, 5, 2)


@pytest.mark.parametrize("rule", [{}, {"score": "exact"}, {"score": "shift"}], ids=str)
def test_rules_train_a_noisy_network(rule):
    recipe = Recipe(
        model=ModelConfig(hidden=(6,), circuit="integrate_and_fire"),
        encoding=EncodingConfig(steps=4),
        noise=SOME,
        rule=RuleConfig(rule="local", **rule) if rule else RuleConfig(),
        training=TrainingConfig(epochs=1, batch_size=20, learning_rate=0.05),
    )
    progress = trainer.start(recipe, 8, 2, 20)
    before = {name: p.detach().clone() for name, p in progress.network.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    samples = Samples(torch.rand(20, 8, generator=generator), torch.arange(20) % 2)
    list(trainer.epochs(progress, recipe, samples, None))
    for name, now in progress.network.named_parameters():
        assert now.isfinite().all()
        assert not torch.equal(now, before[name]), name


# From a device


def test_a_devices_rates_are_written_down_once_and_are_enough_from_then_on(monkeypatch):
    circuit = build_circuit(ModelConfig())
    settled = settle_noise(NoiseConfig(noise_from="fake_brisbane", noise_strength=2.0), circuit)
    device = noise.device_noise("fake_brisbane", circuit)
    assert device.depolarising_2q > 0
    assert settled.rates == {name: 2 * rate for name, rate in asdict(device).items()}
    assert (settled.noise_from, settled.noise_strength) == ("fake_brisbane", 2.0)

    monkeypatch.setattr(noise, "device_noise", lambda *args: pytest.fail("asked the device again"))
    config = for_dataset("digits", DataOptions(), Recipe(noise=settled))
    read = from_toml(to_toml(config), "here")
    assert read.noise == settled
    assert settle_noise(read.noise, circuit) == settled
    assert build_noise(read) == device.scaled(2.0)


def test_a_strong_devices_rates_stop_at_1():
    settings = NoiseConfig(noise_from="fake_brisbane", noise_strength=1e6)
    settled = settle_noise(settings, build_circuit(ModelConfig()))
    assert settled.false_spike == settled.depolarising_2q == 1
    assert settled.idle_depolarising == 0


def test_rates_that_were_never_taken_are_not_taken_for_none():
    with pytest.raises(ConfigError, match="rates of noise_from 'fake_brisbane' are not known yet"):
        build_network(Recipe(noise=NoiseConfig(noise_from="fake_brisbane")), 5, 2)


def test_a_device_that_is_not_there_leaves_no_folder(config, tmp_path):
    settings = config().model_copy(update={"noise": NoiseConfig(noise_from="fake_atlantis")})
    with pytest.raises(HardwareError, match="fake_atlantis"):
        run.begin(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_with_a_devices_noise_goes_on_and_is_tested_with_it(
    config, tmp_path, no_pictures, monkeypatch
):
    settings = config(epochs=1).model_copy(
        update={"noise": NoiseConfig(noise_from="fake_brisbane")}
    )
    folder = run.begin(settings, tmp_path / "run")
    monkeypatch.setattr(noise, "device_noise", lambda *args: pytest.fail("asked the device again"))
    loaded = run.load(folder)
    expected = Noise(**folder.read_config().noise.rates)
    assert expected.missed_spike > 0
    assert all(population.noise == expected for population in loaded.network.populations)
    assert (
        run.evaluate_run(folder, 1, None)["test_accuracy"] == folder.read_result()["test_accuracy"]
    )


# Checkpoints


def test_a_checkpoint_from_before_there_was_noise_goes_on_without(config, tmp_path, monkeypatch):
    settings = config()
    progress = trainer.start(settings, 64, 3, 80)
    current = checkpoint._comparable

    def former(config: RunConfig) -> dict:
        return {name: section for name, section in current(config).items() if name != "noise"}

    with monkeypatch.context() as past:
        past.setattr(checkpoint, "_comparable", former)
        checkpoint.save(tmp_path / "file", progress, settings)
    checkpoint.load(tmp_path / "file", progress, settings)
    noisy = settings.model_copy(update={"noise": SOME})
    with pytest.raises(CheckpointError, match=r"noise\.depolarising_2q.* changed"):
        checkpoint.load(tmp_path / "file", progress, noisy)
