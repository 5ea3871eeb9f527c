"""Running a study: this process decides what comes next, workers train, records remember.

Workers are those of loky, through the interface of `concurrent.futures`: `executor_of` is the one
place to put those of a cluster, such as `dask.distributed.Client().get_executor()`. A trial that is
recorded is never repeated.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from joblib.externals.loky import get_reusable_executor

from sqsnn.errors import ConfigError, TrainingError
from sqsnn.storage import write_atomically
from sqsnn_bench.study import records, tables
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.plan import Plan, Trial, make_plan
from sqsnn_bench.study.records import Key, Record
from sqsnn_bench.study.trials import job, refuse_misfit, work

ATTEMPTS = 3  # times that a trial is run whose worker is killed


class Progress(NamedTuple):
    """A trial that was just done, and how far the study is.

    Attributes:
        key: What the trial is called.
        record: What was recorded of it.
        done: Trials that are done.
        total: All trials.
    """

    key: Key
    record: Record
    done: int
    total: int


def compare(
    study: Study, source: Path, out: Path, jobs: int, watch: Callable[[Progress], None]
) -> None:
    """Run what is left of a study, and write its tables and pictures.

    Args:
        study: The study.
        source: Its file, to be copied beside the results.
        out: The folder of the results.
        jobs: Trials at a time, each in a process of its own; with 1 it is this process.
        watch: Called after every trial.

    Raises:
        ConfigError: If the study cannot be run as it stands, another command is at work on it, its
            records were made with other settings or of other data, or workers keep being killed.
        DataError: If a dataset cannot be had.
        TrainingError: If a training that was to be tested failed; the others are done by then.
    """
    plan = make_plan(study, out)
    content = source.read_bytes()  # before writing: it may be the file beside the results
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", blocking=False):
            known = records.read(out)
            _refuse_misfits(plan, known)
            write_atomically(out / "study.toml", lambda path: path.write_bytes(content))
            try:
                for key, record in _run(plan, known, jobs):
                    known[key] = record
                    keys = list(plan.trials())
                    watch(Progress(key, record, sum(k in known for k in keys), len(keys)))
            finally:
                known = records.read(out)
                records.pack(out, known)
                tables.write(study, out, known)
    except Timeout:
        raise ConfigError(f"another command is at work on the study in {out}") from None
    if failed := list(_failed(plan, known)):
        raise TrainingError("\n".join(failed))


def executor_of(jobs: int) -> Executor:
    """Start workers.

    Args:
        jobs: How many.
    """
    return get_reusable_executor(
        max_workers=jobs,
        reuse=False,  # pyright: ignore[reportArgumentType] (as its docstring allows)
        timeout=60,
        initializer=_leave_interrupts,
    )


def _leave_interrupts() -> None:
    # An interrupt from the keyboard goes to all processes: the one that decides stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(plan: Plan, known: dict[Key, Record], jobs: int) -> Iterator[tuple[Key, Record]]:
    """Run all trials that are left; yield each as it is done, to be added to what is known."""
    if jobs == 1:
        while (trial := next(_ready(plan, known), None)) is not None:
            yield trial.key, work(job(plan, trial))
        return
    attempts: dict[Key, int] = {}
    while next(_ready(plan, known), None) is not None:
        executor = executor_of(jobs)
        running: dict[Future[Record], Key] = {}
        try:
            yield from _share(plan, known, jobs, executor, running)
        except BrokenProcessPool as error:
            # One of those that ran was killed; which one, the error does not say.
            written = records.read(plan.out)
            for key in running.values():
                if key in written:
                    yield key, written[key]
                else:
                    attempts[key] = attempts.get(key, 0) + 1
            _refuse_hopeless(attempts, error)
        finally:
            executor.shutdown(wait=True, kill_workers=True)  # pyright: ignore[reportCallIssue]


def _share(
    plan: Plan,
    known: dict[Key, Record],
    jobs: int,
    executor: Executor,
    running: dict[Future[Record], Key],
) -> Iterator[tuple[Key, Record]]:
    """Keep all workers busy until nothing is left; `running` tells what they are doing."""
    while True:
        at_work = set(running.values())
        for trial in _ready(plan, known, at_work):
            if len(running) >= jobs:
                break
            running[executor.submit(work, job(plan, trial))] = trial.key
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            record = future.result()
            yield running.pop(future), record


def _ready(
    plan: Plan, known: dict[Key, Record], at_work: set[Key] | None = None
) -> Iterator[Trial]:
    """The trials that can run now, in the order in which they run."""
    for key in plan.trials():
        if key not in known and key not in (at_work or ()):
            found = plan.find(key, known)
            if found is not None:
                yield Trial(key, found)


def _refuse_hopeless(attempts: dict[Key, int], error: BrokenProcessPool) -> None:
    hopeless = [key for key, times in attempts.items() if times >= ATTEMPTS]
    if hopeless:
        names = ", ".join(f"{key.dataset}/{key.model}/{key.trial}" for key in hopeless)
        raise ConfigError(
            f"workers were killed {ATTEMPTS} times while they ran {names}: is there enough memory? "
            f"Fewer --jobs need less. ({str(error).splitlines()[0]})"
        ) from error


def _refuse_misfits(plan: Plan, known: dict[Key, Record]) -> None:
    for key in plan.trials():
        if key in known:
            found = plan.find(key, known)
            if found is not None:
                refuse_misfit(plan, Trial(key, found), known[key])


def _failed(plan: Plan, known: dict[Key, Record]) -> Iterator[str]:
    for key in plan.trials():
        record = known.get(key, {})
        if key.kind == "seed" and "error" in record:
            yield (
                f"{key.model} on {key.dataset} with seed {key.number} failed: {record['error']} "
                "(the same again would fail again: set a lower training.learning_rate, or search "
                "it)"
            )
