"""Takes secrets out of a text, however they are spelled in it.

A text is decoded layer by layer (percent signs, backslashes, HTML), and in each layer the letters
and digits alone are compared, so that quotes, folded lines and joined strings hide nothing.
"""

import html
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache

# So many letters and digits of a secret in a row are hidden. Fewer cannot be told from other words.
SHORTEST = 8

_HIDDEN = "***"
# A quoted URL within a repr within a repr has four.
_MOST_LAYERS = 8
_ESCAPE = re.compile(
    r"(?:%|\\x)([\da-fA-F]{2})|\\u([\da-fA-F]{4})|\\U([\da-fA-F]{8})"
    r"|\\([0-7]{3})|\\([\\abfnrtv0])|(&\#?\w{1,8};)",
    re.ASCII,
)

# Characters, and from where to where each stands in the text.
_Layer = tuple[str, list[tuple[int, int]]]


def letters(secret: str) -> int:
    """Count the letters and digits of ASCII, by which a secret is recognised."""
    return len(_skeleton(secret))


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets in a text by asterisks.

    Found are a secret itself, without its margins, escaped, quoted, as bytes, in a URL, in HTML, in
    hexadecimal or base64, folded over lines, one within the other, and in pieces of at least
    `SHORTEST` letters and digits, as a shortened message shows.

    Args:
        text: The text.
        secrets: The secrets, of at least `SHORTEST` `letters`.
    """
    pieces = frozenset[str]().union(*map(_pieces, secrets))
    hidden = [False] * len(text)
    for characters, places in _layers(text) if pieces else ():
        kept = [place for c, place in zip(characters, places, strict=True) if _skeleton(c)]
        skeleton = _skeleton(characters)
        for at in range(len(skeleton) - SHORTEST + 1):
            if skeleton[at : at + SHORTEST] in pieces:
                first, last = kept[at][0], kept[at + SHORTEST - 1][1]
                hidden[first:last] = [True] * (last - first)
    shown = ("\0" if hide else letter for letter, hide in zip(text, hidden, strict=True))
    return re.sub("\0+", _HIDDEN, "".join(shown)) if any(hidden) else text


@lru_cache
def _pieces(secret: str) -> frozenset[str]:
    raw = secret.strip().encode("utf-8", "surrogatepass")
    forms = [characters for characters, _ in _layers(secret)]
    forms += [raw.hex(), " ".join(map(str, raw))]
    for before in range(3):  # how base64 falls on the bytes of a longer text
        coded = b64encode(bytes(before) + raw).decode()
        forms.append(coded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6])
    found = set[str]()
    for form in map(_skeleton, forms):
        found |= {form[at : at + SHORTEST] for at in range(len(form) - SHORTEST + 1)}
    return frozenset(found)


def _skeleton(text: str) -> str:
    return re.sub(r"[\W_]+", "", text, flags=re.ASCII).lower()


def _layers(text: str) -> Iterator[_Layer]:
    """Decode a text once, twice, and so on, until nothing is left to decode."""
    characters, places = text, [(at, at + 1) for at in range(len(text))]
    yield characters, places
    for _ in range(_MOST_LAYERS):
        if _ESCAPE.search(characters) is None:
            return
        decoded, where, end = [], [], 0
        for match in _ESCAPE.finditer(characters):
            new = _decoded(match)
            decoded += [characters[end : match.start()], new]
            where += places[end : match.start()]
            where += [(places[match.start()][0], places[match.end() - 1][1])] * len(new)
            end = match.end()
        characters, places = "".join(decoded) + characters[end:], where + places[end:]
        yield characters, places


def _decoded(match: re.Match[str]) -> str:
    byte, short, long, octal, letter, entity = match.groups()
    if entity is not None:
        return html.unescape(entity)
    if letter is not None:
        return "\\" if letter == "\\" else " "
    code = int(octal, 8) if octal is not None else int(byte or short or long, 16)
    return chr(code) if code < 0x110000 else "?"
