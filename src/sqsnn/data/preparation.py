"""What stands between a user's samples and the network: names, scaling, labels.

A run keeps it in preparation.json, so that a trained network takes samples as the file of its
training held them, and answers with the labels of that file.
"""

from dataclasses import dataclass
from math import prod
from operator import gt
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from sqsnn.data.padding import is_ragged, stacked
from sqsnn.data.scaling import Scaling
from sqsnn.readfile import Stored

Label = str | int | float | bool


@dataclass(frozen=True)
class Preparation:
    """How samples become inputs, and answers become labels.

    Attributes:
        labels: The labels of the classes, in the order of the outputs; empty for real values.
        target_names: Names of the real values to predict; empty for classes.
        features: Values per sample, or per step of a series.
        feature_names: Their names; empty where they have none.
        length: Steps of the series of the training; None for samples that do not change in time.
        scaling: The range of each feature in the training samples; None for samples that come as
            the network takes them.
        grid: How the features lie, `(maps, rows, columns)` or `(maps, length)`; None where they
            have no order.
    """

    labels: tuple[Label, ...]
    target_names: tuple[str, ...]
    features: int
    feature_names: tuple[str, ...] = ()
    length: int | None = None
    scaling: Scaling | None = None
    grid: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample, or of a step: the grid, or `(features,)`."""
        return self.grid or (self.features,)

    @property
    def outputs(self) -> int:
        """Count the classes, or the values to predict."""
        return len(self.labels) or len(self.target_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name the classes in text."""
        return tuple(map(str, self.labels))

    def inputs(
        self, X: Any, lengths: ArrayLike | None = None, *, clip: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Scale samples as those of the training were.

        Args:
            X: `(n, features)`, of a data frame the columns of the training, in any order; series
                `(n, T, features)`, of at most the length of the training, or a list of series
                `(T_i, features)`.
            lengths: Steps of each padded series; None where all are whole.
            clip: Whether to cut values off at the range of the training.

        Returns:
            The values, float32, and the lengths, or None.

        Raises:
            ValueError: If the samples do not have the form of those of the training.
        """
        if self.length is not None and is_ragged(X):
            X, lengths = stacked(X)
        if self.feature_names and hasattr(X, "columns"):
            X = self._named_columns(X)
        values = np.asarray(X, dtype=np.float64)
        expected = "(n, features)" if self.length is None else "(n, steps, features)"
        ndim = 2 if self.length is None else 3
        if values.ndim != ndim or values.shape[-1] != self.features or not len(values):
            raise ValueError(
                f"X must have the shape {expected} with {self.features} features, as in the "
                f"training, but has the shape {values.shape}"
            )
        if not np.isfinite(values).all():
            first = tuple(int(index[0]) for index in np.nonzero(~np.isfinite(values)))
            raise ValueError(f"X must be finite, but is {values[first]} at index {first}")
        ends = None if lengths is None else np.asarray(lengths, np.int64)
        if self.length is not None and values.shape[1] != self.length:
            values, ends = self._fitted(values, ends)
        if self.scaling is not None:
            values = self.scaling.apply(values, clip=clip, lengths=ends)
        tensor = torch.from_numpy(values.astype(np.float32))
        return tensor, None if ends is None else torch.from_numpy(ends)

    def _named_columns(self, frame: Any) -> Any:
        """Choose the columns of the training, in their order."""
        missing = [name for name in self.feature_names if name not in frame.columns]
        if missing:
            raise ValueError(
                f"X must have the columns {', '.join(self.feature_names)}, as in the training, but "
                f"lacks {', '.join(missing)}"
            )
        return frame[list(self.feature_names)]

    def _fitted(
        self, values: np.ndarray, lengths: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pad shorter series to the length of the training."""
        assert self.length is not None
        samples, steps = values.shape[:2]
        if steps > self.length:
            raise ValueError(
                f"X has {steps} steps, but the series of the training had {self.length}: cut them, "
                "or train on longer ones"
            )
        if lengths is not None and lengths.max() > steps:
            raise ValueError(
                f"lengths must be at most {steps}, the steps of X, but is {lengths.max()}"
            )
        padded = np.zeros((samples, self.length, self.features))
        padded[:, :steps] = values
        return padded, np.full(samples, steps) if lengths is None else lengths

    def named(self, classes: Tensor) -> np.ndarray:
        """Give the labels of classes."""
        return np.asarray(self.labels)[classes.cpu().numpy()]

    def to_json(self) -> dict[str, Any]:
        """Write as JSON holds it."""
        scaling = self.scaling
        return {
            "labels": list(self.labels),
            "target_names": list(self.target_names),
            "features": self.features,
            "feature_names": list(self.feature_names),
            "length": self.length,
            "grid": None if self.grid is None else list(self.grid),
            "low": None if scaling is None else scaling.low.tolist(),
            "high": None if scaling is None else scaling.high.tolist(),
        }

    @classmethod
    def from_json(cls, content: object) -> "Preparation":
        """Read what `to_json` wrote.

        Raises:
            ValueError: If it is anything else.
        """
        stored = _Stored.model_validate(content)
        low, high = stored.low, stored.high
        return cls(
            labels=tuple(stored.labels),
            target_names=tuple(stored.target_names),
            features=stored.features,
            feature_names=tuple(stored.feature_names),
            length=stored.length,
            grid=None if stored.grid is None else tuple(stored.grid),
            scaling=None if low is None else Scaling(np.array(low), np.array(high)),
        )


class _Stored(Stored):
    """A preparation as JSON holds it."""

    labels: list[Label]
    target_names: list[str]
    features: PositiveInt
    feature_names: list[str]
    length: PositiveInt | None
    grid: Annotated[list[PositiveInt], Field(min_length=1)] | None
    low: list[float] | None
    high: list[float] | None

    @model_validator(mode="after")
    def _consistent(self) -> "_Stored":
        if bool(self.labels) == bool(self.target_names) or len(self.labels) == 1:
            raise ValueError("it must name two or more labels, or the values to predict")
        if len(set(map(repr, self.labels))) < len(self.labels):
            raise ValueError("labels must differ")
        if len(self.feature_names) not in (0, self.features):
            raise ValueError(f"feature_names must name {self.features} features, or none")
        if self.grid is not None and prod(self.grid) != self.features:
            raise ValueError(f"grid {self.grid} must have {self.features} features")
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high belong together")
        low, high = self.low or [0.0] * self.features, self.high or [0.0] * self.features
        if not len(low) == len(high) == self.features or any(map(gt, low, high)):
            raise ValueError(f"low and high must be the ranges of {self.features} features")
        return self
