"""Networks of any shape: equal searches, equal sizes, kept trials, and what the figures rest on."""

import json
from pathlib import Path

import pytest
import torch

from sqsnn.errors import TrainingError
from sqsnn.training.build import build_network, count_trained
from sqsnn_bench.shapes import cycles, memory, nmnist, parity, speed, text, trials
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.versions import Worker

ROOT = Path(__file__).parents[3]
STORED = ROOT / "bench" / "results" / "shapes.json"


def quiet(line):
    assert line


# What is kept


def test_a_figure_is_made_once_and_sections_lie_side_by_side(tmp_path):
    path, made = tmp_path / "figures.json", []
    for section in ("parity", "memory", "parity"):
        kept = Kept(path, section)
        figure = kept.once("group", "name", lambda section=section: made.append(section) or section)
        assert figure == section
    Kept(path, "memory").write({"largest": 3})
    assert made == ["parity", "memory"]
    assert json.loads(path.read_text("utf-8")) == {
        "parity": {"group": {"name": "parity"}},
        "memory": {"group": {"name": "memory"}, "largest": 3},
    }


def test_a_command_that_makes_nothing_says_so_and_leaves_the_file_as_it_is(tmp_path):
    path = tmp_path / "figures.json"
    first = Kept(path, "parity")
    first.once("group", "name", lambda: 1)
    assert first.finish({"machine": "a"}) == str(path)
    before = path.read_bytes()
    again = Kept(path, "parity")
    again.once("group", "name", lambda: 2)
    said = again.finish({"machine": "b"})
    assert said == f"{path}: 1 parts were there before; another --out makes all anew"
    assert path.read_bytes() == before


def test_the_best_rate_by_validation_is_tested_with_each_seed(tmp_path):
    calls = []

    def trial(rate, seed, tests):
        calls.append((rate, seed, tests))
        if rate == 0.03:
            raise TrainingError("the loss is nan")
        return {"rank": [0.9, -rate], "accuracy": 0.8}

    for seeds in (2, 2, 3):  # again, and with a seed more
        trials.compare(Kept(tmp_path / "figures.json", "task"), "model", seeds, trial, quiet)
    searched = [(rate, trials.SEARCH_SEED, False) for rate in trials.LEARNING_RATES]
    assert calls == [*searched, *((0.003, seed, True) for seed in range(3))]
    model = Kept(tmp_path / "figures.json", "task").read()["model"]
    assert [found["accuracy"] for found in trials.tested(model)] == [0.8] * 3


def test_pairs_are_compared_seed_by_seed():
    gain = trials.paired([0.9, 0.8, 0.7], [0.5, 0.6, 0.7])
    assert gain["seeds"] == pytest.approx([0.4, 0.2, 0.0])
    assert (gain["mean"], gain["deviation"]) == pytest.approx((0.2, 0.2))


def test_the_tables_of_the_docs_are_those_of_the_stored_figures():
    pages = ((ROOT / "docs" / page).read_text("utf-8") for page in ("results.md", "performance.md"))
    written = "\n".join(pages)
    blocks = text.tables(STORED).split("\n\n")
    for table in (block.strip() for block in blocks if block.startswith("|")):
        assert table in written
    content = json.loads(STORED.read_text("utf-8"))
    assert content.keys() == {"parity", "nmnist", "memory", "speed"}
    for section in content.values():
        assert section["command"].split(" ../")[0] in written


# Parity


def test_the_target_of_every_step_is_the_parity_of_the_ones_so_far():
    parts = parity.data()
    assert [len(part.values) for part in parts] == [2000, 500, 1000]
    trains, target = parts[2].values, parts[2].targets
    assert trains.shape == target.shape == (1000, 20, 1)
    odd = torch.zeros(1000, 1)
    for t in range(20):
        odd = (odd != trains[:, t]).float()  # a one flips it
        assert torch.equal(target[:, t], odd)


@pytest.mark.parametrize("model", parity.MODELS, ids=lambda model: model.name)
def test_models_of_parity_have_equally_many_parameters(model):
    network = build_network(parity.recipe_of(model, 0.01, 0), 1, 1)
    assert count_trained(network) == pytest.approx(parity.PARAMETERS, rel=0.02)
    assert any(network.leads_back(pathway) for pathway in network.pathways) == model.recurrent


