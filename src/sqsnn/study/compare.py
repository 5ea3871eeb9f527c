"""Running a study: claim a trial, run it, write it down, and so on until none is left.

Every worker, here or on another machine that shares the folder, does the same: it takes the next
trial that nobody holds. What was finished is never done again.
"""

import multiprocessing
import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import Timeout

from sqsnn.errors import ConfigError, SqsnnError, TrainingError
from sqsnn.storage import write_atomically
from sqsnn.study import tables
from sqsnn.study.config import Study, models_of
from sqsnn.study.plan import Plan, final_settings, make_plan, search_of
from sqsnn.study.search import Searches, make_lock
from sqsnn.study.tables import final_paths
from sqsnn.study.trials import (
    Record,
    final_path,
    read_fitting,
    read_record,
    run_final,
    run_search,
)

_PAUSE = 2.0  # seconds before looking again whether others have finished what is waited for


class Outcome(NamedTuple):
    """A trial that is done.

    Args:
        dataset: name of the group.
        model: name of the model.
        seed: the seed; None in the search.
        record: what was written down.
    """

    dataset: str
    model: str
    seed: int | None
    record: Record


class Count(NamedTuple):
    """How far a study is.

    Args:
        done: trials that are done, whoever did them.
        total: all trials.
    """

    done: int
    total: int


Tell = Callable[[Outcome, Count], None]


def compare(study: Study, source: Path, out: Path, jobs: int, tell: Tell) -> Count:
    """Run what is left of a study, and write its tables and pictures.

    Args:
        study: the study.
        source: its file, to be copied beside the results.
        out: the folder of the results.
        jobs: processes; with 1 it is this one.
        tell: is told of every trial that this call finished.

    Returns:
        how far the study is; not to the end where others are still at work on it.

    Raises:
        ConfigError: if the study cannot be run as it stands, what lies there was made with other
            defaults or of other data, or a worker could not go on.
        DataError: if a dataset cannot be had.
        TrainingError: if a training that was to be tested failed; the others are done by then.
    """
    # Here and not above: no worker draws pictures.
    from sqsnn.study import figures

    plan = make_plan(study, out)
    searches = Searches(plan)
    _check_records(plan, searches)
    out.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()  # before writing: it may be this very file
    write_atomically(out / "study.toml", lambda path: path.write_bytes(content))

    def told(outcome: Outcome) -> None:
        tell(outcome, count(plan, searches))

    try:
        if jobs == 1:
            for outcome in work(plan):
                told(outcome)
        else:
            _share(plan, jobs, told)
    finally:
        rows = tables.write(plan, searches)
        figures.save_all(plan, rows)
    if failed := list(_failed(plan, searches)):
        raise TrainingError("\n".join(failed))
    return count(plan, searches)


def work(plan: Plan) -> Iterator[Outcome]:
    """Run one trial after the other until none is left that nobody holds.

    Args:
        plan: the study.

    Yields:
        each trial as soon as it is done.
    """
    searches = Searches(plan)
    while True:
        outcome = _next(plan, searches)
        if outcome is not None:
            yield outcome
        elif any(searches.chosen(*pair) is None for pair in plan.pairs()):
            # The last trials of a search run elsewhere; when they are done there is work again.
            time.sleep(_PAUSE)
        else:
            return


def count(plan: Plan, searches: Searches) -> Count:
    """Count the trials that are done.

    Args:
        plan: the study.
        searches: its searches.
    """
    done = total = 0
    for dataset, model in plan.pairs():
        total += len(plan.study.seeds)
        done += sum(path.is_file() for path in final_paths(plan, searches, dataset, model))
        if _has_search(plan.study, dataset):
            total += search_of(plan.study).trials
            done += searches.count_done(dataset, model)
    return Count(done, total)


def _has_search(study: Study, dataset: str) -> bool:
    return study.search is not None and study.datasets[dataset].search_from is None


def _next(plan: Plan, searches: Searches) -> Outcome | None:
    """Run the first trial that is neither done nor held by somebody else."""
    for dataset in plan.study.datasets:
        models = models_of(plan.study, dataset)
        for model in models:
            if _has_search(plan.study, dataset) and searches.chosen(dataset, model) is None:
                ask = searches.ask(dataset, model)
                if ask is not None:
                    try:
                        record = run_search(plan, dataset, model, ask.found)
                        ask.tell(*_reached(record))
                    finally:
                        ask.lock.release()
                    return Outcome(dataset, model, None, record)
        for seed in plan.study.seeds:
            for model in models:
                outcome = _next_final(plan, searches, dataset, model, seed)
                if outcome is not None:
                    return outcome
    return None


def _next_final(
    plan: Plan, searches: Searches, dataset: str, model: str, seed: int
) -> Outcome | None:
    found = searches.chosen(dataset, model)
    if found is None:
        return None
    path = final_path(plan, dataset, model, found, seed)
    lock = make_lock(plan.out, f"trials/{dataset}/{model}/{path.stem}")
    try:
        with lock.acquire(blocking=False):
            # Looked at under the lock: before, it may just have been finished.
            if path.is_file():
                return None
            return Outcome(dataset, model, seed, run_final(plan, dataset, model, found, seed))
    except Timeout:
        return None


def _reached(record: Record) -> tuple[float, float | None]:
    if "error" in record:
        return 0.0, None
    return record["validation_accuracy_spikes"], record["validation_loss"]


def _check_records(plan: Plan, searches: Searches) -> None:
    """Refuse results of other defaults or other data, before more are made."""
    for dataset, model in plan.pairs():
        found = searches.chosen(dataset, model)
        if found is None:
            continue
        for seed in plan.study.seeds:
            settings = final_settings(plan, dataset, model, found, seed)
            read_fitting(final_path(plan, dataset, model, found, seed), plan, dataset, settings)


def _failed(plan: Plan, searches: Searches) -> Iterator[str]:
    for dataset, model in plan.pairs():
        for path in final_paths(plan, searches, dataset, model):
            record = read_record(path)
            if record is not None and "error" in record:
                yield (
                    f"{model} on {dataset} with seed {record['seed']} failed: {record['error']} "
                    f"(the same again would fail again: set a lower training.learning_rate, or "
                    f"search it; {path})"
                )


def _share(plan: Plan, jobs: int, told: Callable[[Outcome], None]) -> None:
    """Let several processes work, and pass on what they say."""
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    workers = [
        context.Process(target=_work_and_say, args=(plan, said), daemon=True) for _ in range(jobs)
    ]
    try:
        # An interrupt from the keyboard goes to all processes: this one hears it, and stops them.
        with _deaf_to_interrupts():
            for worker in workers:
                worker.start()
        while True:
            at_work = [worker for worker in workers if worker.is_alive()]
            try:
                told(_understood(said.get(timeout=0.2)))
                continue
            except queue.Empty:
                if broken := [w.exitcode for w in workers if w.exitcode]:
                    raise ConfigError(f"a worker stopped with exit code {broken[0]}") from None
            if not at_work:
                return
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.terminate()
                worker.join()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    # Inherited: a worker is deaf from its first moment, before any of its own code runs.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _work_and_say(plan: Plan, said: Any) -> None:
    """What a worker does: work, and say what it did or what is wrong."""
    parent = multiprocessing.parent_process()
    try:
        for outcome in work(plan):
            said.put(outcome)
            if parent is not None and not parent.is_alive():
                return
    except (SqsnnError, ValueError, OSError) as error:
        said.put(error)


def _understood(said: Outcome | Exception) -> Outcome:
    if isinstance(said, Exception):
        raise said
    return said
