"""What the README shows works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_blocks_run_one_after_another(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    blocks = [code for language, code in BLOCKS if language == "python"]
    assert len(blocks) >= 5
    with torch.random.fork_rng():  # as a user's own layers do, torch.nn.Linear draws globally
        for code in blocks:
            exec(compile(code, "README.md", "exec"), namespace)
    assert capsys.readouterr().out, "the first example prints what it learned"
    assert namespace["record"].spikes.shape == (10, 32, 128, 1)
    assert namespace["kraus"].shape == (32, 128, 2, 4, 4)


def test_the_loop_is_fifteen_lines_or_fewer():
    loop = next(code for language, code in BLOCKS if "Adam" in code)
    assert len([line for line in loop.splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize(
    "line",
    [
        line.split("#")[0].strip()
        for language, code in BLOCKS
        if language == "sh"
        for line in code.splitlines()
        if line.startswith(("sqsnn ", "sqsnn-bench ", "make "))
    ],
)
def test_the_commands_exist(line):
    program, name = shlex.split(line)[:2]
    if program == "make":
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        return
    if program == "sqsnn-bench":
        from sqsnn_bench.cli import app
    else:
        from sqsnn.cli.main import app

    command = app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)[0]
    assert callable(command)


def test_the_pictures_are_there():
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path
