"""From a study to the settings of each of its trainings, all checked before the first one runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqsnn.errors import ConfigError
from sqsnn_bench.study import library, sizing
from sqsnn_bench.study.config import Range, Study, Table, Value
from sqsnn_bench.study.library import Facts, Settings
from sqsnn_bench.study.records import Key, Records
from sqsnn_bench.study.search import Found, chosen, points, proposal


class Trial(NamedTuple):
    """A training that is to be run.

    Attributes:
        key: What it is called.
        found: The settings to try, or those that the search chose, by their dotted names.
    """

    key: Key
    found: Found


@dataclass(frozen=True)
class Plan:
    """A study that was checked, and where its results go.

    Attributes:
        study: The study.
        out: The folder of the results.
        facts: What the data of each group say.
        sizes: Of the networks that were built to be counted, so that each is built once.
    """

    study: Study
    out: Path
    facts: Mapping[str, Facts]
    sizes: dict[tuple[str, str, str], sizing.Size] = field(default_factory=dict)

    def trials(self) -> Iterator[Key]:
        """Name all trials, in the order in which they run."""
        for dataset in self.study.datasets:
            models = self.study.models_of(dataset)
            if self.study.search is not None and self.study.searches(dataset):
                for model in models:
                    for number in range(self.study.search.trials):
                        yield Key(dataset, model, "search", number)
            for seed in self.study.seeds:
                for model in models:
                    yield Key(dataset, model, "seed", seed)

    def find(self, key: Key, records: Records) -> Found | None:
        """The settings that a trial tries or tests; None while it waits for other trials.

        Args:
            key: What the trial is called.
            records: What is done.
        """
        search = self.study.search
        if key.kind == "seed" or search is None:
            return chosen(self.study, key.dataset, key.model, records)
        return proposal(self.study, search, key.dataset, key.model, key.number, records)

    def settings(self, trial: Trial) -> Settings:
        """The settings of a training.

        Args:
            trial: The trial.
        """
        key, search = trial.key, self.study.search
        if key.kind == "seed" or search is None:
            sections = _sections(self.study, key.dataset, key.model, trial.found, key.number)
        else:
            sections = _sections(self.study, key.dataset, key.model, trial.found, search.seed)
            if search.train_samples is not None:
                samples = min(search.train_samples, self.facts[key.dataset].samples)
                sections["data"]["train_samples"] = samples
            if search.epochs is not None:
                sections["training"]["epochs"] = search.epochs
        unsized = _resolve(self.study, key.dataset, key.model, sections)
        return _sized(self, key.dataset, key.model, unsized)


def make_plan(study: Study, out: Path) -> Plan:
    """Read the data of a study and check that every one of its trainings can be made.

    Args:
        study: The study.
        out: The folder of the results.

    Raises:
        ConfigError: If settings do not fit each other, or a model has no network of the size.
        DataError: If a dataset cannot be had.
    """
    unsized = {
        (dataset, model): [
            _resolve(study, dataset, model, _sections(study, dataset, model, found, study.seeds[0]))
            for found in _extremes(study, model)
        ]
        for dataset, model in study.pairs()
    }
    for dataset in study.datasets:
        _refuse_unequal_data(study, dataset, unsized)
    facts = {
        dataset: library.look(unsized[dataset, study.models_of(dataset)[0]][0])
        for dataset in study.datasets
    }
    plan = Plan(study, out, facts)
    misfits = []
    for (dataset, model), all_settings in unsized.items():
        different = {library.network_key(settings): settings for settings in all_settings}
        for settings in different.values():
            try:
                _sized(plan, dataset, model, settings)
            except ConfigError as error:
                misfits.append(str(error))
    if misfits:
        raise ConfigError("\n".join(dict.fromkeys(misfits)))
    _refuse_unsearchable_data(plan)
    return plan


def _refuse_unsearchable_data(plan: Plan) -> None:
    """Refuse so few samples for the search that they cannot be split."""
    study = plan.study
    if study.search is None or study.search.train_samples is None:
        return
    for dataset in study.datasets:
        model = study.models_of(dataset)[0]
        first = Trial(Key(dataset, model, "search", 0), _extremes(study, model)[0])
        # All samples that there are were split before.
        fewer = study.search.train_samples < plan.facts[dataset].samples
        if study.searches(dataset) and fewer:
            try:
                library.look(plan.settings(first))
            except ValueError as error:
                raise ConfigError(f"datasets.{dataset} in the search: {error}") from error


def _refuse_unequal_data(
    study: Study, dataset: str, settings: Mapping[tuple[str, str], list[Settings]]
) -> None:
    """Refuse a group in which some default of the data follows from a model."""
    data = {
        model: library.data_of(one)
        for model in study.models_of(dataset)
        for one in settings[dataset, model]
    }
    first, *others = data
    for other in others:
        for name, value in data[other].items():
            if value != data[first][name]:
                raise ConfigError(
                    f"datasets.{dataset}: data.{name} would be {data[first][name]!r} for {first}, "
                    f"but {value!r} for {other}; data must be equal for all models: set it under "
                    f"[datasets.{dataset}]"
                )


def _extremes(study: Study, model: str) -> list[Found]:
    """All combinations that a search may try, of ranges their ends, but all sizes."""
    if study.search is None:
        return [{}]
    space = study.space_of(model)
    return points({name: _extreme_values(name, where) for name, where in space.items()}) or []


def _extreme_values(name: str, where: tuple[Value, ...] | Range) -> tuple[Value, ...]:
    if not isinstance(where, Range):
        return where
    if isinstance(where.low, int) and isinstance(where.high, int) and name.startswith("neurons."):
        return tuple(range(where.low, where.high + 1))
    return where.low, where.high


def _sections(study: Study, dataset: str, model: str, found: Found, seed: int) -> Table:
    """Join the sections of a group and a model, and what a search found; of no size as yet."""
    group, own = study.datasets[dataset], study.models[model]
    sections: Table = {
        "skip": own.skip,
        "neurons": _copied(own.neurons),
        "device_noise": _copied(own.device_noise),
        "encoding": _copied(group.encoding),
        "rule": _copied(own.rule),
        "training": {**group.training, **own.training, "seed": seed},
        "data": _copied(group.data),
    }
    if group.report_steps is not None:
        sections["report_steps"] = group.report_steps
    for name, value in found.items():
        _set(sections, name, value, f"models.{model} on datasets.{dataset}")
    return sections


def _copied(table: Table) -> Table:
    return {
        name: _copied(value) if isinstance(value, dict) else value for name, value in table.items()
    }


def _set(sections: Table, name: str, value: Value, where: str) -> None:
    *above, last = name.split(".")
    table: object = sections
    for part in above:
        table = table.setdefault(part, {}) if isinstance(table, dict) else None
    if not above or not isinstance(table, dict):
        raise ConfigError(f"{where}: {name} is searched, but there is no such setting")
    table[last] = value


def _resolve(study: Study, dataset: str, model: str, sections: Table) -> Settings:
    name = study.datasets[dataset].dataset or dataset
    try:
        return library.resolve(name, sections)
    except ConfigError as error:
        raise ConfigError(f"models.{model} on datasets.{dataset}: {error}") from error


def _sized(plan: Plan, dataset: str, model: str, settings: Settings) -> Settings:
    key = dataset, model, library.network_key(settings)
    if key not in plan.sizes:
        facts, study = plan.facts[dataset], plan.study
        try:
            plan.sizes[key] = sizing.fit(
                lambda hidden: library.count(
                    library.resized(settings, hidden), facts.features, facts.outputs
                ),
                study.datasets[dataset].parameters,
                study.models[model].hidden_layers,
            )
        except ConfigError as error:
            raise ConfigError(f"models.{model} on datasets.{dataset}: {error}") from error
    return library.resized(settings, plan.sizes[key].hidden)
