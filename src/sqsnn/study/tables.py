"""The results of a study as tables: means over seeds with their 95 % intervals, JSON and Markdown.

They are made from the records of the trials alone, whenever a command ends, and show what is
missing.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sqsnn.reports.page import MISSING
from sqsnn.reports.study_report import ACCURACIES, READING, RESULTS, accuracy
from sqsnn.storage import write_atomically, write_json
from sqsnn.study.config import models_of
from sqsnn.study.plan import Found, Plan
from sqsnn.study.search import Searches
from sqsnn.study.trials import Record, final_path, read_record, search_path

Row = dict[str, Any]

_COSTS = ("synaptic_operations", "gates", "measurements")


def final_paths(plan: Plan, searches: Searches, dataset: str, model: str) -> list[Path]:
    """Where the records of the trainings that are tested lie or will lie, once settings are chosen.

    Args:
        plan: the study.
        searches: its searches.
        dataset: name of the group.
        model: name of the model.
    """
    found = searches.chosen(dataset, model)
    if found is None:
        return []
    return [final_path(plan, dataset, model, found, seed) for seed in plan.study.seeds]


def write(plan: Plan, searches: Searches) -> list[Row]:
    """Write results.json, results.md, and search.md where there is a search, from what is there.

    Args:
        plan: the study.
        searches: its searches.

    Returns:
        the rows of results.json.
    """
    rows = [_row(plan, searches, *pair) for pair in plan.pairs()]
    seeds = len(plan.study.seeds)
    complete = all(len(row["seeds"]) + row["failed"] == seeds for row in rows)
    _add_differences(rows, plan.study.reference)
    reference = plan.study.reference
    content = {
        "name": plan.study.name,
        "reference": None if reference is None else _label(plan, reference),
        "complete": complete,
        "rows": rows,
    }
    write_json(plan.out / RESULTS, content)
    text = _markdown(plan, rows, complete)
    write_atomically(plan.out / "results.md", lambda path: path.write_text(text, "utf-8"))
    if plan.study.search is not None:
        tried = _tried(plan, searches)
        write_atomically(plan.out / "search.md", lambda path: path.write_text(tried, "utf-8"))
    return rows


def summarise(values: Sequence[int | float]) -> dict[str, Any]:
    """Mean, half width of the 95 % Student-t interval, and the values themselves.

    Args:
        values: one a seed; the interval takes at least two.
    """
    from scipy.stats import t as student

    interval = None
    if len(values) > 1:
        error = stdev(values) / math.sqrt(len(values))
        interval = float(student.ppf(0.975, len(values) - 1)) * error
    mean = fmean(values) if values else None
    return {"mean": mean, "interval": interval, "values": list(values)}


def _row(plan: Plan, searches: Searches, dataset: str, model: str) -> Row:
    read = map(read_record, final_paths(plan, searches, dataset, model))
    there = [record for record in read if record is not None]
    records = [record for record in there if "error" not in record]
    first = records[0] if records else {}
    found = searches.chosen(dataset, model)
    return {
        "dataset": dataset,
        "model": model,
        "label": _label(plan, model),
        "parameters": first.get("parameters"),
        "hidden": first.get("hidden"),
        "seeds": [record["seed"] for record in records],
        "failed": len(there) - len(records),
        "test_samples": first.get("test_samples"),
        **{name: summarise(_known(record[name] for record in records)) for name in ACCURACIES},
        "validation_accuracy_spikes": summarise(
            [record["validation_accuracy_spikes"] for record in records]
        ),
        "spikes_per_inference": _mean(sum(record["spikes_per_sample"]) for record in records),
        **{name: _mean(_cost(record, name) for record in records) for name in _COSTS},
        "seconds": _mean(record["seconds"] for record in records),
        "found": None if found is None else dict(found),
    }


def _add_differences(rows: Sequence[Row], reference: str | None) -> None:
    """Compare every row with that of the reference, by the headline accuracy."""
    by_dataset = {row["dataset"]: row for row in rows if row["model"] == reference}
    for row in rows:
        other = by_dataset.get(row["dataset"])
        if other is not None and other is not row:
            one, two = (each["test_accuracy_spikes"]["values"] for each in (row, other))
            row["difference"] = difference(one, two)
        else:
            row["difference"] = {"mean": None, "interval": None}


def difference(one: Sequence[float], other: Sequence[float]) -> dict[str, float | None]:
    """The difference of two means, with the half width of Welch's 95 % interval.

    Args:
        one: values, one a seed.
        other: those that are subtracted; the interval takes at least two of each, not all equal.
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


