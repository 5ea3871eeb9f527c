"""The results of a study: means over seeds with their 95 % intervals, as JSON and as tables.

They are made from the study's file and its records alone, and show what is missing.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sqsnn.readfile import write_sealed
from sqsnn.storage import write_atomically
from sqsnn_bench.study import comparisons, costs, headline, markdown, tested
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.page import RESULTS
from sqsnn_bench.study.records import Key, Record, Records
from sqsnn_bench.study.search import chosen

Row = dict[str, Any]


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
    reference, compared = study.reference, comparisons.of_rows(study, rows)
    irregular = tested.irregular(study, out)
    content = {
        "name": study.name,
        "reference": None if reference is None else study.label(reference),
        "complete": complete,
        "rows": rows,
        "comparisons": compared,
        "irregular_tests": irregular,
    }
    write_sealed(out / RESULTS, content)
    _write_text(out / "results.md", markdown.results(study, rows, compared, irregular, complete))
    if study.search is not None:
        _write_text(out / "search.md", markdown.tried(study, records))
    figures.save_all(study, out, rows)
    return rows


def rows_of(study: Study, records: Records) -> list[Row]:
    """The rows of results.json: one per group and model.

    Args:
        study: The study.
        records: What is done.
    """
    return [_row(study, records, *pair) for pair in study.pairs()]


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
    first, spent = tested[0] if tested else {}, [costs.of_record(record) for record in tested]
    shown = headline.of_group(study, dataset, records)
    return {
        "dataset": dataset,
        "model": model,
        "label": study.label(model),
        "parameters": first.get("parameters"),
        "hidden": first.get("hidden"),
        "seeds": [record["seed"] for record in tested],
        "failed": len(there) - len(tested),
        "test_samples": first.get("test_samples"),
        **{name: summarise(_known(record[name] for record in tested)) for name in shown.tested},
        shown.validation: summarise([record[shown.validation] for record in tested]),
        "spikes_per_inference": _mean(sum(record["spikes_per_sample"]) for record in tested),
        **{name: _mean(cost[name] for cost in spent) for name in costs.NAMES},
        "found": None if found is None else dict(found),
        **_baseline(tested, shown),
    }


def _baseline(tested: Sequence[Record], shown: headline.Headline) -> Row:
    """What a linear model reaches on the same split; empty where the records do not say."""
    known = [record["baseline"] for record in tested if record.get("baseline")]
    if not known:
        return {}
    reached = summarise([one["figures"][shown.name] for one in known])
    return {"baseline": {"model": known[0]["model"], **reached}}


def _known(values: Iterable[int | float | None]) -> list[int | float]:
    return [value for value in values if value is not None]


def _mean(values: Iterable[int | float | None]) -> float | None:
    known = _known(values)
    return fmean(known) if known else None
