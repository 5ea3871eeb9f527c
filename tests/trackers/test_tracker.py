"""A tracker gets every figure of each epoch once, follows a resumed run, and leaks nothing."""

import json
import sys

import numpy as np
import pytest
from tools import TINY, StopAt, stopped
from trackers_reading import curves_of, result_of

import sqsnn
from sqsnn.errors import TrackerError, TrainingError
from sqsnn.runs import run
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import from_flat
from sqsnn.trackers.tracker import Tracker
from sqsnn.training import trainer
from sqsnn.training.callback import Callback, following


class Notebook(Tracker):
    """Keeps what it gets in a dictionary, which outlives it as a server would; may fail."""

    word = "notebook"

    def __init__(self, server, failing=()):
        super().__init__()
        self.server, self.failing = server, failing

    def _may_fail(self, place):
        if place in self.failing:
            raise ConnectionError(f"{place}: no answer from\nhttps://me:pass@host/api")

    def _connect(self, params):
        self._may_fail("connect")
        self._id = self._id or f"{self._title}-{len(self.server)}"
        self.run = self.server.setdefault(self._id, {"epochs": [], "figures": []})
        self.run["params"] = params
        return max(self.run["epochs"], default=0)

    def _log(self, figures, epoch):
        self._may_fail(epoch)
        self.run["epochs"].append(epoch)
        self.run["figures"].append(figures)

    def _log_test(self, figures, epoch):
        self._may_fail("test")
        self.run["test"] = (epoch, figures)

    def _disconnect(self, error):
        self._may_fail("disconnect")
        self.run["ended"] = type(error)


def begun(settings, place, *callbacks, watcher=run.SILENT):
    return run.begin(settings, place / "run", watcher, callbacks=callbacks, pictures=False)


