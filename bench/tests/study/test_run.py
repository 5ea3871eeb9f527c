"""A whole study: every trial once, however often it is stopped, whoever is killed."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sqsnn.errors import ConfigError, TrainingError
from sqsnn.ownership import owned
from sqsnn_bench.study import library, records, sharing, tested, trials
from sqsnn_bench.study.run import compare
from sqsnn_bench.study.watching import Watcher

TRIALS = 8  # two models, two trials of the search and two seeds each


class Seen(Watcher):
    """Remembers what it hears; after so many trials it interrupts."""

    def __init__(self, stop_after):
        self.trials, self.standings, self.notes, self.stop_after = [], [], [], stop_after
        self.records = []

    def done(self, key, record, standing, by=""):
        self.trials.append((key.model, key.trial))
        self.records.append(record)
        self.standings.append(standing)
        if len(self.trials) == self.stop_after:
            raise KeyboardInterrupt

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def run_study(study, study_file, tmp_path):
    """Run the tiny study, changed by a function; returns what a watcher saw."""

    def make(change=lambda content: None, jobs=1, stop_after=None, only=()):
        seen = Seen(stop_after)
        source = study_file(change)
        try:
            compare(study(change), source, tmp_path / "out", jobs, seen, only=only)
        except KeyboardInterrupt:
            assert stop_after is not None
        return seen

    return make


def results(tmp_path):
    return json.loads((tmp_path / "out" / "results.json").read_text())


ORDER = [(model, trial) for model in ("crx", "lif") for trial in ("search-0", "search-1")]
ORDER += [(model, trial) for trial in ("seed-0", "seed-1") for model in ("crx", "lif")]


def test_a_study_searches_then_tests_each_seed_once(run_study, tests_read, tmp_path):
    seen = run_study()
    assert seen.trials == ORDER
    steps = [(one.done, one.total) for one in seen.standings]
    assert steps == [(n, TRIALS) for n in range(1, TRIALS + 1)]
    assert tests_read == ["digits"] * 4
    out = tmp_path / "out"
    assert (out / "study.toml").read_bytes() == (tmp_path / "study.toml").read_bytes()
    assert results(tmp_path)["complete"]
    known = records.read(out)
    assert not (out / "trials").exists()
    for row in results(tmp_path)["rows"]:
        assert row["seeds"] == [0, 1]
        assert abs(row["parameters"] - 830) <= 8
        reached = {
            str(record["found"]): (record["validation_accuracy"], -record["validation_loss"])
            for key, record in known.items()
            if (key.model, key.kind) == (row["model"], "search")
        }
        assert len(reached) == 2
        ordered = dict(sorted(row["found"].items()))
        assert reached[str(ordered)] == max(reached.values())
    assert (out / "accuracy-digits.png").is_file()


VALUES = {
    "parameters": 300,
    "data": {"train_samples": 30, "test_samples": 5},
    "training": {"epochs": 1, "batch_size": 10},
}


def of_values(content):
    content["datasets"] = {"narma5": VALUES}
    content["search"]["train_samples"] = 20


def test_a_study_of_values_takes_the_smallest_error_and_tests_each_seed_once(
    run_study, tests_read, tmp_path
):
    assert run_study(of_values).trials == ORDER
    assert tests_read == ["narma5"] * 4
    assert results(tmp_path)["complete"]
    known = records.read(tmp_path / "out")
    for row in results(tmp_path)["rows"]:
        reached = {
            str(record["found"]): record["validation_nmse"]
            for key, record in known.items()
            if (key.model, key.kind) == (row["model"], "search")
        }
        assert reached[str(dict(sorted(row["found"].items())))] == min(reached.values())
        tests = [record for key, record in known.items() if key[1:3] == (row["model"], "seed")]
        assert row["test_nmse"]["values"] == [record["test_nmse"] for record in tests]
        assert row["baseline"]["model"] == "ridge on the last 10 steps"
    assert (tmp_path / "out" / "accuracy-narma5.png").is_file()
    assert (tmp_path / "out" / "operations-narma5.png").is_file()


def test_classes_and_values_stand_side_by_side_in_one_study(run_study, tmp_path):
    def both(content):
        content.pop("search")
        content["models"]["lif"].pop("search")
        content["datasets"]["narma5"] = VALUES
        content["reference"] = "lif"

    seen = run_study(both)
    assert seen.standings[-1].total == 8
    assert set(seen.standings[-1].best) == {"digits", "narma5"}
    rows = results(tmp_path)["rows"]
    assert ["test_nmse" in row for row in rows] == [False, False, True, True]
    assert ["test_accuracy" in row for row in rows] == [True, True, False, False]
    compared = {one["dataset"]: one["mean"] for one in results(tmp_path)["comparisons"]}
    for crx, lif, name in ((*rows[:2], "test_accuracy"), (*rows[2:], "test_nmse")):
        expected = crx[name]["mean"] - lif[name]["mean"]
        assert compared[crx["dataset"]] == pytest.approx(expected, abs=1e-12)


def test_a_study_goes_on_from_the_file_beside_its_results(run_study, study, tmp_path):
    run_study(stop_after=1)
    beside = tmp_path / "out" / "study.toml"
    before = beside.read_bytes()
    compare(study(), beside, beside.parent, 1, Watcher())
    assert beside.read_bytes() == before
    assert results(tmp_path)["complete"]


def test_a_finished_study_repeats_nothing(run_study, tests_read, tmp_path):
    run_study()
    packed = tmp_path / "out" / records.PACKED
    before, content = packed.read_bytes(), results(tmp_path)
    del tests_read[:]
    assert (run_study().trials, tests_read) == ([], [])
    assert (packed.read_bytes(), results(tmp_path)) == (before, content)


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_a_stopped_study_goes_on_where_it_stopped(run_study, tmp_path, stop_after):
    first = run_study(stop_after=stop_after)
    assert not results(tmp_path)["complete"]
    second = run_study()
    assert first.trials + second.trials == ORDER
    assert results(tmp_path)["complete"]


def test_only_new_trials_are_trained(run_study):
    run_study()

    def change(content):
        content["seeds"] = [0, 1, 2]

    assert run_study(change).trials == [("crx", "seed-2"), ("lif", "seed-2")]


def test_a_row_alone_leaves_the_others_to_be_run(run_study, tmp_path):
    alone = run_study(only=["digits/lif"])
    assert alone.trials == [trial for trial in ORDER if trial[0] == "lif"]
    assert [row["seeds"] for row in results(tmp_path)["rows"]] == [[], [0, 1]]
    assert not results(tmp_path)["complete"]
    assert run_study().trials == [trial for trial in ORDER if trial[0] == "crx"]
    assert results(tmp_path)["complete"]


def test_changed_settings_are_refused_by_name(run_study):
    run_study(stop_after=1)

    def change(content):
        content["models"]["crx"]["rule"] = {"loss_on": "count"}

    said = r"crx/search-0 in .* was made with rule.loss_on 'probability', which is 'count' now"
    with pytest.raises(ConfigError, match=said):
        run_study(change)


def test_a_cluster_and_a_shared_search_do_not_go_together(study, study_file, tmp_path):
    both = {"cluster": "tcp://127.0.0.1:9", "storage": "sqlite:///a.db"}
    with pytest.raises(ConfigError, match="leave one of them out"):
        compare(study(), study_file(), tmp_path / "out", 1, Watcher(), **both)
    assert not (tmp_path / "out").exists()


def test_a_second_command_on_the_same_folder_is_refused(run_study, tmp_path):
    with ThreadPoolExecutor(1) as pool, owned(tmp_path / "out"):
        refused = pool.submit(run_study).exception()
    assert isinstance(refused, ConfigError)
    assert "out is in use by process" in str(refused)


def test_a_failed_training_is_reported_after_the_others_are_done(run_study, monkeypatch, tmp_path):
    train = library.train_and_test

    def fail(settings, path):
        if (settings.neurons.kind, settings.training.seed) == ("lif", 0):
            raise TrainingError("the loss is nan in epoch 1, batch 1 of 2")
        return train(settings, path)

    monkeypatch.setattr(trials.library, "train_and_test", fail)
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"^lif on digits with seed 0 failed: the loss .*"):
            run_study()
    assert [row["seeds"] for row in results(tmp_path)["rows"]] == [[0, 1], [1]]


def test_settings_that_fail_in_the_search_are_not_chosen(run_study, monkeypatch, tmp_path):
    validate = library.validate

    def fail(settings):
        if settings.training.learning_rate == 0.03:
            raise TrainingError("the loss is nan in epoch 1, batch 1 of 2")
        return validate(settings)

    monkeypatch.setattr(trials.library, "validate", fail)
    seen = run_study()
    assert len(seen.trials) == TRIALS
    assert ["error" in one for one in seen.records].count(True) == 1
    assert results(tmp_path)["rows"][0]["found"] == {"training.learning_rate": 0.01}


# Several workers. What they run is imported by name, so it must stand in a module that they find.

KILLS = Path(__file__).parent / "kills.py"


@pytest.fixture
def killing(monkeypatch, tmp_path):
    """Let workers run a trial that kills them as often as given, before it works."""

    def arrange(model: str, trial: str, times: int) -> Path:
        log = tmp_path / "killed"
        monkeypatch.setenv(
            "PYTHONPATH",
            f"{KILLS.parent}{os.pathsep}{os.environ['PYTHONPATH']}"
            if "PYTHONPATH" in os.environ
            else str(KILLS.parent),
        )
        monkeypatch.setenv("KILL", f"{model} {trial} {times} {log}")
        monkeypatch.syspath_prepend(KILLS.parent)
        import kills

        monkeypatch.setattr(sharing, "work", kills.work)
        return log

    return arrange


@pytest.mark.slow
def test_two_workers_find_what_one_finds(run_study, tmp_path):
    seen = run_study(jobs=2)
    assert sorted(seen.trials) == sorted(ORDER)
    shared = results(tmp_path)["rows"]
    (tmp_path / "out").rename(tmp_path / "shared")
    run_study()
    for one, other in zip(shared, results(tmp_path)["rows"], strict=True):
        assert one["found"] == other["found"]
        assert one["test_accuracy"] == other["test_accuracy"]


@pytest.mark.slow
def test_a_killed_worker_costs_its_trial_only(run_study, killing, tmp_path):
    log = killing("lif", "seed-0", 2)
    seen = run_study(jobs=2)
    assert log.read_text().count("killed") == 2
    assert sorted(seen.trials) == sorted(ORDER)
    lost = [it.event for it in tested.read(tmp_path / "out") if it.key[1:] == ("lif", "seed", 0)]
    assert lost == ["tests", "goes on", "goes on", "recorded"]
    assert results(tmp_path)["complete"]


@pytest.mark.slow
def test_a_trial_that_kills_its_worker_three_times_is_an_error(run_study, killing, tmp_path):
    log = killing("lif", "seed-0", 99)
    said = r"trial digits/lif/seed-0 was lost 3 times, .* its worker was killed.*Fewer workers"
    with pytest.raises(ConfigError, match=said):
        run_study(jobs=2)
    assert log.read_text().count("killed") == sharing.ATTEMPTS
    assert results(tmp_path)["rows"][1]["found"] is not None
