"""The search: every combination once, proposals that repeat, the best by rank; all from records."""

import pytest

from sqsnn_bench.study.records import Key
from sqsnn_bench.study.search import STARTUP, chosen, proposal

TRIALS = 14


def ranges(content):
    content["search"].update(trials=TRIALS, learning_rate={"low": 1e-3, "high": 0.1, "log": True})
    content["models"]["lif"]["search"] = {
        "neurons.beta": {"low": 0.1, "high": 0.9},
        "training.learning_rate": [0.01],
    }


def tried(found, accuracy=0.5, loss=1.0):
    if loss is None:
        return {"found": found, "error": "the loss is nan"}
    return {"found": found, "validation_accuracy": accuracy, "validation_loss": loss}


def run(study, model="lif", records=None):
    """Run what is left of a search, as the parent does; give the settings in their order."""
    records = {} if records is None else records
    for number in range(study.search.trials):
        key = Key("digits", model, "search", number)
        if key not in records:
            found = proposal(study, study.search, "digits", model, number, records)
            records[key] = tried(found, accuracy=found.get("neurons.beta", 0.5))
    return [records[Key("digits", model, "search", n)]["found"] for n in range(len(records))]


def test_lists_are_tried_in_all_combinations(study):
    assert run(study()) == [
        {"training.learning_rate": 0.01, "neurons.beta": beta} for beta in (0.5, 0.9)
    ]


def test_proposals_from_a_range_lie_in_it_and_differ(study):
    found = run(study(ranges))
    betas = [one["neurons.beta"] for one in found]
    assert len(set(betas)) == TRIALS
    assert all(0.1 <= beta <= 0.9 for beta in betas)
    assert all(one["training.learning_rate"] == 0.01 for one in found)
    # The last proposals come from the records: the estimator has seen that larger is better.
    assert sum(betas[STARTUP:]) / (TRIALS - STARTUP) > 0.6


@pytest.mark.parametrize("stopped", [1, STARTUP, STARTUP + 2])
def test_a_stopped_search_of_ranges_finds_what_it_would_have_found(study, stopped):
    read, never = study(ranges), {}
    run(read, records=never)
    again = {key: record for key, record in never.items() if key.number < stopped}
    assert run(read, records=again) == run(read, records=never)


def test_later_proposals_wait_for_all_records_before_them(study):
    read, records = study(ranges), {}
    run(read, records=records)
    missing = {key: record for key, record in records.items() if key.number != 3}
    assert proposal(read, read.search, "digits", "lif", STARTUP, missing) is None
    first = proposal(read, read.search, "digits", "lif", STARTUP - 1, {})
    assert first == records[Key("digits", "lif", "search", STARTUP - 1)]["found"]


@pytest.mark.parametrize(
    ("reached", "best"),
    [
        ([(0.6, 2.0), (0.7, 3.0)], 1),
        ([(0.7, 3.0), (0.7, 2.0)], 1),
        ([(0.7, 2.0), (0.7, 2.0)], 0),
        ([(0.0, None), (0.0, 2.0)], 1),
    ],
    ids=["accuracy", "then loss", "then order", "failed last"],
)
def test_the_best_is_chosen_by_accuracy_then_loss(study, reached, best):
    read, found = study(), [{"training.learning_rate": rate} for rate in (0.01, 0.03)]
    records = {
        Key("digits", "crx", "search", number): tried(found[number], *figures)
        for number, figures in enumerate(reached)
    }
    assert chosen(read, "digits", "crx", records) == found[best]
    del records[Key("digits", "crx", "search", 1)]
    assert chosen(read, "digits", "crx", records) is None


def test_of_values_the_smallest_error_is_chosen(study):
    found = [{"training.learning_rate": rate} for rate in (0.01, 0.03)]
    records = {
        Key("digits", "crx", "search", number): {"found": found[number], "validation_nmse": error}
        for number, error in enumerate((7.5, 0.5))
    }
    assert chosen(study(), "digits", "crx", records) == found[1]
    # However large an error is, a training that failed is worse.
    records[Key("digits", "crx", "search", 1)] = tried(found[1], loss=None)
    assert chosen(study(), "digits", "crx", records) == found[0]


def test_proposals_follow_errors_down_and_failures_hinder_nothing(study):
    read, records = study(ranges), {}
    for number in range(TRIALS):
        found = proposal(read, read.search, "digits", "lif", number, records)
        record = {"found": found, "validation_nmse": found["neurons.beta"]}
        records[Key("digits", "lif", "search", number)] = (
            tried(found, loss=None) if number == 1 else record
        )
    last = [records[Key("digits", "lif", "search", n)]["found"] for n in range(STARTUP, TRIALS)]
    assert sum(one["neurons.beta"] for one in last) / len(last) < 0.4


def test_a_group_takes_the_settings_of_another(study):
    def change(content):
        small = {**content["datasets"]["digits"], "dataset": "digits", "search_from": "digits"}
        content["datasets"]["small"] = small | {"parameters": 420}

    read, records = study(change), {}
    run(read, "crx", records)
    assert chosen(read, "small", "crx", records) == {"training.learning_rate": 0.01}


def test_without_a_search_no_setting_is_chosen(study):
    def change(content):
        content.pop("search")
        content["models"]["lif"].pop("search")

    assert chosen(study(change), "digits", "lif", {}) == {}
