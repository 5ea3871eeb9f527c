"""Two levels of help: --help shows what most runs need, --help-all every flag in its group.

A flag that most runs need belongs to two groups: to `COMMON`, and to its own, which is `detailed`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from cyclopts import Group
from cyclopts.help import DefaultFormatter

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions

ALL = "--help-all"
FLAGS = ("--help", "-h", ALL)

_shows_all: ContextVar[bool] = ContextVar("shows_all", default=False)


@contextmanager
def level(arguments: Sequence[str]) -> Iterator[None]:
    """Let help show all flags where the arguments ask for it."""
    token = _shows_all.set(ALL in arguments)
    try:
        yield
    finally:
        _shows_all.reset(token)


def _formatter(in_all: bool) -> Callable[["Console", "ConsoleOptions", "HelpPanel"], None]:
    """Draw a panel at one level of help only."""

    def draw(console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        if _shows_all.get() == in_all:
            DefaultFormatter()(console, options, panel)

    return draw


def detailed(title: str, **kwargs: Any) -> Group:
    """Make a group that --help-all shows; such groups come in the order in which they are made."""
    return Group.create_ordered(title, help_formatter=_formatter(in_all=True), **kwargs)


COMMON = Group.create_ordered("Common settings", help_formatter=_formatter(in_all=False))
