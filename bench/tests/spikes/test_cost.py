"""What fits of spike trains cost: the stored figures, and the command that makes them."""

import json
from pathlib import Path

from sqsnn_bench.spikes import cost

RESULTS = Path(__file__).parents[2] / "results"
STORED = json.loads((RESULTS / "spikes.json").read_text("utf-8"))["cost"]


def test_a_hundred_trains_take_less_than_half_a_minute_and_no_memory_to_speak_of():
    fits = STORED["fits"]
    assert fits["100 trains, M=1"]["seconds"] < 30
    # 16 times the trains: memory beyond Python's own grows 16-fold at most, not 256-fold.
    own = fits["1 trains, M=1"]["peak_mb"]
    few, many = (fits[f"{trains} trains, M=1"]["peak_mb"] - own for trains in (100, 1600))
    assert many < 1.5 * 16 * few


def test_the_page_shows_the_stored_figures():
    assert cost.table(STORED).strip() in (RESULTS / "spikes.md").read_text("utf-8")


def test_a_fit_is_measured_in_a_process_of_its_own(bench, here, monkeypatch):
    monkeypatch.setattr(cost, "FITS", ((1, 1),))
    done = bench("spikes", "cost", "--seed", "1", "--out", "a.json")
    assert (done.code, done.err) == (0, "")
    (row,) = json.loads((here / "a.json").read_text("utf-8"))["cost"]["fits"].values()
    assert row["seconds"] > 0
    assert 100 < row["peak_mb"] < 4000
