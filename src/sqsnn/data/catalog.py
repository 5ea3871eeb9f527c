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
from sqsnn.data import images
from sqsnn.data.files import data_folder
from sqsnn.data.presets import DESCRIPTIONS

_VALIDATION = 0.1
_RANDOM_STATE = 42  # of every split and subset: a name and its options always mean the same samples


class Samples(NamedTuple):
    """Values and labels of some samples.

    Args:
        values: (n, features), float32 in [0, 1].
        labels: (n,), int64, 0..classes-1.
    """

    values: Float[Tensor, "n features"]
    labels: Int[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset that is split and ready to encode.

    Args:
        name: its name in the catalog.
        class_names: one name a class, in the order of the labels.
        features: values of a sample.
        image_shape: (rows, columns) of a sample, None where it is no image.
        source: the files it came from. What was trained on one source of a dataset must not be
            tested on another, since their pixels differ.
        train: the training samples, validation taken out.
        validation: a stratified tenth of the training data.
        load_test: reads the test samples; until it is called their values are not looked at.
    """

    name: str
    class_names: tuple[str, ...]
    features: int
    image_shape: tuple[int, int] | None
    source: str
    train: Samples
    validation: Samples
    load_test: Callable[[], Samples]


class Description(NamedTuple):
    """What is known about a dataset without reading it.

    Args:
        name: its name in the catalog.
        text: one line: what it is, whose, and under which licence.
        train_samples: samples for training, validation included.
        test_samples: samples for testing.
        features: values of a sample.
        class_names: one name a class.
        source: the files that `load` would read, or the library that brings the data.
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
    return tuple(images.IMAGE_SETS)


def describe(name: str, *, data_dir: Path | str | None = None) -> Description:
    """Say what a dataset is and whether its files are there, without opening them.

    Args:
        name: one of `names()`.
        data_dir: the folder of all datasets; None for $SQSNN_DATA or the user's cache folder.

    Raises:
        ValueError: if there is no dataset of that name.
    """
    image_set = _find(name)
    folder = data_folder(data_dir)
    source = images.choose_source(image_set, folder)
    return Description(
        name,
        DESCRIPTIONS[name],
        image_set.size("train"),
        image_set.size("test"),
        image_set.features,
        image_set.class_names,
        source.label,
        folder / source.folder if source.files else None,
        images.is_present(source, folder),
    )


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    classes: Sequence[int] | None = None,
    train_samples: int | None = None,
    test_samples: int | None = None,
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

    Raises:
        ValueError: if there is no such dataset or class, a class is named twice, or more samples
            are asked for than there are, or too few to split.
        TypeError: if a class or a number of samples is not an integer.
        DataError: if a file is broken, or missing and not to be had.
    """
    from sklearn.model_selection import train_test_split

    image_set = _find(name)
    kept = _kept_classes(image_set.class_names, classes)
    available = sum(image_set.test_counts[label] for label in kept)
    _check_samples("test_samples", test_samples, 1, available)
    folder = data_folder(data_dir)
    source = images.choose_source(image_set, folder)
    paths = images.fetch_all(source, folder)

    def load_test() -> Samples:
        part = source.read(image_set, paths, "test")
        return _samples(part, kept, _subset(part.labels, kept, test_samples))

    part = source.read(image_set, paths, "train")
    # The smallest number of which a tenth, rounded up, is one sample a class.
    fewest = round((len(kept) - 1) / _VALIDATION) + 1
    _check_samples("train_samples", train_samples, fewest, int(np.isin(part.labels, kept).sum()))
    chosen = _subset(part.labels, kept, train_samples)
    train, validation = train_test_split(
        chosen, test_size=_VALIDATION, stratify=part.labels[chosen], random_state=_RANDOM_STATE
    )
    return Dataset(
        name=name,
        class_names=tuple(image_set.class_names[label] for label in kept),
        features=image_set.features,
        image_shape=image_set.image_shape,
        source=source.label,
        train=_samples(part, kept, np.asarray(train)),
        validation=_samples(part, kept, np.asarray(validation)),
        load_test=load_test,
    )


def _find(name: str) -> images.ImageSet:
    if name not in images.IMAGE_SETS:
        raise ValueError(f"there is no dataset {name!r}; there are {', '.join(names())}")
    return images.IMAGE_SETS[name]


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


def _samples(part: images.Images, kept: tuple[int, ...], chosen: np.ndarray) -> Samples:
    """The chosen samples as tensors, labelled by the position of their class in `kept`."""
    relabelled = np.empty(max(kept) + 1, np.int64)
    relabelled[list(kept)] = np.arange(len(kept))
    # Chosen while still bytes and scaled in place: only the result takes four bytes a pixel.
    values = torch.from_numpy(part.values[chosen]).to(torch.float32).div_(part.white)
    return Samples(values, torch.from_numpy(relabelled[part.labels[chosen]]))
