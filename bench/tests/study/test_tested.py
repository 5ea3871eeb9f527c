"""The test part is read once: each read has its line before it happens, a second one its reason."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from sqsnn.errors import ConfigError, TrainingError
from sqsnn.runs import loading
from sqsnn_bench.study import library, records, run, shared_search, tested, trials
from sqsnn_bench.study.plan import Trial
from sqsnn_bench.study.records import Key
from sqsnn_bench.study.run import compare
from sqsnn_bench.study.tested import NAME, Readings
from sqsnn_bench.study.trials import job, run_folder
from sqsnn_bench.study.watching import Watcher
from sqsnn_bench.study.workers import ThisProcess

KEY = Key("digits", "crx", "seed", 0)
TRIAL = Trial(KEY, {"training.learning_rate": 0.01})
WHY = "the disk lost the records"


def small(content):
    """Two models, one seed each, and no search."""
    content.pop("search")
    content["models"]["lif"].pop("search")
    content["seeds"] = [0]


@pytest.fixture
def run_study(study, study_file, tmp_path):
    """Run the small study, changed by a function."""

    def make(change=lambda content: None, folder="out", watcher=None, **how):
        def both(content):
            small(content)
            change(content)

        watcher = watcher or Watcher()
        compare(study(both), study_file(both), tmp_path / folder, 1, watcher, **how)

    return make


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def events(out, key=KEY):
    return [line.event for line in tested.read(out) if line.key == key]


def lose_record(out, key=KEY, *, with_run=True):
    """Delete the record of a trial, and its run folder."""
    known = records.read(out)
    del known[key]
    records.pack(out, known)
    if with_run:
        shutil.rmtree(run_folder(out, key))


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def test_each_network_has_its_line_before_the_test_is_read(run_study, monkeypatch, out):
    seen, load = [], loading.catalog.load

    def watched(name, **options):
        dataset = load(name, **options)

        def load_test():
            seen.append([(line.model, line.event) for line in tested.read(out)])
            return dataset.load_test()

        return replace(dataset, load_test=load_test)

    monkeypatch.setattr(loading.catalog, "load", watched)
    run_study()
    first = [("crx", "tests")]
    assert seen == [first, [*first, ("crx", "recorded"), ("lif", "tests")]]
    line = tested.read(out)[0]
    record = records.read(out)[KEY]
    assert (line.dataset, line.seed, line.reason) == ("digits", 0, "")
    assert line.sqsnn == record["sqsnn"]
    assert line.settings == tested.digest_of(record["settings"])
    assert not json.loads((out / "results.json").read_text())["irregular_tests"]
    assert "Reads of the test part" not in (out / "results.md").read_text()


def test_a_tested_network_without_its_record_is_refused(run_study, tests_read, out):
    run_study()
    lose_record(out)
    before = (out / NAME).read_bytes()
    del tests_read[:]
    said = r"out/tested.jsonl says .* for digits/crx/seed-0, but the record is gone: "
    said += r".*`sqsnn-bench compare STUDY --out .*out` --test-again"
    with pytest.raises(ConfigError, match=said):
        run_study()
    assert (tests_read, (out / NAME).read_bytes()) == ([], before)
    assert KEY not in records.read(out)


def test_it_is_tested_again_for_a_reason_that_is_kept_and_shown(run_study, tests_read, out):
    run_study()
    lose_record(out)
    del tests_read[:]
    run_study(test_again=WHY)
    assert tests_read == ["digits"]
    assert events(out) == ["tests", "recorded", "tests", "recorded"]
    assert [line.reason for line in tested.read(out) if line.reason] == [WHY]
    table = (out / "results.md").read_text().split("## Reads of the test part\n")[1]
    assert f"| {WHY} (the same settings) |" in table
    assert table.count("| digits | crx | 0 |") == 1
    # The reason was for that time, not for all times.
    lose_record(out)
    with pytest.raises(ConfigError, match="the record is gone"):
        run_study()


def test_other_settings_after_a_test_are_shown_as_such(run_study, out):
    run_study()
    lose_record(out)
    rate = {"training": {"learning_rate": 0.02}}
    run_study(lambda content: content["models"]["crx"].update(rate), test_again="a typing error")
    assert "| a typing error (other settings) |" in (out / "results.md").read_text()


def test_a_reason_that_says_nothing_is_refused(run_study):
    with pytest.raises(ConfigError, match="must say why the test part is read again, but is empty"):
        run_study(test_again=" ")


@pytest.mark.parametrize("place", ["in training", "in the test"])
def test_a_study_that_was_stopped_before_a_figure_came_out_goes_on(
    run_study, monkeypatch, out, place
):
    with monkeypatch.context() as patch:
        if place == "in training":
            patch.setattr(trials.library.trainer, "epochs", interrupt)
        else:
            patch.setattr(library.run, "test", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_study()
    assert events(out) == ["tests"]
    run_study()
    assert events(out) == ["tests", "goes on", "recorded"]
    never = records.read(out)[KEY]
    run_study(folder="other")
    assert records.read(out.parent / "other")[KEY]["test_accuracy"] == never["test_accuracy"]


_KILLED_IN_THE_TEST = """
import os, signal, sys
from sqsnn.runs import run
from sqsnn_bench.cli import main

