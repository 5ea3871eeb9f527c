"""Learning curves of several trainings: the mean, and the band from lowest to highest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sqsnn.reports.style import BLUE, INK, MUTED, styled


@styled
def learning_band(runs: Sequence[Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw training loss, and training and validation accuracy, over the epochs of several runs.

    Args:
        runs: The figures of each epoch of each run.

    Raises:
        ValueError: If there are no runs, or their epochs differ.
    """
    lengths = {len(epochs) for epochs in runs}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            "runs must be at least one, of equal numbers of epochs, but have "
            f"{', '.join(map(str, sorted(lengths))) or 'none'}"
        )
    figure = Figure(figsize=(8, 3.7), layout="constrained")
    loss, accuracy = figure.subplots(1, 2, width_ratios=(2, 3), gridspec_kw={"wspace": 0.06})
    for axes, name, label, color, line, factor in (
        (loss, "train_loss", None, INK, "-", 1),
        (accuracy, "train_accuracy", "training", MUTED, ":", 100),
        (accuracy, "validation_accuracy", "validation, by spikes", BLUE, "-", 100),
    ):
        values = factor * np.array([[epoch[name] for epoch in epochs] for epochs in runs], float)
        at = np.array([epoch["epoch"] for epoch in runs[0]])
        axes.fill_between(at, values.min(0), values.max(0), color=color, alpha=0.18, linewidth=0)
        axes.plot(at, values.mean(0), line, color=color, label=label)
        axes.set(xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
        axes.grid(axis="y")
    loss.set(title="Training loss", ylabel="cross-entropy (nats)")
    accuracy.set(title=f"Accuracy of {len(runs)} trainings", ylabel="correct samples (%)")
    figure.legend(loc="outside lower right", ncols=2, borderaxespad=0.2)
    return figure
