"""One training of a study, by a worker: it ends as a record."""

from pathlib import Path
from typing import NamedTuple

from sqsnn import __version__
from sqsnn.errors import ConfigError, TrainingError
from sqsnn_bench.study import library
from sqsnn_bench.study.library import Settings
from sqsnn_bench.study.plan import Plan, Trial
from sqsnn_bench.study.records import Key, Record


class Job(NamedTuple):
    """All that a worker needs to run a trial.

    Attributes:
        key: What the trial is called.
        out: The folder of the results.
        settings: The settings of the training.
        known: The part of its record that is known before.
    """

    key: Key
    out: Path
    settings: Settings
    known: Record


def job(plan: Plan, trial: Trial) -> Job:
    """Make the job of a trial.

    Args:
        plan: The study.
        trial: The trial.
    """
    settings, key = plan.settings(trial), trial.key
    search, source = plan.study.search, plan.facts[key.dataset].source
    known = {
        "study": plan.study.name,
        "dataset": key.dataset,
        "model": key.model,
        "trial": key.trial,
        "seed": key.number if key.kind == "seed" or search is None else search.seed,
        "found": dict(trial.found),
        "hidden": library.hidden_of(settings),
        "source": source,
        "settings": library.plain(settings),
        "sqsnn": __version__,
    }
    # A worker may be another machine, with a data folder of its own.
    return Job(key, plan.out, library.made_of(settings, source), known)


def work(job: Job) -> Record:
    """Train; the process that decides writes the record.

    A trial of a search sees the training and validation samples alone. Any other is tested once,
    and goes on where it was stopped.

    Args:
        job: The job.

    Returns:
        The record, with an "error" where a loss was not finite.
    """
    folder = run_folder(job.out, job.key)
    try:
        reached = (
            library.validate(job.settings)
            if job.key.kind == "search"
            else library.train_and_test(job.settings, folder)
        )
    except TrainingError as error:
        reached = {"error": str(error)}
    library.forget_checkpoint(folder)
    return {**job.known, **reached}


def run_folder(out: Path, key: Key) -> Path:
    """Where a trial that is tested keeps its run."""
    return out / "runs" / key.dataset / key.model / key.trial


def refuse_misfit(plan: Plan, trial: Trial, record: Record, *, shared: bool = False) -> None:
    """Refuse a record that was made with other settings, or of other data.

    Args:
        plan: The study.
        trial: The trial, as the study is now.
        record: Its record.
        shared: Whether it comes from the storage of a shared search.

    Raises:
        ConfigError: If they differ.
    """
    place = "the storage" if shared else plan.out
    where = f"trial {trial.key.dataset}/{trial.key.model}/{trial.key.trial} in {place}"
    other = (
        "give the study another name, or take another database"
        if shared
        else ("choose another --out")
    )
    now, before = library.plain(plan.settings(trial)), record["settings"]
    # A setting that one of two versions of the library does not know is no difference.
    for name in sorted(now.keys() & before.keys()):
        if now[name] != before[name]:
            raise ConfigError(
                f"{where} was made with {name} {before[name]!r}, which is {now[name]!r} now: set "
                f"it in the file of the study, or {other}"
            )
    source = plan.facts[trial.key.dataset].source
    if record.get("source", source) != source:  # older records name none
        raise ConfigError(
            f"{where} was made of {record['source']}, but the data here are {source}: a study "
            "compares what had the same data; point data_dir or SQSNN_DATA at them, or "
            f"{other}"
        )
