"""What a neuron-step costs beside snnTorch's Leaky: `python -m sqsnn_bench.neuron`.

A population forward and backward, uniform random numbers included; a whole training step of
784-1000-10; and the peak memory of a process that takes such steps. One thread, contenders by turns
(see `timing.py`). Writes bench/results/neuron.json.
"""

import argparse
import json
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from sqsnn import LIF, QLIF, Leaky, Rectified, SpikingNetwork, SQSNeurons, StochasticLIF
from sqsnn_bench.timing import Contender, Table, interleaved, machine, training_step

STEPS, BATCH, NEURONS = 5, 256, 1000
MNIST_DENSITY = 0.13  # of ones in rate-coded MNIST
# Neurons, and the greatest ratio to Leaky that they should have: of a population, of a step.
POPULATIONS: dict[str, tuple[dict[str, Any], float | None]] = {
    "no memory, leaky drive": ({"memory_qubits": 0, "drive": Leaky()}, 0.55),
    "no memory, rectified": ({"memory_qubits": 0, "drive": Rectified()}, None),
    "crx, rectified": ({"circuit": "crx", "drive": Rectified()}, 0.60),
    "bidirectional, leaky drive": ({"circuit": "bidirectional", "drive": Leaky()}, 0.85),
    "bidirectional, rectified": ({"circuit": "bidirectional", "drive": Rectified()}, None),
    "integrate_and_fire, rectified": (
        {"circuit": "integrate_and_fire", "drive": Rectified()},
        None,
    ),
    "hardware_efficient, rectified": (
        {"circuit": "hardware_efficient", "drive": Rectified()},
        1.0,
    ),
}
COMPARED = {"LIF": LIF, "StochasticLIF": StochasticLIF, "QLIF": QLIF}
STEP_TARGETS = {"no memory, leaky drive": 0.78, "bidirectional, leaky drive": 0.88}


def leaky_population() -> Contender:
    """SnnTorch's Leaky with its defaults."""
    import snntorch

    cell = snntorch.Leaky(beta=0.9)
    currents = torch.randn(STEPS, BATCH, NEURONS, requires_grad=True)

    def work() -> None:
        currents.grad = None
        membrane = cell.init_leaky()
        spikes = []
        for current in currents.unbind(0):
            spike, membrane = cell(current, membrane)
            spikes.append(spike)
        torch.stack(spikes).sum().backward()

    return work


def population(kind: Any, **options: Any) -> Contender:
    """A population of ours on currents of the same shape."""
    generator = torch.Generator().manual_seed(0)
    neurons = kind(NEURONS, generator=generator, **options)
    currents = torch.randn(STEPS, BATCH, NEURONS, 1, requires_grad=True)

    def work() -> None:
        currents.grad = None
        record, _ = neurons(currents, generator=generator)
        record.spikes.sum().backward()

    return work


