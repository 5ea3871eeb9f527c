"""Bits for the local rule, measured on a device: all shifted circuits of a layer in few jobs."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.hardware.circuits import turned_gates
from sqsnn.hardware.executor import Executor
from sqsnn.learning.bit_source import require_circuits
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.shift_rules import Shifts


class DeviceBits:
    """A device as a source of bits; see `learning.bit_source.BitSource`.

    The noise is the device's: the simulated noise of the population plays no part.

    Args:
        executor: Runs the circuits.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    @torch.no_grad()
    def sample(
        self,
        neurons: SQSNeurons,
        currents: Float[Tensor, "W B H N"],
        shifts: Sequence[Shifts],
        shots: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "shifts shots W B H N"]:
        """Measure the spikes; see `BitSource.sample`."""
        require_circuits(neurons)
        check_positive_int("shots", shots)
        neurons.check_currents(currents, "steps", "batch")
        steps, batch = currents.shape[:2]
        table = angle_table(neurons, currents, shifts)  # (J, B, H, parameters)
        rows = table.flatten(0, 2).cpu().numpy()
        spikes = self.executor.run(neurons.circuit, steps, rows, shots, generator)
        return (
            torch.from_numpy(np.ascontiguousarray(spikes))
            .to(currents.device)
            .unflatten(0, (len(shifts), batch, neurons.size))
            .permute(0, 3, 4, 1, 2, 5)
        )


def angle_table(
    neurons: SQSNeurons, currents: Float[Tensor, "W B H N"], shifts: Sequence[Shifts]
) -> Float[Tensor, "J B H parameters"]:
    """List the angles of every circuit, sample and neuron, in float64.

    Columns as in `circuits.parameter_names(per_occurrence=True)`.
    """
    circuit = neurons.circuit
    steps, batch = currents.shape[:2]
    placed = [e for e, rotation in enumerate(circuit.encoding) if rotation.is_gate]
    gates = turned_gates(circuit)
    encoding = torch.stack(neurons.encoding_angles(currents), dim=-1)[..., placed].double()
    parameters = [circuit.gates[gate].parameter for gate in gates]
    angles = neurons.angles[:, parameters].double()  # (H, G)
    columns = torch.cat(
        [
            encoding.permute(1, 2, 0, 3).flatten(2),  # (B, H, W * E)
            angles.repeat(1, steps).expand(batch, -1, -1),  # (B, H, W * G)
        ],
        dim=-1,
    )
    table = columns.repeat(len(shifts), 1, 1, 1)
    first_gate = steps * len(placed)
    for j, turns in enumerate(shifts):
        for shift in turns:
            if shift.place == "encoding":
                column = shift.step * len(placed) + placed.index(shift.index)
            else:
                column = first_gate + shift.step * len(gates) + gates.index(shift.index)
            table[j, :, :, column] += shift.angle
    return table
