"""Data files of users in every format that is read: whole, damaged and hostile, from a seed."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
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
        "1" * 90_000 + "x",
        " " * 9000 + "'",
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


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
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


def write(folder: Path, files: Files) -> Path:
    """Write files; give the path of the first."""
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return folder / next(iter(files))
