"""A run under a device's noise: what is written, what it is compared with, and what is refused."""

import json
import shutil
from dataclasses import asdict
from statistics import fmean, stdev

import pytest
from matplotlib.image import imread
from tools import populations_of, small_run

from sqsnn.errors import ConfigError, HardwareError
from sqsnn.neurons.population import Population
from sqsnn.quantum.noise import Noise
from sqsnn.runs import inspect, loading, run
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.inspect import NoiseOptions
from sqsnn.runs.noise import device_noise
from sqsnn.training import evaluate
from sqsnn.training.build import require_circuit

SMALL = NoiseOptions(strengths=(2.0, 0.0), samples=6, repeats=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> RunFolder:
    """A small run on digits, trained with its own noise."""
    settings = small_run(epochs=1, missed_spike=0.3)
    return run.begin(settings, tmp_path_factory.mktemp("trained") / "run", pictures=False)


@pytest.fixture
def folder(trained, tmp_path) -> RunFolder:
    """A copy of it, to change at will."""
    return RunFolder(shutil.copytree(trained.path, tmp_path / "run"))


def rates_of(folder: RunFolder) -> Noise:
    return device_noise("fake_boston", require_circuit(folder.read_settings()))


def test_the_findings_are_written_and_repeat(folder):
    seen = []
    points = inspect.noise(folder, SMALL, watch=lambda *given: seen.append(given))
    assert seen == [("strength 2", 1, 2), ("strength 0", 2, 2)]
    content = json.loads((folder.path / "noise.json").read_text())
    assert (content["backend"], content["samples"], content["repeats"]) == ("fake_boston", 6, 3)
    assert content["best_epoch"] == 1
    assert content["rates"] == asdict(rates_of(folder))
    assert content["points"] == json.loads(json.dumps([asdict(point) for point in points]))
    for point in points:
        assert len(point.accuracies) == 3
        assert (point.mean, point.deviation) == (fmean(point.accuracies), stdev(point.accuracies))
        # Shares of 6 samples; ties are shared by two or by three classes.
        parts = [36 * accuracy for accuracy in point.accuracies]
        assert parts == pytest.approx([round(part) for part in parts])
    assert imread(folder.path / "noise.png").shape[1] > 1200
    before = (folder.path / "noise.json").read_bytes()
    inspect.noise(folder, SMALL)
    assert (folder.path / "noise.json").read_bytes() == before


def test_every_strength_has_its_noise_alone_and_the_same_samples_and_numbers(folder, monkeypatch):
    seen = []

    def score(network, recipe, values, *, lengths, generator):
        noise = {population.noise for population in populations_of(network)}
        seen.append((noise, values.tolist(), generator.initial_seed()))
        return scores(network, recipe, values, lengths=lengths, generator=generator)

    scores = evaluate.score
    monkeypatch.setattr(evaluate, "score", score)
    inspect.noise(folder, SMALL)
    assert [noise for noise, *_ in seen] == 3 * [{rates_of(folder).scaled(2.0)}] + 3 * [{None}]
    assert [rest for _, *rest in seen[:3]] == [rest for _, *rest in seen[3:]]
    assert len({seed for *_, seed in seen}) == 3


def test_total_noise_makes_every_spike_a_coin(folder, monkeypatch):
    """Means over 200 runs of 8 samples, within 5 standard errors: a false alarm in 10^6."""
    coin = Noise(false_spike=0.5, missed_spike=0.5)
    monkeypatch.setattr(inspect, "device_noise", lambda *args: coin)
    (point,) = inspect.noise(folder, NoiseOptions(strengths=(1.0,), repeats=200))
    samples = json.loads((folder.path / "noise.json").read_text())["samples"]
    assert samples == 8  # all, since there are fewer than 200
    for spikes, neurons in zip(point.spikes_per_sample, (12, 3), strict=True):
        coins = 4 * neurons  # one per step
        assert abs(spikes - coins / 2) < 5 * (coins / 4 / (200 * samples)) ** 0.5
    # A guess without any input is right at most as often as the commonest of the three classes,
    # which has 3 of the 8 samples.
    assert point.mean < 3 / 8 + 5 * (1 / 4 / (200 * samples)) ** 0.5


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"samples": 9}, ConfigError, "samples is 9, but the run has 8 validation samples"),
        ({"backend": "fake_atlantis"}, HardwareError, "fake_atlantis"),
        ({"backend": "aer"}, HardwareError, "reports no"),
    ],
)
def test_wrong_options_are_refused(folder, options, error, said):
    with pytest.raises(error, match=said):
        inspect.noise(folder, NoiseOptions(**options))
    assert not (folder.path / "noise.json").exists()


def test_neurons_too_large_for_density_matrices_are_refused(tmp_path):
    settings = small_run(epochs=1, hidden=(3,), channels=2, memory_qubits=3)
    folder = run.begin(settings, tmp_path / "run", pictures=False)
    with pytest.raises(ConfigError, match=r"neurons have 5 qubits; .* for up to 4"):
        inspect.noise(folder, SMALL)


def test_neurons_that_are_no_circuits_are_refused(folder, monkeypatch):
    class Other(Population):
        pass

    loaded = loading.load(folder)
    populations_of(loaded.network)[1].__class__ = Other
    monkeypatch.setattr(loading, "load", lambda folder, data_dir: loaded)
    with pytest.raises(
        ConfigError, match=r"gates needs .* population 'output' of this run has Other"
    ):
        inspect.noise(folder, SMALL)
