"""The figures on the page of a run: the headline beside its baselines, classes and epochs."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from sqsnn.reports.page import MISSING, count, headline_figures, percent, seconds, table
from sqsnn.settings.run import RunSettings
from sqsnn.training.trainer import rank

Figures = Mapping[str, Any]

MOST_CLASSES, WORST = 20, 10  # of more classes than these, so many of the worst are shown first
ALL_CLASSES = "All classes"

_ACCURACY = """\
Test accuracy: by spike counts alone, ties shared evenly, which is what a device gives."""
_NMSE = """\
NMSE is the mean squared error as a share of the variance of the test targets: 0 is perfect, 1 is \
what their mean would reach. R2 is 1 - NMSE."""


def headline(epochs: Sequence[Figures], result: Figures, timing: Figures) -> str:
    """Write what the test gave, beside a linear model and the answer that ignores the sample."""
    reads_values = "test_mse" in result
    figures = (_values if reads_values else _accuracies)(result) | {
        "parameters": count(result["parameters"]),
        "spikes per inference": count(sum(result["spikes_per_sample"])),
        "training time": seconds(timing.get("training_seconds")),
    }
    tested = (
        f"Tested on {count(result['test_samples'])} samples with the weights of epoch "
        f"{result['best_epoch']} of {len(epochs)}, the best on the validation samples."
    )
    meaning = _NMSE if reads_values else f"{_ACCURACY}{_other_readings(result)}"
    explained = f"{meaning} {_beside(result)} Spikes are those of all layers."
    return f"{tested}\n\n{headline_figures(figures)}\n{explained}"


def so_far(settings: RunSettings, epochs: Sequence[Figures], timing: Figures) -> str:
    """Write where a run stands that is not finished."""
    planned = settings.training.epochs
    warning = f"> This run is not finished: {len(epochs)} of {planned} epochs are done."
    if not epochs:
        return warning
    best = max(epochs, key=rank)
    if settings.reads_values:
        reached = {"validation NMSE": number(best["validation_nmse"])}
    else:
        reached = {"validation accuracy": percent(best["validation_accuracy"])}
    figures = {
        **{f"{name}, best epoch {best['epoch']}": figure for name, figure in reached.items()},
        "epochs": f"{len(epochs)} of {planned}",
        "training time": seconds(timing.get("training_seconds")),
    }
    return f"{warning}\n\n{headline_figures(figures)}"


def classes(result: Figures) -> dict[str, str]:
    """Write precision, recall and F1 of each class, by title of a section.

    Many classes stand in a section of their own, the worst before it.
    """
    rows = result.get("classes", [])
    if not rows:
        return {}
    ties = "at random" if result["test_accuracy_probability"] is None else "by firing probability"
    meaning = (
        f"By spike counts, ties broken {ties}. Precision: the share of the samples named so that "
        "are of the class. Recall: the share of the class that is named so. F1: their harmonic "
        "mean."
    )
    if len(rows) <= MOST_CLASSES:
        return {"Class by class": f"{meaning}\n\n{_class_table(rows, mean=True)}"}
    worst = sorted(rows, key=lambda row: row["f1"])[:WORST]
    said = f"The {WORST} of {len(rows)} classes with the lowest F1. {meaning}"
    return {
        "Class by class": f"{said}\n\n{_class_table(worst)}",
        ALL_CLASSES: _class_table(rows, mean=True),
    }


def all_epochs(epochs: Sequence[Figures]) -> str:
    """Write the figures of each epoch."""
    reads_values = "validation_mse" in epochs[0]
    columns = _EPOCH_OF_VALUES if reads_values else _EPOCH_OF_CLASSES
    rows = [
        (
            str(epoch["epoch"]),
            f"{epoch['train_loss']:.4f}",
            *(write(epoch[name]) for name, write in columns.values()),
            count(sum(epoch["spikes_per_sample"])),
            f"{epoch['learning_rate']:.2g}",
        )
        for epoch in epochs
    ]
    headings = ("epoch", "training loss", *columns, "spikes per sample", "learning rate")
    return table(headings, rows)


def number(figure: float | None) -> str:
    """Write an error to four digits; a dash for None."""
    return MISSING if figure is None else f"{figure:.4g}"


def _tenth(share: float | None) -> str:
    return percent(share, 1)


_EPOCH_OF_CLASSES = {
    "training accuracy": ("train_accuracy", _tenth),
    "validation accuracy": ("validation_accuracy", _tenth),
    "ties by probability": ("validation_accuracy_ties_by_probability", _tenth),
    "by probability": ("validation_accuracy_probability", _tenth),
}
_EPOCH_OF_VALUES = {
    "validation NMSE": ("validation_nmse", number),
    "mean absolute error": ("validation_mae", number),
    "R2": ("validation_r2", number),
}


def _accuracies(result: Figures) -> dict[str, str]:
    baseline = result.get("baseline")
    linear = {} if baseline is None else {baseline["model"]: baseline["figures"]["accuracy"]}
    shares = {
        "test accuracy": result["test_accuracy"],
        **linear,
        "always the most frequent class": result.get("chance"),
    }
    return {name: percent(share) for name, share in shares.items()}


def _values(result: Figures) -> dict[str, str]:
    baseline = result.get("baseline")
    linear = {} if baseline is None else {f"{baseline['model']}, NMSE": baseline["figures"]["nmse"]}
    errors = {
        "test NMSE": result["test_nmse"],
        **linear,
        "always the training mean, NMSE": result.get("chance"),
        "mean absolute error": result["test_mae"],
        "R2": result["test_r2"],
    }
    if result["test_nmse"] is None:  # the headline is what is known
        errors = {"mean absolute error": result["test_mae"]}
    return {name: number(error) for name, error in errors.items()}


def _other_readings(result: Figures) -> str:
    """Write the secondary accuracies, which measured spikes do not have."""
    if result["test_accuracy_probability"] is None:
        return ""
    said = (
        f" With ties broken by firing probability it is "
        f"{percent(result['test_accuracy_ties_by_probability'])}, by summed firing probabilities "
        f"alone {percent(result['test_accuracy_probability'])}."
    )
    area = result.get("test_roc_auc")
    if area is not None:
        said += f" The area under their ROC curve is {area:.3f}; chance is 0.5."
    return said


def _beside(result: Figures) -> str:
    """Say what the network stands beside."""
    if result.get("baseline") is None:
        return "No linear model was fitted, because the samples are too large for one."
    return (
        "The linear model was fitted to the same training samples, its penalty chosen on the same "
        "validation samples."
    )


def _class_table(rows: Sequence[Figures], *, mean: bool = False) -> str:
    names = ("precision", "recall", "f1")
    cells = [
        (row["class"], *(percent(row[name], 1) for name in names), count(row["samples"]))
        for row in rows
    ]
    if mean:
        means = (percent(fmean(row[name] for row in rows), 1) for name in names)
        cells.append(("mean of the classes", *means, count(sum(row["samples"] for row in rows))))
    return table(("class", "precision", "recall", "F1", "test samples"), cells)
