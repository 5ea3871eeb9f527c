"""The command line, called as from a shell."""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tools import TINY

from sqsnn.cli import ends
from sqsnn.cli.main import main
from sqsnn.runs import run
from sqsnn.settings.run import from_flat


class Done(NamedTuple):
    """The output of a command, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def sqsnn(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """Run a command and catch its output."""

    def call(*arguments: object) -> Done:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        return Done(code, *capsys.readouterr())

    handlers = {number: signal.getsignal(number) for number in ends.SIGNALS}
    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def refused(sqsnn: Callable[..., Done]) -> Callable[..., str]:
    """Run a command that must be refused in one line with exit code 2, and give that line."""

    def call(*arguments: object) -> str:
        done = sqsnn(*arguments)
        assert (done.code, done.out) == (2, ""), done
        (line,) = done.err.splitlines()
        return line

    return call


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, and draw no pictures there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "draw_run", lambda *args: None)
    return tmp_path


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny trained run."""
    path = tmp_path_factory.mktemp("cli") / "run"
    return run.begin(from_flat("digits", TINY), path, pictures=False).path


@pytest.fixture
def trained(once: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it in the folder `a`, and a terminal so wide that no cell of a table is folded."""
    monkeypatch.setenv("COLUMNS", "200")
    return shutil.copytree(once, here / "a")
