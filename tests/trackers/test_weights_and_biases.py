"""What an offline run of W&B would upload: all figures exactly, the settings, and nothing else."""

import json
import sys

import pytest
from tools import StopAt
from trackers_reading import assert_names_no_place, curves_of, result_of, wandb_records

from sqsnn.runs import run
from sqsnn.runs.folder import RunFolder
from sqsnn.trackers.weights_and_biases import WeightsAndBiases


def read(files):
    """The curves, the last summary, the run and the exit code of each file."""
    found = []
    for file in files:
        curves, summary, about, code = {}, {}, None, None
        for record in wandb_records(file):
            kind = record.WhichOneof("record_type")
            if kind == "history":
                row = {it.nested_key[0] or it.key: it.value_json for it in record.history.item}
                row = {name: json.loads(value) for name, value in row.items()}
                curves[row.pop("_step")] = {k: v for k, v in row.items() if k[0] != "_"}
            elif kind == "summary":
                summary |= {it.key: json.loads(it.value_json) for it in record.summary.update}
            elif kind == "run":
                about = record.run
            elif kind == "exit":
                code = record.exit.exit_code
        found.append((curves, summary, about, code))
    return found


def test_an_interrupted_run_goes_on_under_its_id(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    with pytest.raises(KeyboardInterrupt):
        tracker = WeightsAndBiases()
        run.begin(settings, tmp_path / "run", StopAt(2), callbacks=[tracker], pictures=False)
    folder = RunFolder(tmp_path / "run")
    (tmp_path / "later").mkdir()
    monkeypatch.chdir(tmp_path / "later")  # where the same process has its files from now on
    run.resume(folder, callbacks=[WeightsAndBiases("mine")], pictures=False)

    runs = "wandb/offline-run-*/*.wandb"
    (first,), (second,) = tmp_path.glob(runs), tmp_path.glob(f"later/{runs}")
    files = first, second
    (early, _, about, broken), (curves, summary, again, code) = read(files)
    expected = curves_of(folder)
    assert (early, curves) == ({1: expected[1]}, expected)  # offline it knows of no earlier epoch
    assert result_of(folder).items() <= summary.items()
    assert (broken, code) == (1, 0)
    ids = json.loads((folder.path / "trackers.json").read_text())
    assert about.run_id == again.run_id == ids["wandb"]
    assert (again.project, again.display_name, again.host) == ("mine", "run", "")
    config = {it.key: json.loads(it.value_json) for it in again.config.update}
    assert (config["hidden"], config["epochs"], config["dataset"]) == ("3", 3, "digits")
    for file in files:
        assert_names_no_place(file.read_bytes(), *sys.argv[:1])
        assert not list((file.parent / "files").glob("*"))  # which would be uploaded
