"""The programs and commands of the documentation run as they stand."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from sqsnn.cli.main import main
from sqsnn.quantum import circuits

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "extending.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()
NAMES = ["notebook", "estimator", "module", "qiskit", "neuron", "callback"]


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