def test_a_trial_of_parity_tests_only_where_it_is_asked_to(monkeypatch):
    sizes = {"TRAIN": 64, "VALIDATION": 32, "TEST": 32, "EPOCHS": 1}
    for name, size in sizes.items():
        monkeypatch.setattr(parity, name, size)
    model = parity.Model("LIF", recurrent=True, local=False)
    searched, tested = (parity.trial(model, 0.01, 0, tests) for tests in (False, True))
    assert {"accuracy_all_steps", "accuracy_last_step"} == tested.keys() - searched.keys()
    assert searched["rank"] == tested["rank"]
    assert 0 <= tested["accuracy_last_step"] <= 1


# N-MNIST


def test_convolutional_networks_have_equally_many_parameters():
    counts = {}
    for model in nmnist.MODELS:
        given = model.settings | nmnist.equal(0.01, 0)
        settings = nmnist.from_flat("nmnist", given)
        grid = (2, 34, 34) if settings.data.pool == 1 else (2, 17, 17)
        counts[model.name] = count_trained(build_network(settings, grid, 10))
    size = counts["convolutional SQS, M=0"]
    assert counts["convolutional LIF"] == pytest.approx(size, rel=0.01)
    assert counts["convolutional SQS, M=1"] == pytest.approx(size, rel=0.02)
    # No width of a dense network comes nearer; the next gives it the advantage.
    assert size < counts["dense SQS, M=0, 10 hidden"] < 1.05 * size
    assert counts["dense SQS, M=0, 64 hidden"] > 6 * size


# Memory and speed


def test_a_step_on_large_events_is_measured(monkeypatch):
    monkeypatch.setattr(memory, "INPUTS", (2, 16, 16))
    found = memory.training_step(2)
    assert 0.1 < found["peak_gb"] < memory.LARGEST  # PyTorch alone takes 0.2
    assert found["cpu_seconds"] > 0


@pytest.mark.parametrize("limit", [48, 100, 128])
def test_the_largest_batch_that_fits_is_found(tmp_path, monkeypatch, limit):
    def measured(batch):
        return {"peak_gb": memory.LARGEST * batch / limit, "cpu_seconds": 1.0}

    monkeypatch.setattr(memory, "_in_a_process", measured)
    kept = Kept(tmp_path / "figures.json", "memory")
    memory.measure_all(kept, quiet)
    found = kept.read()
    assert found["largest_batch"] == limit // 8 * 8
    assert str(memory.SMALLEST_BATCH) in found["batches"]


def test_a_layer_is_timed_with_and_without_a_cycle(tmp_path, monkeypatch):
    monkeypatch.setattr(cycles, "SIZES", ((2, 3, 2),))
    monkeypatch.setattr(cycles, "NEURONS", {"LIF": cycles.NEURONS["LIF"]})
    kept = Kept(tmp_path / "figures.json", "speed")
    cycles.measure_all(kept, 2, quiet)
    assert kept.read()["cycles"].keys() == {"2-3-2, LIF, backprop", "2-3-2, LIF, local"}
    assert all(row["ratio"] > 1 for row in kept.read()["cycles"].values())


class Slowed:
    """A worker of a version whose steps take as many seconds as its checkout says."""

    def __init__(self, checkout, program):
        self.seconds, self.asked = float(str(checkout)), 0
        assert "network(spikes" in program

    def ask(self, request):
        self.asked += request != "go"
        return str(self.seconds * self.asked) if request == "go" else "ready"

    def end(self):
        assert self.asked == len(speed.SIZES) * len(speed.BATCHES) * len(speed.WORK)


def test_a_ratio_is_that_of_the_versions_and_the_older_one_is_equal_to_itself(monkeypatch):
    monkeypatch.setattr(speed, "Worker", Slowed)
    rows = speed.versions(Path("0.004"), Path("0.005"), 3, 2, quiet)
    assert [row["old_ms"] for row in rows] == pytest.approx([4 * n for n in range(1, 13)])
    for row in rows:
        assert row["ratio"] == pytest.approx(1.25)
        assert row["same_version"]["ratio"] == 1


def test_a_worker_takes_steps_of_every_kind():
    worker = Worker(ROOT, speed._WORKER)
    for work in speed.WORK:
        assert worker.ask([[4, 3, 2], 2, work]) == "ready"
        assert float(worker.ask("go")) > 0
    worker.end()
