"""One training: a search never reads the test, a final one once; it goes on where it stopped."""

import json
from dataclasses import replace

import pytest

from sqsnn.errors import ConfigError, TrainingError
from sqsnn.runs.folder import RunFolder
from sqsnn.training import trainer
from sqsnn.training.evaluate import Accuracy
from sqsnn_bench.study import records, trials
from sqsnn_bench.study.plan import Trial
from sqsnn_bench.study.records import Key
from sqsnn_bench.study.trials import job, refuse_misfit, work

FOUND = {"training.learning_rate": 0.03}
SEARCH = Trial(Key("digits", "crx", "search", 1), FOUND)
FINAL = Trial(Key("digits", "crx", "seed", 1), FOUND)
DEVICE = {"noise_from": "fake_boston", "noise_strength": 2.0}


def test_the_search_never_reads_the_test(plan, tests_read):
    record = work(job(plan(), SEARCH))
    assert tests_read == []
    assert 0 <= record["validation_accuracy"] <= 1
    assert not any(name.startswith("test") for name in record)


def test_a_search_of_values_never_reads_the_test(plan, tests_read):
    record = work(job(plan(_of_values), SEARCH))
    assert tests_read == []
    assert record["validation_nmse"] > 0
    assert not any(name.startswith("test") for name in record)


def test_a_record_of_values_holds_its_errors_and_those_of_a_linear_model(plan):
    made = plan(_of_values)
    record = work(job(made, FINAL))
    folder = made.out / "runs" / "digits" / "crx" / "seed-1"
    result = json.loads((folder / "metrics.json").read_text())
    for name in ("test_nmse", "test_mae", "baseline", "costs"):
        assert record[name] == result[name]
    assert not any("accuracy" in name for name in record)
    assert record["baseline"]["figures"]["nmse"] > 0


def test_values_that_do_not_vary_have_no_error_to_compare(plan, tmp_path):
    path = tmp_path / "constant.csv"
    path.write_text("x,y\n" + "".join(f"0.{number},0.5\n" for number in range(100, 160)))

    def constant(content):
        _of_values(content)
        data = {"train_samples": 40, "test_samples": 10}
        content["datasets"]["digits"].update(dataset=str(path), data=data)

    with pytest.raises(ConfigError, match="validation_nmse cannot be had, because the targets"):
        work(job(plan(constant), SEARCH))


def _of_values(content):
    data, training = {"train_samples": 30, "test_samples": 5}, {"epochs": 1, "batch_size": 10}
    group = {"dataset": "narma5", "parameters": 300, "data": data, "training": training}
    content["datasets"] = {"digits": group}
    content["search"]["train_samples"] = 20


def test_a_final_training_reads_the_test_once(plan, tests_read):
    work(job(plan(), FINAL))
    assert tests_read == ["digits"]


def test_a_record_holds_all_that_the_tables_need(plan):
    made = plan()
    record = work(job(made, FINAL))
    assert json.loads(json.dumps(record)) == record
    assert records.key_of(record) == FINAL.key
    folder = made.out / "runs" / "digits" / "crx" / "seed-1"
    result = json.loads((folder / "metrics.json").read_text())
    names = ("test_accuracy", "test_accuracy_ties_by_probability", "test_accuracy_probability")
    for name in (*names, "costs", "parameters", "spikes_per_sample", "test_samples"):
        assert record[name] == result[name]
    assert (record["parameters"], record["hidden"]) == (826, [11])
    assert (record["study"], record["trial"], record["seed"]) == ("tiny", "seed-1", 1)
    assert record["found"] == FOUND
    assert record["settings"]["neurons.circuit"] == "crx"
    assert record["epochs"] == 2
    assert record["seconds"] > 0
    assert record["machine"]["device"] == "cpu"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best = lines[record["best_epoch"] - 1]
    assert record["validation_loss"] == best["validation_loss"]
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "best.safetensors",
        "config.toml",
        "metrics.json",
        "metrics.jsonl",
        "preparation.json",
        "timing.json",
    ]


def test_the_search_and_a_run_train_alike(plan):
    def as_in_the_search(content):
        content["search"].pop("train_samples")
        content["search"].pop("epochs")

    made = plan(as_in_the_search)
    searched = work(job(made, SEARCH))
    tested = work(job(made, Trial(Key("digits", "crx", "seed", 1000), FOUND)))
    for name in ("validation_accuracy", "validation_loss", "best_epoch", "parameters"):
        assert searched[name] == tested[name]


