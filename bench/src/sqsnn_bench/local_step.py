"""What a step of the local rule costs: `python -m sqsnn_bench.local_step`.

One thread. Times are medians of process CPU time, all rules interleaved with backpropagation in one
process so that a drifting machine is fair to all. Memory is the peak of a process of its own per
number of steps, in which the input spikes are one step seen T times, so that only the rule can grow
with T. Writes bench/results/local-step.json.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from sqsnn import SpikingNetwork
from sqsnn.learning import Backprop, Both, Geometric, Local, Measured, Online, Reinforce
from sqsnn_bench.timing import turns

SMALL = "64-64-10, T=10, batch 64"
NETWORKS = {
    SMALL: ([64, 64, 10], 10, 64),
    "784-256-10, T=5, batch 128": ([784, 256, 10], 5, 128),
    "784-1000-10, T=5, batch 256": ([784, 1000, 10], 5, 256),
}
RULES: dict[str, Backprop | Local] = {
    "backprop": Backprop(),
    "feedback": Local(),
    "reinforce, S=4": Local(signal=Reinforce()),
    "both, S=4": Local(signal=Both()),
}
# Of the small network alone: they take many times as long.
SLOW_RULES: dict[str, Backprop | Local] = {
    "feedback, online": Local(score=Online()),
    "feedback from bits, W=1, R=1": Local(score=Measured()),
    "feedback from bits, W=1, R=5": Local(score=Measured(estimator=Geometric(repeats=5))),
    "feedback from bits, W=2, R=1": Local(score=Measured(window=2)),
}
LENGTHS = (10, 100, 1000)
MEMORY_NETWORK = ([64, 64, 10], 16)  # sizes and batch


def work(rule: Backprop | Local, sizes: list[int], steps: int, batch: int) -> Callable[[], None]:
    """Make one step of a rule on a fresh network, ready to be timed."""
    generator = torch.Generator().manual_seed(0)
    network = SpikingNetwork(sizes, generator=generator)
    one = torch.rand(batch, sizes[0], 1, generator=generator) < 0.2
    spikes = one.float().expand(steps, -1, -1, -1)
    labels = torch.randint(0, sizes[-1], (batch,), generator=generator)

    def step() -> None:
        network.zero_grad()
        rule.step(network, spikes, labels, generator)

    return step


def time_rules(repeats: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure milliseconds per step and the ratio to backprop, for every network and rule."""
    table = {}
    for title, (sizes, steps, batch) in NETWORKS.items():
        rules = RULES | SLOW_RULES if title == SMALL else RULES
        contenders = {name: work(rule.fresh(), sizes, steps, batch) for name, rule in rules.items()}
        seconds = turns(contenders, repeats)
        table[title] = {}
        for name, values in seconds.items():
            ratios = [a / b for a, b in zip(values, seconds["backprop"], strict=True)]
            table[title][name] = {
                "milliseconds": 1e3 * statistics.median(values),
                "ratio": statistics.median(ratios),
                "least_ratio": min(ratios),
                "greatest_ratio": max(ratios),
            }
            print(f"{title:30} {name:30} {table[title][name]}", flush=True)
    return table


def peak_memory(rule: str, steps: int) -> float:
    """Measure the peak memory in MB of a process with three steps of a rule over T time steps."""
    module = ["-m", "sqsnn_bench.local_step"]
    command = [sys.executable, *module, "--memory-of", rule, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def memory_alone(rule: str, steps: int) -> None:
    """Do what the process of `peak_memory` does."""
    sizes, batch = MEMORY_NETWORK
    step = work((RULES | SLOW_RULES)[rule].fresh(), sizes, steps, batch)
    for _ in range(3):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sqsnn_bench.local_step")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("bench/results/local-step.json"))
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        return memory_alone(arguments.memory_of, arguments.steps)
    memory = {
        rule: {steps: peak_memory(rule, steps) for steps in LENGTHS}
        for rule in ("backprop", "feedback", "feedback, online")
    }
    for rule, megabytes in memory.items():
        print(f"peak memory in MB at T = {megabytes}  {rule}", flush=True)
    result = {
        "machine": {"platform": platform.platform(), "torch": torch.__version__},
        "memory_network": {"sizes": MEMORY_NETWORK[0], "batch": MEMORY_NETWORK[1]},
        "peak_megabytes": memory,
        "steps": time_rules(arguments.repeats),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
