"""The diagnosis of a run is written, repeats byte for byte, and refuses what it cannot do."""

import json
import shutil

import pytest
import torch
from matplotlib.image import imread

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.runs import loading, run
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import for_dataset
from sqsnn_bench.gradients import run as inspecting
from sqsnn_bench.gradients.options import GradientOptions
from sqsnn_bench.gradients.run import diagnose_run

SMALL = GradientOptions(windows=(9,), repeats=(1,), shots=(3,), draws=2, batch=2)
QUICK = GradientOptions(windows=(1,), repeats=(1,), shots=(1,), max_trials=5, draws=2, batch=2)


def trained(dataset, path, hidden, data, **sections):
    """Train for one epoch."""
    given = {"hidden": hidden, "data": data, "training": {"epochs": 1}, **sections}
    return run.begin(for_dataset(dataset, given), path, pictures=False)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A small run on digits."""
    data = {"classes": [0, 1, 2], "train_samples": 80, "test_samples": 40}
    path = tmp_path_factory.mktemp("trained") / "run"
    return trained("digits", path, [12], data, encoding={"steps": 4})


@pytest.fixture
def folder(digits, tmp_path):
    """A copy of it, free to be changed."""
    return RunFolder(shutil.copytree(digits.path, tmp_path / "run"))


def test_the_diagnosis_is_written_and_repeats(folder):
    seen = []
    found = diagnose_run(folder, SMALL, watch=lambda *arguments: seen.append(arguments))
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
    diagnose_run(folder, SMALL)
    assert (folder.path / "gradients.json").read_bytes() == before


def test_the_best_weights_are_diagnosed(folder, monkeypatch):
    states = []

    def diagnose(network, spikes, **options):
        states.append(network.state_dict())
        raise KeyboardInterrupt

    monkeypatch.setattr(inspecting.diagnosis, "diagnose", diagnose)
    with pytest.raises(KeyboardInterrupt):
        diagnose_run(folder, SMALL)
    best = loading.load(folder).network.state_dict()
    for name, weights in states[0].items():
        assert torch.equal(weights, best[name])
    assert not (folder.path / "gradients.json").exists()


def test_a_run_on_spike_trains_is_diagnosed(tmp_path):
    data = {"train_samples": 200, "test_samples": 100}
    folder = trained("recall", tmp_path / "run", [8], data)
    assert diagnose_run(folder, QUICK).neuron_steps == 2 * 7 * 10


def test_frozen_gates_have_a_gradient_like_any_other(tmp_path):
    data = {"train_samples": 200, "test_samples": 100}
    neurons = {"circuit": "integrate_and_fire", "memory_gates": "frozen"}
    folder = trained("recall", tmp_path / "run", [8], data, neurons=neurons)
    found = diagnose_run(folder, SMALL)
    assert found.norm["memory gates"] > 0
    assert found.norm["gains"] > 0
    (limit, _) = found.limits
    assert all(bias < 1e-4 for bias in limit.bias.values())


def test_more_samples_than_there_are_are_refused(folder):
    options = SMALL.model_copy(update={"batch": 9})
    with pytest.raises(ConfigError, match="batch is 9, but the run has 8 validation samples"):
        diagnose_run(folder, options)


def test_a_run_without_an_epoch_is_refused(folder):
    folder.best.unlink()
    with pytest.raises(CheckpointError, match="no epoch"):
        diagnose_run(folder, SMALL)
