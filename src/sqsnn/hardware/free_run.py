"""How neurons run free on a device, and the angles of such a run.

Drive                                       How
no membrane, or leaky with `reset_steps` 0  one static circuit of T steps
leaky, `reset_steps` 1..3                   one circuit: own spikes choose among 2^K angles
leaky, longer resets, M = 0                 T jobs of one step, the membrane integrated in between
leaky, longer resets, M >= 1, T <= 6        one circuit: all that count choose, up to 2^5 angles
leaky, longer resets, M >= 1, T > 6         refused: the memory cannot wait between two jobs
any, on a cycle of the network, M = 0       T jobs of one step, the spikes of others in between
any, on a cycle, M >= 1                     refused for the same reason
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn.errors import HardwareError
from sqsnn.hardware.circuits import placed_rotations, turned_gates
from sqsnn.hardware.compile import Compiled
from sqsnn.hardware.cost import Estimate
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.feedforward import MAX_RESET_STEPS, MAX_STEPS, fits
from sqsnn.learning.bit_source import refuse_memory_on_cycle, require_circuits
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Drive, Leaky, Membrane, settle
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuit import Circuit


class Plan(NamedTuple):
    """The circuits of a free run."""

    steps: int  # of a circuit
    reset_steps: int  # own last spikes that choose the angles within a circuit
    rounds: int  # circuits one after another

    def compiled(self, executor: Executor, circuit: Circuit) -> Compiled:
        """Transpile the circuit of a round."""
        return executor.compiled(circuit, self.steps, reset_steps=self.reset_steps)

    def estimate(self, executor: Executor, circuit: Circuit, rows: int, shots: int) -> Estimate:
        """Estimate the cost of one round."""
        return executor.estimate(circuit, self.steps, rows, shots, reset_steps=self.reset_steps)


def plan(neurons: SQSNeurons, steps: int, *, cycle: str | None = None) -> Plan:
    """Plan the free run of a population over T steps.

    Args:
        neurons: The population.
        steps: Steps T.
        cycle: Its name, if it lies on a cycle of the network and waits for other neurons' spikes.

    Raises:
        HardwareError: If a device cannot run it.
    """
    if cycle is not None:
        refuse_memory_on_cycle({cycle: neurons})
        return Plan(1, 0, steps)
    drive = neurons.drive
    length = drive.reset_steps if isinstance(drive, Leaky) else 0
    is_long = length is None or length > MAX_RESET_STEPS
    if is_long and neurons.memory_qubits == 0:
        return Plan(1, 0, steps)
    chosen_by = remembered(drive, steps)
    if fits(steps, chosen_by):
        return Plan(steps, chosen_by, 1)
    spikes = "all earlier spikes" if length is None else f"the last {length} spikes"
    raise HardwareError(
        f"reset_steps is {length} and memory_qubits is {neurons.memory_qubits}, with {steps} "
        f"steps: on a device {spikes} would choose among up to 2^{chosen_by} angles per rotation, "
        f"each under its own condition, and more than 2^{MAX_RESET_STEPS} go into circuits of at "
        f"most {MAX_STEPS} steps; nor can the circuit that holds the memory stop to be told the "
        f"next angle. Train with at most {MAX_STEPS} steps, with reset_steps "
        f"0..{MAX_RESET_STEPS}, or with memory_qubits 0, which runs step by step"
    )


def remembered(drive: Drive, steps: int) -> int:
    """Count the own last spikes on which an angle depends, of a circuit of T steps."""
    length = drive.reset_steps if isinstance(drive, Leaky) else 0
    return steps - 1 if length is None else min(length, steps - 1)


def plan_network(network: SpikingNetwork, steps: int) -> list[tuple[SQSNeurons, Plan]]:
    """Plan the free run of each population of a network, in order.

    Raises:
        HardwareError: If a device cannot run one of them.
        TypeError: If neurons are no circuits.
    """
    cyclic = {name for part in network.components if part.is_cyclic for name in part.names}
    circuits = {name: require_circuits(network.population(name)) for name in network.names}
    return [
        (neurons, plan(neurons, steps, cycle=name if name in cyclic else None))
        for name, neurons in circuits.items()
    ]


def estimate(executor: Executor, neurons: SQSNeurons, planned: Plan, batch: int) -> Estimate:
    """Estimate a planned free run of a population over samples, in one shot."""
    one = planned.estimate(executor, neurons.circuit, batch * neurons.size, 1)
    return Estimate.together([one] * planned.rounds)


def angles_by_history(
    neurons: SQSNeurons, currents: Float[Tensor, "T B H N"], reset_steps: int
) -> Float[Tensor, "B H parameters"]:
    """List the angles of every sample and neuron for all that it may fire, in float64.

    Columns as in `circuits.parameter_names(per_occurrence=True, reset_steps=reset_steps)`, where
    `reset_steps` is what `plan` says. The drive runs along all histories side by side; what one
    channel fired drives itself alone, so that all channels take the same bits at once.
    """
    start = neurons.start_of_drive(currents[0], None)
    if start is None:
        raise TypeError(f"drive is {neurons.drive!r}, which own spikes do not change")
    state, columns = Membrane(*(part[None] for part in start)), []
    for current in currents:
        potentials, state = neurons.integrate(current, state)  # (histories, B, H, N)
        angles = neurons.encoding_angles(potentials)
        columns += [angles[e].movedim(0, -1) for e in placed_rotations(neurons.circuit)]
        fired = [settle(state, torch.full_like(potentials, bit)) for bit in (0.0, 1.0)]
        # The newest bit changes fastest. Of histories that differ in a forgotten bit one goes on.
        state = Membrane(
            *(
                torch.stack(parts, 1).flatten(0, 1)[: 2**reset_steps]
                for parts in zip(*fired, strict=True)
            )
        )
    return with_gates(neurons, torch.cat(columns, dim=-1), len(currents))


def with_gates(
    neurons: SQSNeurons, encoding: Float[Tensor, "B H columns"], steps: int
) -> Float[Tensor, "B H parameters"]:
    """Put the angles of the gates of all steps behind those of the encoding, in float64."""
    circuit = neurons.circuit
    parameters = [circuit.gates[gate].parameter for gate in turned_gates(circuit)]
    angles = neurons.angles[:, parameters].double().repeat(1, steps)  # (H, T * G)
    return torch.cat([encoding.double(), angles.expand(len(encoding), -1, -1)], dim=-1)
