"""Give runs, saved networks and studies damaged files.

Each must end in an error of sqsnn that names the file, or in exactly what the whole files give: the
same predictions and page, and from a stopped run the same end of training to the byte; within 10
seconds and 1 GB. Prints a table; the exit status tells whether it holds.

    python tests/campaigns/folders.py --mutations 10000 --seed 0
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from file_damage import FOLDER, MISSING, PIPE, Content, Rng, damage

from sqsnn import load
from sqsnn.data import own_sets
from sqsnn.errors import SqsnnError
from sqsnn.runs import run
from sqsnn.runs.arrays import kept_arrays
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.report import write_report
from sqsnn.settings.run import from_flat
from sqsnn.training.callback import Callback

SECONDS, MEGABYTES = 10, 1000
OUTCOMES = ("refused", "right", "wrong", "foreign", "unnamed", "slow", "large")
WELL = ("refused", "right")

Files = dict[str, bytes]


class Outcome(NamedTuple):
    """How the use of a damaged file ended, and what is to be said about it."""

    name: str
    text: str = ""
    seconds: float = 0.0


class Case(NamedTuple):
    """One kind of file.

    Attributes:
        folder: What lies in the folder where it is used.
        file: The file that is damaged.
        use: Gives the results that must not change.
        others: Files that may stand in its place by mistake.
        may_lack: Whether a folder without the file is whole: a run that is not finished, a study
            with a trial to run.
    """

    folder: Files
    file: str
    use: Callable[[Path], Any]
    others: list[bytes]
    may_lack: bool = False


def read_all(path: Path) -> Files:
    """The files of a folder and of those below it, by name."""
    return {
        str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()
    }


class StopAt(Callback):
    """Stops a training after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.stop = epoch

    def epoch(self, epoch: Any, progress: Any) -> None:
        """Stop there."""
        if epoch.metrics["epoch"] == self.stop:
            raise KeyboardInterrupt