def _markdown(plan: Plan, rows: list[Row], complete: bool) -> str:
    seeds = len(plan.study.seeds)
    parts = [f"# {plan.study.name}\n", READING]
    if not complete:
        parts.append(f"Not complete: {MISSING} is still missing.\n")
    heads = ["model", "hidden", "parameters", "seeds", "validation", *ACCURACIES.values()]
    reference = plan.study.reference
    if reference is not None:
        heads.append(f"above {_escaped(_label(plan, reference))}")
    heads += ["spikes an inference", "synaptic operations", "gates", "measurements", "seconds"]
    heads.append("found")
    for dataset in plan.study.datasets:
        parts.append(f"## {dataset}\n")
        lines = [heads, ["---", *["---:"] * (len(heads) - 2), "---"]]
        referred = plan.study.reference is not None
        lines += [_cells(row, seeds, referred) for row in rows if row["dataset"] == dataset]
        parts.append("".join(f"| {' | '.join(cells)} |\n" for cells in lines))
    return "\n".join(parts)


def _tried(plan: Plan, searches: Searches) -> str:
    """What every trial of the search reached on the validation samples, as Markdown."""
    parts = [
        f"# {plan.study.name}: the search\n",
        "Validation samples, kept epoch; ties of spikes shared, or broken by firing probability.\n",
    ]
    heads = ["model", "settings", "parameters", "spikes", "ties by probability", "loss", "seconds"]
    for dataset, group in plan.study.datasets.items():
        if group.search_from is not None:
            continue
        parts.append(f"## {dataset}\n")
        lines = [heads, ["---", "---", *["---:"] * (len(heads) - 2)]]
        for model in models_of(plan.study, dataset):
            for found in searches.tried(dataset, model):
                record = read_record(search_path(plan, dataset, model, found)) or {}
                lines.append([_escaped(_label(plan, model)), _listed(found), *_reached(record)])
        parts.append("".join(f"| {' | '.join(cells)} |\n" for cells in lines))
    return "\n".join(parts)


def _reached(record: Record) -> list[str]:
    return [
        _number(record.get("parameters"), ",d"),
        *(
            _number(record.get(f"validation_{name}"), form)
            for name, form in (("accuracy_spikes", ".2%"), ("accuracy", ".2%"), ("loss", ".3f"))
        ),
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
        accuracy(row["validation_accuracy_spikes"]),
        *(accuracy(row[name]) for name in ACCURACIES),
        *([accuracy(row["difference"], "+.2f")] if referred else []),
        _number(row["spikes_per_inference"], ".1f"),
        _number(row["synaptic_operations"], ",.0f"),
        _number(row["gates"], ",.0f"),
        _number(row["measurements"], ",.0f"),
        _number(row["seconds"], ".0f"),
        MISSING if found is None else _listed(found),
    ]


def _label(plan: Plan, model: str) -> str:
    return plan.study.models[model].label or model


def _listed(found: Found) -> str:
    return ", ".join(f"{name} {it}" for name, it in found.items())


def _escaped(label: str) -> str:
    return label.replace("|", "\\|")


def _number(value: int | float | None, form: str) -> str:
    return MISSING if value is None else format(value, form)
