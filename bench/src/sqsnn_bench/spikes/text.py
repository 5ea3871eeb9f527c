"""The comparison of models of spike trains as Markdown tables, from the lines of its file."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from sqsnn_bench.spikes.compare import TASKS
from sqsnn_bench.spikes.rivals import MODELS

Line = dict[str, Any]
Cells = dict[tuple[str, str], dict[int, Line]]  # by process and model, then by seed

_READING = (
    "Held-out bits per spike beyond spikes at random of the same rate: mean ± standard deviation "
    "over seeds."
)
# The models of the short table, by what they keep of the past.
_SHOWN = (
    "SQS clock, M=1",
    "SQS clock, M=2",
    *(f"HMM on edges, {states} states" for states in (2, 4, 8, 16)),
    "GLM with history",
    "StochasticLIF",
    "SQS clock, M=1, leaky drive",
)
# Powers of two: each band holds models with up to twice the parameters.
_BANDS = (4, 8, 16, 32, 64, 128, 1024)


def tables(lines: Iterable[Line]) -> str:
    """Write the tables: in short, at equal memory, at equal parameters, all, what qubits gain.

    Args:
        lines: Of the file of the comparison, without its first.
    """
    cells: Cells = {}
    for line in lines:
        cells.setdefault((line["process"], line["model"]), {})[line["seed"]] = line
    tasks = [name for name in TASKS if any(process == name for process, _ in cells)]
    models = [name for name in MODELS if any(model == name for _, model in cells)]
    parts = {
        "In short: means.": _short(cells, tasks, models),
        "Equal memory: as many states as levels of the qubits.": _grouped(
            cells, tasks, _by_levels(models), "levels"
        ),
        "Equal parameters.": _grouped(cells, tasks, _by_parameters(cells, models), "parameters"),
        "All models.": _all(cells, tasks, models),
        "What qubits gain over states, seed by seed, and how many seeds they win.": _differences(
            cells, tasks, models
        ),
    }
    return "\n".join([_READING, "", *(f"{title}\n\n{part}" for title, part in parts.items())])


def _short(cells: Cells, tasks: Sequence[str], models: Sequence[str]) -> str:
    """One row per task, and one column per model that a page shows."""
    shown = [name for name in _SHOWN if name in models]
    rows = []
    for task in tasks:
        found = [list(map(_bits, cells.get((task, name), {}).values())) for name in shown]
        means = [
            f"{statistics.fmean(bits):.2f}{_part(cells, task, len(bits))}" if bits else ""
            for bits in found
        ]
        rows.append([task, *means])
    return _table(["intervals"], shown, rows)


def _by_levels(models: Sequence[str]) -> list[tuple[str, str]]:
    """Groups of models whose memories have as many levels, and the models."""
    sizes = sorted({levels for name in models if (levels := MODELS[name].levels)})
    return [
        (f"{size} ({bits:g} bit{'s' * (size > 2)})", name)
        for size in sizes
        if (bits := math.log2(size)).is_integer()
        for name in models
        if MODELS[name].levels == size
    ]


def _by_parameters(cells: Cells, models: Sequence[str]) -> list[tuple[str, str]]:
    """Bands of numbers of parameters, and the models; where they were chosen, by their median."""
    found = {name: statistics.median(_parameters(cells, name)) for name in models}
    low, rows = 0, []
    for high in _BANDS:
        inside = [name for name in models if low < found[name] <= high]
        rows += [(f"{low + 1} to {high}", name) for name in inside]
        low = high
    return rows


def _grouped(cells: Cells, tasks: Sequence[str], rows: Sequence[tuple[str, str]], head: str) -> str:
    return _table(
        [head, "model"],
        tasks,
        [[group, name, *(_spread(cells, task, name) for task in tasks)] for group, name in rows],
    )


def _all(cells: Cells, tasks: Sequence[str], models: Sequence[str]) -> str:
    rows = []
    for name in models:
        counts = _parameters(cells, name)
        kept = {
            line["memory"]
            for (_, model), found in cells.items()
            if model == name
            for line in found.values()
        }
        memory = kept.pop() if len(kept) == 1 else "history of a chosen length"
        span = f"{min(counts)}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
        rows.append([name, memory, span, *(_spread(cells, task, name) for task in tasks)])
    return _table(["model", "memory", "parameters"], tasks, rows)


def _differences(cells: Cells, tasks: Sequence[str], models: Sequence[str]) -> str:
    """Quantum memories beside as many classical states as they have levels, and twice as many."""
    rows = []
    for quantum in (name for name in models if MODELS[name].is_quantum):
        levels = MODELS[quantum].levels or 0
        for states in (levels, 2 * levels):
            rival = f"HMM on edges, {states} states"
            if rival in models:
                found = [_difference(cells, task, quantum, rival) for task in tasks]
                rows.append([quantum, f"{states} states", *found])
    return _table(["model", "over"], tasks, rows)


def _difference(cells: Cells, task: str, one: str, other: str) -> str:
    ours, theirs = cells.get((task, one), {}), cells.get((task, other), {})
    pairs = [(_bits(ours[seed]), _bits(theirs[seed])) for seed in ours.keys() & theirs.keys()]
    gains = [our - their for our, their in pairs]
    if len(gains) < 2 or not all(map(math.isfinite, gains)):
        return ""
    won = sum(gain > 0 for gain in gains)
    mean, deviation = statistics.fmean(gains), statistics.stdev(gains)
    return f"{mean:+.3f} ± {deviation:.3f} ({won} of {len(gains)})"


def _spread(cells: Cells, task: str, model: str) -> str:
    found = [_bits(line) for line in cells.get((task, model), {}).values()]
    if len(found) < 2:
        return ""
    if impossible := sum(not math.isfinite(bits) for bits in found):
        return f"impossible in {impossible} of {len(found)}"
    mean, deviation = statistics.fmean(found), statistics.stdev(found)
    return f"{mean:.3f} ± {deviation:.3f}{_part(cells, task, len(found))}"


def _part(cells: Cells, task: str, seeds: int) -> str:
    """Say how many seeds there are where another model of the task has more."""
    most = max(len(by_seed) for (process, _), by_seed in cells.items() if process == task)
    return "" if seeds == most else f" ({seeds} of {most})"


def _bits(line: Line) -> float:
    return line["bits_per_spike"]


def _parameters(cells: Cells, model: str) -> list[int]:
    """Numbers of free parameters; where a stimulus adds some, without them if it can."""
    found = [
        (TASKS[task].has_stimulus, line["parameters"])
        for (task, name), by_seed in cells.items()
        if name == model
        for line in by_seed.values()
    ]
    plain = [count for has_stimulus, count in found if not has_stimulus]
    return plain or [count for _, count in found]


def _table(words: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        f"| {' | '.join([*words, *columns])} |",
        f"|{'---|' * len(words)}{'---:|' * len(columns)}",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
