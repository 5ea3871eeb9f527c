"""What a graph costs: every figure of all kinds of connections against loops over pairs."""

from collections.abc import Iterator
from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from tools import seeded, synapses_of
from torch import Tensor

from sqsnn.network import Connection, LearnedDelay, SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.runs.costs import count_costs
from sqsnn.synapses import Convolution, Dense, Identity, Pool

STEPS, BATCH, ROWS, COLUMNS, HIDDEN = 6, 3, 4, 5, 3
INPUTS, MAPS = ROWS * COLUMNS, 2 * 2 * 3
BETA, FLOOR = 0.5, -1.0


class Way(NamedTuple):
    """A connection as pairs of neurons, each with the weight of each weight that a spike adds."""

    source: str
    target: str
    pairs: dict[tuple[int, int], list[float]]
    delay: float = 0
    trace: float | None = None


def convolved(weight: Tensor) -> dict[tuple[int, int], list[float]]:
    """Windows of 3 x 3 over one map of 4 x 5 give two maps of 2 x 3."""
    pairs = {}
    for h, (m, i, j) in enumerate(product(range(2), range(2), range(3))):
        for a, b in product(range(3), range(3)):
            pairs[(i + a) * COLUMNS + j + b, h] = [float(weight[0, m, 0, a, b])]
    return pairs


def pooled_dense(weight: Tensor) -> dict[tuple[int, int], list[float]]:
    """Means over 2 x 2 of two maps of 2 x 3, whose last column is dropped, feed every neuron."""
    return {
        ((m * 2 + i) * 3 + j, h): [float(weight[0, h, m]) / 4]
        for m, i, j, h in product(range(2), range(2), range(2), range(HIDDEN))
    }


def dense(weight: Tensor, mask: Tensor | None = None) -> dict[tuple[int, int], list[float]]:
    _, neurons, presynaptic = weight.shape
    return {
        (p, h): [float(weight[0, h, p])]
        for p, h in product(range(presynaptic), range(neurons))
        if mask is None or mask[h, p]
    }


def network_of_all_kinds() -> tuple[SpikingNetwork, list[Way]]:
    """Convolution and pool, a loop, delays whole and learned, a trace, a mask and biases."""
    network = SpikingNetwork(
        inputs=(1, ROWS, COLUMNS),
        populations={"maps": (2, 2, 3), "hidden": HIDDEN, "output": HIDDEN},
        connections=[
            Connection("input", "maps", Convolution(2, 3, bias=True)),
            Connection("maps", "hidden", (Pool(2), Dense())),
            Connection("hidden", "hidden", Dense(), delay=1),
            Connection("input", "hidden", Dense(sparsity=0.5, bias=True), delay=2),
            Connection("hidden", "output", Dense(), trace=0.5),
            Connection("hidden", "output", Identity()),
            Connection("input", "output", Dense(), delay=LearnedDelay(start=1.5, longest=3)),
        ],
        generator=seeded(),
    )
    weights = [
        next((w.detach() for w in s.parameters()), torch.empty(0)) for s in synapses_of(network)
    ]
    mask = network.pathways[3].synapses.mask
    return network, [
        Way("input", "maps", convolved(weights[0])),
        Way("maps", "hidden", pooled_dense(weights[1])),
        Way("hidden", "hidden", dense(weights[2]), delay=1),
        Way("input", "hidden", dense(weights[3], mask), delay=2),
        Way("hidden", "output", dense(weights[4]), trace=0.5),
        Way("hidden", "output", {(h, h): [1.0] for h in range(HIDDEN)}),
        Way("input", "output", dense(weights[6]), delay=1.5),
    ]


def arriving(way: Way, spikes: list[float]) -> Iterator[float]:
    """What arrives of a neuron's spikes at each step."""
    whole, share = int(way.delay), way.delay % 1
    padded, trace = [0.0] * 3 + spikes, 0.0
    for t in range(3, len(padded)):
        late = (1 - share) * padded[t - whole] + share * padded[t - whole - 1]
        trace = late if way.trace is None else late + way.trace * trace
        yield trace


