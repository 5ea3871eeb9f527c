"""A page is whole HTML that loads nothing, whatever stands in its texts."""

import io

import matplotlib.figure
import pytest
from page_parser import Page as Parsed

from sqsnn.reports.page import (
    Code,
    Figure,
    Page,
    Picture,
    Section,
    Table,
    Text,
    columns,
    count,
    percent,
    render,
    seconds,
)

EVIL = "</pre><script>alert(1)</script><img src=http://evil.example/a.png onerror=x> & \"'"


def png() -> bytes:
    written = io.BytesIO()
    matplotlib.figure.Figure(figsize=(1, 1)).savefig(written, format="png")
    return written.getvalue()


def page_of(text: str) -> Page:
    blocks = (
        Text(text),
        Code(text),
        Picture(png(), text),
        Table((text, text), ((text, text), ("b", "2"))),
        Table((text, text), ((text, text),), numbers=False),
    )
    return Page(
        title=text,
        lead=text,
        figures=(Figure(text, text, text), Figure("no note", "3")),
        sections=(Section(text, blocks), Section(text, blocks, folded=True)),
        warning=text,
    )


def test_every_text_is_shown_as_it_is_and_does_nothing():
    html = render(page_of(EVIL))
    parsed = Parsed(html)
    assert "script" not in parsed.tags
    assert parsed.images == [png(), png()]
    assert parsed.alts == [EVIL, EVIL]
    # Title twice, lead, warning, a figure's three, and in both sections the heading, a text, a
    # code, four cells and headings of each table.
    assert parsed.text.count(" ".join(EVIL.split())) == 2 + 2 + 3 + 2 * (1 + 2 + 4 + 4)


def test_code_keeps_its_lines():
    page = Page("t", "l", (), (Section("s", (Code("a = 1\n\n  b = 2\n"),)),))
    assert "<pre><code>a = 1\n\n  b = 2\n</code></pre>" in render(page)


def test_a_folded_section_is_opened_by_the_reader():
    parsed = Parsed(render(page_of("x")))
    assert parsed.tags.count("details") == parsed.tags.count("summary") == 1


def test_the_same_page_has_the_same_bytes():
    assert render(page_of("x")) == render(page_of("x"))


def test_what_is_no_picture_or_no_table_is_refused():
    with pytest.raises(ValueError, match="must be a PNG file, but starts with b'GIF89a'"):
        Picture(b"GIF89a", "a picture")
    with pytest.raises(ValueError, match=r"must have 2 cells, but one is \('a',\)"):
        Table(("x", "y"), (("a",),))


def test_numbers_are_written_to_what_they_are_known_to():
    assert [percent(0.93314), percent(1.0, 1), percent(None)] == ["93.31 %", "100.0 %", "\u2013"]
    assert [count(12345.6), count(99.96), count(12.34), count(7.0), count(7), count(0)] == [
        "12,346",
        "100.0",
        "12.3",
        "7",
        "7",
        "0",
    ]
    assert [seconds(1.23), seconds(180), seconds(9000), seconds(None)] == [
        "1.2 s",
        "3.0 min",
        "2.5 h",
        "\u2013",
    ]


def test_columns_without_a_number_are_left_out():
    table = columns(("model", "a", "b"), [("x", "\u2013", "1"), ("y", "\u2013", "\u2013")])
    assert table == Table(("model", "b"), (("x", "1"), ("y", "\u2013")))