def make_run(path: Path, seed: int, stop: int | None) -> Files:
    """Train a tiny network, whole or as far as an epoch, always in the same place."""
    rng = np.random.default_rng(seed)
    values = rng.random((24, 3))
    labels = np.where(values[:, 0] + values[:, 1] > 1, "red", "blue")
    shutil.rmtree(path, ignore_errors=True)
    chosen = {"hidden": (3,), "epochs": 4, "steps": 3, "batch_size": 8, "seed": seed}
    callbacks = [] if stop is None else [StopAt(stop)]
    with suppress(KeyboardInterrupt), kept_arrays(path, values, labels) as data:
        run.begin(from_flat(str(data), chosen), path, callbacks=callbacks, pictures=False)
    # Pictures that are there are not drawn again.
    for name in ("learning-curve", "raster", "confusion-matrix", "circuit", "circuit-output"):
        (path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return read_all(path)


SAMPLES = np.linspace(0.1, 0.9, 12).reshape(4, 3)


def use_finished(path: Path) -> Any:
    """What a finished run gives: predictions, figures and its page."""
    folder = RunFolder(path)
    loaded = load(path)
    page = write_report(path, path / "page.html").path.read_text("utf-8")
    times = {"seconds": "", "training time": ""} if not folder.read_times() else {}
    return (
        loaded.predict_proba(SAMPLES).tobytes(),
        loaded.metrics,
        folder.read_metrics(),
        page,
        times,
    )


def use_without_times(path: Path) -> Any:
    """What does not depend on how long training took."""
    return use_finished(path)[:3]


def evaluate(path: Path) -> Any:
    """The test of a finished run, repeated on its data."""
    own_sets._read_once.cache_clear()
    return load(path).evaluate()


REPEATED = ("metrics.jsonl", "metrics.json", "best.safetensors", "checkpoint.safetensors")


def resume(path: Path) -> Any:
    """The end of a run that was stopped."""
    own_sets._read_once.cache_clear()  # a file may change faster than its time
    run.resume(RunFolder(path), pictures=False)
    return [(path / name).read_bytes() for name in REPEATED]


def use_network(path: Path) -> Any:
    """What a saved network gives."""
    loaded = load(path / "net.sqsnn")
    return loaded.predict_proba(SAMPLES).tobytes(), loaded.metrics, loaded.epoch


def run_cases(place: Path) -> Iterator[tuple[str, Case]]:
    """The kinds of files of runs and saved networks."""
    path = place / "run"
    other, other_stopped = make_run(path, 1, None), make_run(path, 1, 2)
    whole = make_run(path, 0, None)
    load(path).save(place / "saved" / "net.sqsnn")
    stopped = make_run(path, 0, 2)
    names = (*REPEATED, "config.toml", "preparation.json", "timing.json")
    for name in names:
        use = use_without_times if name == "timing.json" else use_finished
        others = [other[name], stopped.get(name, b"{}")]
        yield f"finished {name}", Case(whole, name, use, others, name == "metrics.json")
    yield "finished data.npz", Case(whole, "data.npz", evaluate, [other["data.npz"]])
    for name in (*names, "data.npz"):
        if name in stopped:
            others = [other_stopped[name], whole[name]]
            yield f"stopped {name}", Case(stopped, name, resume, others)
    files = read_all(place / "saved")
    yield "saved network", Case(files, "net.sqsnn", use_network, [whole["best.safetensors"]])


def study_cases(place: Path) -> Iterator[tuple[str, Case]]:
    """The kinds of files of a study."""
    from sqsnn_bench.study import records
    from sqsnn_bench.study.config import read_study
    from sqsnn_bench.study.journal import NAME, Journal
    from sqsnn_bench.study.page import study_page

    results = Path(__file__).parents[2] / "bench" / "results" / "paper"
    known = records.read(results)
    path = place / "study"
    for record in known.values():
        records.write(path, record)
    loose = read_all(path)
    journal = Journal(path, print)
    for key in known:
        journal.started(key, 0)
        journal.done(key)
    files = read_all(results) | {NAME: (path / NAME).read_bytes()}
    first, second = sorted(loose)[:2]
    yield "study record", Case(loose, first, records.read, [loose[second]], True)
    packed = records.PACKED
    yield "study packed", Case({packed: files[packed]}, packed, records.read, [], True)
    yield "study results", Case(files, "results.json", study_page, [loose[first]])
    yield "study journal", Case(files, NAME, lambda at: Journal(at, str).again, [])

    def settings(at: Path) -> Settings:
        return Settings(at, read_study(at / "study.toml"))

    yield "study settings", Case(files, "study.toml", settings, [])


class Settings:
    """A study beside its file: equal to any that an independent parser reads from the bytes."""

    def __init__(self, path: Path, study: Any) -> None:
        self.raw, self.study = (path / "study.toml").read_bytes(), study

    def __eq__(self, other: object) -> bool:
        import tomllib

        return type(self.study).model_validate(tomllib.loads(self.raw.decode())) == self.study


def put(path: Path, content: Content) -> None:
    """Put bytes, or something that is no file, in a place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == FOLDER:
        path.mkdir()
    elif content == PIPE:
        os.mkfifo(path)
    else:
        assert content == MISSING


def restore(path: Path, files: Files) -> None:
    """Make a folder hold these files and nothing else."""
    for one in [
        it for it in path.rglob("*") if it.is_dir() or str(it.relative_to(path)) not in files
    ]:
        if str(one.relative_to(path)) in files or not one.is_dir():
            put(one, MISSING)
    for name, content in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file() or place.read_bytes() != content:
            put(place, content)


def judge(case: Case, path: Path, wanted: Any) -> Outcome:
    """Use a damaged folder, and compare."""

    def late(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    start, before, name = time.perf_counter(), _peak(), Path(case.file).name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = case.use(path)
        outcome = Outcome("right" if found == wanted else "wrong")
    except SqsnnError as error:
        named = name in str(error) and "\n" not in str(error)
        outcome = Outcome("refused" if named else "unnamed", f"{error}")
    except TimeoutError:
        outcome = Outcome("slow", f"more than {SECONDS} s")
    except BaseException:
        outcome = Outcome("foreign", traceback.format_exc())
    finally:
        signal.alarm(0)
    if _peak() > before + MEGABYTES:
        outcome = Outcome("large", outcome.text)
    return outcome._replace(seconds=time.perf_counter() - start)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000  # MB on Linux


def campaign(
    count: int, seed: int, only: str = "", keep: Path | None = None
) -> Iterator[tuple[str, list[Outcome]]]:
    """Judge so many mutations of each kind of file.

    Args:
        count: Mutations per kind.
        seed: Their seed.
        only: A part of the names of the kinds.
        keep: Folder for the files that were not judged well.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for kind, case in [*run_cases(place), *study_cases(place)]:
            if only in kind:
                where = kind.split()[0].replace("finished", "run").replace("stopped", "run")
                rng = np.random.default_rng([seed, *kind.encode()])
                yield kind, list(judged(kind, case, place / where, count, rng, keep))


def judged(
    kind: str, case: Case, path: Path, count: int, rng: Rng, keep: Path | None
) -> Iterator[Outcome]:
    """Damage a kind of file so many times."""
    restore(path, case.folder)
    wanted = case.use(path)
    for number in range(count):
        restore(path, case.folder)
        how, content = damage(rng, case.folder[case.file], case.others)
        if content == MISSING and case.may_lack:
            content = FOLDER
        put(path / case.file, content)
        outcome = judge(case, path, wanted)
        yield outcome
        if keep is not None and outcome.name not in WELL:
            keep.mkdir(parents=True, exist_ok=True)
            stem = f"{kind.replace(' ', '-').replace('/', '-')}-{number}-{outcome.name}"
            raw = content if isinstance(content, bytes) else content.encode()
            (keep / stem).write_bytes(raw)
            (keep / f"{stem}.txt").write_text(f"{how}\n{outcome.text}")


def main() -> int:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutations", type=int, default=1000, help="of each kind of file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the name of a kind")
    parser.add_argument("--keep", type=Path, help="folder for files that were not judged well")
    given = parser.parse_args()
    print(f"{'kind':32} {'files':>6}", *(f"{name:>8}" for name in OUTCOMES), " longest s")
    every: list[Outcome] = []
    for kind, found in campaign(given.mutations, given.seed, given.only, given.keep):
        print(line(kind, found), flush=True)
        every += found
    print(line("all", every))
    return int(any(outcome.name not in WELL for outcome in every))


def line(kind: str, found: list[Outcome]) -> str:
    """A line of the table."""
    counts = Counter(outcome.name for outcome in found)
    longest = max((outcome.seconds for outcome in found), default=0.0)
    figures = " ".join(f"{counts[name]:8}" for name in OUTCOMES)
    return f"{kind:32} {len(found):6} {figures} {longest:10.2f}"


if __name__ == "__main__":
    sys.exit(main())