class LeakyNetwork(nn.Module):
    """784-1000-10 of snnTorch's Leaky, bias-free as ours."""

    def __init__(self) -> None:
        """Draw the weights."""
        import snntorch

        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(784, 1000, bias=False), nn.Linear(1000, 10, False)])
        self.cells = nn.ModuleList([snntorch.Leaky(beta=0.9) for _ in range(2)])

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes (T, B, 784) to spike counts (B, 10)."""
        states = [cast(Any, cell).init_leaky() for cell in self.cells]
        counts = torch.zeros(1)
        for x in spikes.unbind(0):
            for i, (layer, cell) in enumerate(zip(self.layers, self.cells, strict=True)):
                x, states[i] = cell(layer(x), states[i])
            counts = counts + x
        return counts


def inputs(density: float = MNIST_DENSITY) -> Tensor:
    """Input spikes of a density, (T, B, 784)."""
    return (torch.rand(STEPS, BATCH, 784) < density).float()


def leaky_step(density: float = MNIST_DENSITY) -> Contender:
    """The training step with Leaky neurons."""
    network = LeakyNetwork()
    return training_step(network, list(network.parameters()), inputs(density))


def linear_step() -> Contender:
    """The linear layers alone, which every network of this size pays for."""
    weights = [nn.Parameter(torch.randn(1000, 784)), nn.Parameter(torch.randn(10, 1000))]

    def forward(spikes: Tensor) -> Tensor:
        hidden = torch.stack([x @ weights[0].T for x in spikes.unbind(0)])
        return torch.stack([x @ weights[1].T for x in hidden.unbind(0)]).sum(0)

    return training_step(forward, list(weights), inputs())


def our_step(kind: Any = SQSNeurons, density: float = MNIST_DENSITY, **options: Any) -> Contender:
    """The training step with neurons of ours; `synapses` goes to the network."""
    generator = torch.Generator().manual_seed(0)
    of_network = {"synapses": options.pop("synapses")} if "synapses" in options else {}
    network = SpikingNetwork(
        [784, 1000, 10], neurons=partial(kind, **options), generator=generator, **of_network
    )

    def forward(spikes: Tensor) -> Tensor:
        record = network(spikes[..., None], generator=generator)
        return record.layers[-1].spikes.sum((0, 3))

    return training_step(forward, list(network.parameters()), inputs(density))


def population_table(repeats: int) -> Table:
    """Forward and backward of a population, N = 1, float32."""
    contenders = {"Leaky": leaky_population()}
    for name, (options, _) in POPULATIONS.items():
        contenders[name] = population(SQSNeurons, **options)
    for name, kind in COMPARED.items():
        contenders[name] = population(kind)
    table = interleaved(contenders, repeats)
    for name, row in table.items():
        row["ns"] = row["median"] / (STEPS * BATCH * NEURONS) * 1e9
        if target := POPULATIONS.get(name, ({}, None))[1]:
            row["target"] = target
    return table


def step_table(repeats: int) -> Table:
    """The 784-1000-10 training step, batch 256, T = 5."""
    contenders = {"Leaky": leaky_step(), "linear layers alone": linear_step()}
    for name, (options, _) in POPULATIONS.items():
        contenders[name] = our_step(**options)
    contenders["LIF"] = our_step(LIF)
    table = interleaved(contenders, repeats)
    for name, target in STEP_TARGETS.items():
        table[name]["target"] = target
    return table


def events_table(repeats: int) -> Table:
    """The training step where 5 % of the inputs are spikes: an event-driven first layer."""
    contenders = {"Leaky": leaky_step(0.05)}
    for name in STEP_TARGETS:
        options = POPULATIONS[name][0]
        contenders[f"{name}, events"] = our_step(density=0.05, synapses="events", **options)
    table = interleaved(contenders, repeats)
    for name in STEP_TARGETS:
        table[f"{name}, events"]["target"] = 0.75
    return table


def peak_memory() -> dict[str, float]:
    """Peak resident MB of a whole process that takes five training steps."""
    peaks = {}
    for name, step in (("Leaky", "leaky_step()"), ("bidirectional", "our_step()")):
        code = (
            f"from sqsnn_bench import neuron; work = neuron.{step}; [work() for _ in range(5)]; "
            "neuron.show_peak()"
        )
        result = subprocess.run(
            [sys.executable, "-c", f"import torch; torch.set_num_threads(1); {code}"],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks[name] = float(result.stdout.split()[-1])
    return peaks


def show_peak() -> None:
    """Print this process's peak resident memory in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss of a child starts at its parent's
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        print(int(line.split()[1]) * 1024 / 1e6)
        return
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def show(title: str, table: Table) -> None:
    """Print a table as Markdown."""
    unit = "ns per neuron-step" if "ns" in next(iter(table.values())) else "ms"
    print(f"\n| {title} | {unit} | x Leaky | target |\n|---|---|---|---|")
    for name, row in table.items():
        figure = row["ns"] if "ns" in row else row["median"] * 1e3
        target = row.get("target")
        missed = " **missed**" if target and row["ratio"] > target else ""
        span = f"{row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        print(f"| {name} | {figure:.1f} | {span} | {target or ''}{missed} |", flush=True)


def main() -> None:
    """Measure, print, and write the figures with the machine they were taken on."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.neuron")
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    results: dict[str, Any] = machine()
    for name, title, measure in (
        ("population", "Population, forward and backward", population_table),
        ("training_step", "Training step 784-1000-10, batch 256, T = 5", step_table),
        ("events", "The same, 5 % of the inputs are spikes", events_table),
    ):
        results[name] = measure(arguments.repeats)
        show(title, results[name])
    results["peak_memory_mb"] = peaks = peak_memory()
    print(f"\nPeak memory, MB: {peaks}, ratio {peaks['bidirectional'] / peaks['Leaky']:.2f}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "neuron.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
