"""A run folder is complete, repeats byte for byte, and goes on after any stop."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.reports import plots
from sqsnn.training import config as configs
from sqsnn.training import run, run_folder
from sqsnn.training.run_folder import RunFolder

REPEATED = ("metrics.jsonl", "metrics.json", "best.safetensors", "checkpoint.safetensors")


def contents(folder: RunFolder) -> dict[str, bytes]:
    return {name: (folder.path / name).read_bytes() for name in REPEATED}


class StopAt(run.Watcher):
    """Pulls the plug at a training step, or once an epoch has been told."""

    def __init__(self, epoch: int, batch: int | None = None):
        self.place = (epoch, batch)

    def step(self, step):
        if (step.epoch, step.batch) == self.place:
            raise KeyboardInterrupt

    def epoch(self, epoch):
        if (epoch.metrics["epoch"], None) == self.place:
            raise KeyboardInterrupt


def begun_without_pictures(settings, path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: ())
        return run.begin(settings, path)


@pytest.fixture(scope="module")
def never_stopped(config, tmp_path_factory):
    """A run that nobody interrupted, to compare with."""
    return begun_without_pictures(config(), tmp_path_factory.mktemp("never") / "run")


@pytest.fixture
def whole(never_stopped, no_pictures, tmp_path):
    """The same, to do with as one likes."""
    return RunFolder(shutil.copytree(never_stopped.path, tmp_path / "whole"))


def test_a_run_leaves_everything_behind(config, tmp_path):
    folder = run.begin(config(epochs=1), tmp_path / "run")
    assert sorted(os.listdir(folder.path)) == [
        "best.safetensors",
        "checkpoint.safetensors",
        "circuit.png",
        "config.toml",
        "confusion-matrix.png",
        "learning-curve.png",
        "metrics.json",
        "metrics.jsonl",
        "raster.png",
        "timing.json",
    ]
    (line,) = folder.read_metrics()
    assert set(line) == {
        "epoch",
        "train_loss",
        "train_accuracy",
        "gradient_norm",
        "learning_rate",
        "validation_loss",
        "validation_accuracy",
        "validation_accuracy_probability",
        "validation_accuracy_spikes",
        "spikes_per_sample",
    }
    result = folder.read_result()
    network = run.load(folder).network
    assert result["parameters"] == sum(p.numel() for p in network.parameters())
    assert result["test_samples"] == 40
    assert 0 <= result["test_accuracy"] <= 1
    assert 0 <= result["test_accuracy_probability"] <= 1
    assert len(result["spikes_per_sample"]) == 2
    settled = folder.read_config()
    assert settled.data.source == "scikit-learn"
    assert json.loads(folder.timing.read_text())["training_seconds"] > 0


def test_a_run_without_pictures_is_the_same_otherwise(config, never_stopped, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run.begin(config(), tmp_path / "run", StopAt(2), pictures=False)
    folder = run_folder.find(tmp_path / "run")
    run.resume(folder, pictures=False)
    assert contents(folder) == contents(never_stopped)
    assert list(folder.path.glob("*.png")) == []


def test_a_run_on_spike_trains_ends_with_pictures_and_a_result(recall, tmp_path):
    settings = recall(epochs=1)
    folder = run.begin(settings, tmp_path / "run")
    assert folder.is_finished()
    assert {path.name for path in folder.path.glob("*.png")} == {
        "circuit.png",
        "confusion-matrix.png",
        "learning-curve.png",
        "raster.png",
    }
    assert folder.read_result()["test_samples"] == 100
    settled = folder.read_config()
    assert settled.data.source == "generated, delay 5"
    assert settled.readout.report_steps == 1
    loaded = run.load(folder)
    scores, _ = run.score_test(loaded)
    assert scores.counts.max() == 1  # of one step and one channel


def test_the_picture_tells_what_was_predicted_in_the_report(recall, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: seen.update(kwargs))
    run.begin(recall(epochs=1), tmp_path / "run")
    assert seen["input_spikes"].shape == (7, 64, 3, 1)
    last = seen["run"].layers[-1]
    score = last.spikes[-1, 0, :, 0] + last.probability[-1, 0, :, 0] / 2
    assert seen["prediction"] == int(score.argmax())


@pytest.mark.parametrize("place", [(1, 2), (2, 1)])
def test_a_stopped_run_on_spike_trains_goes_on_bit_for_bit(recall, no_pictures, tmp_path, place):
    whole = run.begin(recall(epochs=2), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run.begin(recall(epochs=2), tmp_path / "stopped", StopAt(*place))
    folder = run_folder.find(tmp_path / "stopped")
    run.resume(folder)
    assert contents(folder) == contents(whole)


def test_the_same_seed_gives_the_same_bytes(whole, config, tmp_path):
    again = run.begin(config(), tmp_path / "again")
    assert contents(again) == contents(whole)


@pytest.mark.parametrize("place", [(1, 2), (2, 1), (3, None)])
def test_a_stopped_run_goes_on_bit_for_bit(whole, config, tmp_path, place):
    path = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run.begin(config(), path, StopAt(*place))
    folder = run_folder.find(path)
    assert not folder.is_finished()
    run.resume(folder)
    assert contents(folder) == contents(whole)
    assert len(folder.read_timing()) == 3


def test_a_line_without_its_checkpoint_is_done_again(whole, config, tmp_path, monkeypatch):
    path = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        saves = iter([run.checkpoint.save])

        def save_once(*args):
            try:
                next(saves)(*args)
            except StopIteration:
                raise KeyboardInterrupt from None

        patch.setattr(run.checkpoint, "save", save_once)
        with pytest.raises(KeyboardInterrupt):
            run.begin(config(), path)
    folder = run_folder.find(path)
    assert len(folder.read_metrics()) == 2  # one more than the checkpoint knows
    run.resume(folder)
    assert contents(folder) == contents(whole)


def test_the_best_weights_come_from_the_checkpoint(whole):
    before = contents(whole)
    whole.result.unlink()
    whole.best.unlink()
    run.resume(whole)
    assert contents(whole) == before


def test_the_test_set_is_read_once_and_last(config, no_pictures, tmp_path, monkeypatch):
    order = []
    load = run.catalog.load

    def spy(*args, **kwargs):
        dataset = load(*args, **kwargs)
        object.__setattr__(dataset, "load_test", _told(dataset.load_test, order, "test"))
        return dataset

    class Told(run.Watcher):
        def epoch(self, epoch):
            order.append(epoch.metrics["epoch"])

    monkeypatch.setattr(run.catalog, "load", spy)
    run.begin(config(), tmp_path / "run", Told())
    assert order == [1, 2, 3, "test"]


def _told(function, order, name):
    def told():
        order.append(name)
        return function()

    return told


def test_the_result_is_that_of_the_best_weights(whole):
    loaded = run.load(whole)
    best = max(
        whole.read_metrics(),
        key=lambda line: (
            line["validation_accuracy"],
            line["validation_accuracy_probability"],
            -line["epoch"],
        ),
    )
    assert loaded.epoch == whole.read_result()["best_epoch"] == best["epoch"]


def test_evaluating_again_gives_the_result_of_the_run(whole):
    result = whole.read_result()
    figures = run.evaluate_run(whole, shots=1, data_dir=None)
    del result["costs"]  # counted once
    assert figures == {"shots": 1, **result}
    assert json.loads((whole.path / "evaluation.json").read_text()) == figures


def test_more_shots_are_written_beside(whole):
    figures = run.evaluate_run(whole, shots=5, data_dir=None)
    assert json.loads((whole.path / "evaluation-shots-5.json").read_text()) == figures
    assert figures["shots"] == 5
    # Per shot, so about what one shot gives.
    one = whole.read_result()["spikes_per_sample"]
    assert figures["spikes_per_sample"] == pytest.approx(one, rel=0.2)
    with pytest.raises(ValueError, match="shots must be an integer of at least 1"):
        run.evaluate_run(whole, shots=0, data_dir=None)


def test_a_run_without_an_epoch_cannot_be_evaluated(config, tmp_path):
    folder = run_folder.create(tmp_path / "run", config())
    with pytest.raises(CheckpointError, match="no epoch of this run has ended"):
        run.evaluate_run(folder, shots=1, data_dir=None)


@pytest.mark.parametrize("wrong", ["circuit", "classes", "folder"])
def test_what_is_refused_leaves_no_folder_behind(config, tmp_path, wrong):
    settings, out = config(), tmp_path / "run"
    if wrong == "circuit":
        model = settings.model.model_copy(update={"circuit": "transmon"})
        settings = settings.model_copy(update={"model": model})
    elif wrong == "classes":
        data = settings.data.model_copy(update={"classes": (1, 99)})
        settings = settings.model_copy(update={"data": data})
    else:
        out.mkdir()
        (out / "notes").touch()
    with pytest.raises(ValueError, match=r"transmon|99|empty"):
        run.begin(settings, out)
    assert not (out / "config.toml").exists()


def test_the_test_must_come_from_the_source_of_the_training(whole):
    text = whole.config.read_text()
    whole.config.write_text(text.replace('source = "scikit-learn"', 'source = "usps.h5"'))
    with pytest.raises(ConfigError, match=r"trained on digits from usps\.h5, .* scikit-learn"):
        run.evaluate_run(whole, shots=1, data_dir=None)


def test_changed_settings_are_not_resumed(config, no_pictures, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run.begin(config(), tmp_path / "run", StopAt(2, 1))
    folder = run_folder.find(tmp_path / "run")
    folder.config.write_text(folder.config.read_text().replace("seed = 0", "seed = 1"))
    with pytest.raises(CheckpointError, match=r"training\.seed changed in config\.toml"):
        run.resume(folder)


def test_a_killed_process_goes_on_bit_for_bit(config, no_pictures, tmp_path):
    settings = config(epochs=2, batch_size=6)  # many steps, so that it is hit between two of them
    expected = begun_without_pictures(settings, tmp_path / "never-stopped")
    folder = RunFolder(tmp_path / "killed")
    code = f"""
from pathlib import Path
from sqsnn.training import config, run
run.begin(config.from_toml({configs.to_toml(settings)!r}, "here"), Path({str(folder.path)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        while not (folder.metrics.is_file() and folder.metrics.read_bytes().endswith(b"\n")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        time.sleep(0.03)  # into the second epoch
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not folder.is_finished()
    run.resume(folder)
    assert contents(folder) == contents(expected)


def test_threads_are_set_when_begun_resumed_and_loaded(config, no_pictures, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(run.torch, "set_num_threads", asked.append)
    with pytest.raises(KeyboardInterrupt):
        run.begin(config(threads=3), tmp_path / "run", StopAt(1))
    assert asked == [3]
    run.resume(run_folder.find(tmp_path / "run"))
    run.load(run_folder.find(tmp_path / "run"))
    assert asked == [3, 3, 3]


def test_folders_are_found_from_where_one_stands(config, no_pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = run.begin(config(epochs=1), None)
    assert folder.path == Path("runs/digits-1")
