"""A whole study: every trial once, whoever runs it, however often it is stopped."""

import json
import subprocess
import sys
import time

import pytest

from sqsnn.errors import ConfigError, TrainingError
from sqsnn.study import compare as comparing
from sqsnn.study import trials
from sqsnn.study.compare import Count, compare
from sqsnn.study.trials import read_record

TRIALS = 8  # two models, two trials of the search and two seeds each


@pytest.fixture
def run_study(study, study_file, tmp_path):
    """Run the tiny study, changed by a function; gives what was told and where it ended."""

    def make(change=lambda content: None, jobs=1, stop_after=None):
        told = []

        def tell(outcome, count):
            told.append((outcome, count))
            if len(told) == stop_after:
                raise KeyboardInterrupt

        source = study_file(change)
        try:
            count = compare(study(change), source, tmp_path / "out", jobs, tell)
        except KeyboardInterrupt:
            count = None
        return told, count

    return make


def changed_at(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}


def trained(told):
    return [(outcome.model, outcome.seed) for outcome, _ in told]


ORDER = [("crx", None), ("crx", None), ("lif", None), ("lif", None)]
ORDER += [("crx", 0), ("lif", 0), ("crx", 1), ("lif", 1)]


def test_a_study_searches_then_tests_each_seed_once(run_study, tests_read, tmp_path):
    told, count = run_study()
    assert trained(told) == ORDER
    assert [count for _, count in told] == [Count(n, TRIALS) for n in range(1, TRIALS + 1)]
    assert count == Count(TRIALS, TRIALS)
    assert tests_read == ["digits"] * 4
    out = tmp_path / "out"
    assert (out / "study.toml").read_bytes() == (tmp_path / "study.toml").read_bytes()
    content = json.loads((out / "results.json").read_text())
    assert content["complete"]
    for row in content["rows"]:
        assert row["seeds"] == [0, 1]
        assert abs(row["parameters"] - 830) <= 8
        reached = {
            str(record["found"]): (
                record["validation_accuracy_spikes"],
                -record["validation_loss"],
            )
            for record in map(read_record, (out / "search/digits" / row["model"]).iterdir())
        }
        assert len(reached) == 2
        assert reached[str(row["found"])] == max(reached.values())
    assert (out / "accuracy-digits.png").is_file()


def test_a_study_goes_on_from_the_file_beside_its_results(run_study, study, tmp_path):
    run_study(stop_after=1)
    beside = tmp_path / "out" / "study.toml"
    before = beside.read_bytes()
    assert compare(study(), beside, beside.parent, 1, lambda *told: None) == Count(TRIALS, TRIALS)
    assert beside.read_bytes() == before


def test_a_finished_study_repeats_nothing(run_study, tests_read, tmp_path):
    run_study()
    before = changed_at(tmp_path / "out" / "trials") | changed_at(tmp_path / "out" / "search")
    del tests_read[:]
    told, count = run_study()
    assert (told, count, tests_read) == ([], Count(TRIALS, TRIALS), [])
    after = changed_at(tmp_path / "out" / "trials") | changed_at(tmp_path / "out" / "search")
    assert after == before


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_a_stopped_study_goes_on_where_it_stopped(run_study, tmp_path, stop_after):
    first, count = run_study(stop_after=stop_after)
    assert count is None
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert not content["complete"]
    second, count = run_study()
    assert trained(first) + trained(second) == ORDER
    assert count == Count(TRIALS, TRIALS)


def test_only_what_changed_settings_touch_is_trained_anew(run_study, tmp_path):
    run_study()

    def change(content):
        content["seeds"] = [0, 1, 2]
        content["models"]["crx"]["rule"] = {"loss_on": "count"}

    told, count = run_study(change)
    assert sorted(trained(told), key=str) == sorted(
        [("crx", None)] * 2 + [("crx", seed) for seed in (0, 1, 2)] + [("lif", 2)], key=str
    )
    assert count == Count(10, 10)


