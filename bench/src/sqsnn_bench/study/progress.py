"""What a terminal shows of a study that runs: a line per trial, and below them how far it is."""

from contextlib import AbstractContextManager

from rich.console import Console
from rich.status import Status
from rich.text import Text

from sqsnn_bench.study import headline
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.plan import Plan
from sqsnn_bench.study.records import Key, Record
from sqsnn_bench.study.watching import Standing, Watcher


class Lines(Watcher):
    """Prints a line per trial; a terminal has a line of status, too."""

    def __init__(self, study: Study, console: Console) -> None:
        """Follow a study.

        Args:
            study: The study.
            console: Where to print.
        """
        self._study, self._console = study, console
        self._status = Status("", console=console)

    def shown(self) -> AbstractContextManager[object]:
        """The line of status while the study runs; files and pipes get none."""
        return self._status if self._console.is_terminal else _Nothing()

    def begun(self, plan: Plan, standing: Standing) -> None:
        """Say what is done, by whom the rest will be, and where it goes."""
        workers = "1 worker" if standing.workers == 1 else f"{standing.workers} workers"
        trials = f"{standing.total} trials, {standing.done} done"
        self._print(f"{plan.study.name}: {trials}, {workers}, into {plan.out}")

    def done(self, key: Key, record: Record, standing: Standing, by: str = "") -> None:
        """Print the line of a trial."""
        by = f", by {by}" if by else ""
        workers = f"; {standing.workers} workers" if standing.workers > 1 else ""
        line = _trial(key, record, standing, self._study)
        self._print(f"{line}{by}{workers}; {self._best(standing)}")

    def note(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def waiting(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def pulse(self, standing: Standing) -> None:
        """Renew the line of status."""
        waiting = "" if standing.workers else ", waiting for workers"
        again = f", {standing.again} started again" if standing.again else ""
        self._status.update(
            Text(
                f"{standing.done} of {standing.total} trials, {standing.at_work} of "
                f"{standing.workers} workers at work{waiting}{again}; {self._best(standing)}"
            )
        )

    def _best(self, standing: Standing) -> str:
        """The best of every group on the validation samples."""
        found = [
            f"{_reached(record, 'validation')} ({self._study.label(model)}"
            + (f", {dataset})" if len(standing.best) > 1 else ")")
            for dataset, (model, record) in standing.best.items()
        ]
        return f"best validation {', '.join(found)}" if found else "none validated yet"

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


class _Nothing(AbstractContextManager[None]):
    def __exit__(self, *_: object) -> None:
        return None


def _trial(key: Key, record: Record, standing: Standing, study: Study) -> str:
    searched = ", ".join(f"{name} {value}" for name, value in record["found"].items())
    is_search = key.kind == "search"
    what = f"search {searched}" if is_search else f"seed {key.number}"
    label = study.label(key.model)
    done = f"{standing.done} of {standing.total}: {key.dataset}, {label}, {what}: "
    if "error" in record:
        return f"{done}{record['error']}"
    part = "validation" if is_search else "test"
    return f"{done}{part} {_reached(record, part)}, {record['seconds']:.0f} s"


def _reached(record: Record, part: str) -> str:
    shown = headline.of(record)
    return f"{shown.written(record[f'{part}_{shown.name}'])}{shown.unit}"
