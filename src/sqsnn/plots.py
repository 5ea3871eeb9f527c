"""Pictures of trainings, networks, neurons and spike trains, for papers and notebooks.

Each is a figure of matplotlib: `figure.savefig("curve.svg")` or ".pdf" keeps its lines sharp at any
size. Colours stay apart for colour-blind readers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from sqsnn import readout
from sqsnn.checks import check_positive_int
from sqsnn.data.own_sets import targets_of
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.reports import bloch as sphere
from sqsnn.reports import curves, plots, spike_plots
from sqsnn.reports import raster as drawn_raster
from sqsnn.runs.trained import Run
from sqsnn.spike_trains import goodness
from sqsnn.spike_trains.model import SpikeTrainModel


def learning_curve(*runs: Run) -> Figure:
    """Draw loss and accuracy over the epochs; of several runs, the mean and the whole range.

    Args:
        *runs: Trainings of the same number of epochs, such as one per seed, with their folders.

    Raises:
        ValueError: If a run has no folder, names no classes, or has other epochs than the first.

    Example:
        >>> import sqsnn
        >>> run = sqsnn.train("digits", hidden=8, steps=3, epochs=1, out=folder / "curve")
        >>> figure = learning_curve(run)
        >>> figure.savefig(folder / "curve.svg")
    """
    epochs = []
    for number, run in enumerate(runs):
        if run.folder is None or run.settings.reads_values:
            lacks = "no folder" if run.folder is None else "no classes"
            raise ValueError(f"run {number} has {lacks}; a learning curve needs both")
        epochs.append(run.folder.read_metrics())
    return plots.learning_curve(epochs[0]) if len(epochs) == 1 else curves.learning_band(epochs)


def confusion_matrix(run: Run, X: ArrayLike | Sequence[Any], y: ArrayLike) -> Figure:
    """Draw how often `Run.predict` takes each class, a row, for each class, a column.

    Args:
        run: A network that names classes.
        X: Samples, as `Run.predict` takes them.
        y: Their labels.

    Example:
        >>> import sqsnn
        >>> digits = sqsnn.data.load("digits").load_test()
        >>> run = sqsnn.train("digits", hidden=8, steps=3, epochs=1, out=folder / "matrix")
        >>> figure = confusion_matrix(run, digits.values, digits.targets.numpy().astype(str))
    """
    from sklearn import metrics

    names = run.preparation.class_names
    truth = targets_of(np.asarray(y), run.preparation)
    named = run.predict_proba(X).argmax(1)
    counts = metrics.confusion_matrix(truth, named, labels=range(len(names)))
    return plots.confusion_matrix(counts, names)


def raster(run: Run, X: ArrayLike | Sequence[Any], y: ArrayLike) -> Figure:
    """Draw the spikes of a sample that the network gets right, and of one that it gets wrong.

    Args:
        run: A network that names classes.
        X: Samples, as `Run.predict` takes them; they run through the network in one batch.
        y: Their labels.

    Example:
        >>> import sqsnn
        >>> digits = sqsnn.data.load("digits").load_test()
        >>> run = sqsnn.train("digits", hidden=8, steps=3, epochs=1, out=folder / "raster")
        >>> figure = raster(run, digits.values[:50], digits.targets[:50].numpy().astype(str))
    """
    spikes, truth = run.encode(X), targets_of(np.asarray(y), run.preparation)
    generator = torch.Generator(spikes.device).manual_seed(run.settings.training.seed)
    with torch.no_grad():
        record = run.network(spikes, generator=generator)
        named = readout.predict(record.layers[-1]).tolist()
    found: dict[bool, drawn_raster.Shown] = {}
    names = run.preparation.class_names
    for place, label in enumerate(truth.tolist()):
        said = f"“{names[label]}” is named “{names[named[place]]}”"
        shown = drawn_raster.Shown(said, spikes, record, place, label, named[place])
        found.setdefault(label == named[place], shown)
    return drawn_raster.raster([found[right] for right in (True, False) if right in found], names)


def bloch(
    neurons: SQSNeurons,
    currents: Float[Tensor, "T B H N"],
    *,
    generator: torch.Generator,
    neuron: int = 0,
) -> Figure:
    """Draw how a memory qubit turns and collapses on the Bloch sphere, one point per step.

    Args:
        neurons: Neurons with one memory qubit and without noise.
        currents: Their currents; the first sample of the batch is drawn.
        generator: Draws the spikes.
        neuron: Which neuron is drawn.

    Raises:
        ValueError: If the neurons have more or fewer memory qubits, or noise.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> neurons = SQSNeurons(1, memory_qubits=1, generator=g)
        >>> figure = bloch(neurons, torch.full((12, 1, 1, 1), 0.4), generator=g)
        >>> figure.savefig("memory.svg")  # doctest: +SKIP
    """
    if neurons.memory_qubits != 1 or neurons.noise is not None:
        raise ValueError(
            "neurons must have one memory qubit and no noise, but have "
            f"{neurons.memory_qubits} memory qubits and noise {neurons.noise}"
        )
    state, fired = None, []
    memories = [torch.tensor([1, 0], dtype=torch.complex128)]
    with torch.no_grad():
        for current in currents:
            record, state = neurons(current[None], state, generator=generator)
            memories.append(state.memory[0, neuron].to(torch.complex128).cpu())
            fired.append(bool(record.spikes[0, 0, neuron].any()))
    zero, one = torch.stack(memories).unbind(-1)
    turned = 2 * zero.conj() * one
    vectors = torch.stack([turned.real, turned.imag, zero.abs() ** 2 - one.abs() ** 2], dim=-1)
    return sphere.bloch(vectors.numpy(), np.array(fired))


def autocorrelation(
    model: SpikeTrainModel, trains: Any, *, longest: int = 50, unit: int = 0
) -> Figure:
    """Draw the probability of a spike after a spike: recorded, by the model's exact law, by chance.

    Args:
        model: A fitted model without a stimulus or a leaky drive.
        trains: Spike trains, as `SpikeTrainModel.fit` takes them.
        longest: Bins of the longest lag.
        unit: The unit.

    Example:
        >>> trains = np.random.default_rng(0).random((6, 200)) < 0.2  # trials, bins
        >>> model = SpikeTrainModel(memory_qubits=1, starts=1, random_state=0).fit(trains)
        >>> figure = autocorrelation(model, trains, longest=12)
    """
    check_positive_int("longest", longest)
    recorded = goodness.autocorrelation(SpikeTrains.from_bins(trains), longest, unit)
    chance = np.full(longest, model.rate_[unit])
    laws = {f"unit {unit}": (recorded, model.autocorrelation(longest, unit), chance)}
    edges = 0.5 + np.arange(longest + 1.0)
    return spike_plots.after_spike(laws, edges, "bins", "Autocorrelation", "probability of a spike")
