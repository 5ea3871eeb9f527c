"""The file of a study: which models on which datasets, and what is equal for all; no torch here.

What may differ between models, and what must not, is decided here and nowhere else. The settings
themselves are those of a run: the sections hold them as they stand in a config.toml, and the
library checks them when the study is planned.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from sqsnn.errors import ConfigError
from sqsnn.readfile import LARGEST_TOML, parsed_toml, read_text

# They name files and folders.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Value = bool | int | float | str
Choices = Annotated[tuple[Value, ...], Field(min_length=1)]
Seed = Annotated[int, Field(ge=0)]
Table = dict[str, Any]

LEARNING_RATE = "training.learning_rate"
# What a model may set of the training loop: how its optimiser steps, not how often or on what.
_OWN_TRAINING = ("learning_rate", "final_learning_rate")
_EQUAL = ("data", "encoding", "report_steps")
_OWN = ("neurons", "device_noise", "rule")


class Part(BaseModel):
    """A part of a study: immutable, and closed to unknown names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class Range(Part):
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


def _flatten(search: object) -> object:
    """Read `training.learning_rate = ...`, a table in a table to TOML, as one dotted name."""
    return dict(dotted(search)) if isinstance(search, Mapping) else search


def dotted(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Walk the settings of nested tables by their dotted names.

    Args:
        table: The tables; a table with the fields of a `Range` is a value.
        above: What all names start with.
    """
    for name, value in table.items():
        if isinstance(value, Mapping) and not value.keys() & Range.model_fields.keys():
            yield from dotted(value, f"{above}{name}.")
        else:
            yield above + name, value


class Search(Part):
    """The search for settings, the same for every model, on validation samples alone."""

    trials: PositiveInt
    """Trainings per model and dataset."""
    seed: Seed
    """Seed of these trainings; none of those that are reported."""
    train_samples: PositiveInt | None = None
    """Only so many samples for training and validation [default: as in the dataset]."""
    epochs: PositiveInt | None = None
    """Passes over the training data [default: as in the dataset]."""
    learning_rate: Choices | Range | None = None
    """Where to search training.learning_rate for models that do not say."""


class StudyDataset(Part):
    """One group of rows: data and training that are equal for all models, and their size."""

    dataset: str | None = None
    """Name of the dataset [default: the name of the group]."""
    parameters: PositiveInt
    """Trainable parameters of every network."""
    models: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Only these models [default: all]."""
    search_from: str | None = None
    """Take the settings that were found for this group [default: a search of its own]."""
    data: Table = Field(default_factory=dict)
    """As in the config.toml of a run."""
    encoding: Table = Field(default_factory=dict)
    """As in the config.toml of a run."""
    report_steps: PositiveInt | None = None
    """As in the config.toml of a run."""
    training: Table = Field(default_factory=dict)
    """As in the config.toml of a run."""


class StudyModel(Part):
    """One model: its neurons, how they learn, and which of its settings are searched."""

    label: str | None = None
    """What tables and pictures call it [default: its name]."""
    hidden_layers: PositiveInt = 1
    """Hidden layers, all of one width."""
    skip: bool = False
    """Let the input also feed the output."""
    neurons: Table = Field(default_factory=dict)
    """As in the config.toml of a run."""
    device_noise: Table = Field(default_factory=dict)
    """As in the config.toml of a run."""
    rule: Table = Field(default_factory=dict)
    """As in the config.toml of a run."""
    training: Table = Field(default_factory=dict)
    """learning_rate and final_learning_rate, as in the config.toml of a run."""
    search: Annotated[dict[str, Choices | Range], BeforeValidator(_flatten)] = Field(
        default_factory=dict
    )
    """Settings by their dotted names, and where to search them."""


class Study(Part):
    """A whole study."""

    name: Name
    """Its name."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    """Seeds of the trainings that are tested."""
    reference: str | None = None
    """The model that the others' accuracies are compared with [default: none]."""
    comparisons: tuple[tuple[str, str], ...] = ()
    """Further pairs of models to compare, the second subtracted from the first [default: none]."""
    search: Search | None = None
    """The search for settings [default: none]."""
    datasets: Annotated[dict[Name, StudyDataset], Field(min_length=1)]
    """The groups of rows by name."""
    models: Annotated[dict[Name, StudyModel], Field(min_length=1)]
    """The models by name."""

    def models_of(self, dataset: str) -> tuple[str, ...]:
        """List the models of a group, in the order of the file."""
        chosen = self.datasets[dataset].models
        return tuple(name for name in self.models if chosen is None or name in chosen)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every group with every one of its models, in the order of the file."""
        for dataset in self.datasets:
            for model in self.models_of(dataset):
                yield dataset, model

    def label(self, model: str) -> str:
        """What tables and pictures call a model."""
        return self.models[model].label or model

    def space_of(self, model: str) -> Mapping[str, tuple[Value, ...] | Range]:
        """Where the settings of a model are searched, by their dotted names."""
        everywhere = self.search and self.search.learning_rate
        return ({LEARNING_RATE: everywhere} if everywhere else {}) | self.models[model].search

    def searches(self, dataset: str) -> bool:
        """Whether a group has a search of its own."""
        return self.search is not None and self.datasets[dataset].search_from is None


def read_study(path: Path) -> Study:
    """Read the file of a study.

    Args:
        path: The file, TOML.

    Raises:
        ConfigError: If there is no such file, it is not TOML, a setting is missing, unknown or out
            of range, or a model sets what must be equal for all.
    """
    if not path.is_file():
        raise ConfigError(f"there is no study file {path}; examples/study.toml is one")
    raw = parsed_toml(read_text(path, LARGEST_TOML, ConfigError), path, ConfigError)
    try:
        _refuse_unfair(raw)
        study = Study.model_validate(raw)
        _check(study)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_explained(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return study


def _explained(error: ValidationError) -> str:
    """Say in one line what is wrong, by the places in the file."""
    faults = []
    for fault in error.errors(include_url=False):
        where, why = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
        known = fault["type"] not in ("missing", "value_error")
        faults.append(f"{where}: {why}" + (f", but is {fault['input']!r}" if known else ""))
    return "; ".join(faults)


def _refuse_unfair(raw: Mapping[str, Any]) -> None:
    """Refuse what would make models unequal, by name, before sections are read."""
    for name, model in _tables(raw, "models"):
        for setting in [*_names(model), *_searched(model)]:
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
            if setting == "hidden":
                raise ConfigError(f"datasets.{name} sets hidden, which follows from parameters")


def _refuse_setting(where: str, setting: str) -> None:
    section, _, name = setting.partition(".")
    if section in _EQUAL or (section == "training" and name not in _OWN_TRAINING):
        raise ConfigError(
            f"{where} sets {setting}, which must be equal for all models: set it under "
            "[datasets.NAME]"
        )
    if section == "hidden":
        raise ConfigError(f"{where} sets hidden, which follows from parameters: leave it out")
    if setting == "rule.score.update_every_step":
        raise ConfigError(f"{where} sets {setting}: all models take one step per batch")
    if setting.startswith("rule.score.backend"):
        raise ConfigError(f"{where} sets {setting}, but a study runs on the simulator only")


def _tables(raw: Mapping[str, Any], section: str) -> list[tuple[str, Mapping[str, Any]]]:
    tables = raw.get(section, {})
    if not isinstance(tables, Mapping):
        return []  # pydantic says so better
    return [(name, table) for name, table in tables.items() if isinstance(table, Mapping)]


def _searched(model: Mapping[str, Any]) -> list[str]:
    search = model.get("search")
    return [name for name, _ in dotted(search)] if isinstance(search, Mapping) else []


def _names(table: Mapping[str, Any]) -> list[str]:
    """Dotted names of the settings in the sections of a table."""
    sections = (*_EQUAL, *_OWN, "training", "hidden")
    return [name for name, _ in dotted({s: table[s] for s in sections if s in table})]


def _check(study: Study) -> None:
    """Refuse a study whose parts do not fit each other."""
    if len(set(study.seeds)) < len(study.seeds):
        raise ConfigError(f"seeds must name each seed once, but is {list(study.seeds)}")
    if study.reference is not None and study.reference not in study.models:
        raise ConfigError(
            f"reference must be one of {', '.join(study.models)}, but is {study.reference!r}"
        )
    _check_comparisons(study)
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


def _check_comparisons(study: Study) -> None:
    """Refuse pairs that compare nothing, or the same twice: each makes the correction stricter."""
    done = [{model, study.reference} for model in study.models]
    for pair in study.comparisons:
        where = f"comparisons must name two of {', '.join(study.models)}, but holds {list(pair)}"
        if set(pair) in done:
            raise ConfigError(f"{where}, which are compared already: leave them out")
        groups = [set(study.models_of(group)) for group in study.datasets]
        if len(set(pair)) < 2 or not any(set(pair) <= models for models in groups):
            raise ConfigError(f"{where}: no group has them")
        done.append(set(pair))


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
    if missing := set(study.models_of(name)) - set(study.models_of(origin)):
        raise ConfigError(f"{where} is {origin!r}, which has no {', '.join(sorted(missing))}")


def _check_space(study: Study, name: str, trials: int) -> None:
    model, space = study.models[name], study.space_of(name)
    own = {name for name, _ in dotted({s: getattr(model, s) for s in (*_OWN, "training")})}
    if twice := own & space.keys():
        raise ConfigError(f"models.{name} both sets and searches {', '.join(sorted(twice))}")
    for group, dataset in study.datasets.items():
        equal = {f"training.{setting}" for setting in dataset.training}
        if name in study.models_of(group) and (twice := equal & space.keys()):
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
