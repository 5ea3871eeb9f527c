"""What a neuron-step costs beside snnTorch's Leaky: `python -m sqsnn_bench.neuron`.

One thread, median process CPU time of forward and backward together (uniform random numbers
included), contenders interleaved in one process so that a drifting machine is fair to all.
Writes bench/results/neuron.json and docs/images/neuron-growth.png.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from sqsnn import SpikingNetwork, SQSNeurons

STEPS, BATCH, NEURONS = 5, 256, 1000
REAL_CIRCUITS = ("crx", "bidirectional", "integrate_and_fire")
Contender = Callable[[], object]


def leaky_neurons(steps: int, batch: int, neurons: int) -> Contender:
    """SnnTorch's Leaky with its defaults."""
    import snntorch

    cell = snntorch.Leaky(beta=0.9)
    currents = torch.randn(steps, batch, neurons, requires_grad=True)

    def work() -> None:
        currents.grad = None
        membrane = cell.init_leaky()
        spikes = []
        for current in currents.unbind(0):
            spike, membrane = cell(current, membrane)
            spikes.append(spike)
        torch.stack(spikes).sum().backward()

    return work


def quantum_neurons(
    steps: int, batch: int, neurons: int, channels: int = 1, **options: Any
) -> Contender:
    """A population of ours on currents of the same shape."""
    generator = torch.Generator().manual_seed(0)
    population = SQSNeurons(neurons, channels=channels, generator=generator, **options)
    currents = torch.randn(steps, batch, neurons, channels, requires_grad=True)

    def work() -> None:
        currents.grad = None
        record, _ = population(currents, generator=generator)
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


def training_step(forward: Callable[[Tensor], Tensor], parameters: list[Tensor]) -> Contender:
    """A whole MNIST-sized training step: forward, cross-entropy, backward, Adam."""
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    spikes = (torch.rand(STEPS, BATCH, 784) < 0.13).float()
    labels = torch.randint(0, 10, (BATCH,))

    def work() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(forward(spikes), labels).backward()
        optimizer.step()

    return work


def leaky_step() -> Contender:
    """The training step with Leaky neurons."""
    network = LeakyNetwork()
    return training_step(network, list(network.parameters()))


def quantum_step(circuit: str = "crx") -> Contender:
    """The training step with our neurons."""
    generator = torch.Generator().manual_seed(0)
    neurons = partial(SQSNeurons, circuit=circuit)
    network = SpikingNetwork([784, 1000, 10], neurons=neurons, generator=generator)

    def forward(spikes: Tensor) -> Tensor:
        record = network(spikes[..., None], generator=generator)
        return record.layers[-1].spikes.sum((0, 3))

    return training_step(forward, list(network.parameters()))


def interleaved(contenders: dict[str, Contender], repeats: int) -> dict[str, dict[str, float]]:
    """Median, minimum and maximum CPU seconds of each contender, and its first call's wall time."""
    first: dict[str, float] = {}
    for name, work in contenders.items():
        began = time.perf_counter()
        work()
        first[name] = time.perf_counter() - began
        work()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, work in contenders.items():
            began = time.process_time()
            work()
            seconds[name].append(time.process_time() - began)
    return {
        name: {
            "median": statistics.median(values),
            "min": min(values),
            "max": max(values),
            "first_call": first[name],
        }
        for name, values in seconds.items()
    }


def neuron_table(repeats: int) -> dict[str, dict[str, float]]:
    """Forward and backward of a population, N = M = 1, float32."""
    shape = (STEPS, BATCH, NEURONS)
    contenders = {"Leaky": leaky_neurons(*shape)}
    for circuit in REAL_CIRCUITS:
        contenders[circuit] = quantum_neurons(*shape, circuit=circuit)
    contenders["hardware_efficient"] = quantum_neurons(*shape, circuit="hardware_efficient")
    return interleaved(contenders, repeats)


def step_table(repeats: int) -> dict[str, dict[str, float]]:
    """The 784-1000-10 training step, batch 256, T = 5."""
    contenders = {"Leaky": leaky_step()}
    for circuit in REAL_CIRCUITS:
        contenders[circuit] = quantum_step(circuit)
    return interleaved(contenders, repeats)


