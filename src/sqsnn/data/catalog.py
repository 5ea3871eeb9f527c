"""Datasets by name: training, validation and test samples as tensors, split the same way always."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.data import event_sets, images, origins, temporal
from sqsnn.data.event_sets import EventSet
from sqsnn.data.events import Binning
from sqsnn.data.files import data_folder
from sqsnn.data.origins import Raw
from sqsnn.data.presets import DESCRIPTIONS
from sqsnn.data.stored import StoredSpikes

_VALIDATION = 0.1
_RANDOM_STATE = 42  # of every split and subset: a name and its options always mean the same samples


Values = (
    Float[Tensor, "n features"]
    | Float[Tensor, "n T features"]
    | Float[Tensor, "n T features channels"]
    | StoredSpikes
)


class Samples(NamedTuple):
    """Values and labels of some samples.

    Args:
        values: (n, features), float32 in [0, 1], or spike trains of 0 and 1, (n, T, features) or
            (n, T, features, channels); those of events are read from disk when they are indexed.
        labels: (n,), int64, 0..classes-1.
    """

    values: Values
    labels: Int[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset that is split and ready to encode.

    Args:
        name: its name in the catalog.
        class_names: one name a class, in the order of the labels.
        features: values of a sample, of spike trains at each step.
        channels: of a spike train; 1 for values.
        image_shape: (rows, columns) of a sample, None where it is no image.
        steps: steps of the spike trains; None where samples are static values.
        report_steps: how many of the last steps are the network's answer; None for all.
        source: the files it came from, or how it was made. What was trained on one source of a
            dataset must not be tested on another, since their values differ.
        train: the training samples, validation taken out.
        validation: a stratified tenth of the training data.
        test_samples: how many samples `load_test` gives.
        load_test: gives the test samples; until it is called nothing looks at their values, except
            that events are binned and cached before.
    """

    name: str
    class_names: tuple[str, ...]
    features: int
    channels: int
    image_shape: tuple[int, int] | None
    steps: int | None
    report_steps: int | None
    source: str
    train: Samples
    validation: Samples
    test_samples: int
    load_test: Callable[[], Samples]


class Description(NamedTuple):
    """What is known about a dataset without reading it.

    Args:
        name: its name in the catalog.
        text: one line: what it is, whose, and under which licence.
        train_samples: samples for training, validation included.
        test_samples: samples for testing.
        features: values of a sample, of spike trains at each step.
        class_names: one name a class.
        source: the files that `load` would read, the library that brings the data, or how they are
            made.
        folder: where these files lie or would be downloaded to; None where there are no files.
        present: whether they all lie there.
        obtainable: whether those that do not are downloaded.
    """

    name: str
    text: str
    train_samples: int
    test_samples: int
    features: int
    class_names: tuple[str, ...]
    source: str
    folder: Path | None
    present: bool
    obtainable: bool


def names() -> tuple[str, ...]:
    """The names that `load` knows, beside those of tonic's datasets."""
    return (*images.IMAGE_SETS, *temporal.TEMPORAL_TASKS, *event_sets.EVENT_SETS)


def describe(name: str, *, data_dir: Path | str | None = None) -> Description:
    """Say what a dataset is and whether its files are there.

    Files of events are looked into, since subsets of them are in use; other files are not opened.

    Args:
        name: one of `names()`.
        data_dir: the folder of all datasets; None for $SQSNN_DATA or the user's cache folder.

    Raises:
        ValueError: if there is no dataset of that name.
        DataError: if a file of events is there and broken.
    """
    if name in event_sets.EVENT_SETS:
        return _describe_events(name, event_sets.EVENT_SETS[name], data_folder(data_dir))
    if name not in names():
        raise ValueError(f"there is no dataset {name!r}; there are {', '.join(names())}")
    origin = origins.find(name, data_dir)
    return Description(
        name=name,
        text=DESCRIPTIONS[name],
        train_samples=origin.train_size,
        test_samples=sum(origin.test_counts),
        features=origin.features,
        class_names=origin.class_names,
        source=origin.source,
        folder=origin.folder,
        present=origin.present,
        obtainable=True,
    )


