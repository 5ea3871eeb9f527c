"""Settings beyond all reason: one line that names the setting, what it was and what it may be."""

import math

import numpy as np
import pytest
from pydantic.fields import FieldInfo

from sqsnn import SQSNNClassifier
from sqsnn.errors import ConfigError, SqsnnError
from sqsnn.options import as_text
from sqsnn.settings import flat
from sqsnn.settings.run import RunSettings, from_flat
from sqsnn.training.build import build_network

HUGE = 10**4300  # Python writes no more than 4300 digits
EXTREMES = (HUGE, -HUGE, "9" * 5000, "1e400", math.nan, math.inf, -math.inf, 10**30, 2**63)
LEAVES = flat.leaves(RunSettings)
# Texts and names have no range; the gates and the begin are what a run writes down.
UNRANGED = {"dataset", "data_dir", "source", "begins_with", "circuit_gates", "noise_from"}


def is_of_numbers(field: FieldInfo) -> bool:
    return any(kind in str(field.annotation) for kind in ("int", "float", "tuple"))


@pytest.mark.parametrize(
    "leaf", LEAVES, ids=lambda leaf: "-".join([leaf.name, *leaf.kinds.values()])
)
def test_no_setting_takes_a_number_beyond_all_range(own_checks, leaf):
    if leaf.name in UNRANGED or not is_of_numbers(leaf.field):
        pytest.skip("not a number")
    for extreme in EXTREMES:
        kinds = str(leaf.field.annotation)
        if (isinstance(extreme, str) and "str" in kinds) or (
            isinstance(extreme, int) and abs(extreme) < 10**300 and "float" in kinds
        ):
            continue
        with pytest.raises((ConfigError, ValueError)) as caught:
            from_flat("digits", {**leaf.kinds, leaf.name: extreme})
        said = str(caught.value)
        named = leaf.name in said or leaf.path[-2] in said
        assert named and "\n" not in said and "4300 digits" not in said
        assert len(said) < 600


@pytest.mark.parametrize("name", ["epochs", "batch_size", "steps", "hidden", "patience"])
def test_the_range_is_part_of_what_is_said(name):
    with pytest.raises(ConfigError) as caught:
        from_flat("digits", {name: HUGE})
    assert "less than or equal to 1000000000, but is an integer of about 4301" in str(caught.value)


def test_a_million_threads_are_too_many():
    with pytest.raises(ConfigError, match=r"threads: .* or equal to 1024, but is 1000000"):
        from_flat("digits", {"threads": 10**6})


@pytest.mark.parametrize(
    "given",
    [
        {"hidden": 10**9},
        {"hidden": (10**8, 10**8)},
        {"conv": "999999999c3"},
        {"steps": 10**9},
        {"batch_size": 10**9},
        {"longest_delay": 10**9},
    ],
)
def test_what_fits_no_memory_is_refused_before_any_is_taken(given):
    settings = from_flat("digits", {"grid": "1,8,8", **given})
    with pytest.raises(
        ConfigError, match=r"hidden is .* at least .* GB, .* this machine has .* GB"
    ):
        build_network(settings, 64, 10)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epochs": HUGE}, "epochs"),
        ({"threads": 10**6}, "threads"),
        ({"hidden": (10**12,)}, "hidden"),
        ({"steps": 10**9}, "steps 1000000000"),
        ({"learning_rate": math.nan}, "learning_rate"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_estimators_refuse_in_one_line_too(given, said):
    X, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    with pytest.raises((SqsnnError, ValueError), match=said) as caught:
        SQSNNClassifier(**{"epochs": 1, **given}).fit(X, y)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        ("a", "'a'"),
        (HUGE, "an integer of about 4301 digits"),
        (-(10**30), "an integer of about 31 digits"),
        ([HUGE], "a list too large or too deep to write"),
        ("x" * 300, f"'{'x' * 59}... of 302 characters"),
    ],
    ids=["small", "text", "huge", "negative", "list", "long"],
)
def test_values_are_written_short(value, text):
    assert as_text(value) == text


def test_a_table_of_a_hundred_thousand_levels_is_written():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert as_text(deep) == "a list too large or too deep to write"
    while deep:  # else taking it apart would recurse as deep
        deep = deep.pop()  # pyright: ignore[reportAssignmentType]
