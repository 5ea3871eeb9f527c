"""The estimate is the formula, counts what is sent, and says what it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqsnn.hardware.cost import JOB_OVERHEAD, USUAL_REP_DELAY, Estimate, estimate

RUN: dict[str, Any] = {
    "rows": 1600,
    "shots": 1,
    "jobs": 2,
    "shot_duration": 34e-6,
    "rep_delay": 250e-6,
}


def test_device_time_by_hand():
    cost = estimate(**RUN)
    assert (cost.jobs, cost.circuits, cost.shots) == (2, 1600, 1600)
    assert cost.shot_seconds == pytest.approx(1600 * 284e-6)
    assert cost.device_seconds == pytest.approx(1600 * 284e-6 + 2 * 2.0)


def test_the_sentence_calls_itself_an_estimate():
    assert estimate(**RUN).in_words() == (
        "Estimate: 2 jobs, 1,600 circuits of 34 us, 1,600 shots 250 us apart: 0.454 s of shots + "
        "4 s of overhead = 4.45 s of device time."
    )


def test_the_sentence_of_a_packed_run():
    cost = estimate(rows=100, shots=3, jobs=1, slots=54, shot_duration=1.5e-3, rep_delay=0.0)
    assert cost.in_words() == (
        "Estimate: 1 job, 2 circuits of 0.0015 s with up to 54 neurons side by side, 6 shots 0 s "
        "apart: 0.009 s of shots + 2 s of overhead = 2.01 s of device time."
    )


def test_long_times_are_whole_seconds():
    assert "= 2,842 s of device time" in estimate(**{**RUN, "shots": 6250, "jobs": 1}).in_words()


def test_a_simulator_takes_no_device_time():
    cost = estimate(rows=5, shots=2, jobs=1, shot_duration=None, rep_delay=None)
    assert cost.device_seconds is cost.shot_seconds is cost.overhead_seconds is None
    assert cost.in_words() == (
        "Estimate: 1 job, 5 circuits, 10 shots; a simulator takes no device time."
    )


def test_a_backend_without_a_delay_gets_the_usual_one():
    named = estimate(**{**RUN, "rep_delay": USUAL_REP_DELAY})
    assert estimate(**{**RUN, "rep_delay": None}) == named


counts = st.integers(1, 10**6)


@given(rows=counts, shots=counts, jobs=counts, slots=counts)
def test_packing_saves_shots_alone(rows, shots, jobs, slots):
    run = {**RUN, "rows": rows, "shots": shots, "jobs": jobs}
    one, packed = estimate(**run), estimate(**run, slots=slots)
    assert packed.overhead_seconds == one.overhead_seconds == jobs * JOB_OVERHEAD
    # Every row has a place, and no circuit is empty.
    assert (packed.circuits - 1) * slots < rows <= packed.circuits * slots
    assert packed.shot_seconds is not None and one.shot_seconds is not None
    fewer = packed.circuits / one.circuits
    assert packed.shot_seconds == pytest.approx(one.shot_seconds * fewer)


@pytest.mark.parametrize("argument", ["rows", "shots", "jobs", "slots"])
def test_counts_below_one_are_refused(argument):
    with pytest.raises(ValueError, match=f"{argument}.*0"):
        estimate(**{**RUN, argument: 0})


@pytest.mark.parametrize("argument", ["shot_duration", "rep_delay"])
@pytest.mark.parametrize("seconds", [-1e-6, float("nan"), float("inf")])
def test_times_that_are_none_are_refused(argument, seconds):
    with pytest.raises(ValueError, match=f"{argument} must be a time in s"):
        estimate(**{**RUN, argument: seconds})


def test_runs_together_cost_what_they_cost_alone():
    parts = [
        estimate(rows=30, shots=2, jobs=1, shot_duration=60e-6, rep_delay=200e-6),
        estimate(
            rows=10,
            shots=1,
            jobs=3,
            shot_duration=90e-6,
            rep_delay=200e-6,
            feed_forward=6e-6,
            conditions=14,
            under_conditions=2e-6,
        ),
    ]
    both = Estimate.together(parts)
    assert (both.jobs, both.circuits, both.shots) == (4, 40, 70)
    assert both.device_seconds == pytest.approx(sum(part.device_seconds for part in parts))
    assert both.feed_forward * 70 == pytest.approx(10 * 6e-6)
    assert both.under_conditions * 70 == pytest.approx(10 * 2e-6)
    assert both.conditions * 70 == pytest.approx(10 * 14)
    simulated = estimate(rows=10, shots=1, jobs=1, shot_duration=None, rep_delay=None)
    assert Estimate.together([simulated] * 2).device_seconds is None


def test_feed_forward_is_said_where_there_is_some():
    about = {"rows": 10, "shots": 1, "jobs": 1, "shot_duration": 90e-6, "rep_delay": 200e-6}
    assert "feed-forward" not in estimate(**about).in_words()
    waiting = estimate(**about, feed_forward=6.3e-6, under_conditions=7.1e-6, conditions=62)
    said = "(6.3 us of it feed-forward of own spikes, 7.1 us gates under 62 conditions)"
    assert f"of 90 us {said}" in waiting.in_words()
    # They are parts of a shot, not additions to it.
    assert waiting.device_seconds == estimate(**about).device_seconds
    simulated = estimate(rows=5, shots=2, jobs=1, shot_duration=None, rep_delay=None, conditions=62)
    assert "5 circuits with 62 conditions each, 10 shots" in simulated.in_words()
