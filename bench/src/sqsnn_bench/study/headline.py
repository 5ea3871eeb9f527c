"""What the models of a group are judged by: an accuracy, or the error of values that they predict.

It follows from the figures of a record or a row. Whatever ranks, compares, shows or draws reads it
here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqsnn.data.specs import find_spec
from sqsnn_bench.study.config import Study
from sqsnn_bench.study.records import Record, Records


@dataclass(frozen=True)
class Headline:
    """The headline of a group.

    Attributes:
        name: Of its metric, after `test_` and `validation_`.
        is_higher_better: Whether more of it is better.
        tested: The columns of figures of the test part by their metrics, the headline first.
        tried: The columns of a search by their metrics: heads, and how figures are written.
        above: What stands before the name of the reference, over differences from it.
        differences: What the comparisons subtract.
        reading: How to read the figures.
        searching: How to read those of a search.
        scale: What metrics are multiplied by, to be shown.
        digits: Digits after the point.
        unit: What stands behind a figure.
        most: The highest figure that can be, as it is shown.
    """

    name: str
    is_higher_better: bool
    tested: Mapping[str, str]
    tried: Mapping[str, tuple[str, str]]
    above: str
    differences: str
    reading: str
    searching: str
    scale: int
    digits: int
    unit: str
    most: float

    @property
    def test(self) -> str:
        """Its metric on the test samples."""
        return f"test_{self.name}"

    @property
    def validation(self) -> str:
        """Its metric on the validation samples."""
        return f"validation_{self.name}"

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.tested[self.test]

    @property
    def axis(self) -> str:
        """What pictures call it."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.label}{unit}{'' if self.is_higher_better else ', lower is better'}"

    def written(self, value: float, sign: str = "") -> str:
        """Write a figure without its unit, after a sign "+" where it is a difference."""
        return format(self.scale * value, f"{sign}.{self.digits}f")

    def score(self, record: Record) -> float:
        """How good the validation figure of a record is: the higher, the better."""
        return record[self.validation] if self.is_higher_better else -record[self.validation]


# Spikes alone: the same question to every neuron.
ACCURACY = Headline(
    name="accuracy",
    is_higher_better=True,
    tested={
        "test_accuracy": "test accuracy",
        "test_accuracy_ties_by_probability": "ties by probability",
        "test_accuracy_probability": "by probability",
    },
    tried={
        "validation_accuracy": ("validation accuracy", ".2%"),
        "validation_accuracy_ties_by_probability": ("ties by probability", ".2%"),
        "validation_loss": ("loss", ".3f"),
    },
    above="above",
    differences="test accuracy in points",
    reading="""\
Accuracies are in per cent of the test samples, read once per seed: mean and half width of the 95 %
Student-t interval over seeds, which are trainings on one split after one search; what other samples
would add is not in it. Test accuracy, and validation: the class with most spikes, ties shared
evenly. Secondary: ties broken by firing probability (where nothing is random, by class number), and
summed probabilities alone. "Above": the mean difference of test accuracies, paired by seed, with
its 95 % Student-t interval.
""",
    searching="""\
Validation accuracy of the kept epoch: by spikes alone with ties shared evenly, and with
ties broken by firing probability.
""",
    scale=100,
    digits=2,
    unit="%",
    most=100.0,
)
ERROR = Headline(
    name="nmse",
    is_higher_better=False,
    tested={"test_nmse": "test error (NMSE)"},
    tried={"validation_nmse": ("validation error (NMSE)", ".4f"), "validation_mae": ("MAE", ".4f")},
    above="error above",
    differences="test errors (NMSE), where a negative one is better",
    reading="""\
Errors are mean squared errors as a share of the variance of the targets (NMSE) on the test samples,
read once per seed: 0 is perfect, and 1 is what the mean of the targets reaches. Lower is better.
Mean and half width of the 95 % Student-t interval over seeds, which are trainings on one split
after one search. "Error above": the mean difference of test errors, paired by seed, with its 95 %
Student-t interval; a negative one is better.
""",
    searching="""\
Validation error of the kept epoch as a share of the variance of the targets, and mean absolute
error: lower is better.
""",
    scale=1,
    digits=4,
    unit="",
    most=math.inf,
)


def of(figures: Mapping[str, Any]) -> Headline:
    """The headline of a record or of a row.

    Args:
        figures: It has figures of the validation samples; those of classes may be missing.
    """
    return ERROR if ERROR.validation in figures else ACCURACY


def of_group(study: Study, group: str, records: Records) -> Headline:
    """The headline of a group: by a record with figures, or else by the name of the dataset.

    Args:
        study: The study.
        group: Name of the group.
        records: What is done.
    """
    for key, record in records.items():
        if key.dataset == group and "error" not in record:
            return of(record)
    spec = find_spec(study.datasets[group].dataset or group)
    return ERROR if spec is not None and spec.predicts_values else ACCURACY
