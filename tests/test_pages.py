"""The programs and commands of the documentation run as they stand."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

import sqsnn
from sqsnn.cli.main import main
from sqsnn.quantum import circuits

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "extending.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()
NAMES = ["notebook", "estimator", "module", "qiskit", "neuron", "callback"]
OWN_DATA = re.findall(
    r"```(python|sh)\n(.*?)```", (DOCS / "own-data.md").read_text("utf-8"), re.DOTALL
)
EXCHANGE = re.findall(r"```python\n(.*?)```", (DOCS / "exchange.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_the_programs_on_extending_run(program, capsys, monkeypatch):
    monkeypatch.setattr(circuits, "_REGISTRY", dict(circuits._REGISTRY))
    exec(compile(program, "extending.md", "exec"), {"__name__": "extending"})
    assert bool(capsys.readouterr().out) == ("print(" in program)


def test_the_commands_on_extending_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine.py").write_text(PROGRAMS[NAMES.index("module")])
    for command in COMMANDS:
        main(shlex.split(command)[1:])
    monkeypatch.delitem(sys.modules, "mine")
    assert 'circuit = "mine:twist"' in (tmp_path / "runs/twist/config.toml").read_text()
    assert capsys.readouterr().err == ""


def test_the_page_on_own_data_runs_from_its_first_line_to_its_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "own_data"}
    for language, text in OWN_DATA:
        if language == "python":
            exec(compile(text, "own-data.md", "exec"), namespace)
        else:
            for command in text.splitlines():
                main(shlex.split(command)[1:])
    done = capsys.readouterr()
    assert done.err == ""
    assert "bad.csv, line 3, column 'up': expected a number, found 'high'" in done.out
    for name in ("predictions.csv", "answers.csv", "iris.md", "waves.csv", "runs/iris/report.html"):
        assert (tmp_path / name).is_file()
    waves = sqsnn.load("runs/waves").metrics
    # What the page says of its examples: 24 samples, the network far above the linear model.
    assert waves["test_accuracy"] > 0.8 > waves["baseline"]["figures"]["accuracy"]


def test_the_page_on_exchange_runs_from_its_first_line_to_its_last(tmp_path, monkeypatch, capsys):
    for extra in ("nir", "neurobench"):
        pytest.importorskip(extra, reason=f"the extra {extra} is not installed")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "exchange"}
    with torch.random.fork_rng():  # the loader draws globally
        for program in EXCHANGE:
            exec(compile(program, "exchange.md", "exec"), namespace)
    assert "'Effective_ACs'" in capsys.readouterr().out
    assert (tmp_path / "digits.nir").is_file()
