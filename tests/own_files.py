"""Data files of users in every format that is read: whole, damaged and hostile, from a seed."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from pyarrow import parquet

Files = dict[str, bytes]  # by name; the first is the one to read
CLASSES = (["cat", "dog"], ["1", "2", "3"], ["0.5", "1.5"], ["left hand", "right; hand", "Fuß"])
# Entries that have a meaning somewhere, or none anywhere.
TOKENS = (
    *("", "?", "nan", "NaN", "NA", "None", "null", "inf", "-inf", "Infinity", "1e999", "-1e999"),
    *(
        "1e-400",
        "-0",
        "+7",
        " 3 ",
        "\t4",
        "1_000",
        "0x1A",
        "1,5",
        "1.5.2",
        "--5",
        "5-",
        "1e",
        "1d5",
    ),
    *(
        "True",
        "false",
        "abc",
        "ä",
        "\u0661\u0662",
        "\uff11\uff12",
        "9" * 400,
        "9" * 5000,
        "0" * 5000 + "1",
    ),
    *(
        '"',
        "'",
        '""',
        '"1"',
        "'1'",
        '"1\n2"',
        "\\",
        "\\n",
        ";",
        ":",
        "|",
        "#",
        "%",
        "{",
        "}",
        "\x1a",
    ),
    *(
        "=1+1",
        "$5",
        "1\u00a0",
        "\ufeff1",
        "\u2212",
        "1 2",
        "1\r2",
        "(0,1)",
        "a" * 200_000,
        "1 " * 900,
    ),
)


# Whole files


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers of many sizes and signs, of which some repeat."""
    values = rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4)
    return np.round(values, rng.integers(0, 17))


def labels_of(rng: np.random.Generator, count: int) -> list[str]:
    classes = CLASSES[rng.integers(len(CLASSES))]
    return [classes[index] for index in rng.integers(len(classes), size=count)]


def make_npz(rng: np.random.Generator) -> Files:
    count, steps, features = rng.integers(1, 12, 3).tolist()
    shape = (features,) if rng.random() < 0.5 else (steps, features)
    kind = rng.choice(["<f8", ">f8", "<f4", "<f2", "<i2", ">i4", "u1", "?"])
    order = rng.choice(["C", "F"])
    arrays = {"X": np.array(numbers(rng, count, *shape), kind, order=order)}
    texts = np.array(labels_of(rng, count))
    y = (texts, np.char.encode(texts, "utf-8"), rng.integers(0, 3, count), numbers(rng, count, 2))
    arrays["y"] = y[rng.integers(len(y))]
    if rng.random() < 0.4:
        arrays["X_test"], arrays["y_test"] = arrays["X"][::-1], arrays["y"][::-1]
    if rng.random() < 0.3:
        arrays["groups"] = rng.integers(0, 3, count)
    if rng.random() < 0.3:
        arrays["feature_names"] = np.array([f"name {index}" for index in range(features)])
    if rng.random() < 0.5 and len(shape) == 2:
        arrays["lengths"] = rng.integers(1, steps + 1, count)
    return {"own.npz": npz(arrays, rng.random() < 0.5)}


def npz(arrays: dict[str, np.ndarray], compressed: bool = False) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)  # pyright: ignore
    return buffer.getvalue()


def make_text_table(rng: np.random.Generator, suffix: str) -> Files:
    delimiter = {".csv": ",", ".tsv": "\t"}[suffix]
    count, features = rng.integers(1, 20), rng.integers(1, 8)
    names = [f"f{index}" for index in range(features)]
    columns = [[f"{value!r}" for value in row] for row in numbers(rng, features, count).tolist()]
    place = rng.integers(features + 1)
    names.insert(place, rng.choice(["label", "Class", "target", "y"]))
    columns.insert(place, labels_of(rng, count))
    if rng.random() < 0.3:
        names.append("who")
        columns.append([f"p{index}" for index in rng.integers(3, size=count)])
    rows = [names, *map(list, zip(*columns, strict=True))]
    if rng.random() < 0.3:
        rows = [[f'"{entry}"' if rng.random() < 0.5 else entry for entry in row] for row in rows]
    end = "\r\n" if rng.random() < 0.3 else "\n"
    text = end.join(delimiter.join(row) for row in rows)
    text += end if rng.random() < 0.7 else ""
    return {f"own{suffix}": (b"\xef\xbb\xbf" if rng.random() < 0.2 else b"") + text.encode()}


