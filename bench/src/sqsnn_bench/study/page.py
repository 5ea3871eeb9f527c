"""The page of a study: for every dataset its models side by side, and how to repeat it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
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
# The headline first: spikes alone, the same question to every neuron.
ACCURACIES: Mapping[str, str] = MappingProxyType(
    {
        "test_accuracy": "test accuracy",
        "test_accuracy_ties_by_probability": "ties by probability",
        "test_accuracy_probability": "by probability",
    }
)
READING = """\
Accuracies are in per cent of the test samples, read once per seed: mean and half width of the 95 %
Student-t interval over seeds, which are trainings on one split after one search; what other samples
would add is not in it. Test accuracy, and validation: the class with most spikes, ties shared
evenly. Secondary: ties broken by firing probability (where nothing is random, by class number), and
summed probabilities alone. "Above": the difference of mean test accuracies, with Welch's 95 %
interval. Spikes, synaptic operations, gates and measurements are per inference, means over test
samples and seeds, layers and steps summed; the seconds are those of one training by this code on a
shared machine.
"""


def study_page(folder: Path) -> Page:
    """Lay out the page of a study.

    Args:
        folder: The folder that `sqsnn-bench compare` wrote.

    Raises:
        ConfigError: If its results cannot be read.
    """
    path = folder / RESULTS
    try:
        results = json.loads(path.read_text("utf-8"))
        return _lay_out(folder, results)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} must hold the results of a study, but cannot be read ({error!r}): run "
            "`sqsnn-bench compare` once more, which writes it anew"
        ) from error


def _lay_out(folder: Path, results: Mapping[str, Any]) -> Page:
    rows = results["rows"]
    groups = list(dict.fromkeys(row["dataset"] for row in rows))
    sections = [
        section
        for group in groups
        for section in _dataset(
            folder,
            group,
            [row for row in rows if row["dataset"] == group],
            results.get("reference"),
        )
    ]
    sections += _sizes(folder)
    sections.append(_repeat(folder))
    if groups:
        sections.insert(0, Section("How to read it", (Text(READING),)))
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


def _dataset(
    folder: Path, group: str, rows: Sequence[Mapping[str, Any]], reference: str | None
) -> list[Section]:
    blocks: list[Block] = [_accuracies(rows, reference)]
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


def _accuracies(rows: Sequence[Mapping[str, Any]], reference: str | None) -> Table:
    above = [] if reference is None else [f"above {reference}"]
    return columns(
        ("model", "parameters", "hidden", "seeds", "validation", *ACCURACIES.values(), *above),
        [
            (
                row["label"],
                _whole(row.get("parameters")),
                _hidden(row.get("hidden")),
                _trained(row),
                accuracy(row.get("validation_accuracy")),
                *(accuracy(row.get(name)) for name in ACCURACIES),
                *(accuracy(row.get("difference"), "+.2f") for _ in above),
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
    """Test accuracy, one column per seed; a seed that is missing has no figure."""
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    table = []
    for row in rows:
        values = (row.get("test_accuracy") or {}).get("values", [])
        known = dict(zip(row["seeds"], values, strict=False))
        table.append((row["label"], *(percent(known.get(seed)) for seed in seeds)))
    return Table(("test accuracy", *(f"seed {seed}" for seed in seeds)), tuple(table))


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
    said = "In this folder, this goes on with the study; what is done already is not repeated."
    blocks: list[Block] = [Text(said), Code(f"sqsnn-bench compare {SETTINGS} --out .")]
    if path.is_file():
        blocks += [Text(f"{SETTINGS}:"), Code(path.read_text("utf-8"))]
    else:
        blocks.append(Text(f"The folder has no {SETTINGS}: the settings are not known here."))
    return Section("To repeat it", tuple(blocks))


def _pictures(folder: Path, name: str, alt: str) -> list[Block]:
    path = folder / name
    content = path.read_bytes() if path.is_file() else b""
    return [Picture(content, alt)] if content.startswith(PNG) else []


def accuracy(found: Mapping[str, Any] | None, form: str = ".2f") -> str:
    """A mean in per cent, with its interval where there is one.

    Args:
        found: "mean" and "interval".
        form: How the mean is written.
    """
    if found is None or found.get("mean") is None:
        return MISSING
    mean, interval = format(100 * found["mean"], form), found.get("interval")
    return mean if interval is None else f"{mean} ± {100 * interval:.2f}"


def _trained(row: Mapping[str, Any]) -> str:
    failed = row.get("failed")
    return f"{len(row['seeds'])}{f', {failed} failed' if failed else ''}"


def _whole(number: int | None) -> str:
    return MISSING if number is None else f"{number:,}"


def _hidden(hidden: Sequence[int] | None) -> str:
    return MISSING if hidden is None else "-".join(map(str, hidden))


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
