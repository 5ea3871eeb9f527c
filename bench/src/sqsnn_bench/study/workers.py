"""Who trains: this process, or processes of this machine, each with a trial of its own.

Workers of a cluster are in `cluster`, behind the same interface. A worker that dies loses its
trial and no other; what to do then is decided in `sharing`.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple, Protocol

from joblib.externals.loky import ProcessPoolExecutor

from sqsnn.errors import SqsnnError
from sqsnn_bench.study.records import Record
from sqsnn_bench.study.trials import Job

Work = Callable[[Job], Record]


class Lost(NamedTuple):
    """A trial whose worker died.

    Attributes:
        why: What is known of it.
    """

    why: str


class VanishedError(SqsnnError):
    """All workers are out of reach, and what they were doing is lost."""


class Workers(Protocol):
    """A number of workers, which may change; each runs one trial at a time."""

    def size(self) -> int:
        """How many there are now.

        Raises:
            VanishedError: If there is no way to know.
        """
        ...

    def submit(self, work: Work, job: Job) -> Future[Any]:
        """Start a trial; at most `size` run at a time."""
        ...

    def outcome(self, future: Future[Any], job: Job) -> Record | Lost:
        """The record of a trial that ended, or why there is none.

        Raises:
            VanishedError: If all workers are out of reach.
            SqsnnError: What the trial itself raised.
        """
        ...

    def close(self) -> None:
        """Stop all workers of this process, whatever they do."""
        ...


class ThisProcess:
    """One worker: the process itself."""

    def size(self) -> int:
        """One."""
        return 1

    def submit(self, work: Work, job: Job) -> Future[Record]:
        """Run a trial to its end."""
        future: Future[Record] = Future()
        future.set_result(work(job))
        return future

    def outcome(self, future: Future[Record], job: Job) -> Record:
        """The record of the trial."""
        return future.result()

    def close(self) -> None:
        """Nothing is to be stopped."""


class LocalProcesses:
    """Processes of this machine, one executor of loky for each.

    A broken executor says nothing of which of its workers died, and takes the others with it; so
    none has more than one.
    """

    def __init__(self, jobs: int) -> None:
        """Start them.

        Args:
            jobs: How many.
        """
        self._jobs = jobs
        self._idle = [_start() for _ in range(jobs)]
        self._busy: dict[Future[Record], ProcessPoolExecutor] = {}

    def size(self) -> int:
        """As many as there were at the start."""
        return self._jobs

    def submit(self, work: Work, job: Job) -> Future[Record]:
        """Start a trial on an idle process."""
        executor = self._idle.pop()
        future = executor.submit(work, job)
        self._busy[future] = executor
        return future

    def outcome(self, future: Future[Record], job: Job) -> Record | Lost:
        """The record of a trial; a process that died is replaced."""
        executor = self._busy.pop(future)
        try:
            return future.result()
        except BrokenProcessPool as error:
            _stop(executor)
            executor = _start()
            said = str(error).strip().splitlines()[0]
            return Lost(f"its worker was killed, perhaps for want of memory ({said})")
        finally:
            self._idle.append(executor)  # also of a trial that raised an error: to be stopped

    def close(self) -> None:
        """Stop all processes."""
        for executor in (*self._idle, *self._busy.values()):
            _stop(executor)


def _start() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, initializer=_prepare, initargs=(os.getpid(),))


def _stop(executor: ProcessPoolExecutor) -> None:
    executor.shutdown(wait=True, kill_workers=True)


def _prepare(parent: int) -> None:
    """Leave interrupts to the process that decides, and end with it, however it ends."""
    # An interrupt from the keyboard goes to all processes: the one that decides stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    # The next command trains in the same folders: no worker of a killed one may go on there.
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)
