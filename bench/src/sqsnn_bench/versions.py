"""How much faster is this version than an older one?

    git worktree add ../old 94fd6cd
    python -m sqsnn_bench.versions ../old

Each version is a process of its own, on one thread, and they take turns. A neuron-step is forward
and backward of a population without a drive, by process CPU time; `sqsnn train digits` is a whole
process with the same settings, by CPU and wall time. Writes bench/results/versions.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqsnn_bench.timing import machine, ratios, summary

STEPS, BATCH, NEURONS = 5, 64, 256
CIRCUITS = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
REGISTERS = [(channels, memory) for channels in (1, 2) for memory in range(6)]
TARGETS = {False: 1 / 5, True: 1 / 4}  # largest ratio, with memory qubits and without
DIGITS = "--drive rectified --output-memory-qubits 1"  # what the older version did
DIGITS_TARGET = 0.4
_WORKER = f"""
import json, sys, time
import torch, sqsnn
torch.set_num_threads(1)
for line in sys.stdin:
    request = json.loads(line)
    if request == "go":
        began = time.process_time()
        currents.grad = None
        record, _ = neurons(currents, generator=generator)
        record.spikes.sum().backward()
        print(time.process_time() - began, flush=True)
        continue
    if hasattr(sqsnn, "Rectified"):
        request["drive"] = sqsnn.Rectified()
    generator = torch.Generator().manual_seed(0)
    neurons = sqsnn.SQSNeurons({NEURONS}, generator=generator, **request)
    shape = {STEPS}, {BATCH}, {NEURONS}, request["channels"]
    currents = torch.randn(shape, generator=generator).requires_grad_()
    print("ready", flush=True)
"""


def surroundings(checkout: Path) -> dict[str, str]:
    """Make the environment in which a checkout runs, on one thread."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return os.environ | one_thread | {"PYTHONPATH": str(checkout.resolve() / "src")}


class Worker:
    """A process of one version that runs a program: it times what it is asked to.

    Args:
        checkout: The version.
        program: Reads requests as lines of JSON, and prints one line for each.
    """

    def __init__(self, checkout: Path, program: str = _WORKER) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=surroundings(checkout),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: Any) -> str:
        """Send a request and wait for the answer.

        Raises:
            RuntimeError: If the process has ended.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"a worker ended at {request}; what it said stands above")
        return answer

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def populations(old: Path, new: Path, repeats: int) -> list[dict[str, Any]]:
    """Time every circuit and register in both versions, by turns."""
    workers, rows = [Worker(old), Worker(new)], []
    for circuit in CIRCUITS:
        for channels, memory in REGISTERS:
            if circuit == "integrate_and_fire" and memory == 0:
                continue  # it needs a memory
            request = {"circuit": circuit, "channels": channels, "memory_qubits": memory}
            for worker in workers:
                worker.ask(request)
                worker.ask("go")
            turns = [[float(w.ask("go")) for w in workers] for _ in range(repeats)]
            before, now = (list(column) for column in zip(*turns, strict=True))
            scale = 1e9 / (STEPS * BATCH * NEURONS)
            row = request | {"old_ns": summary(before)["median"] * scale}
            row |= {"new_ns": summary(now)["median"] * scale} | ratios(now, before)
            rows.append(row | {"target": TARGETS[memory == 0]})
            show(rows[-1])
    return rows


def show(row: dict[str, Any]) -> None:
    """Print a line of the table."""
    name = f"{row['circuit']} | {row['channels']} | {row['memory_qubits']}"
    span = f"{1 / row['ratio']:.1f} [{1 / row['high']:.1f}, {1 / row['low']:.1f}]"
    missed = " **missed**" if row["ratio"] > row["target"] else ""
    times = f"{row['old_ns']:.0f} | {row['new_ns']:.0f}"
    print(f"| {name} | {times} | {span} | {1 / row['target']:.0f}{missed} |", flush=True)


def train(checkout: Path, flags: str, out: Path) -> dict[str, float]:
    """Train on digits in a whole process; give wall and CPU seconds and the test accuracy."""
    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "sqsnn", "train", "digits", *flags.split(), "--out", str(out)]
    subprocess.run(command, env=surroundings(checkout), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    accuracy = metrics.get("test_accuracy_spikes", metrics["test_accuracy"])  # its older name
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - began, "cpu": cpu, "accuracy": accuracy}


def digits(old: Path, new: Path, repeats: int) -> dict[str, Any]:
    """Train in both versions, by turns, each turn with its own seed."""
    turns = []
    with TemporaryDirectory() as scratch:
        for turn in range(repeats):
            seed = f"--seed {turn}"
            before = train(old, seed, Path(scratch, f"old-{turn}"))
            now = train(new, f"{DIGITS} {seed}", Path(scratch, f"new-{turn}"))
            turns.append({"old": before, "new": now})
            print(f"train digits, seed {turn}: {before} -> {now}", flush=True)
    table: dict[str, Any] = {"turns": turns, "target": DIGITS_TARGET}
    for unit in ("wall", "cpu"):
        new_times, old_times = ([turn[v][unit] for turn in turns] for v in ("new", "old"))
        table[unit] = ratios(new_times, old_times)
    return table


def main() -> None:
    """Compare, print Markdown, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.versions")
    parser.add_argument("old", type=Path, help="checkout of the older version")
    parser.add_argument("--new", type=Path, default=Path(), help="checkout to compare [this one]")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    given = parser.parse_args()
    print("| circuit | N | M | ns before | ns now | times as fast | target |")
    print("|---|---|---|---|---|---|---|")
    rows = populations(given.old, given.new, given.repeats)
    trained = digits(given.old, given.new, 3)
    print(f"train digits, ratio now / before: wall {trained['wall']}, CPU {trained['cpu']}")
    given.out.mkdir(parents=True, exist_ok=True)
    found = machine() | {"populations": rows, "digits": trained}
    (given.out / "versions.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
