"""Helpers that the tests of several rooms share."""

import itertools
from collections.abc import Sequence

import numpy as np
import reference
import torch
from torch import Tensor

from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import instrument, replay
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.noise import Noise
from sqsnn.quantum.shift_rules import Setting

# quantum

CIRCUITS = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")


def circuit_cases(
    names: Sequence[str] = CIRCUITS,
    channels: Sequence[int] = (1, 2, 3),
    memory_qubits: Sequence[int] = (0, 1, 2, 3),
) -> list[tuple[str, int, int]]:
    """Every named circuit (name, N, M) at every size that it can have."""
    return [
        (name, N, M)
        for name, N, M in itertools.product(names, channels, memory_qubits)
        if name != "integrate_and_fire" or M > 0
    ]


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def random_angles(circuit: Circuit, neurons: int = 1, seed: int = 0) -> Tensor:
    """Angles of a circuit, `(neurons, parameters)`, normal with deviation 2."""
    shape = (neurons, circuit.parameters)
    return 2 * torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def frame_change(qubits: int) -> Tensor:
    """D = diag(1, -i) on every qubit, by the reference."""
    return torch.as_tensor(reference.on({q: np.diag([1, -1j]) for q in range(qubits)}, qubits))


def quantum_neurons(
    circuit: str | Circuit,
    channels: int = 1,
    memory_qubits: int = 1,
    size: int = 2,
    noise: Noise | None = None,
) -> SQSNeurons:
    """Neurons in double precision, angles and gains far from any special value."""
    neurons = SQSNeurons(
        size,
        circuit=circuit,
        channels=channels,
        memory_qubits=memory_qubits,
        noise=noise,
        dtype=torch.float64,
        encoding_slope="exact",
        generator=seeded(0),
    )
    with torch.no_grad():
        neurons.angles.normal_(0, 1.5, generator=seeded(0))
        neurons.gains.normal_(0, 1, generator=seeded(1))
    return neurons


def currents_of_both_signs(neurons: SQSNeurons, steps: int, batch: int = 2) -> Tensor:
    """Currents `(T, B, H, N)`, away from the kink at 0."""
    shape = (steps, batch, neurons.size, neurons.channels)
    z = torch.randn(shape, generator=seeded(2), dtype=torch.float64)
    return z + 0.1 * z.sign()


def encoded(neurons: SQSNeurons, currents: Tensor) -> Tensor:
    """The angle of every rotation of the encoding, `(T, B, H, E)`."""
    return torch.stack(neurons.encoding_angles(currents), dim=-1).detach()


def replayed_law(
    circuit: Circuit, angles: Tensor, encoding: Tensor, settings: Sequence[Setting]
) -> Tensor:
    """The exact noiseless law of replayed circuits, `(J, B, H, 2**(N W))`, step 1 the first digit.

    Args:
        circuit: The circuit of one step.
        angles: Its angles, `(H, parameters)`.
        encoding: The angle of every rotation of the encoding, `(W, B, H, E)`.
        settings: The gates that are turned in each of the J circuits.
    """
    driven = torch.ones_like(encoding, dtype=torch.bool)
    turned, by_gate, by_rotation, _ = replay.turn(circuit, angles, encoding, driven, settings)
    steps = [instrument.prepare(turned, each) for each in by_gate]
    remaining = iter(steps)

    def branch(memory: Tensor, encoded: Tensor) -> Tensor:
        return instrument.branches(next(remaining), memory, encoded)

    ground = instrument.ground_state(steps[0], encoding.shape[1])
    leaves = instrument.branch_tree(circuit, ground, branch, by_rotation)
    law = instrument.squared_norm(leaves).movedim(0, -1)  # (B, J * H, sequences)
    return law.unflatten(1, (len(settings), -1)).movedim(1, 0)