def make_csv(rng: np.random.Generator) -> Files:
    return make_text_table(rng, ".csv")


def make_tsv(rng: np.random.Generator) -> Files:
    return make_text_table(rng, ".tsv")


def make_parquet(rng: np.random.Generator) -> Files:
    count, features = int(rng.integers(1, 40)), int(rng.integers(1, 8))
    kinds = rng.choice(["float64", "float32", "int16", "uint8", "bool"], features)
    columns = {f"f{index}": numbers(rng, count).astype(kind) for index, kind in enumerate(kinds)}
    table = {name: pa.array(column) for name, column in columns.items()}
    texts = pa.array(labels_of(rng, count))
    table["label"] = texts.dictionary_encode() if rng.random() < 0.3 else texts
    if rng.random() < 0.3:
        table["who"] = pa.array(rng.integers(3, size=count))
    buffer = io.BytesIO()
    parquet.write_table(
        pa.table(table),
        buffer,
        compression=rng.choice(["none", "snappy", "gzip", "zstd"]),
        use_dictionary=bool(rng.random() < 0.5),
        row_group_size=int(rng.integers(1, 40)),
    )
    return {"own.parquet": buffer.getvalue()}


def make_series(rng: np.random.Generator) -> tuple[list[np.ndarray], list[str], bool]:
    """Series (dimensions, T) with labels, and whether all are of one length."""
    count, features, steps = (int(size) for size in rng.integers(1, 8, 3))
    equal = bool(rng.random() < 0.6)
    lengths = [steps if equal else int(rng.integers(1, steps + 1)) for _ in range(count)]
    labels = [label.replace(" ", "_") for label in labels_of(rng, count)]
    return [numbers(rng, features, length) for length in lengths], labels, equal


def ts_text(series: list[np.ndarray], labels: list[str], equal: bool) -> str:
    features = len(series[0])
    lines = ["# made for a test", "@problemName made", "@timeStamps false", "@missing false"]
    lines += [f"@univariate {str(features == 1).lower()}", f"@dimensions {features}"]
    lines += [f"@equalLength {str(equal).lower()}"]
    lines += [f"@seriesLength {series[0].shape[1]}"] * equal
    lines += [f"@classLabel true {' '.join(sorted(set(labels)))}", "@data"]
    for sample, label in zip(series, labels, strict=True):
        lines.append(":".join([*(",".join(map(repr, row)) for row in sample.tolist()), label]))
    return "\n".join(lines) + "\n"


def make_ts(rng: np.random.Generator) -> Files:
    series, labels, equal = make_series(rng)
    text = ts_text(series, labels, equal)
    if rng.random() < 0.3:
        text = text.replace("\n", "\r\n")
    if rng.random() < 0.3:
        return {"own_TRAIN.ts": text.encode(), "own_TEST.ts": text.encode()}
    return {"own.ts": text.encode()}


def arff_text(series: list[np.ndarray], labels: list[str]) -> str:
    steps, features = max(sample.shape[1] for sample in series), len(series[0])
    numeric = [f"@attribute att{index} numeric" for index in range(steps)]
    if features > 1:
        numeric = ["@attribute series relational", *numeric, "@end series"]
    classes = ",".join(f"'{label}'" for label in sorted(set(labels)))
    lines = ["% made for a test", "@relation made", "", *numeric]
    lines += [f"@attribute class {{{classes}}}", "@data"]
    for sample, label in zip(series, labels, strict=True):
        filled = [[*map(repr, row)] + ["?"] * (steps - len(row)) for row in sample.tolist()]
        rows = "\\n".join(map(",".join, filled))
        lines.append(f"{rows},'{label}'" if features == 1 else f"'{rows}','{label}'")
    return "\n".join(lines) + "\n"


def make_arff(rng: np.random.Generator) -> Files:
    series, labels, _ = make_series(rng)
    return {"own.arff": arff_text(series, labels).encode()}


MAKERS: dict[str, Callable[[np.random.Generator], Files]] = {
    "npz": make_npz,
    "csv": make_csv,
    "tsv": make_tsv,
    "parquet": make_parquet,
    "ts": make_ts,
    "arff": make_arff,
}


