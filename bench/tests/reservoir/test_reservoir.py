"""The comparison of reservoirs: equal searches, honest parts, and the table that is committed."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sqsnn_bench.reservoir import run, tasks
from sqsnn_bench.reservoir.models import MODELS, Layer, Trial, echo_state, trials
from sqsnn_bench.reservoir.options import ReservoirOptions
from sqsnn_bench.reservoir.text import tables

ROOT = Path(__file__).parents[3]
STORED = ROOT / "bench" / "results" / "reservoir.json"
ERRORS = [task for task in tasks.TASKS if task.error]
CAPACITY = next(task for task in tasks.TASKS if not task.error)


@pytest.fixture
def short(monkeypatch):
    """Series of 100 steps, so that a comparison takes a moment."""
    sizes = {"WASHOUT": 10, "FITTED": 40, "VALIDATED": 20, "TESTED": 30}
    for name, steps in sizes.items():
        monkeypatch.setattr(tasks, name, steps)
    for module in (tasks, run):
        monkeypatch.setattr(module, "STEPS", 100)


def test_every_model_has_as_many_trials():
    assert {len(set(trials(model))) for model in MODELS.values()} == {12}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_gives_as_many_features(name):
    inputs = np.random.default_rng(0).random(30)
    states = MODELS[name](inputs, Layer(7, 2), Trial(1.0, 0.3), 0)
    assert states.shape == (30, 7)
    assert np.array_equal(states, MODELS[name](inputs, Layer(7, 2), Trial(1.0, 0.3), 0))
    assert not np.array_equal(states, MODELS[name](inputs, Layer(7, 2), Trial(1.0, 0.3), 1))


@pytest.mark.parametrize("strength", [1e-6, 1.0, 100.0])
def test_the_readout_is_a_ridge_regression(strength):
    states, targets = np.random.default_rng(0).random((2, 60, 4))
    expected = Ridge(strength).fit(states[:40], targets[:40]).predict(states[40:])
    found = tasks._Ridge(states[:40], targets[:40]).predict(states[40:], strength)
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("task", tasks.TASKS, ids=lambda task: task.name)
def test_a_readout_of_the_targets_themselves_is_perfect(task):
    _, targets = task.generate(tasks.STEPS, 0)
    states = targets.reshape(tasks.STEPS, -1)
    test = tasks.judge(task, states, targets)["test"]
    # The smallest strength, 1e-6, is all that keeps it from being exact.
    assert test == pytest.approx(0 if task.error else tasks.DELAYS, abs=1e-6)


def test_a_readout_of_noise_knows_nothing():
    states = np.random.default_rng(0).random((tasks.STEPS, 5))
    for task in ERRORS[:2]:
        _, targets = task.generate(tasks.STEPS, 0)
        assert 0.95 < tasks.judge(task, states, targets)["test"] < 1.1
    _, targets = CAPACITY.generate(tasks.STEPS, 0)
    # Chi-square of 20 delays / 1000: above 0.06 in 1 of 100,000 seeds.
    assert tasks.judge(CAPACITY, states, targets)["test"] < 0.06


def test_the_test_steps_decide_nothing(short):
    """Changed test targets change the test alone, not what is chosen."""
    task = ERRORS[0]
    inputs, targets = task.generate(100, 0)
    states = echo_state(inputs, Layer(5, 1), Trial(0.2, 0.1), 0)
    changed = targets.copy()
    changed[70:] = changed[70:][::-1]
    one, other = (tasks.judge(task, states, these) for these in (targets, changed))
    assert one["validation"] == other["validation"]
    assert one["test"] != other["test"]


def test_the_best_trial_of_the_search_is_tested_with_other_seeds(short, monkeypatch):
    calls = []

    def model(inputs, layer, trial, seed):
        calls.append((trial, seed))
        # One trial alone gives states that say something.
        useful = trial == Trial(2.0, 0.3)
        return np.stack([inputs if useful else 0 * inputs] * layer.features, axis=-1)

    found = run.one(ERRORS[0], model, ReservoirOptions(features=2, runs=1, seeds=3))
    assert {seed for _, seed in calls} == {run.SEARCH_SEED, 0, 1, 2}
    assert {trial for trial, seed in calls if seed == run.SEARCH_SEED} == set(trials(model))
    for row in found.values():
        assert (row["input_scale"], row["spread"]) == (2.0, 0.3)
        assert row["mean"] == pytest.approx(np.mean(row["seeds"]))
        assert row["deviation"] == pytest.approx(np.std(row["seeds"], ddof=1))


def test_traces_are_sums_with_a_decay():
    states = np.random.default_rng(0).random((5, 2))
    trace = np.zeros(2)
    for state, found in zip(states, tasks.traces(states, 0.8), strict=True):
        trace = 0.8 * trace + state
        np.testing.assert_allclose(found, trace)
    assert np.array_equal(tasks.traces(states, 0.0), states)


def test_reservoirs_are_compared_from_the_command_line(short, bench, here, monkeypatch):
    few = {name: MODELS[name] for name in ("SQS bidirectional", "Echo-state network")}
    monkeypatch.setattr(run, "MODELS", few)
    options = "--features 3 --runs 2 --seeds 2 --out out/reservoir.json"
    done = bench("reservoir", *options.split())
    assert (done.code, done.err) == (0, "")
    content = json.loads((here / "out" / "reservoir.json").read_text("utf-8"))
    assert content["command"] == "sqsnn-bench reservoir --features 3 --runs 2 --seeds 2"
    assert tables(content).strip() in done.out
    assert done.out.splitlines()[0].startswith("1 of 10: narma5, SQS bidirectional: spikes ")
    assert done.out.splitlines()[-1] == "out/reservoir.json"


def test_a_wrong_number_of_seeds_is_refused(bench, here):
    done = bench("reservoir", "--seeds", "1")
    assert (done.code, done.out) == (2, "")
    assert "--seeds: " in done.err


def test_the_tables_of_the_docs_are_those_of_the_stored_figures():
    content = json.loads(STORED.read_text("utf-8"))
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert f"`{content['command']}`" in page
    for table in tables(content).split("\n\n")[1::2]:
        assert table.strip() in page
    assert list(content["tasks"]) == [task.name for task in tasks.TASKS]
    assert all(list(rows) == list(MODELS) for rows in content["tasks"].values())
