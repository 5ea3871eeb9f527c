"""A slice of the campaign on device jobs: damaged journals, kills, simultaneous starts."""

import sys
from pathlib import Path

import pytest

from sqsnn.hardware import ibm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills and pairs need fork")


@pytest.fixture
def campaign(monkeypatch):
    """The campaign, and its compiled circuits."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "campaigns")
    import jobs
    from hardware_service import Started

    monkeypatch.setattr(ibm, "account", ibm.account)  # which the campaign replaces
    return jobs, Started.build()


def test_damaged_journals_give_the_right_bits_or_an_error_that_names_the_file(campaign):
    jobs, started = campaign
    assert set(jobs.mutations(started, 60, seed=1)) == {"right", "refused"}


def test_killed_runs_pay_for_no_job_twice(campaign):
    jobs, started = campaign
    outcomes = jobs.kills(started, 20, seed=1)
    assert outcomes.keys() == {"kills", "right"}


def test_of_two_starts_at_once_one_goes_on(campaign):
    jobs, started = campaign
    assert jobs.pairs(started, 2) == {"one goes on": 2}
