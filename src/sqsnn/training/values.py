"""What a network with a readout of real values predicts, and how far from the truth it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.data.dataset import Samples
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.processes import processes_of
from sqsnn.readout.traces import Traces, readout_of
from sqsnn.settings.run import Recipe
from sqsnn.training import evaluate


class Predictions(NamedTuple):
    """The values that a network predicts for n samples, averaged over its runs.

    Attributes:
        values: `(n, K)`, or `(n, T, K)` where it predicts at every step.
        deviation: Standard deviation of each value, with a Gaussian loss; else None.
        counts: `(n, T)`, whether a step counts; None if all do or there is one value per sample.
        spikes: Spikes per sample and run of each layer.
    """

    values: Float[Tensor, "n *T K"]
    deviation: Float[Tensor, "n *T K"] | None
    counts: Tensor | None
    spikes: tuple[float, ...]

    def until(self, steps: int) -> "Predictions":
        """Keep the first steps, where it predicts at every step."""
        if self.values.ndim == 2:
            return self
        deviation, counts = self.deviation, self.counts
        return self._replace(
            values=self.values[:, :steps],
            deviation=None if deviation is None else deviation[:, :steps],
            counts=None if counts is None else counts[:, :steps],
        )


def predict(
    network: SpikingNetwork,
    recipe: Recipe,
    samples: Samples,
    *,
    generator: torch.Generator,
    batch_size: int | None = None,
    shots: int = 1,
    shared: bool = False,
) -> Predictions:
    """Run a network over samples without gradients, and average its values; see `evaluate.score`.

    One value per sample is the mean over the steps that report. The mean of several runs has the
    variance within a run and between runs.
    """
    read = readout_of(network)
    if read is None or not isinstance(recipe.readout, Traces):
        raise ConfigError("this network names classes; it has no readout of real values")
    spikes = np.zeros(len(network.populations))
    parts = []
    runs = evaluate.run_batches(
        network,
        recipe,
        samples.values,
        samples.lengths,
        generator,
        batch_size,
        shots,
        shared,
        None,
        spikes,
    )
    for records, mask, kept in runs:
        with torch.no_grad():
            found = [read(record.spikes)[0] for record in records]
        mean = torch.stack([values.mean for values in found])  # (shots, T, B, K)
        second = mean.square()
        if read.is_gaussian:
            second = second + torch.stack([v.variance for v in found if v.variance is not None])
        moments = [mean.mean(0), second.mean(0)]  # (T, B, K) each
        counting = torch.ones_like(moments[0][..., 0]) if mask is None else mask  # (T, B)
        if not recipe.readout.every_step:
            weights = counting[..., None]
            moments = [(m * weights).sum(0, keepdim=True) / weights.sum(0) for m in moments]
        # (kept, T or 1, K) twice, and (kept, T)
        parts.append([part[:, :kept].movedim(0, 1) for part in (*moments, counting > 0)])
    values, second, counts = evaluate.collected(parts, processes_of(generator))
    deviation = (second - values.square()).clamp_min(0).sqrt() if read.is_gaussian else None
    if not recipe.readout.every_step:
        values = values[:, 0]
        deviation = None if deviation is None else deviation[:, 0]
    return Predictions(
        values,
        deviation,
        None if counts.all() or not recipe.readout.every_step else counts,
        tuple((spikes / (len(samples.values) * shots)).tolist()),
    )


def figures(predictions: Predictions, targets: Float[Tensor, "n *T K"]) -> dict[str, float | None]:
    """Compare values with the targets, over the steps that count.

    Returns:
        `nmse`, the mean squared error as a share of the targets' variance (None where they do not
        vary), `mae`, the mean absolute error, `r2`, 1 - nmse, and `mse`, the mean squared error;
        averaged over the K values.
    """
    found, wanted = predictions.values.double(), targets.to(predictions.values).double()
    if predictions.counts is not None:
        found, wanted = found[predictions.counts], wanted[predictions.counts]
    return errors(*(part.reshape(-1, part.shape[-1]) for part in (found, wanted)))


def measure(figures: Mapping[str, Any], part: str = "") -> float:
    """What is compared: the NMSE, to which every value adds whatever its unit; else the MSE.

    Args:
        figures: What `figures` gave.
        part: What stands before their names, such as "validation_".
    """
    nmse = figures[f"{part}nmse"]
    return figures[f"{part}mse"] if nmse is None else nmse


def errors(found: Float[Tensor, "m K"], wanted: Float[Tensor, "m K"]) -> dict[str, float | None]:
    """Compare m predictions of K values with the truth; see `figures`."""
    error = found - wanted
    variance = wanted.var(0, correction=0)
    nmse = None
    if bool((variance > 0).all()):
        nmse = float((error.square().mean(0) / variance).mean())
    return {
        "nmse": nmse,
        "mae": float(error.abs().mean()),
        "r2": None if nmse is None else 1 - nmse,
        "mse": float(error.square().mean()),
    }
