"""From a study to the settings of each of its trainings, all checked before the first one runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from sqsnn.errors import ConfigError
from sqsnn.study import sizing
from sqsnn.study.config import Range, Search, Study, Value, models_of, space_of
from sqsnn.study.identity import digest
from sqsnn.training import run
from sqsnn.training.config import Recipe, RunConfig, explain, for_dataset
from sqsnn.training.noise_config import NoiseConfig

Found = Mapping[str, Value]


class Facts(NamedTuple):
    """What only the data say.

    Args:
        features: values of a sample.
        classes: number of classes.
        samples: samples for training and validation.
        source: where they come from.
    """

    features: int
    classes: int
    samples: int
    source: str


@dataclass(frozen=True)
class Plan:
    """A study that was checked, and where its results go.

    Args:
        study: the study.
        out: the folder of the results.
        facts: what the data of each group say.
        sizes: of the networks that were built to be counted, so that each is built once.
    """

    study: Study
    out: Path
    facts: Mapping[str, Facts]
    sizes: dict[tuple[str, str, str], sizing.Size] = field(default_factory=dict)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every group with every one of its models, in the order of the file."""
        for dataset in self.study.datasets:
            for model in models_of(self.study, dataset):
                yield dataset, model


def make_plan(study: Study, out: Path) -> Plan:
    """Read the data of a study and check that every one of its trainings can be made.

    Args:
        study: the study.
        out: the folder of the results.

    Raises:
        ConfigError: if settings do not fit each other, or a model has no network of the size.
        DataError: if a dataset cannot be had.
    """
    unsized = {
        (dataset, model): [
            _settings(study, dataset, model, found, study.seeds[0])
            for found in _extremes(study, model)
        ]
        for dataset in study.datasets
        for model in models_of(study, dataset)
    }
    for dataset in study.datasets:
        _refuse_unequal_data(study, dataset, unsized)
    facts = {
        dataset: _look(unsized[dataset, models_of(study, dataset)[0]][0])
        for dataset in study.datasets
    }
    plan = Plan(study, out, facts)
    misfits = []
    for (dataset, model), all_settings in unsized.items():
        different = {_network_key(settings): settings for settings in all_settings}
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
    for dataset, group in study.datasets.items():
        model = models_of(study, dataset)[0]
        settings = search_settings(plan, dataset, model, _extremes(study, model)[0])
        # As many as there are were looked at already.
        if group.search_from is None and settings.data.train_samples != plan.facts[dataset].samples:
            try:
                _look(settings)
            except ValueError as error:
                raise ConfigError(f"datasets.{dataset} in the search: {error}") from error


