"""A page to mail: Markdown and its pictures as one HTML file that loads nothing.

Texts that come from elsewhere go through `escape`, `table` or `code`, which keep them from being
read as Markdown. Raw HTML in the Markdown is shown, never run.
"""

import re
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape as escape_html
from importlib.resources import files
from itertools import pairwise
from string import Template
from types import MappingProxyType
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sqsnn import __version__
from sqsnn.reports import style

PNG = b"\x89PNG\r\n\x1a\n"
MISSING = "\u2013"  # a dash


def render(
    title: str,
    text: str,
    pictures: Mapping[str, bytes] = MappingProxyType({}),
    folded: Collection[str] = (),
) -> str:
    """Render Markdown with tables as a whole HTML page.

    The text shows a picture as `![what it shows](name.png)`; sections whose titles are `folded`
    stay closed until the reader opens them. Block quotes are drawn as warnings; bold cells of a
    table, the first above all, as headline figures.
    """
    markdown = MarkdownIt("js-default", {"html": False})
    tokens = markdown.parse(text)
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                child.attrs["src"] = _embedded(unquote(str(child.attrs["src"])), pictures)
    sections = []
    for section in _sections(tokens):
        content = markdown.renderer.render(section, markdown.options, {})
        heading = section[1] if section and section[0].tag == "h2" else None
        if heading is not None and "".join(c.content for c in heading.children or ()) in folded:
            content = content.replace("<h2>", "<details><summary>", 1)
            content = content.replace("</h2>", "</summary>", 1) + "</details>\n"
        sections.append(content)
    shell = files("sqsnn.reports").joinpath("page.html").read_text("utf-8")
    return Template(shell).substitute(
        title=escape_html(title),
        content="".join(sections),
        version=__version__,
        ink=style.INK,
        muted=style.MUTED,
        faint=style.FAINT,
        blue=style.BLUE,
        vermilion=style.VERMILION,
    )


def escape(text: str) -> str:
    """Write plain text so that Markdown shows it as it is, on one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Write a command or a file as a block of code, kept as it is."""
    runs = re.findall("`{3,}", text)
    fence = "`" * max([3, *(len(run) + 1 for run in runs)])
    return "\n".join((fence, text.removesuffix("\n"), fence, ""))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    """Write a table of plain texts, whose first column names the rows.

    The other columns hold `numbers`, on the right, and are left out where none is known; or texts.
    """
    for row in rows:
        if len(row) != len(headings):
            raise ValueError(f"every row must have {len(headings)} cells, but one is {row!r}")
    shown = [
        column
        for column in range(len(headings))
        if column == 0 or not numbers or any(row[column] != MISSING for row in rows)
    ]
    ruler = ["---", *["---:" if numbers else "---"] * (len(shown) - 1)]
    cells = [[escape(row[column]) for column in shown] for row in (headings, *rows)]
    lines = [cells[0], ruler, *cells[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def headline_figures(figures: Mapping[str, str]) -> str:
    """Write figures large, under what they are, without those that are unknown."""
    known = {escape(label): escape(v) for label, v in figures.items() if v != MISSING}
    values = " | ".join(f"**{value}**" for value in known.values())
    return f"| {' | '.join(known)} |\n|{' --- |' * len(known)}\n| {values} |\n"


def percent(share: int | float | None, digits: int = 2) -> str:
    """Write a share of 1 in per cent; a dash for None."""
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


def count(number: int | float | None) -> str:
    """Write a count or a mean of counts, to a tenth below 100; a dash for None."""
    if number is None:
        return MISSING
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:,.1f}"


def seconds(number: int | float | None) -> str:
    """Write a time that is given in seconds; a dash for None."""
    if number is None:
        return MISSING
    if number < 120:
        return f"{number:.1f} s"
    return f"{number / 60:.1f} min" if number < 7200 else f"{number / 3600:.1f} h"


def _embedded(name: str, pictures: Mapping[str, bytes]) -> str:
    """Write a picture as the address of an image."""
    if name not in pictures:
        known = ", ".join(pictures) or "none"
        raise ValueError(f"the text shows the picture {name!r}, but pictures holds {known}")
    if not pictures[name].startswith(PNG):
        raise ValueError(f"{name} must be a PNG file, but starts with {pictures[name][:8]!r}")
    return "data:image/png;base64," + b64encode(pictures[name]).decode("ascii")


def _sections(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Cut the page before every heading of level 2."""
    cuts = [n for n, token in enumerate(tokens) if token.type == "heading_open"]
    cuts = [0, *(n for n in cuts if tokens[n].tag == "h2"), len(tokens)]
    for first, end in pairwise(cuts):
        yield tokens[first:end]
