"""Running a study, whole or what is left of it: its folder, its workers, its tables."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqsnn.errors import ConfigError, TrainingError
from sqsnn.ownership import owned
from sqsnn.storage import write_atomically
from sqsnn_bench.study import records, tables
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.journal import Journal
from sqsnn_bench.study.part import part_of
from sqsnn_bench.study.plan import Plan, make_plan
from sqsnn_bench.study.records import Key, Record
from sqsnn_bench.study.sharing import Alone, Claims, Sharing, refuse_misfits
from sqsnn_bench.study.tested import Readings
from sqsnn_bench.study.watching import Watcher
from sqsnn_bench.study.workers import LocalProcesses, ThisProcess, Workers


def compare(
    study: Study,
    source: Path,
    out: Path,
    jobs: int,
    watcher: Watcher,
    *,
    cluster: str | None = None,
    storage: str | None = None,
    only: Iterable[str] = (),
    test_again: str | None = None,
) -> None:
    """Run what is left of a study, and write its tables and pictures.

    Args:
        study: The study.
        source: Its file, to be copied beside the results.
        out: The folder of the results.
        jobs: Trials at a time, each in a process of its own; with 1 it is this process.
        watcher: Follows the study.
        cluster: Address of a Dask scheduler, whose workers run the trials.
        storage: URL of a storage of optuna, where commands that share the study meet.
        only: Rows to run, as GROUP/MODEL; none for all.
        test_again: Why networks are tested again that the log of the test part has as tested, but
            that have no record.

    Raises:
        ConfigError: If the study cannot be run as it stands, another command is at work in the
            folder, records were made with other settings or of other data, a network was tested
            whose record is gone, workers keep being killed, or cluster or storage cannot be
            reached.
        DataError: If a dataset cannot be had.
        TrainingError: If a training that was to be tested failed; the others are done by then.
    """
    if cluster is not None and jobs != 1:
        raise ConfigError(
            f"--jobs is {jobs}, but counts processes of this machine, and --cluster has workers of "
            "its own: leave one of them out"
        )
    if cluster is not None and storage is not None:
        raise ConfigError(
            "--cluster runs all trials of a command, and --storage shares them among commands: "
            "leave one of them out"
        )
    plan = make_plan(part_of(study, only), out)
    content = source.read_bytes()  # before writing: it may be the file beside the results
    with owned(out):
        known = records.read(out)
        refuse_misfits(plan, known, [key for key in plan.trials() if key in known])
        write_atomically(out / "study.toml", lambda path: path.write_bytes(content))
        try:
            _run(plan, known, jobs, watcher, cluster, storage, test_again)
        finally:
            known = records.read(out)
            if known:
                records.pack(out, known)
                tables.write(study, out, known)
    if failed := list(_failed(plan, known)):
        raise TrainingError("\n".join(failed))


def _run(
    plan: Plan,
    known: dict[Key, Record],
    jobs: int,
    watcher: Watcher,
    cluster: str | None,
    storage: str | None,
    test_again: str | None,
) -> None:
    journal, readings = Journal(plan.out, watcher.note), Readings(plan.out, test_again)
    with ExitStack() as stack:
        # Workers stop before their trials are given back.
        claims = stack.enter_context(_claims(plan, known, journal, storage, watcher.waiting))
        # Those of an earlier version, and of a command that was killed at this very place.
        for key in sorted(known):
            readings.recorded(known[key])
        if all(key in known for key in plan.trials()):
            return
        workers = stack.enter_context(
            _workers(jobs, cluster, watcher.waiting, shared=storage is not None)
        )
        Sharing(plan, known, workers, claims, journal, readings, watcher).run()


@contextmanager
def _claims(
    plan: Plan,
    known: dict[Key, Record],
    journal: Journal,
    storage: str | None,
    waiting: Callable[[str], None],
) -> Iterator[Claims]:
    if storage is None:
        yield Alone()
        return
    # Here and not above: most studies need no database.
    from sqsnn_bench.study.shared_search import SharedSearch
    from sqsnn_bench.study.storage_url import read_url

    url = read_url(storage)
    waiting(f"connecting to {url.shown}")
    shared = SharedSearch(url, plan, waiting)
    try:
        for key, what in shared.join(known):
            journal.noted(key, what)
        yield shared
    finally:
        shared.close()


@contextmanager
def _workers(
    jobs: int, cluster: str | None, waiting: Callable[[str], None], *, shared: bool
) -> Iterator[Workers]:
    workers: Workers
    if cluster is not None:
        from sqsnn_bench.study.cluster import Cluster  # here: it imports distributed

        waiting(f"connecting to {cluster}")
        workers = Cluster(cluster)
    elif jobs == 1 and not shared:
        workers = ThisProcess()
    else:
        # One worker too leaves this process free to tell other commands that it is alive.
        workers = LocalProcesses(jobs)
    try:
        yield workers
    finally:
        workers.close()


def _failed(plan: Plan, known: dict[Key, Record]) -> Iterator[str]:
    for key in plan.trials():
        record = known.get(key, {})
        if key.kind == "seed" and "error" in record:
            yield (
                f"{key.model} on {key.dataset} with seed {key.number} failed: {record['error']} "
                "(the same again would fail again: set a lower training.learning_rate, or search "
                "it)"
            )
