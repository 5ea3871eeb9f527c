"""The programs of the documentation run as they stand."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PROGRAMS = re.findall(r"```python\n(.*?)```", (DOCS / "extending.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=["circuit", "neuron"])
def test_the_programs_on_extending_run(program, capsys):
    exec(compile(program, "extending.md", "exec"), {"__name__": "extending"})
    assert capsys.readouterr().out
