"""The neuron as a spin resonance: its memory turns, currents kick it, and a weak read fires.

    RX(kick z) on the memory      the current z, the sum of weighted input spikes, tilts the spin
    CRX(memory -> channel, read)  a weak measurement of the tilt
    CRX(channel -> memory, pi)    a spike flips the memory back to |0>
    RZ(precession) on the memory  the spin turns between kicks
    RX on the channel             starts at 0

While the tilt is small and no spike falls, the amplitude a of the memory's |1> follows

    a_t = cos(read/2) e^(i precession) a_(t-1) - i (kick/2) z_t,     p_t = sin(read/2)^2 |a_t|^2

up to the frame in which phases are counted: kicks at the precession period add up, others cancel,
and the phase of the rhythm drops out of p. This is a resonate-and-fire neuron (Izhikevich, Neural
Networks 14, 2001) with a random threshold. What is quantum is the price of looking: the same angle
sets how fast the tilt is read and how fast it is lost.
"""

import math

import torch
from torch import Tensor

from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuit import Circuit, Encoded, Normal
from sqsnn_bench.rhythms.task import PERIODS

# Precession starts cover the periods of the task, and a little more.
LONGEST, SHORTEST = max(PERIODS) + 1.0, min(PERIODS) - 0.3


def resonator(read: float, kick: float) -> Circuit:
    """Make the circuit, whose precession `tune` sets.

    Args:
        read: First value of the read angle in radians.
        kick: Angle in radians by which a current of 1 turns the memory; it is not learned, so that
            weights are of order 1 and a learning rate means the same as elsewhere.

    Example:
        >>> print(resonator(0.5, math.pi / 64).draw())
        channel ────────────────────RX(θ0)────●─────RX(θ3)──measure──|0>─
                                      │       │
        memory  ─RX(0.015625 φ0)────●─────RX(θ1)──RZ(θ2)───────────────
    """
    placements = [
        ("CRX", (1, 0), Normal(read)),
        ("CRX", (0, 1), Normal(math.pi)),
        ("RZ", (1,), Normal()),
        ("RX", (0,), Normal()),
    ]
    return Circuit.build(1, 1, placements, [Encoded(1, 0, kick / math.pi)])


def tune(neurons: SQSNeurons, precession: Tensor) -> None:
    """Set the precession of each neuron in radians per step, `(H,)`."""
    (column,) = [gate.parameter for gate in neurons.circuit.gates if gate.name == "RZ"]
    with torch.no_grad():
        neurons.angles[:, column] = precession


def spread(neurons: int) -> Tensor:
    """Spread precessions evenly over the frequencies of the task, in radians per step, `(H,)`."""
    return 2 * math.pi * torch.linspace(1 / LONGEST, 1 / SHORTEST, neurons)
