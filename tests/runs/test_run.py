"""A run folder is complete, repeats byte for byte, and goes on after any stop."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import event_files
import pytest
import torch
from tools import make_old, small_run, stopped

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.ownership import owned
from sqsnn.processes import Processes
from sqsnn.runs import folder as folders
from sqsnn.runs import loading, run
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import RunSettings, from_flat
from sqsnn.settings.toml import to_toml
from sqsnn.training import evaluate
from sqsnn.training.build import Purpose, seeded

REPEATED = ("metrics.jsonl", "metrics.json", "best.safetensors", "checkpoint.safetensors")
PICTURES = [
    "circuit-output.png",
    "circuit.png",
    "confusion-matrix.png",
    "learning-curve.png",
    "raster.png",
]
ACCURACIES = ("accuracy", "accuracy_ties_by_probability", "accuracy_probability")


def contents(folder: RunFolder) -> dict[str, bytes]:
    return {name: (folder.path / name).read_bytes() for name in REPEATED}


def recall(**chosen: Any) -> RunSettings:
    """Settings of a small run on spike trains."""
    small = {"hidden": (8,), "train_samples": 200, "test_samples": 100}
    return from_flat("recall", {**small, **chosen})


def begun(settings: RunSettings, path: Path) -> RunFolder:
    return run.begin(settings, path, pictures=False)


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory) -> RunFolder:
    """A run that was never interrupted, to compare with."""
    return begun(small_run(), tmp_path_factory.mktemp("never") / "run")


@pytest.fixture
def whole(never_stopped, tmp_path) -> RunFolder:
    """A copy of it, to change at will."""
    return RunFolder(shutil.copytree(never_stopped.path, tmp_path / "whole"))


# What a run leaves behind


def test_a_run_leaves_everything_behind(tmp_path):
    folder = run.begin(small_run(epochs=1), tmp_path / "run")
    files = [".lock", "best.safetensors", "checkpoint.safetensors", "config.toml", "timing.json"]
    files += ["metrics.json", "metrics.jsonl", "preparation.json", *PICTURES]
    assert sorted(os.listdir(folder.path)) == sorted(files)
    (line,) = folder.read_metrics()
    assert set(line) == {
        "epoch",
        "train_loss",
        "train_accuracy",
        "gradient_norm",
        "learning_rate",
        "validation_loss",
        *(f"validation_{name}" for name in ACCURACIES),
        "spikes_per_sample",
    }
    result = folder.read_result()
    assert result["parameters"] == sum(p.numel() for p in loading.load(folder).network.parameters())
    assert result["test_samples"] == 40
    assert all(0 <= result[f"test_{name}"] <= 1 for name in ACCURACIES)
    assert len(result["spikes_per_sample"]) == 2
    assert folder.read_settings().data.source == "scikit-learn"
    assert json.loads(folder.timing.read_text())["training_seconds"] > 0


def test_the_accuracy_is_that_of_spikes_alone(whole):
    tested = loading.test(loading.load(whole))
    counts, labels = tested.answers.counts, tested.samples.targets
    shares = [
        (row[label] == row.max()).item() / int((row == row.max()).sum())
        for row, label in zip(counts, labels, strict=True)
    ]
    result = whole.read_result()
    assert result["test_accuracy"] == pytest.approx(sum(shares) / len(shares))
    by_probability = tested.answers.probabilities.argmax(1) == labels
    assert result["test_accuracy_probability"] == by_probability.double().mean()
    named = (
        counts + tested.answers.probabilities / (1 + tested.answers.probabilities.max())
    ).argmax(1)
    assert result["test_accuracy_ties_by_probability"] == (named == labels).double().mean()
    assert any(share not in (0, 1) for share in shares)  # the three figures differ by ties


def test_a_run_whose_pictures_fail_is_finished(tmp_path, monkeypatch):
    seen = []

    class Follow(run.Watcher):
        def result(self, folder):
            seen.append(folder.read_result()["test_samples"])

    def fail(*args):
        raise MemoryError("no memory for a picture")

    monkeypatch.setattr(run, "draw_run", fail)
    with pytest.raises(MemoryError):
        run.begin(small_run(epochs=1), tmp_path / "run", Follow())
    assert seen == [folders.find(tmp_path / "run").read_result()["test_samples"]]


def test_the_result_is_that_of_the_best_weights(whole):
    best = max(
        whole.read_metrics(),
        key=lambda line: (
            line["validation_accuracy"],
            line["validation_accuracy_probability"],
            -line["validation_loss"],
        ),
    )
    assert loading.load(whole).epoch == whole.read_result()["best_epoch"] == best["epoch"]


def test_the_test_set_is_read_once_and_last(tmp_path, monkeypatch):
    order: list[object] = []
    load = loading.catalog.load

    def spy(*args, **given):
        dataset = load(*args, **given)
        read = dataset.load_test
        object.__setattr__(dataset, "load_test", lambda: order.append("test") or read())
        return dataset

    class Follow(run.Watcher):
        def epoch(self, epoch, progress):
            order.append(epoch.metrics["epoch"])

    monkeypatch.setattr(loading.catalog, "load", spy)
    run.begin(small_run(), tmp_path / "run", Follow(), pictures=False)
    assert order == [1, 2, 3, "test"]


def test_folders_are_found_from_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = run.begin(small_run(epochs=1, data_dir="there"), None, pictures=False)
    assert folder.path == Path("runs/digits-1")
    assert folder.read_settings().data.data_dir == tmp_path / "there"


# Stopped, and gone on


def test_the_same_seed_gives_the_same_bytes(whole, tmp_path):
    assert contents(begun(small_run(), tmp_path / "again")) == contents(whole)


@pytest.mark.parametrize("place", [(1, 2), (2, 1), (2, None), (3, None)])
def test_a_stopped_run_goes_on_bit_for_bit(never_stopped, tmp_path, place):
    folder = stopped(small_run(), tmp_path / "stopped", *place)
    assert not folder.is_finished()
    run.resume(folder, pictures=False)
    assert contents(folder) == contents(never_stopped)
    assert len(folder.read_timing(9)) == 9 and None not in folder.read_timing(3)
    assert list(folder.path.glob("*.png")) == []


@pytest.mark.parametrize("place", [(1, 2), (2, 1)])
def test_a_stopped_run_on_spike_trains_goes_on_bit_for_bit(tmp_path, place):
    whole = begun(recall(epochs=2), tmp_path / "whole")
    folder = stopped(recall(epochs=2), tmp_path / "stopped", *place)
    run.resume(folder, pictures=False)
    assert contents(folder) == contents(whole)


def test_a_line_without_its_checkpoint_is_done_again(never_stopped, tmp_path, monkeypatch):
    saved = []

    def save_once(*args):
        if saved:
            raise KeyboardInterrupt
        saved.append(save(*args))

    save = run.checkpoint.save
    with monkeypatch.context() as patch:
        patch.setattr(run.checkpoint, "save", save_once)
        folder = stopped(small_run(), tmp_path / "stopped", epoch=3)
    assert folder.metrics.read_bytes().count(b"\n") == 2  # one more than the checkpoint knows
    assert len(folder.read_metrics()) == 1
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 3, "train_lo')  # torn
    run.resume(folder, pictures=False)
    assert contents(folder) == contents(never_stopped)


def test_the_best_weights_come_from_the_checkpoint(whole):
    before = contents(whole)
    whole.result.unlink()
    whole.best.unlink()
    run.resume(whole, pictures=False)
    assert contents(whole) == before


@pytest.mark.parametrize("how", ["begin", "resume"])
def test_a_run_that_another_process_trains_is_left_alone(whole, tmp_path, how):
    whole.result.unlink()
    before = whole.checkpoint.read_bytes()
    path = whole.path if how == "resume" else tmp_path / "new"
    with ThreadPoolExecutor(1) as pool, owned(path):
        go_on = run.resume if how == "resume" else begun
        given = (whole,) if how == "resume" else (small_run(), path)
        refused = pool.submit(go_on, *given).exception()
    assert re.search(f"{path} is in use by process {os.getpid()} on", str(refused))
    assert isinstance(refused, ConfigError)
    assert whole.checkpoint.read_bytes() == before
    assert (tmp_path / "new").exists() is False


def test_what_a_killed_write_left_is_removed_on_resuming(whole):
    whole.result.unlink()
    left = whole.path / f".checkpoint.safetensors.{'0' * 32}.part"
    left.write_bytes(b"half")
    run.resume(whole, pictures=False)
    assert whole.is_finished()
    assert not left.exists()


def test_a_killed_process_goes_on_bit_for_bit(tmp_path):
    settings = small_run(epochs=2, batch_size=6)  # many steps, so that it is hit between two
    expected = begun(settings, tmp_path / "never-stopped")
    folder = RunFolder(tmp_path / "killed")
    code = f"""
