"""What an inference costs, event by event: spikes, synaptic operations, gates, measurements.

A network that is driven by events works where a spike arrives. A spike adds one weight to the
current of every synapse that it reaches; a drive above 0 places the rotations of the encoding. So
these numbers are counted from what really happened, as means over samples. The gates of V(theta),
measurements and resets happen at every step of every neuron whatever the input, and so does the
arithmetic of a leaky membrane.

Beside them stand the multiply-accumulates of a network that multiplies with every weight of the
same connections, in one pass or in one pass per step. The figures of a layer:

presynaptic, neurons, channels, steps  P of all connections, H, N, T
analogue_input        whether values other than 0 and 1 arrived: of the encoding current, of traces,
                      or of delays between two steps
spikes_received       spikes as they arrived, delayed; of values, those other than 0
spikes_emitted        spikes of all channels
synaptic_operations   weights added to a current, with dense synapses H per spike and channel that
                      it feeds; synapses in a chain count as one map
multiply_accumulates  the synaptic operations that multiply: those of analogue input
dense_operations, dense_operations_every_step  with dense synapses P H N, and T P H N
neuron_updates        steps of neurons, T H
membrane_operations   multiply-accumulates of leaky membranes, of a drive or of LIF: per channel and
                      step 1 for the decay and 1 for each spike that resets it
encoding_rotations, skipped_rotations  RX gates that a drive above 0 placed, or another left out
circuit_gates, gates  the gates of V(theta) by name; all gates, those of the encoding included
measurements, resets  channels that are measured, and reset each time

Only circuits have gates, measurements and resets: of all other neurons they are 0. That holds for
`QLIF` too, which is simulated as an equation; on hardware it would have to repeat its circuit to
estimate a population, and how often is not part of the model. What keeps delays and traces is not
counted.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.data.dataset import Samples
from sqsnn.network import INPUT, NetworkRecord, Pass, Pathway, SpikingNetwork
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.runs.loading import Loaded
from sqsnn.synapses import Synapses
from sqsnn.training import evaluate

COST_SAMPLES = 1000  # the spread over samples leaves of a mean less than a thirtieth of it
_NOT_SUMMED = (
    "population",
    "presynaptic",
    "neurons",
    "channels",
    "steps",
    "analogue_input",
    "spikes_received",
)


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
    tallies = {name: Counter[str]() for name in network.names}
    samples, lengths = 0, set[int]()
    for spikes, record, kept in ran:
        samples += kept
        lengths.add(len(spikes))
        for name, counts in _count(network, spikes, record, samples=kept).items():
            tallies[name].update(counts)
    if not samples:
        raise ValueError("ran holds no sample; costs are means over at least 1")
    if len(lengths) > 1:
        raise ValueError(f"ran has batches of {sorted(lengths)} steps; all must have the same")
    figures = [_figures(network, name, tally, samples, *lengths) for name, tally in tallies.items()]
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


@torch.no_grad()
def _count(
    network: SpikingNetwork,
    spikes: Float[Tensor, "T B P C"],
    record: NetworkRecord,
    *,
    samples: int,
) -> dict[str, dict[str, int]]:
    """Sum the counts of the first samples of a batch, by population."""
    running = Pass(network, spikes)
    running.emitted |= dict(zip(network.names, (r.spikes for r in record.layers), strict=True))
    counts: dict[str, dict[str, int]] = {}
    for name in network.names:
        # Of the whole batch, as when it ran, so that they are its currents to the last bit.
        currents = running.currents(name)[:, :samples]
        emitted = record[name].spikes[:, :samples]
        counts[name] = _count_population(network.population(name), currents, emitted)
        for number, pathway in network.incoming(name).items():
            kept = running.arrived[number][:, :samples]
            found = Counter(_count_arrived(pathway.synapses, kept))
            counts[name] = dict(Counter(counts[name]) + found)
    return counts


def _count_arrived(synapses: Synapses, arrived: Float[Tensor, "T B P C"]) -> dict[str, int]:
    """Count what reaches synapses, and the weights that it adds to currents."""
    by_neuron = (arrived != 0).sum((0, 1, 3))
    analogue = ((arrived != 0) & (arrived != 1)).sum((0, 1, 3))
    fan_out = synapses.fan_out_counts() * _fed_channels(synapses, arrived.shape[-1])
    return {
        "received": int(by_neuron.sum()),
        "operations": int((by_neuron * fan_out).sum()),
        "analogue": int((analogue * fan_out).sum()),
    }


def _fed_channels(synapses: Synapses, channels: int) -> int:
    """Count the channels that a spike feeds: its own, or all."""
    feeds_all = channels == 1 or synapses.joins_all_channels
    return synapses.channels if feeds_all else 1


def _count_weights(network: SpikingNetwork, pathway: Pathway) -> int:
    """Count what a step adds in which every channel of the source fires."""
    source, synapses = pathway.source, pathway.synapses
    # The wiring "all" takes one channel from the input.
    channels = 1 if source == INPUT else network.population(source).channels
    return int(synapses.fan_out_counts().sum()) * channels * _fed_channels(synapses, channels)


def _count_population(
    population: Population,
    currents: Float[Tensor, "T B H N"],
    emitted: Float[Tensor, "T B H N"],
) -> dict[str, int]:
    """Count what a population fires, and the rotations that its currents place."""
    counts = {"emitted": int((emitted != 0).sum())}
    if isinstance(population, SQSNeurons):
        potentials = population.potentials(currents, emitted)
        gates = [number for number, r in enumerate(population.circuit.encoding) if r.is_gate]
        driven = population.driven(potentials)[..., gates]
        counts["placed"] = int(driven.sum())
        counts["skipped"] = driven.numel() - counts["placed"]
    return counts


def _figures(
    network: SpikingNetwork, name: str, tally: Counter[str], samples: int, steps: int
) -> dict[str, Any]:
    population, pathways = network.population(name), network.incoming(name).values()
    is_circuit = isinstance(population, SQSNeurons)
    updates = steps * population.size
    gates = Counter(gate.name for gate in population.circuit.gates) if is_circuit else Counter()
    circuit_gates = Counter({name: updates * number for name, number in gates.items()})
    dense = sum(_count_weights(network, pathway) for pathway in pathways)
    placed = tally["placed"] / samples
    measurements = updates * population.channels if is_circuit else 0
    return {
        "population": name,
        "presynaptic": sum(math.prod(pathway.synapses.source) for pathway in pathways),
        "neurons": population.size,
        "channels": population.channels,
        "steps": steps,
        "analogue_input": tally["analogue"] > 0,
        "spikes_received": tally["received"] / samples,
        "spikes_emitted": tally["emitted"] / samples,
        "synaptic_operations": tally["operations"] / samples,
        "multiply_accumulates": tally["analogue"] / samples,
        "dense_operations": dense,
        "dense_operations_every_step": steps * dense,
        "neuron_updates": updates,
        "membrane_operations": updates * population.channels * population.membrane_operations,
        "encoding_rotations": placed,
        "skipped_rotations": tally["skipped"] / samples,
        "circuit_gates": circuit_gates,
        "gates": placed + sum(circuit_gates.values()),
        "measurements": measurements,
        "resets": measurements,
    }
