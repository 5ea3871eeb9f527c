"""Trainings that several processes share are those of one process, up to the rounding of sums."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import parallel_wrappers
import pytest
import torch
from parallel_cases import CASES, train
from safetensors.torch import load_file

from sqsnn.cli.progress import watching
from sqsnn.errors import ConfigError, ProcessError
from sqsnn.processes import Processes, SharedGenerator, _reporting
from sqsnn.runs import folder, run
from sqsnn.settings.run import from_flat
from sqsnn.training import trainer
from sqsnn.uniforms import draw_layers, draw_uniforms

TESTS = Path(__file__).parent
SETTINGS = "digits", "--epochs=3", "--hidden=8", "--steps=4", "--dtype=float64", "--seed=1"


def torchrun(count: int, *command: object) -> subprocess.Popen[str]:
    """Start a script, or `-m` a module, in several processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.Popen(
        [*launcher, f"--nproc-per-node={count}", *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end; give the exit code and what was written."""
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The trainings of all cases by three processes."""
    out = tmp_path_factory.mktemp("shared")
    code, _, said = finished(torchrun(3, TESTS / "parallel_cases.py", out))
    assert code == 0, said
    return {
        name: (load_file(out / f"{n}.safetensors"), json.loads((out / f"{n}.json").read_text()))
        for n, name in enumerate(CASES)
    }


@pytest.mark.parametrize("name", CASES)
def test_three_processes_train_what_one_trains(shared, name):
    # Up to 20 steps in float64, in which no spike differs.
    weights, metrics = train(name)
    for key, value in shared[name][0].items():
        torch.testing.assert_close(value, weights[key], rtol=0, atol=1e-9, equal_nan=True)
    for one, other in zip(metrics, shared[name][1], strict=True):
        assert other == {key: pytest.approx(figure, rel=1e-9) for key, figure in one.items()}


@pytest.fixture(scope="module")
def loops(tmp_path_factory):
    """Folder of what loops of one's own trained in two processes."""
    out = tmp_path_factory.mktemp("loops")
    code, _, said = finished(torchrun(2, TESTS / "parallel_wrappers.py", out))
    assert code == 0, said
    return out


@pytest.mark.parametrize("name", [*parallel_wrappers.WRAPPERS, "local"])
def test_two_processes_share_a_loop_of_ones_own(loops, name):
    alone = parallel_wrappers.train_locally if name == "local" else parallel_wrappers.train
    found = load_file(loops / f"{name}.safetensors")
    for key, value in alone().items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=1e-12)


def test_rules_refuse_networks_that_wrappers_changed(loops):
    wrapped, sharded = (loops / "refusals.txt").read_text().splitlines()
    assert "must be a SpikingNetwork, but is a DistributedDataParallel" in wrapped
    assert "sharded by fully_shard, but a local rule needs every neuron whole" in sharded


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_rows_of_a_batch_are_shared_out_once(batch, count):
    processes = [Processes(rank, count) for rank in range(count)]
    taken = [row for p in processes if p.share(batch) for row in range(batch)[p.rows(batch)]]
    assert taken == list(range(batch))
    assert sum(p.weight(batch) for p in processes) == pytest.approx(1)
    shares = [p.share(batch) for p in processes]
    assert max(shares) - min(shares) <= 1
    # A process without a share still computes a row, so that all take the same steps.
    assert all(range(batch)[p.rows(batch)] for p in processes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_processes_draw_the_rows_of_what_one_draws(dtype):
    alone = torch.Generator().manual_seed(4)
    whole = draw_layers(3, 2 * 7, [5, 2], alone, dtype, "cpu")  # two copies of a batch of seven
    for rank in range(3):
        generator = SharedGenerator(Processes(rank, 3)).manual_seed(4)
        generator.batch = 7
        rows = generator.processes.rows(7)
        own = draw_layers(3, 2 * (rows.stop - rows.start), [5, 2], generator, dtype, "cpu")
        for mine, drawn in zip(own, whole, strict=True):
            assert torch.equal(mine, drawn.unflatten(1, (2, 7))[:, :, rows].flatten(1, 2))
        assert torch.equal(generator.get_state(), alone.get_state())


def test_rows_that_are_none_of_the_batch_are_refused():
    generator = SharedGenerator(Processes(0, 2)).manual_seed(4)
    generator.batch = 8
    with pytest.raises(ValueError, match="5 rows are drawn, which is no multiple of the 4 rows"):
        draw_uniforms(3, 5, 2, generator, torch.float32, "cpu")


def test_more_processes_than_rows_are_refused():
    recipe = from_flat("digits", {"batch_size": 2})
    with pytest.raises(ConfigError, match="3 processes share each batch, but a batch has 2 rows"):
        trainer.start(recipe, 64, 10, 100, processes=Processes(0, 3))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    command = [sys.executable, "-m", "sqsnn", "train", *SETTINGS, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return folder.find(out)


def assert_same_run(found: folder.RunFolder, run: folder.RunFolder) -> None:
    for one, other in zip(run.read_metrics(), found.read_metrics(), strict=True):
        assert other == {key: pytest.approx(figure, rel=1e-9) for key, figure in one.items()}
    one, other = run.read_result(), found.read_result()
    accuracies = [key for key in one if key.startswith("test_")]
    assert accuracies
    for name in [*accuracies, "spikes_per_sample", "best_epoch", "costs", "parameters"]:
        assert other[name] == one[name]


def test_torchrun_trains_the_run_of_one_process(alone, tmp_path):
    made = folder.RunFolder(tmp_path / "run")
    code, out, err = finished(torchrun(2, "-m", "sqsnn", "train", *SETTINGS, "--out", made.path))
    assert code == 0, err
    assert_same_run(made, alone)
    assert out.count("epoch   1/3") == 1  # one of them speaks
    assert json.loads(made.timing.read_text())["machine"]["processes"] == 2
    assert {path.name for path in made.path.iterdir()} == {p.name for p in alone.path.iterdir()}


def test_a_process_that_dies_ends_the_run_and_one_process_goes_on(alone, tmp_path):
    made = folder.RunFolder(tmp_path / "run")
    started = torchrun(2, "-m", "sqsnn", "train", *SETTINGS, "--out", made.path)
    while not made.checkpoint.is_file() and started.poll() is None:
        time.sleep(0.02)
    second = process_of_rank(started.pid, 1)
    os.kill(second, signal.SIGKILL)
    code, _, said = finished(started)
    assert code != 0
    assert f"torchrun --nproc-per-node 2 -m sqsnn train --resume {made.path}" in said
    # The launcher ends the one that is left as soon as it misses the other.
    assert re.search(r"out of reach \(connection|Interrupted: ", said)
    resume = [sys.executable, "-m", "sqsnn", "train", "--resume", str(made.path)]
    subprocess.run(resume, check=True, capture_output=True)
    assert_same_run(made, alone)


def process_of_rank(parent: int, rank: int) -> int:
    """Find the process of a rank among those that a launcher started."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            mother = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (place / "environ").read_bytes()
        except OSError:  # it has ended by now
            continue
        if mother == parent and f"\0RANK={rank}\0".encode() in b"\0" + environment:
            return int(place.name)
    raise LookupError(f"process {parent} started none of rank {rank}")


def test_a_refused_setting_is_said_by_the_first_process(tmp_path):
    command = "-m", "sqsnn", "train", "digits", "--batch-size", "1", "--out", tmp_path / "run"
    code, _, said = finished(torchrun(2, *command))
    assert code != 0
    assert "process 0 of 2: 2 processes share each batch, but a batch has 1 rows" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", [["hardware", "runs/a"], ["predict", "runs/a", "new.csv"]])
def test_what_processes_cannot_share_is_refused_behind_torchrun(command):
    # Jobs on a device would be paid once per process.
    variables = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "sqsnn", *command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "process 0 of 2: 2 processes were started, which share" in done.stderr
    assert f"call `sqsnn {command[0]}` without torchrun" in done.stderr


def test_the_others_say_how_to_go_on_where_the_first_has_ended(monkeypatch, tmp_path):
    settings = from_flat("digits", {"epochs": 1})
    settled, dataset = run.prepare(settings)
    progress = trainer.start(settled, 64, 10, 100, processes=Processes(1, 2))

    def lose(*_):
        raise ProcessError("another process has ended")

    monkeypatch.setattr(run, "_share", lose)
    launched = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    made = folder.RunFolder(tmp_path / "run")
    with pytest.raises(ProcessError) as raised, watching(track=" --track mlflow") as screen:
        run._run(made, settled, dataset, progress, screen, (), False)
    assert str(raised.value) == (
        "another process has ended. Interrupted: no epoch had ended. To go on with any number of "
        "processes, or without torchrun:\n"
        f"  torchrun --nproc-per-node 2 -m sqsnn train --resume {made.path} --track mlflow"
    )
    assert not made.path.exists()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("[/__w/pair.cc:537] Read error [::1]:5: Connection reset by peer. Ha", "connection reset"),
        ("[/__w/unbound_buffer.cc:78] Timed out waiting 1800000ms for recv", "timed out"),
        ("NCCL has no words\nand many lines", "NCCL has no words"),
    ],
)
def test_a_broken_exchange_is_said_in_plain_words(said, reason):
    with pytest.raises(ProcessError) as raised, _reporting():
        raise RuntimeError(said)
    assert str(raised.value) == f"another process has ended, or is out of reach ({reason})"


def test_the_error_of_one_process_is_passed_on_and_said_once(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "used").touch()
    command = "-m", "sqsnn", "train", *SETTINGS, "--out", tmp_path / "run"
    _, _, said = finished(torchrun(2, *command))
    assert "process 0 of 2: out must be a new or empty folder" in said
    assert "process 1 of 2" not in said
