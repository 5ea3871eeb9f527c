"""What a trained network says about samples: scores, predictions, accuracy, confusion."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sqsnn import readout
from sqsnn.checks import check_positive_int
from sqsnn.data.dataset import Values
from sqsnn.learning.bit_source import BitSource, run_network
from sqsnn.network import NetworkRecord, SpikingNetwork
from sqsnn.neurons.population import Record
from sqsnn.processes import Processes, processes_of
from sqsnn.settings.run import Recipe


class Scores(NamedTuple):
    """The answers of the output layer for n samples.

    They are summed over channels, shots and the steps that report.

    Attributes:
        counts: Spike counts, `(n, classes)`.
        probabilities: Summed firing probabilities, `(n, classes)`; the counts where spikes were
            measured.
        predicted: Classes by spike count, `(n,)`, ties broken by probability, or at random.
        spikes: Spikes per sample and shot of each layer, over all steps.
        measured: Whether spikes are all that is known.
        shots: Runs that are summed.
    """

    counts: Float[Tensor, "n classes"]
    probabilities: Float[Tensor, "n classes"]
    predicted: Int64[Tensor, " n"]
    spikes: tuple[float, ...]
    measured: bool = False
    shots: int = 1

    def shares(self) -> Float[Tensor, "n classes"]:
        """Estimate the probability of each class: the softmax of one run's summed probabilities."""
        return torch.softmax(self.probabilities.double() / self.shots, dim=1)


class Accuracy(NamedTuple):
    """Shares of samples named rightly.

    Attributes:
        spikes: By spike counts alone, what a device gives: of k classes with the highest count,
            each is named in one case of k. It asks the same of every neuron, whether it has a
            firing probability or not.
        ties_by_probability: By spike counts, ties broken by summed firing probability; None where
            spikes were measured.
        probability: By summed firing probabilities; None where spikes were measured.
    """

    spikes: float
    ties_by_probability: float | None
    probability: float | None

    def named(self, part: str) -> dict[str, float | None]:
        """The figures under their names in files and tables."""
        return {
            f"{part}_accuracy": self.spikes,
            f"{part}_accuracy_ties_by_probability": self.ties_by_probability,
            f"{part}_accuracy_probability": self.probability,
        }


def score(
    network: SpikingNetwork,
    recipe: Recipe,
    values: Values,
    *,
    lengths: Int64[Tensor, " n"] | None = None,
    generator: torch.Generator,
    batch_size: int | None = None,
    shots: int = 1,
    shared: bool = False,
    source: BitSource | None = None,
) -> Scores:
    """Run a network over samples without gradients, and sum its answers.

    The last batch is filled up to the batch size and the filling is dropped again, so that the
    arithmetic of a sample does not depend on its neighbours.

    Args:
        network: The network, on the device of `values`.
        recipe: The settings: encoding, reporting steps and batch size.
        values: What the encoding takes, `(n, P)`, `(n, T, P)` or `(n, T, P, N)`, in memory or on
            disk; n at least 1.
        lengths: True lengths of padded series, in steps of `values`; None if all are whole.
        generator: Encoding and neurons draw from it.
        batch_size: Samples per batch; None for that of the recipe.
        shots: Independent repetitions per sample, each with an encoding of its own.
        shared: Give every sample the same random numbers, so that the result for one does not
            depend on the others; the generator then moves on by one sample.
        source: Measures the spikes; None to simulate them.

    Raises:
        ValueError: If `shots` or `batch_size` is below 1.
    """
    spikes = np.zeros(len(network.populations))
    runs = run_batches(
        network, recipe, values, lengths, generator, batch_size, shots, shared, source, spikes
    )
    ties = None if source is None else generator
    found = []
    for records, mask, kept in runs:
        output = _one_after_another([readout.masked(record, mask) for record in records])
        scores = readout.count(output), readout.probability(output)
        found.append([*scores, readout.predict(output, generator=ties)])
        found[-1] = [part[:kept] for part in found[-1]]
    counts, probabilities, predicted = collected(found, processes_of(generator))
    return Scores(
        counts=counts,
        probabilities=probabilities,
        predicted=predicted,
        spikes=tuple((spikes / (len(values) * shots)).tolist()),
        measured=source is not None,
        shots=shots,
    )


def run_batches(
    network: SpikingNetwork,
    recipe: Recipe,
    values: Values,
    lengths: Tensor | None,
    generator: torch.Generator,
    batch_size: int | None,
    shots: int,
    shared: bool,
    source: BitSource | None,
    spikes: NDArray[np.float64],
) -> Iterator[tuple[list[Record], Tensor | None, int]]:
    """Run each batch `shots` times; see `score`.

    Several processes take whole batches in turn, each with the random numbers that it would have
    alone.

    Yields:
        What the last layer did in each run, the steps that report, `(T, B)` or None for all, and
        how many samples are no filling. `spikes` collects the spikes of each layer, and holds those
        of all processes in the end.
    """
    check_positive_int("shots", shots)
    batch_size = recipe.training.batch_size if batch_size is None else batch_size
    check_positive_int("batch_size", batch_size)
    start, processes = generator.get_state(), processes_of(generator)
    for number, (batch, ends, kept) in enumerate(batches(values, batch_size, lengths)):
        if shared:
            generator.set_state(start)
        if number % processes.count != processes.rank:
            for _ in range(shots):
                _draw_in_vain(network, recipe, batch, ends, generator, shared=shared)
            continue
        # Filling costs nothing in a simulation, but time on a device.
        used = None if source is None else kept
        mask = report_mask(recipe, batch, ends)
        mask = mask if mask is None else mask[:, :used]
        outputs = []
        for _ in range(shots):
            _, record = draw(
                network,
                recipe,
                batch,
                lengths=ends,
                generator=generator,
                shared=shared,
                source=source,
                kept=used,
            )
            outputs.append(record.layers[-1])
            spikes += [
                float(layer.spikes[:, :kept].sum(dtype=torch.float64)) for layer in record.layers
            ]
        yield outputs, mask, kept
    processes.sum_(torch.from_numpy(spikes))


