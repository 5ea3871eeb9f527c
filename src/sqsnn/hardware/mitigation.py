"""Readout errors, measured on the device itself and removed from whatever is linear in spikes.

A true outcome s is recorded as r with q(r|s). A single spike cannot be corrected, but

    (r - q(1|0)) / (1 - q(1|0) - q(0|1))        has the expectation s,

so that the currents of the next layer and the counts of the readout can be made right on average,
at the price of more variance. The errors are those of preparing and measuring |0> and |1>: a faulty
RX(pi) counts as a missed spike.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.errors import HardwareError
from sqsnn.hardware.devices import mid_circuit
from sqsnn.hardware.executor import Executor
from sqsnn.quantum.circuit import Circuit

CALIBRATION_SHOTS = 4000


class ReadoutErrors(NamedTuple):
    """The readout errors in every place of the chip on which a neuron stands."""

    false_spike: Float[np.ndarray, "places N"]  # q(1|0)
    missed_spike: Float[np.ndarray, "places N"]  # q(0|1)

    def correct(
        self, spikes: Bool[Tensor, "T B H N"] | Float[Tensor, "T B H N"]
    ) -> Float[Tensor, "T B H N"]:
        """Turn spikes of one call of `DeviceBits` into numbers whose mean is the true outcome."""
        batch, neurons = spikes.shape[1:3]
        places = len(self.false_spike)
        place = torch.arange(batch * neurons).reshape(batch, neurons) % places
        false, missed = (torch.as_tensor(rate).to(spikes)[place] for rate in self)  # (B, H, N)
        return (spikes - false) / (1 - false - missed)


def calibrate(
    executor: Executor,
    circuit: Circuit,
    steps: int,
    generator: torch.Generator,
    shots: int = CALIBRATION_SHOTS,
    *,
    reset_steps: int = 0,
) -> ReadoutErrors:
    """Measure the readout errors of the channels on which a neuron runs.

    Args:
        executor: Runs one job of two circuits, with all channels in |0> and in |1>.
        circuit: The neuron's circuit.
        steps: The neuron's steps.
        generator: Seeds the outcomes where they are simulated.
        shots: Shots of each circuit.
        reset_steps: Own last spikes that choose the neuron's angles.

    Raises:
        HardwareError: If the job failed, errors are so frequent that spikes carry no information,
            or routing moves a channel, so that it is not measured on one qubit at all steps.
    """
    compiled = executor.compiled(circuit, steps, reset_steps=reset_steps)
    if compiled.moves_channels:
        raise HardwareError(
            f"on {executor.device.name} a channel of circuit {circuit.name!r} is swapped and not "
            "measured on one qubit at all steps: its readout errors cannot be removed; leave "
            "mitigation out, or take fewer qubits"
        )
    places = compiled.slots
    bare = Circuit.build(circuit.channels, circuit.memory_qubits, [])
    # A device may measure otherwise in the middle of a circuit, as at all steps but the last one.
    otherwise = mid_circuit(executor.device.target, "measure") != "measure"
    steps = min(steps, 1 + otherwise)
    angles = np.zeros((2 * places, steps * circuit.channels))
    angles[places:, : circuit.channels] = math.pi
    spikes = executor.run(bare, steps, angles, shots, generator, placed_like=circuit)
    rates = spikes[:, :, 0].mean(1)  # (2 * places, N)
    errors = ReadoutErrors(rates[:places], 1 - rates[places:])
    worst = (errors.false_spike + errors.missed_spike).max()
    if worst >= 1:
        raise HardwareError(
            f"false and missed spikes of a channel add up to {worst:.2f} on "
            f"{executor.device.name}; from 1 on spikes carry no information about the true outcome"
        )
    return errors
