"""Train a small network, then run it on Aer and on a snapshot of an IBM device.

    python examples/hardware.py

Needs the extra `hardware` and takes well under a minute. `hardware.find("ibm:NAME")` in place of
`hardware.find("fake_boston")` runs the same on a real device of your account, which is billed.
"""

from functools import partial

import torch

import sqsnn
from sqsnn import hardware, learning

STEPS, SAMPLES = 10, 100


def main() -> None:
    """Print the accuracy of the simulator, of Aer and of a snapshot with its noise."""
    digits = sqsnn.data.load("digits")
    g = torch.Generator().manual_seed(0)
    # A reset of three steps: a device then runs all steps of a neuron in one circuit.
    neurons = partial(sqsnn.SQSNeurons, drive=sqsnn.Leaky(reset_steps=3))
    network = sqsnn.SpikingNetwork([64, 16, 10], neurons=neurons, generator=g)
    train(network, digits.train, g)

    test = digits.load_test()
    labels = test.targets[:SAMPLES]
    # Encoded once: all three get the same input spikes.
    spikes = sqsnn.encoding.rate(test.values[:SAMPLES], steps=STEPS, generator=g)
    show("simulator", sqsnn.readout.predict(network(spikes, generator=g).layers[-1]), labels)
    for name in ("aer", "fake_boston"):
        executor = hardware.Executor(hardware.find(name))
        record = learning.run_network(network, spikes, hardware.DeviceBits(executor), g)
        # A device gives no probabilities: the generator breaks ties of counts at random.
        show(name, sqsnn.readout.predict(record.layers[-1], generator=g), labels)
        counts = executor.counts
        print(f"  {counts.jobs} jobs, {counts.circuits} circuits of one shot")


def train(
    network: sqsnn.SpikingNetwork, samples: sqsnn.data.Samples, g: torch.Generator, epochs: int = 10
) -> None:
    """Train by backpropagation in the simulator."""
    rule = sqsnn.Backprop()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(epochs):
        for batch in torch.randperm(len(samples.targets), generator=g).split(64):
            spikes = sqsnn.encoding.rate(samples.values[batch], steps=STEPS, generator=g)
            optimizer.zero_grad()
            rule.step(network, spikes, samples.targets[batch], generator=g)
            optimizer.step()


def show(name: str, named: torch.Tensor, labels: torch.Tensor) -> None:
    """Print an accuracy and its standard error."""
    right = (named == labels).double()
    error = right.std() / len(right) ** 0.5
    print(f"{name:14} {right.mean():.0%} ± {error:.0%} of {len(right)} test samples")


if __name__ == "__main__":
    main()
