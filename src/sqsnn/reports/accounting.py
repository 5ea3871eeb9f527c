"""What an inference costs, event by event: spikes, synaptic operations, gates, measurements.

A network that is driven by events works where a spike arrives. A spike adds one weight to the
current of every synapse that it reaches; a current above 0 places the rotations of the encoding. So
these numbers are counted from what really happened, as means over samples. The gates of V(theta),
measurements and resets happen at every step of every neuron whatever the input.

Beside them stand the multiply-accumulates of a dense network of the same sizes: one for every
weight, in one pass, or in one pass a step.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.network import Run, SpikingNetwork
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.synapses import Synapses


class Ran(NamedTuple):
    """A batch that a network ran.

    spikes: What it was given, `(T, B, P, N or 1)`.
    run: What it did.
    samples: How many samples count, the first ones; the others fill the batch.
    """

    spikes: Tensor
    run: Run
    samples: int


@dataclass(frozen=True)
class LayerCosts:
    """What a layer costs in one inference; numbers that depend on the sample are means.

    Only circuits have gates, measurements and resets: of all other neurons they are 0. That holds
    for `QLIF` too, which is simulated as an equation; on hardware it would have to repeat its
    circuit to estimate a population, and how often is not part of the model.

    presynaptic, neurons, channels: P, H, N.
    steps: T.
    analogue_input: Whether what came in were values other than 0 and 1, as with direct encoding.
    spikes_received: Presynaptic spikes; of analogue input, values other than 0.
    spikes_emitted: Spikes of all channels.
    synaptic_operations: Weights added to a current: H for every spike and channel that it feeds. Of
        analogue input they are multiply-accumulates, as the value scales the weight.
    encoding_rotations: RX gates that a current above 0 placed.
    skipped_rotations: Those that a current of 0 or below left out.
    circuit_gates: Gates of V(theta) by name.
    measurements: Measured qubits; as many are reset.
    """

    presynaptic: int
    neurons: int
    channels: int
    steps: int
    analogue_input: bool
    spikes_received: float
    spikes_emitted: float
    synaptic_operations: float
    encoding_rotations: float
    skipped_rotations: float
    circuit_gates: dict[str, int]
    measurements: int

    @property
    def resets(self) -> int:
        """Channels that are reset: each after its measurement."""
        return self.measurements

    @property
    def gates(self) -> float:
        """All gates: the encoding's and those of V(theta)."""
        return self.encoding_rotations + sum(self.circuit_gates.values())

    @property
    def multiply_accumulates(self) -> float:
        """Those of the synaptic operations that multiply."""
        return self.synaptic_operations if self.analogue_input else 0.0

    @property
    def neuron_updates(self) -> int:
        """Steps of neurons, T H."""
        return self.steps * self.neurons

    @property
    def dense_operations(self) -> int:
        """Multiply-accumulates of a dense layer with the same weights, P H N, in one pass."""
        return self.presynaptic * self.neurons * self.channels

    @property
    def dense_operations_every_step(self) -> int:
        """The same of a dense layer that runs at every step."""
        return self.steps * self.dense_operations


# What is summed over layers.
_SUMMED = (
    "spikes_emitted",
    "synaptic_operations",
    "multiply_accumulates",
    "gates",
    "encoding_rotations",
    "skipped_rotations",
    "measurements",
    "resets",
    "neuron_updates",
    "dense_operations",
    "dense_operations_every_step",
)


@dataclass(frozen=True)
class Costs:
    """What an inference costs, layer by layer.

    samples: How many the means are over.
    layers: The output layer last.
    """

    samples: int
    layers: tuple[LayerCosts, ...]

    def total(self) -> dict[str, float | dict[str, int]]:
        """The sums over layers, by name, and `circuit_gates`, the gates of V(theta) by name."""
        sums: dict[str, Any] = {
            name: sum(getattr(layer, name) for layer in self.layers) for name in _SUMMED
        }
        gates = Counter[str]()
        for layer in self.layers:
            gates.update(layer.circuit_gates)
        return sums | {"circuit_gates": dict(gates)}

    def as_dict(self) -> dict[str, Any]:
        """All figures in plain types, to be written as JSON."""
        return {
            "samples": self.samples,
            "total": self.total(),
            "layers": [
                asdict(layer) | {name: getattr(layer, name) for name in _SUMMED}
                for layer in self.layers
            ],
        }


def count_costs(network: SpikingNetwork, ran: Iterable[Ran]) -> Costs:
    """Count what an inference costs, as means over all samples that ran.

    Args:
        network: The network.
        ran: The batches that it ran, one or more, with the same number of steps.

    Raises:
        ValueError: No sample ran, or the batches have different numbers of steps.
    """
    tallies = [_Tally()] * len(network.populations)
    samples, lengths = 0, set[int]()
    for batch in ran:
        samples += batch.samples
        lengths.add(len(batch.spikes))
        found = _count_batch(network, batch)
        tallies = [before.plus(now) for before, now in zip(tallies, found, strict=True)]
    if not samples:
        raise ValueError("ran holds no sample; costs are means over at least 1")
    if len(lengths) > 1:
        raise ValueError(f"ran has batches of {sorted(lengths)} steps; all must have the same")
    (steps,) = lengths
    populations = cast(Sequence[Population], network.populations)
    layers = zip(network.sizes[:-1], populations, tallies, strict=True)
    return Costs(samples, tuple(_layer_costs(*layer, samples, steps) for layer in layers))


