"""A GPU against the CPU: the same numbers, how fast, in how much memory, and what it waits for.

    python bench/gpu.py                                    a page and its figures in bench/results
    python bench/gpu.py --device cpu --quick --out /tmp/x  tries the script where there is no GPU

Parity compares the same neurons, currents and random numbers on both. Times are wall-clock times
between two moments at which the device has done all its work.
"""

import argparse
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import sqsnn
from sqsnn.neurons.population import Population
from sqsnn.quantum.noise import Noise

RESULTS = Path(__file__).parents[2] / "results"
BATCHES = (64, 256, 1024, 4096)
SIZES = (784, 1000, 10)
STEPS = 10

KINDS: dict[str, Callable[..., Population]] = {
    "sqs": partial(sqsnn.SQSNeurons, backend="torch"),
    "sqs, M = 2, N = 2": partial(sqsnn.SQSNeurons, memory_qubits=2, channels=2, backend="torch"),
    "sqs, complex": partial(sqsnn.SQSNeurons, circuit="hardware_efficient", backend="torch"),
    "sqs, density matrices": partial(sqsnn.SQSNeurons, noise=Noise(depolarising_1q=0.01)),
    "lif": partial(sqsnn.LIF, backend="torch"),
    "stochastic lif": partial(sqsnn.StochasticLIF, backend="torch"),
    "qlif": sqsnn.QLIF,
    "published sqs": sqsnn.PublishedSQS,
}
DTYPES = torch.float64, torch.float32
# Largest difference of a probability, given the same spikes.
TOLERANCES = {"float64": 1e-12, "float32": 1e-4}
# What the host calls to wait for the device, or to copy from or to it.
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write a page and its figures."""
    parser = argparse.ArgumentParser(description="Measure a GPU.")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try the script")
    parser.add_argument("--out", type=Path, help="folder of the page [default: bench/results]")
    parser.add_argument("--quick", action="store_true", help="small sizes, a few seconds")
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --device cpu --out FOLDER tries the script")
    if device.type == "cpu" and given.out is None:
        parser.error("--device cpu needs --out: bench/results holds measurements of GPUs")
    figures = measure(device, quick=given.quick)
    folder = given.out or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    (folder / "gpu.md").write_text(page(figures), "utf-8")
    print(folder / "gpu.md")


def measure(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """Take all measurements on a device."""
    sizes = (20, 12, 3) if quick else SIZES
    batches = (4, 8) if quick else BATCHES
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "device": name,
        "quick": quick,
        "sizes": sizes,
        "torch": torch.__version__,
        "sqsnn": sqsnn.__version__,
        "platform": platform.platform(),
        "parity": [parity(kind, dtype, device) for kind in KINDS for dtype in DTYPES],
        "neurons": [neuron_steps(kind, device, sizes[1], batches[-1], quick) for kind in KINDS],
        "training": [training_step(device, sizes, batch, quick) for batch in batches],
        "profile": profiled(device, sizes, batches[0]),
    }


def seeded(device: torch.device | str = "cpu") -> torch.Generator:
    """Make a generator with a fixed seed."""
    return torch.Generator(device).manual_seed(0)


def parity(kind: str, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Compare neurons here and there, given the same currents, random numbers and spikes."""
    generator = seeded()
    neurons = KINDS[kind](16, generator=generator, dtype=dtype)
    shape = STEPS, 32, 16, neurons.channels
    currents = torch.randn(shape, generator=generator, dtype=dtype)
    uniforms = neurons.draw_uniforms(STEPS, 32, generator)
    spikes = neurons(currents, uniforms=uniforms)[0].spikes.detach()

    def run() -> list[Tensor]:
        where = neurons.parameter_like.device
        z = currents.to(where).requires_grad_()
        drawn, _ = neurons(z, uniforms=uniforms.to(where))
        record, _ = neurons(z, observed=spikes.to(where))
        (slope,) = torch.autograd.grad(record.probability.sum(), z)
        return [part.detach().cpu() for part in (drawn.spikes, record.probability, slope)]

    here = run()
    neurons.to(device)
    there = run()
    precision = str(dtype).removeprefix("torch.")
    gaps = [float((a - b).abs().max()) for a, b in zip(here, there, strict=True)]
    different = int((here[0] != there[0]).sum())
    holds = gaps[1] <= TOLERANCES[precision] and (precision == "float32" or different == 0)
    return {
        "kind": kind,
        "dtype": precision,
        "spikes": here[0].numel(),
        "different_spikes": different,
        "probability_gap": gaps[1],
        "gradient_gap": gaps[2],
        "holds": holds,
    }


def neuron_steps(
    kind: str, device: torch.device, size: int, batch: int, quick: bool
) -> dict[str, Any]:
    """Time a population's steps, without gradients and with them."""
    neurons = KINDS[kind](size, generator=seeded(), device=device)
    batch = min(batch, 256)
    generator = seeded(device)
    z = torch.rand((STEPS, batch, size, neurons.channels), generator=generator, device=device)
    z.requires_grad_()

    def backward() -> None:
        record, _ = neurons(z, generator=generator)
        record.probability.sum().backward()

    @torch.no_grad()
    def forward() -> None:
        neurons(z, generator=generator)

    each = 1e9 / (STEPS * batch * size)
    repeats = 2 if quick else 20
    return {
        "kind": kind,
        "neurons": size,
        "batch": batch,
        "forward_ns": each * seconds(forward, device, repeats),
        "backward_ns": each * seconds(backward, device, repeats),
    }


