"""Opens a dataset of any kind: what the files tell about it, and the samples of each part."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqsnn.data.dataset_spec import DatasetSpec, Part
from sqsnn.data.events import Binning, Recordings
from sqsnn.data.files import broken, choose_source, fetch_all
from sqsnn.data.stored import RawSamples, store


class OpenDataset(NamedTuple):
    """A dataset whose parts can be read.

    Attributes:
        class_names: One name per class.
        features: Values per sample, or per step of a spike train.
        grid: How they lie: (maps, rows, columns) or (maps, columns); None where they have no order.
        channels: Channels of a spike train; 1 for values.
        steps: Steps of the spike trains; None for values.
        test_counts: Test samples of each class.
        source: The files, or how the samples are generated.
        read: Reads a part.
    """

    class_names: tuple[str, ...]
    features: int
    grid: tuple[int, ...] | None
    channels: int
    steps: int | None
    test_counts: tuple[int, ...]
    source: str
    read: Callable[[Part], RawSamples]


def open_dataset(
    spec: DatasetSpec, folder: Path, *, delay: int | None, binning: Binning | None
) -> OpenDataset:
    """Open a dataset: fetch, bin and cache events now, fetch other files with the first part."""
    if binning is not None:
        return _open_events(spec, folder, binning)
    source = choose_source(spec, folder)
    reader = source.load_reader()

    @cache
    def paths() -> tuple[Path, ...]:
        return fetch_all(source, folder)

    def read(part: Part) -> RawSamples:
        return reader(spec, paths() if delay is None else delay, part)

    return OpenDataset(
        class_names=spec.class_names,
        features=spec.features or 0,
        grid=None if spec.image_shape is None else (1, *spec.image_shape),
        channels=1,
        steps=spec.steps(delay) if spec.is_spike_trains else None,
        test_counts=spec.test_counts,
        source=source.label if delay is None else f"{source.label}, delay {delay}",
        read=read,
    )


def open_parts(spec: DatasetSpec, folder: Path) -> tuple[Recordings, Recordings]:
    """Open the training and the test part of an event dataset, downloading missing files.

    A file that is present need not be the published one: a subset has another checksum, and the
    readers find damage in the content.
    """
    source = spec.sources[-1]
    places = fetch_all(source, folder, verify=False) or (folder / source.folder,) * 2
    reader = source.load_reader()
    train, test = reader(spec, places[0], "train"), reader(spec, places[1], "test")
    if train.class_names != test.class_names:
        expected = f"the classes of {train.path.name}"
        raise broken(test.path, expected, f"{test.class_names}", where="extra/keys")
    return train, test


def _open_events(spec: DatasetSpec, folder: Path, binning: Binning) -> OpenDataset:
    train, test = open_parts(spec, folder)
    # Both are binned now, so that damage is found before training.
    stored: dict[Part, RawSamples] = {
        "train": store(f"{spec.name}-train", train, binning),
        "test": store(f"{spec.name}-test", test, binning),
    }
    class_names = train.class_names
    if class_names is None:
        count = 1 + max(int(part.targets.max()) for part in stored.values())
        class_names = tuple(map(str, range(count)))
    return OpenDataset(
        class_names=class_names,
        features=binning.units(train.sensor),
        grid=binning.grid(train.sensor),
        channels=binning.channels,
        steps=binning.steps,
        test_counts=tuple(np.bincount(stored["test"].targets, minlength=len(class_names)).tolist()),
        source=describe_events(spec, train.count, test.count),
        read=stored.__getitem__,
    )


def describe_events(spec: DatasetSpec, train: int, test: int) -> str:
    """Name the source of events, as results quote it: a subset is called one."""
    label = spec.sources[-1].label
    if not spec.train_size:
        return f"{label}, {train} + {test} recordings"
    if train != spec.size("train"):
        return f"{label}, {train}-recording subset"
    return label if test == spec.size("test") else f"{label}, {test}-recording test subset"
