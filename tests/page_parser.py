"""Reads an HTML page strictly: what it says and shows, and that it is whole and loads nothing."""

import io
import re
from base64 import b64decode
from html.parser import HTMLParser

from matplotlib.image import imread

_VOID = {"meta", "img", "br", "hr", "link", "input"}
_LOADING = {"src", "href", "srcset", "poster", "data", "action", "background"}


class Page(HTMLParser):
    """A page; refuses tags that do not close and addresses that would be loaded."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[bytes] = []
        self.alts: list[str] = []
        self.parts: list[str] = []
        assert html.startswith("<!DOCTYPE html>")
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"
        assert not {"script", "link", "iframe", "object", "embed"} & set(self.tags)
        assert not re.search(r"@import|url\(", html)
        for image in self.images:
            height, width = imread(io.BytesIO(image), format="png").shape[:2]
            assert min(height, width) > 0

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} runs {name}"
            if name in _LOADING:
                assert (tag, name) == ("img", "src"), f"{tag} loads {value}"
                head, _, content = value.partition(",")
                assert head == "data:image/png;base64"
                self.images.append(b64decode(content, validate=True))
                self.alts.append(dict(attrs)["alt"])
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.parts.append(data)

    @property
    def text(self) -> str:
        """All that is to be read, blanks made one."""
        return " ".join(" ".join(self.parts).split())
