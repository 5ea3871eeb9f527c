"""Files of recorded spikes in every format that is read, and a plain reader of them, from a seed.

The reader computes bins in fractions of whole numbers, which never round.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from dataset_files import harm
from own_files import Files, damage, npz, zip_of
from own_hostile import npy_member

from sqsnn.data.own.spike_times import read_spike_trains

BIN_WIDTH = Fraction("0.05")
Row = tuple[Any, Any, Any]  # time, train, unit
_NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")
Found = tuple[list[tuple[int, int]], list[list[list[int]]], int]  # shapes, spikes, merged


# Whole files


def rows_of(rng: np.random.Generator, trains: int) -> list[Row]:
    """Spikes of a few units, in the order of time or of the units; every train has some."""
    digits, width = int(rng.integers(2, 17)), float(BIN_WIDTH)
    units = sorted(rng.choice(20, rng.integers(1, 4), replace=False).tolist())
    rows = [
        (time, train, unit)
        for train in range(trains)
        for unit in units
        for place in sorted(rng.choice(60, rng.integers(1, 6), replace=False).tolist())
        for time in [round((place + rng.uniform(0, 0.65)) * width, digits)]
    ]
    if len(rows) >= 10:  # of which one spike may be merged
        at = int(rng.integers(len(rows)))
        time, train, unit = rows[at]
        rows.insert(at + 1, (round(time + width / 5, digits), train, unit))
    return sorted(rows) if rng.random() < 0.5 else rows


def labelled(rng: np.random.Generator, rows: list[Row]) -> list[Row]:
    """Number trains from 1 and name units, or do one of it, or none."""
    first, prefix = int(rng.integers(2)), rng.choice(["", "cell "])
    return [(time, train + first, f"{prefix}{unit}") for time, train, unit in rows]


def make_bins(rng: np.random.Generator) -> Files:
    count, steps, units = rng.integers(1, [4, 30, 4]).tolist()
    shape = (count, steps) if rng.random() < 0.4 else (count, steps, units)
    kind = rng.choice(["u1", "?", "<i4", ">f8", "<f4"])
    arrays = {"spikes": (rng.random(shape) < 0.3).astype(kind)}
    if rng.random() < 0.5:
        arrays["lengths"] = rng.integers(1, steps + 1, count)
    if rng.random() < 0.5:
        arrays["bin_width"], arrays["merged"] = np.array(float(BIN_WIDTH)), np.array(3)
    return {"recording.npz": npz(arrays, rng.random() < 0.5)}


def make_times(rng: np.random.Generator) -> Files:
    trains = int(rng.integers(1, 4))
    rows = rows_of(rng, trains)
    with_stops = rng.random() < 0.25
    if not with_stops:
        rows = labelled(rng, rows)
    times, numbers, units = map(np.array, zip(*rows, strict=True))
    arrays = {"times": times, "units": units}
    if trains > 1 or rng.random() < 0.5:
        arrays["trains"] = numbers
    if with_stops or rng.random() < 0.3:
        arrays["stop"] = rng.uniform(3.1, 4, (trains,) if with_stops else ())
    return {"recording.npz": npz(arrays, rng.random() < 0.5)}


def make_text(rng: np.random.Generator, suffix: str) -> Files:
    delimiter = {".csv": ",", ".tsv": "\t", ".txt": " "}[suffix]
    trains = int(rng.integers(1, 4))
    rows = labelled(rng, rows_of(rng, trains))
    if suffix == ".txt":
        rows = [(time, train, unit.replace(" ", "")) for time, train, unit in rows]
    named = ("time", rng.choice(["train", "trial"]), "unit")
    columns = dict(zip(named, zip(*rows, strict=True), strict=True))
    if trains == 1 and rng.random() < 0.5:
        del columns[named[1]]
    if len(set(columns["unit"])) == 1 and rng.random() < 0.5:
        del columns["unit"]
    names = rng.permutation(list(columns)).tolist()
    lines = [delimiter.join(f"{columns[name][at]}" for name in names) for at in range(len(rows))]
    quote = '"' if rng.random() < 0.3 and suffix != ".txt" else ""
    if len(names) > 1 or rng.random() < 0.5:
        lines.insert(0, delimiter.join(f"{quote}{name}{quote}" for name in names))
    if rng.random() < 0.3:
        lines.insert(int(rng.integers(len(lines) + 1)), "# recorded in January")
    text = ("\r\n" if rng.random() < 0.3 else "\n").join([*lines, ""])
    return {f"recording{suffix}": (b"\xef\xbb\xbf" if rng.random() < 0.2 else b"") + text.encode()}


def make_nwb(rng: np.random.Generator) -> Files:
    rows = sorted(rows_of(rng, 1), key=lambda row: row[2])
    times, _, units = map(np.array, zip(*rows, strict=True))
    numbers, renamed = np.unique(units), rng.permutation(20)
    ends = np.searchsorted(units, numbers, side="right").astype(rng.choice(["u1", "<i4", "<u8"]))
    packing = {"compression": "gzip", "shuffle": True} if rng.random() < 0.3 else {}
    return {"recording.nwb": nwb(times, ends, renamed[numbers], **packing)}


def nwb(times: Any, ends: Any, numbers: Any, **packing: Any) -> bytes:
    """The table of units of a file of Neurodata Without Borders, without what else is in one."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("units/spike_times", data=times, **packing)
        file["units/spike_times_index"], file["units/id"] = ends, numbers
    return buffer.getvalue()


