"""How neurons run free on a device, and the angles of such a run.

Drive                                       How
no membrane, or leaky with `reset_steps` 0  one static circuit of T steps
leaky, `reset_steps` 1..3                   one circuit: own spikes choose among 2^K angles
leaky, longer resets, M = 0                 T jobs of one step, the membrane integrated in between
leaky, longer resets, M >= 1                refused: the memory cannot wait between two jobs
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
from sqsnn.hardware.feedforward import MAX_RESET_STEPS, histories
from sqsnn.learning.bit_source import refuse_memory_on_cycle, require_circuits
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Leaky
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
    if length is not None and length <= MAX_RESET_STEPS:
        return Plan(steps, length, 1)
    if neurons.memory_qubits == 0:
        return Plan(1, 0, steps)
    why = (
        "its membrane depends on all earlier spikes"
        if length is None
        else f"{length} steps would need {2**length} angles per gate, each under its own condition"
    )
    raise HardwareError(
        f"reset_steps is {length} and memory_qubits is {neurons.memory_qubits}: on a device "
        f"{why}, and the circuit that holds the memory cannot stop to be told the next angle; "
        f"train with reset_steps 0..{MAX_RESET_STEPS}, or with memory_qubits 0, which runs step "
        "by step"
    )


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

    Columns as in `circuits.parameter_names(per_occurrence=True, reset_steps=reset_steps)`.
    """
    # Without own spikes the potential is the membrane v.
    membrane = neurons.potentials(currents, torch.zeros_like(currents))
    columns = []
    for step, charge in enumerate(membrane):
        bits = [list(map(int, history)) for history in histories(step, reset_steps)]
        newest_first = charge.new_tensor(bits).reshape(len(bits), -1).flip(1)
        taken = neurons.reset[..., : newest_first.shape[1]] * newest_first[:, None, None]
        potentials = charge - taken.sum(-1)[:, None]  # (histories, B, H, N)
        angles = neurons.encoding_angles(potentials)
        columns += [angles[e].movedim(0, -1) for e in placed_rotations(neurons.circuit)]
    return with_gates(neurons, torch.cat(columns, dim=-1), len(currents))


def with_gates(
    neurons: SQSNeurons, encoding: Float[Tensor, "B H columns"], steps: int
) -> Float[Tensor, "B H parameters"]:
    """Put the angles of the gates of all steps behind those of the encoding, in float64."""
    circuit = neurons.circuit
    parameters = [circuit.gates[gate].parameter for gate in turned_gates(circuit)]
    angles = neurons.angles[:, parameters].double().repeat(1, steps)  # (H, T * G)
    return torch.cat([encoding.double(), angles.expand(len(encoding), -1, -1)], dim=-1)
