"""Where a training stands, and what it reports: its state, one step, one epoch."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from sqsnn.learning.bit_source import BitSource
from sqsnn.learning.rule import Rule
from sqsnn.network import SpikingNetwork
from sqsnn.processes import ALONE, Processes
from sqsnn.training.optimizer import Adam

Metrics = dict[str, Any]


class Best(NamedTuple):
    """The weights that did best on the validation samples, and the figures of validation."""

    epoch: int
    figures: Metrics
    weights: dict[str, Tensor]


@dataclass
class Progress:
    """What training changes.

    Attributes:
        network: The network.
        rule: The learning rule, with what it remembers.
        optimizer: The optimiser.
        schedule: Its learning rates.
        source: Measures the spikes; None where they are simulated.
        processes: Those that share the training.
        epoch: Whole epochs done.
        best: The weights that did best so far.
    """

    network: SpikingNetwork
    rule: Rule
    optimizer: Adam
    schedule: LRScheduler
    source: BitSource | None = None
    processes: Processes = ALONE
    epoch: int = 0
    best: Best | None = None


class Step(NamedTuple):
    """One training step.

    Attributes:
        epoch: The epoch that it belongs to, from 1.
        batch: Its batch, from 1.
        batches: Batches per epoch.
        loss: Mean loss of the batch.
        accuracy: Share of the batch that its spikes name rightly; None where values are predicted.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float | None


class Epoch(NamedTuple):
    """The figures of one epoch, which repeat bit for bit, and its seconds, which do not."""

    metrics: Metrics
    seconds: float
