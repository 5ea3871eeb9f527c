"""The results of a study as Markdown: a table per group, the comparisons, and the search."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqsnn_bench.study import costs, headline
from sqsnn_bench.study.comparisons import Comparison
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.headline import Headline
from sqsnn_bench.study.page import (
    COMPARED,
    IRREGULAR,
    MISSING,
    READS,
    baseline,
    compared,
    comparing,
    reading,
    reads,
    shown,
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
    parts = [f"# {study.name}\n", reading(rows)]
    if not complete:
        parts.append(f"Not complete: {MISSING} is still missing.\n")
    reference, by_group = study.reference, {row["dataset"]: headline.of(row) for row in rows}
    by_place = {(one["dataset"], one["model"], one["other"]): one for one in comparisons}
    for dataset in study.datasets:
        parts.append(f"## {dataset}\n")
        judged = by_group[dataset]
        heads = ["model", "hidden", "parameters", "seeds", "validation", *judged.tested.values()]
        if reference is not None:
            heads.append(f"{judged.above} {_escaped(study.label(reference))}")
        heads.append("found")
        lines = [heads, ["---", *["---:"] * (len(heads) - 2), "---"]]
        chosen = [row for row in rows if row["dataset"] == dataset]
        for row in chosen:
            place = dataset, row["model"], reference
            above = [] if reference is None else [shown(by_place.get(place), judged, "+")]
            lines.append(_cells(row, seeds, above, judged))
        if (linear := baseline(chosen)) is not None:
            reached = [f"{len(linear['values'])} of {seeds}", MISSING, shown(linear, judged)]
            cells = [_escaped(linear["model"]), MISSING, MISSING, *reached]
            lines.append(cells + [MISSING] * (len(heads) - len(cells)))
        parts += [_table(lines), _costs(chosen, judged)]
    if comparisons:
        parts += ["## Comparisons\n", comparing(rows)]
        lines = [COMPARED, ["---"] * 3 + ["---:"] * (len(COMPARED) - 3)]
        written = [compared(one, by_group[one["dataset"]]) for one in comparisons]
        lines += [[_escaped(cell) for cell in cells] for cells in written]
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
    groups = {
        dataset: headline.of_group(study, dataset, records)
        for dataset in filter(study.searches, study.datasets)
    }
    searching = dict.fromkeys(judged.searching for judged in groups.values())
    parts = [f"# {study.name}: the search\n", *searching]
    for dataset, judged in groups.items():
        parts.append(f"## {dataset}\n")
        heads = ["model", "settings", "parameters", *(head for head, _ in judged.tried.values())]
        heads.append("seconds")
        lines = [heads, ["---", "---", *["---:"] * (len(heads) - 2)]]
        for model in study.models_of(dataset):
            assert study.search is not None
            for record in done(study.search, dataset, model, records):
                found = {name: record["found"][name] for name in study.space_of(model)}
                label = _escaped(study.label(model))
                lines.append([label, _listed(found), *_reached(record, judged)])
        parts.append(_table(lines))
    return "\n".join(parts)


def _reached(record: Record, judged: Headline) -> list[str]:
    return [
        _number(record.get("parameters"), ",d"),
        *(_number(record.get(name), form) for name, (_, form) in judged.tried.items()),
        _number(record.get("seconds"), ".0f"),
    ]


def _cells(row: Row, seeds: int, above: Sequence[str], judged: Headline) -> list[str]:
    hidden = row["hidden"]
    found = row["found"]
    failed = f", {row['failed']} failed" if row["failed"] else ""
    return [
        _escaped(row["label"]),
        ", ".join(map(str, hidden)) if hidden else MISSING,
        _number(row["parameters"], ",d"),
        f"{len(row['seeds'])} of {seeds}{failed}",
        shown(row[judged.validation], judged),
        *(shown(row[name], judged) for name in judged.tested),
        *above,
        MISSING if found is None else _listed(found),
    ]


def _costs(rows: Sequence[Row], judged: Headline) -> str:
    """What an inference of each model costs, beside its headline."""
    heads = ["model", judged.label, *costs.HEADS]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    lines += [
        [_escaped(row["label"]), shown(row[judged.test], judged), *costs.cells(row)] for row in rows
    ]
    return _table(lines)


def _listed(found: Found) -> str:
    return ", ".join(f"{name} {it}" for name, it in found.items())


def _escaped(label: str) -> str:
    return label.replace("|", "\\|")


def _number(value: int | float | None, form: str) -> str:
    return MISSING if value is None else format(value, form)
