"""Ten steps of hand-written loops, alone and shared by processes; a script for torchrun."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from sqsnn import Backprop, Local, SpikingNetwork, encoding, readout
from sqsnn.processes import ALONE, Processes, SharedGenerator, joined

BATCH, STEPS = 8, 5
WRAPPERS = {"ddp": DistributedDataParallel, "fsdp": fully_shard}


def train(wrapper: str | None = None, rank: int = 0, count: int = 1) -> dict[str, Tensor]:
    """Train on the rows of one process; the uniforms of all rows are drawn, and own ones kept."""
    generator = torch.Generator().manual_seed(0)
    network = SpikingNetwork([6, 5, 3], generator=generator, dtype=torch.float64)
    model = network if wrapper is None else WRAPPERS[wrapper](network)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    rows = slice(rank * BATCH // count, (rank + 1) * BATCH // count)
    for _ in range(10):
        images = torch.rand(BATCH, 6, generator=generator, dtype=torch.float64)
        labels = torch.randint(3, (BATCH,), generator=generator)[rows]
        spikes = encoding.rate(images, STEPS, generator=generator)[:, rows]
        uniforms = [drawn[:, rows] for drawn in network.draw_uniforms(STEPS, BATCH, generator)]
        record = model(spikes, uniforms=uniforms)
        optimizer.zero_grad()
        cross_entropy(readout.probability(record.layers[-1]), labels).backward()
        optimizer.step()
    weights = network.state_dict()
    return {
        name: (value.full_tensor() if isinstance(value, DTensor) else value).clone()
        for name, value in weights.items()
    }


def train_locally(processes: Processes = ALONE) -> dict[str, Tensor]:
    """Train by a local rule on the rows of one process, as docs/scaling.md shows it."""
    generator = SharedGenerator(processes).manual_seed(0)
    network = SpikingNetwork([6, 5, 3], generator=generator, dtype=torch.float64)
    optimizer, rule = torch.optim.SGD(network.parameters(), lr=0.5), Local()
    rows, generator.batch = processes.rows(BATCH), BATCH
    for _ in range(10):
        images = torch.rand(BATCH, 6, generator=generator, dtype=torch.float64)[rows]
        labels = torch.randint(3, (BATCH,), generator=generator)[rows]
        optimizer.zero_grad()
        rule.step(network, encoding.rate(images, STEPS, generator=generator), labels, generator)
        processes.sum_gradients(network.parameters(), processes.weight(BATCH))
        optimizer.step()
    return {name: value.clone() for name, value in network.state_dict().items()}


def refusals() -> list[str]:
    """What the rules say of networks in wrappers."""
    generator = torch.Generator().manual_seed(0)
    spikes, labels = torch.ones(STEPS, 2, 4, 1), torch.zeros(2, dtype=torch.int64)
    said = []
    for wrapper, rule in ((DistributedDataParallel, Backprop()), (fully_shard, Local())):
        network = wrapper(SpikingNetwork([4, 3, 2], generator=generator))
        try:
            rule.step(network, spikes, labels, generator)
        except TypeError as error:
            said.append(str(error))
    return said


if __name__ == "__main__":
    with joined() as processes:
        trained = {name: train(name, processes.rank, processes.count) for name in WRAPPERS}
        trained["local"] = train_locally(processes)
        said = refusals()
        if processes.is_first:
            for name, weights in trained.items():
                save_file(weights, Path(sys.argv[1]) / f"{name}.safetensors")
            (Path(sys.argv[1]) / "refusals.txt").write_text("\n".join(said))
