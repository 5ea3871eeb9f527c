"""Nested settings under flat names: `--window 4` for rule.score.window.

Settings nest as the objects do that carry them. On the command line and in Python they go by the
name of the last field alone. A *choice* is a field that takes one of several objects, told apart by
their `kind`; its flag names the kind, and the flags of an object count only where it is chosen.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sqsnn.errors import ConfigError
from sqsnn.options import as_text
from sqsnn.settings.section import Section

Table = dict[str, Any]
# The kind of what users write themselves, which goes by its place in their module.
OWN = "module:Class"


class Leaf(NamedTuple):
    """A setting under its flat name.

    Attributes:
        name: The flat name, which is that of the last field.
        path: The names of all fields on the way.
        kinds: The kinds that must be chosen on the way, by the choice's name.
        field: The field that declares it; a choice has a Literal of its kinds.
        default: What it is where it is left out.
    """

    name: str
    path: tuple[str, ...]
    kinds: Mapping[str, str]
    field: FieldInfo
    default: Any

    @property
    def goes_with(self) -> str:
        """The choices that must be made for it, in words; empty where there are none."""
        return " and ".join(f"{choice} {kind!r}" for choice, kind in self.kinds.items())


def fields_of(cls: type) -> Mapping[str, FieldInfo]:
    """The declared fields of a section or an options object."""
    return getattr(cls, "model_fields", None) or getattr(cls, "__pydantic_fields__", {})


def members(annotation: Any) -> tuple[type, ...]:
    """The classes with settings of their own that an annotation admits; none for a plain value."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(cls for part in get_args(annotation) for cls in members(part))
    is_section = isinstance(annotation, type) and bool(fields_of(annotation))
    return (annotation,) if is_section else ()


def admits_none(annotation: Any) -> bool:
    """Whether a setting may be None, which text says as the word none."""
    return NoneType in get_args(annotation)


def kind_of(cls: type) -> str:
    """The kind by which a choice names one of its classes."""
    return fields_of(cls)["kind"].default


def is_kind(chosen: Any, kind: str) -> bool:
    """Whether a choice by `chosen` is that of a kind; a place in a module is of the kind OWN."""
    return chosen == kind or (kind == OWN and isinstance(chosen, str) and ":" in chosen)


def leaves(cls: type) -> list[Leaf]:
    """All settings below a section, under their flat names; a name may occur in several kinds."""
    return list(_leaves(cls, (), {}))


def _leaves(cls: type, above: tuple[str, ...], kinds: Mapping[str, str]) -> Iterator[Leaf]:
    for name, field in fields_of(cls).items():
        path, found = (*above, name), members(field.annotation)
        if name == "kind" or field.exclude:
            continue
        default = _default(field)
        if not found:
            yield Leaf(name, path, kinds, field, default)
        elif len(found) == 1:
            for leaf in _leaves(found[0], path, kinds):
                # An object that may be absent goes by the field of the same name.
                if default is None and leaf.name == name:
                    named = FieldInfo(
                        annotation=leaf.field.annotation, description=field.description
                    )
                    leaf = leaf._replace(field=named, default=None)
                yield leaf
        else:
            names = tuple(kind_of(member) for member in found)
            choice = FieldInfo(annotation=Literal[names], description=field.description)  # pyright: ignore[reportArgumentType]
            yield Leaf(name, path, kinds, choice, None if default is None else default.kind)
            for member in found:
                yield from _leaves(member, path, {**kinds, name: kind_of(member)})


