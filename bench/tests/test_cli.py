"""`sqsnn-bench` from the call to the tables."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import tomli_w

from sqsnn.cli.main import main as sqsnn_main
from sqsnn_bench.study import trials
from sqsnn_bench.study.config import read_study
from sqsnn_bench.study.plan import make_plan

EXAMPLE = Path(__file__).parents[2] / "examples" / "study.toml"


def hurried(where: Path, models=("crx", "lif"), **changes) -> Path:
    """The example with fewer samples, epochs and models."""
    content = tomllib.loads(EXAMPLE.read_text("utf-8"))
    content["search"] |= {"epochs": 1, "train_samples": 100}
    content["datasets"]["digits"] |= {"data": {"train_samples": 100, "test_samples": 50}}
    content["datasets"]["digits"]["training"] = {"epochs": 1}
    content["models"] = {name: content["models"][name] for name in models}
    path = where / "my study.toml"
    path.write_text(tomli_w.dumps(content | changes), "utf-8")
    return path


def test_the_example_is_compared_tabled_and_reported(bench, here):
    models = tomllib.loads(EXAMPLE.read_text("utf-8"))["models"]
    done = bench("compare", hurried(here, models))
    assert (done.code, done.err) == (0, "")
    first, *lines = done.out.splitlines()
    assert first == "digits: 20 trials, 0 done, 1 worker, into runs/digits"
    assert len(lines) == 26  # 4 models with 3 trials and 2 seeds each, 4 results, and 2 files
    assert lines[0].startswith("1 of 20: digits, SQS crx, M=1, search training.learning_rate 0.0")
    assert ": validation " in lines[0]
    assert "; best validation " in lines[0]
    assert "20 of 20: digits, stochastic LIF, seed 1: test " in lines[19]
    assert lines[20].startswith("digits, SQS crx, M=1: test accuracy ")
    assert all(" ± " in line and line.endswith(" % over 2 seeds") for line in lines[20:24])
    assert lines[24:] == ["runs/digits/results.md", "runs/digits/results.json"]
    table = here / "runs" / "digits" / "results.md"
    before = table.read_text("utf-8")
    assert before.count("| 2 of 2 |") == 5  # 4 models, and a linear one on the same splits
    assert "| ridge classifier on all values |" in before
    again = bench("compare", hurried(here, models))
    assert (again.code, again.out.splitlines()) == (0, lines[20:])
    table.unlink()
    assert bench("tables", "runs/digits").out.splitlines() == lines[24:]
    assert table.read_text("utf-8") == before
    assert bench("report", "runs/digits").out.splitlines() == ["runs/digits/report.html"]
    assert "stochastic LIF" in (here / "runs" / "digits" / "report.html").read_text("utf-8")


def test_the_study_of_the_readme_is_a_study(tmp_path):
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    path = tmp_path / "study.toml"
    path.write_text(readme.split("```toml\n")[1].split("```")[0], "utf-8")
    assert make_plan(read_study(path), tmp_path / "out").facts["digits"].outputs == 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "nowhere.toml"], "nowhere.toml"),
        (["compare", "{study}", "--jobs", "0"], "--jobs"),
        (["compare", "{study}", "--jobs", "2", "--cluster", "tcp://127.0.0.1:9"], "--jobs is 2"),
        (["compare", "{study}", "--job", "2"], "--job"),
        (["compare"], "STUDY"),
        (["report", "."], "results.json must hold the results of a study"),
        (["tables", "."], "study.toml"),
        (["gradients", "."], "config.toml"),
    ],
)
def test_a_wrong_call_is_answered_in_one_line(bench, here, arguments, said):
    path = hurried(here)
    done = bench(*(argument.format(study=path) for argument in arguments))
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert said in line
    assert list(here.iterdir()) == [path]


def test_a_wrong_study_is_refused_by_file_and_name(bench, here):
    path = hurried(here, seeds=[0, 1000])
    done = bench("compare", path)
    assert (done.code, done.out) == (2, "")
    assert f"{path}: search.seed must be none of seeds, [0, 1000], but is 1000" in done.err


def test_an_interrupted_study_says_how_to_go_on(bench, here, monkeypatch):
    with monkeypatch.context() as patch:
        stop = lambda settings: signal.raise_signal(signal.SIGINT)  # noqa: E731
        patch.setattr(trials.library, "validate", stop)
        done = bench("compare", hurried(here), "--out", "my results")
    assert done.code == 130
    assert "Traceback" not in done.err
    said, command = done.err.splitlines()
    assert said == "Interrupted: trials that are done are kept. To go on:"
    program, *arguments = shlex.split(command)
    assert program == "sqsnn-bench"
    assert bench(*arguments).code == 0
    assert (here / "my results" / "results.json").is_file()


def test_gradients_of_a_run_are_diagnosed(bench, here, capsys):
    line = "train digits --hidden 3 --epochs 1 --steps 3 --train-samples 100 --out a"
    sqsnn_main(line.split())
    capsys.readouterr()
    options = "--windows 1,3 --repeats 2 --shots 3,4 --max-trials 20 --draws 2 --batch 2"
    done = bench("gradients", "a", *options.split())
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "1 of 7: geometric, W = 1, R = 2"
    assert lines[-2:] == ["a/gradients.json", "a/gradients.png"]
    content = json.loads((here / "a" / "gradients.json").read_text("utf-8"))
    assert (content["windows"], content["repeats"], content["shots"]) == ([1, 3], [2], [3, 4])
    assert content["signal"] == "signs"
    assert "--signal signs" not in done.out  # the hint is for the other one
    # One row per estimator in each of two tables, and none wider than a terminal of 80 columns.
    for name, count in (("geometric", 2), ("laplace", 4), ("spsa", 1)):
        assert sum(line.startswith(f"{name} ") for line in lines) == 2 * count
    assert max(map(len, done.out.splitlines())) <= 80
    for one in content["estimates"]:
        name = "spsa" if one["derivative"] == "spsa" else one["estimator"]
        size = one["shots"] or one["repeats"]
        key = f"{name} {one['window']} {size} {one['shots_per_step']:.0f} "
        (row,) = [line for line in lines if line.startswith(key)]
        assert row.split()[-1] == f"{one['quality']['all']['draw_cosine']:.2f}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--windows", "1,0"], r"--windows(\.1)?: .* but is '0'"),
        (["--repeats", "0"], r"--repeats(\.0)?: .* but is '0'"),
        (["--draws", "1"], "--draws: .* but is '1'"),
        (["--batch", "0"], "--batch: .* but is '0'"),
        (["--signal", "morse"], "--signal"),
        ([], "nowhere holds no run"),
    ],
)
def test_wrong_options_of_gradients_are_refused_in_one_line(bench, here, options, said):
    done = bench("gradients", "nowhere", *options)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    with pytest.raises(ValueError, match=said):
        raise ValueError(line)


def test_gradients_of_neurons_without_circuits_are_refused(bench, here, capsys):
    line = "train digits --neurons lif --hidden 4 --epochs 1 --train-samples 100 --out run"
    sqsnn_main(line.split())
    capsys.readouterr()
    done = bench("gradients", "run")
    assert done.code == 2
    assert (
        "need neurons that are circuits (SQSNeurons), but layer 1 of this run has LIF" in done.err
    )


def test_help_waits_for_no_torch():
    code = """
from sqsnn_bench.cli import main
import sys
try:
    main(["gradients", "--help"])
except SystemExit as stop:
    assert not stop.code, stop.code
assert not {"torch", "optuna", "matplotlib"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupt_leaves_no_worker_behind(here, stop):
    command = [sys.executable, "-m", "sqsnn_bench", "compare", str(hurried(here)), "--jobs", "2"]
    # Default handlers, whatever this process ignores.
    process = subprocess.Popen(
        [sys.executable, "-c", _AS_FROM_A_TERMINAL, *command],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert " of 10: " in process.stdout.readline()
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)  # as a terminal does
    else:
        process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    if stop != signal.SIGKILL:
        assert process.returncode == 130
        assert "--jobs 2" in said
        assert "Traceback" not in said
    deadline = time.monotonic() + 20
    while _group_lives(process.pid):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.1)


_AS_FROM_A_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
