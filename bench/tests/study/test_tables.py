"""The tables: means and intervals worked out by hand, and what is missing."""

import json
import math

import pytest
from numpy.testing import assert_allclose

from sqsnn.readfile import read_sealed
from sqsnn_bench.study.headline import ACCURACY, ERROR
from sqsnn_bench.study.page import shown
from sqsnn_bench.study.records import Key
from sqsnn_bench.study.tables import summarise, write

DASH = "\N{EN DASH}"
TOTAL = {
    "synaptic_operations": 100.0,
    "neuron_updates": 28,
    "membrane_operations": 56,
    "gates": 7,
    "measurements": 28,
}
LAYER = {"neurons": 14, "steps": 2, "circuit_gates": {"RX": 7}, "gates": 7, "measurements": 28}


def without_search(content):
    content.pop("search")
    content["models"]["lif"].pop("search")
    content["seeds"] = [0, 1, 2]


@pytest.fixture
def written(study, tmp_path):
    """Write the tables of the tiny study without a search, changed, from records."""
    return lambda records, change=without_search: write(study(change), tmp_path, records)


def put(records, model, seed, **figures):
    """Add the record of a training, as far as tables need it."""
    records[Key("digits", model, "seed", seed)] = {
        "seed": seed,
        "parameters": 834,
        "hidden": [12],
        "test_accuracy": 0.8,
        "test_accuracy_ties_by_probability": 0.9,
        "test_accuracy_probability": None,
        "validation_accuracy": 0.85,
        "test_samples": 20,
        "spikes_per_sample": [10.0, 2.5],
        "seconds": 3.0,
        "costs": {"total": TOTAL, "layers": [LAYER]},
        **figures,
    }


def test_the_interval_is_that_of_student():
    # Deviation 0.02, error 0.02 / sqrt(3), and t is 4.30265 for 2 degrees of freedom.
    summary = summarise([0.90, 0.92, 0.94])
    assert_allclose(summary["mean"], 0.92)
    assert_allclose(summary["interval"], 4.30265 * 0.02 / math.sqrt(3), rtol=1e-5)
    assert summary["values"] == [0.90, 0.92, 0.94]
    # t is 12.7062 for 1, and the deviation of two is their distance by sqrt(2).
    assert_allclose(summarise([0.5, 0.6])["interval"], 12.7062 * 0.1 / 2, rtol=1e-5)


def test_one_seed_has_no_interval_and_none_no_mean():
    assert summarise([0.5]) == {"mean": 0.5, "interval": None, "values": [0.5]}
    assert summarise([]) == {"mean": None, "interval": None, "values": []}


def test_accuracies_are_shown_in_per_cent_and_errors_as_they_are():
    assert shown({"mean": 0.93312, "interval": 0.00119}, ACCURACY) == "93.31 ± 0.12"
    assert shown({"mean": 0.5, "interval": None}, ACCURACY) == "50.00"
    assert shown({"mean": None, "interval": None}, ACCURACY) == "\N{EN DASH}"
    assert shown({"mean": 0.25, "interval": 0.01}, ERROR, "+") == "+0.2500 ± 0.0100"


def test_rows_are_means_over_seeds(written, tmp_path):
    records = {}
    for seed, reached in enumerate((0.90, 0.92, 0.94)):
        spikes = [10.0, seed]
        put(
            records,
            "crx",
            seed,
            test_accuracy=reached,
            seconds=seed + 1.0,
            spikes_per_sample=spikes,
        )
        put(records, "lif", seed, costs=None)
    crx, lif = written(records)
    content = read_sealed(tmp_path / "results.json", dict)
    assert content == {
        "name": "tiny",
        "reference": None,
        "complete": True,
        "rows": [crx, lif],
        "comparisons": [],
        "irregular_tests": [],
    }
    assert (crx["dataset"], crx["model"], crx["label"]) == ("digits", "crx", "SQS crx")
    assert lif["label"] == "lif"
    assert (crx["parameters"], crx["hidden"], crx["seeds"]) == (834, [12], [0, 1, 2])
    assert_allclose(crx["test_accuracy"]["mean"], 0.92)
    assert crx["test_accuracy_probability"] == summarise([])
    assert (crx["seconds"], crx["spikes_per_inference"]) == (2.0, 11.0)
    assert (crx["synaptic_operations"], crx["gates"], crx["measurements"]) == (100.0, 7, 28)
    assert (crx["neuron_updates"], crx["membrane_operations"]) == (28, 56)
    assert (lif["synaptic_operations"], lif["gates"], lif["measurements"]) == (None, None, None)
    # 14 neurons: 250 us and two steps of 3.28 us each; 7 rotations of 64 ns.
    assert_allclose(crx["device_seconds"], 14 * 256.56e-6 + 7 * 64e-9, rtol=1e-12)
    table = (tmp_path / "results.md").read_text()
    cells = f"12 | 834 | 3 of 3 | 85.00 ± 0.00 | 92.00 ± 4.97 | 90.00 ± 0.00 | {DASH} |"
    assert f"| SQS crx | {cells}" in table
    costs = "92.00 ± 4.97 | 11 | 100 | 28 | 56 | 7 | 28 | 3.59 ms | 2.0 s |"
    assert f"| SQS crx | {costs}" in table
    assert "| validation | test accuracy | ties by probability | by probability |" in table
    assert table.index("SQS crx") < table.index("| lif |")
    assert not (tmp_path / "search.md").exists()