# Damage


def damage(rng: np.random.Generator, raw: bytes) -> bytes:
    """The bytes of a file after one to three accidents."""
    if rng.random() < 0.25:
        return _flip(rng, raw)
    for _ in range(rng.integers(1, 4)):
        raw = ACCIDENTS[rng.integers(len(ACCIDENTS))](rng, raw)
    return raw


def damage_member(rng: np.random.Generator, raw: bytes) -> bytes:
    """Damage one array of an .npz and zip it anew, with a checksum that fits."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    victim = list(members)[rng.integers(len(members))]
    return zip_of(members | {victim: damage(rng, members[victim])})


def _cut(rng: np.random.Generator, raw: bytes) -> tuple[bytes, bytes, bytes]:
    first, last = sorted(rng.integers(len(raw) + 1, size=2))
    return raw[:first], raw[first:last], raw[last:]


def _flip(rng: np.random.Generator, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for place in rng.integers(len(raw), size=rng.integers(1, 9)) if raw else ():
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _truncate(rng: np.random.Generator, raw: bytes) -> bytes:
    return raw[: rng.integers(len(raw) + 1)]


def _remove(rng: np.random.Generator, raw: bytes) -> bytes:
    place = rng.integers(len(raw) + 1)
    return raw[:place] + raw[place + rng.integers(1, 9) :]


def _duplicate(rng: np.random.Generator, raw: bytes) -> bytes:
    before, chunk, after = _cut(rng, raw)
    return before + chunk + chunk + after


def _swap(rng: np.random.Generator, raw: bytes) -> bytes:
    before, chunk, after = _cut(rng, raw)
    return chunk + before + after


def _insert(rng: np.random.Generator, raw: bytes) -> bytes:
    place = rng.integers(len(raw) + 1)
    chunk = bytes(int(rng.integers(1, 9))) if rng.random() < 0.3 else rng.bytes(4)
    return raw[:place] + chunk + raw[place:]


def _replace_entry(rng: np.random.Generator, raw: bytes) -> bytes:
    """Replace what stands between two delimiters."""
    ends = [index for index, byte in enumerate(raw) if byte in b",:\t\n "]
    if len(ends) < 2:
        return raw
    first = rng.integers(len(ends) - 1)
    token = TOKENS[rng.integers(len(TOKENS))].encode()
    return raw[: ends[first] + 1] + token + raw[ends[first + 1] :]


def _swap_lines(rng: np.random.Generator, raw: bytes) -> bytes:
    lines = raw.split(b"\n")
    one, other = rng.integers(len(lines), size=2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _encode(rng: np.random.Generator, raw: bytes) -> bytes:
    names = ["utf-16", "utf-32", "latin-1", "cp037", "utf-8-sig"]
    return raw.decode("utf-8", "replace").encode(names[rng.integers(len(names))], "replace")


def _replace_byte(rng: np.random.Generator, raw: bytes) -> bytes:
    """Replace one sign everywhere by another."""
    signs = b",;\t\n\r:.?'\"\0 -"
    one, other = rng.integers(len(signs), size=2)
    return raw.replace(signs[one : one + 1], signs[other : other + 1])


ACCIDENTS = (
    *(_flip, _truncate, _remove, _duplicate, _swap, _insert, _swap_lines, _encode, _replace_byte),
    *(_replace_entry,) * 6,
)


# Hostile files


def npy_member(header: str | bytes, body: bytes = b"", version: int = 1) -> bytes:
    """An array file with a header of one's own."""
    text = header.encode("latin-1") if isinstance(header, str) else header
    size = struct.pack("<H" if version == 1 else "<I", len(text) % 2**16)
    return npy.magic(version, 0) + size + text + body


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def bomb(size: int) -> bytes:
    """A small .npz whose X is that many bytes of zeros; the checksum is wrong, to save time."""
    header = _header(shape=f"({size // 8}, 1)")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(npy_member(header)) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush, equal blocks are packed equally.
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed += block * (size // 2**20) + packer.flush()
    raw = bytearray(zip_of({"X.npy": packed}, zipfile.ZIP_STORED))
    promised = len(npy_member(header)) + size
    for start, method in ((0, 8), (raw.index(b"PK\x01\x02"), 10)):
        struct.pack_into("<H", raw, start + method, zipfile.ZIP_DEFLATED)
        struct.pack_into("<I", raw, start + method + 14, promised)
    return bytes(raw)


def _header(descr: str = "'<f8'", shape: str = "(2, 1)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def hostile_npz() -> list[bytes]:
    """Files of numpy's format that were made to do harm."""
    two, y = np.ones((2, 1)), np.array([0, 1])
    objects, body = np.array([{}, []], dtype=object), two.tobytes()
    structured = np.zeros(2, [("a", "f8"), ("b", "O")])
    arrays: list[dict[str, np.ndarray]] = [
        {"X": two, "y": objects},
        {"X": objects, "y": y},
        {"X": structured, "y": y},
        {"X": two.astype(complex), "y": y},
        {"X": np.ones(2), "y": y},
        {"X": np.ones((2, 1, 1, 1)), "y": y},
        {"X": np.ones((0, 1)), "y": y[:0]},
        {"X": np.array([[1.0], [np.nan]]), "y": y},
        {"X": np.array([[1.0], [np.inf]]), "y": y},
        {"X": np.array([[np.longdouble("1e4000")], [1]]), "y": y},
        {"X": two, "y": np.array(["2020-01-01", "2021-01-01"], "M8[D]")},
        {"X": two, "y": np.array([b"\xff\xfe", b"a"])},
        {"X": two, "y": np.array([2**63, 1], np.uint64)},
        {"X": two, "y": np.array([np.nan, 1])},
        {"X": two, "y": np.array(["", "a"])},
        {"X": two, "y": np.zeros((2, 0))},
        {"X": two, "y": y[:1]},
        {"X": two, "y": np.array(1)},
        {"X": np.ones((2, 3, 1)), "y": y, "lengths": np.array([-1, 2])},
        {"X": np.ones((2, 3, 1)), "y": y, "lengths": np.array([2, 4])},
        {"X": np.ones((2, 3, 1)), "y": y, "lengths": np.array([2.0, 3.0])},
        {"X": np.ones((2, 3, 1)), "y": y, "lengths": np.array([2**64 - 1, 1], np.uint64)},
        {"X": two, "y": y, "lengths": np.array([1, 1])},
        {"X": two, "y": y, "lengths_test": np.array([1, 1])},
        {"X": two, "y": y, "y_test": y},
        {"X": two, "y": y, "X_test": np.ones((2, 2)), "y_test": y},
        {"X": two, "y": y, "X_test": two, "y_test": np.array(["a", "b"])},
        {"X": two, "y": y, "X_test": two},
        {"X": two, "y": y, "groups": np.array([0.5, 1])},
        {"X": two, "y": y, "feature_names": np.array(["a", "b"])},
        {"X": two, "y": y, "extra": two},
        {"x": two, "Y": y},
        {},
    ]
    shapes = ["(1000000, 1000000)", "(10**12, 1)", "(2**70,)", "(-2, -1)", "(2,)", "()", "(0, 1)"]
    shapes += ["(True, 2)", "(2.0, 1)", "'2'", "(4294967296, 4294967296)", "(2, 1, 1, 1, 1)"]
    descrs = ["'|O'", "'<f9'", "'<U1000000000'", "'<c16'", "'<U4'", "[('a', '<f8')]", "'V8'"]
    descrs += ["'<f8,<f8'", "'<m8[s]'", "None", "'<U0'", "('<f8', (2, 2))", "'|S8'", "'>f8'"]
    headers = [_header(shape=shape) for shape in shapes] + [_header(descr) for descr in descrs]
    headers += [_header(order="True"), _header(order="2"), "", "{}", "{'descr': 1}", "\0" * 64]
    headers += [
        "(" * 5000,
        "[" * 150 + "]" * 150,
        "-" * 9000 + "1",
        "{1:" * 3000,
        "__import__('os')",
    ]
    headers += ["'" + "a" * 60_000 + "'", _header() + " " * 20_000, "2L", "{'shape': (2L,)}", "\\"]
    y_member = npy_member(_header("'<i8'", "(2,)"), y.tobytes())
    members = [{"X.npy": npy_member(header, body), "y.npy": y_member} for header in headers]
    members += [{"X.npy": npy_member(_header(), body, version)} for version in (2, 3, 9)]
    members += [{"X.npy": b""}, {"X.npy": b"\x93NUMPY"}, {"X": body}, {"../X.npy": body}]
    members += [{"X.npy": npy_member(_header(), body + b"more")}, {"X.npy": b"cos\nsystem\n."}]
    files = [npz(each) for each in arrays] + [zip_of(each) for each in members]
    whole = npz({"X": two, "y": y})
    encrypted, unknown = bytearray(whole), bytearray(whole)
    place = whole.index(b"PK\x01\x02")
    encrypted[place + 8] |= 1
    unknown[place + 10] = 99
    files += [
        bytes(encrypted),
        bytes(unknown),
        whole + whole,
        zip_of({}),
        b"PK\x05\x06" + bytes(18),
    ]
    files += [zip_of({"X.npy": whole}, method) for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)]
    return [*files, bomb(2**30)]


def hostile_csv() -> list[bytes]:
    """Tables that are no tables, or look like others."""
    texts = [
        "",
        "\n",
        "\n\n\n",
        "label",
        "label\n",
        "a,label",
        "a,label\n",
        "a,label\n\n",
        ",\n1,2\n",
    ]
    texts += ["a,a,label\n1,2,x\n", "a,,label\n1,2,x\n", "a;label\n1;x\n", "a\tlabel\n1\tx\n"]
    texts += ["a,b,label\n1,2\n3,4,y\n", "a,b,label\n1,2,x,3\n", "a,b,label\n1,2,x\n1,2,x,3\n"]
    texts += [
        "a,b,label\n1,2,x,3\n1,2,x,3\n",
        "a,label\n1,5,x\n",
        'a,label\n"1,5",x\n',
        "a,label\n1\n",
    ]
    texts += ["label,class,a\nx,y,1\n", "a,b\n1,2\n", "a,label\n1,x\n2,\n", "a,label\n1,1\n2,NA\n"]
    texts += ["a,label\n1,none\n2,mild\n", "a,label\n1,nan\n2,nan\n", 'a,label\n1,"x\n2,y\n']
    texts += [
        "a,label\r1,x\r2,y\r",
        "a,label\n1,x\r\n2,y\n",
        "a,label\n\n1,x\n   \n2,y\n",
        "a,label\n1,x\0\n",
    ]
    texts += [
        "a,label\nTrue,x\nFalse,y\n",
        "a,label\nTrue,x\n1.5,y\n",
        "a,label\n1,True\n0,False\n",
    ]
    texts += [
        'a,label\n1,"x""y"\n2,x"y\n',
        'a,label\n1,"x"y\n',
        "a,label\n1,99999999999999999999\n",
    ]
    texts += [
        "a,label\n1,007\n2,7\n",
        f"a,label\n1,{'x' * 5000}\n",
        f"a,label\n{'1' * 200_000},x\n",
    ]
    texts += [
        "PK\x03\x04,label\n",
        "<html><body>no, table</body></html>",
        '{"a": [1, 2]}',
        "[" * 100_000,
    ]
    texts += [",".join(f"f{i}" for i in range(3000)) + ",y\n" + ",".join(["1"] * 3001) + "\n"]
    texts += [
        "a,label\n" + "1,x\n" * 20_000 + "oops,x\n",
        "a,label\n" + '"' * 99_999,
        "a,label\n1,\u2028x\n",
    ]
    texts += [
        "f1,label\n1,x\n2,x\u0000\n",
        "a,label\n1,x\u0085y\n",
        "a,label \n1,x \n2,x\n",
        "a,b,label\n,,\n",
    ]
    texts += [
        "a,label\n1,0.1\n2,1e400\n",
        "a,label\n1e308,x\n1e308,y\n",
        "\ufeff\ufeffa,label\n1,x\n",
    ]
    raw = [text.encode() for text in texts]
    raw += [text.encode(name) for text in texts[15:19] for name in ("utf-16", "utf-16-le", "cp037")]
    return [
        *raw,
        b"a,label\n1,Fu\xdf\n",
        b"a,label\n1,\xed\xa0\x80\n",
        b"a,label\n1\xff,x\n",
        b"\xff\xfe",
    ]


def hostile_tsv() -> list[bytes]:
    """The same with tabs, and some with the commas left."""
    files = hostile_csv()
    return [raw.replace(b",", b"\t") for raw in files] + files[:12]


def hostile_parquet() -> list[bytes]:
    """Tables of other types, and one whose rows take no room."""
    label = pa.array(["x", "y"])
    one = pa.array([1.0, 2.0])
    columns: list[pa.Array] = [
        pa.array([1.0, None]),
        pa.array([None, None]),
        pa.array([1.0, float("nan")]),
        pa.array([1.0, float("inf")]),
        pa.array(["1", "2"]),
        pa.array([[1.0], [2.0]]),
        pa.array([{"b": 1}, {"b": 2}]),
        pa.array([b"1", b"2"]),
        pa.array([1, 2], pa.timestamp("us")),
        pa.array([1, 2], pa.date32()),
        pa.array([2**63, 1], pa.uint64()),
        pa.array([1, 2], pa.decimal128(20, 3)),
        pa.array([1, 2], pa.float16()),
        pa.array([True, False]),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array(["a\0", "a"]),
        pa.array(["", "b"]),
        pa.array(["z" * 5000, "b"]),
    ]
    tables = [pa.table({"f": column, "label": label}) for column in columns]
    tables += [pa.table({"f": one, "label": column}) for column in columns]
    tables += [pa.table([one, one, label], ["f", "f", "label"]), pa.table({"label": label})]
    tables += [pa.table({"f": one}), pa.table({"f": one[:0], "label": label[:0]}), pa.table({})]
    tables += [
        pa.table({"f.g": one, "label": label}),
        pa.table({"__index_level_0__": one, "y": one}),
    ]
    tables += [pa.table({"": one, "label": label}), pa.table({"f\0g": one, "label": label})]
    tables += [pa.table({"f": one, "label": pa.chunked_array([label[:1], label[1:]])})]
    many = pa.array(np.zeros(40_000_000, np.int8))
    files = []
    for table in [*tables, pa.table({"f": many, "label": many})]:
        buffer = io.BytesIO()
        parquet.write_table(table, buffer)
        files.append(buffer.getvalue())
    return [
        *files,
        b"PAR1",
        b"PAR1" + bytes(8) + b"PAR1",
        b"PAR1\xff\xff\xff\xffPAR1",
        b"PAR1" * 99,
    ]


def hostile_ts() -> list[bytes]:
    """Series with a header that lies, or without."""
    head = "@problemName p\n@timeStamps false\n@univariate true\n"
    classes = head + "@classLabel true a b\n@data\n"
    texts = ["", "@data\n", head, classes, "1,2:a\n", head + "@data\n1,2\n", classes + "1,2:c\n"]
    texts += [
        classes + body for body in ("1,2\n", "1,2:\n", ":a\n", "1,,2:a\n", "1,2,:a\n", "1,?:a\n")
    ]
    texts += [
        classes + body for body in ("1,2:3,4:a\n", "1:A\n", "1,nan:a\n", "a:1,2\n", "::::\n", ":\n")
    ]
    texts += [
        classes + "1,2:a\n1:b\n",
        classes + "1,2:a\n# no\n% no\n\n3,4:b\n",
        classes + "1 2:a\n",
    ]
    texts += [classes + ",".join(["1"] * 30_000) + ":a\n" + "1:b\n" * 30_000]
    for line in (
        "@timeStamps true",
        "@seriesLength 1000000000000",
        "@seriesLength -1",
        "@missing maybe",
    ):
        texts.append(f"{line}\n@classLabel true a\n@data\n1,2:a\n")
    for line in (
        "@dimensions 5",
        "@dimensions x",
        "@univariate",
        "@equalLength",
        "@data",
        "@nonsense 1",
    ):
        texts.append(f"{line}\n@classLabel true a\n@data\n1,2:a\n")
    texts += [
        "@classLabel true\n@data\n1:a\n",
        "@classLabel false\n@data\n1,2\n3,4\n",
        "@" * 10_000,
    ]
    texts += ["@equalLength true\n@seriesLength 3\n@classLabel true a\n@data\n1,2:a\n", "data\n1:a"]
    texts += [
        "@targetLabel true\n@data\n1,2:0.5\n3,4:x\n",
        "@targetLabel true\n@data\n1,2:0.5\n3,4:1\n",
    ]
    texts += [
        "@targetLabel true\n@data\n1,2:nan\n3,4:1\n",
        "@classLabel true ? a\n@data\n1:?\n1:a\n",
    ]
    texts += [
        "@dimensions " + "9" * 5000 + "\n@data\n1,2\n",
        "@dimensions \u0661\n@targetLabel true\n@data\n1:1\n",
    ]
    texts += ["@data\n(0,1),(1,2):a\n", classes + "1,2:a:b\n", "@CLASSLABEL TRUE a\n@DATA\n1:a\n"]
    return [text.encode() for text in texts] + [
        classes.encode("utf-16"),
        b"\xff" * 100,
        bytes(1000),
    ]


def hostile_arff() -> list[bytes]:
    """Weka's other attributes, quotation marks and nests."""
    attribute, classes = "@attribute v numeric\n", "@attribute c {a,'b c'}\n"
    flat = f"@relation r\n{attribute}{attribute}{classes}@data\n"
    nested = f"@relation r\n@attribute s relational\n{attribute}{attribute}@end s\n{classes}@data\n"
    texts = [
        "",
        "@data\n",
        flat,
        nested,
        f"@relation r\n{classes}@data\na\n",
        flat.replace("@data", ""),
    ]
    texts += [
        flat + row for row in ("1,2,a\n", "1,2,'b c'\n", '1,2,"b c"\n', "1,2,b c\n", "1,2,z\n")
    ]
    texts += [
        flat + row for row in ("1,2\n", "1,2,3,a\n", "1,?,a\n", "?,2,a\n", "?,?,a\n", "1,2,?\n")
    ]
    texts += [
        flat + row for row in ("1,'2',a\n", "1,2,'a\n", "1,2,'a'x\n", "{0 1, 2 a}\n", "1,2,a,{5}\n")
    ]
    texts += [
        flat + row
        for row in ("1,2,'b\\ c'\n", "1 2 a\n", "1\t2\ta\n", ",,\n", "1,2,a %no\n", "'''\n")
    ]
    texts += [
        nested + row for row in ("'1,2\\n3,4',a\n", '"1,2\\n3,4",a\n', "'1,2',a\n", "'1,2\\n3',a\n")
    ]
    texts += [
        nested + row
        for row in ("'1,?\\n3,?',a\n", "'1,?\\n3,4',a\n", "1,2,a\n", "'',a\n", "'1,2\\n',a\n")
    ]
    texts += [
        nested + row for row in ("'1,2\\n3,4',a\n'1,2',a\n", "'1,2\\t3,4',a\n", "'1,2\\\\n3,4',a\n")
    ]
    texts += [
        "@attribute s relational\n" * 1000,
        "@relation r\n" + attribute * 3 + "@data\n1,2,3\n",
    ]
    texts += [
        f"@relation r\n@attribute t string\n{classes}@data\nx,a\n",
        flat + "\\" * 10_000 + "'\n",
    ]
    texts += [
        f"@relation r\n@attribute d date\n{attribute}{classes}@data\n1,2,a\n",
        flat + "'" + "\\'" * 50_000,
    ]
    texts += [
        f"@relation r\n{classes}{attribute}@data\na,1\n",
        flat + '"' * 50_001,
        "@attribute " + "v" * 100_000,
    ]
    texts += [
        "@attribute c {" + "{" * 10_000,
        "@attribute " + " " * 50_000 + "x",
        flat.upper() + "1,2,A\n",
    ]
    texts += [
        f"@relation r\n{attribute}@attribute c {{1,2}}\n@data\n1,2\n1e999,1\n",
        "@attribute c {}\n@data\n",
    ]
    return [text.encode() for text in texts] + [
        flat.encode("utf-16"),
        bytes(100),
        b"%\xff\n" + flat.encode(),
    ]


HOSTILE: dict[str, Callable[[], list[bytes]]] = {
    "npz": hostile_npz,
    "csv": hostile_csv,
    "tsv": hostile_tsv,
    "parquet": hostile_parquet,
    "ts": hostile_ts,
    "arff": hostile_arff,
}


def write(folder: Path, files: Files) -> Path:
    """Write files; give the path of the first."""
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder / next(iter(files))
