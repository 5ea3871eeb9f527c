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
from sqsnn.data import images, temporal
from sqsnn.data.files import data_folder
from sqsnn.data.images import Part
from sqsnn.data.presets import DELAYS, DESCRIPTIONS

_VALIDATION = 0.1
_RANDOM_STATE = 42  # of every split and subset: a name and its options always mean the same samples


class Samples(NamedTuple):
    """Values and labels of some samples.

    Args:
        values: (n, features), float32 in [0, 1], or spike trains (n, T, features) of 0 and 1.
        labels: (n,), int64, 0..classes-1.
    """

    values: Float[Tensor, "n features"] | Float[Tensor, "n T features"]
    labels: Int[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset that is split and ready to encode.

    Args:
        name: its name in the catalog.
        class_names: one name a class, in the order of the labels.
        features: values of a sample, of spike trains at each step.
        image_shape: (rows, columns) of a sample, None where it is no image.
        steps: steps of the spike trains; None where samples are static values.
        report_steps: how many of the last steps are the network's answer; None for all.
        source: the files it came from, or how it was made. What was trained on one source of a
            dataset must not be tested on another, since their values differ.
        train: the training samples, validation taken out.
        validation: a stratified tenth of the training data.
        test_samples: how many samples `load_test` gives.
        load_test: reads the test samples; until it is called their values are not looked at.
    """

    name: str
    class_names: tuple[str, ...]
    features: int
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


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return (*images.IMAGE_SETS, *temporal.TEMPORAL_TASKS)


def describe(name: str, *, data_dir: Path | str | None = None) -> Description:
    """Say what a dataset is and whether its files are there, without opening them.

    Args:
        name: one of `names()`.
        data_dir: the folder of all datasets; None for $SQSNN_DATA or the user's cache folder.

    Raises:
        ValueError: if there is no dataset of that name.
    """
    origin = _find(name, data_dir)
    return Description(
        name,
        DESCRIPTIONS[name],
        origin.train_size,
        sum(origin.test_counts),
        origin.features,
        origin.class_names,
        origin.source,
        origin.folder,
        origin.present,
    )


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    classes: Sequence[int] | None = None,
    train_samples: int | None = None,
    test_samples: int | None = None,
    delay: int | None = None,
) -> Dataset:
    """Load a dataset, downloading its files where they are missing.

    All files are fetched and their checksums verified now, so that nothing is found missing after
    training; the values of the test part are read by `load_test()` only.

    Args:
        name: one of `names()`.
        data_dir: the folder of all datasets; None for $SQSNN_DATA or the user's cache folder.
        classes: the labels to keep, which become 0, 1, ... in this order; None keeps all.
        train_samples: size of a stratified subset of the training data, from which the
            validation samples are then taken; None takes all.
        test_samples: size of a stratified subset of the test data; None takes all.
        delay: blank steps between cue and report, at least 1; None for the preset's. Only for
            generated tasks in time, such as recall.

    Raises:
        ValueError: if there is no such dataset or class, a class is named twice, more samples
            are asked for than there are, or too few to split, or the delay is below 1 or is
            given for a dataset without one.
        TypeError: if a class, a number of samples or the delay is not an integer.
        DataError: if a file is broken, or missing and not to be had.
    """
    from sklearn.model_selection import train_test_split

    origin = _find(name, data_dir, delay)
    kept = _kept_classes(origin.class_names, classes)
    available = sum(origin.test_counts[label] for label in kept)
    _check_samples("test_samples", test_samples, 1, available)
    read = origin.prepare()

    def load_test() -> Samples:
        raw = read("test")
        return _samples(raw, kept, _subset(raw.labels, kept, test_samples))

    raw = read("train")
    # The smallest number of which a tenth, rounded up, is one sample a class.
    fewest = round((len(kept) - 1) / _VALIDATION) + 1
    _check_samples("train_samples", train_samples, fewest, int(np.isin(raw.labels, kept).sum()))
    chosen = _subset(raw.labels, kept, train_samples)
    train, validation = train_test_split(
        chosen, test_size=_VALIDATION, stratify=raw.labels[chosen], random_state=_RANDOM_STATE
    )
    return Dataset(
        name=name,
        class_names=tuple(origin.class_names[label] for label in kept),
        features=origin.features,
        image_shape=origin.image_shape,
        steps=origin.steps,
        report_steps=origin.report_steps,
        source=origin.source,
        train=_samples(raw, kept, np.asarray(train)),
        validation=_samples(raw, kept, np.asarray(validation)),
        test_samples=available if test_samples is None else test_samples,
        load_test=load_test,
    )


class _Raw(NamedTuple):
    """Values and labels of a part; a value of `white` stands for 1."""

    values: np.ndarray
    labels: np.ndarray
    white: float


class _Origin(NamedTuple):
    """What a dataset is and where its samples come from, whatever its kind."""

    class_names: tuple[str, ...]
    features: int
    image_shape: tuple[int, int] | None
    steps: int | None
    report_steps: int | None
    train_size: int
    test_counts: tuple[int, ...]
    source: str
    folder: Path | None
    present: bool
    prepare: Callable[[], Callable[[Part], _Raw]]  # fetches files; gives what reads a part


def _find(name: str, data_dir: Path | str | None, delay: int | None = None) -> _Origin:
    if name in temporal.TEMPORAL_TASKS:
        return _task(name, DELAYS[name] if delay is None else delay)
    if name not in images.IMAGE_SETS:
        raise ValueError(f"there is no dataset {name!r}; there are {', '.join(names())}")
    if delay is not None:
        raise ValueError(
            f"delay is {delay}, but {name} has none; it goes with "
            f"{', '.join(temporal.TEMPORAL_TASKS)}"
        )
    return _image_set(images.IMAGE_SETS[name], data_folder(data_dir))


def _image_set(image_set: images.ImageSet, folder: Path) -> _Origin:
    source = images.choose_source(image_set, folder)

    def prepare() -> Callable[[Part], _Raw]:
        paths = images.fetch_all(source, folder)
        return lambda part: _Raw(*source.read(image_set, paths, part))

    return _Origin(
        class_names=image_set.class_names,
        features=image_set.features,
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


def _task(name: str, delay: int) -> _Origin:
    task = temporal.TEMPORAL_TASKS[name]
    return _Origin(
        class_names=task.class_names,
        features=task.lines,
        image_shape=None,
        steps=task.steps(delay),
        report_steps=task.report_steps,
        train_size=sum(task.train_counts),
        test_counts=task.test_counts,
        source=f"generated, delay {delay}",
        folder=None,
        present=True,
        prepare=lambda: lambda part: _Raw(*temporal.generate(task, part, delay), 1.0),
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


def _samples(raw: _Raw, kept: tuple[int, ...], chosen: np.ndarray) -> Samples:
    """The chosen samples as tensors, labelled by the position of their class in `kept`."""
    relabelled = np.empty(max(kept) + 1, np.int64)
    relabelled[list(kept)] = np.arange(len(kept))
    # Chosen while still bytes and scaled in place: only the result takes four bytes a pixel.
    values = torch.from_numpy(raw.values[chosen]).to(torch.float32).div_(raw.white)
    return Samples(values, torch.from_numpy(relabelled[raw.labels[chosen]]))
