"""Datasets by name: training, validation and test samples as tensors, always split alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sqsnn.checks import check_positive_int
from sqsnn.data.dataset import Dataset, Samples
from sqsnn.data.dataset_spec import DatasetSpec
from sqsnn.data.events import Binning
from sqsnn.data.files import choose_source, data_folder, is_present
from sqsnn.data.opening import OpenDataset, describe_events, open_dataset, open_parts
from sqsnn.data.own_sets import Columns, load_own
from sqsnn.data.preparation import Preparation
from sqsnn.data.specs import SPECS, TONIC, find_spec, is_own, names
from sqsnn.data.splits import RANDOM_STATE, VALIDATION, split
from sqsnn.data.stored import RawSamples, StoredSpikes


class Description(NamedTuple):
    """What is known about a dataset without loading it.

    Attributes:
        name: Name in the catalog.
        text: One line: what it is, by whom, under which licence.
        train_samples: Samples for training, validation included.
        test_samples: Samples for testing.
        features: Values per sample, or per step of a spike train.
        class_names: One name per class.
        source: The files that `load` would read, the library that brings the data, or how they are
            generated.
        folder: Folder of the files, present or to be downloaded; None where there are no files.
        present: Whether all files lie there.
        obtainable: Whether missing files are downloaded.
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


def describe(name: str, *, data_dir: Path | str | None = None) -> Description:
    """Describe a dataset, and say whether its files are present.

    Files of events are opened, since they may be subsets; other files are not.

    Args:
        name: One of `names()`.
        data_dir: Folder of all datasets; None for $SQSNN_DATA or the user's cache folder.

    Raises:
        ValueError: If there is no dataset of that name.
        DataError: If a file of events is present and broken.
    """
    spec = SPECS.get(name)
    if spec is None:
        raise ValueError(f"there is no dataset {name!r}; there are {', '.join(names())}")
    folder = data_folder(data_dir)
    source = choose_source(spec, folder)
    present = is_present(source, folder)
    train, test, class_names = spec.size("train"), spec.size("test"), spec.class_names
    if spec.events is None:
        label = open_dataset(spec, folder, delay=spec.delay, binning=None).source
    else:
        if present:
            parts = open_parts(spec, folder)
            train, test = (part.count for part in parts)
            class_names = parts[0].class_names or class_names
        label = describe_events(spec, train, test)
    return Description(
        name=name,
        text=spec.text,
        train_samples=train,
        test_samples=test,
        features=spec.features or 0,
        class_names=class_names,
        source=label,
        folder=folder / source.folder if source.files else None,
        present=present,
        obtainable=all(file.mirrors for file in spec.sources[-1].files),
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
    columns: Columns | None = None,
    clip: bool = True,
    preparation: Preparation | None = None,
) -> Dataset:
    """Load a dataset, downloading missing files.

    All files are fetched and verified now, so that a fault shows before training. Events of both
    parts are binned now, or found in the cache; batches of them are read from disk.

    Args:
        name: One of `names()`, "tonic:" and the name of a dataset of the library tonic, or the path
            of an own file (.npz, .csv, .tsv, .parquet, .ts or .arff).
        data_dir: Folder of all datasets; None for $SQSNN_DATA or the user's cache folder.
        classes: Labels to keep, which become 0, 1, ... in this order; None keeps all.
        train_samples: Size of a stratified subset of the training data, from which the
            validation samples are then taken; None takes all.
        test_samples: Size of a stratified subset of the test data; None takes all.
        delay: Blank steps between cue and report, at least 1; None for the preset's. Only for
            generated tasks in time, such as recall.
        binning: How events become spike trains; None for the preset's. Only for datasets of events;
            required for those of tonic.
        columns: What the columns of an own table mean, and how large its test part is.
        clip: Whether values of an own file beyond the range of the training samples are cut off at
            it, as encodings need that take [0, 1] only.
        preparation: Labels and scaling that an own file takes over from an earlier training; None
            to find them in its training samples.

    Raises:
        ValueError: If there is no such dataset or class, a class is named twice, there are fewer
            samples than required, or too few to split, the delay is below 1, or delay or binning
            does not go with the dataset.
        TypeError: If a class, a number of samples or the delay is not an integer.
        DataError: If a file is broken, or missing and cannot be downloaded.
        ConfigError: If tonic is required and not installed, or has no such dataset.

    Example:
        >>> digits = load("digits", classes=(1, 7))
        >>> digits.train.values.shape, digits.class_names
        (torch.Size([260, 64]), ('1', '7'))
    """
    if is_own(name):
        given = {"classes": classes, "delay": delay, "binning": binning}
        for argument, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{argument} is {value!r}, but does not go with a file of your own"
                )
        table = columns or Columns()
        return load_own(
            name, table, train_samples, test_samples, clip=clip, preparation=preparation
        )
    spec = find_spec(name)
    if spec is None:
        raise ValueError(
            f"there is no dataset {name!r}; there are {', '.join(names())}, {TONIC}NAME for those "
            "of the library tonic, and files of your own, e.g. my.csv"
        )
    delay, binning = _choose_delay(spec, delay), _choose_binning(spec, binning)
    opened = open_dataset(spec, data_folder(data_dir), delay=delay, binning=binning)
    if spec.predicts_values:
        return _load_values(spec, opened, classes, train_samples, test_samples)
    kept = _kept_classes(opened.class_names, classes)
    available = sum(opened.test_counts[label] for label in kept)
    _check_samples("test_samples", test_samples, available)
    if available == 0:
        raise ValueError(f"{name} has no test samples of the classes {kept}; they cannot be tested")
    raw = opened.read("train")
    counts = np.bincount(raw.targets, minlength=len(opened.class_names))[[*kept]]
    _check_split(
        counts, [f"{label} ({opened.class_names[label]})" for label in kept], train_samples
    )
    chosen = _subset(raw.targets, kept, train_samples)
    train, validation = split(chosen, VALIDATION, classes=raw.targets[chosen])

    def load_test() -> Samples:
        raw = opened.read("test")
        return _samples(raw, kept, _subset(raw.targets, kept, test_samples))

    return Dataset(
        name=name,
        preparation=Preparation(
            tuple(opened.class_names[label] for label in kept),
            (),
            opened.features,
            length=opened.steps,
            grid=opened.grid,
        ),
        channels=opened.channels,
        steps=opened.steps,
        report_steps=spec.report_steps,
        source=opened.source,
        train=_samples(raw, kept, train),
        validation=_samples(raw, kept, validation),
        test_samples=available if test_samples is None else test_samples,
        load_test=load_test,
    )


