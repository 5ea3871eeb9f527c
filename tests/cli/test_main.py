"""Help, version, and errors: one line, exit code 2, no traceback."""

import pytest

from sqsnn import __version__

WRONG = [
    (["tarin"], "Did you mean"),
    (["train", "digits", "--hiden", "3"], "--hiden"),
    (["train"], "name a dataset, e.g. `sqsnn train digits`"),
    (["train", "cifar"], "one of digits, mnist"),
    (["train", "digits", "--memory-qubits", "-1"], "--memory-qubits: .* but is '-1'"),
    (["train", "digits", "--hidden", "64,,"], "--hidden"),
    (["train", "digits", "--encoding", "morse"], "--encoding: .*'morse'"),
    (["train", "digits", "--circuit", "transmon"], "'transmon'"),
    (["train", "digits", "--delay", "3"], "delay is 3, but digits has none"),
    (["train", "recall", "--encoding", "rate"], "must be 'spikes'"),
    (["train", "recall", "--report-steps", "0"], "--report-steps: .* but is '0'"),
    (["train", "digits", "--circuit-options.layers", "2"], "'bidirectional' cannot be built"),
    (["train", "digits", "--classes", "1,99"], "99"),
    (["train", "--resume", "nowhere"], "nowhere holds no run"),
    (["train", "digits", "--resume", "nowhere"], "--resume takes no dataset and no other flags"),
    (["train", "--resume", "nowhere", "--seed", "0"], "--resume takes no dataset and no other"),
    (["evaluate", "nowhere"], "nowhere holds no run"),
    (["evaluate"], "RUN"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_a_wrong_call_is_told_in_one_line(sqsnn, here, arguments, said):
    done = sqsnn(*arguments)
    assert done.code == 2
    assert done.out == ""
    (line,) = done.err.splitlines()
    with pytest.raises(ValueError, match=said):
        raise ValueError(line)
    assert list(here.iterdir()) == []


def test_the_version_is_told(sqsnn):
    assert sqsnn("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    "command", [[], ["train"], ["evaluate"], ["inspect", "gradients"], ["compare"], ["datasets"]]
)
def test_there_is_help(sqsnn, command):
    done = sqsnn(*command, "--help")
    assert done.code == 0
    assert "Usage: sqsnn" in done.out


def test_the_help_names_every_setting(sqsnn):
    from sqsnn.training.config import DataOptions, RunConfig

    sections = [field.annotation for field in RunConfig.model_fields.values()]
    names = {name for section in sections for name in section.model_fields}
    names = names - {"dataset", "source"} | set(DataOptions.model_fields)
    said = sqsnn("train", "--help").out
    assert [name for name in names if f"--{name.replace('_', '-')}" not in said] == []


def test_a_compiler_that_is_missing_is_told(sqsnn, here, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    done = sqsnn("train", "digits", "--compile")
    assert (done.code, done.out) == (2, "")
    assert "no-such-compiler" in done.err
    assert "Traceback" not in done.err


def test_a_folder_that_cannot_be_made_is_told(sqsnn, here):
    (here / "file").touch()
    done = sqsnn("train", "digits", "--out", "file/run")
    assert done.code == 2
    assert "file/run" in done.err
    assert "Traceback" not in done.err


def test_datasets_are_listed_with_where_they_are(sqsnn, tmp_path):
    from sqsnn.data import catalog

    done = sqsnn("datasets", "--data-dir", tmp_path)
    assert done.code == 0
    for name in catalog.names():
        assert f" {name} " in done.out
    assert "ready" in done.out
    assert "downloaded when first used" in " ".join(done.out.replace("│", " ").split())


def test_a_broken_file_hides_no_other_dataset_from_the_list(sqsnn, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    for part in ("Train", "Test"):
        (tmp_path / "NMNIST").mkdir(exist_ok=True)
        (tmp_path / "NMNIST" / f"{part}.zip").write_bytes(b"no zip")
    done = sqsnn("datasets", "--data-dir", tmp_path)
    said = " ".join(done.out.replace("│", " ").split())
    assert done.code == 0
    assert "Train.zip is broken" in said
    assert " braille " in said and "to be put there by hand" in said
    assert "'sqsnn[events]'" in said


def test_how_long_recordings_of_tonic_are_is_asked_for(sqsnn, here):
    done = sqsnn("train", "tonic:DVSGesture")
    assert (done.code, done.out) == (2, "")
    assert "--duration SECONDS" in " ".join(done.err.split())
    assert not list(here.iterdir())
