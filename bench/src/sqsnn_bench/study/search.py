"""The search for settings: which to try next, and which were best; decided from records alone.

Lists of choices are tried in all combinations. Where a setting has a range, optuna's
tree-structured Parzen estimator proposes: the first `STARTUP` trials at random, each further one
from all trials before it. So a proposal depends on its number and on records, neither on how many
trials run at a time nor on where a search was stopped.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

from sqsnn_bench.study import headline
from sqsnn_bench.study.config import Range, Search, Study, Value
from sqsnn_bench.study.records import Key, Record, Records

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Found = Mapping[str, Value]
Space = Mapping[str, tuple[Value, ...] | Range]

STARTUP = 10  # trials of ranges that are drawn at random, and so need no other's record


def origin(study: Study, dataset: str) -> str:
    """The group whose search serves a group."""
    return study.datasets[dataset].search_from or dataset


def points(space: Space) -> list[Found] | None:
    """All combinations of a space of lists; None where it has a range."""
    lists = {name: choices for name, choices in space.items() if isinstance(choices, tuple)}
    if len(lists) < len(space):
        return None
    return [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]


def proposal(
    study: Study, search: Search, dataset: str, model: str, number: int, records: Records
) -> Found | None:
    """The settings of a trial of a search; None while trials that it depends on are not done.

    Args:
        study: The study.
        search: Its search.
        dataset: Name of a group with a search of its own.
        model: Name of the model.
        number: Number of the trial, from 0.
        records: What is done.
    """
    space = study.space_of(model)
    listed = points(space)
    if listed is not None:
        return listed[number]
    before = done(search, dataset, model, records)[:number] if number >= STARTUP else []
    if number >= STARTUP and len(before) < number:
        return None
    return _propose(space, search.seed + number, before)


def done(search: Search, dataset: str, model: str, records: Records) -> list[Record]:
    """The records of a search in the order of their numbers, up to the first that is missing."""
    found = []
    for number in range(search.trials):
        record = records.get(Key(dataset, model, "search", number))
        if record is None:
            break
        found.append(record)
    return found


def chosen(study: Study, dataset: str, model: str, records: Records) -> Found | None:
    """The settings that did best, once all are tried; None before.

    Best is by the headline on the validation samples, then by loss, then by number.

    Args:
        study: The study.
        dataset: Name of the group.
        model: Name of the model.
        records: What is done.
    """
    if study.search is None:
        return {}
    tried = done(study.search, origin(study, dataset), model, records)
    if len(tried) < study.search.trials:
        return None
    best = max(tried, key=rank)["found"]  # of equals the first
    return {name: best[name] for name in study.space_of(model)}


def rank(record: Record) -> tuple[float, float]:
    """How good a trial was: the headline on the validation samples, then the loss of classes."""
    if "error" in record:
        return -math.inf, -math.inf
    return headline.of(record).score(record), -record.get("validation_loss", 0.0)


def _propose(space: Space, seed: int, before: Sequence[Record]) -> Found:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # A seed of its own for each trial: with one seed all random proposals would be the same.
    sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = distributions_of(space)
    for record in before:
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(record["found"]), distributions=distributions, value=rank(record)[0]
            )
        )
    return study.ask(distributions).params


def distributions_of(space: Space) -> dict[str, "BaseDistribution"]:
    """A space as optuna knows it."""
    return {name: _distribution(where) for name, where in space.items()}


def _distribution(where: tuple[Value, ...] | Range) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(where, tuple):
        return CategoricalDistribution(where)
    if isinstance(where.low, int) and isinstance(where.high, int):
        return IntDistribution(where.low, where.high, log=where.log)
    return FloatDistribution(where.low, where.high, log=where.log)