def learning(device: torch.device, sizes: tuple[int, ...], batch: int) -> Callable[[], object]:
    """Give a training step by backpropagation of a default network, with Adam."""
    network = sqsnn.SpikingNetwork(sizes, generator=seeded(), device=device)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003, fused=True)
    generator = seeded(device)
    shape = STEPS, batch, sizes[0], 1
    spikes = (torch.rand(shape, generator=generator, device=device) < 0.2).float()
    labels = torch.randint(0, sizes[-1], (batch,), generator=generator, device=device)
    rule = sqsnn.Backprop()

    def step() -> object:
        optimizer.zero_grad()
        figures = rule.step(network, spikes, labels, generator=generator)
        optimizer.step()
        return figures

    return step


def training_step(
    device: torch.device, sizes: tuple[int, ...], batch: int, quick: bool
) -> dict[str, Any]:
    """Time a training step, and find the memory that it takes at most."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    each = seconds(learning(device, sizes, batch), device, 2 if quick else 20)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {
        "batch": batch,
        "milliseconds": 1e3 * each,
        "samples_per_second": batch / each,
        "peak_bytes": peak,
    }


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Time work, the mean over some calls after two to warm up."""

    def settle() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(2):
        work()
    settle()
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    settle()
    return (time.perf_counter() - began) / repeats


def profiled(device: torch.device, sizes: tuple[int, ...], batch: int) -> dict[str, Any]:
    """Count in one training step what runs on the device, and what the host waits for."""
    step = learning(device, sizes, batch)
    for _ in range(2):
        step()
    kinds = [ProfilerActivity.CPU]
    if device.type == "cuda":
        kinds.append(ProfilerActivity.CUDA)
    with profile(activities=kinds) as profiler:
        step()
    names: Counter[str] = Counter()
    for event in profiler.events() or ():
        names[event.name] += 1
    launches = sum(number for name, number in names.items() if name.startswith("cudaLaunchKernel"))
    copies = {name: number for name, number in names.items() if name.startswith("Memcpy")}
    operations = sorted(
        profiler.key_averages(),
        key=lambda row: row.self_device_time_total or row.self_cpu_time_total,
        reverse=True,
    )
    return {
        "batch": batch,
        "kernels": launches,
        "waits": sum(names[name] for name in WAITS),
        "copies": copies,
        "slowest": [
            {
                "operation": row.key,
                "calls": row.count,
                "device_microseconds": row.self_device_time_total,
                "host_microseconds": row.self_cpu_time_total,
            }
            for row in operations[:10]
        ],
    }


def page(figures: dict[str, Any]) -> str:
    """Write the figures as a page."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    sizes = "-".join(map(str, figures["sizes"]))
    yield f"# {figures['device']} against the CPU\n"
    yield f"sqsnn {figures['sqsnn']}, torch {figures['torch']}, {figures['platform']}."
    if figures["quick"]:
        yield "Small sizes, to try the script: these times mean nothing."
    yield "\n## The same numbers\n"
    yield "Same neurons, currents and random numbers; probabilities and gradients given the spikes."
    yield "\n| neurons | precision | other spikes | probability | gradient | holds |"
    yield "|---|---|---|---|---|---|"
    for row in figures["parity"]:
        yield (
            f"| {row['kind']} | {row['dtype']} | {row['different_spikes']} of {row['spikes']} | "
            f"{row['probability_gap']:.1e} | {row['gradient_gap']:.1e} | "
            f"{'yes' if row['holds'] else 'NO'} |"
        )
    yield "\n## Neuron steps\n"
    yield "Nanoseconds per neuron, sample and step.\n"
    yield "| neurons | H | batch | forward | forward and backward |\n|---|---|---|---|---|"
    for row in figures["neurons"]:
        yield (
            f"| {row['kind']} | {row['neurons']} | {row['batch']} | {row['forward_ns']:.3g} | "
            f"{row['backward_ns']:.3g} |"
        )
    yield f"\n## Training steps\n\n{sizes}, {STEPS} steps, backpropagation, Adam.\n"
    yield "| batch | ms | samples per second | peak memory, MB |\n|---|---|---|---|"
    for row in figures["training"]:
        peak = "not measured" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:.0f}"
        yield (
            f"| {row['batch']} | {row['milliseconds']:.3g} | {row['samples_per_second']:.3g} | "
            f"{peak} |"
        )
    found = figures["profile"]
    yield f"\n## One training step, batch {found['batch']}\n"
    yield f"Kernels launched: {found['kernels']}. Waits of the host: {found['waits']}. Copies: "
    yield ", ".join(f"{name} {number}" for name, number in found["copies"].items()) or "none."
    yield "\n| operation | calls | device, us | host, us |\n|---|---|---|---|"
    for row in found["slowest"]:
        yield (
            f"| {row['operation']} | {row['calls']} | {row['device_microseconds']:.0f} | "
            f"{row['host_microseconds']:.0f} |"
        )
