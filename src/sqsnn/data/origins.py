"""Where the samples of a dataset come from, whatever its kind: images, tasks in time, events."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqsnn.data import event_sets, images, temporal, tonic_sets
from sqsnn.data.event_sets import EventSet
from sqsnn.data.events import Binning
from sqsnn.data.files import data_folder
from sqsnn.data.images import Part
from sqsnn.data.presets import DELAYS, EVENTS, PRESETS, TONIC, find_events, find_preset
from sqsnn.data.recordings import Recordings
from sqsnn.data.stored import StoredPart, StoredSpikes, store


class Raw(NamedTuple):
    """Values and labels of a part; a value of `white` stands for 1."""

    values: np.ndarray | StoredSpikes
    labels: np.ndarray
    white: float


class Origin(NamedTuple):
    """What a dataset is and where its samples come from.

    Args:
        class_names: one name a class.
        features: values of a sample, of spike trains at each step.
        channels: of a spike train; 1 for values.
        image_shape: (rows, columns) of a sample, None where it is no image.
        steps: steps of the spike trains; None where samples are static values.
        report_steps: how many of the last steps are the network's answer; None for all.
        train_size: samples for training, validation included.
        test_counts: samples of each class for testing.
        source: the files it comes from, or how it is made.
        folder: where these files lie or would be downloaded to; None where there are none.
        present: whether they all lie there.
        prepare: fetches files that are missing; gives what reads a part.
    """

    class_names: tuple[str, ...]
    features: int
    channels: int
    image_shape: tuple[int, int] | None
    steps: int | None
    report_steps: int | None
    train_size: int
    test_counts: tuple[int, ...]
    source: str
    folder: Path | None
    present: bool
    prepare: Callable[[], Callable[[Part], Raw]]


def find(
    name: str,
    data_dir: Path | str | None,
    *,
    delay: int | None = None,
    binning: Binning | None = None,
) -> Origin:
    """Find where the samples of a dataset come from; events are fetched, binned and cached at once.

    Args:
        name: one of `PRESETS`, or "tonic:" and the name of a dataset of tonic.
        data_dir: the folder of all datasets; None for $SQSNN_DATA or the user's cache folder.
        delay: blank steps between cue and report; None for the preset's.
        binning: how events become spike trains; None for the preset's.

    Raises:
        ValueError: if there is no such dataset, or the delay or the binning does not go with it.
        DataError: if event files are broken, or missing and not to be had.
    """
    if find_preset(name) is None:
        raise ValueError(
            f"there is no dataset {name!r}; there are {', '.join(PRESETS)}, and {TONIC}NAME for "
            "those of the library tonic"
        )
    if delay is not None and name not in DELAYS:
        raise ValueError(f"delay is {delay}, but {name} has none; it goes with {', '.join(DELAYS)}")
    if binning is not None and find_events(name) is None:
        raise ValueError(
            f"binning is given, but {name} has no events; it goes with {', '.join(EVENTS)} and "
            f"{TONIC}NAME"
        )
    if name in temporal.TEMPORAL_TASKS:
        return _task(name, DELAYS[name] if delay is None else delay)
    folder = data_folder(data_dir)
    if name in images.IMAGE_SETS:
        return _image_set(images.IMAGE_SETS[name], folder)
    binning = binning or preset_binning(name)
    if name in event_sets.EVENT_SETS:
        return _event_set(name, event_sets.EVENT_SETS[name], folder, binning)
    return _tonic_set(name, folder, binning)


def preset_binning(name: str) -> Binning:
    """How a dataset's events become spike trains where nothing else is asked for.

    Args:
        name: the dataset's name.

    Raises:
        ValueError: if it has no events, or nobody knows how long its recordings are.
    """
    preset, events = find_preset(name), find_events(name)
    if preset is None or events is None or events.duration is None:
        raise ValueError(
            f"binning must be given for {name}, because nobody knows how long its recordings are"
        )
    return Binning(preset.steps, events.duration, events.pool)


def _image_set(image_set: images.ImageSet, folder: Path) -> Origin:
    source = images.choose_source(image_set, folder)

    def prepare() -> Callable[[Part], Raw]:
        paths = images.fetch_all(source, folder)
        return lambda part: Raw(*source.read(image_set, paths, part))

    return Origin(
        class_names=image_set.class_names,
        features=image_set.features,
        channels=1,
        image_shape=image_set.image_shape,
        steps=None,
        report_steps=None,
        train_size=image_set.size("train"),
        test_counts=image_set.test_counts,
        source=source.label,
        folder=folder / source.folder if source.files else None,
        present=images.is_present(source, folder),
        prepare=prepare,
    )


def _task(name: str, delay: int) -> Origin:
    task = temporal.TEMPORAL_TASKS[name]
    return Origin(
        class_names=task.class_names,
        features=task.lines,
        channels=1,
        image_shape=None,
        steps=task.steps(delay),
        report_steps=task.report_steps,
        train_size=sum(task.train_counts),
        test_counts=task.test_counts,
        source=f"generated, delay {delay}",
        folder=None,
        present=True,
        prepare=lambda: lambda part: Raw(*temporal.generate(task, part, delay), 1.0),
    )


def _event_set(name: str, event_set: EventSet, folder: Path, binning: Binning) -> Origin:
    parts = event_sets.open_parts(event_set, folder)
    source = event_sets.source(event_set, parts["train"].count, parts["test"].count)
    return _stored(name, parts, source, folder / event_set.folder, binning)


def _tonic_set(name: str, folder: Path, binning: Binning) -> Origin:
    parts = tonic_sets.open_parts(name.removeprefix(TONIC), folder / "tonic")
    source = f"{name}, {parts['train'].count} + {parts['test'].count} recordings"
    return _stored(name, parts, source, parts["train"].path, binning)


def _stored(
    name: str, parts: dict[Part, Recordings], source: str, folder: Path, binning: Binning
) -> Origin:
    """Bin both parts, or find them in the cache: what is damaged is found before training."""
    stored: dict[Part, StoredPart] = {
        part: store(f"{name}-{part}", recordings, binning) for part, recordings in parts.items()
    }
    sensor, class_names = parts["train"].sensor, parts["train"].class_names
    if class_names is None:
        count = 1 + max(int(part.labels.max()) for part in stored.values())
        class_names = tuple(map(str, range(count)))
    return Origin(
        class_names=class_names,
        features=binning.units(sensor),
        channels=binning.channels,
        image_shape=None,
        steps=binning.steps,
        report_steps=None,
        train_size=parts["train"].count,
        test_counts=tuple(np.bincount(stored["test"].labels, minlength=len(class_names)).tolist()),
        source=source,
        folder=folder,
        present=True,
        prepare=lambda: lambda part: Raw(stored[part].spikes, stored[part].labels, 1.0),
    )
