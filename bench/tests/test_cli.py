"""`sqsnn compare` from the call to the tables."""

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

EXAMPLE = Path(__file__).parents[2] / "examples" / "study.toml"


def hurried(where: Path, **changes) -> Path:
    """The example with fewer samples and epochs."""
    content = tomllib.loads(EXAMPLE.read_text("utf-8"))
    content["search"] |= {"epochs": 1, "train_samples": 100}
    content["datasets"]["digits"] |= {"data": {"train_samples": 100, "test_samples": 50}}
    content["datasets"]["digits"]["training"] = {"epochs": 1}
    path = where / "my study.toml"
    path.write_text(tomli_w.dumps(content | changes), "utf-8")
    return path


def test_the_example_is_compared(sqsnn, here):
    done = sqsnn("compare", hurried(here))
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert len(lines) == 22  # 4 models with 3 trials and 2 seeds each, and 2 files
    assert lines[0].startswith("1 of 20: digits, SQS crx, M=1, search training.learning_rate 0.0")
    assert ": validation " in lines[0]
    assert "20 of 20: digits, stochastic LIF, seed 1: test " in lines[19]
    assert lines[20:] == ["runs/digits/results.md", "runs/digits/results.json"]
    table = (here / "runs" / "digits" / "results.md").read_text("utf-8")
    assert table.count("| 2 of 2 |") == 4
    again = sqsnn("compare", hurried(here))
    assert (again.code, again.out.splitlines()) == (0, lines[20:])


def test_what_is_run_elsewhere_is_told(sqsnn, here, monkeypatch):
    from sqsnn.study import compare as comparing

    monkeypatch.setattr(comparing, "work", lambda plan: iter(()))
    done = sqsnn("compare", hurried(here), "--out", "there")
    assert done.code == 0
    assert "20 of 20 trials are still being run by another process." in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.toml"], "nowhere.toml"),
        (["{study}", "--jobs", "0"], "--jobs"),
        (["{study}", "--job", "2"], "--job"),
        ([], "STUDY"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(sqsnn, here, arguments, said):
    path = hurried(here)
    done = sqsnn("compare", *(argument.format(study=path) for argument in arguments))
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert said in line
    assert list(here.iterdir()) == [path]


def test_a_wrong_study_is_told_by_file_and_name(sqsnn, here):
    path = hurried(here, seeds=[0, 1000])
    done = sqsnn("compare", path)
    assert (done.code, done.out) == (2, "")
    assert f"{path}: search.seed must be none of seeds, [0, 1000], but is 1000" in done.err


def test_without_optuna_the_extra_is_named(sqsnn, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = sqsnn("compare", hurried(here))
    assert done.code == 2
    assert "pip install 'sqsnn[tune]'" in done.err


def test_an_interrupted_study_says_how_to_go_on(sqsnn, here, monkeypatch):
    from sqsnn.study import trials

    with monkeypatch.context() as patch:
        patch.setattr(trials, "_validate", lambda settings: signal.raise_signal(signal.SIGINT))
        done = sqsnn("compare", hurried(here), "--out", "my results")
    assert done.code == 130
    assert "Traceback" not in done.err
    said, command = done.err.splitlines()
    assert said == "Interrupted: trials that are done are kept. To go on:"
    program, *arguments = shlex.split(command)
    assert program == "sqsnn"
    assert sqsnn(*arguments).code == 0
    assert (here / "my results" / "results.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_worker_behind(here, stop):
    command = [sys.executable, "-m", "sqsnn", "compare", str(hurried(here)), "--jobs", "2"]
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
    assert " of 20: " in process.stdout.readline()
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)  # as a terminal does
    else:
        process.send_signal(stop)
    _, said = process.communicate(timeout=60)
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
