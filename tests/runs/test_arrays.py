"""Samples from memory lie in the folder of their run before it begins, and harm no other file."""

import os

import numpy as np
import pytest
from tools import TINY

import sqsnn
from sqsnn.errors import ConfigError
from sqsnn.runs import run

X = np.random.default_rng(0).random((60, 4))
Y = np.arange(60) % 2
SMALL = {name: TINY[name] for name in ("hidden", "steps", "epochs", "batch_size")}


def begin_and_die(out, monkeypatch, X=X):
    """Train until the samples are written, and die there; gives what was written."""

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run, "begin", die)
        patch.setattr(os, "unlink", lambda *_: None)  # the dead clean nothing up
        patch.setattr(type(out), "unlink", lambda *_, **__: None)
        with pytest.raises(Killed):
            sqsnn.train(X, Y, out=out, **SMALL)
    return (out / "data.npz").read_bytes()


def test_a_training_that_was_killed_before_it_began_is_begun_again(tmp_path, monkeypatch):
    kept = begin_and_die(tmp_path / "run", monkeypatch)
    made = sqsnn.train(X, Y, out=tmp_path / "run", **SMALL)
    assert made.folder.data.read_bytes() == kept


def test_a_result_does_not_tell_where_the_samples_lie(tmp_path, monkeypatch):
    """The path is as it was typed when a run begins, and whole when it goes on."""
    monkeypatch.chdir(tmp_path)
    made = sqsnn.train(X, Y, out="run", **SMALL)
    result = made.folder.result.read_bytes()
    made.folder.result.unlink()
    run.resume(made.folder, pictures=False)
    assert made.folder.result.read_bytes() == result


def test_other_samples_are_not_written_over(tmp_path, monkeypatch):
    kept = begin_and_die(tmp_path / "run", monkeypatch)
    said = r"run/data\.npz holds other samples, .* choose another out, or remove the file"
    with pytest.raises(ConfigError, match=said):
        sqsnn.train(1 - X, Y, out=tmp_path / "run", **SMALL)
    assert (tmp_path / "run" / "data.npz").read_bytes() == kept


def test_a_second_training_harms_no_samples_of_the_first(tmp_path, monkeypatch):
    refused = []
    begin = run.begin

    def meanwhile(*arguments, **given):
        refused.append(begin_in_another_thread(tmp_path / "run"))
        return begin(*arguments, **given)

    monkeypatch.setattr(run, "begin", meanwhile)
    made = sqsnn.train(X, Y, out=tmp_path / "run", **SMALL)
    assert f"in use by process {os.getpid()}" in refused[0]
    assert made.folder.is_finished()


def begin_in_another_thread(out):
    """Begin a training on other samples; gives its error."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return str(pool.submit(sqsnn.train, 1 - X, Y, out=out, **SMALL).exception())


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("wrong", [{"classes": (1, 99)}, {"y": None}])
def test_a_refused_training_leaves_nothing_behind(tmp_path, monkeypatch, named, wrong):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"classes|y is missing"):
        sqsnn.train(X, **{"y": Y, **SMALL, **wrong}, out="run" if named else None)
    assert [path.name for path in tmp_path.rglob("*")] in ([], ["runs"])


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "data.npz").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="holds other samples"):
        sqsnn.train(X, Y, out=tmp_path, **SMALL)
    (tmp_path / "thesis.tex").write_text("all my work")
    with pytest.raises(ConfigError, match="new or empty folder"):
        sqsnn.train(X, Y, out=tmp_path, **SMALL)
    assert sorted(os.listdir(tmp_path)) == [".lock", "data.npz", "thesis.tex"]
    assert (tmp_path / "data.npz").read_bytes() == b"mine"
