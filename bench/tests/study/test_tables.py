"""The tables: means and intervals worked out by hand, and what is missing."""

import json
import math

from numpy.testing import assert_allclose
from scipy.stats import ttest_ind

from sqsnn.reports.page import Table
from sqsnn.reports.study_report import accuracy, study_page
from sqsnn.storage import write_json
from sqsnn.study.search import Searches
from sqsnn.study.tables import difference, summarise, write
from sqsnn.study.trials import final_path, search_path


def without_search(content):
    content.pop("search")
    content["models"]["lif"].pop("search")
    content["seeds"] = [0, 1, 2]


def put(made, model, seed, **figures):
    """Write the record of a training, as far as tables look at it."""
    path = final_path(made, "digits", model, {}, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "seed": seed,
        "parameters": 834,
        "hidden": [12],
        "test_accuracy": 0.9,
        "test_accuracy_probability": None,
        "test_accuracy_spikes": 0.8,
        "validation_accuracy_spikes": 0.85,
        "test_samples": 20,
        "spikes_per_sample": [10.0, 2.5],
        "seconds": 3.0,
        "costs": {"total": {"synaptic_operations": 100.0, "gates": 7, "measurements": 28}},
    }
    write_json(path, record | figures)


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


def test_accuracies_are_shown_in_per_cent():
    assert accuracy({"mean": 0.93312, "interval": 0.00119}) == "93.31 ± 0.12"
    assert accuracy({"mean": 0.5, "interval": None}) == "50.00"
    assert accuracy({"mean": None, "interval": None}) == "\N{EN DASH}"


def test_rows_are_means_over_seeds(plan):
    made = plan(without_search)
    for seed, reached in enumerate((0.90, 0.92, 0.94)):
        put(
            made,
            "crx",
            seed,
            test_accuracy_spikes=reached,
            seconds=seed + 1.0,
            spikes_per_sample=[10.0, seed],
        )
        put(made, "lif", seed, costs=None)
    crx, lif = write(made, Searches(made))
    content = json.loads((made.out / "results.json").read_text())
    assert content == {"name": "tiny", "reference": None, "complete": True, "rows": [crx, lif]}
    assert (crx["dataset"], crx["model"], crx["label"]) == ("digits", "crx", "SQS crx")
    assert lif["label"] == "lif"
    assert (crx["parameters"], crx["hidden"], crx["seeds"]) == (834, [12], [0, 1, 2])
    assert_allclose(crx["test_accuracy_spikes"]["mean"], 0.92)
    assert crx["test_accuracy_probability"] == summarise([])
    assert (crx["seconds"], crx["spikes_per_inference"]) == (2.0, 11.0)
    assert (crx["synaptic_operations"], crx["gates"], crx["measurements"]) == (100.0, 7, 28)
    assert (lif["synaptic_operations"], lif["gates"], lif["measurements"]) == (None, None, None)
    table = (made.out / "results.md").read_text()
    cells = "12 | 834 | 3 of 3 | 85.00 ± 0.00 | 92.00 ± 4.97 | 90.00 ± 0.00 | \N{EN DASH} | "
    cells += "11.0 | 100 | 7 | 28 | 2 |"
    assert f"| SQS crx | {cells}" in table
    assert table.index("SQS crx") < table.index("| lif |")
    # The page is laid out from the same rows.
    (group,) = [part for part in study_page(made.out).sections if part.title == "digits"]
    accuracies, costs = [block for block in group.blocks if isinstance(block, Table)]
    assert accuracies.rows[0][:4] == ("SQS crx", "834", "12", "3")
    assert accuracies.rows[0][4:6] == ("85.00 ± 0.00", "92.00 ± 4.97")
    assert costs.rows[0] == ("SQS crx", "11", "100", "7", "28", "2.0 s")


