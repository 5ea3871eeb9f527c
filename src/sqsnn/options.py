"""Options: immutable objects whose fields carry name, default, range, help text and refusal.

A learning rule, a noise model or an encoding is declared once, as the object that acts. Command
line, configuration files and estimators are made from these declarations.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import field
from functools import wraps
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

# Numbers of things: beyond, no machine holds them, and no training ends.
Count = Annotated[int, Field(ge=1, le=10**9)]
Whole = Annotated[int, Field(ge=0, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

_T = TypeVar("_T")
_Place = Sequence[int | str]  # of a fault: sections, fields, kinds, types and numbers of entries
_TYPES = {"int", "float", "str", "bool", "none", "list", "tuple", "dict"}
_MISMATCHES = ("is_instance_of", "literal_error")
_CONFIG = ConfigDict(
    extra="forbid",
    use_attribute_docstrings=True,
    allow_inf_nan=False,
    arbitrary_types_allowed=True,
)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def options(cls: type[_T]) -> type[_T]:
    """Make a class an immutable dataclass that checks its fields and refuses in plain words.

    The docstring below a field is its help text; `Annotated[int, Field(ge=1)]` gives its range.
    A wrong value raises a ValueError that names the field, the value and what it may be.
    """
    made: Any = dataclass(frozen=True, config=_CONFIG)(cls)
    build: Callable[..., None] = made.__init__
    names = tuple(made.__pydantic_fields__)

    @wraps(build)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            build(self, *args, **kwargs)
        except ValidationError as error:
            raise ValueError(f"{cls.__name__}: {explain(error, names=names)}") from None

    made.__init__ = checked
    return made


def explain(error: ValidationError, *, flags: bool = False, names: Sequence[str] = ()) -> str:
    """Say in one line what is wrong with options: each name, why, and what it was.

    Args:
        error: What pydantic raised.
        flags: Write the names as flags of the command line.
        names: The names of positional arguments.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    faults = [
        (_shown_place(fault["loc"], names), fault) for fault in error.errors(include_url=False)
    ]
    for place, fault in faults:
        if _is_beside_the_point(place, fault, faults):
            continue
        reason = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "union_tag_not_found":
            reason = "kind is missing"
        elif fault["type"] == "union_tag_invalid":
            reason = f"kind may be one of {fault.get('ctx', {})['expected_tags']}"
        name = _name_entry(place)
        # A check of several fields names them itself.
        if not name and fault["type"] != "value_error":
            name = _name_field(place, flags=flags)
        shown = ""
        if name and fault["type"] not in ("missing", "value_error"):
            shown = f", but is {as_text(fault['input'])}"
        reasons.setdefault((name, shown), []).append(reason)
    return "; ".join(
        (f"{'--' + name.replace('_', '-') if flags else name}: " if name else "")
        + " or ".join(dict.fromkeys(found)).replace(" or Input should be ", " or ")
        + shown
        for (name, shown), found in reasons.items()
    )


def as_text(value: object) -> str:
    """A value as Python writes it, cut where it is long."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return f"an integer of about {int(value.bit_length() * math.log10(2)) + 1} digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers of more than 4300 digits, thousands of levels
        return f"a {type(value).__name__} too large or too deep to write"
    return text if len(text) <= 200 else f"{text[:60]}... of {len(text)} characters"


def counted(number: int, noun: str) -> str:
    """Write how many there are of something: 1 spike, 2,000 spikes."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _shown_place(place: _Place, names: Sequence[str]) -> _Place:
    """Give a place with the names of positional arguments."""
    first = place[0] if place else ""
    if isinstance(first, int) and first < len(names):
        return (names[first], *place[1:])
    return place


def _name_field(place: _Place, *, flags: bool) -> str:
    """Name the last field of a place: above it stand its section and kinds."""
    fields = [number for number, part in enumerate(place) if _is_field(part)]
    if not fields:
        return ""
    # A flag takes all its values at once; elsewhere the number of the wrong one helps.
    kept = [
        part
        for part in place[fields[-1] :]
        if _is_field(part) or (isinstance(part, int) and not flags)
    ]
    return ".".join(map(str, kept))


def _name_entry(place: _Place) -> str:
    """Name a field of an entry of a list, such as connections[2].delay; empty without a list."""
    fields = [number for number, part in enumerate(place) if _is_field(part)]
    entries = [number for number, part in enumerate(place) if isinstance(part, int)]
    if not fields or not entries or entries[0] > fields[-1]:
        return ""
    owner = max(number for number in fields if number < entries[0])
    name = ""
    for number in range(owner, len(place)):
        part = place[number]
        is_kind = str(place[number - 1]).startswith("tagged-union")
        if isinstance(part, int):
            name += f"[{part}]"
        elif _is_field(part) and not is_kind:
            name += f".{part}" if name else part
    return name


def _is_beside_the_point(place: _Place, fault: Any, faults: Sequence[tuple[_Place, Any]]) -> bool:
    """Whether a table or list was meant for another type of a union, which says what is wrong."""
    union = place[:-1]
    return _is_of_no_type(fault) and any(
        other[: len(union)] == union and (len(other) > len(place) or not _is_of_no_type(it))
        for other, it in faults
    )


def _is_of_no_type(fault: Any) -> bool:
    """Whether a table or list was tried for a type that it cannot be."""
    is_mismatch = fault["type"].endswith("_type") or fault["type"] in _MISMATCHES
    return is_mismatch and isinstance(fault["input"], dict | list)


def _is_field(part: object) -> bool:
    """Whether a part of a place names a field, and not the type that a union tried."""
    return isinstance(part, str) and part.isidentifier() and not _names_type(part)


def _names_type(part: str) -> bool:
    return part in _TYPES or part[0].isupper()
