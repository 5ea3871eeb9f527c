"""Are networks of layers as fast as before networks were graphs? And what does a cycle cost?

Each version is a process of its own, on one thread, and they take turns; a second process of the
older version shows how much of a ratio is noise. Times are process CPU time of one step of several
in a row.
"""

import itertools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqsnn_bench.timing import ratios
from sqsnn_bench.versions import Worker

STEPS = 10
SIZES = ([784, 256, 10], [784, 1000, 10])
BATCHES = (64, 256)
WORK = ("backprop", "local", "evaluation")
IN_A_ROW = 5  # steps that a turn takes
TARGET = 1.02  # largest ratio
_WORKER = f"""
import json, sys, time
import torch, sqsnn
from sqsnn.cli.allocation import keep_freed_memory
from sqsnn.learning import Backprop, Feedback, Local
keep_freed_memory()  # as a command does; else the layout of the heap decides
torch.set_num_threads(1)
for line in sys.stdin:
    request = json.loads(line)
    if request == "go":
        step()  # as in a training, where the step before has filled the caches
        began = time.process_time()
        for _ in range({IN_A_ROW}):
            step()
        print((time.process_time() - began) / {IN_A_ROW}, flush=True)
        continue
    sizes, batch, work = request
    generator = torch.Generator().manual_seed(0)
    network = sqsnn.SpikingNetwork(sizes, generator=generator)
    spikes = (torch.rand({STEPS}, batch, sizes[0], 1, generator=generator) < 0.2).float()
    labels = torch.randint(0, sizes[-1], (batch,), generator=generator)
    rule = Local(signal=Feedback("symmetric")) if work == "local" else Backprop()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    def train():
        optimizer.zero_grad()
        rule.step(network, spikes, labels, generator)
        optimizer.step()
    def evaluate():
        with torch.no_grad():
            network(spikes, generator=generator)
    step = evaluate if work == "evaluation" else train
    print("ready", flush=True)
"""


def versions(
    old: Path, new: Path, rounds: int, repeats: int, watch: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Time training steps and evaluation of two versions, by turns.

    Args:
        old: Checkout of the older version.
        new: Checkout of the newer version.
        rounds: Fresh processes of each, since a process can be slow or fast throughout.
        repeats: Turns of each process.
        watch: Receives a line per figure.
    """
    keys = list(itertools.product(SIZES, BATCHES, WORK))
    # Per key the median of the turns of each round: older version, newer, older once more.
    medians: dict[int, list[list[float]]] = {number: [[], [], []] for number in range(len(keys))}
    for _ in range(rounds):
        workers = [Worker(checkout, _WORKER) for checkout in (old, new, old)]
        for number, key in enumerate(keys):
            for kept, seconds in zip(
                medians[number], _by_turns(workers, key, repeats), strict=True
            ):
                kept.append(statistics.median(seconds))
        for worker in workers:
            worker.end()
    rows = []
    for (sizes, batch, work), (before, now, again) in zip(keys, medians.values(), strict=True):
        row: dict[str, Any] = {"sizes": sizes, "batch": batch, "work": work, "target": TARGET}
        row |= {"old_ms": 1e3 * statistics.median(before), "new_ms": 1e3 * statistics.median(now)}
        rows.append(row | ratios(now, before) | {"same_version": ratios(again, before)})
        watch(_line(rows[-1]))
    return rows


def _by_turns(workers: Sequence[Worker], key: tuple[Any, ...], repeats: int) -> list[list[float]]:
    """Time one kind of work, forwards and backwards by turns: the last is as often the first."""
    for worker in workers:
        worker.ask(key)
        worker.ask("go")
    seconds: list[list[float]] = [[] for _ in workers]
    order = list(range(len(workers)))
    for _ in range(repeats):
        for index in order:
            seconds[index].append(float(workers[index].ask("go")))
        order.reverse()
    return seconds


def _line(row: dict[str, Any]) -> str:
    sizes, same = "-".join(map(str, row["sizes"])), row["same_version"]
    return (
        f"{sizes}, batch {row['batch']}, {row['work']}: {row['old_ms']:.1f} -> "
        f"{row['new_ms']:.1f} ms, {row['ratio']:.3f} [{row['low']:.3f}, {row['high']:.3f}]; "
        f"same version {same['ratio']:.3f} [{same['low']:.3f}, {same['high']:.3f}]"
    )
