"""Flags of the command line, made from the settings that they set."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, create_model

from sqsnn.settings.flat import Leaf, leaves
from sqsnn.settings.section import Section


def flags_of(cls: type, parts: Sequence[str], without: Sequence[str] = ()) -> type[Section]:
    """Make a model of flags, all of them open, from parts of a section.

    Args:
        cls: The section.
        parts: Its fields whose settings get a flag.
        without: Settings that get none.
    """
    found: dict[str, list[Leaf]] = {}
    for leaf in leaves(cls):
        if leaf.path[0] in parts and leaf.name not in without:
            found.setdefault(leaf.name, []).append(leaf)
    fields: dict[str, Any] = {
        name: (_annotation(places[0]), Field(None, description=_help(places)))
        for name, places in found.items()
    }
    return create_model(f"{cls.__name__}Flags", __base__=Section, **fields)


def given(*flags: Section | None) -> dict[str, Any]:
    """The settings that were typed, by their flat names.

    Args:
        flags: Instances of models that `flags_of` made; None where no flag of one was typed.
    """
    return {
        name: getattr(model, name)
        for model in flags
        if model is not None
        for name in model.model_fields_set
    }


def _annotation(leaf: Leaf) -> Any:
    annotation: Any = leaf.field.annotation
    for part in leaf.field.metadata:
        annotation = Annotated[annotation, part]
    return annotation | None


def _help(places: Sequence[Leaf]) -> str:
    """What a setting decides, where it counts, and its default."""
    meaning = " ".join((places[0].field.description or "").split())
    defaults = dict.fromkeys(_shown(leaf.default) for leaf in places)
    if "[default:" not in meaning and all(defaults):
        meaning = f"{meaning} [default: {' or '.join(defaults)}]"
    where = _where([leaf.kinds for leaf in places])
    return f"{where}{meaning}"


def _where(kinds: Sequence[Mapping[str, str]]) -> str:
    """The kinds with which a setting counts, e.g. "[local: reinforce, both] "."""
    if not all(kinds):
        return ""
    *head, _ = kinds[0].values()
    last = dict.fromkeys(list(chosen.values())[-1] for chosen in kinds)
    return f"[{': '.join([*head, ', '.join(last)])}] "


def _shown(default: Any) -> str:
    if default is None or default == {}:
        return ""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)
