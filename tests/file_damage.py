"""Damage to the files of runs and studies: accidents of bytes, of text, and changes with sense."""

import gzip
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Rng = np.random.Generator
# What may stand in a file in place of its bytes.
FOLDER, MISSING, PIPE = "a folder", "nothing", "a pipe"
Content = bytes | str

_NUMBER = re.compile(rb"(?<![\w.\"-])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.\"])")
_VALUES = (
    *(b"0", b"-1", b"1", b"7", b"0.5", b"1e-300", b"1e999", b"-0.0", b"NaN", b"nan", b"inf"),
    *(b"Infinity", b"true", b"null", b'"x"', b"[]", b"{}", b"9" * 30, b"9" * 5000, b"[" * 2000),
    *(b"1.0", b"2e0", b"0x1", b'"1"', b"[1]", b'{"a": 1}', b"1_0", b"2026-01-01"),
)


def flip(rng: Rng, raw: bytes) -> bytes:
    """Turn one bit, or a few."""
    damaged = bytearray(raw)
    for _ in range(1 if rng.random() < 0.7 else rng.integers(2, 9)):
        damaged[rng.integers(len(raw))] ^= 1 << rng.integers(8)
    return bytes(damaged)


def _zero(rng: Rng, raw: bytes) -> bytes:
    start, end = _span(rng, raw)
    return raw[:start] + bytes(end - start) + raw[end:]


def _noise(rng: Rng, raw: bytes) -> bytes:
    start, end = _span(rng, raw)
    return raw[:start] + rng.bytes(end - start) + raw[end:]


def _cut(rng: Rng, raw: bytes) -> bytes:
    return raw[: rng.integers(len(raw))]


def _drop(rng: Rng, raw: bytes) -> bytes:
    start, end = _span(rng, raw)
    return raw[:start] + raw[end:]


def _double(rng: Rng, raw: bytes) -> bytes:
    start, end = (0, len(raw)) if rng.random() < 0.3 else _span(rng, raw)
    return raw[:end] + raw[start:end] + raw[end:]


def _swap(rng: Rng, raw: bytes) -> bytes:
    a, b, c = sorted(rng.integers(0, len(raw) + 1, 3))
    return raw[:a] + raw[b:c] + raw[a:b] + raw[c:]


def _append(rng: Rng, raw: bytes) -> bytes:
    return raw + (rng.bytes(rng.integers(1, 40)) if rng.random() < 0.5 else b"\n{}\n")


def _encode(rng: Rng, raw: bytes) -> bytes:
    text = raw.decode("latin-1")
    ways = (
        lambda: b"\xef\xbb\xbf" + raw,
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-16-le"),
        lambda: text.encode("utf-32"),
        lambda: raw.replace(b"\n", b"\r\n"),
        lambda: raw.replace(b"\n", b"\r"),
        lambda: raw.replace(b" ", b"\xa0"),
        lambda: raw.replace(b'"', "“".encode()),
        lambda: gzip.compress(raw),
        lambda: b"\x00" + raw,
    )
    return ways[rng.integers(len(ways))]()


def _lines(rng: Rng, raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    one, other = rng.integers(0, len(lines), 2)
    what = rng.integers(4)
    if what == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif what == 1:
        lines.insert(other, lines[one])
    elif what == 2:
        del lines[one]
    else:
        lines[one] = lines[other]
    return b"".join(lines)


def _value(rng: Rng, raw: bytes) -> bytes:
    """Put something else in the place of a number."""
    found = list(_NUMBER.finditer(raw))
    if not found:
        return flip(rng, raw)
    place = found[rng.integers(len(found))]
    other = _VALUES[rng.integers(len(_VALUES))]
    if rng.random() < 0.4:  # a number that is as likely as the one before
        other = found[rng.integers(len(found))][0]
    elif rng.random() < 0.3:
        other = repr(float(place[0]) * rng.choice([0.5, 1.01, 2.0, -1.0])).encode()
    return raw[: place.start()] + other + raw[place.end() :]


def _key(rng: Rng, raw: bytes) -> bytes:
    """Rename, repeat or remove a name and what it stands for."""
    found = list(re.finditer(rb'"?(\w+)"? ?[:=] ?[^\n,{}\[\]]+,? ?', raw))
    if not found:
        return flip(rng, raw)
    place = found[rng.integers(len(found))]
    whole, name = place[0], place[1]
    other = (b"", whole * 2, whole.replace(name, b"other"), whole.replace(name, name + b"_"))
    return raw[: place.start()] + other[rng.integers(len(other))] + raw[place.end() :]


def _nothing(rng: Rng, raw: bytes) -> Content:
    others = (b"", FOLDER, MISSING, PIPE, rng.bytes(len(raw)), bytes(len(raw)), b"\n", b"[" * 99999)
    return others[rng.integers(len(others))]


ACCIDENTS: Mapping[str, Callable[[Rng, bytes], Content]] = {
    "bits": flip,
    "zeros": _zero,
    "noise": _noise,
    "cut": _cut,
    "dropped": _drop,
    "doubled": _double,
    "swapped": _swap,
    "longer": _append,
    "replaced": _nothing,
}
TEXT: Mapping[str, Callable[[Rng, bytes], Content]] = {
    "encoding": _encode,
    "lines": _lines,
    "value": _value,
    "key": _key,
}


def damage(rng: Rng, raw: bytes, others: list[bytes]) -> tuple[str, Content]:
    """Damage a file somehow; gives the name of the accident, and what then stands there.

    Args:
        rng: Draws the damage.
        raw: The file.
        others: Files of other runs that may be put in its place.
    """
    is_text = b"\x00" not in raw
    ways = {**ACCIDENTS, **TEXT} if is_text else ACCIDENTS
    if is_text:  # half of all: most accidents of bytes are alike
        ways = TEXT if rng.random() < 0.5 else ways
    elif rng.random() < 0.3:
        return "bits", flip(rng, raw)
    if others and rng.random() < 0.02:
        return "another run's", others[rng.integers(len(others))]
    name = list(ways)[rng.integers(len(ways))]
    return name, ways[name](rng, raw)


def _span(rng: Rng, raw: bytes) -> tuple[int, int]:
    start = int(rng.integers(len(raw)))
    return start, min(len(raw), start + int(2 ** rng.uniform(0, 9)))


def leaves(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in JSON."""
    if isinstance(content, dict):
        return [at for name, below in content.items() for at in leaves(below, (*path, name))]
    if isinstance(content, list):
        return [at for name, below in enumerate(content) for at in leaves(below, (*path, name))]
    return [path]


def changed(rng: Rng, content: Any) -> Any:
    """Change one value of JSON with sense, as an editor or another tool would."""
    content = json.loads(json.dumps(content))
    *above, last = leaves(content)[rng.integers(len(leaves(content)))]
    holder = content
    for name in above:
        holder = holder[name]
    value = holder[last]
    if isinstance(value, bool) or value is None:
        holder[last] = not value
    elif isinstance(value, int | float):
        holder[last] = type(value)(value * 2 + 1)
    else:
        holder[last] = f"{value}x"
    return content
