"""What the figures of a network stand beside: chance, and a linear model on the same samples."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.data.dataset import Dataset, Samples
from sqsnn.data.stored import StoredSpikes
from sqsnn.training.evaluate import Scores
from sqsnn.training.values import errors, measure

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
    figures: dict[str, float | None]


def chance(dataset: Dataset, test: Samples, report_steps: int | None = None) -> float | None:
    """Score the answer that ignores the sample, on the test part.

    Args:
        dataset: The data.
        test: The test samples.
        report_steps: Number of last steps that count; None for all.

    Returns:
        Of classes, the accuracy of always naming the most frequent class of the training part; of
        real values, the NMSE of always giving the mean of the training targets, over the steps
        that count, None where the test targets do not vary.
    """
    train, wanted = dataset.train.targets, test.targets
    if dataset.class_names:
        commonest = train.bincount(minlength=dataset.outputs).argmax()
        return float((wanted.cpu() == commonest).double().mean())
    known, true = (_targets(part, report_steps) for part in (dataset.train, test))
    return errors(known.mean(0).expand(len(true), -1), true)["nmse"]


def ridge(dataset: Dataset, test: Samples, report_steps: int | None = None) -> Baseline | None:
    """Fit a ridge to the training part and test it; None where that would take too long.

    Classes are fitted as +-1. Where there is a value for every step, the model sees the last
    `WINDOW` steps; else all values of a sample. The penalty is the best on the validation part.

    Args:
        dataset: The data.
        test: The test samples.
        report_steps: Number of last steps that count, where there is a value for every step; None
            for all.
    """
    from sklearn.linear_model import Ridge, RidgeClassifier

    every_step = dataset.train.targets.ndim == 3
    features = int(np.prod(dataset.train.values.shape[1:]))
    if every_step:
        features = WINDOW * dataset.features
    samples = len(dataset.train.targets)
    if features > LARGEST_FEATURES or features * samples > LARGEST_VALUES:
        return None
    parts = (dataset.train, dataset.validation, test)
    seen = [_windows(part, report_steps) if every_step else _whole(part) for part in parts]
    mean, deviation = seen[0].mean(0), seen[0].std(0)
    scale = np.where(deviation > 0, deviation, 1)
    X, X_validation, X_test = ((values - mean) / scale for values in seen)
    if dataset.class_names:
        y, y_validation, y_test = (part.targets.cpu().numpy() for part in parts)
        models = [RidgeClassifier(alpha=penalty * len(X)).fit(X, y) for penalty in PENALTIES]
        best = max(models, key=lambda model: model.score(X_validation, y_validation))
        return Baseline("ridge classifier on all values", {"accuracy": best.score(X_test, y_test)})
    y, y_validation, y_test = (_targets(part, report_steps) for part in parts)

    def judged(model: Ridge, X: np.ndarray, wanted: Tensor) -> dict[str, float | None]:
        predicted = torch.from_numpy(model.predict(X)).double()
        return errors(predicted.reshape(wanted.shape), wanted)

    models = [Ridge(alpha=penalty * len(X)).fit(X, y.numpy()) for penalty in PENALTIES]
    best = min(models, key=lambda model: measure(judged(model, X_validation, y_validation)))
    said = f"the last {WINDOW} steps" if every_step else "all values"
    figures = judged(best, X_test, y_test)
    return Baseline(f"ridge on {said}", {name: figures[name] for name in ("nmse", "mae", "r2")})


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
        shares = scores.shares().cpu().numpy()
        if len(names) == 2:
            area = float(roc_auc_score(wanted, shares[:, 1]))
        else:
            area = float(roc_auc_score(wanted, shares, multi_class="ovr"))
    return {"test_roc_auc": area, "classes": rows}


def _whole(samples: Samples) -> np.ndarray:
    """Lay out all values of each sample."""
    values = samples.values
    whole = torch.cat(list(values.split(256))) if isinstance(values, StoredSpikes) else values
    return whole.flatten(1).cpu().numpy()


def _windows(samples: Samples, report_steps: int | None) -> np.ndarray:
    """Lay out, for each step that counts, the last `WINDOW` steps of the inputs."""
    values = samples.values
    assert isinstance(values, Tensor)
    padded = torch.cat([values.new_zeros(len(values), WINDOW - 1, values.shape[2]), values], dim=1)
    windows = padded.unfold(1, WINDOW, 1).flatten(2).cpu()  # (n, T, features * WINDOW)
    return windows[_counted(samples, report_steps)].numpy()


def _targets(samples: Samples, report_steps: int | None) -> Float[Tensor, "m K"]:
    """Lay out the real values of samples, or of their steps that count."""
    targets = samples.targets.double().cpu()
    return targets[_counted(samples, report_steps)] if targets.ndim == 3 else targets


def _counted(samples: Samples, report_steps: int | None) -> Bool[Tensor, "n T"]:
    """Mark the steps that count."""
    count, length = samples.targets.shape[:2]
    ends = torch.full((count,), length) if samples.lengths is None else samples.lengths.cpu()
    left = ends[:, None] - torch.arange(length)  # steps to the end of each series
    return (left > 0) & (left <= (report_steps or length))
