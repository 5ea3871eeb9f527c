"""The costs of a run are those of the spikes of its own test."""

import json

import pytest
import torch

from sqsnn.data.catalog import Samples
from sqsnn.training import costs, inspect, run


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """A small run on digits."""
    path = tmp_path_factory.mktemp("finished") / "run"
    return run.begin(config(epochs=1, batch_size=12), path, pictures=False)  # 40 samples: filling


def test_a_run_writes_the_costs_of_its_test(finished):
    result = finished.read_result()
    counted = result["costs"]
    assert counted["samples"] == result["test_samples"] == 40
    emitted = [layer["spikes_emitted"] for layer in counted["layers"]]
    # Sums of whole numbers, divided by the same number.
    assert emitted == pytest.approx(result["spikes_per_sample"], rel=1e-12)
    assert counted["total"]["spikes_emitted"] == pytest.approx(sum(emitted), rel=1e-12)
    assert counted["total"]["measurements"] == 4 * (12 + 3)
    assert counted["total"]["circuit_gates"] == {"CRX": 4 * 15 * 2, "RX": 4 * 15 * 2}


def test_no_more_samples_are_counted_than_are_needed(finished, monkeypatch):
    monkeypatch.setattr(costs, "COST_SAMPLES", 15)
    loaded = run.load(finished)
    _, samples = run.score_test(loaded)

    def count(chosen):
        generator = torch.Generator().manual_seed(1)
        return costs.of_test(loaded.config, loaded.network, chosen, generator)

    counted = count(samples)
    assert counted.samples == 14  # every third of 40
    assert count(samples) == counted
    # From all over the test, since its samples may lie ordered by class.
    assert count(Samples(samples.values[::3], samples.labels[::3])) == counted


def test_inspecting_counts_what_the_run_counted(finished):
    found = inspect.costs(finished)
    content = json.loads((finished.path / "costs.json").read_text())
    assert content == {"best_epoch": 1, **finished.read_result()["costs"]}
    assert json.loads(json.dumps(found.as_dict())) == finished.read_result()["costs"]