from pathlib import Path
from sqsnn.runs import loading, run, loading
from sqsnn.settings.toml import from_toml
run.begin(from_toml({to_toml(settings)!r}, "here"), Path({str(folder.path)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        while not (folder.metrics.is_file() and folder.metrics.read_bytes().endswith(b"\n")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        time.sleep(0.03)  # into the second epoch
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not folder.is_finished()
    run.resume(folder, pictures=False)
    assert contents(folder) == contents(expected)


def test_changed_settings_are_not_resumed(tmp_path):
    folder = stopped(small_run(), tmp_path / "run", 2, 1)
    before = folder.metrics.read_bytes()
    folder.config.write_text(folder.config.read_text().replace("seed = 0", "seed = 1"))
    with pytest.raises(CheckpointError, match=r"settings: training.seed changed in config\.toml"):
        run.resume(folder)
    assert folder.metrics.read_bytes() == before


@pytest.mark.parametrize("damage", ["checkpoint", "metrics"])
def test_a_damaged_folder_is_not_resumed(tmp_path, damage):
    folder = stopped(small_run(), tmp_path / "run", epoch=2)
    path = getattr(folder, damage)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="damaged"):
        run.resume(folder)


def test_a_folder_of_the_old_format_is_refused_everywhere(whole):
    make_old(whole.path)
    before = contents(whole)
    for use in (
        lambda: run.resume(whole),
        lambda: loading.load(whole),
        lambda: loading.evaluate_run(whole, 1, None),
    ):
        with pytest.raises(ConfigError, match=r"has format 1 or 2, .* train the network again"):
            use()
    assert contents(whole) == before
    assert not (whole.path / "evaluation.json").exists()


# Evaluated again


def test_evaluating_again_gives_the_result_of_the_run(whole):
    result = whole.read_result()
    figures = loading.evaluate_run(whole, shots=1, data_dir=None)
    del result["costs"]  # counted once
    assert figures == {"shots": 1, **result}
    assert json.loads((whole.path / "evaluation.json").read_text()) == figures


def test_more_shots_are_written_beside(whole):
    figures = loading.evaluate_run(whole, shots=5, data_dir=None)
    assert json.loads((whole.path / "evaluation-shots-5.json").read_text()) == figures
    assert figures["shots"] == 5
    # Per shot, so about what one shot gives.
    one = whole.read_result()["spikes_per_sample"]
    assert figures["spikes_per_sample"] == pytest.approx(one, rel=0.2)
    with pytest.raises(ValueError, match="shots must be an integer of at least 1"):
        loading.evaluate_run(whole, shots=0, data_dir=None)


def test_a_run_without_an_epoch_cannot_be_evaluated(tmp_path):
    folder = folders.create(tmp_path / "run", small_run())
    with pytest.raises(CheckpointError, match="no epoch of this run has ended"):
        loading.evaluate_run(folder, shots=1, data_dir=None)


def test_the_test_must_come_from_the_source_of_the_training(whole, monkeypatch):
    other = replace(run.prepare(whole.read_settings())[1], source="usps.h5")
    monkeypatch.setattr(loading.catalog, "load", lambda *_, **__: other)
    with pytest.raises(ConfigError, match=r"trained on digits from scikit-learn .* usps\.h5"):
        loading.evaluate_run(whole, shots=1, data_dir=None)


@pytest.mark.parametrize("wrong", ["circuit", "classes", "folder"])
def test_refused_settings_leave_no_folder_behind(tmp_path, wrong):
    out = tmp_path / "run"
    if wrong == "folder":
        out.mkdir()
        (out / "notes").touch()
    changes = {"classes": {"classes": (1, 99)}, "circuit": {"circuit": "transmon"}}
    with pytest.raises(ValueError, match=r"transmon|99|empty"):
        run.begin(small_run(**changes.get(wrong, {})), out)
    assert not (out / "config.toml").exists()


# Threads


def test_processes_with_other_data_are_refused():
    class Second(Processes):
        def of_first(self, make):
            return "elsewhere"

    said = "process 1 has digits from .*, but process 0 from elsewhere, which has other values"
    with pytest.raises(ConfigError, match=said):
        run.prepare(from_flat("digits", {}), Second(1, 2))


def test_threads_are_those_of_the_settings_and_are_put_back(tmp_path, monkeypatch):
    before, seen = torch.get_num_threads(), []
    score, step = evaluate.score, run.Watcher.step
    with monkeypatch.context() as patch:
        patch.setattr(
            evaluate,
            "score",
            lambda *args, **given: seen.append(torch.get_num_threads()) or score(*args, **given),
        )
        patch.setattr(
            run.Watcher,
            "step",
            lambda *args: seen.append(torch.get_num_threads()) or step(*args),
        )
        folder = stopped(small_run(threads=before + 2, epochs=2), tmp_path / "run", epoch=1)
        assert torch.get_num_threads() == before
        run.resume(folder, pictures=False)
        assert torch.get_num_threads() == before
        loading.evaluate_run(folder, 1, None)
    assert torch.get_num_threads() == before
    assert set(seen) == {before + 2}


# Runs on events


@pytest.fixture
def on_events(tmp_path, monkeypatch):
    """Settings of a run on a small N-MNIST."""
    monkeypatch.setenv("SQSNN_CACHE", str(tmp_path / "cache"))
    event_files.write_nmnist(tmp_path / "data", train=15, test=3)

    def make(channels: int, **chosen: Any) -> RunSettings:
        small = {"data_dir": tmp_path / "data", "hidden": (8,), "epochs": 3, "batch_size": 32}
        return from_flat("nmnist", {**small, "channels": channels, **chosen})

    return make


@pytest.mark.parametrize("channels", [1, 2])
def test_a_run_on_events_is_trained_tested_and_tested_again(on_events, tmp_path, channels):
    folder = run.begin(on_events(channels, pool=4), tmp_path / "run")
    result = folder.read_result()
    assert result["test_samples"] == 30
    saved = folder.read_settings()
    assert saved.data.source == "N-MNIST, 150-recording subset"
    assert saved.data.polarity == ("sum", "channels")[channels - 1]
    assert (folder.path / "raster.png").is_file()
    again = loading.evaluate_run(folder, 1, None)
    assert again["test_accuracy"] == result["test_accuracy"]


@pytest.mark.slow
def test_a_network_learns_digits_that_lie_apart(on_events, tmp_path):
    """Each digit has its own pixels, so that only learning is tested.

    Chance is 0.1, and 30 samples named at random reach 0.5 with probability below 1e-7.
    """
    folder = begun(on_events(1, epochs=12, pool=3), tmp_path / "run")
    assert folder.read_result()["test_accuracy"] > 0.5


@pytest.mark.parametrize("channels", [1, 2])
def test_a_batch_of_events_goes_to_the_network_as_it_was_binned(on_events, channels):
    settled, data = run.prepare(on_events(channels))
    values = data.train.values[:5]
    spikes = settled.encoding.encode(values, generator=seeded(0, Purpose.TRAINING))
    assert spikes.shape == (10, 5, 289, channels)
    assert torch.equal(spikes.movedim(1, 0).reshape(values.shape), values)


def test_other_recordings_are_another_source(on_events, tmp_path):
    folder = begun(on_events(1, epochs=1), tmp_path / "run")
    event_files.write_nmnist(tmp_path / "data", train=16, test=3)
    with pytest.raises(ConfigError, match=r"150-recording .* here lies .*160-recording"):
        loading.load(folder)
