"""Processes that start in milliseconds: forks of one that has imported the package already."""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

LONGEST = 300  # seconds


class Job(NamedTuple):
    """A call to make in a process of its own.

    Attributes:
        call: The function, which the other process can import.
        arguments: Its arguments.
        folder: Where it works.
        out: Files, pipes or terminals for its standard output and its errors.
    """

    call: Callable[..., object]
    arguments: tuple[Any, ...]
    folder: Path
    out: tuple[Path, Path]


class Zygote:
    """The process of which the others are forks."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,))
        self._process.start()
        theirs.close()

    def start(self, job: Job) -> int:
        """Start a process; give its number."""
        self._connection.send(job)
        return self._connection.recv()

    def wait(self, process: int) -> int:
        """Wait for the end of a process; give its exit code, or a signal's number below 0."""
        self._connection.send(process)
        return self._connection.recv()

    def kill(self, process: int) -> int:
        """Kill a process; give how it ended, which may have been before."""
        with suppress(ProcessLookupError):  # its number is not given away before it is waited for
            os.kill(process, signal.SIGKILL)
        return self.wait(process)

    def stop(self) -> None:
        """End the process; those that it started have been waited for."""
        self._process.kill()
        self._process.join()


@contextmanager
def zygote() -> Iterator[Zygote]:
    """Start a process that forks, and end it."""
    started = Zygote()
    try:
        yield started
    finally:
        started.stop()


def _serve(connection: Any) -> None:
    import torch

    from sqsnn.cli import main, train  # noqa: F401 (what is imported here costs the forks nothing)
    from sqsnn.runs import api  # noqa: F401

    torch.set_num_threads(1)
    # Imported when they are first called.
    import sklearn.datasets
    import sklearn.linear_model
    import sklearn.model_selection  # noqa: F401

    while True:
        try:
            job = connection.recv()
        except EOFError:  # who asked has ended
            return
        if isinstance(job, int):
            connection.send(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
            continue
        process = os.fork()
        if not process:
            connection.close()
            _run(job)
        connection.send(process)


def _run(job: Job) -> None:
    """Make the call as a program of its own would."""
    code = 1
    try:
        # As in a terminal, whatever the tests themselves run under.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(LONGEST)  # which ends a call that does not
        os.chdir(job.folder)
        for number, path in enumerate(job.out, start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), number)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 (to the end of the process)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        job.call(*job.arguments)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for file in (sys.stdout, sys.stderr):
            with suppress(OSError):  # a closed pipe
                file.flush()
        os._exit(code)
