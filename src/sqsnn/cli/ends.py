"""How a command ends before it is done: by a signal, or because its output is closed."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from rich.console import Console
from rich.text import Text

WRONG_USE = 2
INTERRUPTED = 130
CLOSED = 141  # as the shell says it of what a closed pipe ends
CODES = (
    "Exit codes: 0 done; 2 refused or failed, which a line explains; 130 interrupted (Ctrl-C, "
    "SIGTERM, SIGHUP); 141 the output was closed."
)

# What stops a job politely: Ctrl-C, kill or a batch system, and a terminal that is closed.
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_last_words: list[Callable[[], str]] = []


class OutputError(Exception):
    """What a command prints goes nowhere, because the reader has closed the pipe or a disk is full.

    Attributes:
        is_closed: Whether the reader has closed the pipe.
    """

    def __init__(self, said: str, is_closed: bool) -> None:
        super().__init__(said)
        self.is_closed = is_closed


class Output(Console):
    """The standard output, which says when it cannot be written."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does."""
        with writing_output():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Say it instead of ending the program."""
        raise BrokenPipeError


@contextmanager
def writing_output() -> Iterator[None]:
    """Tell a failure to write the standard output from all others."""
    try:
        yield
    except OSError as error:
        # Python writes what is left when it ends, and would complain.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        is_closed = isinstance(error, BrokenPipeError)
        reason = "its reader has closed it" if is_closed else error.strerror or error
        raise OutputError(f"the output cannot be written: {reason}", is_closed) from error


def say(message: str, colour: str) -> None:
    """Write a line to the standard error, if that is still there."""
    with suppress(OutputError):
        # Not folded to the terminal's width: a command or a path in it is there to be copied.
        Output(stderr=True).print(Text(message, style=colour), soft_wrap=True)


def stop_politely() -> None:
    """Let each signal that stops a job interrupt it, so that it can say what is kept.

    A second one ends it at once: all files are whole at any moment.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # which `nohup` asks for
            signal.signal(number, _interrupt)


@contextmanager
def last_words(say: Callable[[], str]) -> Iterator[None]:
    """Let the second signal, too, say what is kept."""
    _last_words.append(say)
    try:
        yield
    finally:
        _last_words.pop()


def end_at_once() -> None:
    """Let the next signal end the process at once."""
    for number in SIGNALS:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, _end)


def _interrupt(number: int, frame: FrameType | None) -> None:
    end_at_once()
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    try:
        said = _last_words[-1]() if _last_words else "Interrupted."
        os.write(2, f"{said}\n".encode())
    finally:
        os._exit(INTERRUPTED)
