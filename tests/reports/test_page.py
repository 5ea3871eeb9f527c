"""A page is whole HTML that loads nothing, whatever its texts hold."""

import io

import matplotlib.figure
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_parser import Page

from sqsnn.reports.page import code, count, escape, percent, render, seconds, table

EVIL = "</pre><script>alert(1)</script><img src=http://evil.example/a.png onerror=x> & \"'"
EVIL += " [a](http://evil.example) ![b](http://evil.example/b.png) `c` | ```` **d** &lt; \\"


def png() -> bytes:
    written = io.BytesIO()
    matplotlib.figure.Figure(figsize=(1, 1)).savefig(written, format="png")
    return written.getvalue()


def test_every_text_is_shown_as_it_is_and_does_nothing():
    shown = escape(EVIL)
    text = f"{shown}\n\n> {shown}\n\n## {shown}\n\n![{shown}](a.png)\n\n{code(EVIL)}\n"
    text += table([EVIL, EVIL], [[EVIL, EVIL]])
    page = Page(render(EVIL, text, {"a.png": png()}))
    assert not {"script", "a", "strong"} & set(page.tags)
    assert page.images == [png()]
    assert page.alts == [EVIL]
    # The title twice, the paragraph, the warning, the heading, the code and four cells.
    assert page.text.count(EVIL) == 10


def test_html_within_the_markdown_is_shown_and_not_run():
    page = Page(render("t", "<script>alert(1)</script>\n\na <b onclick=x>b</b>\n"))
    assert not {"script", "b"} & set(page.tags)
    assert "<script>alert(1)</script> a <b onclick=x>b</b>" in page.text


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=2, max_size=2))
def test_escaped_text_comes_through_paragraphs_and_tables(cells):
    shown = [" ".join(cell.replace("\0", "\ufffd").split()) for cell in cells]
    page = Page(render("t", table(["a", *cells], [["-", *cells]], numbers=False)))
    assert page.tags.count("td") == 3
    for cell in shown:
        assert cell in page.text
        assert cell in Page(render("t", escape(cell))).text


@pytest.mark.parametrize("text", ["a = 1\n\n  b = 2\n", "```\nc\n````", "", "~~~ *d*"])
def test_code_keeps_its_lines(text):
    html = render("t", code(text))
    assert f"<pre><code>{text.removesuffix(chr(10))}\n</code></pre>" in html


def test_a_folded_section_stays_closed_until_it_is_opened():
    page = Page(render("t", "## Open\n\none\n\n## Shut\\*\n\ntwo\n", folded=["Shut*"]))
    assert page.tags.count("details") == page.tags.count("summary") == page.tags.count("h2") == 1
    assert "Open one Shut* two" in page.text


def test_the_same_page_has_the_same_bytes():
    assert render("t", "x", {"a.png": png()}) == render("t", "x", {"a.png": png()})


def test_pictures_keep_their_names_and_unknown_ones_are_refused():
    name = "accuracy-order-8 größe:1.png"
    page = Page(render("t", f"![a](<{name}>)", {name: png()}))
    assert page.images == [png()]
    with pytest.raises(ValueError, match=r"shows the picture 'b.png', but pictures holds a.png"):
        render("t", "![b](b.png)", {"a.png": png()})
    with pytest.raises(ValueError, match=r"a.gif must be a PNG file, but starts with b'GIF89a'"):
        render("t", "![a](a.gif)", {"a.gif": b"GIF89a"})


def test_a_table_is_refused_whose_rows_do_not_fit_and_drops_columns_without_a_number():
    with pytest.raises(ValueError, match=r"must have 2 cells, but one is \('a',\)"):
        table(("x", "y"), (("a",),))
    rows = [("x", "\u2013", "1"), ("y", "\u2013", "\u2013")]
    kept = "| model | b |\n| --- | ---: |\n| x | 1 |\n| y | \u2013 |\n"
    assert table(("model", "a", "b"), rows) == kept
    assert table(("m", "a", "b"), rows, numbers=False).startswith("| m | a | b |\n")


def test_numbers_are_written_as_precisely_as_they_are_known():
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
