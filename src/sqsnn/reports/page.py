"""A page to mail: headings, figures, tables and pictures in one HTML file that loads nothing.

What is on a page is said in plain values here; how it looks is in page.html.j2.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

import jinja2

from sqsnn import __version__
from sqsnn.reports import style

PNG = b"\x89PNG\r\n\x1a\n"
MISSING = "\u2013"  # a dash


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Code:
    """Something to type, or a file, kept as it is."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Picture:
    """A picture.

    Args:
        png: the bytes of a PNG file.
        alt: what it shows, for those who do not see it.

    Raises:
        ValueError: if the bytes are no PNG file.
    """

    kind: ClassVar[str] = "picture"
    png: bytes
    alt: str

    def __post_init__(self) -> None:
        if not self.png.startswith(PNG):
            raise ValueError(f"png must be a PNG file, but starts with {self.png[:8]!r}")

    @property
    def data(self) -> str:
        """The picture as the address of an image."""
        return "data:image/png;base64," + b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Args:
        headings: one a column.
        rows: a cell a column each.
        numbers: whether the other columns hold numbers, which stand on the right.

    Raises:
        ValueError: if a row has not as many cells as there are headings.
    """

    kind: ClassVar[str] = "table"
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: bool = True

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headings):
                raise ValueError(
                    f"every row must have {len(self.headings)} cells, but one is {row!r}"
                )


Block = Text | Code | Picture | Table


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        title: its heading.
        blocks: what is in it.
        folded: whether the reader opens it.
    """

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A number of the headline: what it is, and what more there is to say of it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """A page.

    Args:
        title: its heading.
        lead: what it is about, in a sentence or two.
        figures: the numbers that matter most.
        sections: the rest.
        warning: what the reader must know first; empty where there is nothing.
    """

    title: str
    lead: str
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    warning: str = ""


def render(page: Page) -> str:
    """Write a page as HTML; every text is escaped.

    Args:
        page: the page.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    source = files("sqsnn.reports").joinpath("page.html.j2").read_text("utf-8")
    return environment.from_string(source).render(page=page, style=style, version=__version__)


def percent(share: int | float | None, digits: int = 2) -> str:
    """Write a share of 1 in per cent; a dash for None.

    Args:
        share: the share.
        digits: after the point.
    """
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


def count(number: int | float | None) -> str:
    """Write a count or a mean of counts, to a tenth below 100; a dash for None.

    Args:
        number: the count.
    """
    if number is None:
        return MISSING
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:,.1f}"


def seconds(number: int | float | None) -> str:
    """Write a time; a dash for None.

    Args:
        number: of seconds.
    """
    if number is None:
        return MISSING
    if number < 120:
        return f"{number:.1f} s"
    return f"{number / 60:.1f} min" if number < 7200 else f"{number / 3600:.1f} h"


def columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Make a table of numbers without the columns in which nothing is known.

    Args:
        headings: one a column; the first stays in any case.
        rows: a cell a column each.
    """
    known = [
        place
        for place in range(len(headings))
        if place == 0 or any(row[place] != MISSING for row in rows)
    ]
    return Table(
        tuple(headings[place] for place in known),
        tuple(tuple(row[place] for place in known) for row in rows),
    )
