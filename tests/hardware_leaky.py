"""Leaky neurons that run free on a device, and currents that drive them."""

import torch
from tools import seeded

from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuit import Circuit


def leaky(
    circuit: str | Circuit,
    channels: int,
    memory_qubits: int,
    reset_steps: int | None,
    size: int = 2,
) -> SQSNeurons:
    """Neurons far from any special value, every one of the drive's parameters included."""
    neurons = SQSNeurons(
        size,
        circuit=circuit,
        channels=channels,
        memory_qubits=memory_qubits,
        drive=Leaky(reset_steps=reset_steps),
        generator=seeded(0),
        dtype=torch.float64,
    )
    with torch.no_grad():
        neurons.angles.normal_(0, 1.5, generator=seeded(0))
        neurons.gains.normal_(0, 1, generator=seeded(1))
        neurons.beta.uniform_(0.3, 0.9, generator=seeded(2))
        neurons.bias.uniform_(-0.2, 0.2, generator=seeded(3))
        neurons.reset.uniform_(-0.3, 0.8, generator=seeded(4))
    return neurons


def some_currents(neurons: SQSNeurons, steps: int, batch: int = 2) -> torch.Tensor:
    shape = (steps, batch, neurons.size, neurons.channels)
    return 0.8 * torch.rand(shape, generator=seeded(5), dtype=torch.float64)
