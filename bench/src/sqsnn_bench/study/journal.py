"""The journal of a study: every start of a trial, and how it ended, in OUT/log.jsonl.

It is there to be read, and no figure follows from it: records alone say what is done. But it is
how a trial that runs a second time is noticed, also by a command that comes after one that was
killed.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.readfile import checked, decoded, parsed_json, read_bytes
from sqsnn_bench.study.records import Key

NAME = "log.jsonl"


class Journal:
    """Writes what happens to trials, and says what a user should know.

    Attributes:
        again: Starts of trials that had been started before, by this command.
    """

    def __init__(self, out: Path, say: Callable[[str], None]) -> None:
        """Read the journal of earlier commands.

        Args:
            out: The folder of the results.
            say: Called with what a user should know.
        """
        self._path, self._say = out / NAME, say
        self._starts: Counter[str] = Counter()
        self._ends: dict[str, str] = {}
        self._told: set[str] = set()  # trials of which the last thing said is why they were lost
        self.again = 0
        for entry in _entries(self._path, say):
            self._count(entry.get("trial", ""), entry.get("event", ""), entry.get("why", ""))

    def started(self, key: Key, before: int) -> None:
        """A trial starts; where it started before, say so and why.

        Args:
            key: What it is called.
            before: Starts that other commands know of.
        """
        trial = name_of(key)
        starts = max(self._starts[trial], before)
        why = self._ends.get(trial, "another command had started it")
        self._write("started", trial)
        if starts:
            self.again += 1
            told = "" if trial in self._told else f": {why}"
            self._say(f"{trial} starts again, start {starts + 1}{told}")
        self._told.discard(trial)

    def done(self, key: Key, by: str = "") -> None:
        """A trial has its record, perhaps by another command."""
        self._write("done", name_of(key), by)

    def lost(self, key: Key, why: str) -> None:
        """A trial was lost before it had its record."""
        self._write("lost", name_of(key), why)
        self._told.add(name_of(key))
        self._say(f"{name_of(key)} was lost: {why}")

    def stopped(self, key: Key) -> None:
        """A trial was at work when this command ended."""
        self._write("stopped", name_of(key))

    def noted(self, key: Key, why: str) -> None:
        """Anything else that a user should know of a trial."""
        self._write("noted", name_of(key), why)
        self._say(f"{name_of(key)}: {why}")

    def _write(self, event: str, trial: str, why: str = "") -> None:
        entry = {"time": datetime.now(UTC).isoformat(timespec="seconds")}
        entry |= {"event": event, "trial": trial} | ({"why": why} if why else {})
        with self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(entry) + "\n")
        self._count(trial, event, why)

    def _count(self, trial: str, event: str, why: str) -> None:
        if event == "started":
            self._starts[trial] += 1
            self._ends[trial] = "the command that ran it was killed"
        elif event == "done":
            self._ends[trial] = "its record was gone"
        elif event == "lost":
            self._ends[trial] = why
        elif event == "stopped":
            self._ends[trial] = "the command that ran it ended before it"


def name_of(key: Key) -> str:
    """What messages call a trial: digits/lif/seed-0."""
    return f"{key.dataset}/{key.model}/{key.trial}"


_ENTRY = TypeAdapter(dict[str, str], config=ConfigDict(strict=True))


def _entries(path: Path, say: Callable[[str], None]) -> list[dict[str, str]]:
    """The lines of a journal; others are left out, and a line that a crash tore unsaid."""
    found = []
    lines = read_bytes(path, refusal=ConfigError).split(b"\n") if path.exists() else [b""]
    for number, line in enumerate(lines[:-1], start=1):
        where = f"{path}, line {number}"
        try:
            content = parsed_json(decoded(line, where), where)
            found.append(checked(content, _ENTRY.validate_python, where))
        except CheckpointError as error:
            say(f"{error}. No figure depends on it: it is left out")
    return found
