"""The exact limits: laws of probability, known optima, and the table of the design."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from sqsnn_bench.spikes import limit_table, limits
from sqsnn_bench.spikes.processes import RENEWALS, Renewal, equal

ROOT = Path(__file__).parents[3]
STORED = json.loads((ROOT / "bench" / "results" / "spikes.json").read_text("utf-8"))["limits"]

# Section 2 of the design: millinats per step. Its last row has three entries that are no optima.
DESIGN = {
    "gamma, mean 8, CV 0.3": (43.8, 17.1, 4.1, 0.55, 0.05, 0.0, 0.0, 8.7, 0.06, 0.0),
    "gamma, mean 8, CV 0.2": (88.0, 54.5, 29.3, 11.0, 2.5, 0.04, 0.0, 34.6, 4.1, 0.16),
    "gamma, mean 16, CV 0.2": (48.4, 34.3, 24.3, 16.7, 10.7, 2.7, 0.01, 19.0, 2.8, 0.18),
    "2 or 8 steps, each half the time": (198, 198, 139, 139, 139, 0, 0, 212, 139, 86.7),
}
BETTER = {"3 states", "6 states", "1 qubit"}


@pytest.fixture
def short(monkeypatch):
    """Searches of a few starts and steps, which suffice for the smallest memories."""
    monkeypatch.setattr(limits, "STARTS", 6)
    monkeypatch.setattr(limits, "KEPT", 2)
    monkeypatch.setattr(limits, "ADAM_STEPS", 50)


def _random(size, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(size), dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_phase_type_laws_are_those_of_a_walk_step_by_step(size):
    logits = _random(size, 3, size + size * (size + 1))
    laws = limits.phase_type(logits, size, 13)
    for parameters, law in zip(logits.numpy(), laws.numpy(), strict=True):
        now = np.exp(parameters[:size]) / np.exp(parameters[:size]).sum()
        moves = np.exp(parameters[size:].reshape(size, size + 1))
        moves /= moves.sum(1, keepdims=True)
        for probability in law:
            assert now @ moves[:, -1] == pytest.approx(probability, rel=1e-12)
            now = now @ moves[:, :-1]


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_a_law_of_kraus_operators_is_a_law(levels):
    """What has not come after k steps is the norm that is left: nothing is lost or made."""
    numbers = _random(levels, 4, levels * (2 * levels + 3))
    long, short = (limits.kraus(numbers, levels, longest) for longest in (400, 7))
    assert (long >= 0).all()
    assert (long.sum(1) <= 1 + 1e-12).all()
    torch.testing.assert_close(long[:, :7], short, rtol=0, atol=1e-13)


def test_a_qubit_that_only_turns_gives_the_law_on_paper():
    """Turned by w per step, and absorbed from its second level whole: P(1) and P(2) by hand."""
    turn, start = 0.7, (0.6, 0.8)
    skew = [0.0, 0.0, -turn, 0.0, 0.0, 0.0, 0.0, 0.0]  # real and imaginary parts, row by row
    numbers = [*skew, start[0], 0.0, start[1], 0.0, 0.0, math.pi / 2]
    law = limits.kraus(torch.tensor([numbers], dtype=torch.float64), 2, 2)[0]
    absorbed = (start[0] * math.sin(turn)) ** 2  # of the first level, after one turn
    assert law.tolist() == pytest.approx([start[1] ** 2, absorbed], rel=1e-12)


def test_the_distance_is_the_kullback_leibler_distance_per_step():
    process = Renewal("", equal(1, 3))
    model = np.array([0.25, 0.25, 0.25, 0.25])
    assert limits.distance(process, model) == pytest.approx(1000 * math.log(2) / 2)
    assert limits.distance(process, process.law) == 0
    assert limits.distance(process, np.array([1.0, 0.0, 0.0])) == math.inf


def test_one_state_is_best_with_the_rate_of_the_process(short):
    process = Renewal("", equal(2, 8))
    law = 0.2 * 0.8 ** np.arange(8)
    found = limits.classical(process, 1, torch.Generator().manual_seed(0))
    assert found.millinats == pytest.approx(limits.distance(process, law), rel=1e-9)
    np.testing.assert_allclose(found.law, law, rtol=1e-4)  # the optimum is flat


@pytest.mark.parametrize(("find", "size"), [(limits.classical, 2), (limits.quantum, 2)])
def test_a_search_finds_the_column_of_the_design(find, size, short):
    process = RENEWALS[0]
    found = find(process, size, torch.Generator().manual_seed(1))
    stored = STORED[process.name]["2 states" if find is limits.classical else "1 qubit"]
    assert found.millinats == pytest.approx(stored["millinats"], abs=1e-3)
    assert limits.distance(process, found.law) == pytest.approx(found.millinats, rel=1e-9)


@pytest.mark.parametrize("name", DESIGN)
def test_the_stored_limits_reach_the_table_of_the_design(name):
    for column, expected in zip(limit_table.COLUMNS, DESIGN[name], strict=True):
        found = STORED[name][column]["millinats"]
        if name.startswith("2 or 8") and column in BETTER:
            assert found < 0.95 * expected
        else:
            assert found == pytest.approx(expected, rel=0.1, abs=0.5)


@pytest.mark.parametrize("name", [process.name for process in RENEWALS])
def test_more_memory_comes_no_less_near(name):
    columns = list(limit_table.COLUMNS)
    for kind in (columns[:-3], columns[-3:]):
        found = [STORED[name][column]["millinats"] for column in kind]
        assert all(a >= b - 1e-3 for a, b in pairwise(found))
        assert min(found) >= -1e-3  # no distance is negative


def test_limits_are_found_and_kept_from_the_command_line(bench, here, short, monkeypatch):
    monkeypatch.setattr(limit_table, "RENEWALS", (RENEWALS[6],))
    columns = {name: limit_table.COLUMNS[name] for name in ("2 states", "1 qubit")}
    monkeypatch.setattr(limit_table, "COLUMNS", columns)
    for _ in range(2):  # the second time, all limits are there
        done = bench("spikes", "limits", "--seed", "3", "--out", "a.json")
        assert (done.code, done.err) == (0, "")
        assert "2 or 8 steps, each half the time, 1 qubit: " in done.out
    found = json.loads((here / "a.json").read_text("utf-8"))["limits"]
    assert found["command"] == "sqsnn-bench spikes limits --seed 3"
    assert limit_table.table(found).strip() in done.out
    assert "a.json: 2 parts were there before" in done.out
