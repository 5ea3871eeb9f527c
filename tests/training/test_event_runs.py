"""Runs on events, from files that the test writes to the result: one channel and two."""

import json

import event_files
import pytest
import torch

from sqsnn.data import catalog
from sqsnn.training import run
from sqsnn.training.build import Purpose, binning, encode, seeded
from sqsnn.training.config import DataOptions, ModelConfig, Recipe, TrainingConfig, for_dataset


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings of a run on a small N-MNIST."""
    monkeypatch.setenv("SQSNN_CACHE", str(tmp_path / "cache"))
    event_files.write_nmnist(tmp_path / "data", train=15, test=3)

    def make(channels, epochs=3, **options):
        return for_dataset(
            "nmnist",
            DataOptions(data_dir=tmp_path / "data", **options),
            Recipe(
                model=ModelConfig(hidden=(8,), channels=channels),
                training=TrainingConfig(epochs=epochs, batch_size=32),
            ),
        )

    return make


@pytest.mark.parametrize("channels", [1, 2])
def test_a_run_on_events_is_trained_tested_and_tested_again(settings, tmp_path, channels):
    config = settings(channels, pool=4)
    folder = run.begin(config, tmp_path / "run")
    result = json.loads(folder.result.read_text())
    assert result["test_samples"] == 30
    saved = folder.read_config()
    assert saved.data.source == "N-MNIST, 150-recording subset"
    assert saved.data.polarity == ("sum", "channels")[channels - 1]
    assert (folder.path / "raster.png").is_file()
    again = run.evaluate_run(folder, 1, None)
    assert again["test_accuracy"] == result["test_accuracy"]


@pytest.mark.slow
def test_a_network_learns_digits_that_lie_apart(settings, tmp_path, no_pictures):
    """Each digit has pixels of its own, so that nothing but learning is in the way: chance is 0.1,
    and 30 samples named at random reach 0.5 with probability below 1e-7."""
    folder = run.begin(settings(1, epochs=12, pool=3), tmp_path / "run")
    assert json.loads(folder.result.read_text())["test_accuracy"] > 0.5


@pytest.mark.parametrize("channels", [1, 2])
def test_a_batch_of_events_goes_to_the_network_as_it_was_binned(settings, channels):
    config = settings(channels)
    data = catalog.load("nmnist", data_dir=config.data.data_dir, binning=binning(config))
    values = data.train.values[:5]
    spikes = encode(config.encoding, values, generator=seeded(0, Purpose.TRAINING))
    assert spikes.shape == (10, 5, 289, channels)
    assert data.channels == channels
    assert torch.equal(spikes.movedim(1, 0).reshape(values.shape), values)


def test_other_recordings_are_another_source(settings, tmp_path, no_pictures):
    folder = run.begin(settings(1, epochs=1), tmp_path / "run")
    event_files.write_nmnist(tmp_path / "data", train=16, test=3)
    with pytest.raises(ValueError, match=r"150-recording subset, but here lies .*160-recording"):
        run.load(folder)
