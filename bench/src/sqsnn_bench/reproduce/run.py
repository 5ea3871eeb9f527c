"""Running the studies of claims, as far as their data are there, and what came out of each."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sqsnn.data import describe, load
from sqsnn.storage import write_json
from sqsnn.training.machine import threads
from sqsnn_bench.reproduce.authors import AuthorsRule, train
from sqsnn_bench.reproduce.claims import Claim, study_of
from sqsnn_bench.study import records, tables
from sqsnn_bench.study.config import Study, read_study
from sqsnn_bench.study.run import compare
from sqsnn_bench.study.watching import Watcher

Watch = Callable[[str], None]
AUTHORS = "authors.json"
READY, NO_DATA = "not run", "data not given"


def reproduce(
    claims: Mapping[str, Claim],
    names: Sequence[str],
    folder: Path,
    out: Path,
    jobs: int,
    watcher: Callable[[Study], Watcher],
    watch: Watch,
) -> list[dict[str, Any]]:
    """Run what is left of the claims that are named; give a row of every claim.

    Args:
        claims: All claims.
        names: Those to run; one whose data are not there is left out, and nothing is downloaded.
        folder: The folder of the studies.
        out: The folder of the results, one per claim.
        jobs: Trials at a time.
        watcher: Makes what follows a study.
        watch: Called with a line of text.
    """
    for name in names:
        path = study_of(folder, name)
        study = read_study(path)
        if not has_data(study):
            watch(f"{name}: {NO_DATA}")
            continue
        compare(study, path, out / name, jobs, watcher(study))
        if claims[name].authors_rule:
            run_authors(study, AuthorsRule(), out / name / AUTHORS, watch)
    return [
        row_of(name, claim, study_of(folder, name), out / name) for name, claim in claims.items()
    ]


def has_data(study: Study) -> bool:
    """Whether the files of all datasets of a study are there."""
    return all(describe(group.dataset or name).present for name, group in study.datasets.items())


def run_authors(study: Study, rule: AuthorsRule, path: Path, watch: Watch) -> None:
    """Train by the authors' rule on the data of a study of one dataset, unless it was done.

    It has no validation part: the study's samples for it are trained on, too.
    """
    if path.is_file():
        return
    ((name, group),) = study.datasets.items()
    data = load(group.dataset or name, **group.data)
    test = data.load_test()
    parts = [(part.values, part.targets) for part in (data.train, data.validation)]
    values, labels = (
        np.concatenate([np.asarray(each) for each in of]) for of in zip(*parts, strict=True)
    )
    with threads(1):
        reached = train(
            (values, labels),
            (np.asarray(test.values), np.asarray(test.targets)),
            study.seeds,
            rule,
            watch,
        )
    write_json(
        path,
        {
            "rule": {field: getattr(rule, field) for field in rule.__dataclass_fields__},
            "source": data.source,
            "seeds": [*study.seeds],
            "test_samples": len(test.targets),
            "test_accuracy": tables.summarise(reached.tolist()),
        },
    )


def row_of(name: str, claim: Claim, path: Path, out: Path) -> dict[str, Any]:
    """Give the row of a claim from its records alone."""
    study = read_study(path)
    known = records.read(out)
    rows = tables.rows_of(study, known) if known else []
    done = [row for row in rows if row["seeds"]]
    authors = out / AUTHORS
    state = None if done else READY if has_data(study) else NO_DATA
    return {
        "name": name,
        "claim": claim.claim,
        "paper": claim.paper,
        "their_code": claim.their_code,
        "authors_rule": json.loads(authors.read_text("utf-8")) if authors.is_file() else None,
        "ours": next((row for row in done if row["model"] == claim.ours), None),
        "others": [row for row in done if row["model"] != claim.ours],
        "state": state,
        "differs": claim.differs,
    }
