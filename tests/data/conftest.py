"""Small datasets in the formats of the big ones, and a web server that can misbehave."""

import bz2
import gzip
import hashlib
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest

from sqsnn.data.dataset_spec import DataFile, DatasetSpec, Part, Source
from sqsnn.data.specs import SPECS

SHAPE = (3, 4)
COUNTS = {"train": (60, 40, 30, 20), "test": (12, 8, 6, 4)}


@dataclass
class Site:
    """A web site: what to answer at each path, and what was asked."""

    address: str = ""
    bodies: dict[str, bytes] = field(default_factory=dict)
    cut_short: bool = False
    requests: list[tuple[str, str | None]] = field(default_factory=list)


def labels_of(part: Part) -> np.ndarray:
    """The labels of a small dataset, mixed as in a real file."""
    labels = np.repeat(np.arange(4), COUNTS[part])
    return np.random.default_rng(0).permutation(labels)


def pixels_of(part: Part) -> np.ndarray:
    """Images that all differ: the first pixel counts the samples, the second is always white."""
    count = sum(COUNTS[part])
    pixels = np.random.default_rng(1).integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    pixels[:, 0, 0] = np.arange(count)
    pixels[:, 0, 1] = 255
    return pixels


def idx(array: np.ndarray) -> bytes:
    """A gzipped IDX file."""
    header = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


@pytest.fixture(name="labels_of")
def _labels_of() -> Callable[[Part], np.ndarray]:
    return labels_of


@pytest.fixture(name="pixels_of")
def _pixels_of() -> Callable[[Part], np.ndarray]:
    return pixels_of


@pytest.fixture(name="idx")
def _idx() -> Callable[[np.ndarray], bytes]:
    return idx


@pytest.fixture(autouse=True)
def no_data_folder_and_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Tests see only the data that they write; proxies would hide the server on this machine."""
    monkeypatch.delenv("SQSNN_DATA", raising=False)
    monkeypatch.setenv("SQSNN_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("NO_PROXY", "*")
    for name, spec in SPECS.items():
        sources = tuple(map(_offline, spec.sources))
        monkeypatch.setitem(SPECS, name, replace(spec, sources=sources))


@pytest.fixture
def site() -> Iterator[Site]:
    """A server on this machine."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests.append((self.path, self.headers["Accept-Encoding"]))
            body = site.bodies.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if site.cut_short else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def _offline(source: Source) -> Source:
    """The same source with its mirrors on a port without a server."""

    def nowhere(file: DataFile) -> DataFile:
        return replace(file, mirrors=file.mirrors and ("http://127.0.0.1:9/",))

    return replace(source, files=tuple(map(nowhere, source.files)))


@pytest.fixture
def tiny() -> DatasetSpec:
    """What remains of a dataset of images when it is made small."""
    return replace(
        SPECS["usps"],
        class_names=("ant", "bee", "cat", "dog"),
        image_shape=SHAPE,
        train_size=sum(COUNTS["train"]),
        test_counts=COUNTS["test"],
        sources=(),
    )


@pytest.fixture
def mnist(tmp_path: Path, tiny: DatasetSpec, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a small MNIST, known to the catalog as `mnist`."""
    folder = tmp_path / "MNIST"
    folder.mkdir()
    original = SPECS["mnist"].sources[0]
    contents = [make(part) for part in ("train", "test") for make in (pixels_of, labels_of)]
    files = []
    for file, content in zip(original.files, contents, strict=True):
        (folder / file.name).write_bytes(idx(content))
        md5 = hashlib.md5((folder / file.name).read_bytes()).hexdigest()
        files.append(replace(file, md5=md5))
    source = replace(original, files=tuple(files))
    monkeypatch.setitem(SPECS, "mnist", replace(tiny, name="mnist", sources=(source,)))
    return tmp_path


@pytest.fixture
def usps_h5(tmp_path: Path, tiny: DatasetSpec) -> Callable[[], Path]:
    """Writes a small usps.h5 and returns its path."""

    def write() -> Path:
        path = tmp_path / "USPS" / "usps.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            for part in ("train", "test"):
                values = pixels_of(part).reshape(-1, tiny.features) / np.float32(255)
                file[f"{part}/data"] = values.astype(np.float32)
                file[f"{part}/target"] = labels_of(part).astype(np.int32)
        return path

    return write


@pytest.fixture
def usps_libsvm(tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    """Writes small usps.bz2 and usps.t.bz2 and returns their paths."""

    def write() -> tuple[Path, Path]:
        folder = tmp_path / "USPS"
        folder.mkdir(exist_ok=True)
        for part, name in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
            pixels = pixels_of(part).reshape(-1, SHAPE[0] * SHAPE[1]) / 127.5 - 1
            lines = [
                f"{label + 1} " + " ".join(f"{i}:{value:.6f}" for i, value in enumerate(row, 1))
                for label, row in zip(labels_of(part), pixels, strict=True)
            ]
            (folder / name).write_bytes(bz2.compress("\n".join(lines).encode()))
        return folder / "usps.bz2", folder / "usps.t.bz2"

    return write


@pytest.fixture
def usps(
    tmp_path: Path,
    tiny: DatasetSpec,
    usps_libsvm: Callable[[], tuple[Path, Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An empty data folder for a small USPS, known to the catalog as `usps`."""
    h5, libsvm = SPECS["usps"].sources
    files = []
    for file, path in zip(libsvm.files, usps_libsvm(), strict=True):
        files.append(replace(file, md5=hashlib.md5(path.read_bytes()).hexdigest()))
        path.unlink()
    sources = (h5, replace(libsvm, files=tuple(files)))
    monkeypatch.setitem(SPECS, "usps", replace(tiny, sources=sources))
    return tmp_path