def _describe_events(name: str, event_set: EventSet, folder: Path) -> Description:
    present = event_sets.is_present(event_set, folder)
    train, test, class_names = event_set.train_size, event_set.test_size, event_set.class_names
    if present:
        parts = event_sets.open_parts(event_set, folder)
        train, test = parts["train"].count, parts["test"].count
        class_names = parts["train"].class_names or class_names
    return Description(
        name=name,
        text=DESCRIPTIONS[name],
        train_samples=train,
        test_samples=test,
        features=origins.preset_binning(name).units(event_set.sensor),
        class_names=class_names,
        source=event_sets.source(event_set, train, test),
        folder=folder / event_set.folder,
        present=present,
        obtainable=event_set.is_obtainable,
    )


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    classes: Sequence[int] | None = None,
    train_samples: int | None = None,
    test_samples: int | None = None,
    delay: int | None = None,
    binning: Binning | None = None,
) -> Dataset:
    """Load a dataset, downloading its files where they are missing.

    All files are fetched and their checksums verified now, so that nothing is found missing after
    training; the values of the test part are given by `load_test()` only. Events of both parts are
    binned now, or found in the cache; batches of them are read from disk.

    Args:
        name: one of `names()`, or "tonic:" and the name of a dataset of the library tonic.
        data_dir: the folder of all datasets; None for $SQSNN_DATA or the user's cache folder.
        classes: the labels to keep, which become 0, 1, ... in this order; None keeps all.
        train_samples: size of a stratified subset of the training data, from which the
            validation samples are then taken; None takes all.
        test_samples: size of a stratified subset of the test data; None takes all.
        delay: blank steps between cue and report, at least 1; None for the preset's. Only for
            generated tasks in time, such as recall.
        binning: how events become spike trains; None for the preset's. Only for datasets of events;
            needed for those of tonic.

    Raises:
        ValueError: if there is no such dataset or class, a class is named twice, more samples
            are asked for than there are, or too few to split, or the delay is below 1, or delay
            or binning is given for a dataset without one.
        TypeError: if a class, a number of samples or the delay is not an integer.
        DataError: if a file is broken, or missing and not to be had.
        ConfigError: if a dataset of tonic is asked for, and tonic is not there or has none.
    """
    from sklearn.model_selection import train_test_split

    origin = origins.find(name, data_dir, delay=delay, binning=binning)
    kept = _kept_classes(origin.class_names, classes)
    available = sum(origin.test_counts[label] for label in kept)
    _check_samples("test_samples", test_samples, 1, available)
    if available == 0:
        raise ValueError(f"{name} has no test samples of the classes {kept}; they cannot be tested")
    read = origin.prepare()

    def load_test() -> Samples:
        raw = read("test")
        return _samples(raw, kept, _subset(raw.labels, kept, test_samples))

    raw = read("train")
    # The smallest number of which a tenth, rounded up, is one sample a class.
    fewest = round((len(kept) - 1) / _VALIDATION) + 1
    _check_samples("train_samples", train_samples, fewest, int(np.isin(raw.labels, kept).sum()))
    _check_classes(raw.labels, kept, origin.class_names, fewest)
    chosen = _subset(raw.labels, kept, train_samples)
    train, validation = train_test_split(
        chosen, test_size=_VALIDATION, stratify=raw.labels[chosen], random_state=_RANDOM_STATE
    )
    return Dataset(
        name=name,
        class_names=tuple(origin.class_names[label] for label in kept),
        features=origin.features,
        channels=origin.channels,
        image_shape=origin.image_shape,
        steps=origin.steps,
        report_steps=origin.report_steps,
        source=origin.source,
        train=_samples(raw, kept, np.asarray(train)),
        validation=_samples(raw, kept, np.asarray(validation)),
        test_samples=available if test_samples is None else test_samples,
        load_test=load_test,
    )


def _kept_classes(class_names: tuple[str, ...], classes: Sequence[int] | None) -> tuple[int, ...]:
    """The labels to keep, checked."""
    if classes is None:
        return tuple(range(len(class_names)))
    for label in classes:
        check_positive_int("each of classes", label, low=0)
    kept = tuple(int(label) for label in classes)
    if unknown := [label for label in kept if label >= len(class_names)]:
        known = ", ".join(f"{label} ({title})" for label, title in enumerate(class_names))
        raise ValueError(f"classes names {unknown}, but the classes are {known}")
    if len(set(kept)) < len(kept):
        raise ValueError(f"classes must name each class once, but is {kept}")
    if len(kept) < 2:
        raise ValueError(f"classes must name at least two classes, but is {kept}")
    return kept


def _check_samples(argument: str, samples: int | None, fewest: int, available: int) -> None:
    if samples is None:
        return
    check_positive_int(argument, samples)
    if samples > available:
        raise ValueError(
            f"{argument} is {samples}, but there are only {available} of these classes"
        )
    if samples < fewest:
        raise ValueError(
            f"{argument} is {samples}, but must be at least {fewest}: a tenth of them is for "
            "validation, and that must be at least as many samples as there are classes"
        )


def _check_classes(
    labels: np.ndarray, kept: tuple[int, ...], class_names: tuple[str, ...], fewest: int
) -> None:
    """Refuse a subset of a dataset that is too small to be split."""
    counts = np.bincount(labels, minlength=len(class_names))[list(kept)]
    if counts.min() < 2:
        label = kept[int(counts.argmin())]
        raise ValueError(
            f"class {label} ({class_names[label]}) has {counts.min()} training samples, but must "
            "have at least 2, to train and to validate; leave it out by classes"
        )
    if counts.sum() < fewest:
        raise ValueError(
            f"there are {counts.sum()} training samples of these classes, but there must be at "
            f"least {fewest}: a tenth of them is for validation, and that must be at least as many "
            "samples as there are classes"
        )


def _subset(labels: np.ndarray, kept: tuple[int, ...], samples: int | None) -> np.ndarray:
    """Indices of a stratified subset of the samples of the kept classes, in the files' order."""
    from sklearn.utils import resample

    chosen = np.flatnonzero(np.isin(labels, kept))
    if samples is None:
        return chosen
    drawn = resample(
        chosen,
        replace=False,
        n_samples=samples,
        stratify=labels[chosen],
        random_state=_RANDOM_STATE,
    )
    return np.sort(np.asarray(drawn))


def _samples(raw: Raw, kept: tuple[int, ...], chosen: np.ndarray) -> Samples:
    """The chosen samples as tensors, labelled by the position of their class in `kept`."""
    relabelled = np.empty(max(kept) + 1, np.int64)
    relabelled[list(kept)] = np.arange(len(kept))
    labels = torch.from_numpy(relabelled[raw.labels[chosen]])
    if isinstance(raw.values, StoredSpikes):
        return Samples(raw.values.select(chosen), labels)
    # Chosen while still bytes and scaled in place: only the result takes four bytes a pixel.
    values = torch.from_numpy(raw.values[chosen]).to(torch.float32).div_(raw.white)
    return Samples(values, labels)
