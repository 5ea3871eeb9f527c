"""Trainings that several processes share are those of one process, up to the rounding of sums."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from parallel_cases import CASES, train
from safetensors.torch import load_file

TESTS = Path(__file__).parent


def torchrun(count: int, *command: object, **options) -> subprocess.CompletedProcess[str]:
    """Run a script, or `-m` a module, in several processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*launcher, f"--nproc-per-node={count}", *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The trainings of all cases by three processes."""
    out = tmp_path_factory.mktemp("shared")
    done = torchrun(3, TESTS / "parallel_cases.py", out)
    assert done.returncode == 0, done.stderr
    return {
        name: (load_file(out / f"{n}.safetensors"), json.loads((out / f"{n}.json").read_text()))
        for n, name in enumerate(CASES)
    }


@pytest.mark.parametrize("name", CASES)
def test_three_processes_train_what_one_trains(shared, name):
    # 20 steps in float64, in which no spike differs.
    weights, metrics = train(name)
    for key, value in shared[name][0].items():
        torch.testing.assert_close(value, weights[key], rtol=0, atol=1e-9, equal_nan=True)
    for one, other in zip(metrics, shared[name][1], strict=True):
        assert other == {key: pytest.approx(figure, rel=1e-9) for key, figure in one.items()}
