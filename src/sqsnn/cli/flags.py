"""Flags of the command line, made from the settings that they set."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, get_args

from cyclopts import Group, Parameter
from pydantic import BeforeValidator, Field, Strict, create_model

from sqsnn.cli.help import COMMON
from sqsnn.data.specs import find_spec, names
from sqsnn.settings.flat import OWN, Leaf, admits_none, leaves
from sqsnn.settings.section import MADE, Section


def flags_of(
    cls: type,
    groups: Mapping[str, Group],
    without: Sequence[str] = (),
    common: Sequence[str] = (),
) -> type[Section]:
    """Make a model of flags, all of them open, from the parts of a section that have a group.

    Args:
        cls: The section.
        groups: The group of the help for each part of the section.
        without: Settings that get no flag.
        common: Settings that the short help shows.
    """
    found: dict[str, list[Leaf]] = {}
    for leaf in leaves(cls):
        if leaf.path[0] in groups and leaf.name not in without:
            found.setdefault(leaf.name, []).append(leaf)
    fields: dict[str, Any] = {
        name: (
            Annotated[_annotation(places[0]), Parameter(group=_groups(places[0], groups, common))],
            Field(None, description=_help(places, cls)),
        )
        for name, places in found.items()
    }
    return create_model(f"{cls.__name__}Flags", __base__=Section, __cls_kwargs__=MADE, **fields)


def given(flags: Section | None) -> dict[str, Any]:
    """The settings that were typed, by their flat names."""
    return {} if flags is None else {name: getattr(flags, name) for name in flags.model_fields_set}


def _groups(leaf: Leaf, groups: Mapping[str, Group], common: Sequence[str]) -> tuple[Group, ...]:
    """The group of the innermost part that has one, and that of the short help."""
    own = next(groups[part] for part in reversed(leaf.path) if part in groups)
    return (COMMON, own) if leaf.name in common else (own,)


def _annotation(leaf: Leaf) -> Any:
    annotation: Any = leaf.field.annotation
    for part in leaf.field.metadata:
        # What is typed is text, of whatever type the setting must be.
        if not isinstance(part, Strict):
            annotation = Annotated[annotation, part]
    if admits_none(leaf.field.annotation):
        annotation = Annotated[annotation, BeforeValidator(_read_none)]
    if OWN in get_args(annotation):
        annotation |= str
    return annotation | None


def _read_none(value: object) -> object:
    return None if value == "none" else value


def _help(places: Sequence[Leaf], cls: type) -> str:
    """What a setting decides, where it counts, and its default."""
    meaning = " ".join((places[0].field.description or "").split())
    defaults = dict.fromkeys(_shown(leaf.default) for leaf in places)
    if any(leaf.path in _in_presets() for leaf in places):
        defaults = {"preset": None}
    if "[default:" not in meaning and any(defaults):
        meaning = f"{meaning} [default: {' or '.join(name or 'none' for name in defaults)}]"
    return f"{_where(places, cls)}{meaning}"


def _where(places: Sequence[Leaf], cls: type) -> str:
    """The kinds with which a setting counts, e.g. "[local: reinforce, both] "."""
    if not all(leaf.kinds for leaf in places):
        return ""
    every = {leaf.name: get_args(leaf.field.annotation) for leaf in leaves(cls)}
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for leaf in places:
        choice, kind = list(leaf.kinds.items())[-1]
        found.setdefault((choice, tuple(leaf.kinds.values())[:-1]), []).append(kind)
    shown = [
        ": ".join([*head, *([", ".join(kinds)] if set(kinds) < set(every[choice]) else [])])
        for (choice, head), kinds in found.items()
    ]
    return f"[{'; '.join(shown)}] " if any(shown) else ""


@cache
def _in_presets() -> frozenset[tuple[str, ...]]:
    """The paths of the settings that a dataset's preset decides."""
    presets = [spec.preset for spec in map(find_spec, names()) if spec is not None]
    return frozenset(path for preset in presets for path in _paths(preset, ()))


def _paths(table: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _paths(value, (*above, name))
        else:
            # The kind of a choice goes by the name of the choice.
            yield above if name == "kind" else (*above, name)


def _shown(default: Any) -> str:
    if default is None or default == {}:
        return ""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)
