"""Damage the journals of device jobs, kill runs at each of their moments, and start them in pairs.

Each must end in the right bits or in an error of sqsnn that names the file, and no job may be paid
for twice. The service is a stand-in (`hardware_service`) whose jobs outlive a kill. Prints a table;
the exit status tells whether it holds. Kills and pairs need a system with `fork`.

    python tests/campaigns/jobs.py --mutations 10000 --kills 200 --pairs 170 --seed 0
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hardware_service import JOBS, Started

from sqsnn.errors import SqsnnError

GOOD = ("right", "refused", "one goes on")
SECONDS = 10
WENT_ON, REFUSED, OTHER = 0, 3, 4


# Damaged files


def states(started: Started, folder: Path) -> dict[str, Path]:
    """Make journals as runs leave them: finished, waiting, and killed around sending."""

    def stop(word: str, at: str, after: int) -> Callable[[str], None]:
        seen = Counter[str]()

        def moment(now: str) -> None:
            seen[now] += 1
            if now == word and seen[now] > after:
                raise KeyboardInterrupt(at)

        return moment

    moments = {"finished": None, "simulated": None, "waiting": stop("waiting", "", 1)}
    moments |= {"sending": stop("sending", "", 2), "sent": stop("sent", "", 1)}
    made = {}
    for name, moment in moments.items():
        made[name] = folder / name
        try:
            started.run(made[name], device=name != "simulated", moment=moment)
        except KeyboardInterrupt:
            assert moment is not None
    return made


def _changed_with_sense(rng: np.random.Generator, raw: bytes) -> bytes:
    """Change a value of a note for another of its type."""
    try:
        note = json.loads(raw)
    except ValueError:
        return raw[:-1] + bytes([raw[-1] ^ 1])
    name = list(note)[rng.integers(len(note))]
    others = {"job": f"job-{rng.integers(4)}x", "calibrated": "2020-01-01", "about": {}}
    return json.dumps({**note, name: others.get(name, "0" * 64)}).encode()


def damaged(rng: np.random.Generator, raw: bytes, others: list[bytes]) -> bytes:
    """Damage the content of a file."""
    at = int(rng.integers(max(1, len(raw))))
    flipped = bytearray(raw or b"\0")
    flipped[at] ^= 1 << int(rng.integers(8))
    text = raw.decode("utf-8", "replace")
    choices = [
        bytes(flipped),
        bytes(flipped),
        raw[:at],
        raw[at:],
        b"",
        raw + raw,
        raw + rng.bytes(int(rng.integers(1, 50))),
        raw[:at] + rng.bytes(4) + raw[at + 4 :],
        bytes(len(raw)),
        text.encode("utf-16"),
        b"\xef\xbb\xbf" + raw,
        b"[" * 100_000,
        b'{"about":' * 50_000,
        [b"null", b"3", b"[]", b"{}", b'"text"', b"NaN", b"1e999"][rng.integers(7)],
        others[rng.integers(len(others))],
        _changed_with_sense(rng, raw),
        raw.replace(b'"job"', b'"jobs"'),
        raw.replace(b"{", b'{"job": "job-0", ', 1),
        raw.replace(b"job-", b"job--"),
        raw.replace(b"null", b'"job-0"'),
    ]
    return choices[rng.integers(len(choices))]


def mutate(rng: np.random.Generator, folder: Path) -> list[str]:
    """Change one file of a journal, and name the files that an error may name for it."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".bits", ".json"))
    victim = files[rng.integers(len(files))]
    way = rng.random()
    if way < 0.85:
        others = [path.read_bytes() for path in files]
        victim.write_bytes(damaged(rng, victim.read_bytes(), others))
    elif way < 0.88:
        victim.unlink()
        victim.mkdir()
    elif way < 0.91:
        victim.unlink()
        os.mkfifo(victim)
    elif way < 0.94:
        with victim.open("r+b") as file:
            file.truncate(10**12)
    elif way < 0.97 and victim.suffix == ".json":
        copy = victim.with_name(victim.name[:33] + "0" * 12 + ".json")
        shutil.copy(victim, copy)
        return [victim.name, copy.name]
    else:
        (folder / ".lock").unlink(missing_ok=True)
        (folder / ".lock").mkdir()
        return [".lock"]
    return [victim.name]


def judge(started: Started, folder: Path, right: np.ndarray, names: list[str], paid: int) -> str:
    """Start a run with a damaged journal."""
    device = (folder / "of-a-device").exists()
    try:
        found = started.run(folder, device=device)
    except SqsnnError as error:
        said = str(error)
        named = any(name in said for name in names) and "\n" not in said
        outcome = "refused" if named else "nameless"
        most = max(paid, JOBS)
    except BaseException:
        traceback.print_exc()
        return "foreign"
    else:
        outcome = "right" if np.array_equal(found, right) else "wrong"
        most = JOBS
    return outcome if not device or started.paid(folder) <= most else "paid twice"


