"""`sqsnn-bench rhythms` from the call to the tables, and the tables that are committed."""

import json
from pathlib import Path

from sqsnn_bench.rhythms import fixed, models, run, training
from sqsnn_bench.rhythms.text import tables

RESULTS = Path(__file__).parents[2] / "results"


def test_rhythms_are_compared_from_the_command_line(bench, here, monkeypatch):
    model = models.MODELS[models.RESONATORS]
    model = model._replace(starts=model.starts[:1])
    monkeypatch.setattr(run, "MODELS", {models.RESONATORS: model})
    monkeypatch.setattr(run, "FIXED", (models.RESONATORS,))
    monkeypatch.setattr(run, "LEARNING_RATES", (0.01,))
    monkeypatch.setattr(run, "TUNED_SAMPLES", 300)
    monkeypatch.setattr(fixed, "RUNS", (1, 2))
    monkeypatch.setattr(fixed, "FITTED", 80)
    monkeypatch.setattr(fixed, "JUDGED", 20)
    monkeypatch.setattr(training, "TESTED", 20)
    options = "--parameters 900 --neurons 5 --steps 4 --seeds 2"
    done = bench("rhythms", *options.split(), "--out", "out/rhythms.json")
    assert (done.code, done.err) == (0, "")
    content = json.loads((here / "out" / "rhythms.json").read_text("utf-8"))
    assert content["command"] == f"sqsnn-bench rhythms {options}"
    assert tables(content).strip() in done.out
    assert done.out.splitlines()[0].startswith("SQS resonators: ")
    assert done.out.splitlines()[-1] == "out/rhythms.json"


def test_a_wrong_number_of_seeds_is_refused(bench, here):
    done = bench("rhythms", "--seeds", "1")
    assert (done.code, done.out) == (2, "")
    assert "--seeds: " in done.err


def test_the_tables_of_the_page_are_those_of_the_stored_figures():
    content = json.loads((RESULTS / "rhythms.json").read_text("utf-8"))
    page = (RESULTS / "rhythms.md").read_text("utf-8")
    assert f"`{content['command']}`" in page
    for table in tables(content).split("\n\n")[1::2]:
        assert table.strip() in page
    assert list(content["trained"]) == list(models.MODELS)
    assert list(content["fixed"]) == list(models.FIXED)
