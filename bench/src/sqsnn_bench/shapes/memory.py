"""How much memory a training step on events of 128 x 128 pixels and two polarities takes.

Each batch is a fresh process on one thread; its peak is the largest resident set of the process, so
that Python and PyTorch are in it.
"""

import json
import resource
import subprocess
import sys
import time
from functools import partial
from typing import Any

import torch

from sqsnn import SpikingNetwork, SQSNeurons
from sqsnn.learning import Backprop
from sqsnn.network.wiring import layers
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.shapes.trials import Watch

INPUTS = (2, 128, 128)
STEPS, CLASSES = 20, 11
CONVOLUTIONS = "8c5s2p2-p2-16c3p1-p2"  # populations of (8, 64, 64) and (16, 32, 32)
RATE = 0.02  # of the events, per pixel, polarity and step
LARGEST = 4.0  # GB, the target
SMALLEST_BATCH = 16


def measure_all(kept: Kept, watch: Watch) -> None:
    """Double the batch until it takes more than the target; then find the largest that fits."""

    def gigabytes(batch: int) -> float:
        found = kept.once("batches", str(batch), lambda: _in_a_process(batch))
        watch(
            f"batch {batch}: {found['peak_gb']:.2f} GB, {found['cpu_seconds']:.1f} s of CPU a step"
        )
        return found["peak_gb"]

    fits = SMALLEST_BATCH
    while gigabytes(2 * fits) <= LARGEST:
        fits *= 2
    step = fits // 2
    while step >= SMALLEST_BATCH // 2:
        if gigabytes(fits + step) <= LARGEST:
            fits += step
        step //= 2
    gigabytes(SMALLEST_BATCH)
    kept.write({"largest_batch": fits, "target_gb": LARGEST, **described()})


def described() -> dict[str, Any]:
    """Say what was measured."""
    return {"inputs": INPUTS, "steps": STEPS, "convolutions": CONVOLUTIONS, "rate": RATE}


def training_step(batch: int) -> dict[str, float]:
    """Take two training steps in this process, and give their peak memory and the second's time."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    shared = partial(SQSNeurons, memory_qubits=0, share="map")
    populations, connections = layers(INPUTS, [], CLASSES, conv=CONVOLUTIONS)
    network = SpikingNetwork(
        inputs=INPUTS,
        populations=populations,
        connections=connections,
        neurons=[shared] * (len(populations) - 1) + [partial(SQSNeurons, memory_qubits=0)],
        generator=generator,
    )
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    shape = STEPS, batch, INPUTS[0] * INPUTS[1] * INPUTS[2], 1
    spikes = torch.empty(shape).bernoulli_(RATE, generator=generator)
    labels = torch.randint(0, CLASSES, (batch,), generator=generator)
    rule, began = Backprop(), 0.0
    for _ in range(2):
        began = time.process_time()
        optimizer.zero_grad()
        rule.step(network, spikes, labels, generator)
        optimizer.step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    return {"peak_gb": peak * 1024 / 1e9, "cpu_seconds": time.process_time() - began}


def _in_a_process(batch: int) -> dict[str, float]:
    program = "import json; from sqsnn_bench.shapes import memory; "
    program += f"print(json.dumps(memory.training_step({batch})))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
