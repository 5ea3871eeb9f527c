"""Settings as a TOML file: written, and read back exactly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from sqsnn.data.specs import is_folder, is_own
from sqsnn.errors import ConfigError
from sqsnn.readfile import LARGEST_TOML, parsed_toml, read_text
from sqsnn.settings.run import RunSettings, joined, validated

FORMAT = 8
# What a run finds out about its data and writes down.
_FOUND_OUT = ("source", "length")


def to_toml(settings: RunSettings) -> str:
    """Write settings as TOML; what is None is left out."""
    content = {"format": FORMAT, **settings.model_dump(mode="json", exclude_none=True)}
    return tomli_w.dumps(_kinds_first(content))


def portable(settings: RunSettings) -> RunSettings:
    """Leave out the places of files, which may move and mean nothing on another machine."""
    kept: dict[str, Any] = {"data_dir": None}
    if is_own(settings.data.dataset) or is_folder(settings.data.dataset):
        kept["dataset"] = Path(settings.data.dataset).name
    begins_with = settings.begins_with and Path(settings.begins_with.name)
    data = settings.data.model_copy(update=kept)
    return settings.model_copy(update={"data": data, "begins_with": begins_with})


def _kinds_first(value: Any) -> Any:
    """Put the kind of each table first: it decides what the others mean."""
    if isinstance(value, list):
        return [_kinds_first(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    ordered = sorted(value.items(), key=lambda item: item[0] != "kind")
    return {name: _kinds_first(below) for name, below in ordered}


def from_toml(text: str, source: str) -> RunSettings:
    """Read settings from TOML, as a run saves them."""
    content = parsed_toml(text, source, ConfigError)
    _check_format(content.pop("format", "1 or 2"), source)
    try:
        return validated(RunSettings, content)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def read_config(path: Path, dataset: str | None, given: Mapping[str, Any]) -> RunSettings:
    """Make the settings of a new run from a file that a user wrote, or that a run saved.

    What the file leaves open comes from the preset of the dataset.

    Args:
        path: The file; it may leave out its format.
        dataset: Name of the dataset; None for the one in the file.
        given: Settings by their flat names, which count more than the file.

    Raises:
        ConfigError: If the file cannot be read, names no dataset, or settings do not fit.
    """
    content = parsed_toml(read_text(path, LARGEST_TOML, ConfigError), path, ConfigError)
    _check_format(content.pop("format", FORMAT), path)
    data = content.pop("data", {})
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path}: data must be a table, [data], but is {data!r}")
    named = data.get("dataset") if dataset is None else dataset
    if named is None:
        raise ConfigError(
            f"{path} names no dataset: write e.g. dataset = 'digits' below [data], or name it on "
            "the command line"
        )
    content.pop("circuit_gates", None)
    content["data"] = {name: value for name, value in data.items() if name not in _FOUND_OUT}
    try:
        return joined(named, content, given)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _check_format(found: Any, source: str | Path) -> None:
    if found != FORMAT:
        raise ConfigError(
            f"{source} has format {found}, but this version of sqsnn reads format {FORMAT}: train "
            "the network again with this version, or use the version that wrote the folder"
        )
