"""Run folders: never overwritten, never torn, and of one format."""

import os
from pathlib import Path

import pytest
from tools import make_old, small_run

from sqsnn.data.preparation import Preparation
from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.runs import checkpoint
from sqsnn.runs import folder as folders
from sqsnn.runs.folder import RunFolder
from sqsnn.training import trainer


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


def line(epoch):
    """The figures of an epoch, as a training on classes writes them."""
    names = ("accuracy_ties_by_probability", "accuracy_probability", "accuracy", "loss")
    return {
        **{"epoch": epoch, "train_loss": 0.1 + 0.2, "gradient_norm": 1e-17, "learning_rate": 0.01},
        **{"train_accuracy": 0.5, "spikes_per_sample": [1, 2.5]},
        **{f"validation_{name}": 1 / epoch for name in names},
    }


def at(path, epochs):
    """A folder whose checkpoint is of an epoch."""
    folder, settings = RunFolder(path), small_run()
    progress = trainer.start(settings, 2, 2, 4)
    progress.epoch = epochs
    lines = [line(epoch) for epoch in range(1, epochs + 1)]
    for each in lines:
        folder.append_metrics(each)
    prepared = Preparation(("a", "b"), (), 2)
    checkpoint.save(folder.checkpoint, progress, settings, prepared, checkpoint.chain(lines))
    return folder


def test_metrics_are_one_line_per_epoch(tmp_path):
    assert RunFolder(tmp_path).read_metrics() == []
    folder = at(tmp_path, 2)
    assert folder.read_metrics() == [line(1), line(2)]
    assert folder.metrics.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("torn", [b"", b'{"epoch": 3}\n', b'{"epoch": 3}\n{"epo', b'{"ep', b"\xff"])
def test_metrics_are_cut_back_to_the_checkpoint(tmp_path, torn):
    folder = at(tmp_path, 2)
    whole = folder.metrics.read_bytes()
    folder.metrics.write_bytes(whole + torn)
    assert folder.read_metrics() == [line(1), line(2)]
    folder.truncate_metrics(2)
    assert folder.metrics.read_bytes() == whole
    folder.truncate_metrics(0)
    assert folder.metrics.read_bytes() == b""


WRONG = {
    "one": (b"one\n", "must hold the 2 epochs of checkpoint.safetensors, but holds 1"),
    "torn": (b"one\ntwo", "must hold the 2 epochs of checkpoint.safetensors, but holds 1"),
    "swapped": (b"two\none\n", r"must hold epochs 1\.\.2 in this order, but holds \[2, 1\]"),
    "doubled": (b"one\none\n", r"epochs 1\.\.2 in this order, but holds \[1, 1\]"),
    "no JSON": (b"one\ntwo,\n", "line 2 is not valid JSON: Extra data"),
    "no UTF-8": (b"one\n\xff\n", "line 2 is not UTF-8"),
    "a list": (b"one\n[1]\n", "line 2 does not fit: Input should be a valid dictionary"),
    "infinity": (b'one\n{"epoch": Infinity}\n', "line 2 is not valid JSON: Infinity is no finite"),
    "beyond": (b'one\n{"epoch": 1e999}\n', "line 2 is not valid JSON: 1e999 is no finite"),
    "digits": (b'one\n{"epoch": %s}\n' % (b"9" * 5000), "line 2 is not valid JSON: .*digits"),
    "twice": (
        b'one\n{"epoch": 2, "epoch": 2}\n',
        "line 2 is not valid JSON: 'epoch' stands .*twice",
    ),
    "nested": (b"one\n" + b"[" * 99999 + b"\n", "line 2 is not valid JSON: it nests too deep"),
    "no epoch": (b"one\n{}\n", "line 2 does not fit: epoch: Field required"),
    "other loss": (b"one\nTWO\n", "changed since checkpoint.safetensors was written"),
}


@pytest.mark.parametrize("name", WRONG)
def test_metrics_that_changed_are_refused_with_the_line(tmp_path, name):
    content, why = WRONG[name]
    folder = at(tmp_path, 2)
    one, two = folder.metrics.read_bytes().splitlines()
    for word, text in ((b"one", one), (b"two", two), (b"TWO", two.replace(b"0.5", b"0.25"))):
        content = content.replace(word, text)
    folder.metrics.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"metrics\.jsonl.* {why}"):
        folder.read_metrics()


def test_a_lost_checkpoint_is_no_fresh_start(tmp_path):
    folder = at(tmp_path, 1)
    folder.checkpoint.unlink()
    assert folder.read_metrics() == []  # its line comes first: the first epoch is done again
    folder.write_timing([1.0], {})
    with pytest.raises(CheckpointError, match=r"was lost, but beside it lie timing\.json, 1 lines"):
        folder.read_metrics()
    folder.timing.unlink()
    folder.append_metrics(line(2))
    with pytest.raises(CheckpointError, match=r"safetensors was lost, but beside it lie 2 lines"):
        folder.read_metrics()


def test_seconds_are_summed_over_all_sittings(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_timing(0) == []
    folder.write_timing([1.5, 1.5], {"device": "cpu"})
    assert folder.read_timing(1) == [1.5]
    assert '"training_seconds": 3.0' in folder.timing.read_text()


def test_lost_seconds_are_begun_anew_with_a_warning(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_timing([1.5, 1.5], {"device": "cpu"})
    folder.timing.write_text(folder.timing.read_text().replace("1.5", "1.25", 1))
    with pytest.warns(UserWarning, match=r"timing\.json .* has changed .* it is begun anew"):
        assert folder.read_timing(2) == [None, None]
    folder.write_timing([None, 2.0], {})
    assert folder.read_timing(2) == [None, 2.0]
