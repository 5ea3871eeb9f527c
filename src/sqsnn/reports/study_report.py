"""The page of a study: for every dataset its models side by side, and how to repeat it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqsnn.errors import ConfigError
from sqsnn.reports.page import (
    MISSING,
    PNG,
    Block,
    Code,
    Page,
    Picture,
    Section,
    Table,
    Text,
    columns,
    count,
    percent,
    seconds,
)

RESULTS = "results.json"
SETTINGS = "study.toml"
_READOUTS = (
    ("test_accuracy_spikes", "by spikes"),
    ("test_accuracy", "ties by probability"),
    ("test_accuracy_probability", "by probability"),
)
_READING = (
    "Accuracies are in per cent of the test samples: mean over seeds and half the width of its "
    "95 % confidence interval (Student's t). By spikes: the class with most spikes, ties shared; "
    "then with ties broken by probability; then by summed probabilities alone. Spikes, synaptic "
    "operations, gates and measurements are those of one inference, means over test samples and "
    "seeds; the time is that of one training."
)


def study_page(folder: Path) -> Page:
    """Lay out the page of a study.

    Args:
        folder: the folder that `sqsnn compare` wrote.

    Raises:
        ConfigError: if its results cannot be read.
    """
    path = folder / RESULTS
    try:
        results = json.loads(path.read_text("utf-8"))
        return _lay_out(folder, results)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} must hold the results of a study, but cannot be read ({error!r}): run "
            "`sqsnn compare` once more, which writes it anew"
        ) from error


def _lay_out(folder: Path, results: Mapping[str, Any]) -> Page:
    rows = results["rows"]
    groups = list(dict.fromkeys(row["dataset"] for row in rows))
    sections = [
        section
        for group in groups
        for section in _dataset(folder, group, [row for row in rows if row["dataset"] == group])
    ]
    sections += _sizes(folder)
    sections.append(_repeat(folder))
    if groups:
        sections.insert(0, Section("How to read it", (Text(_READING),)))
    models = len({row["model"] for row in rows})
    return Page(
        title=f"Study: {results['name']}",
        lead=f"{_counted(models, 'model')} compared on {', '.join(groups) or 'no dataset'}, with "
        "equally many parameters (within 1 %), the same data and the same budget of search.",
        figures=(),
        sections=tuple(sections),
        warning=""
        if results["complete"]
        else "This study is not complete: trials are missing. The tables hold what there is.",
    )


def _dataset(folder: Path, group: str, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    blocks: list[Block] = [_accuracies(rows)]
    blocks += _pictures(folder, f"accuracy-{group}.png", f"Test accuracy of all models on {group}")
    sections = [Section(group, tuple(blocks))]
    if any(row["seeds"] for row in rows):
        blocks.append(_costs(rows))
        sections = [
            Section(group, tuple(blocks)),
            Section(f"{group}: every seed", (_seeds(rows),), folded=True),
        ]
    if any(row.get("found") for row in rows):
        sections.append(Section(f"{group}: settings found", (_found(rows),), folded=True))
    return sections


def _accuracies(rows: Sequence[Mapping[str, Any]]) -> Table:
    return columns(
        ("model", "parameters", "hidden", "seeds", *(name for _, name in _READOUTS)),
        [
            (
                row["label"],
                _whole(row.get("parameters")),
                _hidden(row.get("hidden")),
                str(len(row["seeds"])),
                *(_accuracy(row.get(readout)) for readout, _ in _READOUTS),
            )
            for row in rows
        ],
    )


def _costs(rows: Sequence[Mapping[str, Any]]) -> Table:
    return columns(
        ("model", "spikes", "synaptic operations", "gates", "measurements", "training time"),
        [
            (
                row["label"],
                count(row.get("spikes_per_inference")),
                count(row.get("synaptic_operations")),
                count(row.get("gates")),
                count(row.get("measurements")),
                seconds(row.get("seconds")),
            )
            for row in rows
        ],
    )


def _seeds(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Accuracy by spikes, a column a seed; a seed that is missing has none."""
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    table = []
    for row in rows:
        values = (row.get("test_accuracy_spikes") or {}).get("values", [])
        known = dict(zip(row["seeds"], values, strict=False))
        table.append((row["label"], *(percent(known.get(seed)) for seed in seeds)))
    return Table(("by spikes", *(f"seed {seed}" for seed in seeds)), tuple(table))


def _found(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What the search chose for each model."""
    table = []
    for row in rows:
        settings = (row.get("found") or {}).items()
        text = ", ".join(f"{name} = {value}" for name, value in settings) or MISSING
        table.append((row["label"], text))
    return Table(("model", "settings"), tuple(table), numbers=False)


def _sizes(folder: Path) -> list[Section]:
    blocks: list[Block] = []
    for path in sorted(folder.glob("size-*.png")):
        dataset = path.stem.removeprefix("size-")
        blocks += _pictures(folder, path.name, f"Test accuracy against parameters on {dataset}")
    return [Section("Accuracy against size", tuple(blocks))] if blocks else []


def _repeat(folder: Path) -> Section:
    path = folder / SETTINGS
    said = "This runs the study again; what is done already is not repeated in the same folder."
    blocks: list[Block] = [Text(said), Code(f"sqsnn compare {SETTINGS}")]
    if path.is_file():
        blocks += [Text(f"{SETTINGS}:"), Code(path.read_text("utf-8"))]
    else:
        blocks.append(Text(f"The folder has no {SETTINGS}: the settings are not known here."))
    return Section("To repeat it", tuple(blocks))


def _pictures(folder: Path, name: str, alt: str) -> list[Block]:
    path = folder / name
    content = path.read_bytes() if path.is_file() else b""
    return [Picture(content, alt)] if content.startswith(PNG) else []


def _accuracy(found: Mapping[str, Any] | None) -> str:
    if found is None or found.get("mean") is None:
        return MISSING
    mean, interval = 100 * found["mean"], found.get("interval")
    return f"{mean:.2f}" if interval is None else f"{mean:.2f} ± {100 * interval:.2f}"


def _whole(number: int | None) -> str:
    return MISSING if number is None else f"{number:,}"


def _hidden(hidden: int | Sequence[int] | None) -> str:
    if hidden is None:
        return MISSING
    return str(hidden) if isinstance(hidden, int) else "-".join(map(str, hidden))


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
