"""Following a study: what a watcher hears, and how far the study is."""

from collections.abc import Mapping
from typing import NamedTuple

from sqsnn_bench.study.plan import Plan
from sqsnn_bench.study.records import Key, Record
from sqsnn_bench.study.search import rank


class Standing(NamedTuple):
    """How far a study is.

    Attributes:
        done: Trials that are done.
        total: All trials.
        workers: Workers that there are.
        at_work: Those that have a trial.
        again: Starts of trials that had been started before.
        best: The model that is best on the validation samples so far, and that record, by group.
    """

    done: int
    total: int
    workers: int
    at_work: int
    again: int
    best: Mapping[str, tuple[str, Record]]


class Watcher:
    """Follows a study; this one does nothing."""

    def begun(self, plan: Plan, standing: Standing) -> None:
        """The study goes on; trials come next."""

    def done(self, key: Key, record: Record, standing: Standing, by: str = "") -> None:
        """A trial has its record, perhaps by another command."""

    def waiting(self, text: str) -> None:
        """This command waits, and for what."""

    def note(self, text: str) -> None:
        """Something that a user should know: a trial was lost, or runs a second time."""

    def pulse(self, standing: Standing) -> None:
        """Called several times per second."""


def standing(
    plan: Plan, known: Mapping[Key, Record], *, workers: int, at_work: int, again: int
) -> Standing:
    """Say how far a study is.

    Args:
        plan: The study.
        known: What is done.
        workers: Workers that there are.
        at_work: Those that have a trial.
        again: Starts of trials that had been started before.
    """
    keys = list(plan.trials())
    best: dict[str, tuple[str, Record]] = {}
    for key in [key for key in keys if key in known and "error" not in known[key]]:
        if key.dataset not in best or rank(known[key]) > rank(best[key.dataset][1]):
            best[key.dataset] = key.model, known[key]
    return Standing(sum(key in known for key in keys), len(keys), workers, at_work, again, best)
