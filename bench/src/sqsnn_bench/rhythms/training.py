"""Training on rhythms that are drawn anew for every batch, and the accuracy on fresh ones."""

from typing import NamedTuple

import torch
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from sqsnn import readout
from sqsnn.learning.rule import Rule
from sqsnn.network import SpikingNetwork
from sqsnn.training.build import Purpose, seeded
from sqsnn.training.evaluate import Scores, accuracy
from sqsnn_bench.rhythms import task

BATCH = 64
CLIP = 5.0  # largest norm of a gradient
TESTED = 2000  # samples of a validation or a test


class Found(NamedTuple):
    """What a test gave.

    Attributes:
        accuracy: Share of samples named rightly by spike counts alone, ties shared evenly.
        spikes: Spikes of the hidden layer per neuron and sample.
    """

    accuracy: float
    spikes: float


def train(network: SpikingNetwork, rule: Rule, rate: float, steps: int, seed: int) -> None:
    """Train a network by Adam with one cycle of learning rates; no sample is seen twice.

    Args:
        network: The network, which is changed.
        rule: How gradients are made.
        rate: The highest learning rate.
        steps: Batches.
        seed: Draws samples and spikes.
    """
    rule, parameters = rule.fresh(), [p for p in network.parameters() if p.requires_grad]
    optimizer = Adam(parameters, lr=rate, fused=True)
    schedule = OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
    samples, generator = task.stream(seed, Purpose.TRAINING), seeded(seed, Purpose.TRAINING)
    for _ in range(steps):
        spikes, labels = task.draw(BATCH, samples)
        optimizer.zero_grad()
        rule.step(network, spikes, labels, generator)
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        schedule.step()


def test(network: SpikingNetwork, seed: int, part: Purpose) -> Found:
    """Test a network once on fresh samples; see `Found`."""
    spikes, labels = task.fresh(TESTED, seed, part)
    with torch.no_grad():
        record = network(spikes, generator=seeded(seed, part))
    hidden, output = record.layers
    counts = readout.count(output)
    scores = Scores(counts, counts, readout.predict(output), spikes=(), measured=True)
    fired = float(hidden.spikes.sum(dim=(0, 3)).mean())
    return Found(accuracy(scores, labels).spikes, fired)
