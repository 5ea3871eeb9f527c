"""The pictures of a finished run, drawn from its network and the test that ends it."""

import torch

from sqsnn import readout
from sqsnn.data.catalog import Samples
from sqsnn.network import SpikingNetwork
from sqsnn.training import evaluate
from sqsnn.training.config import RunConfig
from sqsnn.training.evaluate import Scores
from sqsnn.training.neurons import build_circuit
from sqsnn.training.run_folder import RunFolder


def draw_run(
    folder: RunFolder,
    settled: RunConfig,
    network: SpikingNetwork,
    class_names: tuple[str, ...],
    tested: tuple[Scores, Samples],
    generator: torch.Generator,
) -> None:
    """Draw learning curve, raster, confusion matrix and circuit into the folder of a run.

    Args:
        folder: the folder, with the figures of all epochs.
        settled: the settings of the run.
        network: the trained network.
        class_names: one name a class.
        tested: the scores of the test samples, and the samples.
        generator: where the spikes of the raster are drawn from.
    """
    # Here and not above: matplotlib is slow to load, and runs without pictures go without.
    from sqsnn.reports import plots

    scores, samples = tested
    # A whole batch of copies, since a compiled network would compile once more for another size.
    first = samples.values[:1]
    copies = first.expand(settled.training.batch_size, *first.shape[1:])
    input_spikes, run = evaluate.draw(network, settled.encoding, copies, generator=generator)
    report = readout.last(run.layers[-1], settled.readout.report_steps)
    plots.save_run_pictures(
        folder.path,
        metrics=folder.read_metrics(),
        run=run,
        input_spikes=input_spikes,
        label=int(samples.labels[0]),
        prediction=int(readout.predict(report)[0]),
        confusion=evaluate.confusion(scores, samples.labels),
        class_names=class_names,
        circuit=build_circuit(settled.model) if settled.model.neurons == "sqs" else None,
    )
