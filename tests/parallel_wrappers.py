"""Ten steps of a hand-written loop, alone and behind torch's wrappers; a script for torchrun."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from sqsnn import SpikingNetwork, encoding, readout

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


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    for wrapper in WRAPPERS:
        weights = train(wrapper, rank, distributed.get_world_size())
        if rank == 0:
            save_file(weights, Path(sys.argv[1]) / f"{wrapper}.safetensors")
    distributed.destroy_process_group()
