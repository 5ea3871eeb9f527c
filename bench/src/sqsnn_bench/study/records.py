"""The records of a study: what each trial reached; with `tested`, the only state that it has.

OUT/trials/<dataset>/<model>/<trial>.json    one file per trial, while a study is at work
OUT/trials.jsonl.gz                          all trials, sorted, once `compare` ends

The process that decides what runs writes them; workers do not. A trial is called search-<number>
or seed-<seed>. In the packed file the first line holds what all records have in common, settings
above all, and each further line the rest of one record.
"""

import gzip
import json
import shutil
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import ConfigDict, Field, StringConstraints

from sqsnn.errors import ConfigError
from sqsnn.readfile import (
    LARGEST_TEXT,
    Stored,
    checked,
    decoded,
    parsed_json,
    read_bytes,
    read_sealed,
    write_sealed,
)
from sqsnn.storage import write_atomically

Record = dict[str, Any]

PACKED, LOOSE = "trials.jsonl.gz", "trials"


class Key(NamedTuple):
    """What a trial is called.

    Attributes:
        dataset: Name of the group of rows.
        model: Name of the model.
        kind: "search" or "seed".
        number: The number of the trial in its search, or the seed.
    """

    dataset: str
    model: str
    kind: str
    number: int

    @property
    def trial(self) -> str:
        """The name of its file without suffix, search-3 or seed-0."""
        return f"{self.kind}-{self.number}"


Records = Mapping[Key, Record]


def key_of(record: Record) -> Key:
    """Name the trial of a record."""
    kind, _, number = record["trial"].partition("-")
    return Key(record["dataset"], record["model"], kind, int(number))


def path_of(out: Path, key: Key) -> Path:
    """Where the record of a trial stands until it is packed."""
    return out / LOOSE / key.dataset / key.model / f"{key.trial}.json"


def write(out: Path, record: Record) -> None:
    """Write the record of a trial as a file of its own."""
    path = path_of(out, key_of(record))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sealed(path, record)


def forget(out: Path, key: Key) -> None:
    """Remove the file of a trial whose record does not hold."""
    path_of(out, key).unlink(missing_ok=True)


def read(out: Path) -> dict[Key, Record]:
    """Read all records of a study, packed and loose.

    Args:
        out: The folder of the results.

    Raises:
        ConfigError: If a file cannot be read.
    """
    found: dict[Key, Record] = {}
    path = out / PACKED
    try:
        if path.exists():
            packs = checked(read_bytes(path, refusal=ConfigError), unpacked, path, ConfigError)
            found = {key_of(record): record for record in packs}
            if len(found) < len(packs):
                raise ConfigError(f"{path} holds a trial twice")
        for path in sorted((out / LOOSE).glob("*/*/*.json")):
            record = read_sealed(path, _checked, refusal=ConfigError)
            found[key_of(record)] = record
            if path_of(out, key_of(record)) != path:
                raise ConfigError(f"{path} holds another trial, {key_of(record)}")
    except ConfigError as error:
        raise ConfigError(
            f"{error}. Restore {path} from a copy; without it, its trials are run again"
        ) from None
    return found


class _Record(Stored):
    model_config = ConfigDict(extra="allow")

    dataset: str
    model: str
    trial: Annotated[str, StringConstraints(pattern=r"^(search|seed)-(0|[1-9][0-9]{0,17})$")]
    settings: dict[str, Any]
    found: dict[str, bool | int | float | str] = Field(default_factory=dict)
    hidden: list[int] = Field(default_factory=list)
    spikes_per_sample: list[float] = Field(default_factory=list)
    validation_accuracy: float = 0.0
    validation_loss: float = 0.0
    validation_nmse: float = 0.0
    test_accuracy: float | None = None
    test_nmse: float = 0.0
    seconds: float = 0.0
    error: str = ""


def _checked(content: Record) -> Record:
    _Record.model_validate(content)
    return content


def pack(out: Path, records: Records) -> None:
    """Write all records into the packed file, and remove the files of single trials.

    Args:
        out: The folder of the results.
        records: All records of the study.
    """
    if records:
        content = packed(records[key] for key in sorted(records))
        write_atomically(out / PACKED, lambda path: path.write_bytes(content))
    shutil.rmtree(out / LOOSE, ignore_errors=True)


def packed(records: Iterable[Record]) -> bytes:
    """Write records as compressed lines; the same records always give the same bytes."""
    parts = [(record, record.get("settings", {})) for record in records]
    common = _common([record for record, _ in parts])
    common.pop("settings", None)
    settings = _common([settings for _, settings in parts])
    lines: list[Record] = [{**common, "settings": settings}]
    for record, own in parts:
        rest = {name: value for name, value in record.items() if name not in common}
        rest["settings"] = {name: value for name, value in own.items() if name not in settings}
        lines.append(rest)
    text = "".join(
        json.dumps(line, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"
        for line in lines
    )
    return gzip.compress(text.encode(), mtime=0)


def unpacked(content: bytes) -> list[Record]:
    """Read the records of a packed file, which carries gzip's checksum of them.

    Raises:
        ValueError: If they are not whole.
    """
    reader = zlib.decompressobj(wbits=31)
    try:
        text = reader.decompress(content, LARGEST_TEXT)
    except zlib.error as error:
        raise ValueError(f"it is no whole gzip file: {error}") from None
    if not reader.eof or reader.unused_data:
        raise ValueError("it is no whole gzip file, or holds far more than records")
    lines = decoded(text, "its text", ValueError).splitlines()
    tables = [parsed_json(line, f"its line {n}", ValueError) for n, line in enumerate(lines, 1)]
    if not all(isinstance(it, dict) and isinstance(it.get("settings"), dict) for it in tables):
        raise ValueError("every line must hold a table with settings")
    common, *rest = tables or [{}]
    return [
        _checked({**common, **record, "settings": {**common["settings"], **record["settings"]}})
        for record in rest
    ]


def _common(tables: list[Record]) -> Record:
    """The entries that all tables have."""
    first, *others = tables
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }
