"""The results of a study as Markdown: a table per group, the comparisons, and the search."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqsnn_bench.study import costs
from sqsnn_bench.study.comparisons import Comparison
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.page import (
    ACCURACIES,
    COMPARED,
    COMPARING,
    IRREGULAR,
    MISSING,
    READING,
    READS,
    accuracy,
    compared,
    reads,
)
from sqsnn_bench.study.records import Record, Records
from sqsnn_bench.study.search import Found, done

Row = Mapping[str, Any]


def results(
    study: Study,
    rows: Sequence[Row],
    comparisons: Sequence[Comparison],
    irregular: Sequence[Row],
    complete: bool,
) -> str:
    """Write results.md.

    Args:
        study: The study.
        rows: The rows of its results.
        comparisons: Its comparisons.
        irregular: The reads of the test part that a reader should know of.
        complete: Whether all seeds are there.
    """
    seeds = len(study.seeds)
    parts = [f"# {study.name}\n", READING]
    if not complete:
        parts.append(f"Not complete: {MISSING} is still missing.\n")
    heads = ["model", "hidden", "parameters", "seeds", "validation", *ACCURACIES.values()]
    reference = study.reference
    if reference is not None:
        heads.append(f"above {_escaped(study.label(reference))}")
    heads.append("found")
    by_place = {(one["dataset"], one["model"], one["other"]): one for one in comparisons}
    for dataset in study.datasets:
        parts.append(f"## {dataset}\n")
        lines = [heads, ["---", *["---:"] * (len(heads) - 2), "---"]]
        chosen = [row for row in rows if row["dataset"] == dataset]
        for row in chosen:
            place = dataset, row["model"], reference
            above = [] if reference is None else [accuracy(by_place.get(place), "+.2f")]
            lines.append(_cells(row, seeds, above))
        parts += [_table(lines), _costs(chosen)]
    if comparisons:
        parts += ["## Comparisons\n", COMPARING]
        lines = [COMPARED, ["---"] * 3 + ["---:"] * (len(COMPARED) - 3)]
        lines += [[_escaped(cell) for cell in compared(one)] for one in comparisons]
        parts.append(_table(lines))
    if irregular:
        parts += ["## Reads of the test part\n", IRREGULAR]
        lines = [READS, ["---"] * len(READS)]
        lines += [[_escaped(cell) for cell in reads(one)] for one in irregular]
        parts.append(_table(lines))
    return "\n".join(parts)


def _table(lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def tried(study: Study, records: Records) -> str:
    """Write search.md: what every trial of the search reached on the validation samples.

    Args:
        study: The study.
        records: What is done.
    """
    parts = [
        f"# {study.name}: the search\n",
        "Validation accuracy of the kept epoch: by spikes alone with ties shared evenly, and with\n"
        "ties broken by firing probability.\n",
    ]
    heads = ["model", "settings", "parameters", "validation accuracy", "ties by probability"]
    heads += ["loss", "seconds"]
    for dataset in filter(study.searches, study.datasets):
        parts.append(f"## {dataset}\n")
        lines = [heads, ["---", "---", *["---:"] * (len(heads) - 2)]]
        for model in study.models_of(dataset):
            assert study.search is not None
            for record in done(study.search, dataset, model, records):
                found = {name: record["found"][name] for name in study.space_of(model)}
                label = _escaped(study.label(model))
                lines.append([label, _listed(found), *_reached(record)])
        parts.append(_table(lines))
    return "\n".join(parts)


def _reached(record: Record) -> list[str]:
    return [
        _number(record.get("parameters"), ",d"),
        _number(record.get("validation_accuracy"), ".2%"),
        _number(record.get("validation_accuracy_ties_by_probability"), ".2%"),
        _number(record.get("validation_loss"), ".3f"),
        _number(record.get("seconds"), ".0f"),
    ]


def _cells(row: Row, seeds: int, above: Sequence[str]) -> list[str]:
    hidden = row["hidden"]
    found = row["found"]
    failed = f", {row['failed']} failed" if row["failed"] else ""
    return [
        _escaped(row["label"]),
        ", ".join(map(str, hidden)) if hidden else MISSING,
        _number(row["parameters"], ",d"),
        f"{len(row['seeds'])} of {seeds}{failed}",
        accuracy(row["validation_accuracy"]),
        *(accuracy(row[name]) for name in ACCURACIES),
        *above,
        MISSING if found is None else _listed(found),
    ]


def _costs(rows: Sequence[Row]) -> str:
    """What an inference of each model costs, beside its accuracy."""
    heads = ["model", "test accuracy", *costs.HEADS]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    lines += [
        [_escaped(row["label"]), accuracy(row["test_accuracy"]), *costs.cells(row)] for row in rows
    ]
    return _table(lines)


def _listed(found: Found) -> str:
    return ", ".join(f"{name} {it}" for name, it in found.items())


def _escaped(label: str) -> str:
    return label.replace("|", "\\|")


def _number(value: int | float | None, form: str) -> str:
    return MISSING if value is None else format(value, form)
