"""The file of a study: which models on which datasets, and what is equal for all; no torch here.

What may differ between models, and what must not, is decided here and nowhere else.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from sqsnn.errors import ConfigError
from sqsnn.training.config import (
    DataOptions,
    EncodingConfig,
    ModelConfig,
    ReadoutConfig,
    TrainingConfig,
    explain,
)
from sqsnn.training.noise_config import NoiseConfig
from sqsnn.training.rule_config import RuleConfig, Section

# They name files and folders.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Value = bool | int | float | str
Choices = Annotated[tuple[Value, ...], Field(min_length=1)]
Seed = Annotated[int, Field(ge=0)]

LEARNING_RATE = "training.learning_rate"
# What a model may set of the training loop: how its optimiser steps, not how often or on what.
_OWN_TRAINING = ("learning_rate", "final_learning_rate")
_EQUAL = ("data", "encoding", "readout")
_OWN = ("model", "noise", "rule")


def _flatten(search: object) -> object:
    """Read `training.learning_rate = ...`, a table in a table to TOML, as one dotted name."""
    return dict(_flat("", search)) if isinstance(search, Mapping) else search


def _flat(above: str, search: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, choices in search.items():
        if isinstance(choices, Mapping) and not choices.keys() & Range.model_fields.keys():
            yield from _flat(f"{above}{name}.", choices)
        else:
            yield above + name, choices


class Range(Section):
    """Numbers to search between; whole ones where both ends are whole."""

    low: int | float
    """Lowest number."""
    high: int | float
    """Highest number."""
    log: bool = False
    """Draw its logarithm evenly."""

    @model_validator(mode="after")
    def _rising(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"high must be above low, {self.low}, but is {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, but is {self.low}")
        return self


class Search(Section):
    """The search for settings, the same for every model, on validation samples alone."""

    trials: PositiveInt
    """Trainings for each model and dataset."""
    seed: Seed
    """Seed of these trainings; none of those that are reported."""
    train_samples: PositiveInt | None = None
    """Only so many samples for training and validation [default: as in the dataset]."""
    epochs: PositiveInt | None = None
    """Passes over the training data [default: as in the dataset]."""
    learning_rate: Choices | Range | None = None
    """Where to search training.learning_rate for models that do not say."""


class StudyDataset(Section):
    """One group of rows: data and training that are equal for all models, and their size."""

    dataset: str | None = None
    """Name of the dataset [default: the name of the group]."""
    parameters: PositiveInt
    """Trainable parameters of every network."""
    models: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Only these models [default: all]."""
    search_from: str | None = None
    """Take the settings that were found for this group [default: a search of its own]."""
    data: DataOptions = DataOptions()
    """As in the config.toml of a run."""
    encoding: EncodingConfig = EncodingConfig()
    """As in the config.toml of a run."""
    readout: ReadoutConfig = ReadoutConfig()
    """As in the config.toml of a run."""
    training: TrainingConfig = TrainingConfig()
    """As in the config.toml of a run."""


class StudyModel(Section):
    """One model: its neurons, how they learn, and which of its settings are searched."""

    label: str | None = None
    """What tables and pictures call it [default: its name]."""
    hidden_layers: PositiveInt = 1
    """Hidden layers, all of one width."""
    model: ModelConfig = ModelConfig()
    """As in the config.toml of a run."""
    noise: NoiseConfig = NoiseConfig()
    """As in the config.toml of a run."""
    rule: RuleConfig = RuleConfig()
    """As in the config.toml of a run."""
    training: dict[str, Any] = Field(default_factory=dict)
    """learning_rate and final_learning_rate, as in the config.toml of a run."""
    search: Annotated[dict[str, Choices | Range], BeforeValidator(_flatten)] = Field(
        default_factory=dict
    )
    """Settings by their dotted names, and where to search them."""


class Study(Section):
    """A whole study."""

    name: Name
    """Its name."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    """Seeds of the trainings that are tested."""
    reference: str | None = None
    """The model that the others' accuracies are compared with [default: none]."""
    search: Search | None = None
    """The search for settings [default: none]."""
    datasets: Annotated[dict[Name, StudyDataset], Field(min_length=1)]
    """The groups of rows by name."""
    models: Annotated[dict[Name, StudyModel], Field(min_length=1)]
    """The models by name."""


