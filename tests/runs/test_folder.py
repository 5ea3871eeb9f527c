"""Run folders: never overwritten, never torn, and of one format."""

import os
from pathlib import Path

import pytest
from tools import make_old, small_run

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.runs import folder as folders
from sqsnn.runs.folder import RunFolder


def test_runs_without_a_name_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [str(folders.first_free(Path("runs"), "digits")) for _ in range(3)]
    assert paths == ["runs/digits-1", "runs/digits-2", "runs/digits-3"]
    other = folders.first_free(Path("runs"), "tonic:DVSGesture")
    assert str(other) == "runs/tonic-DVSGesture-1"  # a colon is no name on every system


def test_the_settings_lie_in_the_folder(tmp_path):
    folder = folders.create(tmp_path / "deep" / "run", small_run(seed=7))
    assert folder.read_settings() == small_run(seed=7)
    assert folders.find(folder.path) == folder
    assert not folder.is_finished()


def test_an_empty_folder_may_be_used(tmp_path):
    assert folders.create(tmp_path, small_run()).path == tmp_path


def test_a_run_is_never_overwritten(tmp_path):
    folder = folders.create(tmp_path / "my run", small_run(seed=1))
    before = folder.config.read_bytes()
    with pytest.raises(ConfigError, match=r"sqsnn train --resume '.*/my run'`"):
        folders.create(tmp_path / "my run", small_run(seed=2))
    assert folder.config.read_bytes() == before


def test_of_two_that_begin_at_once_one_makes_the_settings(tmp_path, monkeypatch):
    """Also where a file system lets both have the lock."""
    link = os.link

    def late(*paths):
        with monkeypatch.context() as patch:
            patch.setattr(os, "link", link)
            folders.create(tmp_path / "run", small_run(seed=1))
        link(*paths)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(ConfigError, match="holds a run already"):
        folders.create(tmp_path / "run", small_run(seed=2))
    assert folders.find(tmp_path / "run").read_settings() == small_run(seed=1)


@pytest.mark.parametrize("dataset", ["digits", "data.npz", "other.npz"])
def test_the_data_of_a_run_may_lie_in_its_folder_and_no_other_file(tmp_path, dataset):
    out = tmp_path / "run"
    out.mkdir()
    for name in ("data.npz", ".lock", f".config.toml.{'a' * 32}.part"):
        (out / name).touch()
    if dataset == "data.npz":
        folders.refuse_used(out, str(out / dataset))
    else:
        with pytest.raises(ConfigError, match="new or empty folder"):
            folders.refuse_used(out, str(out / dataset))
    (out / "data.npz").unlink()
    folders.refuse_used(out, "digits")


def test_other_files_are_not_overwritten_either(tmp_path):
    (tmp_path / "thesis.tex").write_text("all my work")
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(ConfigError, match="new or empty folder"):
            folders.create(path, small_run())
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds no run"):
        folders.find(tmp_path)


def test_a_folder_of_the_old_format_is_refused_with_what_to_do(tmp_path):
    make_old(tmp_path)
    with pytest.raises(ConfigError, match=r"config\.toml has format 1 or 2, .* train the network"):
        folders.find(tmp_path).read_settings()


def test_metrics_are_one_line_per_epoch(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_metrics() == []
    lines = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17}]
    for line in lines:
        folder.append_metrics(line)
    assert folder.read_metrics() == lines
    assert folder.metrics.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("torn", [b"", b'{"epoch": 3}\n', b'{"epoch": 3}\n{"epo', b'{"ep'])
def test_metrics_are_cut_back_to_the_checkpoint(tmp_path, torn):
    folder = RunFolder(tmp_path)
    for epoch in (1, 2):
        folder.append_metrics({"epoch": epoch})
    whole = folder.metrics.read_bytes()
    folder.metrics.write_bytes(whole + torn)
    folder.truncate_metrics(2)
    assert folder.metrics.read_bytes() == whole
    folder.truncate_metrics(0)
    assert folder.read_metrics() == []


@pytest.mark.parametrize("content", [None, b'{"epoch": 1}\n', b'{"epoch": 1}\n{"epoch": 2}'])
def test_metrics_that_end_before_the_checkpoint_are_damaged(tmp_path, content):
    folder = RunFolder(tmp_path)
    if content is not None:
        folder.metrics.write_bytes(content)
    with pytest.raises(CheckpointError, match="must hold the 2 epochs of the checkpoint"):
        folder.truncate_metrics(2)


def test_seconds_are_summed_over_all_sittings(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_timing() == []
    folder.write_timing([1.5, 1.5], {"device": "cpu"})
    assert folder.read_timing() == [1.5, 1.5]
    assert '"training_seconds": 3.0' in folder.timing.read_text()
