"""What all sections of settings share, and how values arrive as text."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sqsnn.options import Count, Whole


class Section(BaseModel):
    """Settings that belong together: immutable, and closed to unknown names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


# Of sections that are made at run time: without source text, pydantic would look for it for long.
MADE: dict[str, Any] = {"use_attribute_docstrings": False}


def split_commas(value: object) -> object:
    """Read 64 or "64,64", alone or in a list as the command line gives it, as a list."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    return [part.strip() for text in texts if text.strip() for part in text.split(",")]


def read_words(value: object) -> object:
    """Read the values of a table that the command line gives as text: 2, 0.5, true or a word."""
    if not isinstance(value, Mapping):
        return value
    return {name: _read_word(option) for name, option in value.items()}


def _read_word(option: object) -> object:
    if not isinstance(option, str):
        return option
    try:
        return json.loads(option)
    except json.JSONDecodeError:
        return option


Sizes = Annotated[tuple[Count, ...], BeforeValidator(split_commas)]
Labels = Annotated[tuple[Whole, ...], BeforeValidator(split_commas), Field(min_length=2)]
Names = Annotated[tuple[str, ...], BeforeValidator(split_commas), Field(min_length=1)]
Word = bool | int | float | str
Words = Annotated[dict[str, Word], BeforeValidator(read_words)]
