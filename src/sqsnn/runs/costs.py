"""What an inference costs, event by event: spikes, synaptic operations, gates, measurements.

A network that is driven by events works where a spike arrives. A spike adds one weight to the
current of every synapse that it reaches; a drive above 0 places the rotations of the encoding. So
these numbers are counted from what really happened, as means over samples. The gates of V(theta),
measurements and resets happen at every step of every neuron whatever the input, and so does the
arithmetic of a leaky membrane.

Beside them stand the multiply-accumulates of a dense network of the same sizes: one per weight, in
one pass or in one pass per step. The figures of a layer:

presynaptic, neurons, channels, steps  P, H, N, T
analogue_input        whether the input were values other than 0 and 1, as with encoding current
spikes_received       presynaptic spikes; of analogue input, values other than 0
spikes_emitted        spikes of all channels
synaptic_operations   weights added to a current: H per spike and channel that it feeds
multiply_accumulates  the synaptic operations that multiply: those of analogue input
dense_operations, dense_operations_every_step  P H N and T P H N
neuron_updates        steps of neurons, T H
membrane_operations   multiply-accumulates of leaky membranes, of a drive or of LIF: per channel and
                      step 1 for the decay and 1 for each spike that resets it
encoding_rotations, skipped_rotations  RX gates that a drive above 0 placed, or another left out
circuit_gates, gates  the gates of V(theta) by name; all gates, those of the encoding included
measurements, resets  channels that are measured, and reset each time

Only circuits have gates, measurements and resets: of all other neurons they are 0. That holds for
`QLIF` too, which is simulated as an equation; on hardware it would have to repeat its circuit to
estimate a population, and how often is not part of the model.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.data.dataset import Samples
from sqsnn.network import NetworkRecord, SpikingNetwork
from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.leaky import LeakyPopulation
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.runs.loading import Loaded
from sqsnn.synapses import Synapses
from sqsnn.training import evaluate

COST_SAMPLES = 1000  # the spread over samples leaves of a mean less than a thirtieth of it
_NOT_SUMMED = ("presynaptic", "neurons", "channels", "steps", "analogue_input", "spikes_received")


def of_test(loaded: Loaded, samples: Samples) -> dict[str, Any]:
    """Count the costs of an inference, as means over at most 1000 test samples.

    Of more samples every k-th is counted, from all classes even where samples lie ordered by class.
    Where all are counted, their spikes are those of the test that ends a run.
    """
    stride = math.ceil(len(samples.targets) / COST_SAMPLES)
    generator = loaded.generator()
    settings, lengths = loaded.settings, samples.lengths
    batches = evaluate.batches(
        samples.values[::stride],
        settings.training.batch_size,
        None if lengths is None else lengths[::stride],
    )
    ran = (
        (*evaluate.draw(loaded.network, settings, batch, lengths=ends, generator=generator), kept)
        for batch, ends, kept in batches
    )
    return count_costs(loaded.network, ran)


def count_costs(
    network: SpikingNetwork, ran: Iterable[tuple[Tensor, NetworkRecord, int]]
) -> dict[str, Any]:
    """Count the costs of an inference, as means over all samples that ran.

    Each batch is the input spikes, the network's record, and how many samples count, the first
    ones; the others fill the batch. `layers` holds the figures of each layer, `total` their sums.
    """
    synapses = [cast(Synapses, module) for module in network.synapses]
    populations = [cast(Population, module) for module in network.populations]
    tallies = [Counter[str]() for _ in populations]
    samples, lengths = 0, set[int]()
    for spikes, record, kept in ran:
        samples += kept
        lengths.add(len(spikes))
        emitted = [layer.spikes for layer in record.layers]
        received = [spikes, *emitted[:-1]]
        layers = zip(synapses, populations, received, emitted, strict=True)
        for tally, layer in zip(tallies, layers, strict=True):
            tally.update(_count_layer(*layer, samples=kept))
    if not samples:
        raise ValueError("ran holds no sample; costs are means over at least 1")
    if len(lengths) > 1:
        raise ValueError(f"ran has batches of {sorted(lengths)} steps; all must have the same")
    figures = [
        _figures(presynaptic, population, tally, samples, *lengths)
        for presynaptic, population, tally in zip(
            network.sizes[:-1], populations, tallies, strict=True
        )
    ]
    total = {
        name: sum((layer[name] for layer in figures), Counter() if name == "circuit_gates" else 0)
        for name in figures[0]
        if name not in _NOT_SUMMED
    }
    return {"samples": samples, "total": total, "layers": figures}


class CostRow(NamedTuple):
    """A row of the table of costs."""

    label: str  # what is counted
    layers: tuple[float, ...]  # the count of each layer
    total: float | None  # the sum over layers; None where it means nothing


def layer_names(layers: int, reads_values: bool) -> tuple[str, ...]:
    """Name the layers of a network: a readout of real values reads the last hidden one."""
    hidden = tuple(f"hidden layer {number}" for number in range(1, layers + 1))
    return hidden if reads_values else (*hidden[:-1], "output layer")


def cost_rows(costs: Mapping[str, Any]) -> list[CostRow]:
    """Lay out the result of `count_costs` as a table, one row per figure."""
    layers, total = costs["layers"], costs["total"]

    def row(label: str, name: str) -> CostRow:
        return CostRow(label, tuple(layer[name] for layer in layers), total.get(name))

    events = ("spikes_received", "spikes_emitted", "synaptic_operations")
    rows = [row(name.replace("_", " "), name) for name in events]
    if total["multiply_accumulates"]:
        rows.append(row("multiply-accumulates", "multiply_accumulates"))
    rows += [
        row("dense network, one pass", "dense_operations"),
        row("dense network, every step", "dense_operations_every_step"),
        row("neuron updates", "neuron_updates"),
    ]
    if total["membrane_operations"]:
        rows.append(row("membranes: multiply-accumulates", "membrane_operations"))
    if not total["measurements"]:
        return rows
    rows.append(row("encoding: RX placed", "encoding_rotations"))
    rows.append(row("encoding: RX left out", "skipped_rotations"))
    for gate, number in total["circuit_gates"].items():
        counts = tuple(layer["circuit_gates"].get(gate, 0) for layer in layers)
        rows.append(CostRow(f"circuit: {gate}", counts, number))
    return [*rows, row("all gates", "gates"), row("measurements", "measurements")]


def _count_layer(
    synapses: Synapses,
    population: Population,
    received: Float[Tensor, "T B P C"],
    emitted: Float[Tensor, "T B H N"],
    *,
    samples: int,
) -> dict[str, int]:
    """Sum the counts of the first samples of a batch."""
    kept = received[:, :samples]
    arrived = int((kept != 0).sum())
    # A presynaptic neuron of one channel feeds all channels of the layer.
    fed = population.channels if received.shape[-1] == 1 else 1
    counts = {
        "analogue": int(((kept != 0) & (kept != 1)).sum()),
        "received": arrived,
        "operations": arrived * fed * population.size,
        "emitted": int((emitted[:, :samples] != 0).sum()),
    }
    if isinstance(population, SQSNeurons):
        with torch.no_grad():
            # Of the whole batch, as when it ran, so that they are its currents to the last bit.
            currents = synapses(received)[:, :samples]
            potentials = population.potentials(currents, emitted[:, :samples])
        gates = [number for number, r in enumerate(population.circuit.encoding) if r.is_gate]
        driven = population.driven(potentials)[..., gates]
        counts["placed"] = int(driven.sum())
        counts["skipped"] = driven.numel() - counts["placed"]
    return counts


def _figures(
    presynaptic: int, population: Population, tally: Counter[str], samples: int, steps: int
) -> dict[str, Any]:
    is_circuit = isinstance(population, SQSNeurons)
    updates = steps * population.size
    gates = Counter(gate.name for gate in population.circuit.gates) if is_circuit else Counter()
    circuit_gates = Counter({name: updates * number for name, number in gates.items()})
    is_analogue = tally["analogue"] > 0
    operations = tally["operations"] / samples
    dense = presynaptic * population.size * population.channels
    placed = tally["placed"] / samples
    measurements = updates * population.channels if is_circuit else 0
    return {
        "presynaptic": presynaptic,
        "neurons": population.size,
        "channels": population.channels,
        "steps": steps,
        "analogue_input": is_analogue,
        "spikes_received": tally["received"] / samples,
        "spikes_emitted": tally["emitted"] / samples,
        "synaptic_operations": operations,
        "multiply_accumulates": operations if is_analogue else 0.0,
        "dense_operations": dense,
        "dense_operations_every_step": steps * dense,
        "neuron_updates": updates,
        "membrane_operations": updates * population.channels * _membrane_operations(population),
        "encoding_rotations": placed,
        "skipped_rotations": tally["skipped"] / samples,
        "circuit_gates": circuit_gates,
        "gates": placed + sum(circuit_gates.values()),
        "measurements": measurements,
        "resets": measurements,
    }


def _membrane_operations(population: Population) -> int:
    """Count the multiply-accumulates of a channel's membrane in a step."""
    if isinstance(population, LeakyPopulation):
        return 2
    if isinstance(population, SQSNeurons) and isinstance(population.drive, Leaky):
        return 1 + population.drive.remembered_spikes
    return 0
