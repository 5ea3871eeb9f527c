"""A slice of tests/campaigns/extremes.py: extreme numbers give right numbers, or are refused."""

import pytest
from campaigns import extremes


def test_extreme_numbers_stay_numbers_or_are_refused():
    outcomes = extremes.run(120, seed=1)
    assert [outcome for outcome in outcomes if outcome.name not in extremes.GOOD] == []
    names = [outcome.name for outcome in outcomes]
    assert names.count("equal") > 30 and names.count("refused") > 1


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_memory_keeps_its_norm(backend):
    for M, N in ((0, 2), (2, 1)):
        assert extremes.drift(M, N, "bidirectional", backend, 300, seed=0) <= extremes.NORM


def test_the_campaign_sees_what_is_wrong(monkeypatch):
    monkeypatch.setattr(extremes, "NORM", -1.0)
    outcomes = extremes.run(20, seed=1)
    assert {outcome.name for outcome in outcomes} >= {"wrong"}