run.test = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


def test_a_command_that_was_killed_in_the_test_goes_on_as_the_same_read(
    run_study, study_file, tests_read, out
):
    command = ["compare", str(study_file(small)), "--out", str(out)]
    killed = subprocess.run([sys.executable, "-c", _KILLED_IN_THE_TEST, *command], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (events(out), records.read(out)) == (["tests"], {})
    assert (run_folder(out, KEY) / "checkpoint.safetensors").is_file()
    run_study()
    assert tests_read == ["digits"] * 2  # one per model
    assert events(out) == ["tests", "goes on", "recorded"]
    assert not json.loads((out / "results.json").read_text())["irregular_tests"]


def test_a_study_that_was_stopped_does_not_go_on_with_other_settings(run_study, monkeypatch, out):
    with monkeypatch.context() as patch:
        patch.setattr(library.run, "test", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_study()
    rate = {"training": {"learning_rate": 0.02}}
    with pytest.raises(ConfigError, match=r"begun to test .*but the settings are others now"):
        run_study(lambda content: content["models"]["crx"].update(rate))
    assert events(out) == ["tests"]


def test_a_finished_run_is_recorded_without_a_second_reading(
    run_study, tests_read, monkeypatch, out
):
    with monkeypatch.context() as patch:
        patch.setattr(records, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_study()
    assert (tests_read, events(out), records.read(out)) == (["digits"], ["tests"], {})
    run_study()
    assert tests_read == ["digits"] * 2  # one per model
    assert events(out) == ["tests", "recorded"]
    lose_record(out, with_run=False)
    run_study()
    assert (len(tests_read), events(out)) == (2, ["tests", "recorded"])
    assert KEY in records.read(out)


def test_a_training_that_failed_was_not_tested(run_study, monkeypatch, out):
    def fail(settings, path):
        raise TrainingError("the loss is nan in epoch 1, batch 1 of 2")

    with monkeypatch.context() as patch:
        patch.setattr(trials.library, "train_and_test", fail)
        with pytest.raises(TrainingError):
            run_study()
    assert events(out) == ["tests"]
    lose_record(out, with_run=False)
    run_study(lambda content: content["datasets"]["digits"].update(models=["crx"]))
    assert events(out) == ["tests", "goes on", "recorded"]


def test_records_of_an_earlier_version_are_in_the_log_afterwards(run_study, out):
    run_study()
    (out / NAME).unlink()
    run_study()
    assert events(out) == ["recorded"]
    lose_record(out)
    with pytest.raises(ConfigError, match="the record is gone"):
        run_study()


def test_a_model_that_the_study_lost_is_shown_with_its_read(run_study, out):
    run_study()

    def without_lif(content):
        content["models"].pop("lif")

    run_study(without_lif)
    table = (out / "results.md").read_text().split("## Reads of the test part\n")[1]
    assert "| digits | lif | 0 |" in table
    assert "| digits | crx |" not in table


def test_a_shared_search_brings_a_lost_record_back_without_a_reading(
    run_study, tests_read, monkeypatch, tmp_path
):
    monkeypatch.setattr(shared_search, "POLL", 0.0)
    monkeypatch.setattr(run, "LocalProcesses", lambda jobs: ThisProcess())
    storage = f"sqlite:///{tmp_path}/search.db"
    run_study(folder="one", storage=storage)
    del tests_read[:]
    run_study(folder="other", storage=storage)
    assert events(tmp_path / "other") == ["recorded"]
    lose_record(tmp_path / "one")
    run_study(folder="one", storage=storage)
    assert tests_read == []
    assert events(tmp_path / "one") == ["tests", "recorded"]
    lose_record(tmp_path / "other", with_run=False)
    with pytest.raises(ConfigError, match="the record is gone"):
        run_study(folder="other")


def test_a_torn_line_is_no_line_and_a_damaged_one_is_refused(plan, tmp_path):
    made = job(plan(), TRIAL)
    Readings(tmp_path, None).opens(made)
    path = tmp_path / NAME
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:30])
    assert len(tested.read(tmp_path)) == 1
    Readings(tmp_path, None).opens(made)
    assert events(tmp_path) == ["tests", "goes on"]
    assert path.read_bytes().startswith(whole)
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(ConfigError, match=r"tested.jsonl, line 1 does not fit"):
        Readings(tmp_path, None)


def test_the_command_takes_the_reason(run_study, bench, study_file, out):
    run_study()
    lose_record(out)
    command = ["compare", study_file(small), "--out", out]
    refused = bench(*command)
    assert (refused.code, "--test-again" in refused.err) == (2, True)
    assert bench(*command, "--test-again", WHY).code == 0
    assert tested.read(out)[-2].reason == WHY
