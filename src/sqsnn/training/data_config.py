"""The settings of the data of a run: which part of a dataset, and how its events are binned.

No torch here: the command line makes flags of them.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from sqsnn.data.presets import (
    DELAYS,
    EVENTS,
    PRESETS,
    TONIC,
    Preset,
    find_events,
    find_preset,
)
from sqsnn.errors import ConfigError
from sqsnn.training.rule_config import Section


def split_commas(value: object) -> object:
    """Read "64,64", alone or in a list as the command line gives it, as the list of its parts."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    return [part.strip() for text in texts if text.strip() for part in text.split(",")]


Labels = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(split_commas), Field(min_length=2)
]
_EVENT_OPTIONS = ("pool", "polarity", "duration")


class DataOptions(Section):
    """Which part of a dataset, and where its files lie."""

    data_dir: Path | None = None
    """Folder of the datasets [default: $SQSNN_DATA, else the user's cache folder]."""
    classes: Labels | None = None
    """Only these classes, e.g. 1,7 [default: all]."""
    train_samples: PositiveInt | None = None
    """Only so many samples for training and validation [default: all]."""
    test_samples: PositiveInt | None = None
    """Only so many samples for the test [default: all]."""
    delay: PositiveInt | None = None
    """Blank steps between cue and report [default: recall 5; order, xor, duration 3]."""
    pool: PositiveInt | None = None
    """So many rows and columns of an event sensor become one input [default: the preset's]."""
    polarity: Literal["channels", "sum"] | None = None
    """ON and OFF events: the two channels of the neurons, or both in one [default: channels where
    there are two]."""
    duration: Annotated[float, Field(ge=1e-6, le=1e6)] | None = None
    """Seconds of an event recording that the steps span [default: the preset's]."""


class DataConfig(DataOptions):
    """The data of a run."""

    dataset: str
    """Name of the dataset; `sqsnn datasets` lists them."""
    source: str | None = None
    """The files that it was read from; the test must not come from others."""

    @model_validator(mode="after")
    def _complete(self) -> "DataConfig":
        if find_events(self.dataset) is not None:
            missing = [name for name in _EVENT_OPTIONS if getattr(self, name) is None]
            if missing:
                raise ValueError(f"{self.dataset} has events, and {', '.join(missing)} is not set")
        return self


def require_preset(dataset: str) -> Preset:
    """The preset of a dataset.

    Args:
        dataset: name of the dataset.

    Raises:
        ConfigError: if there is no such dataset.
    """
    preset = find_preset(dataset)
    if preset is None:
        raise ConfigError(
            f"dataset must be one of {', '.join(PRESETS)}, or {TONIC}NAME, but is {dataset!r}"
        )
    return preset


def for_data(dataset: str, options: DataOptions, channels: int) -> DataConfig:
    """Join a dataset and what is asked of it; what is left open comes from the dataset's preset.

    Args:
        dataset: name of the dataset.
        options: which part of it, and how its events are binned.
        channels: channels of the neurons.

    Raises:
        ConfigError: if there is no such dataset, or an option does not fit it.
    """
    require_preset(dataset)
    delay = options.delay
    if dataset in DELAYS:
        delay = DELAYS[dataset] if delay is None else delay
    elif delay is not None:
        raise ConfigError(
            f"delay is {delay}, but {dataset} has none; it goes with {', '.join(DELAYS)}"
        )
    filled = {"delay": delay, **_event_options(dataset, options, channels)}
    return DataConfig(dataset=dataset, **dict(options.model_copy(update=filled)))


def _event_options(dataset: str, options: DataOptions, channels: int) -> dict[str, Any]:
    """Pool, polarity and duration, checked, where a dataset has events."""
    preset = find_events(dataset)
    given = {name: getattr(options, name) for name in _EVENT_OPTIONS}
    if preset is None:
        for name, value in given.items():
            if value is not None:
                raise ConfigError(
                    f"{name} is {value!r}, but {dataset} has no events; it goes with "
                    f"{', '.join(EVENTS)} and {TONIC}NAME"
                )
        return {}
    keeps = "channels" if channels == 2 and preset.polarities != 1 else "sum"
    defaults = {"pool": preset.pool, "polarity": keeps, "duration": preset.duration}
    filled = {name: defaults[name] if value is None else value for name, value in given.items()}
    if filled["duration"] is None:
        raise ConfigError(
            f"duration must be given for {dataset}, because nobody knows how long its recordings "
            "are: --duration SECONDS"
        )
    if filled["polarity"] == "channels" and preset.polarities == 1:
        raise ConfigError(
            f"polarity must be 'sum', because the events of {dataset} are neither ON nor OFF, but "
            "is 'channels'"
        )
    if filled["polarity"] == "channels" and channels != 2:
        raise ConfigError(
            f"polarity is 'channels', which needs neurons of 2 channels, but channels is "
            f"{channels}: add --channels 2, or let polarity be 'sum'"
        )
    return filled