def test_the_search_judges_the_epoch_whose_weights_a_run_would_keep(plan, monkeypatch):
    reached = iter([Accuracy(0.4, 0.6, 0.5), Accuracy(0.3, 0.9, 0.9)])
    monkeypatch.setattr(trainer.evaluate, "accuracy", lambda scores, labels: next(reached))
    record = work(job(plan(lambda content: content["search"].update(epochs=2)), SEARCH))
    assert (record["best_epoch"], record["validation_accuracy"]) == (1, 0.4)


@pytest.mark.parametrize(
    "place", ["before the settings", "in the first epoch", "after the first epoch", "at the end"]
)
def test_a_training_that_was_stopped_goes_on_to_the_same_result(plan, monkeypatch, tmp_path, place):
    made = plan()
    never = work(job(made, FINAL))
    stopped = replace(made, out=tmp_path / "stopped")
    calls = []
    train = trainer.train_epoch

    def interrupt(*args, **kwargs):
        calls.append(args)
        if place == "after the first epoch" and len(calls) == 1:
            return train(*args, **kwargs)
        raise KeyboardInterrupt

    from sqsnn.runs import folder

    where = {
        "before the settings": (folder, "to_toml"),
        "in the first epoch": (trainer.evaluate, "accuracy"),
        "after the first epoch": (trainer, "train_epoch"),
        "at the end": (trials.library, "forget_checkpoint"),
    }[place]
    with monkeypatch.context() as patch:
        patch.setattr(*where, interrupt)
        with pytest.raises(KeyboardInterrupt):
            work(job(stopped, FINAL))
    again = work(job(stopped, FINAL))
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in never.items() if k != "seconds"
    }


def test_a_stopped_training_with_the_noise_of_a_device_goes_on(plan, monkeypatch):
    made = plan(lambda content: content["models"]["crx"].update(device_noise=DEVICE))

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.evaluate, "accuracy", interrupt)
        with pytest.raises(KeyboardInterrupt):
            work(job(made, FINAL))
    settings = work(job(made, FINAL))["settings"]
    assert settings["device_noise.noise_from"] == "fake_boston"


def test_a_run_folder_with_other_settings_is_refused(plan):
    made = plan()
    folder = RunFolder(made.out / "runs" / "digits" / "crx" / "seed-1")
    work(job(made, FINAL))
    text = folder.config.read_text().replace("epochs = 2", "epochs = 3")
    folder.config.write_text(text)
    with pytest.raises(ConfigError, match=r"seed-1 holds a run with other settings: remove it"):
        work(job(made, FINAL))


@pytest.mark.parametrize("trial", [SEARCH, FINAL], ids=["search", "final"])
def test_records_of_other_settings_or_data_are_refused_by_name(plan, trial):
    made = plan()
    fitting = job(made, trial).known
    refuse_misfit(made, trial, fitting)
    other = {**fitting, "settings": {**fitting["settings"], "neurons.encoding_slope": "exact"}}
    said = r"trial digits/crx/.* was made with neurons.encoding_slope 'exact', which is 'exponent"
    with pytest.raises(ConfigError, match=said):
        refuse_misfit(made, trial, other)
    with pytest.raises(ConfigError, match=r"in the storage was made .*give the study another name"):
        refuse_misfit(made, trial, other, shared=True)
    facts = {"digits": made.facts["digits"]._replace(source="a subset")}
    with pytest.raises(ConfigError, match="but the data here are a subset"):
        refuse_misfit(replace(made, facts=facts), trial, fitting)


def test_a_setting_that_one_version_does_not_know_is_no_difference(plan):
    made = plan()
    fitting = job(made, FINAL).known
    older = {
        name: v for name, v in fitting["settings"].items() if name != "neurons.output_memory_qubits"
    }
    refuse_misfit(made, FINAL, {**fitting, "settings": {**older, "neurons.gone": 1}})


def test_a_loss_that_is_not_finite_is_recorded(plan, monkeypatch):
    made = plan()

    def explode(progress, recipe, samples, epoch, watch):
        raise TrainingError("the loss is nan in epoch 1, batch 1 of 2")

    monkeypatch.setattr(trainer, "train_epoch", explode)
    for trial in (SEARCH, FINAL):
        record = work(job(made, trial))
        assert record["error"].startswith("the loss is nan in epoch 1, batch 1 of 2")
