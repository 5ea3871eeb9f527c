"""Datasets from users' own files: what kind of task they are, their splits and their scaling."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sqsnn.data.dataset import Dataset, Samples
from sqsnn.data.own.own_data import OwnData, check_classes, check_columns
from sqsnn.data.own.reading import read_own
from sqsnn.data.preparation import Preparation
from sqsnn.data.scaling import Scaling
from sqsnn.data.splits import VALIDATION, split
from sqsnn.errors import DataError

# Samples of each class that two splits need: one each to train, to validate and to test.
LEAST = 3


@dataclass(frozen=True)
class Columns:
    """What the columns of a table mean, and which samples are kept for the test.

    Attributes:
        label: Column of the labels; None for the one named label, class, target or y.
        columns: Columns of the features; None for all others.
        groups: Column whose equal entries mark samples that stay together in a split.
        test_share: Share of the samples for the test, where the file holds no test part.
        values: Whether labels that are whole numbers are real values to predict, not classes.
        on_grid: Whether the features lie on a grid, as pixels do, some of which never change.
    """

    label: str | None = None
    columns: tuple[str, ...] | None = None
    groups: str | None = None
    test_share: float = 0.2
    values: bool = False
    on_grid: bool = False


class OwnKind(NamedTuple):
    """What kind of task a file is.

    Attributes:
        length: Steps of its series; None for samples that do not change in time.
        predicts_values: Whether real values are to be predicted, not classes.
        every_step: Whether there is a value for every step.
        features: Values per sample, or per step.
    """

    length: int | None
    predicts_values: bool
    every_step: bool
    features: int


def kind_of(path: str, columns: Columns) -> OwnKind:
    """Open a user's own file, and tell what kind of task it is.

    Raises:
        DataError: If the file is absent, damaged or does not fit.
    """
    data = _read(path, columns)
    length = data.X.shape[1] if data.X.ndim == 3 else None
    y = _labels(data)
    return OwnKind(length, _predicts_values(y, columns), y.ndim == 3, data.X.shape[-1])


def load_own(
    path: str,
    columns: Columns,
    train_samples: int | None = None,
    test_samples: int | None = None,
    *,
    clip: bool,
    preparation: Preparation | None = None,
) -> Dataset:
    """Load, split and scale a user's own file.

    The test part is that of the file, or a share of its samples, stratified by class or with groups
    kept together; a tenth of the rest is for validation, but no fewer samples than classes.
    Features are scaled to [0, 1] by the range of the training samples, or as an earlier training
    did.
    """
    data = _read(path, columns)
    predicts_values = _predicts_values(_labels(data), columns)
    if not columns.on_grid:
        check_columns(data)
    if predicts_values:
        labels: tuple[str | int | float | bool, ...] = ()
        names = _target_names(data)
    else:
        _check_classes(data)
        labels, names = tuple(np.unique(_labels(data)).tolist()), ()
    train, validation, test = _split(data, columns, labels, train_samples, test_samples)
    lengths = data.lengths
    own = Preparation(
        labels=labels,
        target_names=names,
        features=data.X.shape[-1],
        feature_names=data.feature_names,
        length=data.X.shape[1] if data.X.ndim == 3 else None,
        scaling=Scaling.fit(data.X[train], None if lengths is None else lengths[train]),
    )
    prepared = preparation or own
    _refuse_another_task(path, own, prepared)

    def samples(part: OwnData, which: np.ndarray) -> Samples:
        ends = None if part.lengths is None else part.lengths[which]
        values, steps = prepared.inputs(part.X[which], ends, clip=clip)
        return Samples(values, targets_of(_labels(part)[which], prepared), steps)

    held_out = data if data.X_test is None else _test_part(data)
    return Dataset(
        name=path,
        preparation=prepared,
        channels=1,
        steps=prepared.length,
        report_steps=None,
        source=f"{Path(path).name}, sha256 {_digest(data)}",
        train=samples(data, train),
        validation=samples(data, validation),
        test_samples=len(test),
        load_test=lambda: samples(held_out, test),
    )


def targets_of(y: np.ndarray, preparation: Preparation) -> torch.Tensor:
    """Turn labels, or real values, into the targets of a trained network.

    Raises:
        ValueError: If a label is none of the training.
    """
    if preparation.labels:
        unknown = np.setdiff1d(y, np.asarray(preparation.labels))
        if len(unknown):
            known = ", ".join(preparation.class_names)
            raise ValueError(
                f"y holds {', '.join(map(str, unknown[:5]))}, but the classes of the training are "
                f"{known}"
            )
    return _targets(np.asarray(y), preparation.labels)


def _check_classes(data: OwnData) -> None:
    """Refuse classes that are too few or too small, and whole numbers that are no classes."""
    try:
        check_classes(data, LEAST if data.X_test is None else LEAST - 1)
    except DataError as error:
        if _labels(data).dtype.kind not in "iuf":
            raise
        raise DataError(
            f"{error}. If these numbers are values to predict, not classes, say readout 'traces' "
            "(--readout traces)"
        ) from None


def _refuse_another_task(path: str, own: Preparation, earlier: Preparation) -> None:
    """Refuse a file that does not fit the network of an earlier training."""
    for what, found, wanted in (
        ("features", own.features, earlier.features),
        ("values to predict", len(own.target_names), len(earlier.target_names)),
    ):
        if found != wanted:
            raise DataError(f"{path} has {found} {what}, but the network was trained on {wanted}")
    names = own.feature_names, earlier.feature_names
    if all(names) and names[0] != names[1]:
        raise DataError(
            f"{path} has the features {', '.join(names[0])}, but the network was trained on "
            f"{', '.join(names[1])}: name them in this order by columns (--columns)"
        )


def _read(path: str, columns: Columns) -> OwnData:
    """Read a file, once as long as it does not change."""
    place = Path(path).expanduser()
    stamp = (place.stat().st_mtime_ns, place.stat().st_size) if place.is_file() else (0, 0)
    return _read_once(place, columns.label, columns.columns, columns.groups, stamp)


@lru_cache(maxsize=2)
def _read_once(
    path: Path,
    label: str | None,
    columns: Sequence[str] | None,
    groups: str | None,
    stamp: tuple[int, int],
) -> OwnData:
    data = read_own(path, label=label, columns=columns, groups=groups)
    test = data.y_test if data.X_test is None else _shaped(data, data.y_test, data.X_test)
    return replace(data, y=_shaped(data, data.y, data.X), y_test=test)


def _shaped(data: OwnData, y: np.ndarray | None, X: np.ndarray) -> np.ndarray | None:
    """Give labels the shape that says what they are: (n,), (n, K), or step by step (n, T, K)."""
    if y is None or y.ndim != 2:
        return y
    if y.shape[1] == 1:  # a column
        return y[:, 0]
    if X.ndim == 3 and y.shape[1] == X.shape[1]:
        return y[:, :, None]
    if y.dtype.kind != "U" and np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all():
        raise DataError(
            f"{data.path}, y: each row has a single 1, which looks like classes; give the number "
            "or the name of each class instead, (n,)"
        )
    return y


def _labels(data: OwnData) -> np.ndarray:
    assert data.y is not None  # read_own refuses files without labels
    return data.y


def _predicts_values(y: np.ndarray, columns: Columns) -> bool:
    """Whether labels are real values: fractional numbers, several of them, or by choice."""
    if y.dtype.kind not in "fiu":
        return False
    fractional = y.dtype.kind == "f" and bool((y != np.round(y)).any())
    return fractional or y.ndim > 1 or columns.values


def _target_names(data: OwnData) -> tuple[str, ...]:
    y = _labels(data)
    values = 1 if y.ndim == 1 else y.shape[-1]
    if values == 1:
        return (data.label_name,)
    return tuple(f"{data.label_name}{number}" for number in range(values))


def _targets(y: np.ndarray, labels: tuple[str | int | float | bool, ...]) -> torch.Tensor:
    """Number classes; give real values a dimension of their own."""
    if labels:
        return torch.from_numpy(np.searchsorted(np.asarray(labels), y).astype(np.int64))
    values = torch.from_numpy(np.asarray(y, np.float32))
    return values[:, None] if values.ndim == 1 else values


def _digest(data: OwnData) -> str:
    """Digest all samples: a network must not be tested on others than those of its training."""
    digest = sha256()
    for array in (data.X, data.y, data.lengths, data.X_test, data.y_test, data.lengths_test):
        if array is not None:
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _test_part(data: OwnData) -> OwnData:
    assert data.X_test is not None
    return replace(
        data, X=data.X_test, y=data.y_test, lengths=data.lengths_test, X_test=None, y_test=None
    )


def _split(
    data: OwnData,
    columns: Columns,
    labels: tuple[str | int | float | bool, ...],
    train_samples: int | None,
    test_samples: int | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = _labels(data)
    kept = np.arange(len(data.X))

    def halves(chosen: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        groups = None if data.groups is None else data.groups[chosen]
        try:
            return split(chosen, share, classes=y[chosen] if labels else None, groups=groups)
        except ValueError as error:  # scikit-learn: too few samples or groups for these shares
            raise DataError(f"{data.path} cannot be split: {error}") from None

    if data.X_test is None:
        kept, test = halves(kept, columns.test_share)
    else:
        test = np.arange(len(data.X_test))
    for name, number, there in (
        ("train_samples", train_samples, kept),
        ("test_samples", test_samples, test),
    ):
        if number is not None and number > len(there):
            raise DataError(f"{name} is {number}, but {data.path} has {len(there)} for it")
    if train_samples is not None and train_samples < len(kept):
        kept = halves(kept, train_samples / len(kept))[1]
    # A tenth of few samples can be fewer than the classes, which no split by class allows.
    least = len(labels) / len(kept) if data.groups is None else 0.0
    train, validation = halves(kept, max(VALIDATION, least))
    return train, validation, test[:test_samples]