def growth_table(repeats: int) -> dict[str, dict[str, float]]:
    """How forward and backward of `bidirectional` grow; ns per neuron-step."""
    contenders: dict[str, Contender] = {}
    sizes: dict[str, int] = {}

    def add(name: str, steps: int, batch: int, neurons: int, **options: int) -> None:
        sizes[name] = steps * batch * neurons
        contenders[name] = quantum_neurons(steps, batch, neurons, **options)

    for memory_qubits in range(5):
        add(f"M={memory_qubits}", 5, 64, 256, memory_qubits=memory_qubits)
    for channels in range(1, 4):
        add(f"N={channels}", 5, 64, 256, channels=channels)
    for batch in (1, 16, 64, 256, 1024):
        add(f"batch={batch}", 5, batch, 256)
    for neurons in (10, 64, 256, 1024, 4096):
        add(f"neurons={neurons}", 5, 64, neurons)
    for steps in (1, 5, 20, 80):
        add(f"T={steps}", steps, 64, 256)
    table = interleaved(contenders, repeats)
    for name, row in table.items():
        row["ns_per_neuron_step"] = row["median"] / sizes[name] * 1e9
    return table


def peak_memory() -> dict[str, float]:
    """Peak resident MB of a whole process that takes five training steps."""
    peaks = {}
    for name, step in (("Leaky", "leaky_step()"), ("crx", "quantum_step()")):
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


def show(title: str, table: dict[str, dict[str, float]], steps: int | None = None) -> None:
    """Print a table; `steps` neuron-steps turn seconds into ns per neuron-step."""
    print(f"\n{title}")
    leaky = table["Leaky"]["median"] if "Leaky" in table else None
    for name, row in table.items():
        scale, unit = (1e9 / steps, "ns/neuron-step") if steps else (1e3, "ms")
        ratio = f"{row['median'] / leaky:6.2f} x Leaky" if leaky else ""
        own = row.get("ns_per_neuron_step")
        figure = f"{own:9.1f} ns/neuron-step" if own else f"{row['median'] * scale:9.1f} {unit}"
        spread = f"[{row['min'] / row['median']:.2f}, {row['max'] / row['median']:.2f}]"
        print(f"{name:32s}{figure}  {ratio}  {spread}  first call {row['first_call']:.1f} s")


def plot_growth(table: dict[str, dict[str, float]], path: Path) -> None:
    """Draw ns per neuron-step against M, N, batch, neurons and T."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.8), layout="constrained")
    axes = figure.subplots(1, 5, sharey=True)
    for axis, variable in zip(axes, ("M", "N", "batch", "neurons", "T"), strict=True):
        points = [
            (int(name.split("=")[1]), row["ns_per_neuron_step"])
            for name, row in table.items()
            if name.split("=")[0] == variable
        ]
        axis.plot(*zip(*points, strict=True), marker="o")
        axis.set(xlabel=variable, yscale="log")
        if variable in ("batch", "neurons", "T"):
            axis.set_xscale("log")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ns per neuron and step")
    figure.suptitle("Forward and backward of the circuit bidirectional, float32, one thread")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print, and write the figures with the machine they were taken on."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.neuron")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    neurons = neuron_table(arguments.repeats)
    show("Population, forward + backward", neurons, STEPS * BATCH * NEURONS)
    steps = step_table(arguments.repeats)
    show("Training step 784-1000-10, batch 256, T = 5", steps)
    growth = growth_table(arguments.repeats)
    show("Growth of `bidirectional`", growth)
    peaks = peak_memory()
    print(f"\nPeak memory, MB: {peaks}, ratio {peaks['crx'] / peaks['Leaky']:.2f}")

    for folder in (arguments.out, arguments.pictures):
        folder.mkdir(parents=True, exist_ok=True)
    results = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": platform.machine(),
        "population": neurons,
        "training_step": steps,
        "growth": growth,
        "peak_memory_mb": peaks,
    }
    (arguments.out / "neuron.json").write_text(json.dumps(results, indent=1) + "\n")
    plot_growth(growth, arguments.pictures / "neuron-growth.png")


if __name__ == "__main__":
    main()
