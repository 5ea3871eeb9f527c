"""Files of events as the distributions have them, written by tests; shares no code with src."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

# (time in microseconds, x, y, ON)
Event = tuple[int, int, int, bool]


def nmnist_member(events: Sequence[Event]) -> bytes:
    """Five bytes per event: x, y, then the polarity bit and 23 bits of the time."""
    return b"".join(
        bytes((x, y)) + (on << 23 | time).to_bytes(3, "big") for time, x, y, on in events
    )


def nmnist_zip(members: Mapping[str, bytes]) -> bytes:
    """A zip file of members, compressed as in the distribution."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(zipfile.ZipInfo(name), raw, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def write_nmnist(folder: Path, train: int = 4, test: int = 2) -> None:
    """NMNIST/Train.zip and Test.zip below the folder, with equally many recordings of each digit.

    A recording of digit d has ON events at (3 d, 3 d) and OFF events at (3 d, 0), one of each every
    30 ms; its number shifts all times.
    """
    place = folder / "NMNIST"
    place.mkdir(parents=True, exist_ok=True)
    for part, count in (("Train", train), ("Test", test)):
        members = {}
        for number in range(10 * count):
            digit = number % 10
            events = []
            for step in range(10):
                time = 31_000 * step + number
                events += [(time, 3 * digit, 3 * digit, True), (time + 5, 3 * digit, 0, False)]
            members[f"{part}/{digit}/{number + 1:05d}.bin"] = nmnist_member(events)
        (place / f"{part}.zip").write_bytes(nmnist_zip(members))


def write_hdf5(
    path: Path,
    times: Sequence[Sequence[float]],
    units: Sequence[Sequence[int]],
    labels: Sequence[int],
    keys: Sequence[str],
) -> None:
    """A file in the layout of the Spiking Heidelberg Digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, rows, kind in (("times", times, np.float32), ("units", units, np.uint16)):
            dataset = file.create_dataset(
                f"spikes/{name}", (len(rows),), dtype=h5py.vlen_dtype(kind)
            )
            for number, row in enumerate(rows):
                dataset[number] = np.array(row, kind)
        file["labels"] = np.array(labels, np.uint16)
        file["extra/keys"] = np.array(keys, h5py.string_dtype())


def write_braille(folder: Path, train: int = 3, test: int = 1) -> None:
    """Braille/braille_train.h5 and braille_test.h5, with equally many recordings of each letter.

    A recording of letter c has an event of unit c % 24 every 50 ms, before 1.3 s.
    """
    names = ["Space", *map(chr, range(ord("A"), ord("Z") + 1))]
    for part, count in (("train", train), ("test", test)):
        labels = list(range(27)) * count
        times = [[0.05 * step + 0.001 for step in range(26)] for _ in labels]
        units = [[label % 24] * 26 for label in labels]
        write_hdf5(folder / "Braille" / f"braille_{part}.h5", times, units, labels, names)


def aedat(events: Sequence[Event], head: bytes = b"#!AER-DAT2.0\r\n# made by a test\r\n") -> bytes:
    """A file of a DVS128: an address and microseconds per event, four bytes each."""
    return head + b"".join(
        (y << 8 | (127 - x) << 1 | (not on)).to_bytes(4, "big") + time.to_bytes(4, "big")
        for time, x, y, on in events
    )


def write_mnist_dvs(folder: Path, count: int = 10) -> None:
    """MNIST-DVS/grabbed_data0.zip to 9 below the folder, with equally many recordings each.

    A recording of digit d has an ON event in column d, row 2 of the digit and an OFF event in the
    last row, and one outside that comes 3 us before; its number delays the second.
    """
    (folder / "MNIST-DVS").mkdir(parents=True, exist_ok=True)
    for digit in range(10):
        members = {}
        for number in range(count):
            events = [(7, 10, 10, True), (10, 48 + digit, 50, True)]
            raw = aedat([*events, (1000 + number, 48 + digit, 73, False)])
            for scale in ("04", "16"):
                name = f"mnist_{digit}_scale{scale}_{number + 1:04d}.aedat"
                members[f"grabbed_data{digit}/scale{int(scale)}/{name}"] = raw
        path = folder / "MNIST-DVS" / f"grabbed_data{digit}.zip"
        path.write_bytes(nmnist_zip(members))
