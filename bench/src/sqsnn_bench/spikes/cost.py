"""What a fit of a quantum neuron costs: seconds and memory on one thread, by trains and qubits.

Each fit is a fresh process; its peak is the largest resident set, so that Python and PyTorch are in
it. A process that fits one short train shows what they take.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sqsnn.spike_trains.model import SpikeTrainModel
from sqsnn_bench.shapes.kept import Kept
from sqsnn_bench.spikes.processes import RENEWALS, sample

BINS = 1000
FITS = ((1, 1), (25, 1), (100, 1), (400, 1), (1600, 1), (100, 2))  # trains, memory qubits


def measure_all(kept: Kept, seed: int, watch: Callable[[str], None]) -> None:
    """Measure the fits that are not there yet.

    Args:
        kept: The section of the file of figures.
        seed: Of the trains and of the starts.
        watch: Called after each fit.
    """
    for trains, qubits in FITS:
        name = f"{trains} trains, M={qubits}"

        def measure(trains: int = trains, qubits: int = qubits) -> dict[str, float]:
            return _in_a_process(trains, qubits, seed)

        found = kept.once("fits", name, measure)
        watch(f"{name}: {found['seconds']:.1f} s, {found['peak_mb']:.0f} MB")


def fit(trains: int, qubits: int, seed: int) -> dict[str, float]:
    """Fit a neuron to gamma intervals of mean 8 and CV 0.3 in this process."""
    torch.set_num_threads(1)
    spikes = sample(RENEWALS[0], trains, BINS, np.random.default_rng(seed))
    began = time.perf_counter()
    SpikeTrainModel(qubits, random_state=seed).fit(spikes)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    return {"seconds": round(seconds, 2), "peak_mb": round(peak * 1024 / 1e6, 1)}


def table(found: dict[str, Any]) -> str:
    """Write seconds and memory as a Markdown table."""
    lines = ["| trains of 1,000 bins, memory qubits | s | peak, MB |", "|---|---:|---:|"]
    lines += [
        f"| {name} | {row['seconds']:.1f} | {row['peak_mb']:.0f} |"
        for name, row in found["fits"].items()
    ]
    return "\n".join(lines) + "\n"


def _in_a_process(trains: int, qubits: int, seed: int) -> dict[str, float]:
    program = "import json; from sqsnn_bench.spikes import cost; "
    program += f"print(json.dumps(cost.fit({trains}, {qubits}, {seed})))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
