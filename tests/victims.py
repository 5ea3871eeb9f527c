"""Tiny trainings in processes of their own, to be killed or hindered, and how they go on."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import faults
import numpy as np
from zygote import Job, Zygote, zygote

from sqsnn.ownership import LOCK

# Files that repeat byte for byte, whatever happened on the way.
REPEATED = ("metrics.jsonl", "metrics.json", "best.safetensors", "checkpoint.safetensors")
REPEATED += ("config.toml", "preparation.json")

WORDS = "--classes 0,1 --train-samples 40 --test-samples 10 --hidden 3 --steps 2 --batch-size 20"
WORDS += " --epochs 3 --memory-qubits 0"


def train() -> None:
    """Train as a command."""
    with _program() as main:
        main(["train", "digits", *WORDS.split(), "--out", "run"])


def train_arrays() -> None:
    """Train on samples from memory, as a script that shows errors of the package in a line."""
    with _program():
        import sqsnn
        from sqsnn.errors import SqsnnError

        X = np.random.default_rng(0).random((40, 4))
        given = {"hidden": (3,), "steps": 2, "batch_size": 20, "epochs": 3, "memory_qubits": 0}
        try:
            sqsnn.train(X, np.arange(40) % 2, out="run", **given)
        except SqsnnError as error:
            print(error, file=sys.stderr)
            sys.exit(2)


def resume() -> None:
    """Go on with the run."""
    with _program() as main:
        main(["train", "--resume", "run"])


def stop() -> None:
    """Train for an epoch, as if Ctrl-C was typed then."""
    from sqsnn.cli.progress import Screen

    def epoch(*_: Any) -> None:
        raise KeyboardInterrupt

    Screen.epoch = epoch
    train()


@contextmanager
def _program() -> Iterator[Any]:
    """A program that draws no pictures."""
    from sqsnn.cli.main import main
    from sqsnn.runs import run

    run.draw_run = lambda *_: None
    yield main


class Victim(NamedTuple):
    """A command that is disturbed.

    Attributes:
        call: The command.
        prepare: What is called before, in the same folder; None for nothing.
    """

    call: Callable[[], None]
    prepare: Callable[[], None] | None = None


VICTIMS = {
    "train": Victim(train),
    "arrays": Victim(train_arrays),
    "resume": Victim(resume, stop),
}


class Outcome(NamedTuple):
    """How a disturbed command went on, and what is to be said about it."""

    name: str
    text: str = ""


class Arena:
    """A folder in which one command after another is disturbed.

    It is always the same, because the settings of a run name the file of its samples.

    Attributes:
        run: The folder of the run.
        calls: How many calls of each command change files.
        seconds: How long each command takes.
    """

    def __init__(self, folder: Path, warm: Zygote) -> None:
        self.folder, self.run, self.warm = folder, folder / "run", warm
        self.calls: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self._whole: dict[str, dict[str, bytes]] = {}
        for name in VICTIMS:
            self._learn(name)

    def start(self, call: Callable[..., object], *arguments: object, errors: str = "err") -> int:
        """Start something in a process of its own; give its number."""
        for name in ("out", errors):
            (self.folder / name).unlink(missing_ok=True)
        out = (self.folder / "out", self.folder / errors)
        return self.warm.start(Job(call, arguments, self.folder, out))

    def call(self, call: Callable[..., object], *arguments: object) -> tuple[int, str]:
        """Call something in a process of its own; give its exit code and its errors."""
        return self.warm.wait(self.start(call, *arguments)), self.said()

    def said(self, errors: str = "err") -> str:
        """What a process wrote as its errors."""
        return (self.folder / errors).read_text()

    def prepare(self, name: str) -> None:
        """Make the folder as it is before a command."""
        shutil.rmtree(self.run, ignore_errors=True)
        before = self.folder / f"{name}-before"
        if before.exists():
            shutil.copytree(before, self.run)

    def _learn(self, name: str) -> None:
        """Run a command undisturbed: its calls, its time and its files."""
        self.prepare(name)
        prepare = VICTIMS[name].prepare
        if prepare is not None:
            self.call(prepare)
            shutil.copytree(self.run, self.folder / f"{name}-before")
        began = time.perf_counter()
        code, said = self.call(faults.count_calls, VICTIMS[name].call)
        self.seconds[name] = time.perf_counter() - began
        if code:
            raise RuntimeError(f"{name} failed undisturbed: {said}")
        self.calls[name] = int((self.folder / "count").read_text())
        self._whole[name] = self._contents()

    def _contents(self) -> dict[str, bytes]:
        files = [self.run / name for name in (*REPEATED, "data.npz")]
        return {path.name: path.read_bytes() for path in files if path.is_file()}

    def finish(self, name: str, how: str) -> Outcome:
        """Go on with a disturbed command, by the same command or by the one that it names."""
        code, said = self.call(VICTIMS[name].call)
        if code == 2 and "sqsnn train --resume run" in said:
            how = "resumed"
            code, said = self.call(resume)
        if code or "Traceback" in said:
            return Outcome("refused" if code == 2 else "foreign", said)
        return self.judge(name, how)

    def judge(self, name: str, how: str) -> Outcome:
        """Compare the files with those of the undisturbed command."""
        found, whole = self._contents(), self._whole[name]
        other = [file for file, content in whole.items() if found.get(file) != content]
        if other or found.keys() != whole.keys():
            return Outcome("other bytes", ", ".join(other))
        left = [path.name for path in self.run.glob(".*") if path.name != LOCK]
        return Outcome("left over", ", ".join(left)) if left else Outcome(how)


@contextmanager
def arena() -> Iterator[Arena]:
    """Make a folder to disturb commands in."""
    with tempfile.TemporaryDirectory() as folder, zygote() as warm:
        yield Arena(Path(folder), warm)


def report(title: str, outcomes: list[tuple[Any, Outcome]], good: tuple[str, ...]) -> int:
    """Print how the cases of a campaign went; give its exit status."""
    names = [outcome.name for _, outcome in outcomes]
    counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(sorted(names)))
    print(f"{title}: {len(outcomes)} cases: {counts}")
    wrong = [(case, outcome) for case, outcome in outcomes if outcome.name not in good]
    for case, outcome in wrong:
        print(f"  {case}: {outcome.name}: {outcome.text}", file=sys.stderr)
    return int(bool(wrong))