MAKERS: dict[str, Callable[[np.random.Generator], Files]] = {
    "bins": make_bins,
    "times": make_times,
    "csv": lambda rng: make_text(rng, ".csv"),
    "tsv": lambda rng: make_text(rng, ".tsv"),
    "txt": lambda rng: make_text(rng, ".txt"),
    "nwb": make_nwb,
}


# Hostile files, and damage


def hostile() -> dict[str, list[bytes]]:
    """Files made to do harm, or at the limits."""
    times = np.array([0.1, 0.2])
    huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    texts = ["1e12", "1e300", "5e-324", "-0.1", "0.2\n0.1", "0.1\n0.1", "inf", "nan", "1e999", ""]
    texts += ["#", "time", "time\n", "\0", '"', '"0.1\n0.2"', "time,unit\n1", "unit\n1", "0.1,0.2"]
    texts += ["time,train\n1,1", "time,train\n1,-1", f"time,train\n1,{10**18}", "time,unit\n1,0.5"]
    texts += ["time,train\n1," + "9" * 5000, "9" * 5000, "1_0", "\u0661", "0x1", "true", "1,time"]
    texts += ["time,unit\n" + "\n".join(f"1,{unit}" for unit in range(9)), "a" * 10**6, "time,time"]
    bins = np.array([[0, 1], [1, 0]])
    arrays = [
        *({"times": values} for values in (times[::-1], [0.1, 0.1], [-1.0, 1], [np.nan], [np.inf])),
        *(
            {"times": values}
            for values in ([[0.1]], np.array([{}]), ["a"], [1e12], [1e300], [True])
        ),
        *({"times": times, "trains": values} for values in ([0, 2], [0, -1], [0, 2**62], [0.0, 1])),
        *({"times": times, "units": values} for values in ([0], [0, -1], [0, 2**63], ["a", "b"])),
        *({"times": times, "stop": values} for values in (0.15, [1.0, 2], np.nan, -1.0, 1e12, "a")),
        {"times": np.arange(9.0), "units": np.arange(9)},
        {"times": times, "spikes": bins},
        *({"spikes": values} for values in (bins * 2, bins * np.nan, bins * 1j, bins[0], "a", {})),
        *(
            {"spikes": bins, "lengths": values}
            for values in ([0, 2], [3, 1], [1], [1.0, 2], [-1, 1])
        ),
        *({"spikes": bins, "bin_width": values} for values in (0, -1, np.nan, np.inf, [1.0], "a")),
        {"spikes": bins, "merged": -1},
        {"other": bins},
    ]
    npzs = [npz({name: np.asarray(values) for name, values in held.items()}) for held in arrays]
    npzs.append(zip_of({"times.npy": npy_member(huge)}))
    npzs.append(npz({"spikes": np.ones((10**7, 1), np.uint8)}, compressed=True))
    nwbs = [
        *(nwb(times, ends, [4, 5]) for ends in ([2, 1], [1, 3], [1, 1], [-1, 2], [1], [0.5, 2])),
        *(nwb(times, [1, 2], numbers) for numbers in ([4, 4], [-1, 0], [4], [0.5, 1], ["a", "b"])),
        *(nwb(values, [2], [1]) for values in ([0.2, 0.1], [0.1, 0.1], [np.nan, 1], [-1.0, 1])),
        *(nwb(values, [2], [1]) for values in ([1e12, 2e12], [[0.1, 0.2]] * 2, ["a", "b"], [1, 2])),
        nwb(np.arange(9.0), np.arange(1, 10), np.arange(9)),
    ]
    return {"times": npzs, "csv": [text.encode() for text in texts], "nwb": nwbs}


