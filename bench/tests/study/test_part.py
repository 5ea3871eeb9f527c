"""Single rows of a study: who repeats one row needs no other data, and gets the same trials."""

import pytest

from sqsnn.errors import ConfigError
from sqsnn_bench.study.part import part_of
from sqsnn_bench.study.plan import make_plan


def two_groups(content):
    content["datasets"]["missing"] = {**content["datasets"]["digits"], "dataset": "mnist"}
    content["datasets"]["wide"] = {
        **content["datasets"]["digits"],
        "dataset": "digits",
        "parameters": 1660,
        "search_from": "digits",
    }


def test_a_part_has_the_trials_of_its_rows_and_reads_no_other_data(study, tmp_path, monkeypatch):
    monkeypatch.setenv("SQSNN_DATA", str(tmp_path / "nowhere"))
    part = part_of(study(two_groups), ["digits/lif"])
    trials = list(make_plan(part, tmp_path).trials())
    assert [(key.dataset, key.model, key.trial) for key in trials] == [
        ("digits", "lif", trial) for trial in ("search-0", "search-1", "seed-0", "seed-1")
    ]


def test_a_group_brings_the_group_along_whose_settings_it_takes(study):
    part = part_of(study(two_groups), ["wide/crx"])
    assert list(part.pairs()) == [("digits", "crx"), ("wide", "crx")]


def test_no_rows_are_all_rows(study):
    whole = study(two_groups)
    assert part_of(whole, []) is whole


def test_an_unknown_row_is_refused_with_those_that_there_are(study):
    with pytest.raises(ConfigError, match=r"--only must be one of digits/crx, digits/lif; but is"):
        part_of(study(), ["digits/qlif"])
