"""What a dataset is once it is read: split samples, and what prepares new ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from sqsnn.data.preparation import Preparation
from sqsnn.data.stored import StoredSpikes

Values = (
    Float[Tensor, "n features"]
    | Float[Tensor, "n T features"]
    | Float[Tensor, "n T features channels"]
    | StoredSpikes
)


class Samples(NamedTuple):
    """Values and targets of some samples.

    Attributes:
        values: (n, features), float32 in [0, 1]; series (n, T, features); or spike trains of 0 and
            1, (n, T, features) or (n, T, features, channels); those of events are read from disk
            when they are indexed.
        targets: (n,), int64, classes from 0; or real values, (n, K) or step by step (n, T, K).
        lengths: (n,), int64, the true lengths of series that are padded to T; None if all are T.
        weights: (n,), factor of each sample in the training loss; None for 1.
    """

    values: Values
    targets: Tensor
    lengths: Int[Tensor, " n"] | None = None
    weights: Float[Tensor, " n"] | None = None

    def chosen(self, which: Int[Tensor, " m"]) -> "Samples":
        """Choose some of the samples."""
        lengths, weights = self.lengths, self.weights
        return Samples(
            self.values[which],
            self.targets[which],
            None if lengths is None else lengths[which],
            None if weights is None else weights[which],
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset that is split and ready to encode.

    Attributes:
        name: Name in the catalog, or the path of an own file.
        preparation: How further samples become inputs, and answers labels.
        channels: Channels of a spike train; 1 for values.
        steps: Steps of the spike trains or series; None for values.
        report_steps: Number of last steps that are the network's answer; None for all.
        source: The files, or how the samples were generated. A network that was trained on one
            source of a dataset must not be tested on another, since their values differ.
        train: Training samples, without the validation samples.
        validation: A tenth of the training data, stratified by class; more where that would be
            fewer samples than classes.
        test_samples: Number of samples that `load_test` returns.
        load_test: Returns the test samples; before the call their values are not read, except that
            events are already binned and cached, and that a user's own file is read whole.
    """

    name: str
    preparation: Preparation
    channels: int
    steps: int | None
    report_steps: int | None
    source: str
    train: Samples
    validation: Samples
    test_samples: int
    load_test: Callable[[], Samples]

    @property
    def features(self) -> int:
        """Values per sample, or per step."""
        return self.preparation.features

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample, or of a step: (maps, rows, columns) of an image, or (features,)."""
        return self.preparation.shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class, in the order of the outputs; empty where values are predicted."""
        return self.preparation.class_names

    @property
    def outputs(self) -> int:
        """Classes, or real values to predict."""
        return self.preparation.outputs
