"""The log of the test part: each read of it, written before it happens, in OUT/tested.jsonl.

The process that decides writes the line of a network, and has it on the disk, before a worker gets
the network, which tests it when it is trained. Another line says that its figures are recorded.
No line is ever removed; keep the file under version control, beside the records.

    tests      the test part will be read for this network, for the first time or for a reason
    goes on    the same, after a stop: no figure had come out, the settings are the same
    recorded   its figures are in a record

A network whose last line is "recorded" was tested: if its record is gone, it is tested again only
for a reason that goes into the log. One whose last line is another goes on: with the same settings
it gets the same figures, so that a second reading says nothing new. With other settings it needs a
reason, too. A run folder that is finished holds its figures, which are recorded without a reading.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqsnn import __version__
from sqsnn.errors import ConfigError
from sqsnn.readfile import Stored, checked, decoded, digest_of, parsed_json, read_bytes
from sqsnn.storage import writing
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.journal import name_of
from sqsnn_bench.study.records import Key, Record, key_of
from sqsnn_bench.study.trials import Job

NAME = "tested.jsonl"

Event = Literal["tests", "goes on", "recorded"]


class Line(Stored):
    """A line of the log.

    Attributes:
        time: When it was written.
        event: What happened.
        dataset: Name of the group.
        model: Name of the model.
        seed: Seed of the training.
        settings: Digest of its settings.
        sqsnn: Version of the library.
        reason: Why the test part is read again; empty for the first time.
    """

    time: str
    event: Event
    dataset: str
    model: str
    seed: int
    settings: str
    sqsnn: str
    reason: str = ""

    @property
    def key(self) -> Key:
        """The trial."""
        return Key(self.dataset, self.model, "seed", self.seed)


class Readings:
    """The log of one folder, while its study runs."""

    def __init__(self, out: Path, again: str | None) -> None:
        """Read the log.

        Args:
            out: The folder of the results.
            again: Why tested networks without a record are tested again; None refuses them.

        Raises:
            ConfigError: If a line cannot be read, or the reason is empty.
        """
        if again is not None and not again.strip():
            raise ConfigError("--test-again must say why the test part is read again, but is empty")
        self._path, self._again = out / NAME, again
        self._last = {line.key: line for line in read(out)}

    def refuse(self, keys: Iterable[Key]) -> None:
        """Refuse networks that were tested, unless there is a reason.

        Args:
            keys: Trials without a record, and without a run folder that is finished.

        Raises:
            ConfigError: If one was tested.
        """
        tested = [key for key in keys if self._is_recorded(key)]
        if tested and self._again is None:
            raise self._refusal(tested, "recorded figures of the test part for", "record is gone")

    def opens(self, job: Job) -> None:
        """Write that a network will be tested; the line is on the disk when this returns.

        Args:
            job: Its trial, without a run folder that is finished.

        Raises:
            ConfigError: If it was tested, or its test was begun with other settings, and there is
                no reason to test it again.
        """
        key, digest = job.key, digest_of(job.known["settings"])
        last = self._last.get(key)
        if last is None:
            self._write("tests", key, digest, __version__)
        elif last.event != "recorded" and last.settings == digest:
            self._write("goes on", key, digest, __version__)
        elif self._again is not None:
            self._write("tests", key, digest, __version__, self._again)
        else:
            self.refuse([key])
            raise self._refusal([key], "begun to test", "settings are others now")

    def recorded(self, record: Record) -> None:
        """Write that the figures of a network are recorded; known ones are not repeated.

        Args:
            record: Its record; one of a search, or of a training that failed, has no test.
        """
        key = key_of(record)
        if key.kind == "seed" and "error" not in record:
            digest = digest_of(record["settings"])
            if not (self._is_recorded(key) and self._last[key].settings == digest):
                self._write("recorded", key, digest, record.get("sqsnn", __version__))

    def _is_recorded(self, key: Key) -> bool:
        return key in self._last and self._last[key].event == "recorded"

    def _write(self, event: Event, key: Key, digest: str, version: str, reason: str = "") -> None:
        line = Line(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            event=event,
            dataset=key.dataset,
            model=key.model,
            seed=key.number,
            settings=digest,
            sqsnn=version,
            reason=reason,
        )
        with writing(self._path), self._path.open("ab") as file:
            # What a killed process had begun to write was no line yet: nothing followed from it.
            file.truncate(len(_whole(self._path)))
            file.write(line.model_dump_json(exclude_defaults=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._last[key] = line

    def _refusal(self, keys: Sequence[Key], what: str, why: str) -> ConfigError:
        names = ", ".join(map(name_of, keys[:3])) + (", ..." if len(keys) > 3 else "")
        return ConfigError(
            f"{self._path} says on {self._last[keys[0]].time} that this study has {what} {names}, "
            f"but the {why}: restore trials.jsonl.gz or the file of the study from a copy. To read "
            f"the test part again, give `sqsnn-bench compare STUDY --out {self._path.parent}` "
            '--test-again "why", which goes into the log'
        )


def read(out: Path) -> list[Line]:
    """Read the log of a folder; there are no lines where there is no log.

    Args:
        out: The folder of the results.

    Raises:
        ConfigError: If a line cannot be read.
    """
    path, found = out / NAME, []
    for number, line in enumerate(_whole(path).split(b"\n")[:-1], start=1):
        where = f"{path}, line {number}"
        content = parsed_json(decoded(line, where, ConfigError), where, ConfigError)
        found.append(checked(content, Line.model_validate, where, ConfigError))
    return found


def _whole(path: Path) -> bytes:
    """The lines of a file, without what a crash tore at its end."""
    raw = read_bytes(path, refusal=ConfigError) if path.exists() else b""
    return raw[: raw.rfind(b"\n") + 1]


def irregular(study: Study, out: Path) -> list[dict[str, Any]]:
    """The reads of the test part that a reader of the tables should know of, in their order.

    Args:
        study: The study.
        out: The folder of the results.

    Returns:
        Second and further reads of a network, with their reasons; and reads of models, groups and
        seeds that the file of the study no longer has.
    """
    rows = {Key(*pair, "seed", seed) for pair in study.pairs() for seed in study.seeds}
    found, before = [], dict[Key, str]()
    for line in read(out):
        entry = {"time": line.time, "dataset": line.dataset, "model": line.model, "seed": line.seed}
        if line.event == "tests" and line.reason:
            same = (
                "the same settings" if before.get(line.key) == line.settings else "other settings"
            )
            found.append(entry | {"why": f"{line.reason} ({same})"})
        elif line.event == "recorded" and line.key not in rows:
            found.append(entry | {"why": "the file of the study no longer has it"})
        before[line.key] = line.settings
    return found