def of_values(content):
    without_search(content)
    content["datasets"]["narma5"] = {"parameters": 300}
    content |= {"reference": "lif"}


def put_values(records, model, seed, error):
    """Add the record of a training of a group of values."""
    made: dict = {}
    put(made, model, seed)
    record = made.pop(Key("digits", model, "seed", seed))
    rest = {name: it for name, it in record.items() if "accuracy" not in name}
    linear = {"model": "ridge on the last 10 steps", "figures": {"nmse": 0.5, "mae": 0.1}}
    figures = {"test_nmse": error, "validation_nmse": error / 2, "validation_mae": 0.1}
    records[Key("narma5", model, "seed", seed)] = {**rest, **figures, "baseline": linear}


def test_errors_stand_beside_accuracies_each_in_its_group(written, tmp_path):
    records = {}
    for seed in (0, 1, 2):
        put(records, "crx", seed)
        put(records, "lif", seed, test_accuracy=0.7 - seed / 100)
        put_values(records, "crx", seed, 0.1 + seed / 100)
        put_values(records, "lif", seed, 0.3)
    rows = written(records, of_values)
    crx = rows[2]
    assert (crx["dataset"], crx["model"]) == ("narma5", "crx")
    assert not [name for name in crx if "accuracy" in name]
    assert_allclose([crx["test_nmse"]["mean"], crx["validation_nmse"]["mean"]], [0.11, 0.055])
    assert crx["baseline"] == {
        "model": "ridge on the last 10 steps",
        **summarise([0.5, 0.5, 0.5]),
    }
    # Differences -0.20, -0.19, -0.18: deviation 0.01, error 0.01 / sqrt(3), t = 4.30265.
    table = (tmp_path / "results.md").read_text()
    digits, values = table.split("## narma5\n")
    assert "| ties by probability | by probability | above lif | found |" in digits
    assert "| validation | test error (NMSE) | error above lif | found |" in values
    cells = "3 of 3 | 0.0550 ± 0.0124 | 0.1100 ± 0.0248 | -0.1900 ± 0.0248 |"
    assert f"| SQS crx | 12 | 834 | {cells}" in values
    linear = f"{DASH} | {DASH} | 3 of 3 | {DASH} | 0.5000 ± 0.0000 | {DASH} | {DASH} |"
    assert f"| ridge on the last 10 steps | {linear}" in values
    assert "ridge" not in digits
    assert "| SQS crx | 0.1100 ± 0.0248 | 12.5 | 100 |" in values
    assert "| narma5 | SQS crx | lif | 3 | -0.1900 ± 0.0248 |" in values
    assert "| digits | SQS crx | lif | 3 | +11.00 ± 2.48 |" in values
    both = "Differences of test accuracy in points or of test errors (NMSE), where a negative one"
    assert both in values
    assert "Accuracies are in per cent" in digits
    assert "Lower is better" in digits


def test_a_group_of_values_without_a_record_has_the_heads_of_values(written, tmp_path):
    *_, row = written({}, of_values)
    assert row["test_nmse"] == row["validation_nmse"] == summarise([])
    assert "baseline" not in row
    values = (tmp_path / "results.md").read_text().split("## narma5\n")[1]
    assert "| test error (NMSE) |" in values


