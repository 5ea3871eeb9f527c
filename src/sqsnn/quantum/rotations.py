"""Take a circuit apart into rotations of two real amplitudes each, as the compiled kernel reads it.

Every gate of the package turns pairs of real amplitudes, also where amplitudes are complex: RX
mixes the real part of an amplitude with the imaginary part of its partner. The pairs are read from
the matrices of `gates.py`; no gate has code of its own.
"""

from typing import NamedTuple

import numpy as np
import torch

from sqsnn.quantum import gates
from sqsnn.quantum.circuit import Circuit, Gate

TURN, BLOCK, SCALE = range(3)


class Op(NamedTuple):
    """What a part of a gate does to one or two real amplitudes of the register."""

    kind: int
    i: int
    j: int
    parameter: int = -1  # of TURN, by half of whose angle i turns towards j
    block: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # of SCALE the first alone


def operations(circuit: Circuit) -> list[Op]:
    """List what V(theta) does, in order.

    The amplitudes are those of the real frame; in complex circuits all real parts come first, and
    the channel qubits end in the laboratory frame, so that the memory after them keeps its phase.

    Raises:
        ValueError: If a gate mixes more than two real amplitudes.
    """
    gates_of_circuit = [op for gate in circuit.gates for op in _parts(gate, circuit)]
    return gates_of_circuit if circuit.is_real else gates_of_circuit + _to_laboratory(circuit)


def _to_laboratory(circuit: Circuit) -> list[Op]:
    """Turn the amplitudes of every outcome by -i per spike."""
    size, ops = 2**circuit.qubits, []
    phases = gates.frame_phases(circuit.channels).repeat(2**circuit.memory_qubits)
    for amplitude, phase in enumerate(phases.tolist()):
        if phase != 1:
            block = (phase.real, -phase.imag, phase.imag, phase.real)
            ops.append(Op(BLOCK, amplitude, size + amplitude, block=block))
    return ops


def _parts(gate: Gate, circuit: Circuit) -> list[Op]:
    form = gates.GATES[gate.name].in_real_frame()
    form = form if gate.angle is None else form.at(gate.angle)
    fixed, even, odd = (_on_amplitudes(part, gate, circuit) for part in form)
    touches = np.abs(fixed) + np.abs(even) + np.abs(odd) > 0
    ops: list[Op] = []
    done: set[int] = set()
    for i in range(len(fixed)):
        if i in done:
            continue
        group = sorted({i, *np.flatnonzero(touches[i]).tolist()})
        at = np.ix_(group, group)
        alone = touches[group].sum() == touches[at].sum()
        turns = bool(even[at].any())
        whole = not fixed[at].any() and np.array_equal(even[at], np.eye(len(group)))
        if len(group) > 2 or not alone or (turns and not whole):
            raise ValueError(f"gate {gate.name} is no rotation of pairs of real amplitudes")
        done.update(group)
        if turns and gate.parameter is not None:
            first, second = group if odd[at][1, 0] > 0 else reversed(group)
            ops.append(Op(TURN, first, second, gate.parameter))
        elif len(group) == 2:
            a, b, c, d = fixed[at].ravel().tolist()
            ops.append(Op(BLOCK, group[0], group[1], block=(a, b, c, d)))
        elif fixed[i, i] != 1:
            ops.append(Op(SCALE, i, i, block=(float(fixed[i, i]), 0.0, 0.0, 0.0)))
    return ops


def _on_amplitudes(part: np.ndarray, gate: Gate, circuit: Circuit) -> np.ndarray:
    """A matrix of a gate on all real amplitudes of the register."""
    register = torch.eye(2**circuit.qubits, dtype=torch.complex128, device="cpu")
    matrix = torch.as_tensor(part, device="cpu")
    whole = gates.apply(matrix, gate.qubits, register, circuit.qubits).numpy()
    real, imaginary = np.real(whole), np.imag(whole)
    return real if circuit.is_real else np.block([[real, -imaginary], [imaginary, real]])
