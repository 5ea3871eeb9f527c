"""What channels cost: `python -m sqsnn_bench.channels`.

The time of a neuron-step and the peak memory of a process, forward and backward, against the
channels N of a `bidirectional` circuit with the leaky drive: through torch, which takes every
circuit of up to ten qubits, and through the kernel where it can. One thread; every figure in a
process of its own. Writes bench/results/channels.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from sqsnn import SQSNeurons
from sqsnn_bench.neuron import show_peak
from sqsnn_bench.timing import machine, turns

STEPS, BATCH, NEURONS = 10, 64, 8
CHANNELS, MEMORY_QUBITS = range(1, 9), (0, 1, 2)
MOST_OF_THE_KERNEL = 4  # channels


def measure_here(channels: int, memory_qubits: int, backend: Any, repeats: int) -> None:
    """Print the CPU microseconds of a neuron-step and then this process's peak memory."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    neurons = SQSNeurons(
        NEURONS,
        channels=channels,
        memory_qubits=memory_qubits,
        backend=backend,
        generator=generator,
    )
    currents = torch.rand(STEPS, BATCH, NEURONS, channels, requires_grad=True)

    def work() -> None:
        currents.grad = None
        neurons.zero_grad()
        record, _ = neurons(currents, generator=generator)
        record.spikes.sum().backward()

    seconds = statistics.median(turns({"": work}, repeats)[""])
    print(seconds / (STEPS * BATCH * NEURONS) * 1e6)
    show_peak()


def measured(channels: int, memory_qubits: int, backend: str, repeats: int) -> dict[str, float]:
    """Measure in a process of its own."""
    arguments = f"{channels}, {memory_qubits}, {backend!r}, {repeats}"
    code = f"from sqsnn_bench import channels; channels.measure_here({arguments})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    microseconds, megabytes = map(float, result.stdout.split())
    return {"us": microseconds, "peak_mb": megabytes}


def table(results: dict[str, dict[str, float]]) -> str:
    """Write the figures as Markdown, a row per number of channels."""
    heads = [f"M = {m}, {kind}" for m in MEMORY_QUBITS for kind in ("kernel", "torch")]
    lines = [f"| N | {' | '.join(heads)} | peak, M = 2 |", "|---" * (len(heads) + 2) + "|"]
    for n in CHANNELS:
        names = [f"{b}/{n}/{m}" for m in MEMORY_QUBITS for b in ("fused", "torch")]
        cells = [f"{results[name]['us']:.3g}" if name in results else "" for name in names]
        peak = results[f"torch/{n}/{MEMORY_QUBITS[-1]}"]["peak_mb"]
        lines.append(f"| {n} | {' | '.join(cells)} | {peak:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write the figures with the machine they were taken on."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.channels")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    arguments = parser.parse_args()
    found = {
        f"{backend}/{n}/{m}": measured(n, m, backend, arguments.repeats)
        for n in CHANNELS
        for m in MEMORY_QUBITS
        for backend in ("fused", "torch")
        if backend == "torch" or n <= MOST_OF_THE_KERNEL
    }
    print(table(found))
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {**machine(), "neurons": NEURONS, "batch": BATCH, "steps": STEPS, "figures": found}
    (arguments.out / "channels.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
