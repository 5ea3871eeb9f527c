"""How a neuron-step grows with the register and with shapes: `python -m sqsnn_bench.growth`.

Nanoseconds of forward and backward together, float32, one thread, without a drive. Beside them
stands the arithmetic limit: the operations that a step needs at least, at the speed at which a
matrix product of torch runs on this thread. Writes bench/results/growth.json and
docs/images/neuron-growth.png.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from sqsnn import Rectified, SQSNeurons
from sqsnn.quantum import rotations
from sqsnn.quantum.circuit import Circuit
from sqsnn_bench.timing import Contender, interleaved, machine

STEPS, BATCH, NEURONS = 5, 64, 256
PRODUCT = 512
CIRCUITS = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
REGISTERS = [(1, memory) for memory in range(7)] + [(2, memory) for memory in range(4)]
SHAPES: dict[str, tuple[int, ...]] = {
    "batch": (1, 16, 64, 256, 1024),
    "neurons": (10, 64, 256, 1024, 4096),
    "steps": (1, 5, 20, 80),
}


def operations(circuit: Circuit) -> int:
    """Count the floating-point operations of a neuron-step, forward and backward.

    V is a matrix or a list of gates, whichever needs fewer. The matrix acts on the state, again in
    the replay, transposed on the gradient, and collects its own gradient: 2 D^2 operations each
    time, four times as many where it is complex. A rotation of two real amplitudes takes 6
    operations each of the four times that it is applied or undone, and 3 for its angle's gradient.
    """
    matrix = 8 * 4**circuit.qubits * (1 if circuit.is_real else 4)
    ops = rotations.operations(circuit)
    one_by_one = 24 * len(ops) + 3 * sum(op.kind == rotations.TURN for op in ops)
    return min(matrix, one_by_one)


def product() -> Contender:
    """Make the matrix product that says how fast this thread multiplies and adds."""
    a, b = torch.randn(PRODUCT, PRODUCT), torch.randn(PRODUCT, PRODUCT)
    return lambda: a @ b


def work_of(neurons: SQSNeurons, steps: int, batch: int) -> Contender:
    """Make forward and backward of a population."""
    generator = torch.Generator().manual_seed(0)
    currents = torch.randn(steps, batch, neurons.size, neurons.channels, requires_grad=True)

    def work() -> None:
        currents.grad = None
        record, _ = neurons(currents, generator=generator)
        record.spikes.sum().backward()

    return work


def register_table(repeats: int) -> list[dict[str, Any]]:
    """Measure every circuit for every register that it can have."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for name in CIRCUITS:
        for channels, memory in REGISTERS:
            if name == "integrate_and_fire" and memory == 0:
                continue
            neurons = SQSNeurons(
                NEURONS,
                channels=channels,
                memory_qubits=memory,
                circuit=name,
                drive=Rectified(),
                generator=generator,
            )
            batch = BATCH if channels + memory < 6 else BATCH // 4
            contenders = {"product": product(), "step": work_of(neurons, STEPS, batch)}
            times = interleaved(contenders, repeats)
            per_operation = times["product"]["median"] / (2 * PRODUCT**3)
            limit = operations(neurons.circuit) * per_operation * 1e9
            count = STEPS * batch * NEURONS
            ns = times["step"]["median"] / count * 1e9
            row = {"circuit": name, "N": channels, "M": memory, "D": 2 ** (channels + memory)}
            rows.append(row | {"ns": ns, "limit_ns": limit, "ratio": ns / limit})
    return rows


def shape_table(repeats: int) -> dict[str, list[list[float]]]:
    """Measure `bidirectional` with a leaky drive against batch, neurons and steps."""
    table = {}
    for variable, values in SHAPES.items():
        shapes = [
            {"steps": STEPS, "batch": BATCH, "neurons": NEURONS} | {variable: n} for n in values
        ]
        contenders = {}
        for shape in shapes:
            generator = torch.Generator().manual_seed(0)
            neurons = SQSNeurons(shape["neurons"], generator=generator)
            contenders[str(shape[variable])] = work_of(neurons, shape["steps"], shape["batch"])
        times = interleaved(contenders, repeats)
        table[variable] = [
            [
                shape[variable],
                row["median"] / (shape["steps"] * shape["batch"] * shape["neurons"]) * 1e9,
            ]
            for shape, row in zip(shapes, times.values(), strict=True)
        ]
    return table


def plot(rows: list[dict[str, Any]], shapes: dict[str, list[list[float]]], path: Path) -> None:
    """Draw time against D with its limit, and against batch, neurons and steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 4, sharey=True, width_ratios=(2, 1, 1, 1))
    for number, name in enumerate(CIRCUITS):
        points = [row for row in rows if row["circuit"] == name and row["N"] == 1]
        sizes = [row["D"] for row in points]
        color = f"C{number}"
        axes[0].plot(sizes, [row["ns"] for row in points], "o-", color=color, label=name)
        axes[0].plot(sizes, [row["limit_ns"] for row in points], ":", color=color)
    axes[0].plot([], [], ":", color="gray", label="arithmetic limit")
    axes[0].set(xlabel="register size D (one channel)", ylabel="ns per neuron and step")
    axes[0].legend(fontsize=8)
    for axis, (variable, points) in zip(axes[1:], shapes.items(), strict=True):
        axis.plot(*zip(*points, strict=True), "o-", color="C1")
        axis.set(xlabel=f"{variable} (bidirectional)")
    for axis in axes:
        axis.set(xscale="log", yscale="log")
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print Markdown, and write figures and picture."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.growth")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = register_table(arguments.repeats)
    print("| circuit | N | M | D | ns per neuron-step | arithmetic limit | ratio |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        place = f"| {row['circuit']} | {row['N']} | {row['M']} | {row['D']} "
        print(f"{place}| {row['ns']:.1f} | {row['limit_ns']:.1f} | {row['ratio']:.1f} |")
    shapes = shape_table(arguments.repeats)
    for variable, points in shapes.items():
        print(f"{variable}: {', '.join(f'{int(n)}: {ns:.0f} ns' for n, ns in points)}")
    for folder in (arguments.out, arguments.pictures):
        folder.mkdir(parents=True, exist_ok=True)
    found = machine() | {"registers": rows, "shapes": shapes}
    (arguments.out / "growth.json").write_text(json.dumps(found, indent=1) + "\n")
    plot(rows, shapes, arguments.pictures / "neuron-growth.png")


if __name__ == "__main__":
    main()
