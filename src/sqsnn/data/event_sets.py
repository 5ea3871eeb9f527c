"""Event datasets: their classes, sensors and files; recordings out, no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqsnn.data.events import Sensor
from sqsnn.data.files import DataFile, fetch, find
from sqsnn.data.hdf5_recordings import open_hdf5
from sqsnn.data.images import Part
from sqsnn.data.recordings import NMNIST_SENSOR, Recordings, damaged, open_nmnist


@dataclass(frozen=True)
class EventSet:
    """What is known about a dataset of events before a file is opened.

    Args:
        label: what results are quoted as.
        folder: the dataset's folder below the data folder.
        train: the file of the training part, validation included.
        test: the file of the test part.
        sensor: what the events come from.
        class_names: one name a class; the numbers of the labels where the files name them.
        train_size: recordings of the training part as published.
        test_size: recordings of the test part as published.
        open: (path of a file) -> what is in it, the events not yet read.
    """

    label: str
    folder: str
    train: DataFile
    test: DataFile
    sensor: Sensor
    class_names: tuple[str, ...]
    train_size: int
    test_size: int
    open: Callable[[Path], Recordings]

    def file(self, part: Part) -> DataFile:
        """The file of a part."""
        return self.train if part == "train" else self.test

    @property
    def is_obtainable(self) -> bool:
        """Whether there is a download."""
        return bool(self.train.mirrors and self.test.mirrors)


def is_present(event_set: EventSet, data_folder: Path) -> bool:
    """Whether both files lie in the data folder (whole or not)."""
    folder = data_folder / event_set.folder
    return all(find(file, folder) is not None for file in (event_set.train, event_set.test))


def open_parts(event_set: EventSet, data_folder: Path) -> dict[Part, Recordings]:
    """Look into both files, downloaded where they are missing.

    A file that is there need not be the published one: a subset has another checksum, and what is
    damaged is found by its content.

    Args:
        event_set: an entry of `EVENT_SETS`.
        data_folder: the folder of all datasets.

    Raises:
        DataError: if a file is broken, or missing and not to be had; or if the parts name other
            classes.
    """
    folder = data_folder / event_set.folder
    parts: dict[Part, Recordings] = {}
    for part in _PARTS:
        file = event_set.file(part)
        parts[part] = event_set.open(find(file, folder) or fetch(file, folder))
    train, test = parts["train"], parts["test"]
    if train.class_names != test.class_names:
        raise damaged(
            test.path, "extra/keys", f"the classes of {train.path.name}", f"{test.class_names}"
        )
    return parts


def source(event_set: EventSet, train: int, test: int) -> str:
    """What to quote results as, given how many recordings there are.

    Args:
        event_set: an entry of `EVENT_SETS`.
        train: recordings of the training part.
        test: recordings of the test part.
    """
    if train != event_set.train_size:
        return f"{event_set.label}, {train}-recording subset"
    if test != event_set.test_size:
        return f"{event_set.label}, {test}-recording test subset"
    return event_set.label


_PARTS: tuple[Part, ...] = ("train", "test")
_DIGITS = tuple("0123456789")
_MENDELEY = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
_HEIDELBERG = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")
_SHD_SENSOR, _BRAILLE_SENSOR = Sensor(columns=700), Sensor(columns=24)

EVENT_SETS: dict[str, EventSet] = {
    "nmnist": EventSet(
        label="N-MNIST",
        folder="NMNIST",
        train=DataFile(
            "Train.zip",
            "20959b8e626244a1b502305a9e6e2031",
            (f"{_MENDELEY}39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",),
        ),
        test=DataFile(
            "Test.zip",
            "69ca8762b2fe404d9b9bad1103e97832",
            (f"{_MENDELEY}05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",),
        ),
        sensor=NMNIST_SENSOR,
        class_names=_DIGITS,
        train_size=60_000,
        test_size=10_000,
        open=partial(open_nmnist, class_names=_DIGITS),
    ),
    "shd": EventSet(
        label="Spiking Heidelberg Digits",
        folder="SHD",
        train=DataFile("shd_train.h5", "d47c9825dee33347913e8ce0f2be08b0", _HEIDELBERG, ".gz"),
        test=DataFile("shd_test.h5", "3062a80ec0c5719404d5b02e166543b1", _HEIDELBERG, ".gz"),
        sensor=_SHD_SENSOR,
        class_names=tuple(map(str, range(20))),
        train_size=8156,
        test_size=2264,
        # Nobody promises that its times are in order, and bins do not need it.
        open=partial(open_hdf5, sensor=_SHD_SENSOR, classes=20, in_order=False),
    ),
    "braille": EventSet(
        label="Braille letters",
        folder="Braille",
        train=DataFile("braille_train.h5"),
        test=DataFile("braille_test.h5"),
        sensor=_BRAILLE_SENSOR,
        class_names=tuple(map(str, range(27))),
        train_size=4320,
        test_size=1080,
        open=partial(open_hdf5, sensor=_BRAILLE_SENSOR, classes=27, in_order=True),
    ),
}
