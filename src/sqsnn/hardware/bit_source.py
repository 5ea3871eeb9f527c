"""Bits measured on a device: the free run of a layer, and static circuits for the local rule."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.hardware.circuits import placed_rotations, turned_gates
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.free_run import angles_by_history, plan, with_gates
from sqsnn.learning.bit_source import measured_step, require_circuits
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
    def run(
        self, neurons: SQSNeurons, currents: Float[Tensor, "T B H N"], generator: torch.Generator
    ) -> Bool[Tensor, "T B H N"]:
        """Measure the spikes of a free run in one job, or step by step; see `BitSource.run`.

        Raises:
            HardwareError: If a device cannot run this drive (`free_run.py`), or a job failed.
        """
        require_circuits(neurons)
        neurons.check_currents(currents, "steps", "batch")
        planned = plan(neurons, len(currents))
        if planned.rounds > 1:
            return self._step_by_step(neurons, currents, generator)
        if not planned.reset_steps:
            potentials = neurons.potentials(currents, torch.zeros_like(currents))
            return self.sample(neurons, potentials, [()], 1, generator)[0, 0]
        table = angles_by_history(neurons, currents, planned.reset_steps)
        rows = table.flatten(0, 1).cpu().numpy()
        spikes = self.executor.run(
            neurons.circuit, planned.steps, rows, 1, generator, reset_steps=planned.reset_steps
        )
        return _by_sample(spikes, currents)[0, :, :, 0].movedim(2, 0)

    def _step_by_step(
        self, neurons: SQSNeurons, currents: Float[Tensor, "T B H N"], generator: torch.Generator
    ) -> Bool[Tensor, "T B H N"]:
        """Measure one step after another, the membrane integrated in between."""
        membrane, rows = neurons.start_of_drive(currents[0], None), []
        for current in currents:
            spikes, membrane = measured_step(neurons, current, membrane, self, generator)
            rows.append(spikes > 0)
        return torch.stack(rows)

    @torch.no_grad()
    def sample(
        self,
        neurons: SQSNeurons,
        potentials: Float[Tensor, "W B H N"],
        shifts: Sequence[Shifts],
        shots: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "shifts shots W B H N"]:
        """Measure the spikes of static circuits; see `BitSource.sample`."""
        require_circuits(neurons)
        check_positive_int("shots", shots)
        neurons.check_currents(potentials, "steps", "batch", name="potentials")
        table = angle_table(neurons, potentials, shifts)  # (J, B, H, parameters)
        rows = table.flatten(0, 2).cpu().numpy()
        spikes = self.executor.run(neurons.circuit, len(potentials), rows, shots, generator)
        return _by_sample(spikes, potentials).permute(0, 3, 4, 1, 2, 5)


def _by_sample(
    spikes: Bool[np.ndarray, "rows shots T N"], like: Float[Tensor, "T B H N"]
) -> Bool[Tensor, "J B H shots T N"]:
    measured = torch.from_numpy(np.ascontiguousarray(spikes)).to(like.device)
    return measured.unflatten(0, (-1, *like.shape[1:3]))


def angle_table(
    neurons: SQSNeurons, potentials: Float[Tensor, "W B H N"], shifts: Sequence[Shifts]
) -> Float[Tensor, "J B H parameters"]:
    """List the angles of every circuit, sample and neuron, in float64.

    Columns as in `circuits.parameter_names(per_occurrence=True)`.
    """
    circuit, steps = neurons.circuit, len(potentials)
    placed, gates = placed_rotations(circuit), turned_gates(circuit)
    encoding = torch.stack(neurons.encoding_angles(potentials), dim=-1)[..., placed]
    columns = with_gates(neurons, encoding.permute(1, 2, 0, 3).flatten(2), steps)
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