def hurt(rng: np.random.Generator, kind: str, raw: bytes) -> bytes:
    """Damage a file, or what is packed in it with checksums that fit."""
    return (damage if kind in ("csv", "tsv", "txt") else harm)(rng, raw)


# Reading: by sqsnn, and by a plain reader


def read(path: Path) -> Found:
    """Where sqsnn finds spikes."""
    trains = read_spike_trains(path, float(BIN_WIDTH))
    places = [np.argwhere(train).tolist() for train in trains]
    return [train.shape for train in trains], places, trains.merged


def agrees(found: Found, path: Path) -> str | None:
    """Compare with what the plain reader finds; None if it is equal."""
    try:
        expected = reference(path)
    except Exception as error:
        return f"the plain reader fails: {error!r}"
    return None if found == expected else f"{found}\n differs from\n{expected}"


def reference(path: Path) -> Found:
    """Where spikes are, by numpy, h5py, csv and fractions."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        if "spikes" in held:
            return _from_bins(held)
        none = np.zeros(len(held["times"]), int)
        labels = (held.get(name, none) for name in ("trains", "units"))
        # Texts are names there, even "1".
        labels = [
            each if each.dtype.kind != "U" else [f"name {one}" for one in each] for each in labels
        ]
        rows = zip(map(str, held["times"]), *labels, strict=True)
        return _binned(list(rows), held.get("stop"))
    if path.suffix == ".nwb":
        with h5py.File(path) as file:
            content: Any = file["units"]
            times, ends = content["spike_times"][()], content["spike_times_index"][()]
            units = np.repeat(content["id"][()], np.diff(ends.astype(int), prepend=0))
        return _binned([(f"{time}", 0, unit) for time, unit in zip(times, units, strict=True)])
    return _binned(_text_rows(path))


def _from_bins(held: dict[str, np.ndarray]) -> Found:
    shapes, places = [], []
    for number, train in enumerate(held["spikes"].tolist()):
        length = int(held["lengths"][number]) if "lengths" in held else len(train)
        bins = [one if isinstance(one, list) else [one] for one in train[:length]]
        shapes.append((length, len(bins[0])))
        places.append([[t, n] for t, one in enumerate(bins) for n, bit in enumerate(one) if bit])
    return shapes, places, int(held.get("merged", 0))


def _text_rows(path: Path) -> list[Row]:
    text = path.read_bytes().decode("utf-8-sig")
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and line[0] != "#"]
    if path.suffix == ".txt":
        cells = [line.replace('"', "").split() for line in lines]
    else:
        cells = list(csv.reader(lines, delimiter={".csv": ",", ".tsv": "\t"}[path.suffix]))
    names = [cell.strip().lower() for cell in cells[0]]
    if "time" not in names:
        return [(time, 0, 0) for (time,) in cells]
    rows = [dict(zip(names, row, strict=True)) for row in cells[1:]]
    return [
        (row["time"], row.get("train", row.get("trial", 0)), row.get("unit", 0)) for row in rows
    ]


def _numbered(labels: Sequence[Any]) -> list[int]:
    """The position of each label: of numbers by their size, of names as they first appear."""
    texts = [str(label).strip() for label in labels]
    names = isinstance(labels[0], str) and (
        not all(map(_NUMBER.fullmatch, texts))
        or ("".join(texts).isdigit() and max(map(len, texts)) > 18)
    )
    keys = texts if names else list(map(Decimal, texts))
    known = list(dict.fromkeys(keys)) if names else sorted(set(keys))
    return [known.index(key) for key in keys]


def _binned(rows: list[Row], stop: Any = None) -> Found:
    times, trains, units = zip(*rows, strict=True)
    # Trains that have a stop each are numbered from 0, and one may be silent.
    trains = list(map(int, trains)) if np.ndim(stop) else _numbered(trains)
    units = _numbered(units)
    count, channels = 1 + max(trains), 1 + max(units)
    stops = [None] * count if stop is None else np.broadcast_to(stop, max(np.size(stop), count))
    spikes: list[set[tuple[int, int]]] = [set() for _ in stops]
    for time, train, unit in zip(times, trains, units, strict=True):
        spikes[train].add((floor(Fraction(Decimal(time.strip())) / BIN_WIDTH), unit))
    lengths = [
        1 + max(t for t, _ in train) if end is None else -(-Fraction(str(end)) // BIN_WIDTH)
        for train, end in zip(spikes, stops, strict=True)
    ]
    places = [list(map(list, sorted(train))) for train in spikes]
    merged = len(rows) - sum(map(len, places))
    return [(int(length), channels) for length in lengths], places, merged
