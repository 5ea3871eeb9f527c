"""The pictures of a run: learning curve, spike raster, confusion matrix and circuit.

The plots are imported where they are drawn: matplotlib loads slowly, and a run without pictures
goes without.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqsnn import readout
from sqsnn.data.dataset import Samples
from sqsnn.quantum.circuit import Circuit
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.loading import Loaded
from sqsnn.settings.run import RunSettings
from sqsnn.training import evaluate
from sqsnn.training.build import layer_circuits
from sqsnn.training.evaluate import Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVE = "learning-curve.png"
RASTER = "raster.png"
CONFUSION = "confusion-matrix.png"
CIRCUIT = "circuit.png"
OUTPUT_CIRCUIT = "circuit-output.png"


def draw_run(run: RunFolder, loaded: Loaded, scores: Scores, samples: Samples) -> None:
    """Draw all pictures of a run into its folder, which has the figures of all epochs."""
    from sqsnn.reports import style

    figures = draw_training(loaded.settings, run.read_metrics())
    for name, figure in {**figures, **draw_test(loaded, scores, samples)}.items():
        style.save(figure, run.path / name)


def draw_training(
    settings: RunSettings, epochs: Sequence[Mapping[str, Any]]
) -> "dict[str, Figure]":
    """Draw what needs no network, by file name: learning curve and circuits."""
    from sqsnn.reports import circuit_drawing, plots

    figures = {CURVE: plots.learning_curve(epochs)} if epochs else {}
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


def draw_test(loaded: Loaded, scores: Scores, samples: Samples) -> "dict[str, Figure]":
    """Draw what the test shows, by file name: the spikes of its first sample, and its mistakes."""
    from sqsnn.reports import plots

    settings, class_names = loaded.settings, loaded.dataset.class_names
    # A whole batch of copies, so that the sample gets the random numbers that it had in the test.
    first = samples.values[:1]
    copies = first.expand(settings.training.batch_size, *first.shape[1:])
    generator = loaded.generator()
    input_spikes, record = evaluate.draw(loaded.network, settings, copies, generator=generator)
    answer = readout.masked(record.layers[-1], evaluate.report_mask(settings, copies, None))
    raster = plots.raster(
        record,
        input_spikes,
        label=int(samples.targets[0]),
        prediction=int(readout.predict(answer)[0]),
        class_names=class_names,
    )
    confusion = evaluate.confusion(scores, samples.targets)
    return {RASTER: raster, CONFUSION: plots.confusion_matrix(confusion, class_names)}
