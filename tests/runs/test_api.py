"""`sqsnn.train` and `sqsnn.load`: one line trains, one line loads, and neither leaves a trace."""

import shutil

import numpy as np
import pytest
import torch
from tools import TINY, make_old, populations_of, sizes_of, small_run, stopped

import sqsnn
from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.learning.bit_source import SimulatedBits
from sqsnn.learning.local import Local
from sqsnn.learning.scores import Measured
from sqsnn.learning.signals import Reinforce
from sqsnn.quantum.noise import Noise
from sqsnn.runs import folder as folders
from sqsnn.runs import loading


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "run"
    return sqsnn.train("digits", out=path, rule=Local(signal=Reinforce(samples=2)), **TINY)


def test_a_run_is_trained_tested_and_loaded(trained):
    assert trained.folder.is_finished()
    assert trained.settings.rule == Local(signal=Reinforce(samples=2))
    assert 0 <= trained.metrics["test_accuracy"] <= 1
    assert trained.metrics == trained.folder.read_result()
    assert not trained.network.training
    spikes = torch.ones(2, 1, 64, 1)
    record = trained.network(spikes, generator=torch.Generator().manual_seed(0))
    assert record.layers[-1].spikes.shape == (2, 1, 2, 1)


@pytest.mark.parametrize("kind", [str, None])
def test_loading_needs_no_dataset(trained, monkeypatch, kind):
    monkeypatch.setattr(loading.catalog, "load", None)
    path = trained.folder.path
    loaded = sqsnn.load(path if kind is None else kind(path))
    assert (loaded.settings, loaded.metrics) == (trained.settings, trained.metrics)
    for one, other in zip(loaded.network.parameters(), trained.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_own_images_are_convolved_on_the_grid_that_is_named(tmp_path):
    X = np.random.default_rng(0).random((60, 12))
    X[:, ::4] = 0.0
    words = {"conv": "2c2", "grid": (1, 3, 4), "hidden": (3,), "epochs": 1, "steps": 2}
    made = sqsnn.train(X, np.arange(60) % 2, out=tmp_path / "a", **words)
    made.save(tmp_path / "a.sqsnn")
    again = sqsnn.load(tmp_path / "a.sqsnn")
    assert again.network.population("conv").shape == (2, 2, 3)
    np.testing.assert_array_equal(again.predict(X), made.predict(X))


@pytest.mark.parametrize("neurons", ["lif", "qlif", "published_sqs", "sqs"])
def test_networks_of_any_sizes_come_back_from_their_weights(tmp_path, neurons):
    flat = {**TINY, "hidden": (4, 3), "neurons": neurons}
    flat |= {"channels": 2} if neurons == "sqs" else {}
    trained = sqsnn.train("digits", out=tmp_path / "run", **flat)
    assert sizes_of(trained.network) == (64, 4, 3, 2)
    assert type(populations_of(trained.network)[0]).__name__.lower() in f"{neurons}neurons".replace(
        "_", ""
    )


def test_layers_are_counted_and_not_sorted_by_name(tmp_path):
    flat = {**TINY, "hidden": (3,) * 9 + (5, 4)}
    assert sizes_of(sqsnn.train("digits", out=tmp_path / "run", **flat).network) == (
        64,
        *[3] * 9,
        5,
        4,
        2,
    )


def test_a_run_loads_onto_another_device(trained):
    assert sqsnn.load(trained.folder.path, device="cpu").settings.training.device == "cpu"
    with pytest.raises(ConfigError, match=r"device: .*'cpu' or 'cuda', but is 'tpu'"):
        sqsnn.load(trained.folder.path, device="tpu")


def test_a_running_source_is_refused_because_no_file_can_hold_it(tmp_path):
    rule = Local(score=Measured(source=SimulatedBits()))
    with pytest.raises(ConfigError, match=r"source is a running object, .* name a backend"):
        sqsnn.train("digits", out=tmp_path / "run", rule=rule, **TINY)
    assert not (tmp_path / "run").exists()


def test_a_run_without_a_name_gets_the_next_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        sqsnn.train("digits", noise=Noise(false_spike=0.1), **TINY).folder.path.name == "digits-1"
    )
    assert sqsnn.load("runs/digits-1").settings.neurons.noise == Noise(false_spike=0.1)


def test_a_stopped_run_has_weights_and_no_result_yet(tmp_path):
    folder = stopped(small_run(), tmp_path / "run", epoch=1)
    loaded = sqsnn.load(folder.path)
    assert loaded.metrics == {}
    assert sizes_of(loaded.network) == (64, 12, 3)


def test_threads_of_the_process_are_put_back(tmp_path):
    before = torch.get_num_threads()
    sqsnn.train("digits", out=tmp_path / "run", threads=before + 1, **TINY)
    assert torch.get_num_threads() == before
    with pytest.raises(ValueError, match="99"):
        sqsnn.train("digits", threads=before + 1, **{**TINY, "classes": (1, 99)})
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("dataset", "chosen", "said"),
    [
        ("cifar", {}, "dataset must be one of digits, mnist"),
        ("digits", {"hiden": 3}, "there is no setting hiden; did you mean hidden"),
        ("digits", {"window": 3}, "window is 3, but .*rule 'local' and score 'measured' only"),
        ("digits", {"hidden": (0,)}, "hidden.0: .*greater than or equal to 1, but is 0"),
        ("digits", {"rule": "hebb"}, "rule is 'hebb'; it may be one of backprop, local"),
    ],
)
def test_wrong_settings_are_refused_before_there_is_a_folder(tmp_path, dataset, chosen, said):
    with pytest.raises(ConfigError, match=said):
        sqsnn.train(dataset, out=tmp_path / "run", **chosen)
    assert not (tmp_path / "run").exists()


def test_folders_that_hold_no_trained_network_are_refused(trained, tmp_path):
    with pytest.raises(CheckpointError, match="holds no run"):
        sqsnn.load(tmp_path)
    fresh = folders.create(tmp_path / "fresh", small_run())
    with pytest.raises(CheckpointError, match="no epoch of this run has ended"):
        sqsnn.load(fresh.path)
    old = tmp_path / "old"
    shutil.copytree(trained.folder.path, old)
    make_old(old)
    with pytest.raises(ConfigError, match=r"has format 1 or 2, .* train the network again"):
        sqsnn.load(old)
