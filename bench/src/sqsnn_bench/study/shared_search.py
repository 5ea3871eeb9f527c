"""One search that several commands share, through a storage of optuna; each trial is run by one.

The storage has one optuna study for each model of a group, NAME/GROUP/MODEL. A start of a trial is
an optuna trial, which names it and its owner: RUNNING while it is at work, COMPLETE with its
record, FAIL if it came to nothing. Of the starts of one trial that did not fail, the first holds
it, by the number that the storage gives out one by one: a command that wants a trial writes a
start, then checks whether it is the first. Owners beat while they live; an owner that is silent for
`GRACE` seconds is taken for dead, and its trial is free.

Proposals follow from records, as in a search that is not shared, so that all find the same.
"""

import math
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from optuna.trial import FrozenTrial, TrialState, create_trial

from sqsnn import __version__
from sqsnn.errors import ConfigError
from sqsnn.storage import write_atomically
from sqsnn_bench.study.journal import name_of
from sqsnn_bench.study.plan import Plan
from sqsnn_bench.study.records import Key, Record
from sqsnn_bench.study.search import distributions_of, rank
from sqsnn_bench.study.sharing import News
from sqsnn_bench.study.storage import Storage
from sqsnn_bench.study.storage_url import StorageUrl
from sqsnn_bench.study.trials import Job

POLL = 1.0  # seconds between two looks at the storage
BEAT = 15.0  # seconds between two signs of life
GRACE = 120  # seconds without one after which an owner is taken for dead

# Why a start came to nothing that was no loss: its command gave it back, or it never began.
_STOPPED, _NEVER = "its command was stopped", "another command was first"


