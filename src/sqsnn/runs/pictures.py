"""The pictures of a run: learning curve, raster, confusion matrix, circuit, and its network.

The plots are imported where they are drawn: matplotlib loads slowly, and a run without pictures
goes without.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sqsnn import readout
from sqsnn.data.dataset import Samples
from sqsnn.quantum.circuit import Circuit
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.loading import Loaded, Tested
from sqsnn.settings.run import RunSettings
from sqsnn.training import evaluate
from sqsnn.training.build import layer_circuits
from sqsnn.training.evaluate import Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sqsnn.reports.raster import Shown

CURVE = "learning-curve.png"
RASTER = "raster.png"
CONFUSION = "confusion-matrix.png"
PREDICTIONS = "predictions.png"
NETWORK = "network.png"
CIRCUIT = "circuit.png"
OUTPUT_CIRCUIT = "circuit-output.png"


def draw_run(run: RunFolder, loaded: Loaded, tested: Tested) -> None:
    """Draw all pictures of a run into its folder, which has the figures of all epochs."""
    from sqsnn.reports import style

    figures = draw_training(loaded.settings, run.read_metrics())
    for name, figure in {**figures, **draw_test(loaded, tested)}.items():
        style.save(figure, run.path / name)


def draw_training(
    settings: RunSettings, epochs: Sequence[Mapping[str, Any]]
) -> "dict[str, Figure]":
    """Draw what needs no network, by file name: learning curve and circuits."""
    from sqsnn.reports import circuit_drawing, plots, values_plot

    curve = values_plot.error_curve if settings.reads_values else plots.learning_curve
    figures = {CURVE: curve(epochs)} if epochs else {}
    drive = getattr(settings.neurons, "drive", None)
    for name, circuit in circuits(settings).items():
        figures[name] = circuit_drawing.draw(circuit, drive)
    return figures


def circuits(settings: RunSettings) -> dict[str, Circuit]:
    """The circuits of a run's neurons, by file name: the output layer's too, if it is another."""
    if settings.neurons.kind != "sqs":
        return {}
    first, *_, last = layer_circuits(settings) * 2
    return {CIRCUIT: first} | ({} if last == first else {OUTPUT_CIRCUIT: last})


def of_test(settings: RunSettings) -> tuple[str, ...]:
    """Name the pictures of the test, and that of a network that is no plain row of layers."""
    shown = (PREDICTIONS,) if settings.reads_values else (RASTER, CONFUSION)
    return shown if settings.is_plain else (*shown, NETWORK)


def draw_test(loaded: Loaded, tested: Tested) -> "dict[str, Figure]":
    """Draw what the test shows, by file name: predictions; or a right and a wrong sample."""
    from sqsnn.reports import network_drawing, plots, raster, values_plot

    scores, samples = tested.answers, tested.samples
    is_plain = loaded.settings.is_plain
    figures = {} if is_plain else {NETWORK: network_drawing.draw_network(loaded.network)}
    if not isinstance(scores, Scores):
        found, truth = scores.values.cpu().numpy(), samples.targets.cpu().numpy()
        if scores.counts is not None:
            found = np.where(scores.counts.cpu().numpy()[..., None], found, np.nan)
        names = loaded.dataset.preparation.target_names
        return figures | {PREDICTIONS: values_plot.predictions(found, truth, names)}
    class_names = loaded.dataset.class_names
    confusion = evaluate.confusion(scores, samples.targets)
    return figures | {
        RASTER: raster.raster(_right_and_wrong(loaded, scores, samples), class_names),
        CONFUSION: plots.confusion_matrix(confusion, class_names),
    }


def _right_and_wrong(loaded: Loaded, scores: Scores, samples: Samples) -> "list[Shown]":
    """The first test sample that the network gets right, and the first that it gets wrong.

    The test is run again up to these samples, batch by batch with the same random numbers, so that
    the spikes are those that were scored. Where a backend measured them, they are simulated.
    """
    from sqsnn.reports.raster import Shown

    settings, names = loaded.settings, loaded.dataset.class_names
    outcomes = set((scores.predicted == samples.targets).tolist())
    others = "" if len(outcomes) == 2 else f", as all {len(samples.targets)} test samples"
    again = ", simulated" if scores.measured else ""
    found: dict[bool, Shown] = {}
    generator, start = loaded.generator(), 0
    batches = evaluate.batches(samples.values, settings.training.batch_size, samples.lengths)
    for batch, ends, kept in batches:
        spikes, record = evaluate.draw(
            loaded.network, settings, batch, lengths=ends, generator=generator
        )
        mask = evaluate.report_mask(settings, batch, ends)
        answer = readout.masked(record.layers[-1], mask)
        predicted = readout.predict(answer).tolist()
        labels = samples.targets[start : start + kept].tolist()
        for place, label in enumerate(labels):
            is_right = predicted[place] == label
            said = f"{'Right' if is_right else 'Wrong'}{others}{again}: “{names[label]}”"
            said += f" is named “{names[predicted[place]]}”"
            found.setdefault(is_right, Shown(said, spikes, record, place, label, predicted[place]))
        if outcomes <= found.keys():
            break
        start += kept
    return [found[is_right] for is_right in (True, False) if is_right in found]
