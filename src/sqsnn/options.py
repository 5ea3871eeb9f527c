"""Options: immutable objects whose fields carry name, default, range, help text and refusal.

A learning rule, a noise model or an encoding is declared once, as the object that acts. Command
line, configuration files and estimators are made from these declarations.
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import wraps
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

_T = TypeVar("_T")
_TYPES = {"int", "float", "str", "bool", "none", "list", "tuple", "dict"}
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
    for fault in error.errors(include_url=False):
        place = [
            names[part] if number == 0 and isinstance(part, int) and part < len(names) else part
            for number, part in enumerate(fault["loc"])
        ]
        reason = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "union_tag_not_found":
            reason = "kind is missing"
        elif fault["type"] == "union_tag_invalid":
            reason = f"kind may be one of {fault.get('ctx', {})['expected_tags']}"
        fields = [number for number, part in enumerate(place) if _is_field(part)]
        # A check of several fields names them itself; above a field stand its section and kinds.
        name = ""
        if fields and fault["type"] != "value_error":
            # A flag takes all its values at once; elsewhere the number of the wrong one helps.
            kept = [
                part
                for part in place[fields[-1] :]
                if _is_field(part) or (isinstance(part, int) and not flags)
            ]
            name = ".".join(map(str, kept))
        shown = f", but is {fault['input']!r}" if name and fault["type"] != "missing" else ""
        reasons.setdefault((name, shown), []).append(reason)
    return "; ".join(
        (f"{'--' + name.replace('_', '-') if flags else name}: " if name else "")
        + " or ".join(dict.fromkeys(found)).replace(" or Input should be ", " or ")
        + shown
        for (name, shown), found in reasons.items()
    )


def _is_field(part: object) -> bool:
    """Whether a part of a place names a field, and not the type that a union tried."""
    return isinstance(part, str) and part.isidentifier() and not _names_type(part)


def _names_type(part: str) -> bool:
    return part in _TYPES or part[0].isupper()
