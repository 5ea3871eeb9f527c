"""The command line, called as from a shell."""

import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from sqsnn.cli.main import main
from sqsnn.reports import plots


class Done(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def sqsnn(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """Run a command and catch what it says."""

    def call(*arguments: object) -> Done:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        return Done(code, *capsys.readouterr())

    handler = signal.getsignal(signal.SIGTERM)
    yield call
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in an empty folder, and draw no pictures there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: ())
    return tmp_path
