"""Helpers that the tests of several rooms share."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sqsnn.quantum import instrument, replay
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.shift_rules import Setting


def seeded(seed: int) -> torch.Generator:
    """Make a generator with a seed."""
    return torch.Generator().manual_seed(seed)


# Quantum


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
    turned = replay.turn(circuit, angles, encoding, driven, settings)
    steps = [instrument.prepare(turned.circuit, each) for each in turned.angles]
    remaining = iter(steps)

    def branch(memory: Tensor, encoded: Tensor) -> Tensor:
        return instrument.branches(next(remaining), memory, encoded)

    ground = instrument.ground_state(steps[0], encoding.shape[1])
    leaves = instrument.branch_tree(circuit, ground, branch, turned.encoding)
    law = instrument.squared_norm(leaves).movedim(0, -1)  # (B, J * H, sequences)
    return law.unflatten(1, (len(settings), -1)).movedim(1, 0)
