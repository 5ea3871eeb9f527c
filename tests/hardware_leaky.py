"""Leaky neurons that run free on a device, and currents that drive them."""

import torch
from tools import quantum_neurons, seeded

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
    """Neurons far from any special value, of which some spikes take and others add charge."""
    drive = Leaky(reset_steps=reset_steps)
    neurons = quantum_neurons(circuit, channels, memory_qubits, size, drive=drive)
    with torch.no_grad():
        neurons.reset.uniform_(-0.3, 0.8, generator=seeded(4))
    return neurons


def some_currents(neurons: SQSNeurons, steps: int, batch: int = 2) -> torch.Tensor:
    shape = (steps, batch, neurons.size, neurons.channels)
    return 0.8 * torch.rand(shape, generator=seeded(5), dtype=torch.float64)