def _default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def nest(cls: type, given: Mapping[str, Any], base: Mapping[str, Any]) -> Table:
    """Lay flat settings out in tables, as a section nests them.

    Args:
        cls: The section.
        given: Settings by their flat names; a choice may be a kind, or the object itself.
        base: Tables whose kinds hold where `given` names none, such as a dataset's preset.

    Raises:
        ConfigError: If a name is unknown, or goes with a kind that is not chosen.
    """
    used: set[str] = set()
    table = _nest(cls, given, base, used)
    for name in [name for name in given if name not in used]:
        places = [leaf for leaf in leaves(cls) if leaf.name == name]
        for above in (part for leaf in places for part in leaf.path[:-1]):
            if not isinstance(given.get(above, ""), str):
                raise ConfigError(
                    f"{name} is {as_text(given[name])}, but {above} is given as an object: set it "
                    "there"
                )
        if places:
            chosen = [leaf for leaf in places if leaf.kinds.items() <= given.items()]
            # Where the kinds are chosen, the object that it belongs to is absent.
            where = ", or with ".join(leaf.goes_with for leaf in places)
            where = chosen[0].path[-2] if chosen else where
            raise ConfigError(f"{name} is {as_text(given[name])}, but goes with {where} only")
        close = get_close_matches(name, {leaf.name for leaf in leaves(cls)}, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"there is no setting {name}{hint}")
    return table


def _nest(cls: type, given: Mapping[str, Any], base: Mapping[str, Any], used: set[str]) -> Table:
    table: Table = {}
    for name, field in fields_of(cls).items():
        if name == "kind" or field.exclude:
            continue
        found = members(field.annotation)
        value, below = given.get(name), _table(base.get(name))
        is_object = not isinstance(value, str) and not _is_section(found)
        if name in given and (not found or is_object):
            used.add(name)
            table[name] = value
            continue
        if not found:
            continue
        if len(found) == 1:
            # An object that may be absent is there once the field of its own name is given.
            if name in fields_of(found[0]) and _default(field) is None and name not in given:
                continue
            inner = _nest(found[0], given, below, used)
        else:
            used.add(name)
            kind = value or below.get("kind") or _default(field).kind
            chosen = [member for member in found if is_kind(kind, kind_of(member))]
            if not chosen:
                allowed = ", ".join(map(kind_of, found))
                raise ConfigError(f"{name} is {as_text(kind)}; it may be one of {allowed}")
            inner = _nest(chosen[0], given, below, used)
            if inner or name in given:
                inner = {"kind": kind, **inner}
        if inner:
            table[name] = inner
    return table


def _table(value: Any) -> Mapping[str, Any]:
    """The settings in what may be a table; a mistaken value is refused once all is joined."""
    return value if isinstance(value, Mapping) else {}


def _is_section(found: Sequence[type]) -> bool:
    """Whether members are a group of settings, which no object stands for."""
    return len(found) == 1 and issubclass(found[0], Section)


def merge(cls: type, base: Mapping[str, Any], given: Mapping[str, Any]) -> Table:
    """Join two tables of settings: what is given counts, and the base fills what is left open.

    Where another kind is given than the base's, the base fills the fields that both kinds have. A
    table that names no kind is one of the base's kind, or of the default. The word none leaves out
    what the base would fill: TOML has no null.

    Args:
        cls: The section that both are tables of.
        base: What counts where nothing is given.
        given: What counts.
    """
    joined: Table = {**base, **given}
    for name, value in joined.items():
        field = fields_of(cls).get(name)
        if field is not None and value == "none" and admits_none(field.annotation):
            joined[name] = None
        if field is None or not isinstance(value, Mapping):
            continue
        found = members(field.annotation)
        below = _table(base.get(name))
        if len(found) > 1:
            kind = value.get("kind", below.get("kind", _default(field).kind))
            found = tuple(member for member in found if is_kind(kind, kind_of(member)))
            value = {"kind": kind, **value}
        if found:
            known = fields_of(found[0])
            kept = {inner: default for inner, default in below.items() if inner in known}
            joined[name] = merge(found[0], kept, value)
    return joined


def flatten(cls: type, table: Mapping[str, Any]) -> Table:
    """The settings of a table by their flat names, a choice by its kind: the reverse of `nest`."""
    flat: Table = {}
    for name, field in fields_of(cls).items():
        if name == "kind" or field.exclude or name not in table:
            continue
        found, value = members(field.annotation), table[name]
        if not found:
            flat[name] = value
            continue
        member = found[0]
        if len(found) > 1:
            flat[name] = value["kind"]
            member = next(it for it in found if is_kind(value["kind"], kind_of(it)))
        if value is not None:
            flat |= flatten(member, value)
    return flat