@pytest.mark.parametrize("where", ["trials", "search"])
def test_results_of_another_default_are_refused(run_study, tmp_path, where):
    run_study(stop_after=6 if where == "trials" else 1)
    (path, *_) = (tmp_path / "out" / where).rglob("*.json")
    record = json.loads(path.read_text())
    record["all_settings"]["rule"]["encoding_slope"] = "exact"
    path.write_text(json.dumps(record))
    if where == "search":
        # Told to nobody: as after a crash between the two.
        (tmp_path / "out" / "search.journal").unlink()
    with pytest.raises(ConfigError, match=r"json was made with rule.encoding_slope 'exact', which"):
        run_study()


def test_searches_of_another_default_are_refused(run_study, plan, tmp_path):
    run_study(stop_after=1)
    journal = tmp_path / "out" / "search.journal"
    text = journal.read_text()
    assert text.count('"encoding_slope":"exponential"') == 2  # one a model
    journal.write_text(text.replace('"encoding_slope":"exponential"', '"encoding_slope":"exact"'))
    with pytest.raises(ConfigError, match=r"^search digits/crx/.* was made with rule.encoding_slo"):
        run_study()


def test_a_trial_that_another_process_holds_is_left_to_it(run_study, plan, tmp_path):
    run_study(stop_after=4)
    made = plan()
    found = comparing.Searches(made).chosen("digits", "lif")
    path = trials.final_path(made, "digits", "lif", found, 0)
    with comparing.make_lock(made.out, f"trials/digits/lif/{path.stem}"):
        told, count = run_study()
    assert trained(told) == [("crx", 0), ("crx", 1), ("lif", 1)]
    assert count == Count(TRIALS - 1, TRIALS)
    assert not json.loads((tmp_path / "out" / "results.json").read_text())["complete"]


def test_a_search_that_ends_elsewhere_is_waited_for(run_study, plan, monkeypatch):
    run_study(stop_after=3)
    held = comparing.Searches(plan()).ask("digits", "lif")
    waits = []

    def finish(seconds):
        waits.append(seconds)
        held.tell(0.0, None)
        held.lock.release()

    monkeypatch.setattr(time, "sleep", finish)
    told, count = run_study()
    assert len(waits) == 1
    assert trained(told) == [("crx", 0), ("crx", 1), ("lif", 0), ("lif", 1)]
    assert count == Count(TRIALS, TRIALS)


def test_a_failed_training_is_told_after_the_others_are_done(run_study, monkeypatch, tmp_path):
    train = trials._train

    def fail(settings, folder):
        if (settings.model.neurons, settings.training.seed) == ("lif", 0):
            raise TrainingError("the loss is nan in epoch 1, batch 1 of 2")
        train(settings, folder)

    monkeypatch.setattr(trials, "_train", fail)
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"^lif on digits with seed 0 failed: the loss .*"):
            run_study()
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert [row["seeds"] for row in rows] == [[0, 1], [1]]


def test_settings_that_fail_in_the_search_are_not_chosen(run_study, monkeypatch, tmp_path):
    validate = trials._validate

    def fail(settings):
        if settings.training.learning_rate == 0.03:
            raise TrainingError("the loss is nan in epoch 1, batch 1 of 2")
        return validate(settings)

    monkeypatch.setattr(trials, "_validate", fail)
    told, count = run_study()
    assert count == Count(TRIALS, TRIALS)
    assert [outcome.record.get("error") is not None for outcome, _ in told].count(True) == 1
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert rows[0]["found"] == {"training.learning_rate": 0.01}


@pytest.mark.slow
def test_two_workers_do_each_trial_once(run_study, tmp_path):
    told, count = run_study(jobs=2)
    assert sorted(trained(told), key=str) == sorted(ORDER, key=str)
    assert count == Count(TRIALS, TRIALS)
    shared = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    (tmp_path / "out").rename(tmp_path / "shared")
    run_study()
    alone = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    for one, other in zip(shared, alone, strict=True):
        assert one["found"] == other["found"]
        assert one["test_accuracy_spikes"] == other["test_accuracy_spikes"]


@pytest.mark.slow
def test_two_commands_share_a_folder(study_file, tmp_path):
    command = [sys.executable, "-m", "sqsnn", "compare", str(study_file()), "--out", "out"]
    running = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    lines = [line for text in said for line in text.splitlines() if f" of {TRIALS}: " in line]
    assert len(lines) == TRIALS
    assert len({line.partition(": ")[2] for line in lines}) == TRIALS
    records = list((tmp_path / "out" / "trials").rglob("*.json"))
    assert len(records) == 4
