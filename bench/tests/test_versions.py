"""The comparison with an older version: its workers, its table, and what it asks of a checkout."""

import os
from pathlib import Path

import pytest

from sqsnn_bench import versions
from sqsnn_bench.timing import ratios, summary

ROOT = Path(__file__).parents[2]
ROW = {"circuit": "crx", "channels": 1, "memory_qubits": 0, "old_ns": 92.6, "new_ns": 32.4}


def test_a_checkout_runs_its_own_source_on_one_thread(tmp_path):
    environment = versions.surroundings(tmp_path)
    assert environment["PYTHONPATH"] == str(tmp_path.resolve() / "src")
    assert environment["OMP_NUM_THREADS"] == "1"
    assert set(os.environ) <= set(environment)


def test_a_worker_builds_a_population_and_times_it():
    worker = versions.Worker(ROOT)
    request = {"circuit": "crx", "channels": 2, "memory_qubits": 1}
    assert worker.ask(request) == "ready"
    assert all(float(worker.ask("go")) > 0 for _ in range(2))
    worker.process.stdin.close()
    assert worker.process.wait(60) == 0


def test_a_worker_that_ends_is_an_error():
    worker = versions.Worker(ROOT)
    with pytest.raises(RuntimeError, match=r"a worker ended at .*'transmon'"):
        worker.ask({"circuit": "transmon", "channels": 1, "memory_qubits": 1})
    assert worker.process.wait(60) != 0


@pytest.mark.parametrize(("ratio", "said"), [(0.2, "| 4 |"), (0.3, "| 4 **missed** |")])
def test_a_line_says_how_many_times_as_fast_and_what_is_missed(capsys, ratio, said):
    versions.show(ROW | {"ratio": ratio, "low": 0.1, "high": 0.5, "target": 0.25})
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"| crx | 1 | 0 | 93 | 32 | {1 / ratio:.1f} [2.0, 10.0] ")
    assert line.endswith(said)


def test_ratios_are_taken_turn_by_turn():
    # The second turn is twice as slow for both: no version gains by it.
    now, before = [1.0, 2.0, 1.0, 3.0, 1.0], [4.0, 8.0, 2.0, 3.0, 10.0]
    # Ratios 0.25, 0.25, 0.5, 1, 0.1: a fifth of them lies outside on either side.
    assert ratios(now, before) == {"ratio": 0.25, "low": 0.25, "high": 0.5}
    assert summary(now) == {"median": 1.0, "min": 1.0, "max": 3.0}
