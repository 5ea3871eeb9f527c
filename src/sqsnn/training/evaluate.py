"""What a trained network says about samples: scores, predictions, accuracy, confusion."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from sqsnn import readout
from sqsnn.checks import check_positive_int
from sqsnn.data.catalog import Values
from sqsnn.learning.bit_source import BitSource
from sqsnn.network import Run, SpikingNetwork
from sqsnn.neurons.population import Record
from sqsnn.training.build import encode
from sqsnn.training.config import EncodingConfig


class Scores(NamedTuple):
    """What the output layer said about n samples, summed over channels, shots and the steps that
    report.
    """

    counts: Float[Tensor, "n classes"]
    probabilities: Float[Tensor, "n classes"]  # where spikes were measured, the counts
    predicted: Int64[Tensor, " n"]  # by count, ties broken by probability, or at random
    spikes: tuple[float, ...]  # spikes per sample, shot and layer, over all steps
    measured: bool = False  # spikes are all that is known


class Accuracy(NamedTuple):
    """Shares of samples named rightly, by the two readouts."""

    by_count: float
    by_probability: float | None  # of measured spikes none is known


def score(
    network: SpikingNetwork,
    encoding: EncodingConfig,
    values: Values,
    *,
    generator: torch.Generator,
    batch_size: int,
    report_steps: int | None = None,
    shots: int = 1,
    shared: bool = False,
    source: BitSource | None = None,
) -> Scores:
    """Run a network over samples without gradients.

    The last batch is filled up to `batch_size` and the filling is dropped again: a compiled network
    sees one shape, and the arithmetic of a sample does not depend on how many came with it.

    Args:
        network: the network, on the device of `values`.
        encoding: how values become spikes.
        values: intensities in [0, 1], shape (n, P), or spike trains, shape (n, T, P) or
            (n, T, P, N), in memory or on disk; n at least 1.
        generator: where encoding and neurons draw from.
        batch_size: samples run at once.
        report_steps: how many of the last steps of each shot count; None for all.
        shots: independent runs a sample, each with an encoding of its own.
        shared: give every sample the same random numbers, so that what is said about one does not
            depend on the others; the generator then moves on by one sample.
        source: what measures the spikes; None: they are simulated.

    Raises:
        ValueError: if `shots` or `batch_size` is below 1, or `report_steps` not in 1..T.
    """
    check_positive_int("shots", shots)
    check_positive_int("batch_size", batch_size)
    start = generator.get_state()
    counts, probabilities, predictions = [], [], []
    spikes = np.zeros(len(network.populations))
    for batch, kept in batches(values, batch_size):
        if shared:
            generator.set_state(start)
        outputs = []
        for _ in range(shots):
            _, run = draw(
                network,
                encoding,
                batch,
                generator=generator,
                shared=shared,
                source=source,
                # Filling costs nothing here, but time on a device.
                kept=None if source is None else kept,
            )
            outputs.append(readout.last(run.layers[-1], report_steps))
            spikes += [
                float(record.spikes[:, :kept].sum(dtype=torch.float64)) for record in run.layers
            ]
        output = _one_after_another(outputs)
        counts.append(readout.count(output)[:kept])
        probabilities.append(readout.probability(output)[:kept])
        ties = None if source is None else generator
        predictions.append(readout.predict(output, generator=ties)[:kept])
    return Scores(
        counts=torch.cat(counts),
        probabilities=torch.cat(probabilities),
        predicted=torch.cat(predictions),
        spikes=tuple((spikes / (len(values) * shots)).tolist()),
        measured=source is not None,
    )


def draw(
    network: SpikingNetwork,
    encoding: EncodingConfig,
    values: Float[Tensor, "B P"] | Float[Tensor, "B T P"] | Float[Tensor, "B T P N"],
    *,
    generator: torch.Generator,
    shared: bool = False,
    source: BitSource | None = None,
    kept: int | None = None,
) -> tuple[Float[Tensor, "T kept P N"], Run]:
    """Encode samples and run the network once, without gradients.

    Args:
        network: the network, on the device of `values`.
        encoding: how values become spikes.
        values: intensities in [0, 1], shape (B, P), or spike trains, shape (B, T, P) or
            (B, T, P, N).
        generator: where encoding and neurons draw from.
        shared: give every sample the same random numbers.
        source: what measures the spikes; None: they are simulated.
        kept: run only so many of the encoded samples, the others being filling; None for all.

    Returns:
        the encoded samples that were run, shape (T, kept, P, N), and what the network did.
    """
    with torch.no_grad():
        spikes = encode(encoding, values, generator=generator, shared=shared)[:, :kept]
        if source is not None:
            from sqsnn import hardware

            return spikes, hardware.run_network(network, spikes, source, generator)
        if not shared:
            return spikes, network(spikes, generator=generator)
        one = network.draw_uniforms(encoding.steps, 1, generator)
        uniforms = tuple(numbers.expand(-1, len(values), *numbers.shape[2:]) for numbers in one)
        return spikes, network(spikes, uniforms=uniforms)


def accuracy(scores: Scores, labels: Int64[Tensor, " n"]) -> Accuracy:
    """Compare predictions with the labels.

    Args:
        scores: what the network said about the samples.
        labels: the true classes, shape (n,).
    """
    labels = labels.to(scores.predicted.device)
    by_probability = None
    if not scores.measured:
        named = scores.probabilities.argmax(dim=1)
        by_probability = float((named == labels).double().mean())
    return Accuracy(
        by_count=float((scores.predicted == labels).double().mean()), by_probability=by_probability
    )


def accuracy_of_spikes(scores: Scores, labels: Int64[Tensor, " n"]) -> float:
    """The accuracy that spike counts alone reach: of k classes with the highest count, each is
    named in one case of k. Unlike ties broken by probability it is the same question to every
    neuron, whether it has a probability or not.

    Args:
        scores: what the network said about the samples.
        labels: the true classes, shape (n,).
    """
    counts = scores.counts
    highest = counts == counts.amax(dim=1, keepdim=True)  # (n, classes)
    right = highest.gather(1, labels.to(counts.device)[:, None]).squeeze(1)
    return float((right.double() / highest.sum(1)).mean())


def loss(scores: Scores, labels: Int64[Tensor, " n"]) -> float:
    """The cross-entropy, in nats, of one shot's summed probabilities as logits, as in training; of
    its counts where spikes were measured.

    Args:
        scores: what the network said about the samples, in one shot.
        labels: the true classes, shape (n,).
    """
    labels = labels.to(scores.probabilities.device)
    return float(functional.cross_entropy(scores.probabilities.double(), labels))


def confusion(scores: Scores, labels: Int64[Tensor, " n"]) -> np.ndarray:
    """Count how often each class (row) was taken for each class (column), by spike count.

    Args:
        scores: what the network said about the samples.
        labels: the true classes, shape (n,).
    """
    from sklearn.metrics import confusion_matrix

    classes = range(scores.counts.shape[1])
    return confusion_matrix(labels.cpu(), scores.predicted.cpu(), labels=classes)


def batches(values: Values, batch_size: int) -> Iterator[tuple[Tensor, int]]:
    """Cut samples into batches of one size, the last one filled with copies of its last sample.

    Args:
        values: the samples, shape (n, ...).
        batch_size: samples in a batch.

    Yields:
        a batch, and how many of its samples are no filling.
    """
    for batch in values.split(batch_size):
        missing = batch_size - len(batch)
        filling = batch[-1:].expand(missing, *batch.shape[1:])
        yield torch.cat([batch, filling]) if missing else batch, len(batch)


def _one_after_another(records: list[Record]) -> Record:
    """Lay the shots of a batch end to end in time, so that a readout sums over all of them."""
    if len(records) == 1:
        return records[0]
    spikes, probability, log_likelihood, _ = zip(*records, strict=True)
    return Record(torch.cat(spikes), torch.cat(probability), torch.cat(log_likelihood), None)
