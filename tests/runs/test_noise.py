"""The noise of a device: read once, written down, and repeated without the device."""

import pytest
from tools import TINY

from sqsnn.errors import ConfigError, HardwareError
from sqsnn.processes import Processes
from sqsnn.quantum.noise import Noise
from sqsnn.runs import noise as noises
from sqsnn.runs import run
from sqsnn.runs.noise import device_noise, settle_noise
from sqsnn.settings.run import from_flat
from sqsnn.training.build import require_circuit


def settings(**chosen):
    return from_flat("digits", {**TINY, **chosen})


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_the_rates_of_a_device_are_written_down_scaled(strength):
    chosen = settings(noise_from="fake_boston", noise_strength=strength)
    assert chosen.needs_rates
    settled = settle_noise(chosen)
    expected = device_noise("fake_boston", require_circuit(chosen)).scaled(strength)
    assert settled.neurons.noise == expected
    assert expected.depolarising_2q > 0
    assert not settled.needs_rates
    assert settled.device_noise == chosen.device_noise
    assert settle_noise(settled) is settled


def test_other_processes_take_the_rates_that_the_first_has_read(monkeypatch):
    # Each reading of a device gives other rates.
    chosen, read = settings(noise_from="fake_boston"), Noise(false_spike=0.01)
    monkeypatch.setattr(noises, "device_noise", lambda *_: Noise(false_spike=0.02))

    class Second(Processes):
        def of_first(self, make):
            return read

    assert settle_noise(chosen, Second(1, 2)).neurons.noise == read


def test_a_run_repeats_without_the_device(tmp_path, monkeypatch):
    chosen = settings(noise_from="fake_boston", noise_strength=2)
    folder = run.begin(chosen, tmp_path / "run", pictures=False)
    monkeypatch.setattr(noises, "device_noise", None)
    saved = folder.read_settings()
    again = run.begin(saved, tmp_path / "again", pictures=False)
    for name in ("config.toml", "metrics.jsonl", "metrics.json", "best.safetensors"):
        assert (folder.path / name).read_bytes() == (again.path / name).read_bytes()


def test_settings_that_name_no_device_stay_as_they_are():
    for chosen in (settings(), settings(false_spike=0.1)):
        assert settle_noise(chosen) is chosen
    assert settings(false_spike=0.1).neurons.noise == Noise(false_spike=0.1)


def test_rates_that_do_not_fit_the_neurons_are_refused_in_our_words():
    with pytest.raises(ConfigError, match="density matrices take up to 4 qubits") as refused:
        settle_noise(settings(noise_from="fake_boston", memory_qubits=4))
    assert "pydantic" not in str(refused.value)


@pytest.mark.parametrize(
    ("device", "said"),
    [("aer", "aer reports no error rates; .* e.g. fake_boston"), ("fake_atlantis", "fake_at")],
)
def test_devices_without_rates_are_refused_before_there_is_a_folder(tmp_path, device, said):
    with pytest.raises(HardwareError, match=said):
        run.begin(settings(noise_from=device), tmp_path / "run")
    assert not (tmp_path / "run").exists()
