"""What an inference of a trained network costs, counted on the samples of its test."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from sqsnn.data.catalog import Samples
from sqsnn.network import SpikingNetwork
from sqsnn.training import evaluate
from sqsnn.training.config import RunConfig

if TYPE_CHECKING:
    from sqsnn.reports.accounting import Costs, Ran

COST_SAMPLES = 1000  # the spread over samples leaves of a mean less than a thirtieth of it


def of_test(
    settled: RunConfig, network: SpikingNetwork, samples: Samples, generator: torch.Generator
) -> "Costs":
    """Count what an inference costs, as means over the test samples; of many, over every k-th, so
    that there are 1000 at most, of all classes even where samples lie ordered by class.

    From the generator that the test drew from come the spikes of the test where all are counted.

    Args:
        settled: the settings of the run.
        network: the network, in evaluation mode.
        samples: the test samples, on the network's device.
        generator: where encoding and neurons draw from.
    """
    from sqsnn.reports import accounting

    return accounting.count_costs(network, _run(settled, network, samples, generator))


def _run(
    settled: RunConfig, network: SpikingNetwork, samples: Samples, generator: torch.Generator
) -> "Iterator[Ran]":
    from sqsnn.reports.accounting import Ran

    stride = math.ceil(len(samples.labels) / COST_SAMPLES)
    values = samples.values[::stride]
    for batch, kept in evaluate.batches(values, settled.training.batch_size):
        yield Ran(*evaluate.draw(network, settled.encoding, batch, generator=generator), kept)