def test_the_search_of_a_group_of_values_shows_errors(written, tmp_path):
    def searched(content):
        content["datasets"] = {"narma5": {"parameters": 300}}

    found = {"training.learning_rate": 0.01}
    figures = {"validation_nmse": 0.61234, "validation_mae": 0.05, "parameters": 299}
    records = {
        Key("narma5", "crx", "search", 0): {"found": found, "seconds": 2.0, **figures},
        Key("narma5", "crx", "search", 1): {"found": found, "error": "the loss is nan"},
    }
    written(records, searched)
    text, table = (tmp_path / "search.md").read_text().split("## narma5\n\n")
    assert "lower is better" in text
    assert "spikes alone" not in text
    assert table.splitlines() == [
        "| model | settings | parameters | validation error (NMSE) | MAE | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| SQS crx | training.learning_rate 0.01 | 299 | 0.6123 | 0.0500 | 2 |",
        f"| SQS crx | training.learning_rate 0.01 | {DASH} | {DASH} | {DASH} | {DASH} |",
    ]


def test_what_is_missing_or_failed_is_shown(written, tmp_path):
    records = {}
    put(records, "crx", 0)
    put(records, "crx", 1, error="the loss is nan")
    crx, lif = written(records)
    assert (crx["seeds"], lif["seeds"]) == ([0], [])
    assert lif["test_accuracy"] == summarise([])
    assert not json.loads((tmp_path / "results.json").read_text())["complete"]
    table = (tmp_path / "results.md").read_text()
    assert (crx["failed"], lif["failed"]) == (1, 0)
    assert "| SQS crx | 12 | 834 | 1 of 3, 1 failed | 85.00 | 80.00 |" in table
    assert f"| lif | {DASH} | {DASH} | 0 of 3 | {DASH} |" in table


def test_every_trial_of_the_search_is_shown_in_its_order(written, tmp_path):
    found = {"training.learning_rate": 0.01}
    records = {
        Key("digits", "crx", "search", 0): {
            "found": found,
            "validation_accuracy": 0.6,
            "validation_loss": 2.0,
            "parameters": 834,
        },
        Key("digits", "crx", "search", 1): {
            "found": {"training.learning_rate": 0.03},
            "error": "the loss is nan",
        },
    }
    crx, _ = written(records, lambda content: None)
    assert crx["found"] == found
    heads, _, *lines = (tmp_path / "search.md").read_text().split("## digits\n\n")[1].splitlines()
    assert heads.startswith("| model | settings | parameters | validation accuracy | ties by")
    assert lines == [
        f"| SQS crx | training.learning_rate 0.01 | 834 | 60.00% | {DASH} | 2.000 | {DASH} |",
        f"| SQS crx | training.learning_rate 0.03 | {' | '.join([DASH] * 5)} |",
    ]


def test_a_study_whose_last_trials_failed_is_complete(written, tmp_path):
    records = {}
    for seed in (0, 1, 2):
        put(records, "crx", seed)
        put(records, "lif", seed, **({"error": "the loss is nan"} if seed else {}))
    written(records)
    assert json.loads((tmp_path / "results.json").read_text())["complete"]


def test_models_are_compared_with_the_reference_and_in_further_pairs(written, tmp_path):
    def referred(content):
        without_search(content)
        content["models"]["qlif"] = {"label": "Q|LIF", "neurons": {"kind": "qlif"}}
        content |= {"reference": "lif", "comparisons": [["crx", "qlif"]]}

    records = {}
    for seed in (0, 1, 2):
        put(records, "crx", seed, test_accuracy=0.90 + seed / 100)
        put(records, "lif", seed, test_accuracy=0.80 + seed / 50)
    put(records, "qlif", 2, test_accuracy=0.5)
    written(records, referred)
    found = read_sealed(tmp_path / "results.json", dict)["comparisons"]
    assert [(one["model"], one["other"], one["pairs"]) for one in found] == [
        ("crx", "lif", [0, 1, 2]),
        ("qlif", "lif", [2]),
        ("crx", "qlif", [2]),
    ]
    table = (tmp_path / "results.md").read_text()
    assert "| above lif |" in table
    # Differences 0.10, 0.09, 0.08: deviation 0.01, error 0.01 / sqrt(3), t = 4.30265.
    assert "| +9.00 ± 2.48 | " in table
    # t = 9 sqrt(3), p = 0.0041; three comparisons: 0.0122. g = (1 - 3 / 7) 9.
    assert "| digits | SQS crx | lif | 3 | +9.00 ± 2.48 | 0.004 | 0.012 | +5.14 |" in table
    assert f"| digits | SQS crx | Q\\|LIF | 1 | +42.00 | {DASH} | {DASH} | {DASH} |" in table


def test_records_of_models_that_the_study_lost_are_left_out(written):
    records = {}
    for model in ("crx", "gone"):
        put(records, model, 0)
    put(records, "crx", 7)
    crx, _ = written(records)
    assert crx["seeds"] == [0]
