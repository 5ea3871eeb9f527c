"""The comparison of models of spike trains: one line of a file per process, seed and model."""

import json
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import ConfigError
from sqsnn.storage import write_atomically
from sqsnn.training.machine import threads
from sqsnn_bench.spikes import processes, recording
from sqsnn_bench.spikes.options import WARM_UP, CompareOptions
from sqsnn_bench.spikes.rivals import MODELS, Model
from sqsnn_bench.spikes.scoring import Data, fit_constant, score

Draw = Callable[[CompareOptions, int], tuple[Data, Data]]  # the seed -> what to fit, what to score
Line = dict[str, Any]


class Task(NamedTuple):
    """Trains that are fitted and scored.

    Attributes:
        draw: Gives them for a seed.
        has_stimulus: Whether models see a stimulus.
    """

    draw: Draw
    has_stimulus: bool = False

    def takes(self, model: Model) -> bool:
        """Whether a model has a row here."""
        return model.with_stimulus if self.has_stimulus else model.without_stimulus


def generated(process: processes.Process) -> Task:
    """Make the task of a random process: trains drawn afresh for each seed."""

    def draw(options: CompareOptions, seed: int) -> tuple[Data, Data]:
        # Trials by hand, by which the starts of all models were chosen, drew without the 1.
        generator = np.random.default_rng([seed, 1, zlib.crc32(process.name.encode())])

        def trains(count: int) -> Data:
            return Data(
                SpikeTrains.from_bins(processes.sample(process, count, options.bins, generator))
            )

        return trains(options.trains), trains(options.held_out)

    return Task(draw)


def recorded(cut_off: int, has_stimulus: bool) -> Task:
    """Make the task of a stretch of the recording: a seed is a fold."""
    stretch = cache(recording.read)

    def draw(options: CompareOptions, seed: int) -> tuple[Data, Data]:
        return recording.fold(stretch(cut_off), seed, WARM_UP, has_stimulus)

    return Task(draw, has_stimulus)


CLAIMED = "gamma, mean 16, CV 0.2"  # where the claims on qubits and states were made
_NAMES = (CLAIMED, "gamma, mean 16, CV 0.3", "gamma, mean 16, CV 0.5", "uniform, 8 to 24 steps")
_ALL = (*processes.RENEWALS, processes.BURSTS, processes.JITTERED)
TASKS: Mapping[str, Task] = {
    process.name: generated(process)
    for process in _ALL
    if process.name in (*_NAMES, processes.BURSTS.name, processes.JITTERED.name)
} | {
    f"grasshopper, {cut_off} Hz{', with stimulus' * shown}": recorded(cut_off, shown)
    for shown in (False, True)
    for cut_off in recording.CUT_OFFS
}


def compare(
    options: CompareOptions,
    out: Path,
    watch: Callable[[str], None],
    tasks: Iterable[str] = (),
    models: Iterable[str] = (),
) -> None:
    """Fit and score models, and add a line to a file for each; what is in the file is kept.

    Seeds come first, so that after any time there are whole rows of the tables.

    Args:
        options: How much data.
        out: The file.
        watch: Called with a text after each fit.
        tasks: Names of those to do now; none for all.
        models: Names of those to do now; none for all.

    Raises:
        ConfigError: If a name is unknown, or the file was made with other options.
    """
    tasks, models = _known("process", tasks, TASKS), _known("model", models, MODELS)
    done = {(line["process"], line["seed"], line["model"]) for line in _begun(options, out)}
    wanted = [
        (task, seed, model)
        for seed in range(options.seeds)
        for task in tasks
        for model in models
        if TASKS[task].takes(MODELS[model]) and (task, seed, model) not in done
    ]
    with threads(1):
        for number, (task, seed, model) in enumerate(wanted, start=1):
            line = one(options, task, seed, model)
            _add(out, line)
            watch(
                f"{number} of {len(wanted)}: {task}, seed {seed}, {model}: "
                f"{line['bits_per_spike']:.3f} bits per spike, {line['cpu_seconds']:.1f} s"
            )


def one(options: CompareOptions, task: str, seed: int, model: str) -> Line:
    """Fit one model and score it."""
    train, held_out = TASKS[task].draw(options, seed)
    began = time.process_time()
    generator = np.random.default_rng([seed, zlib.crc32(model.encode())])
    fitted = MODELS[model].fit(train, generator)
    seconds = time.process_time() - began
    found = score(fitted, fit_constant(train, generator), held_out)
    return {
        "process": task,
        "seed": seed,
        "model": model,
        **found._asdict(),
        "parameters": fitted.parameters,
        "memory": fitted.memory,
        "cpu_seconds": round(seconds, 2),
    }


def read(out: Path) -> tuple[dict[str, Any], list[Line]]:
    """Read options and lines of a file.

    Raises:
        ConfigError: If there is none.
    """
    if not out.is_file():
        raise ConfigError(f"{out} is not there: `sqsnn-bench spikes compare` writes it")
    first, *lines = map(json.loads, _whole(out).splitlines())
    return first, lines


def _whole(out: Path) -> str:
    """The text of a file without a last line that a killed process left unfinished."""
    text = out.read_text("utf-8")
    return text[: text.rfind("\n") + 1]


def _begun(options: CompareOptions, out: Path) -> list[Line]:
    """Begin a file, or read the lines of one that was begun."""
    # More seeds go on with those that are there.
    sizes = {name: value for name, value in asdict(options).items() if name != "seeds"}
    text = _whole(out) if out.exists() else ""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, lambda path: path.write_text(text or _line(sizes), "utf-8"))
    found, lines = read(out)
    if found != sizes:
        raise ConfigError(f"{out} was made with {found}, not {sizes}: name another file by --out")
    return lines


def _add(out: Path, line: Line) -> None:
    with out.open("a", encoding="utf-8") as file:
        file.write(_line(line))


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content) + "\n"


def _known(what: str, names: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    names = list(names) or list(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"{what} must be one of {', '.join(known)}; but is {name}")
    return names
