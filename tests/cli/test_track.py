"""`sqsnn train --track`: a choice of the command, which a run and its settings know nothing of."""

import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tools import TINY, stopped

from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import from_flat

TRACK = ["--track", "tensorboard"]


def steps(folder, name="train_loss"):
    return [event.step for event in EventAccumulator(str(folder)).Reload().Scalars(name)]


def test_a_stopped_run_is_tracked_from_its_first_epoch_on(sqsnn, here):
    folder = stopped(from_flat("digits", {**TINY, "epochs": 3}), here / "run", epoch=2)
    before = folder.config.read_bytes()
    done = sqsnn("train", "--resume", "run", *TRACK, *TRACK)
    assert (done.code, done.err) == (0, "")
    assert "curves for TensorBoard" in done.out
    assert steps(here / "run") == [1, 2, 3]
    assert len(list((here / "run").glob("events.*"))) == 1  # the same word twice is one tracker
    assert folder.config.read_bytes() == before


def test_a_finished_run_is_sent(sqsnn, trained):
    done = sqsnn("train", "--resume", "a", *TRACK)
    assert (done.code, done.err) == (0, "")
    assert "nothing is left to do" in done.out
    assert steps(trained) == [1]
    assert steps(trained, "test_accuracy") == [RunFolder(trained).read_result()["best_epoch"]]


def test_what_cannot_track_is_refused_before_the_run_begins(refused, here, monkeypatch):
    assert "tensorboard" in refused("train", "digits", "--track", "paper")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert "pip install 'sqsnn[track]'" in refused("train", "digits", *TRACK)
    assert not list(here.iterdir())
