"""What the figures of a network stand beside: chance, and a linear model on the same samples."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sqsnn.data.dataset import Dataset, Samples
from sqsnn.data.stored import StoredSpikes
from sqsnn.training.evaluate import Scores

# Penalties of the ridge, in units of the samples; validation chooses.
PENALTIES = (1e-4, 1e-2, 1.0)
# Larger problems would take longer than the network: then there is no baseline.
LARGEST_VALUES, LARGEST_FEATURES = 2**28, 5000
# Steps before and with a step from which a linear model predicts the value of the step.
WINDOW = 10


class Baseline(NamedTuple):
    """A cheap model on the same split: ridge regression on the samples' values, flattened.

    Attributes:
        model: What it is, in words.
        figures: Its figures on the test part, by the names of the network's.
    """

    model: str
    figures: dict[str, float]


def chance(dataset: Dataset, test: Samples) -> float:
    """Score the answer that ignores the sample, on the test part.

    Returns:
        Of classes, the accuracy of always naming the most frequent class of the training part; of
        real values, the mean squared error of always giving the mean of the training targets, as a
        share of the variance of the test targets.
    """
    train, wanted = dataset.train.targets, test.targets
    if dataset.class_names:
        commonest = train.bincount(minlength=dataset.outputs).argmax()
        return float((wanted.cpu() == commonest).double().mean())
    mean = train.double().reshape(-1, dataset.outputs).mean(0)
    flat = wanted.double().cpu().reshape(-1, dataset.outputs)
    return float(((flat - mean).square().mean(0) / flat.var(0, correction=0)).mean())


def ridge(dataset: Dataset, test: Samples, report_steps: int | None = None) -> Baseline | None:
    """Fit a ridge to the training part and test it; None where that would take too long.

    Classes are fitted as +-1. Where there is a value for every step, the model sees the last
    `WINDOW` steps; else all values of a sample. The penalty is the best on the validation part.
    """
    from sklearn.linear_model import RidgeClassifier

    every_step = dataset.train.targets.ndim == 3
    features = int(np.prod(dataset.train.values.shape[1:]))
    if every_step:
        features = WINDOW * dataset.features
    samples = len(dataset.train.targets)
    if features > LARGEST_FEATURES or features * samples > LARGEST_VALUES:
        return None
    parts = (dataset.train, dataset.validation, test)
    rows = [_rows(part, report_steps) if every_step else _whole(part) for part in parts]
    mean = rows[0][0].mean(0)
    deviation = rows[0][0].std(0)
    scale = np.where(deviation > 0, deviation, 1)
    (X, y), (X_validation, y_validation), (X_test, y_test) = (
        ((found - mean) / scale, wanted) for found, wanted in rows
    )
    if dataset.class_names:
        models = [RidgeClassifier(alpha=penalty * len(X)).fit(X, y) for penalty in PENALTIES]
        best = max(models, key=lambda model: model.score(X_validation, y_validation))
        return Baseline("ridge classifier on all values", {"accuracy": best.score(X_test, y_test)})
    return _values(X, y, X_validation, y_validation, X_test, y_test, every_step)


def _values(
    X: np.ndarray,
    y: np.ndarray,
    X_validation: np.ndarray,
    y_validation: np.ndarray,
    X_test: np.ndarray,
    y_test: np.ndarray,
    every_step: bool,
) -> Baseline:
    from sklearn.linear_model import Ridge

    def error(model: Ridge, X: np.ndarray, y: np.ndarray) -> float:
        squared = np.square(model.predict(X).reshape(y.shape) - y).mean(0)
        return float((squared / y.var(0)).mean())

    models = [Ridge(alpha=penalty * len(X)).fit(X, y) for penalty in PENALTIES]
    best = min(models, key=lambda model: error(model, X_validation, y_validation))
    absolute = float(np.abs(best.predict(X_test).reshape(y_test.shape) - y_test).mean())
    seen = f"the last {WINDOW} steps" if every_step else "all values"
    nmse = error(best, X_test, y_test)
    return Baseline(f"ridge on {seen}", {"nmse": nmse, "mae": absolute, "r2": 1 - nmse})


def class_report(scores: Scores, targets: Tensor, names: tuple[str, ...]) -> dict[str, Any]:
    """Precision, recall and F1 of each class, by the named classes, and the area under the curve.

    The area is that of the summed firing probabilities, of one class against the others and
    averaged; None where spikes were measured, or where the test part lacks a class.
    """
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

    wanted, found = targets.cpu().numpy(), scores.predicted.cpu().numpy()
    labels = range(len(names))
    parts: Any = precision_recall_fscore_support(
        wanted,
        found,
        labels=labels,
        zero_division=0,  # pyright: ignore[reportArgumentType] (inferred from "warn")
    )
    precision, recall, f1, samples = (part.tolist() for part in parts)
    titles = ("class", "precision", "recall", "f1", "samples")
    rows = [
        dict(zip(titles, row, strict=True))
        for row in zip(names, precision, recall, f1, samples, strict=True)
    ]
    area = None
    if not scores.measured and len(np.unique(wanted)) == len(names):
        shares = torch.softmax(scores.probabilities.double(), dim=1).cpu().numpy()
        if len(names) == 2:
            area = float(roc_auc_score(wanted, shares[:, 1]))
        else:
            area = float(roc_auc_score(wanted, shares, multi_class="ovr"))
    return {"test_roc_auc": area, "classes": rows}


def _whole(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Lay out samples: all values of each, and its target."""
    values = samples.values
    whole = torch.cat(list(values.split(256))) if isinstance(values, StoredSpikes) else values
    return whole.flatten(1).cpu().numpy(), samples.targets.cpu().numpy()


def _rows(samples: Samples, report_steps: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Lay out the steps that count: the last `WINDOW` steps of the inputs, and the targets."""
    values, targets = samples.values, samples.targets
    assert isinstance(values, Tensor)
    length = values.shape[1]
    padded = torch.cat([values.new_zeros(len(values), WINDOW - 1, values.shape[2]), values], dim=1)
    windows = padded.unfold(1, WINDOW, 1).flatten(2)  # (n, T, features * WINDOW)
    steps = torch.arange(length)
    counts = (steps >= length - (report_steps or length)).expand(len(values), length)
    if samples.lengths is not None:
        ends = samples.lengths.cpu()[:, None]
        counts = (steps < ends) & (steps >= ends - (report_steps or length))
    return windows.cpu()[counts].numpy(), targets.cpu()[counts].numpy()
