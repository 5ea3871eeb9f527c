"""Give the readers of users' data files damaged and hostile files.

Each must end in an error of sqsnn that names the file, or in what an independent parser reads from
the same bytes, within 10 seconds and 1 GB. Prints a table; the exit status tells whether it holds.

    python tests/campaigns/readers.py --files 2000 --seed 0
"""

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import own_files
import own_hostile
import own_reference

from sqsnn.data.own.reading import read_own
from sqsnn.errors import ConfigError, DataError

SECONDS, MEGABYTES = 10, 1000
OUTCOMES = ("refused", "equal", "wrong", "foreign", "slow", "large")


class Case(NamedTuple):
    """One file of the campaign, or a pair."""

    kind: str
    files: own_files.Files
    whole: bool = False


class Campaign(NamedTuple):
    """What is damaged, and how it is read.

    Attributes:
        makers: Makes a whole file, or a pair, of each kind.
        harm: Damages the bytes of a file of a kind.
        read: Reads a file, in another process.
        agrees: Compares what was read with what an independent parser reads; None if it is equal.
        hostile: Makes files that are meant to do harm.
    """

    makers: Mapping[str, Callable[[np.random.Generator], own_files.Files]]
    harm: Callable[[np.random.Generator, str, bytes], bytes]
    read: Callable[[Path], Any]
    agrees: Callable[[Any, Path], str | None]
    hostile: Callable[[], list[Case]] = list

    def cases(self, count: int, seed: int) -> Iterator[Case]:
        """Hostile files, up to half of all, then files of all kinds in turn, 1 in 20 of them whole.

        Args:
            count: How many.
            seed: Another seed makes other files.
        """
        rng, hostile = np.random.default_rng(seed), self.hostile()
        chosen = rng.permutation(len(hostile))[: count // 2]
        yield from (hostile[index] for index in chosen)
        kinds = list(self.makers)
        for number in range(count - len(chosen)):
            kind = kinds[number % len(kinds)]
            files = self.makers[kind](rng)
            whole = number // len(kinds) % 20 == 0
            if not whole:
                victim = list(files)[rng.integers(len(files))]
                files[victim] = self.harm(rng, kind, files[victim])
            yield Case(kind, files, whole)


class Outcome(NamedTuple):
    """How reading ended, and what is to be said about it."""

    name: str
    text: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0


def harm(rng: np.random.Generator, kind: str, raw: bytes) -> bytes:
    """Damage a user's own file, or an array in it."""
    inside = kind == "npz" and rng.random() < 0.7
    return (own_files.damage_member if inside else own_files.damage)(rng, raw)


def hostile() -> list[Case]:
    """Users' own files that are meant to do harm."""
    found = own_hostile.HOSTILE.items()
    return [Case(kind, {f"own.{kind}": raw}) for kind, make in found for raw in make()]


def groups_of(path: Path) -> str | None:
    """The column of groups, where the names of columns have one."""
    if path.suffix not in (".csv", ".tsv", ".parquet"):
        return None
    raw = path.read_bytes()
    return "who" if b"who" in (raw if path.suffix == ".parquet" else raw.split(b"\n")[0]) else None


def read(path: Path) -> Any:
    """Read a user's own file."""
    return read_own(path, groups=groups_of(path))


OWN = Campaign(own_files.MAKERS, harm, read, own_reference.agrees, hostile)


def _read(read: Callable[[Path], Any], path: Path) -> Any:
    """Read a file in this process: the data, or the outcome of another kind."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(path)
    except (DataError, ConfigError) as error:
        return Outcome(
            "refused" if path.stem.split("_")[0] in f"{error}" else "foreign", f"{error}"
        )
    except BaseException:
        return Outcome("foreign", traceback.format_exc())


def _serve(connection: Any, read: Callable[[Path], Any]) -> None:
    """Read one file after another, each with the time and the memory that it took."""
    connection.send("ready")
    while True:
        path = connection.recv()
        before, start = _peak(), time.perf_counter()
        found = _read(read, path)
        connection.send((found, time.perf_counter() - start, _peak() - before))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000  # MB on Linux


class Reader:
    """Reads in another process, which is started again if it dies or does not end."""

    def __init__(self, read: Callable[[Path], Any]) -> None:
        self._read = read
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._read), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()  # imports take seconds that no file is to blame for

    def stop(self) -> None:
        """End the other process."""
        self._process.kill()
        self._process.join()

    def read(self, path: Path) -> tuple[Any, float, float]:
        """Give the data or an outcome, seconds and megabytes."""
        try:
            self._connection.send(path)
            if self._connection.poll(SECONDS):
                return self._connection.recv()
            outcome = Outcome("slow", f"more than {SECONDS} s")
        except (EOFError, OSError):
            outcome = Outcome("foreign", "the process died")
        self.stop()
        self._start()
        return outcome, SECONDS, 0.0


def judge(case: Case, reader: Reader, folder: Path, agrees: Callable[..., str | None]) -> Outcome:
    """Write the files of a case, read them, and compare."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = own_files.write(folder, case.files)
    found, seconds, megabytes = reader.read(path)
    if isinstance(found, Outcome):
        outcome = found
        if case.whole and outcome.name == "refused":
            outcome = outcome._replace(name="wrong")
    else:
        difference = agrees(found, path)
        outcome = Outcome("equal") if difference is None else Outcome("wrong", difference)
    if megabytes > MEGABYTES:
        outcome = Outcome("large", f"{megabytes:.0f} MB")
    return outcome._replace(seconds=seconds, megabytes=megabytes)


def run(
    count: int, seed: int, keep: Path | None = None, campaign: Campaign = OWN
) -> dict[str, list[Outcome]]:
    """Judge all cases.

    Args:
        count: Number of files.
        seed: Seed of the files.
        keep: Folder for the files that were not judged well.
        campaign: What is damaged.

    Returns:
        The outcomes of each format.
    """
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in campaign.makers}
    reader = Reader(campaign.read)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number, case in enumerate(campaign.cases(count, seed)):
                outcome = judge(case, reader, Path(folder) / "files", campaign.agrees)
                outcomes[case.kind].append(outcome)
                if keep is not None and outcome.name not in ("refused", "equal"):
                    place = keep / f"{number}-{outcome.name}"
                    place.mkdir(parents=True, exist_ok=True)
                    own_files.write(place, case.files)
                    (place / "outcome.txt").write_text(outcome.text)
    finally:
        reader.stop()
    return outcomes


def main(about: str, campaign: Campaign) -> int:
    """Run a campaign and print its table."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that were not judged well")
    chosen = parser.parse_args()
    outcomes = run(chosen.files, chosen.seed, chosen.keep, campaign)
    print("format  ", "files", *(f"{name:>8}" for name in OUTCOMES), " longest s", "most MB")
    every = [outcome for found in outcomes.values() for outcome in found]
    for kind, found in [*outcomes.items(), ("all", every)]:
        counts = Counter(outcome.name for outcome in found)
        longest = max(outcome.seconds for outcome in found)
        most = max(outcome.megabytes for outcome in found)
        figures = (f"{counts[name]:8}" for name in OUTCOMES)
        print(f"{kind:8} {len(found):5}", *figures, f"{longest:10.2f} {most:7.0f}")
    return int(any(outcome.name not in ("refused", "equal") for outcome in every))


if __name__ == "__main__":
    sys.exit(main(__doc__, OWN))