def _load_values(
    spec: DatasetSpec,
    opened: OpenDataset,
    classes: Sequence[int] | None,
    train_samples: int | None,
    test_samples: int | None,
) -> Dataset:
    """Load a dataset of real values to predict."""
    if classes is not None:
        raise ValueError(f"classes is {classes}, but {spec.name} has real values to predict")
    assert spec.series is not None
    raw = opened.read("train")
    _check_samples("train_samples", train_samples, len(raw.targets))
    _check_samples("test_samples", test_samples, spec.size("test"))
    train, validation = split(np.arange(len(raw.targets))[:train_samples], VALIDATION)

    def chosen(raw: RawSamples, which: np.ndarray | slice) -> Samples:
        assert isinstance(raw.values, np.ndarray)
        values, targets = raw.values[which], raw.targets[which]
        return Samples(*(torch.from_numpy(part).to(torch.float32) for part in (values, targets)))

    return Dataset(
        name=spec.name,
        preparation=Preparation((), spec.series.target_names, opened.features, length=opened.steps),
        channels=1,
        steps=opened.steps,
        report_steps=spec.report_steps,
        source=opened.source,
        train=chosen(raw, train),
        validation=chosen(raw, validation),
        test_samples=spec.size("test") if test_samples is None else test_samples,
        load_test=lambda: chosen(opened.read("test"), slice(test_samples)),
    )


def _choose_delay(spec: DatasetSpec, delay: int | None) -> int | None:
    if delay is None:
        return spec.delay
    if spec.delay is None:
        known = ", ".join(name for name, other in SPECS.items() if other.delay is not None)
        raise ValueError(f"delay is {delay}, but {spec.name} has none; it goes with {known}")
    check_positive_int("delay", delay)
    return delay


def _choose_binning(spec: DatasetSpec, binning: Binning | None) -> Binning | None:
    if spec.events is None:
        if binning is None:
            return None
        known = ", ".join(name for name, other in SPECS.items() if other.events is not None)
        raise ValueError(
            f"binning is given, but {spec.name} has no events; it goes with {known} and {TONIC}NAME"
        )
    if binning is None and spec.events.duration is None:
        raise ValueError(
            f"binning must be given for {spec.name}, because the length of its recordings is "
            "unknown"
        )
    return binning or Binning(spec.steps(), spec.events.duration or 0.0, spec.events.pool)


def _kept_classes(class_names: tuple[str, ...], classes: Sequence[int] | None) -> tuple[int, ...]:
    """Check the labels to keep."""
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


def _check_samples(argument: str, samples: int | None, available: int) -> None:
    if samples is None:
        return
    check_positive_int(argument, samples)
    if samples > available:
        raise ValueError(f"{argument} is {samples}, but these classes have only {available}")


def _check_split(counts: np.ndarray, kept_names: list[str], samples: int | None) -> None:
    """Refuse training samples that are too few to be split."""
    _check_samples("train_samples", samples, int(counts.sum()))
    # The smallest number of which a tenth, rounded up, is one sample per class.
    fewest = round((len(counts) - 1) / VALIDATION) + 1
    given = counts.sum() if samples is None else samples
    if counts.min() < 2:
        raise ValueError(
            f"class {kept_names[counts.argmin()]} has {counts.min()} training samples, but must "
            "have at least 2, to train and to validate; leave it out by classes"
        )
    if given < fewest:
        raise ValueError(
            f"{given} training samples (train_samples) are too few, must be at least {fewest}: a "
            "tenth of them is for validation, and that must be at least one sample per class"
        )


def _subset(labels: np.ndarray, kept: tuple[int, ...], samples: int | None) -> np.ndarray:
    """Draw a stratified subset of the samples of the kept classes; indices in the files' order."""
    from sklearn.utils import resample

    chosen = np.flatnonzero(np.isin(labels, kept))
    if samples is None:
        return chosen
    drawn = resample(
        chosen,
        replace=False,
        n_samples=samples,
        stratify=labels[chosen],
        random_state=RANDOM_STATE,
    )
    return np.sort(np.asarray(drawn))


def _samples(raw: RawSamples, kept: tuple[int, ...], chosen: np.ndarray) -> Samples:
    """Make tensors of the chosen samples, labelled by the place of their class in `kept`."""
    relabelled = np.empty(max(kept) + 1, np.int64)
    relabelled[list(kept)] = np.arange(len(kept))
    labels = torch.from_numpy(relabelled[raw.targets[chosen]])
    if isinstance(raw.values, StoredSpikes):
        return Samples(raw.values.select(chosen), labels)
    # Chosen while still bytes and scaled in place: only the result takes four bytes per pixel.
    values = torch.from_numpy(raw.values[chosen]).to(torch.float32).div_(raw.white)
    return Samples(values, labels)
