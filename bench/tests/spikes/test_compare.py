"""The comparison of models of spike trains: a file that goes on, fair data, and the tables."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import ConfigError
from sqsnn_bench.spikes import compare, hmm, text
from sqsnn_bench.spikes.compare import CLAIMED, TASKS
from sqsnn_bench.spikes.options import CompareOptions
from sqsnn_bench.spikes.rivals import MODELS, Quantum
from sqsnn_bench.spikes.scoring import Data

ROOT = Path(__file__).parents[3]
POISSON, STATES = "Poisson, constant rate", "HMM on states, 2 states"
FEW = CompareOptions(seeds=2, trains=3, held_out=4, bins=200)


def run(out, options=FEW, tasks=(CLAIMED,), models=(POISSON, STATES)):
    said = []
    compare.compare(options, out, said.append, tasks, models)
    return said


def test_a_file_goes_on_where_it_stopped(tmp_path):
    whole, parts = tmp_path / "a" / "whole.jsonl", tmp_path / "parts.jsonl"
    assert len(run(whole)) == 4
    run(parts, models=[STATES])
    assert len(run(parts)) == 2
    assert run(parts) == []

    def figures(path):
        lines = (json.loads(line) for line in path.read_text("utf-8").splitlines())
        return sorted(
            json.dumps({name: it for name, it in line.items() if name != "cpu_seconds"})
            for line in lines
        )

    assert figures(whole) == figures(parts)


def test_a_fit_whose_line_was_cut_is_made_again(tmp_path):
    out = tmp_path / "file.jsonl"
    run(out, models=[POISSON])
    text = out.read_text("utf-8")
    for kept in (text[:-30], text[:20]):  # within the last line, and within the first
        out.write_text(kept, "utf-8")
        run(out, models=[POISSON])
        _, lines = compare.read(out)
        assert [line["seed"] for line in lines] == [0, 1]


def test_more_seeds_go_on_but_other_sizes_are_refused(tmp_path):
    out = tmp_path / "file.jsonl"
    run(out, models=[POISSON])
    more = CompareOptions(seeds=3, trains=3, held_out=4, bins=200)
    assert len(run(out, more, models=[POISSON])) == 1
    with pytest.raises(ConfigError, match=r"was made with {'trains': 3, .*name another file"):
        run(out, CompareOptions(seeds=2, trains=4, held_out=4, bins=200))


def test_unknown_names_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match=r"model must be one of .*; but is Hopfield"):
        run(tmp_path / "file.jsonl", models=["Hopfield"])
    with pytest.raises(ConfigError, match=r"process must be one of .*; but is Hawkes"):
        run(tmp_path / "file.jsonl", tasks=["Hawkes"])
    assert list(tmp_path.iterdir()) == []


def test_all_models_see_the_same_trains_and_other_seeds_see_others():
    first, again, other = (TASKS[CLAIMED].draw(FEW, seed) for seed in (0, 0, 1))
    for one, same, different in zip(first, again, other, strict=True):
        assert all(map(np.array_equal, one.trains.spikes, same.trains.spikes))
        assert not any(map(np.array_equal, one.trains.spikes, different.trains.spikes))
    train, held_out = first
    assert (len(train.trains), len(held_out.trains), train.trains.bins) == (3, 4, 600)
    seen = {spikes.tobytes() for spikes in train.trains}
    assert not seen & {spikes.tobytes() for spikes in held_out.trains}


def test_there_are_six_processes_and_a_recording_with_and_without_stimulus():
    assert sum(not name.startswith("grasshopper") for name in TASKS) == 6
    assert sum(task.has_stimulus for task in TASKS.values()) == 2
    for task in TASKS.values():
        takes = {name for name, model in MODELS.items() if task.takes(model)}
        assert {POISSON, "StochasticLIF", "GLM with history", "SQS clock, M=1"} <= takes
        assert ("HMM on edges, 4 states" in takes) != task.has_stimulus
        assert ("Poisson, rate by the stimulus" in takes) == task.has_stimulus


ALL = np.array(list(itertools.product((0, 1), repeat=6)), np.uint8)


@pytest.mark.parametrize(
    "name", ["HMM on edges, 3 states", "SQS clock, M=1", "SQS clock, M=1, leaky drive"]
)
def test_the_probabilities_of_all_trains_sum_to_one(name, few_starts):
    train, _ = TASKS[CLAIMED].draw(FEW, 0)
    fitted = MODELS[name].fit(train, np.random.default_rng(0))
    total = np.exp(fitted.log_likelihood(Data(SpikeTrains.from_bins(ALL)))).sum()
    assert total == pytest.approx(1, abs=1e-9)


def test_a_quantum_neuron_says_its_memory_and_parameters(few_starts):
    train, _ = TASKS[CLAIMED].draw(FEW, 0)
    fitted = MODELS["SQS clock, M=1, leaky drive"].fit(train, np.random.default_rng(0))
    assert isinstance(fitted, Quantum)
    assert fitted.memory == "1 qubit and a real number"
    assert fitted.parameters == fitted.model.parameters_


@pytest.fixture
def few_starts(monkeypatch):
    monkeypatch.setattr("sqsnn_bench.spikes.rivals.QUANTUM_STARTS", {1: 2})
    monkeypatch.setattr("sqsnn_bench.spikes.rivals.EDGE_STAGES", (hmm.Stage(1, 600, 100, 5),))


def line(model, seed, bits, process=CLAIMED, parameters=4, memory="none"):
    return {
        "process": process,
        "seed": seed,
        "model": model,
        "bits_per_spike": bits,
        "parameters": parameters,
        "memory": memory,
    }


def rows(tables, title):
    part = tables[tables.index(title) :].split("\n\n")[1]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in part.splitlines()[2:] if row]


def test_the_tables_pair_models_seed_by_seed():
    qubit, four, eight = "SQS clock, M=1", "HMM on edges, 4 states", "HMM on edges, 8 states"
    lines = [line(qubit, seed, bits) for seed, bits in enumerate((1.0, 1.2, 1.1))]
    lines += [line(four, seed, bits, parameters=31) for seed, bits in enumerate((0.9, 1.3, 1.0))]
    lines += [line(eight, 0, 2.0, parameters=127)]
    tables = text.tables(lines)
    (difference,) = rows(tables, "What qubits gain")
    gains = np.array([0.1, -0.1, 0.1])
    shown = f"{gains.mean():+.3f} ± {gains.std(ddof=1):.3f} (2 of 3)"
    assert difference == [qubit, "4 states", shown]
    assert rows(tables, "Equal memory")[0] == ["2 (1 bit)", qubit, "1.100 ± 0.100"]
    assert rows(tables, "Equal parameters")[:2] == [
        ["1 to 4", qubit, "1.100 ± 0.100"],
        ["17 to 32", four, "1.067 ± 0.208"],
    ]
    assert rows(tables, "In short") == [[CLAIMED, "1.10", "1.07", "2.00 (1 of 3)"]]
    # One seed has no deviation yet.
    assert rows(tables, "All models") == [
        [four, "none", "31", "1.067 ± 0.208"],
        [eight, "none", "127", ""],
        [qubit, "none", "4", "1.100 ± 0.100"],
    ]


def test_the_pages_show_the_stored_comparison():
    _, lines = compare.read(ROOT / "bench/results/spikes.jsonl")
    tables = text.tables(lines)
    assert tables.strip() in (ROOT / "bench/results/spikes.md").read_text("utf-8")
    short = tables.split("\n\n")[2]
    assert short in (ROOT / "docs/spike-trains.md").read_text("utf-8")


def test_a_train_that_a_model_holds_impossible_is_said():
    lines = [line(POISSON, 0, 0.0), line(POISSON, 1, -math.inf)]
    assert "impossible in 1 of 2" in text.tables(lines)


def test_models_are_compared_from_the_command_line(bench, here):
    options = "--seeds 2 --trains 3 --held-out 4 --bins 200 --out out/compare.jsonl"
    done = bench("spikes", "compare", *options.split(), "--model", POISSON, "--process", CLAIMED)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith(f"1 of 2: {CLAIMED}, seed 0, {POISSON}: 0.000 bits per spike, ")
    again = bench("spikes", "tables", "--out", "out/compare.jsonl")
    assert again.code == 0
    assert "| Poisson, constant rate | none | 1 | 0.000 ± 0.000 |" in again.out
    wrong = bench("spikes", "tables", "--out", "nowhere.jsonl")
    assert (wrong.code, wrong.out) == (2, "")
    assert "nowhere.jsonl is not there" in wrong.err