def assert_holds(server, folder):
    """Fail unless the server has one run, with each epoch once and the test."""
    (kept,) = server.values()
    expected = curves_of(folder)
    assert kept["epochs"] == list(expected)
    assert kept["figures"] == list(expected.values())
    assert kept["test"] == (folder.read_result()["best_epoch"], result_of(folder))
    assert kept["ended"] is type(None)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The run without a tracker."""
    return begun(from_flat("digits", {**TINY, "epochs": 3}), tmp_path_factory.mktemp("plain"))


def test_every_figure_arrives_once_and_changes_nothing(settings, plain, tmp_path):
    server = {}
    tracked = begun(settings, tmp_path, Notebook(server))
    assert_holds(server, tracked)
    assert list(server) == ["run-0"]
    assert {"train_loss", "validation_accuracy", "gradient_norm", "seconds"} <= set(
        server["run-0"]["figures"][0]
    )
    assert json.loads((tracked.path / "trackers.json").read_text())["notebook"] == "run-0"
    for name in ("metrics.jsonl", "metrics.json", "config.toml", "best.safetensors"):
        assert (tracked.path / name).read_bytes() == (plain.path / name).read_bytes()


def test_a_run_that_goes_on_continues_its_curves(settings, tmp_path):
    server = {}
    # Interrupted when the epoch is kept, and before the tracker hears of it.
    with pytest.raises(KeyboardInterrupt):
        begun(settings, tmp_path, Notebook(server), watcher=StopAt(2))
    (kept,) = server.values()
    assert (kept["epochs"], kept["ended"]) == ([1], KeyboardInterrupt)
    folder = RunFolder(tmp_path / "run")
    run.resume(folder, callbacks=[Notebook(server)], pictures=False)
    assert_holds(server, folder)


def test_a_tracker_that_comes_late_gets_what_it_missed(settings, tmp_path):
    server = {}
    folder = stopped(settings, tmp_path / "run", epoch=2)
    run.resume(folder, callbacks=[Notebook(server)], pictures=False)
    assert_holds(server, folder)
    Notebook(sent := {}).send(folder)  # under another id: a server that knew nothing
    assert_holds(sent, folder)


@pytest.mark.parametrize("place", ["connect", 2, "test", "disconnect"])
def test_a_tracker_that_fails_says_how_to_go_on_and_loses_nothing(settings, plain, tmp_path, place):
    server = {}
    with pytest.raises(TrackerError) as raised:
        begun(settings, tmp_path, Notebook(server, failing=(place,)))
    folder = RunFolder(tmp_path / "run")
    assert str(raised.value) == (
        f"Notebook failed: ConnectionError: {place}: no answer from https://host/api. "
        f"Interrupted: {folder.kept()}. To go on, also without it: "
        f"`sqsnn train --resume {folder.path} --track notebook`"
    )
    assert raised.value.__suppress_context__  # a traceback would show the password
    assert folder.is_finished() == (place in ("test", "disconnect"))
    if folder.is_finished():
        Notebook(server).send(folder)
    else:
        run.resume(folder, callbacks=[Notebook(server)], pictures=False)
    assert_holds(server, folder)
    assert folder.metrics.read_bytes() == plain.metrics.read_bytes()


def test_an_error_of_the_training_counts_more_than_one_of_the_tracker(settings, tmp_path):
    class Broken(Callback):
        def step(self, step):
            raise TrainingError("the loss is nan")

    server = {}
    with pytest.raises(TrainingError, match="the loss is nan"):
        begun(settings, tmp_path, Notebook(server, failing=("disconnect",)), Broken())


def test_settings_go_by_the_names_of_their_flags_and_places_stay_here(tmp_path):
    rng = np.random.default_rng(0)
    table = {"X": rng.random((60, 4)), "y": np.arange(60) % 2}
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "mine.npz", **table)
    flat = {"hidden": (4, 3), "steps": 2, "epochs": 1, "data_dir": tmp_path / "sets"}
    server = {}
    first = from_flat(str(tmp_path / "data" / "mine.npz"), flat)
    folder = begun(first, tmp_path / "a", Notebook(server))
    again = first.model_copy(update={"begins_with": folder.path})
    begun(again, tmp_path / "b", Notebook(server))
    for kept in server.values():
        params = kept["params"]
        assert params["dataset"] == "mine.npz"
        assert (params["hidden"], params["neurons"], params["drive"]) == ("4,3", "sqs", "leaky")
        assert (params["epochs"], params["learning_rate"], params["skip"]) == (1, 0.01, False)
        assert str(tmp_path) not in str(kept)
        assert None not in params.values()


def test_an_estimator_has_a_tracker_too_and_says_how_it_ended():
    server, X = {}, np.random.default_rng(0).random((40, 4))
    tracker = Notebook(server)
    words = {"hidden": (3,), "steps": 2, "epochs": 2, "random_state": 0}
    fitted = sqsnn.SQSNNClassifier(callbacks=[tracker], **words).fit(X, np.arange(40) % 2)
    kept = server["None-0"]
    assert [figures["train_loss"] for figures in kept["figures"]] == fitted.loss_curve_
    assert (kept["epochs"], kept["ended"], kept["params"]["hidden"]) == ([1, 2], type(None), "3")
    assert "test" not in kept


def test_what_is_no_number_is_left_out(settings, tmp_path):
    server = {}
    progress = trainer.start(settings, 64, 2, 36)
    tracker = Notebook(server)
    tracker.begin(progress, settings)
    metrics = {"epoch": 1, "train_loss": 0.5, "a": None, "b": float("nan"), "c": float("inf")}
    tracker.epoch(trainer.Epoch(metrics, 1.0), progress)
    assert server["None-0"]["figures"] == [{"train_loss": 0.5, "seconds": 1.0}]


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("TensorBoard", ["tensorboard"]),
        ("WeightsAndBiases", ["wandb"]),
        ("MLflow", ["mlflow", "mlflow.exceptions"]),
    ],
)
def test_a_missing_package_is_named(name, modules, monkeypatch):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TrackerError, match=rf"{modules[0]}.*: pip install 'sqsnn\[track\]'$"):
        getattr(sqsnn, name)()


def test_all_hear_that_it_is_over_also_where_one_fails():
    heard = []

    class Ending(Callback):
        def closed(self, error):
            heard.append(type(error))
            raise ValueError("closed")

    with pytest.raises(ValueError, match="closed"), following([Ending(), Ending()]):
        raise KeyboardInterrupt
    assert heard == [KeyboardInterrupt, ValueError]
