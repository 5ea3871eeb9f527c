"""Processes that are measured together, the arithmetic of what they reach, and the page on it."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from sqsnn.errors import ProcessError
from sqsnn.processes import ALONE
from sqsnn.training import trainer
from sqsnn_bench.scaling import calculated, growth, parity, processes, steps, team, text
from sqsnn_bench.shapes.kept import Kept

ROOT = Path(__file__).parents[3]
STORED = ROOT / "bench" / "results" / "scaling.json"
SMALL = {"dataset": "digits", "hidden": 4, "time_steps": 3, "batch": 16, "steps": 3, "validated": 5}


def test_two_processes_are_timed_together():
    networks = [[3, 8, 2]]
    (row,) = team.measured(2, "processes", {"threads": 1, "share": True, "networks": networks})
    assert {"step", "processor", "exchange", "drawing", "update", "sample"} < row.keys()
    assert all(value > 0 for value in row.values())


def test_processes_that_fail_are_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")  # the program that fails
    with pytest.raises(ProcessError, match="growth failed in 2 processes"):
        team.measured(2, "growth", {})


def test_a_process_alone_is_as_efficient_as_itself_and_two_share_the_time():
    def rows(step, sample):
        same = dict.fromkeys(("processor", "exchange", "drawing", "update", "parameters"), 7)
        return [{"step": turn * step, "sample": turn * sample, **same} for turn in (1, 2, 3)]

    seconds = {"1 process": (4.0, 1.0), "2 processes": (2.5, 0.5)}
    seconds |= {"2 processes that share nothing": (2.0, 0.5), "1 process of 2 threads": (4.0, 1.0)}
    found = processes.described(3, 8, {name: rows(*pair) for name, pair in seconds.items()})
    reached = {name: row["training"]["efficiency"] for name, row in found["teams"].items()}
    assert [row["ratio"] for row in reached.values()] == pytest.approx([1, 0.8, 1, 0.5])
    assert found["teams"]["2 processes"]["evaluation"]["efficiency"]["ratio"] == pytest.approx(1)
    assert found["teams"]["2 processes"]["samples_per_second"] == pytest.approx(8 / 5)


def test_a_training_is_compared_with_itself(monkeypatch):
    def measured(count, work, options):
        assert (count, work) == (1, "parity")
        return parity.measure(ALONE, **options)

    monkeypatch.setattr(team, "measured", measured)
    monkeypatch.setattr(parity, "COUNTS", (1,))
    monkeypatch.setattr(parity, "SIZES", SMALL)
    for rule in parity.RULES:
        (row,) = parity.compare(rule, "float32").values()
        assert row == {"weights": 0, "metrics": 0, "divergences": [0] * 3, "gradients": [0] * 3}


def test_given_spikes_are_drawn_and_others_are_not():
    recipe = steps.settings(2, 3, [4])
    progress = trainer.start(recipe, 6, 10, 2)
    given = torch.rand(1, 3, 2, 14, generator=torch.Generator().manual_seed(0)) < 0.5
    watcher = parity.Watcher(progress, given)
    assert watcher.given is given
    drawn = progress.network.draw_uniforms(3, 2, torch.Generator().manual_seed(0))
    numbers = torch.cat([uniforms.flatten(2) for uniforms in drawn], dim=2)
    assert torch.equal(numbers == 0, given[0])
    assert torch.equal((numbers > 0.9999) & (numbers < 1), ~given[0])


def test_a_line_is_the_law_of_its_points_and_a_curve_is_missed():
    found = growth.law([1, 2, 4], [5.0, 7.0, 11.0])
    assert found == pytest.approx({"constant": 3, "slope": 2, "largest_miss": 0}, abs=1e-9)
    assert growth.law([1, 2, 4], [1.0, 4.0, 16.0])["largest_miss"] > 0.1


def test_a_step_takes_time_and_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "FEATURES", 5)
    found = growth.measure(ALONE, batch=4, hidden=3, time_steps=2, channels=2, memory=1)
    assert found["milliseconds"] > 0
    assert found["megabytes"] >= 0


def test_one_thing_is_varied_at_a_time(tmp_path, monkeypatch):
    def measured(count, work, shape):
        varied = [name for name, value in shape.items() if value != growth.BASE[name]]
        assert len(varied) <= 1 or set(varied) == {"channels", "memory"}
        return {"milliseconds": 2.0 * shape["batch"], "megabytes": 1.0 + shape["hidden"]}

    monkeypatch.setattr(team, "measured", measured)
    kept = Kept(tmp_path / "figures.json", "growth")
    growth.measure_all(kept, lambda line: None)
    laws = kept.read()["calculated_laws"]
    assert laws["batch"]["milliseconds"]["slope"] == pytest.approx(2)
    assert laws["hidden"]["megabytes"]["slope"] == pytest.approx(1)
    assert text.tables(tmp_path / "figures.json").count("| MB |") == 4


def test_what_each_process_repeats_bounds_what_many_reach():
    row = {"training": {"seconds": {"median": 1.0}}, "drawing_seconds": 0.03}
    network = {"sizes": [1, 2, 3], "batch": 100, "teams": {"1 process": row}}
    row["update_seconds"], network["parameters"] = 0.01, 0
    found = calculated.simulators(network)["10 Gbit/s"]
    assert found["processes"]["1"] == pytest.approx({"samples_per_second": 100, "efficiency": 1})
    assert found["processes"]["4"]["efficiency"] == pytest.approx(1 / (0.96 + 4 * 0.04))
    assert found["half"] == pytest.approx(24)


def test_the_tables_of_the_page_are_those_of_the_stored_figures():
    page = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    for block in text.tables(STORED).split("\n\n"):
        assert block.strip() in page
    content = json.loads(STORED.read_text("utf-8"))
    for section in content.values():
        assert section["command"] in page
    assert not re.search(r"/home|/work|/tmp", STORED.read_text("utf-8"))
