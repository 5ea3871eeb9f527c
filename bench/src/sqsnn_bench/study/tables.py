"""The results of a study as tables: means over seeds with their 95 % intervals, JSON and Markdown.

They are made from the study's file and its records alone, and show what is missing.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sqsnn.readfile import write_sealed
from sqsnn.storage import write_atomically
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.page import ACCURACIES, MISSING, READING, RESULTS, accuracy
from sqsnn_bench.study.records import Key, Record, Records
from sqsnn_bench.study.search import Found, chosen, done

Row = dict[str, Any]

_COSTS = ("synaptic_operations", "gates", "measurements")


def write(study: Study, out: Path, records: Records) -> list[Row]:
    """Write the tables and pictures of a study from its records.

    That is results.json, results.md, search.md where there is a search, and the pictures.

    Args:
        study: The study.
        out: The folder of the results.
        records: What is done.

    Returns:
        The rows of results.json.
    """
    # Here and not above: no worker draws pictures.
    from sqsnn_bench.study import figures

    rows = rows_of(study, records)
    seeds = len(study.seeds)
    complete = all(len(row["seeds"]) + row["failed"] == seeds for row in rows)
    reference = study.reference
    content = {
        "name": study.name,
        "reference": None if reference is None else study.label(reference),
        "complete": complete,
        "rows": rows,
    }
    write_sealed(out / RESULTS, content)
    _write_text(out / "results.md", _markdown(study, rows, complete))
    if study.search is not None:
        _write_text(out / "search.md", _tried(study, records))
    figures.save_all(study, out, rows)
    return rows


def rows_of(study: Study, records: Records) -> list[Row]:
    """The rows of results.json: one per group and model.

    Args:
        study: The study.
        records: What is done.
    """
    rows = [_row(study, records, *pair) for pair in study.pairs()]
    _add_differences(rows, study.reference)
    return rows


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text, "utf-8"))


def summarise(values: Sequence[int | float]) -> dict[str, Any]:
    """Mean, half width of the 95 % Student-t interval, and the values themselves.

    Args:
        values: One per seed; the interval takes at least two.
    """
    from scipy.stats import t as student

    interval = None
    if len(values) > 1:
        error = stdev(values) / math.sqrt(len(values))
        interval = float(student.ppf(0.975, len(values) - 1)) * error
    mean = fmean(values) if values else None
    return {"mean": mean, "interval": interval, "values": list(values)}


def _row(study: Study, records: Records, dataset: str, model: str) -> Row:
    found = chosen(study, dataset, model, records)
    there = []
    if found is not None:
        keys = [Key(dataset, model, "seed", seed) for seed in study.seeds]
        there = [records[key] for key in keys if key in records]
    tested = [record for record in there if "error" not in record]
    first = tested[0] if tested else {}
    return {
        "dataset": dataset,
        "model": model,
        "label": study.label(model),
        "parameters": first.get("parameters"),
        "hidden": first.get("hidden"),
        "seeds": [record["seed"] for record in tested],
        "failed": len(there) - len(tested),
        "test_samples": first.get("test_samples"),
        **{name: summarise(_known(record[name] for record in tested)) for name in ACCURACIES},
        "validation_accuracy": summarise([record["validation_accuracy"] for record in tested]),
        "spikes_per_inference": _mean(sum(record["spikes_per_sample"]) for record in tested),
        **{name: _mean(_cost(record, name) for record in tested) for name in _COSTS},
        "seconds": _mean(record["seconds"] for record in tested),
        "found": None if found is None else dict(found),
    }


def _add_differences(rows: Sequence[Row], reference: str | None) -> None:
    """Compare every row with that of the reference, by the headline accuracy."""
    by_dataset = {row["dataset"]: row for row in rows if row["model"] == reference}
    for row in rows:
        other = by_dataset.get(row["dataset"])
        if other is not None and other is not row:
            one, two = (each["test_accuracy"]["values"] for each in (row, other))
            row["difference"] = difference(one, two)
        else:
            row["difference"] = {"mean": None, "interval": None}


def difference(one: Sequence[float], other: Sequence[float]) -> dict[str, float | None]:
    """The difference of two means, with the half width of Welch's 95 % interval.

    Args:
        one: Values, one per seed.
        other: Those that are subtracted; the interval takes at least two of each, not all equal.
    """
    from scipy.stats import t as student

    if not one or not other:
        return {"mean": None, "interval": None}
    mean = fmean(one) - fmean(other)
    if min(len(one), len(other)) < 2:
        return {"mean": mean, "interval": None}
    parts = [stdev(values) ** 2 / len(values) for values in (one, other)]
    if not sum(parts):
        return {"mean": mean, "interval": None}
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True)
    )
    interval = float(student.ppf(0.975, freedom)) * math.sqrt(sum(parts))
    return {"mean": mean, "interval": interval}


def _cost(record: Record, name: str) -> int | float | None:
    return record["costs"] and record["costs"]["total"][name]


def _known(values: Iterable[int | float | None]) -> list[int | float]:
    return [value for value in values if value is not None]


def _mean(values: Iterable[int | float | None]) -> float | None:
    known = _known(values)
    return fmean(known) if known else None


def _markdown(study: Study, rows: list[Row], complete: bool) -> str:
    seeds = len(study.seeds)
    parts = [f"# {study.name}\n", READING]
    if not complete:
        parts.append(f"Not complete: {MISSING} is still missing.\n")
    heads = ["model", "hidden", "parameters", "seeds", "validation", *ACCURACIES.values()]
    reference = study.reference
    if reference is not None:
        heads.append(f"above {_escaped(study.label(reference))}")
    heads += ["spikes per inference", "synaptic operations", "gates", "measurements", "seconds"]
    heads.append("found")
    for dataset in study.datasets:
        parts.append(f"## {dataset}\n")
        lines = [heads, ["---", *["---:"] * (len(heads) - 2), "---"]]
        referred = reference is not None
        lines += [_cells(row, seeds, referred) for row in rows if row["dataset"] == dataset]
        parts.append("".join(f"| {' | '.join(cells)} |\n" for cells in lines))
    return "\n".join(parts)


def _tried(study: Study, records: Records) -> str:
    """What every trial of the search reached on the validation samples, as Markdown."""
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
        parts.append("".join(f"| {' | '.join(cells)} |\n" for cells in lines))
    return "\n".join(parts)


def _reached(record: Record) -> list[str]:
    return [
        _number(record.get("parameters"), ",d"),
        _number(record.get("validation_accuracy"), ".2%"),
        _number(record.get("validation_accuracy_ties_by_probability"), ".2%"),
        _number(record.get("validation_loss"), ".3f"),
        _number(record.get("seconds"), ".0f"),
    ]


def _cells(row: Row, seeds: int, referred: bool) -> list[str]:
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
        *([accuracy(row["difference"], "+.2f")] if referred else []),
        _number(row["spikes_per_inference"], ".1f"),
        _number(row["synaptic_operations"], ",.0f"),
        _number(row["gates"], ",.0f"),
        _number(row["measurements"], ",.0f"),
        _number(row["seconds"], ".0f"),
        MISSING if found is None else _listed(found),
    ]


def _listed(found: Found) -> str:
    return ", ".join(f"{name} {it}" for name, it in found.items())


def _escaped(label: str) -> str:
    return label.replace("|", "\\|")


def _number(value: int | float | None, form: str) -> str:
    return MISSING if value is None else format(value, form)
