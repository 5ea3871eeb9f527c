"""Inspecting a run writes what was found, repeats byte for byte, and refuses what it cannot do."""

import json
import shutil

import pytest
import torch
from matplotlib.image import imread
from torch import nn

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.neurons.population import Population
from sqsnn.reports import plots
from sqsnn.training import inspect, run
from sqsnn.training.inspect_config import GradientOptions
from sqsnn.training.run_folder import RunFolder

SMALL = GradientOptions(windows=(9,), repeats=(1,), shots=(3,), draws=2, batch=2)
QUICK = GradientOptions(windows=(1,), repeats=(1,), shots=(1,), max_trials=5, draws=2, batch=2)
FILES = ("gradients.json", "gradients.png")


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """A small run on digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: ())
        return run.begin(config(epochs=1), tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def folder(trained, tmp_path):
    """The same, to do with as one likes."""
    return RunFolder(shutil.copytree(trained.path, tmp_path / "run"))


def test_what_was_found_is_written_and_repeats(folder):
    seen = []
    found = inspect.gradients(folder, SMALL, watch=lambda *told: seen.append(told))
    assert [number for _, number, _ in seen] == [1, 2, 3]
    assert found.neuron_steps == 2 * 4 * 15  # samples, steps, neurons
    content = json.loads((folder.path / "gradients.json").read_text())
    assert content["best_epoch"] == 1
    assert content["windows"] == [9]
    assert content["norm"] == found.norm
    assert [one["shots_per_step"] for one in content["estimates"]] == [
        one.shots_per_step for one in found.estimates
    ]
    by_window = {(one["window"], one["max_trials"]): one for one in content["limits"]}
    assert by_window[9, None]["bias"]["all"] < 1e-5  # float32
    assert imread(folder.path / "gradients.png").shape[1] > 1500
    before = (folder.path / "gradients.json").read_bytes()
    inspect.gradients(folder, SMALL)
    assert (folder.path / "gradients.json").read_bytes() == before


def test_the_best_weights_are_looked_at(folder, monkeypatch):
    from sqsnn.reports import diagnosis

    looked_at = []

    def diagnose(network, spikes, **options):
        looked_at.append(network.state_dict())
        raise KeyboardInterrupt

    monkeypatch.setattr(diagnosis, "diagnose", diagnose)
    with pytest.raises(KeyboardInterrupt):
        inspect.gradients(folder, SMALL)
    best = run.load(folder).network.state_dict()
    for name, weights in looked_at[0].items():
        assert torch.equal(weights, best[name])
    assert not any((folder.path / name).exists() for name in FILES)


def test_a_compiled_run_is_inspected_without_compiling(folder, monkeypatch):
    loaded = run.load(folder)
    for population in loaded.network.populations:
        population.compile_steps = True
    monkeypatch.setattr(run, "load", lambda folder, data_dir: loaded)
    inspect.gradients(folder, QUICK)
    assert not any(population.compile_steps for population in loaded.network.populations)


def test_a_run_on_spike_trains_is_inspected(recall, tmp_path, no_pictures):
    folder = run.begin(recall(epochs=1), tmp_path / "run")
    found = inspect.gradients(folder, QUICK)
    assert found.neuron_steps == 2 * 7 * 10


class Coins(Population):
    """Fires by chance: no circuit."""

    def __init__(self) -> None:
        super().__init__(3)
        self.bias = nn.Parameter(torch.zeros(3))

    @property
    def parameter_like(self):
        return self.bias

    def evolve(self, currents, state, uniforms, observed, keep_memory):
        raise AssertionError("never run")


def test_neurons_that_are_no_circuits_are_refused(folder, monkeypatch):
    loaded = run.load(folder)
    loaded.network.populations[1] = Coins()
    monkeypatch.setattr(run, "load", lambda folder, data_dir: loaded)
    with pytest.raises(ConfigError, match=r"circuits .*layer 2 of this run has Coins"):
        inspect.gradients(folder, SMALL)


def test_more_samples_than_there_are_are_refused(folder):
    options = SMALL.model_copy(update={"batch": 9})
    with pytest.raises(ConfigError, match="batch is 9, but the run has 8 validation samples"):
        inspect.gradients(folder, options)


def test_a_run_without_an_epoch_is_refused(folder):
    folder.best.unlink()
    with pytest.raises(CheckpointError, match="no epoch"):
        inspect.gradients(folder, SMALL)