class CostRow(NamedTuple):
    """A line of the table of costs: what is counted, in each layer, and in all."""

    label: str
    layers: tuple[float, ...]
    total: float | None  # None where a sum over layers says nothing


def cost_rows(costs: Mapping[str, Any]) -> list[CostRow]:
    """Lay out costs as a table, a line a figure.

    Args:
        costs: What `Costs.as_dict` gave.
    """
    layers, total = costs["layers"], costs["total"]

    def row(label: str, name: str) -> CostRow:
        return CostRow(label, tuple(layer[name] for layer in layers), total.get(name))

    rows = [
        row("spikes received", "spikes_received"),
        row("spikes emitted", "spikes_emitted"),
        row("synaptic operations", "synaptic_operations"),
    ]
    if total["multiply_accumulates"]:
        rows.append(row("those that multiply", "multiply_accumulates"))
    rows += [
        row("dense network, one pass", "dense_operations"),
        row("dense network, every step", "dense_operations_every_step"),
        row("neuron updates", "neuron_updates"),
    ]
    if not total["measurements"]:
        return rows
    rows += [
        row("encoding: RX placed", "encoding_rotations"),
        row("encoding: RX left out", "skipped_rotations"),
    ]
    for gate, number in total["circuit_gates"].items():
        counts = tuple(layer["circuit_gates"].get(gate, 0) for layer in layers)
        rows.append(CostRow(f"circuit: {gate}", counts, number))
    return [*rows, row("gates in all", "gates"), row("measurements", "measurements")]


class _Tally(NamedTuple):
    """Sums over samples of a layer."""

    analogue: bool = False
    received: int = 0
    operations: int = 0
    emitted: int = 0
    placed: int = 0
    skipped: int = 0

    def plus(self, other: "_Tally") -> "_Tally":
        counts = (mine + its for mine, its in zip(self[1:], other[1:], strict=True))
        return _Tally(self.analogue or other.analogue, *counts)


def _count_batch(network: SpikingNetwork, batch: Ran) -> list[_Tally]:
    """Count a batch in all layers."""
    received = [batch.spikes, *(record.spikes for record in batch.run.layers[:-1])]
    return [
        _count_layer(spikes, synapses, population, record.spikes, batch.samples)
        for spikes, synapses, population, record in zip(
            received,
            cast(Sequence[Synapses], network.synapses),
            cast(Sequence[Population], network.populations),
            batch.run.layers,
            strict=True,
        )
    ]


def _count_layer(
    received: Float[Tensor, "T B P C"],
    synapses: Synapses,
    population: Population,
    emitted: Float[Tensor, "T B H N"],
    samples: int,
) -> _Tally:
    kept = received[:, :samples]
    arrived = int((kept != 0).sum())
    # A presynaptic neuron of one channel feeds all channels of the layer.
    fed = population.channels if received.shape[-1] == 1 else 1
    placed = skipped = 0
    if isinstance(population, SQSNeurons):
        with torch.no_grad():
            # Of the whole batch, as in the run, so that they are its currents to the last bit.
            currents = synapses(received)[:, :samples]
        gates = [number for number, r in enumerate(population.circuit.encoding) if r.is_gate]
        driven = population.driven(currents)[..., gates]
        placed = int(driven.sum())
        skipped = driven.numel() - placed
    return _Tally(
        analogue=bool(((kept != 0) & (kept != 1)).any()),
        received=arrived,
        operations=arrived * fed * population.size,
        emitted=int((emitted[:, :samples] != 0).sum()),
        placed=placed,
        skipped=skipped,
    )


def _layer_costs(
    presynaptic: int, population: Population, tally: _Tally, samples: int, steps: int
) -> LayerCosts:
    is_circuit = isinstance(population, SQSNeurons)
    updates = steps * population.size
    gates = Counter(gate.name for gate in population.circuit.gates) if is_circuit else {}
    return LayerCosts(
        presynaptic=presynaptic,
        neurons=population.size,
        channels=population.channels,
        steps=steps,
        analogue_input=tally.analogue,
        spikes_received=tally.received / samples,
        spikes_emitted=tally.emitted / samples,
        synaptic_operations=tally.operations / samples,
        encoding_rotations=tally.placed / samples,
        skipped_rotations=tally.skipped / samples,
        circuit_gates={name: updates * count for name, count in gates.items()},
        measurements=updates * population.channels if is_circuit else 0,
    )
