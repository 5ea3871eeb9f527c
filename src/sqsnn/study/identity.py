"""What a training is known by: a digest of its settings, and what else it must have in common.

A digest names a record or a search. It leaves out what a later version may add or change, the
defaults, and where the data lie; these are compared when a record is read.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqsnn.errors import ConfigError
from sqsnn.training.config import RunConfig

_PLACES = {"data": {"data_dir", "source"}}


def digest(content: RunConfig | Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that stand for settings, wherever their data lie.

    Args:
        content: the settings of a run, or anything that JSON holds.
    """
    if isinstance(content, RunConfig):
        # Not all: a setting that a later version adds is to change no digest.
        content = changed_settings(content)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def changed_settings(settings: RunConfig) -> dict[str, Any]:
    """Settings other than the defaults as plain types, but not where the data lie.

    Args:
        settings: the settings of a run.
    """
    return settings.model_dump(
        mode="json", exclude_defaults=True, exclude_none=True, exclude=_PLACES
    )


def all_settings(settings: RunConfig) -> dict[str, Any]:
    """All settings as plain types, but not where the data lie.

    Args:
        settings: the settings of a run.
    """
    return settings.model_dump(mode="json", exclude_none=True, exclude=_PLACES)


def refuse_changed(before: Mapping[str, Any], settings: RunConfig, where: Path | str) -> None:
    """Refuse what another version made with another default, which no digest tells.

    Args:
        before: all settings that it was made with.
        settings: those of now.
        where: what was made.

    Raises:
        ConfigError: if a setting that both know differs.
    """
    now = all_settings(settings)
    for section in before.keys() & now.keys():
        for name in before[section].keys() & now[section].keys():
            then, is_now = before[section][name], now[section][name]
            if then != is_now:
                raise ConfigError(
                    f"{where} was made with {section}.{name} {then!r}, which is {is_now!r} where "
                    "it is left out now: write it in the file of the study, or choose another --out"
                )


def refuse_other_data(before: str | None, source: str, where: Path | str) -> None:
    """Refuse what was made of other data files: a subset, or another distribution.

    Args:
        before: the data that it was made of; None where that was not written down.
        source: those of now.
        where: what was made.

    Raises:
        ConfigError: if they differ.
    """
    if before is not None and before != source:
        raise ConfigError(
            f"{where} was made of {before}, but the data here are {source}: a study compares what "
            "had the same data; point data_dir or SQSNN_DATA at them, or choose another --out"
        )
