"""The settings of a run that were chosen, and the command that trains it again."""

import json
import re
import shlex
from typing import Any, NamedTuple

from sqsnn.data.presets import DELAYS, find_events
from sqsnn.training.config import ModelConfig, Recipe, RunConfig, for_dataset
from sqsnn.training.data_config import DataOptions
from sqsnn.training.noise_config import RATES
from sqsnn.training.rule_config import Section

# What the command is about or finds out by itself, and a folder that others do not have.
_UNSAID = ("dataset", "source", "data_dir")
_DEFAULT = re.compile(r" \[default: [^]]*\]")  # in words, for the command line's help


class Setting(NamedTuple):
    """A setting of a run.

    default: What it would be if it had not been chosen.
    meaning: What it is, in words.
    """

    name: str
    value: Any
    default: Any
    meaning: str

    @property
    def is_chosen(self) -> bool:
        """Whether it differs from its default."""
        return self.value != self.default


def settings(config: RunConfig) -> list[Setting]:
    """List all settings of a run but the dataset and where it lies, with their defaults.

    Args:
        config: the settings of the run; the defaults are those of its dataset.
    """
    base = _defaults(config)
    found = []
    for name in type(config).model_fields:
        given: Section = getattr(config, name)
        section: Section = getattr(base, name)
        for field, about in type(given).model_fields.items():
            if field not in _UNSAID:
                said = " ".join((about.description or "").split())
                meaning = _DEFAULT.sub("", said)
                value, default = getattr(given, field), getattr(section, field)
                found.append(Setting(field, value, default, meaning))
    return found


def train_command(config: RunConfig) -> str | None:
    """Write the command that trains a run again, its data folder aside.

    Args:
        config: the settings of the run.

    Returns:
        the command; None where a setting was left open that the dataset's preset would fill.
    """
    words = ["sqsnn", "train", config.data.dataset]
    for setting in settings(config):
        # The rates of a device are asked for by its name.
        is_read = config.noise.noise_from is not None and setting.name in RATES
        if not setting.is_chosen or is_read:
            continue
        if setting.value is None:
            return None
        words += _flags(setting)
    return shlex.join(words)


def _defaults(config: RunConfig) -> RunConfig:
    """What the settings would be with nothing but the dataset given."""
    data = config.data
    events = find_events(data.dataset)
    asked = DataOptions(
        # The preset's steps follow from it.
        delay=data.delay,
        # Some datasets have no default.
        duration=data.duration if events is not None and events.duration is None else None,
    )
    # The polarity that is the default follows from the channels.
    recipe = Recipe(model=ModelConfig(channels=config.model.channels))
    base = for_dataset(data.dataset, asked, recipe)
    delay = DELAYS.get(data.dataset)
    duration = None if events is None else events.duration
    return base.model_copy(
        update={
            "data": base.data.model_copy(update={"delay": delay, "duration": duration}),
            "model": base.model.model_copy(update={"channels": ModelConfig().channels}),
        }
    )


def _flags(setting: Setting) -> list[str]:
    flag, value = "--" + setting.name.replace("_", "-"), setting.value
    if isinstance(value, dict):
        options = value.items()
        return [word for name, one in options for word in (f"{flag}.{name}", _option(one))]
    if value is True:
        return [flag]
    if value is False:
        return [f"{flag}=false"]
    if isinstance(value, tuple):
        return [flag, ",".join(map(str, value))]
    return [flag, str(value)]


def _option(value: bool | int | float | str) -> str:
    """Write an option as the command line reads it: a word that is none of JSON stays as it is."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except json.JSONDecodeError:
            return value
    return json.dumps(value)