def collected(found: Sequence[Sequence[Tensor]], processes: Processes) -> list[Tensor]:
    """Join what each batch gave, one tensor after the other, with that of other processes."""
    if processes.count > 1:
        device = found[0][0].device if found else torch.device("cpu")
        on_cpu = [[part.cpu() for part in batch] for batch in found]
        found = [[part.to(device) for part in batch] for batch in processes.gather(on_cpu)]
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def _draw_in_vain(
    network: SpikingNetwork,
    recipe: Recipe,
    values: Tensor,
    lengths: Tensor | None,
    generator: torch.Generator,
    *,
    shared: bool,
) -> None:
    """Move a generator on as if a batch had run that another process runs."""
    encoded = recipe.encoding.encode(values, lengths=lengths, generator=generator, shared=shared)
    network.draw_uniforms(len(encoded), 1 if shared else len(values), generator)


def draw(
    network: SpikingNetwork,
    recipe: Recipe,
    values: Float[Tensor, "B P"] | Float[Tensor, "B T P"] | Float[Tensor, "B T P N"],
    *,
    lengths: Int64[Tensor, "B"] | None = None,
    generator: torch.Generator,
    shared: bool = False,
    source: BitSource | None = None,
    kept: int | None = None,
) -> tuple[Float[Tensor, "steps kept inputs channels"], NetworkRecord]:
    """Encode samples and run the network once, without gradients."""
    with torch.no_grad():
        encoded = recipe.encoding.encode(
            values, lengths=lengths, generator=generator, shared=shared
        )
        spikes = encoded[:, :kept]
        if source is not None:
            return spikes, run_network(network, spikes, source, generator)
        if not shared:
            return spikes, network(spikes, generator=generator)
        one = network.draw_uniforms(len(spikes), 1, generator)
        uniforms = tuple(numbers.expand(-1, len(values), *numbers.shape[2:]) for numbers in one)
        return spikes, network(spikes, uniforms=uniforms)


def report_mask(
    recipe: Recipe, values: Tensor, lengths: Int64[Tensor, "B"] | None
) -> Float[Tensor, "steps B"] | None:
    """Mark the steps in which the network reports; None if all count."""
    steps = recipe.encoding.steps
    if lengths is not None:
        lengths = lengths * recipe.encoding.steps_per_value(values.shape[1])
    mask = readout.last_steps(steps, len(values), recipe.report_steps, lengths)
    return mask if mask is None else mask.to(values.device)


def accuracy(scores: Scores, labels: Int64[Tensor, " n"]) -> Accuracy:
    """Compare predictions with the labels."""
    labels, counts = labels.to(scores.predicted.device), scores.counts
    highest = counts == counts.amax(dim=1, keepdim=True)  # (n, classes)
    right = highest.gather(1, labels[:, None]).squeeze(1)
    by_probability = ties = None
    if not scores.measured:
        named = scores.probabilities.argmax(dim=1)
        by_probability = float((named == labels).double().mean())
        ties = float((scores.predicted == labels).double().mean())
    return Accuracy(
        spikes=float((right.double() / highest.sum(1)).mean()),
        ties_by_probability=ties,
        probability=by_probability,
    )


def loss(scores: Scores, labels: Int64[Tensor, " n"]) -> float:
    """The cross-entropy, in nats, of one shot's summed probabilities as logits, by any rule.

    Where spikes were measured it is that of the counts.
    """
    labels = labels.to(scores.probabilities.device)
    return float(functional.cross_entropy(scores.probabilities.double(), labels))


def class_figures(scores: Scores, labels: Int64[Tensor, " n"]) -> dict[str, float | None]:
    """Give the loss and the accuracies of a test by name."""
    reached = accuracy(scores, labels).named("")
    figures = {name.removeprefix("_"): figure for name, figure in reached.items()}
    return {"loss": loss(scores, labels), **figures}


def confusion(scores: Scores, labels: Int64[Tensor, " n"]) -> np.ndarray:
    """Count how often each class (row) was taken for each class (column), by spike count."""
    from sklearn.metrics import confusion_matrix

    classes = range(scores.counts.shape[1])
    return confusion_matrix(labels.cpu(), scores.predicted.cpu(), labels=classes)


def batches(
    values: Values, batch_size: int, lengths: Int64[Tensor, " n"] | None = None
) -> Iterator[tuple[Tensor, Tensor | None, int]]:
    """Cut samples into batches of one size, the last one filled with copies of its last sample.

    Yields:
        The values, their lengths, and how many samples are no filling.
    """
    done = 0
    for batch in values.split(batch_size):
        kept, missing = len(batch), batch_size - len(batch)
        ends = None if lengths is None else lengths[done : done + kept]
        if missing:
            batch = torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])])
            ends = None if ends is None else torch.cat([ends, ends[-1:].expand(missing)])
        yield batch, ends, kept
        done += kept


def _one_after_another(records: list[Record]) -> Record:
    """Lay the shots of a batch end to end in time, so that a readout sums over all of them."""
    if len(records) == 1:
        return records[0]
    spikes, probability, log_likelihood, _ = zip(*records, strict=True)
    return Record(torch.cat(spikes), torch.cat(probability), torch.cat(log_likelihood), None)
