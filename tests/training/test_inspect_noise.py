"""A run under a device's noise: what is written, what it is compared with, and what is refused."""

import json
import shutil
from dataclasses import asdict
from statistics import fmean, stdev

import pytest
from matplotlib.image import imread

from sqsnn.errors import ConfigError, HardwareError
from sqsnn.neurons.population import Population
from sqsnn.quantum.noise import Noise
from sqsnn.reports import plots
from sqsnn.training import evaluate, inspect, run
from sqsnn.training.config import ModelConfig
from sqsnn.training.inspect_config import NoiseOptions
from sqsnn.training.neurons import build_circuit
from sqsnn.training.noise import device_noise
from sqsnn.training.noise_config import NoiseConfig
from sqsnn.training.run_folder import RunFolder

SMALL = NoiseOptions(strengths=(2.0, 0.0), samples=6, repeats=3)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """A small run on digits, trained with noise of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: ())
        settings = config(epochs=1).model_copy(update={"noise": NoiseConfig(missed_spike=0.3)})
        return run.begin(settings, tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def folder(trained, tmp_path):
    """The same, to do with as one likes."""
    return RunFolder(shutil.copytree(trained.path, tmp_path / "run"))


def test_what_was_found_is_written_and_repeats(folder):
    seen = []
    points = inspect.noise(folder, SMALL, watch=lambda *told: seen.append(told))
    assert seen == [("strength 2", 1, 2), ("strength 0", 2, 2)]
    content = json.loads((folder.path / "noise.json").read_text())
    assert (content["backend"], content["samples"], content["repeats"]) == ("fake_brisbane", 6, 3)
    assert content["best_epoch"] == 1
    circuit = build_circuit(folder.read_config().model)
    assert content["rates"] == asdict(device_noise("fake_brisbane", circuit))
    assert content["points"] == json.loads(json.dumps([asdict(point) for point in points]))
    for point in points:
        assert len(point.accuracies) == 3
        assert (point.mean, point.deviation) == (fmean(point.accuracies), stdev(point.accuracies))
        assert all((6 * accuracy) % 1 == pytest.approx(0) for accuracy in point.accuracies)
    assert imread(folder.path / "noise.png").shape[1] > 1200
    before = (folder.path / "noise.json").read_bytes()
    inspect.noise(folder, SMALL)
    assert (folder.path / "noise.json").read_bytes() == before


def test_every_strength_has_its_noise_alone_and_the_same_samples_and_numbers(folder, monkeypatch):
    seen = []

    def score(network, encoding, values, *, generator, **options):
        noise = {population.noise for population in network.populations}
        seen.append((noise, values.tolist(), generator.initial_seed(), options["batch_size"]))
        return scores(network, encoding, values, generator=generator, **options)

    scores = evaluate.score
    monkeypatch.setattr(evaluate, "score", score)
    inspect.noise(folder, SMALL)
    rates = device_noise("fake_brisbane", build_circuit(folder.read_config().model))
    assert [noise for noise, *_ in seen] == 3 * [{rates.scaled(2.0)}] + 3 * [{None}]
    assert [rest for _, *rest in seen[:3]] == [rest for _, *rest in seen[3:]]
    assert len({seed for _, _, seed, _ in seen}) == 3


def test_noise_that_is_everything_makes_every_spike_a_coin(folder, monkeypatch):
    """Means over 200 runs of 8 samples, within 5 standard errors: a false alarm in 10^6."""
    coin = Noise(false_spike=0.5, missed_spike=0.5)
    monkeypatch.setattr(inspect, "device_noise", lambda *args: coin)
    options = NoiseOptions(strengths=(1.0,), repeats=200)
    (point,) = inspect.noise(folder, options)
    samples = json.loads((folder.path / "noise.json").read_text())["samples"]
    assert samples == 8  # all, since there are fewer than 200
    for spikes, neurons in zip(point.spikes_per_sample, (12, 3), strict=True):
        coins = 4 * neurons  # one a step
        assert abs(spikes - coins / 2) < 5 * (coins / 4 / (200 * samples)) ** 0.5
    # A guess that does not look at its input is right at most as often as the commonest of the
    # three classes, which has 3 of the 8 samples.
    assert point.mean < 3 / 8 + 5 * (1 / 4 / (200 * samples)) ** 0.5


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"samples": 9}, ConfigError, "samples is 9, but the run has 8 validation samples"),
        ({"backend": "fake_atlantis"}, HardwareError, "fake_atlantis"),
        ({"backend": "aer"}, HardwareError, "reports no"),
    ],
)
def test_what_cannot_be_done_is_refused(folder, options, error, said):
    with pytest.raises(error, match=said):
        inspect.noise(folder, NoiseOptions(**options))
    assert not (folder.path / "noise.json").exists()


def test_neurons_too_large_for_density_matrices_are_refused(config, tmp_path, no_pictures):
    model = ModelConfig(hidden=(3,), channels=2, memory_qubits=3)
    folder = run.begin(config(epochs=1).model_copy(update={"model": model}), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"neurons have 5 qubits; .* for up to 4"):
        inspect.noise(folder, SMALL)


def test_neurons_that_are_no_circuits_are_refused(folder, monkeypatch):
    class Other(Population):
        pass

    loaded = run.load(folder)
    loaded.network.populations[1].__class__ = Other
    monkeypatch.setattr(run, "load", lambda folder, data_dir: loaded)
    with pytest.raises(ConfigError, match=r"gates needs .* layer 2 of this run has Other"):
        inspect.noise(folder, SMALL)
