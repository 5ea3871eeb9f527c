"""The settings of a run's data: which part of a dataset, and how its events are binned."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from sqsnn.data.dataset_spec import DatasetSpec
from sqsnn.data.own import SUFFIXES
from sqsnn.data.specs import TONIC, find_spec, is_folder, is_own, names, own_spec
from sqsnn.errors import ConfigError
from sqsnn.options import Count, as_text
from sqsnn.settings.section import Labels, Names, Section, split_commas

if TYPE_CHECKING:
    from sqsnn.data.own_sets import Columns

_EVENT_SETTINGS = ("pool", "polarity", "duration")
_TABLE_SETTINGS = ("label", "columns", "groups")


class DataSettings(Section):
    """The data of a run."""

    dataset: str
    """Name of the dataset; `sqsnn datasets` lists them."""
    data_dir: Path | None = None
    """Folder of the datasets [default: $SQSNN_DATA, else the user's cache folder]."""
    classes: Labels | None = None
    """Only these classes, e.g. 1,7 [default: all]."""
    train_samples: Count | None = None
    """Number of samples for training and validation [default: all]."""
    test_samples: Count | None = None
    """Number of samples for the test [default: all]."""
    cue_delay: Count | None = None
    """Blank steps between cue and report, in tasks that have them [default: the preset's]."""
    pool: Count | None = None
    """Rows and columns of an event sensor that become one input [default: the preset's]."""
    polarity: Literal["channels", "maps", "sum"] | None = None
    """ON and OFF events: the two channels of the neurons, two maps of inputs, or both in one
    [default: channels where there are two]."""
    duration: Annotated[float, Field(ge=1e-6, le=1e6)] | None = None
    """Seconds of an event recording that the steps span [default: the preset's]."""
    label: str | None = None
    """Label column of an own table [default: label, class, target or y]."""
    columns: Names | None = None
    """Columns of the features in an own table, e.g. age,height [default: all others]."""
    groups: str | None = None
    """Column of an own table whose equal entries mark samples that a split keeps together."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of an own file's samples for the test, where it holds no test part."""
    length: Count | None = None
    """Steps of the series of an own file, which a run writes down."""
    source: str | None = None
    """The files that a run read; its test must read the same."""

    @model_validator(mode="after")
    def _fits_the_dataset(self) -> "DataSettings":
        spec = find_spec(self.dataset)
        if spec is not None and spec.events is not None:
            missing = [name for name in _EVENT_SETTINGS if getattr(self, name) is None]
            if missing:
                raise ValueError(f"{self.dataset} has events, and {', '.join(missing)} is not set")
        return self


def require_spec(dataset: str) -> DatasetSpec:
    """What is known about a dataset."""
    if is_folder(dataset) and (Path(dataset).expanduser() / "config.toml").is_file():
        raise ConfigError(
            f"{dataset} is the folder of a run: go on with it by --resume, --continue or --from"
        )
    if is_folder(dataset) and not Path(dataset).expanduser().is_dir():
        raise ConfigError(
            f"there is no folder {dataset}, and a file must be one of {', '.join(SUFFIXES)}"
        )
    spec = find_spec(dataset)
    if spec is None:
        close = get_close_matches(dataset, names(), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        known = ", ".join(names())
        raise ConfigError(
            f"dataset must be one of {known}, {TONIC}NAME, a file of your own "
            f"({', '.join(SUFFIXES)}), or a folder of event recordings such as ./events, but is "
            f"{dataset!r}{hint}"
        )
    return spec


def spec_for(dataset: str, given: Mapping[str, Any], readout: str | None = None) -> DatasetSpec:
    """What is known about a dataset; a user's own file is opened.

    Args:
        dataset: Name of the dataset, or path of a file.
        given: Settings of the data by name.
        readout: The kind of the readout that was chosen; None if it was left open.
    """
    if not is_own(dataset):
        return require_spec(dataset)
    from sqsnn.data.own_sets import kind_of

    return own_spec(dataset, **kind_of(dataset, table_of(given, readout))._asdict())


def table_of(given: Mapping[str, Any], readout: str | None) -> "Columns":
    """What the columns of an own table mean, from settings of the data."""
    from sqsnn.data.own_sets import Columns

    columns = given.get("columns")
    return Columns(
        label=given.get("label"),
        columns=None if columns is None else tuple(_split(columns)),
        groups=given.get("groups"),
        test_share=given.get("test_share", DataSettings.model_fields["test_share"].default),
        values=readout == "traces",
    )


def _split(columns: Any) -> Any:
    return split_commas(list(columns) if isinstance(columns, tuple) else columns)


def fill(spec: DatasetSpec, given: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """Fill in what is left open about the data: blank steps, and how events are binned."""
    filled = dict(given)
    if is_own(spec.name):
        filled["length"] = spec.length
    else:
        for name in _TABLE_SETTINGS:
            if given.get(name) is not None:
                raise ConfigError(
                    f"{name} is {as_text(given[name])}, but {spec.name} is no table of your own"
                )
    if spec.delay is not None and filled.get("cue_delay") is None:
        filled["cue_delay"] = spec.delay
    elif spec.delay is None and given.get("cue_delay") is not None:
        delayed = ", ".join(name for name in names() if require_spec(name).delay is not None)
        raise ConfigError(
            f"cue_delay is {as_text(given['cue_delay'])}, but {spec.name} has none; it goes with "
            f"{delayed}"
        )
    return filled | _binning(spec, given, channels)


def _binning(spec: DatasetSpec, given: Mapping[str, Any], channels: int) -> dict[str, Any]:
    chosen = {name: given[name] for name in _EVENT_SETTINGS if given.get(name) is not None}
    if spec.events is None:
        for name, value in chosen.items():
            binned = ", ".join(name for name in names() if require_spec(name).events is not None)
            raise ConfigError(
                f"{name} is {as_text(value)}, but {spec.name} has no events; it goes with "
                f"{binned} and {TONIC}NAME"
            )
        return {}
    one_polarity = spec.events.polarities == 1
    kept = "channels" if channels == 2 and not one_polarity else "sum"
    filled = {
        "pool": spec.events.pool,
        "polarity": kept,
        "duration": spec.events.duration,
        **chosen,
    }
    if filled["duration"] is None:
        raise ConfigError(
            f"duration must be given for {spec.name}, because the length of its recordings is not "
            "known: --duration SECONDS"
        )
    if filled["polarity"] != "sum" and one_polarity:
        raise ConfigError(
            f"polarity must be 'sum', because the events of {spec.name} are neither ON nor OFF, "
            f"but is {filled['polarity']!r}"
        )
    if filled["polarity"] == "channels" and channels != 2:
        raise ConfigError(
            f"polarity is 'channels', which needs neurons of 2 channels, but channels is "
            f"{channels}: add --channels 2, or let polarity be 'maps' or 'sum'"
        )
    return filled
