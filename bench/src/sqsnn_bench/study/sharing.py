"""Sharing out the trials of a study: what runs next, on which worker, and what if it is lost.

This process decides, workers train, records remember. A trial that is recorded is never repeated;
one whose worker died runs again, `ATTEMPTS` times at most, and the journal says so. Before a
network that is to be tested goes to a worker, the log of the test part has its line.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, NamedTuple, Protocol

from sqsnn.errors import ConfigError
from sqsnn_bench.study import library, records
from sqsnn_bench.study.journal import Journal, name_of
from sqsnn_bench.study.plan import Plan, Trial
from sqsnn_bench.study.records import Key, Record
from sqsnn_bench.study.tested import Readings
from sqsnn_bench.study.trials import Job, job, refuse_misfit, run_folder, work
from sqsnn_bench.study.watching import Standing, Watcher, standing
from sqsnn_bench.study.workers import Lost, VanishedError, Workers

ATTEMPTS = 3  # times that a trial is run whose worker is killed
TICK = 0.5  # seconds between two looks at workers that come and go, and at other commands


class News(NamedTuple):
    """What other commands did.

    Attributes:
        records: Trials that they finished.
        lost: Trials that they lost, and why.
    """

    records: Sequence[Record] = ()
    lost: Sequence[tuple[Key, str]] = ()


class Claims(Protocol):
    """How commands that share a search agree on who runs what."""

    def news(self) -> News:
        """What other commands did since the last call; and tell them that this one is alive."""
        ...

    def taken(self) -> dict[Key, str]:
        """The trials that other commands run or have run, and by whom."""
        ...

    def before(self, key: Key) -> int:
        """Starts of a trial that came to nothing, by any command."""
        ...

    def claim(self, job: Job) -> bool:
        """Take a trial, unless another command has it."""
        ...

    def finish(self, job: Job, record: Record) -> bool:
        """Publish a record, unless another command took the trial over."""
        ...

    def release(self, key: Key, why: str) -> None:
        """Give a trial back that was lost."""
        ...

    def close(self) -> None:
        """Give back all trials that are at work."""
        ...


class Alone:
    """The claims of a command that shares its search with no other."""

    def news(self) -> News:
        """Nothing."""
        return News()

    def taken(self) -> dict[Key, str]:
        """None."""
        return {}

    def before(self, key: Key) -> int:
        """None; the journal knows of own starts."""
        return 0

    def claim(self, job: Job) -> bool:
        """It is free."""
        return True

    def finish(self, job: Job, record: Record) -> bool:
        """The record holds."""
        return True

    def release(self, key: Key, why: str) -> None:
        """It is free again."""

    def close(self) -> None:
        """There is nothing to give back."""


class Sharing:
    """A study that is being run."""

    def __init__(
        self,
        plan: Plan,
        known: dict[Key, Record],
        workers: Workers,
        claims: Claims,
        journal: Journal,
        readings: Readings,
        watcher: Watcher,
    ) -> None:
        """Take what is known; nothing runs yet.

        Args:
            plan: The study.
            known: Its records, which grow.
            workers: Who trains.
            claims: Who runs what, where several commands share a search.
            journal: Where all starts and losses are written.
            readings: The log of the test part.
            watcher: Follows the study.
        """
        self._plan, self._known = plan, known
        self._workers, self._claims = workers, claims
        self._journal, self._readings, self._watcher = journal, readings, watcher
        self._open: dict[Key, Job] = {}
        self._running: dict[Future[Any], Job] = {}
        self._losses: Counter[Key] = Counter()
        self._awaited: set[Key] = set()

    def run(self) -> None:
        """Run all trials that are left.

        Raises:
            ConfigError: If a network was tested whose record is gone, workers of one trial keep
                being killed, or all are out of reach.
            SqsnnError: What a trial raised.
        """
        try:
            self._hear()
            self._refuse_tested()
            self._watcher.begun(self._plan, self._standing())
            while self._missing():
                self._start()
                self._watcher.pulse(self._standing())
                self._say_awaited()
                self._collect()
                self._hear()
        except VanishedError as error:
            raise ConfigError(self._farewell(error)) from error
        finally:
            for key in self._open:
                self._journal.stopped(key)

    def _refuse_tested(self) -> None:
        """Refuse at once, and not when the turn of a trial comes."""
        others = self._known.keys() | self._claims.taken().keys()
        left = (key for key in self._plan.trials() if key not in others)
        self._readings.refuse(key for key in left if not self._is_finished(key))

    def _is_finished(self, key: Key) -> bool:
        """Whether a trial has been tested, so that its run folder holds its figures."""
        return key.kind == "seed" and library.is_finished(run_folder(self._plan.out, key))

    def _missing(self) -> bool:
        return any(key not in self._known for key in self._plan.trials())

    def _start(self) -> None:
        """Give idle workers trials that can run now."""
        idle = self._workers.size() - len(self._running)
        if idle <= 0:
            return
        for trial in ready(
            self._plan, self._known, self._open.keys() | self._claims.taken().keys()
        ):
            made = job(self._plan, trial)
            if not self._claims.claim(made):
                continue
            self._open[made.key] = made
            self._journal.started(made.key, self._claims.before(made.key))
            if self._is_finished(made.key):
                # Here: a worker elsewhere has no such folder, and would test the network anew.
                self._take(made, work(made))
                continue
            if made.key.kind == "seed":
                self._readings.opens(made)
            self._running[self._workers.submit(work, made)] = made
            idle -= 1
            if not idle:
                return

    def _say_awaited(self) -> None:
        """Name what other commands are at work on, where this one can do nothing else."""
        taken = {} if self._running else self._claims.taken()
        for key in taken.keys() - self._known.keys() - self._awaited:
            self._awaited.add(key)
            self._watcher.waiting(f"waiting for {name_of(key)}, at work by {taken[key]}")

    def _collect(self) -> None:
        """Wait a moment, and take what is done."""
        if not self._running:
            time.sleep(TICK)
            return
        done, _ = wait(self._running, timeout=TICK, return_when=FIRST_COMPLETED)
        # What was finished when all workers vanished is kept.
        for future in sorted(done, key=Future.cancelled):
            made = self._running.pop(future)
            outcome = self._workers.outcome(future, made)
            if isinstance(outcome, Lost):
                del self._open[made.key]
                self._claims.release(made.key, outcome.why)
                self._lose(made.key, outcome.why)
            else:
                self._take(made, outcome)

    def _take(self, made: Job, record: Record) -> None:
        del self._open[made.key]
        # First of all: whatever else fails, the record is kept.
        records.write(self._plan.out, record)
        if self._claims.finish(made, record):
            self._know(record)
        else:
            records.forget(self._plan.out, made.key)
            self._journal.noted(
                made.key, "it ran twice: another command took this one for dead; its record holds"
            )

    def _hear(self) -> None:
        """Take over what other commands did."""
        news = self._claims.news()
        arrived = {records.key_of(record): record for record in news.records}
        taken = self._claims.taken() if arrived else {}
        refuse_misfits(self._plan, {**self._known, **arrived}, list(arrived), shared=True)
        for record in news.records:
            records.write(self._plan.out, record)
            self._know(record, taken.get(records.key_of(record), ""))
        for key, why in news.lost:
            self._lose(key, why)

    def _know(self, record: Record, by: str = "") -> None:
        key = records.key_of(record)
        self._known[key] = record
        self._readings.recorded(record)
        self._journal.done(key, by and f"by {by}")
        self._watcher.done(key, record, self._standing(), by)

    def _lose(self, key: Key, why: str) -> None:
        self._journal.lost(key, why)
        self._losses[key] += 1
        if self._losses[key] >= ATTEMPTS:
            raise ConfigError(
                f"trial {name_of(key)} was lost {ATTEMPTS} times, the last time because {why}: is "
                "there enough memory? Fewer workers at a time need less"
            )

    def _standing(self) -> Standing:
        return standing(
            self._plan,
            self._known,
            workers=self._workers.size(),
            at_work=len(self._running),
            again=self._journal.again,
        )

    def _farewell(self, error: VanishedError) -> str:
        names = ", ".join(map(name_of, self._open)) or "none"
        keys = list(self._plan.trials())
        done = sum(key in self._known for key in keys)
        return (
            f"{error}: {done} of {len(keys)} trials are done and kept in {self._plan.out}; at work "
            f"and lost: {names}. The same command goes on from there"
        )


def ready(plan: Plan, known: dict[Key, Record], busy: set[Key]) -> Iterator[Trial]:
    """The trials that can run now, in the order in which they run.

    Args:
        plan: The study.
        known: What is done.
        busy: What is at work.
    """
    for key in plan.trials():
        if key not in known and key not in busy:
            found = plan.find(key, known)
            if found is not None:
                yield Trial(key, found)


def refuse_misfits(
    plan: Plan, known: dict[Key, Record], keys: list[Key], *, shared: bool = False
) -> None:
    """Refuse records that were made with other settings, or of other data.

    Args:
        plan: The study.
        known: All records.
        keys: Those to check.
        shared: Whether they come from the storage of a shared search.

    Raises:
        ConfigError: If one does not fit.
    """
    for key in keys:
        found = plan.find(key, known)
        if found is not None:
            refuse_misfit(plan, Trial(key, found), known[key], shared=shared)
