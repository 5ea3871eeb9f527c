"""One training: the search never reads the test, a final one reads it once; nothing is repeated."""

import json
import math
from dataclasses import replace

import pytest

from sqsnn.errors import ConfigError
from sqsnn.study import trials
from sqsnn.study.plan import final_settings
from sqsnn.study.trials import final_path, read_record, run_final, run_search
from sqsnn.training import run, trainer
from sqsnn.training.evaluate import Accuracy

CRX = ("digits", "crx", {"training.learning_rate": 0.03})
DEVICE = {"noise_from": "fake_brisbane", "noise_strength": 2.0}


def test_the_search_never_reads_the_test(plan, tests_read):
    record = run_search(plan(), *CRX)
    assert tests_read == []
    assert 0 <= record["validation_accuracy_spikes"] <= 1
    assert not any(name.startswith("test") for name in record)


def test_a_final_training_reads_the_test_once(plan, tests_read):
    made = plan()
    record = run_final(made, *CRX, 1)
    assert tests_read == ["digits"]
    assert run_final(made, *CRX, 1) == record
    assert tests_read == ["digits"]


def test_a_record_says_all_that_the_tables_need(plan):
    made = plan()
    path = final_path(made, *CRX, 1)
    assert path.parent == made.out / "trials" / "digits" / "crx"
    record = run_final(made, *CRX, 1)
    assert record == json.loads(path.read_text())
    folder = made.out / "runs" / "digits" / "crx" / path.stem
    result = json.loads((folder / "metrics.json").read_text())
    for name in ("test_accuracy", "test_accuracy_probability", "test_accuracy_spikes"):
        assert record[name] == result[name]
    assert record["costs"] == result["costs"]
    assert record["parameters"] == result["parameters"] == 834
    assert record["hidden"] == [12]
    assert (record["study"], record["label"], record["seed"]) == ("tiny", "SQS crx", 1)
    assert record["found"] == {"training.learning_rate": 0.03}
    assert record["settings"]["model"] == {"circuit": "crx", "hidden": [12]}
    assert record["epochs"] == 2
    assert record["seconds"] > 0
    assert record["machine"]["device"] == "cpu"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best = lines[record["best_epoch"] - 1]
    assert record["validation_loss"] == best["validation_loss"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.safetensors",
        "config.toml",
        "metrics.json",
        "metrics.jsonl",
        "timing.json",
    ]


def test_the_search_and_a_run_train_alike(plan):
    def as_in_the_search(content):
        content["search"].pop("train_samples")
        content["search"].pop("epochs")

    made = plan(as_in_the_search)
    searched = run_search(made, *CRX)
    tested = run_final(made, *CRX, 1000)
    for name in ("validation_accuracy_spikes", "validation_loss", "best_epoch", "parameters"):
        assert searched[name] == tested[name]


def test_the_search_looks_at_the_epoch_whose_weights_a_run_would_keep(plan, monkeypatch):
    reached = iter([0.9, 0.6])
    monkeypatch.setattr(
        trainer.evaluate, "accuracy", lambda scores, labels: Accuracy(next(reached), 0.5)
    )
    spikes = iter([0.3, 0.4])
    monkeypatch.setattr(trainer.evaluate, "accuracy_of_spikes", lambda scores, labels: next(spikes))
    record = run_search(plan(lambda content: content["search"].update(epochs=2)), *CRX)
    assert (record["best_epoch"], record["validation_accuracy_spikes"]) == (1, 0.3)


@pytest.mark.parametrize(
    "place", ["before the settings", "in the first epoch", "after the first epoch", "at the end"]
)
def test_a_training_that_was_stopped_goes_on_to_the_same_result(plan, monkeypatch, place):
    made = plan()
    never = run_final(made, *CRX, 0)
    stopped = plan(lambda content: content.update(name="stopped"))
    final_path(stopped, *CRX, 0).unlink()
    path = final_path(stopped, *CRX, 0)
    folder = made.out / "runs" / "digits" / "crx" / path.stem
    for file in folder.iterdir():
        file.unlink()

    calls = []
    train = trainer._train

    def interrupt(*args, **kwargs):
        calls.append(args)
        if place == "after the first epoch" and len(calls) == 1:
            return train(*args, **kwargs)
        raise KeyboardInterrupt

    where = {
        "before the settings": (run.run_folder.configs, "to_toml"),
        "in the first epoch": (trainer.evaluate, "accuracy"),
        "after the first epoch": (trainer, "_train"),
        "at the end": (trials, "write_json"),
    }[place]
    with monkeypatch.context() as patch:
        patch.setattr(*where, interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_final(stopped, *CRX, 0)
    assert read_record(path) is None
    again = run_final(stopped, *CRX, 0)
    apart = {"study", "seconds"}
    assert {k: v for k, v in again.items() if k not in apart} == {
        k: v for k, v in never.items() if k not in apart
    }


def test_a_stopped_training_with_the_noise_of_a_device_goes_on(plan, monkeypatch):
    made = plan(lambda content: content["models"]["crx"].update(noise=DEVICE))

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.evaluate, "accuracy", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_final(made, *CRX, 0)
    assert run_final(made, *CRX, 0)["settings"]["noise"] == DEVICE


@pytest.mark.parametrize("work", [run_final, run_search])
def test_records_of_other_data_are_refused(plan, work):
    made = plan()
    arguments = (*CRX, 0) if work is run_final else CRX
    assert work(made, *arguments)["source"] == made.facts["digits"].source
    facts = {"digits": made.facts["digits"]._replace(source="a subset")}
    with pytest.raises(ConfigError, match="but the data here are a subset"):
        work(replace(made, facts=facts), *arguments)


def test_a_loss_that_is_not_finite_is_written_down(plan, monkeypatch):
    made = plan()
    monkeypatch.setattr(
        trainer.evaluate, "loss", lambda scores, labels: pytest.fail("nothing is validated")
    )

    def explode(progress, recipe, samples, epoch, watch):
        trainer._check_loss(math.nan, "epoch 1, batch 1 of 2")

    monkeypatch.setattr(trainer, "_train", explode)
    for record in (run_search(made, *CRX), run_final(made, *CRX, 0)):
        assert record["error"].startswith("the loss is nan in epoch 1, batch 1 of 2")
    assert read_record(final_path(made, *CRX, 0)) == record


def test_changed_settings_are_another_trial(plan):
    made = plan()
    run_final(made, *CRX, 0)

    def longer(content):
        content["datasets"]["digits"]["training"]["epochs"] = 3

    changed = plan(longer)
    assert read_record(final_path(changed, *CRX, 0)) is None
    assert final_settings(changed, *CRX, 0).training.epochs == 3
    run_final(changed, *CRX, 0)
    assert len(list((made.out / "trials" / "digits" / "crx").glob("seed-0-*.json"))) == 2
