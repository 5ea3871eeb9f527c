"""Comparisons: numbers worked out by hand, Holm's law, and what cannot be tested."""

import math

import pytest
from numpy.testing import assert_allclose
from scipy.stats import ttest_1samp

from sqsnn_bench.study.comparisons import compared, holm, paired


def by_seed(*values):
    return dict(enumerate(values))


def test_a_difference_is_tested_seed_by_seed():
    # Differences 0.01, 0.02, 0.03: mean 0.02, deviation 0.01, error 0.01 / sqrt(3), t = 2 sqrt(3).
    found = paired(by_seed(0.91, 0.92, 0.93), by_seed(0.90, 0.90, 0.90))
    assert found["pairs"] == [0, 1, 2]
    assert_allclose(found["mean"], 0.02)
    assert_allclose(found["interval"], 4.30265 * 0.01 / math.sqrt(3), rtol=1e-5)
    # With two degrees of freedom P(|T| > t) = 1 - t / sqrt(t^2 + 2).
    assert_allclose(found["p"], 1 - math.sqrt(12 / 14), rtol=1e-9)
    assert_allclose(found["effect"], (1 - 3 / 7) * 2, rtol=1e-9)


def test_the_test_is_that_of_one_sample_of_differences():
    one, other = (0.95, 0.91, 0.97, 0.92, 0.96), (0.93, 0.92, 0.94, 0.90, 0.91)
    found = paired(by_seed(*one), by_seed(*other))
    test = ttest_1samp([a - b for a, b in zip(one, other, strict=True)], 0.0)
    assert_allclose(found["p"], test.pvalue)
    assert_allclose(
        [found["mean"] - found["interval"], found["mean"] + found["interval"]],
        test.confidence_interval(0.95),
    )
    back = paired(by_seed(*other), by_seed(*one))
    assert_allclose([back["mean"], back["effect"]], [-found["mean"], -found["effect"]])
    assert_allclose([back["p"], back["interval"]], [found["p"], found["interval"]])


def test_only_seeds_that_both_have_are_pairs():
    found = paired({0: 0.9, 3: 0.8, 4: 0.7}, {4: 0.5, 3: 0.7, 7: 0.1})
    assert found["pairs"] == [3, 4]
    assert_allclose(found["mean"], 0.15)
    assert found["p"] is not None
    assert found["effect"] is None  # two differences do not say how they scatter


@pytest.mark.parametrize(
    ("one", "other", "mean"),
    [
        ({}, {0: 0.5}, None),
        ({0: 0.9}, {0: 0.5}, 0.4),
        # Equal up to rounding: 0.9 - 0.8 and 0.8 - 0.7 differ in the last digit.
        ({0: 0.9, 1: 0.8, 2: 0.7}, {0: 0.8, 1: 0.7, 2: 0.6}, 0.1),
        ({0: 0.9, 1: 0.8}, {0: 0.9, 1: 0.8}, 0.0),
    ],
)
def test_what_cannot_be_tested_has_no_p(one, other, mean):
    found = paired(one, other)
    assert found["mean"] == (None if mean is None else pytest.approx(mean, abs=1e-12))
    assert (found["interval"], found["p"], found["effect"]) == (None, None, None)


def test_holm_takes_the_smallest_times_all_and_each_further_times_one_less():
    # The example of Holm's step-down: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 is raised to 0.06.
    assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])
    assert holm([]) == []


def test_holm_counts_what_is_not_known_yet():
    assert holm([None, 0.01, None]) == [None, pytest.approx(0.03), None]


def test_the_correction_bounds_the_chance_of_any_false_alarm():
    # Holm never rejects less than Bonferroni, and never more than without correction.
    values = [0.001 * k**2 for k in range(1, 12)]
    for p, corrected in zip(values, holm(values), strict=True):
        assert p <= corrected <= min(1.0, len(values) * p)


def test_pairs_are_compared_in_every_group_that_has_both(study):
    def change(content):
        content["models"]["qlif"] = {"neurons": {"kind": "qlif"}}
        small = {**content["datasets"]["digits"], "dataset": "digits", "models": ["crx", "qlif"]}
        content["datasets"]["small"] = small
        content |= {"reference": "lif", "comparisons": [["qlif", "crx"]]}
        content.pop("search")
        content["models"]["lif"].pop("search")

    assert list(compared(study(change))) == [
        ("digits", "crx", "lif"),
        ("digits", "qlif", "lif"),
        ("digits", "qlif", "crx"),
        ("small", "qlif", "crx"),
    ]