def test_what_is_missing_or_failed_is_shown(plan):
    made = plan(without_search)
    put(made, "crx", 0)
    put(made, "crx", 1, error="the loss is nan")
    crx, lif = write(made, Searches(made))
    assert crx["seeds"] == [0]
    assert lif["seeds"] == []
    assert lif["test_accuracy_spikes"] == summarise([])
    assert not json.loads((made.out / "results.json").read_text())["complete"]
    table = (made.out / "results.md").read_text()
    assert (crx["failed"], lif["failed"]) == (1, 0)
    assert "| SQS crx | 12 | 834 | 1 of 3, 1 failed | 85.00 | 80.00 |" in table
    dash = "\N{EN DASH}"
    assert f"| lif | {dash} | {dash} | 0 of 3 | {dash} |" in table


def test_every_trial_of_the_search_is_shown_in_the_order_of_the_lists(plan):
    made = plan()
    searches = Searches(made)
    asks = [searches.ask("digits", "crx") for _ in range(2)]
    for ask, reached in zip(asks, (0.6, None), strict=True):
        found = {"validation_accuracy_spikes": reached, "validation_loss": 2.0, "parameters": 834}
        path = search_path(made, "digits", "crx", ask.found)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, found if reached else {"error": "the loss is nan"})
        ask.tell(reached or 0.0, None)
        ask.lock.release()
    write(made, searches)
    heads, _, *lines = (made.out / "search.md").read_text().split("## digits\n\n")[1].splitlines()
    assert heads.startswith("| model | settings | parameters | spikes | ties by probability |")
    dash = "\N{EN DASH}"
    cells = {
        asks[0].found["training.learning_rate"]: f"834 | 60.00% | {dash} | 2.000 | {dash} |",
        asks[1].found["training.learning_rate"]: " | ".join([dash] * 5) + " |",
    }
    assert lines == [
        f"| SQS crx | training.learning_rate {rate} | {cells[rate]}" for rate in (0.01, 0.03)
    ]


def test_a_study_whose_last_trials_failed_is_complete(plan):
    made = plan(without_search)
    for seed in (0, 1, 2):
        put(made, "crx", seed)
        put(made, "lif", seed, **({"error": "the loss is nan"} if seed else {}))
    write(made, Searches(made))
    assert json.loads((made.out / "results.json").read_text())["complete"]


def test_a_difference_has_the_interval_of_welch():
    found = difference([0.90, 0.91, 0.92], [0.80, 0.82, 0.84])
    assert_allclose(found["mean"], 0.09)
    welch = ttest_ind([0.90, 0.91, 0.92], [0.80, 0.82, 0.84], equal_var=False)
    low, high = welch.confidence_interval(0.95)
    assert_allclose(
        [found["mean"] - found["interval"], found["mean"] + found["interval"]], [low, high]
    )
    assert difference([0.9], [0.8, 0.7])["interval"] is None
    assert difference([0.9, 0.9], [0.8, 0.8])["interval"] is None
    assert difference([], [0.8]) == {"mean": None, "interval": None}


def test_rows_are_compared_with_the_reference(plan):
    def referred(content):
        without_search(content)
        content["reference"] = "lif"

    made = plan(referred)
    for seed in (0, 1, 2):
        put(made, "crx", seed, test_accuracy_spikes=0.90 + seed / 100)
        put(made, "lif", seed, test_accuracy_spikes=0.80 + seed / 50)
    crx, lif = write(made, Searches(made))
    assert_allclose(crx["difference"]["mean"], 0.09)
    assert lif["difference"]["mean"] is None
    table = (made.out / "results.md").read_text()
    assert "| above lif |" in table
    assert "| +9.00 ± " in table


def test_records_of_other_settings_are_not_looked_at(plan):
    made = plan(without_search)
    put(made, "crx", 0)

    def longer(content):
        without_search(content)
        content["datasets"]["digits"]["training"]["epochs"] = 3

    changed = plan(longer)
    rows = write(changed, Searches(changed))
    assert [row["seeds"] for row in rows] == [[], []]
