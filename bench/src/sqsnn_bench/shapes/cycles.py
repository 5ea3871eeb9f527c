"""What a cycle costs: a hidden layer that feeds itself, step by step, beside one that does not.

Both take turns in one process on one thread; times are process CPU time of a training step.
"""

from functools import partial
from typing import Any

import torch

from sqsnn import LIF, SpikingNetwork, SQSNeurons
from sqsnn.learning import Backprop, Feedback, Local
from sqsnn.learning.rule import Rule
from sqsnn.network import PopulationFactory
from sqsnn.network.wiring import layers
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.shapes.trials import Watch
from sqsnn_bench.timing import Contender, interleaved

STEPS, BATCH = 20, 64
SIZES = ((1, 32, 2), (64, 128, 10), (784, 256, 10))
NEURONS: dict[str, PopulationFactory] = {
    "SQS, M=0": partial(SQSNeurons, memory_qubits=0),
    "SQS, M=1": partial(SQSNeurons, memory_qubits=1),
    "LIF": LIF,
}
RULES: dict[str, Rule] = {"backprop": Backprop(), "local": Local(signal=Feedback("symmetric"))}


def measure_all(kept: Kept, repeats: int, watch: Watch) -> None:
    """Time a training step of every size, kind of neurons and rule, without and with a cycle."""
    torch.set_num_threads(1)
    for sizes in SIZES:
        for neurons in NEURONS:
            for rule in RULES:
                name = f"{'-'.join(map(str, sizes))}, {neurons}, {rule}"
                row = kept.once("cycles", name, partial(_row, sizes, neurons, rule, repeats))
                watch(
                    f"{name}: {row['layer_ms']:.1f} ms, with a cycle {row['cycle_ms']:.1f} ms, "
                    f"{row['ratio']:.1f} times"
                )


def _row(sizes: tuple[int, int, int], neurons: str, rule: str, repeats: int) -> dict[str, Any]:
    contenders = {name: _step(sizes, neurons, rule, name == "cycle") for name in ("layer", "cycle")}
    table = interleaved(contenders, repeats)
    found = {f"{name}_ms": 1e3 * row["median"] for name, row in table.items()}
    return found | {part: table["cycle"][part] for part in ("ratio", "low", "high")}


def _step(sizes: tuple[int, int, int], neurons: str, rule: str, recurrent: bool) -> Contender:
    inputs, hidden, outputs = sizes
    generator = torch.Generator().manual_seed(0)
    populations, connections = layers((inputs,), [hidden], outputs, recurrent=recurrent)
    network = SpikingNetwork(
        inputs=inputs,
        populations=populations,
        connections=connections,
        neurons=NEURONS[neurons],
        generator=generator,
    )
    spikes = torch.empty(STEPS, BATCH, inputs, 1).bernoulli_(0.2, generator=generator)
    labels = torch.randint(0, outputs, (BATCH,), generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def work() -> None:
        optimizer.zero_grad()
        RULES[rule].step(network, spikes, labels, generator)
        optimizer.step()

    return work