class SharedSearch:
    """The claims of one of several commands, each with a folder of its own."""

    def __init__(
        self, url: StorageUrl, plan: Plan, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Join a search, or begin it; nothing is claimed yet.

        Args:
            url: Where all commands meet.
            plan: The study.
            say: Called with what this command waits for.

        Raises:
            ConfigError: If there is no such storage.
        """
        self._storage, self._plan = Storage(url, BEAT, GRACE, say), plan
        self._owner = _owner(plan.out)
        self._studies = {
            pair: self._storage.study(f"{plan.study.name}/{pair[0]}/{pair[1]}")
            for pair in plan.study.pairs()
        }
        self._starts: dict[Key, list[FrozenTrial]] = {}
        self._mine: dict[Key, int] = {}
        self._polled = self._beaten = -math.inf
        self._look()
        # Losses of the past are past: a command has all its attempts.
        self._told = {it._trial_id for it in self._all() if it.state == TrialState.FAIL}
        self._greeted: set[int] = set()

    def join(self, known: dict[Key, Record]) -> list[tuple[Key, str]]:
        """Publish what is known here; where others know a trial or run it, theirs holds.

        Args:
            known: The records of this folder; those that do not hold are taken out.

        Returns:
            Trials that were run twice, and what becomes of them.
        """
        self._give_back()
        twice = []
        for key in [key for key in self._plan.trials() if key in known]:
            holder = self._holder(key) or self._publish(key, known[key])
            if holder.user_attrs.get("record") == known[key]:
                self._told.add(holder._trial_id)
            else:
                twice.append(
                    (key, "it was started here and elsewhere: the record from there holds")
                )
                del known[key]
        return twice

    def news(self) -> News:
        """What other commands did since the last call; and tell them that this one is alive."""
        now = time.monotonic()
        if now - self._polled < POLL:
            return News()
        self._polled = now
        if now - self._beaten >= BEAT:
            self._beaten = now
            for start in self._mine.values():
                self._storage.beat(start)
            for study in self._studies.values():
                self._storage.expire(study)
        self._look()
        self._give_back()
        self._greet()
        records, lost = [], []
        for start in [it for it in self._all() if it._trial_id not in self._told]:
            if start.state == TrialState.COMPLETE and start is self._holder(_key(start)):
                self._told.add(start._trial_id)
                records.append(start.user_attrs["record"])
            elif start.state == TrialState.FAIL:
                self._told.add(start._trial_id)
                why = start.user_attrs.get("ended", f"{_host(start)} was silent for {GRACE} s")
                if why not in (_STOPPED, _NEVER) and not self._owns(start):
                    lost.append((_key(start), why))
        return News(records, lost)

    def taken(self) -> dict[Key, str]:
        """The trials that other commands run or have run, and by whom."""
        others = {key: self._holder(key) for key in self._starts if key not in self._mine}
        return {key: _host(holder) for key, holder in others.items() if holder is not None}

    def before(self, key: Key) -> int:
        """Starts of a trial that came to nothing, by any command."""
        failed = [it for it in self._starts.get(key, []) if it.state == TrialState.FAIL]
        return sum(it.user_attrs.get("ended") != _NEVER for it in failed)

    def claim(self, job: Job) -> bool:
        """Take a trial, unless another command has it."""
        start = self._begin(job.key, job.known, TrialState.RUNNING)
        self._storage.beat(start)
        self._look(job.key)
        holder = self._holder(job.key)
        if holder is not None and holder._trial_id == start:
            self._mine[job.key] = start
            return True
        self._fail(start, _NEVER)
        return False

    def finish(self, job: Job, record: Record) -> bool:
        """Publish a record, unless another command took the trial over."""
        start = self._mine.pop(job.key)
        attributes = {"record": record}
        if self._storage.end(start, TrialState.COMPLETE, attributes, rank(record)[0]):
            self._told.add(start)
            return True
        # It had ended: taken for dead, or done by a call whose answer was lost.
        self._look(job.key)
        holder = self._holder(job.key) or self._publish(job.key, record)
        self._told |= {holder._trial_id} if self._owns(holder) else set()
        return self._owns(holder)

    def release(self, key: Key, why: str) -> None:
        """Give a trial back that was lost."""
        self._fail(self._mine.pop(key), why)

    def close(self) -> None:
        """Give back all trials that are at work."""
        self._storage.hurry()
        # What cannot be given back is free after GRACE seconds.
        with suppress(ConfigError):
            for key in list(self._mine):
                self.release(key, _STOPPED)
        self._storage.close()

    def _look(self, key: Key | None = None) -> None:
        """Read the starts of all trials, or of those of one model."""
        for pair, study in self._studies.items():
            if key is None or pair == (key.dataset, key.model):
                for known in [known for known in self._starts if known[:2] == pair]:
                    del self._starts[known]
                for start in self._storage.starts(study):
                    self._starts.setdefault(_key(start), []).append(start)

    def _all(self) -> Iterator[FrozenTrial]:
        for starts in self._starts.values():
            yield from starts

    def _holder(self, key: Key) -> FrozenTrial | None:
        """The first start of a trial that did not fail."""
        alive = (it for it in self._starts.get(key, []) if it.state != TrialState.FAIL)
        return next(alive, None)

    def _owns(self, start: FrozenTrial) -> bool:
        return start.user_attrs["owner"] == self._owner

    def _begin(self, key: Key, known: Record, state: TrialState, value: float | None = None) -> int:
        space = distributions_of(self._plan.study.space_of(key.model))
        start = create_trial(
            state=state,
            value=value,
            params=dict(known["found"]),
            distributions={name: space[name] for name in known["found"]},
            user_attrs={
                "trial": list(key),
                "owner": self._owner,
                "sqsnn": __version__,
                **({} if value is None else {"record": known}),
            },
        )
        return self._storage.begin(self._studies[key.dataset, key.model], start)

    def _publish(self, key: Key, record: Record) -> FrozenTrial:
        """Add a record that has no start; whose start holds then, may be another's."""
        self._begin(key, record, TrialState.COMPLETE, rank(record)[0])
        self._look(key)
        holder = self._holder(key)
        assert holder is not None  # the record that was just added, if no other
        return holder

    def _fail(self, start: int, why: str) -> None:
        self._told.add(start)
        self._storage.end(start, TrialState.FAIL, {"ended": why})

    def _give_back(self) -> None:
        """End own starts that nothing runs: of a killed command, or of a call without an answer."""
        mine = set(self._mine.values())
        for start in list(self._all()):
            own = self._owns(start) and start.state == TrialState.RUNNING
            if own and start._trial_id not in mine | self._told:
                self._fail(start._trial_id, _STOPPED)
                self._look(_key(start))

    def _greet(self) -> None:
        """Look at the starts of others once."""
        for start in self._all():
            new = start._trial_id not in self._greeted and start.state == TrialState.RUNNING
            if new and not self._owns(start):
                self._greeted.add(start._trial_id)
                # Its owner may have died before its first sign of life.
                self._storage.beat(start._trial_id)
                if start.user_attrs["sqsnn"] != __version__:
                    raise ConfigError(
                        f"{_host(start)} has sqsnn {start.user_attrs['sqsnn']} and runs "
                        f"{name_of(_key(start))}, but here is {__version__}: install the same "
                        "version everywhere"
                    )


def _key(start: FrozenTrial) -> Key:
    return Key(*start.user_attrs["trial"])


def _host(start: FrozenTrial) -> str:
    return f"the command on {start.user_attrs['owner'].partition(':')[0]}"


def _owner(out: Path) -> str:
    """This machine and folder: a command knows what an earlier one in its place had claimed."""
    path = out / ".owner"
    if not path.is_file():
        write_atomically(path, lambda part: part.write_text(uuid4().hex, "utf-8"))
    return f"{socket.gethostname()}:{path.read_text('utf-8')}"
