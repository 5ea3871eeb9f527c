"""Hostile data files of users: made to do harm, to look like something else, or at the limits."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from own_files import npz, zip_of
from pyarrow import parquet


def npy_member(header: str | bytes, body: bytes = b"", version: int = 1) -> bytes:
    """An array file with a header of one's own."""
    text = header.encode("latin-1") if isinstance(header, str) else header
    size = struct.pack("<H" if version == 1 else "<I", len(text) % 2**16)
    return npy.magic(version, 0) + size + text + body


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


def repeated_text(stored: bool) -> bytes:
    """A table of 1 kB whose labels, one text for all rows, would take 10 GB."""
    label = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), ["z" * 10**7])
    buffer = io.BytesIO()
    parquet.write_table(
        pa.table({"f": pa.array(range(1000)), "label": label}),
        buffer,
        compression="zstd",
        dictionary_pagesize_limit=2**30,
        store_schema=stored,
    )
    return buffer.getvalue()


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
        *map(repeated_text, (True, False)),
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
    texts += ["@attribute " + "v" * 100_000 + "1", "@attribute v" + " " * 100_000 + "1"]
    texts += [
        flat + "1" + " " * 50_000 + "'x\n",
        flat + " " * 50_000 + "'x",
        flat + "1,'2'" + " " * 50_000 + "x",
    ]
    texts += [flat + "1" * 100_000 + "x,1,a\n", nested + "'" + "1,2\\n" * 50_000 + "',a"]
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
