"""What a first layer over events costs beside dense products: `python -m sqsnn_bench.events_layer`.

784 inputs, 1000 neurons, 1280 rows (5 steps of 256 samples), float32, one thread. Times are medians
of process CPU time, all interleaved in one process; finding the events counts as forward, sorting
them by input as gradient. Beside them stands a whole step of backpropagation with such a layer.
Writes bench/results/events-layer.json and prints a table.
"""

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from pathlib import Path

import torch

from sqsnn import SpikingNetwork
from sqsnn.learning import Backprop
from sqsnn.native import events
from sqsnn.synapses import Method
from sqsnn_bench.timing import turns

STEPS, BATCH, INPUTS, NEURONS, CLASSES = 5, 256, 784, 1000, 10
ROWS = STEPS * BATCH
DENSITIES = (0.01, 0.02, 0.05, 0.10, 0.13, 0.25)


def training_step(method: Method, density: float) -> Callable[[], object]:
    """Make a step of backpropagation, the optimiser's included, ready to be timed."""
    generator = torch.Generator().manual_seed(0)
    sizes = [INPUTS, NEURONS, CLASSES]
    network = SpikingNetwork(sizes, synapses=method, generator=generator)
    spikes = (torch.rand(STEPS, BATCH, INPUTS, 1, generator=generator) < density).float()
    labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
    rule, optimiser = Backprop(), torch.optim.Adam(network.parameters(), fused=True)

    def step() -> None:
        optimiser.zero_grad()
        rule.step(network, spikes, labels, generator)
        optimiser.step()

    return step


def contenders(density: float) -> dict[str, Callable[[], object]]:
    """Make the products and the steps at a share of inputs that fire, ready to be timed."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(NEURONS, INPUTS, generator=generator)
    gradient = torch.randn(ROWS, NEURONS, generator=generator)
    spikes = (torch.rand(ROWS, INPUTS, generator=generator) < density).float()
    found = events.find(spikes)
    currents, by_weight = torch.empty(ROWS, NEURONS), torch.empty(NEURONS, INPUTS)
    return {
        "forward": lambda: events.currents(events.find(spikes), weight, currents),
        "dense forward": lambda: torch.mm(spikes, weight.T, out=currents),
        "gradient": lambda: events.weight_gradient(
            events.by_column(found, INPUTS), gradient, by_weight
        ),
        "dense gradient": lambda: torch.mm(gradient.T, spikes, out=by_weight),
        "step": training_step("events", density),
        "dense step": training_step("dense", density),
    }


def measure(density: float, repeats: int) -> dict[str, dict[str, float]]:
    """Measure milliseconds and the ratio to what is dense, of products and steps."""
    seconds = turns(contenders(density), repeats)
    table = {}
    for name in ("forward", "gradient", "step"):
        dense = seconds[f"dense {name}"]
        ratios = [one / other for one, other in zip(seconds[name], dense, strict=True)]
        table[name] = {
            "milliseconds": 1e3 * statistics.median(seconds[name]),
            "dense_milliseconds": 1e3 * statistics.median(dense),
            "ratio": statistics.median(ratios),
            "least_ratio": min(ratios),
            "greatest_ratio": max(ratios),
        }
    return table


def print_table(densities: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print the figures in Markdown."""
    print(
        "| inputs that fire | forward, ms | x dense | gradient, ms | x dense | step, ms | x dense |"
    )
    print("|---|---|---|---|---|---|---|")
    for density, table in densities.items():
        cells = [f"{float(density):.0%}"]
        for figures in table.values():
            spread = f"{figures['least_ratio']:.2f} to {figures['greatest_ratio']:.2f}"
            cells += [f"{figures['milliseconds']:.1f}", f"{figures['ratio']:.2f} ({spread})"]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.events_layer")
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path("bench/results/events-layer.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    densities = {str(density): measure(density, arguments.repeats) for density in DENSITIES}
    print_table(densities)
    machine = {
        "platform": platform.platform(),
        "torch": torch.__version__,
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
    }
    shape = {"rows": ROWS, "inputs": INPUTS, "neurons": NEURONS, "repeats": arguments.repeats}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps(shape | {"machine": machine, "densities": densities}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