def read_study(path: Path) -> Study:
    """Read the file of a study.

    Args:
        path: the file, TOML.

    Raises:
        ConfigError: if it is not TOML, a setting is missing, unknown or out of range, or a model
            sets what must be equal for all.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        _refuse_unfair(raw)
        study = Study.model_validate(raw)
        _check(study)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return study


def models_of(study: Study, dataset: str) -> tuple[str, ...]:
    """The models of a group, in the order of the file.

    Args:
        study: the study.
        dataset: name of the group.
    """
    chosen = study.datasets[dataset].models
    return tuple(name for name in study.models if chosen is None or name in chosen)


def space_of(study: Study, model: str) -> Mapping[str, tuple[Value, ...] | Range]:
    """Where the settings of a model are searched, by their dotted names.

    Args:
        study: a study with a search.
        model: name of the model.
    """
    everywhere = study.search and study.search.learning_rate
    return ({LEARNING_RATE: everywhere} if everywhere else {}) | study.models[model].search


def _refuse_unfair(raw: Mapping[str, Any]) -> None:
    """Refuse what would make models unequal, by name, before sections are read."""
    for name, model in _tables(raw, "models"):
        given = [*_names(model), *_searched(model)]
        for setting in given:
            _refuse_setting(f"models.{name}", setting)
    for name, dataset in _tables(raw, "datasets"):
        for setting in _names(dataset):
            section = setting.partition(".")[0]
            if section in _OWN:
                raise ConfigError(
                    f"datasets.{name} sets {setting}, which belongs to a model: set it under "
                    "[models.NAME]"
                )
            if setting == "training.seed":
                raise ConfigError(f"datasets.{name} sets training.seed: seeds are listed on top")


def _refuse_setting(where: str, setting: str) -> None:
    section, _, name = setting.partition(".")
    if section in _EQUAL or (section == "training" and name not in _OWN_TRAINING):
        raise ConfigError(
            f"{where} sets {setting}, which must be equal for all models: set it under "
            "[datasets.NAME]"
        )
    if setting == "model.hidden":
        raise ConfigError(f"{where} sets model.hidden, which follows from parameters: leave it out")
    if setting == "rule.update_every_step":
        raise ConfigError(f"{where} sets {setting}: all models take one step a batch")
    if setting == "rule.backend":
        raise ConfigError(f"{where} sets rule.backend, but a study runs on the simulator only")


def _tables(raw: Mapping[str, Any], section: str) -> list[tuple[str, Mapping[str, Any]]]:
    tables = raw.get(section, {})
    if not isinstance(tables, Mapping):
        return []  # pydantic says so better
    return [(name, table) for name, table in tables.items() if isinstance(table, Mapping)]


def _searched(model: Mapping[str, Any]) -> list[str]:
    search = model.get("search")
    return [name for name, _ in _flat("", search)] if isinstance(search, Mapping) else []


def _names(table: Mapping[str, Any]) -> list[str]:
    """Dotted names of the settings in the sections of a table."""
    return [
        f"{section}.{name}"
        for section in (*_EQUAL, *_OWN, "training")
        if isinstance(table.get(section), Mapping)
        for name in table[section]
    ]


def _check(study: Study) -> None:
    """Refuse a study whose parts do not fit each other."""
    if len(set(study.seeds)) < len(study.seeds):
        raise ConfigError(f"seeds must name each seed once, but is {list(study.seeds)}")
    if study.reference is not None and study.reference not in study.models:
        raise ConfigError(
            f"reference must be one of {', '.join(study.models)}, but is {study.reference!r}"
        )
    for name, dataset in study.datasets.items():
        if unknown := [model for model in dataset.models or () if model not in study.models]:
            raise ConfigError(
                f"datasets.{name}.models names {', '.join(unknown)}; there are "
                f"{', '.join(study.models)}"
            )
        if dataset.search_from is not None:
            _check_origin(study, name, dataset.search_from)
    if study.search is None:
        if searched := [name for name, model in study.models.items() if model.search]:
            raise ConfigError(f"models.{searched[0]}.search needs a section [search]")
        return
    if study.search.seed in study.seeds:
        raise ConfigError(
            f"search.seed must be none of seeds, {list(study.seeds)}, but is {study.search.seed}: "
            "settings chosen on a seed flatter it"
        )
    for name in study.models:
        _check_space(study, name, study.search.trials)


def _check_origin(study: Study, name: str, origin: str) -> None:
    where = f"datasets.{name}.search_from"
    if study.search is None:
        raise ConfigError(f"{where} needs a section [search]")
    if origin not in study.datasets or study.datasets[origin].search_from is not None:
        own = [other for other, it in study.datasets.items() if it.search_from is None]
        raise ConfigError(
            f"{where} must be a group with a search of its own ({', '.join(own)}), but is "
            f"{origin!r}"
        )
    if missing := set(models_of(study, name)) - set(models_of(study, origin)):
        raise ConfigError(f"{where} is {origin!r}, which has no {', '.join(sorted(missing))}")


def _check_space(study: Study, name: str, trials: int) -> None:
    model, space = study.models[name], space_of(study, name)
    set_here = model.model_dump(include={*_OWN, "training"}, exclude_unset=True)
    own = {setting for setting, _ in _flat("", set_here)}
    if twice := own & space.keys():
        raise ConfigError(f"models.{name} both sets and searches {', '.join(sorted(twice))}")
    for group, dataset in study.datasets.items():
        equal = {f"training.{setting}" for setting in dataset.training.model_fields_set}
        if name in models_of(study, group) and (twice := equal & space.keys()):
            raise ConfigError(
                f"datasets.{group} sets {', '.join(sorted(twice))}, which models.{name} searches"
            )
    lists = [choices for choices in space.values() if isinstance(choices, tuple)]
    if len(lists) < len(space):
        return
    points = 1
    for choices in lists:
        points *= len(choices)
    if points != trials:
        raise ConfigError(
            f"models.{name} has {points} combinations to search, but search.trials is {trials}: "
            "the budget must be equal for all models"
        )