def test_every_figure_of_all_kinds_of_connections_is_that_of_loops():
    network, ways = network_of_all_kinds()
    spikes = (torch.rand(STEPS, BATCH, INPUTS, 1, generator=seeded(1)) < 0.3).float()
    with torch.no_grad():
        record = network(spikes, generator=seeded(2))
    found = count_costs(network, [(spikes, record, BATCH)])
    fired = {"input": spikes} | {name: record[name].spikes for name in network.names}
    tally = {name: SimpleNamespace(received=0, added=0, multiplied=0) for name in network.names}
    currents = {name: torch.zeros(STEPS, BATCH, fired[name].shape[2]) for name in network.names}
    for way in ways:
        counts = tally[way.target]
        for b, p in product(range(BATCH), range(fired[way.source].shape[2])):
            for t, value in enumerate(arriving(way, fired[way.source][:, b, p, 0].tolist())):
                counts.received += value != 0
                for h in range(fired[way.target].shape[2]):
                    added = way.pairs.get((p, h), [])
                    counts.added += len(added) * (value != 0)
                    counts.multiplied += len(added) * (value not in (0, 1))
                    currents[way.target][t, b, h] += sum(added) * value
    for layer, (name, counts) in zip(found["layers"], tally.items(), strict=True):
        into = [way for way in ways if way.target == name]
        size, membrane, placed = fired[name].shape[2], torch.zeros(()), 0
        for t in range(STEPS):
            before = fired[name][t - 1, ..., 0] if t else torch.zeros(())
            membrane = (BETA * membrane + currents[name][t] - before).clamp_min(FLOOR)
            placed += int((membrane > 0).sum())
        weights = sum(len(added) for way in into for added in way.pairs.values())
        # 4 couplings and rotations of the circuit of one channel and one memory qubit.
        gates = {"CRX": 2 * STEPS * size, "RX": 2 * STEPS * size}
        assert layer == {
            "population": name,
            "presynaptic": sum(fired[way.source].shape[2] for way in into),
            "neurons": size,
            "channels": 1,
            "steps": STEPS,
            "analogue_input": counts.multiplied > 0,
            "spikes_received": counts.received / BATCH,
            "spikes_emitted": float(fired[name].sum()) / BATCH,
            "synaptic_operations": counts.added / BATCH,
            "multiply_accumulates": counts.multiplied / BATCH,
            "dense_operations": weights,
            "dense_operations_every_step": STEPS * weights,
            "neuron_updates": STEPS * size,
            "membrane_operations": STEPS * size * 2,
            "encoding_rotations": placed / BATCH,
            "skipped_rotations": (STEPS * size * BATCH - placed) / BATCH,
            "circuit_gates": gates,
            "gates": placed / BATCH + sum(gates.values()),
            "measurements": STEPS * size,
            "resets": STEPS * size,
        }
    assert [tally[name].multiplied > 0 for name in network.names] == [False, False, True]


@pytest.mark.parametrize(("source_channels", "channels"), [(1, 2), (2, 2), (3, 2), (2, 1)])
@pytest.mark.parametrize("wiring", ["matching", "all"])
def test_full_spikes_of_all_channels_cost_a_dense_pass_a_step(wiring, source_channels, channels):
    """A weight per pair of channels that the wiring joins."""
    if wiring == "matching" and source_channels not in (1, channels):
        pytest.skip("such channels do not match")
    network = SpikingNetwork(
        inputs=2,
        populations={"hidden": 4, "output": 3},
        connections=[
            Connection("input", "hidden"),
            Connection("hidden", "output", Dense(wiring=wiring)),
        ],
        neurons=[partial(SQSNeurons, channels=c) for c in (source_channels, channels)],
        generator=seeded(),
    )
    ones = torch.ones(STEPS, BATCH, 2, 1)
    with torch.no_grad():
        record = network(ones, generator=seeded())
    full = record.layers[0]._replace(spikes=torch.ones_like(record.layers[0].spikes))
    ran = record._replace(layers=(full, record.layers[1]))
    layer = count_costs(network, [(ones, ran, BATCH)])["layers"][1]
    joined = source_channels * channels if wiring == "all" else channels
    assert layer["dense_operations"] == 4 * 3 * joined
    assert layer["synaptic_operations"] == STEPS * layer["dense_operations"]
