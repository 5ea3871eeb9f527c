"""Settings as a TOML file: written, and read back exactly."""

import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from sqsnn.errors import ConfigError
from sqsnn.settings.run import RunSettings, validated

FORMAT = 6


def to_toml(settings: RunSettings) -> str:
    """Write settings as TOML; what is None is left out."""
    content = {"format": FORMAT, **settings.model_dump(mode="json", exclude_none=True)}
    return tomli_w.dumps(_kinds_first(content))


def _kinds_first(table: Mapping[str, Any]) -> dict[str, Any]:
    """Put the kind of each table first: it decides what the others mean."""
    ordered = sorted(table.items(), key=lambda item: item[0] != "kind")
    return {
        name: _kinds_first(value) if isinstance(value, Mapping) else value
        for name, value in ordered
    }


def from_toml(text: str, source: str) -> RunSettings:
    """Read settings from TOML."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not valid TOML: {error}") from None
    found = content.pop("format", "1 or 2")
    if found != FORMAT:
        raise ConfigError(
            f"{source} has format {found}, but this version of sqsnn reads format {FORMAT}: train "
            "the network again with this version, or use the version that wrote the folder"
        )
    try:
        return validated(RunSettings, content)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