def mutations(started: Started, count: int, seed: int) -> Counter[str]:
    """Damage journals."""
    rng, outcomes = np.random.default_rng(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as temporary:
        made = states(started, Path(temporary))
        right = started.run(Path(temporary) / "right")
        for number in range(count):
            name = list(made)[number % len(made)]
            folder = Path(temporary) / "case"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(made[name], folder)
            service, own = made[name].with_suffix(".service"), folder.with_suffix(".service")
            own.unlink(missing_ok=True)
            if name != "simulated":
                (folder / "of-a-device").touch()
                shutil.copy(service, own)
            before = started.paid(folder)
            names = mutate(rng, folder)
            began = time.perf_counter()
            outcome = judge(started, folder, right, names, before)
            slow = time.perf_counter() - began > SECONDS
            outcomes["slow" if slow else outcome] += 1
            if outcome not in GOOD:
                print(f"{number}: {name}, {names}: {outcome}", file=sys.stderr)
    return outcomes


# Kills


def forked(work: Callable[[], int]) -> int:
    """Run in a child, and give its process number."""
    child = os.fork()
    if child:
        return child
    code = OTHER
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def killed_at(started: Started, folder: Path, event: int) -> bool:
    """Start a run and kill it just before one of its events; whether it lived to have it.

    Events are all operations on files of the run, and the moments of the service.
    """

    def work() -> int:
        left = [event]

        def count(*_: object) -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(name: str, arguments: tuple[object, ...]) -> None:
            of_files = name in ("open", "os.rename", "os.remove", "os.mkdir", "fcntl.flock")
            if of_files and any(str(folder) in str(each) for each in (name, *arguments)):
                count()

        sys.addaudithook(hook)
        started.run(folder, moment=count)
        return 0

    return os.WIFSIGNALED(os.waitpid(forked(work), 0)[1])


def kills(started: Started, count: int, seed: int) -> Counter[str]:
    """Kill runs at one event after another, some of them again at a random one; then finish."""
    rng, outcomes, event = np.random.default_rng(seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as temporary:
        right = started.run(Path(temporary) / "right")
        number = 0
        while outcomes["kills"] < count:
            number += 1
            folder = Path(temporary) / f"run-{number}"
            if not killed_at(started, folder, event):
                event = 0
                continue
            event += 1
            outcomes["kills"] += 1
            while rng.random() < 0.5:
                outcomes["kills"] += killed_at(started, folder, int(rng.integers(40)))
            try:
                bits = started.run(folder)
                outcome = "right" if np.array_equal(bits, right) else "wrong"
                outcome = outcome if started.paid(folder) == JOBS else "paid twice"
            except BaseException:
                traceback.print_exc()
                outcome = "foreign"
            outcomes[outcome] += 1
    return outcomes


# Pairs


def pairs(started: Started, count: int) -> Counter[str]:
    """Start the same run twice at once: one goes on, the other says who holds the folder."""
    outcomes = Counter[str]()
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(count):
            folder = Path(temporary) / f"run-{number}"
            go, refused = folder.with_suffix(".go"), folder.with_suffix(".refused")

            def wait(path: Path) -> None:
                until = time.monotonic() + SECONDS
                while not path.exists() and time.monotonic() < until:
                    pass

            def work(
                folder: Path = folder, go: Path = go, refused: Path = refused, wait=wait
            ) -> int:
                wait(go)
                try:
                    # The first is not done before the other has tried.
                    started.run(folder, moment=lambda word: wait(refused))
                except SqsnnError as error:
                    refused.touch()
                    return REFUSED if f"{folder} is in use by " in str(error) else OTHER
                return WENT_ON

            children = [forked(work), forked(work)]
            go.touch()
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            one = sorted(codes) == [WENT_ON, REFUSED] and started.paid(folder) == JOBS
            outcomes["one goes on" if one else "wrong"] += 1
    return outcomes


def main() -> int:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=170)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    started = Started.build()
    outcomes = {
        "mutations": mutations(started, chosen.mutations, chosen.seed),
        "kills": kills(started, chosen.kills, chosen.seed),
        "pairs": pairs(started, chosen.pairs),
    }
    for name, found in outcomes.items():
        print(f"{name:10}", ", ".join(f"{count} {what}" for what, count in sorted(found.items())))
    return int(any(set(found) - {*GOOD, "kills"} for found in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