def _refuse_unequal_data(
    study: Study, dataset: str, settings: Mapping[tuple[str, str], list[RunConfig]]
) -> None:
    """Refuse a group in which some default of the data follows from a model."""
    data = {
        model: one.data.model_dump(mode="json")
        for model in models_of(study, dataset)
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


def final_settings(plan: Plan, dataset: str, model: str, found: Found, seed: int) -> RunConfig:
    """The settings of a training that is tested.

    Args:
        plan: the study.
        dataset: name of the group.
        model: name of the model.
        found: the settings that the search chose, by their dotted names.
        seed: the seed.
    """
    return _sized(plan, dataset, model, _settings(plan.study, dataset, model, found, seed))


def search_settings(plan: Plan, dataset: str, model: str, found: Found) -> RunConfig:
    """The settings of a training of the search.

    Args:
        plan: a study with a search.
        dataset: name of the group.
        model: name of the model.
        found: the settings to try, by their dotted names.
    """
    search = search_of(plan.study)
    settings = final_settings(plan, dataset, model, found, search.seed)
    data, training = settings.data, settings.training
    if search.train_samples is not None:
        samples = min(search.train_samples, plan.facts[dataset].samples)
        data = data.model_copy(update={"train_samples": samples})
    if search.epochs is not None:
        training = training.model_copy(update={"epochs": search.epochs})
    return settings.model_copy(update={"data": data, "training": training})


def search_base(plan: Plan, dataset: str, model: str) -> RunConfig:
    """Settings that stand for all trials of a search; of no size as yet.

    Args:
        plan: a study with a search.
        dataset: name of the group.
        model: name of the model.
    """
    study, seed = plan.study, search_of(plan.study).seed
    try:
        return _settings(study, dataset, model, {}, seed)
    except ConfigError:
        # What is searched is left at its default here, beside which another setting may not do.
        return _settings(study, dataset, model, _extremes(study, model)[0], seed)


def search_name(plan: Plan, dataset: str, model: str) -> str:
    """The name of a search: group, model, and a digest of all that decides what it finds.

    Args:
        plan: a study with a search.
        dataset: name of the group.
        model: name of the model.
    """
    study, search = plan.study, search_of(plan.study)
    space = space_of(study, model)
    content = {
        "settings": digest(search_base(plan, dataset, model)),
        "parameters": study.datasets[dataset].parameters,
        "hidden_layers": study.models[model].hidden_layers,
        "search": search.model_dump(mode="json"),
        "space": {
            name: where.model_dump() if isinstance(where, Range) else list(where)
            for name, where in space.items()
        },
    }
    return f"{dataset}/{model}/{digest(content)}"


def search_of(study: Study) -> Search:
    """The search of a study that has one.

    Args:
        study: the study.
    """
    if study.search is None:
        raise ConfigError(f"study {study.name!r} has no section [search]")
    return study.search


def origin(study: Study, dataset: str) -> str:
    """The group whose search serves a group.

    Args:
        study: the study.
        dataset: name of the group.
    """
    return study.datasets[dataset].search_from or dataset


def points(space: Mapping[str, tuple[Value, ...] | Range]) -> list[Found] | None:
    """All combinations of a space of lists; None where it has a range.

    Args:
        space: where to search, by dotted names.
    """
    lists = {name: choices for name, choices in space.items() if isinstance(choices, tuple)}
    if len(lists) < len(space):
        return None
    return [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]


def _extremes(study: Study, model: str) -> list[Found]:
    """All combinations that a search may try, of ranges their ends, but all sizes."""
    if study.search is None:
        return [{}]
    space = space_of(study, model)
    return points({name: _extreme_values(name, where) for name, where in space.items()}) or []


def _extreme_values(name: str, where: tuple[Value, ...] | Range) -> tuple[Value, ...]:
    if not isinstance(where, Range):
        return where
    if isinstance(where.low, int) and isinstance(where.high, int) and name.startswith("model."):
        return tuple(range(where.low, where.high + 1))
    return where.low, where.high


def _settings(study: Study, dataset: str, model: str, found: Found, seed: int) -> RunConfig:
    """Join the sections of a group and a model, and what a search found; of no size as yet."""
    group, own = study.datasets[dataset], study.models[model]
    sections: dict[str, dict[str, Any]] = {
        "model": own.model.model_dump(exclude_unset=True),
        "noise": own.noise.model_dump(exclude_unset=True),
        "encoding": group.encoding.model_dump(exclude_unset=True),
        "readout": group.readout.model_dump(exclude_unset=True),
        "rule": own.rule.model_dump(exclude_unset=True),
        "training": group.training.model_dump(exclude_unset=True) | own.training | {"seed": seed},
    }
    where = f"models.{model} on datasets.{dataset}"
    for name, value in found.items():
        _set(sections, name, value, where)
    try:
        recipe = Recipe.model_validate(sections)
        return for_dataset(group.dataset or dataset, group.data, recipe)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _set(sections: dict[str, dict[str, Any]], name: str, value: Value, where: str) -> None:
    *above, last = name.split(".")
    table: Any = sections
    for part in above:
        table = table.setdefault(part, {}) if isinstance(table, dict) else None
    if not above or not isinstance(table, dict):
        raise ConfigError(f"{where}: {name} is searched, but there is no such setting")
    table[last] = value


def _sized(plan: Plan, dataset: str, model: str, settings: RunConfig) -> RunConfig:
    key = dataset, model, _network_key(settings)
    if key not in plan.sizes:
        facts, study = plan.facts[dataset], plan.study
        # Noise has no parameters, and that of a device may not be known yet.
        silent = settings.model_copy(update={"noise": NoiseConfig()})
        try:
            plan.sizes[key] = sizing.fit(
                silent if settings.noise.is_open else settings,
                facts.features,
                facts.classes,
                study.datasets[dataset].parameters,
                study.models[model].hidden_layers,
            )
        except ConfigError as error:
            raise ConfigError(f"models.{model} on datasets.{dataset}: {error}") from error
    network = settings.model.model_copy(update={"hidden": plan.sizes[key].hidden})
    return settings.model_copy(update={"model": network})


def _network_key(settings: RunConfig) -> str:
    """All that decides whether a network can be built, and its size."""
    return settings.model_dump_json(include={"model", "noise", "rule"})


def _look(settings: RunConfig) -> Facts:
    _, dataset = run.prepare(settings)
    return Facts(
        dataset.features,
        len(dataset.class_names),
        len(dataset.train.labels) + len(dataset.validation.labels),
        dataset.source,
    )
