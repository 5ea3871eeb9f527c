"""Circuits of several steps, run from fresh memory with single gates turned: their spikes.

J circuits of H neurons, each with its `shift_rules.Shifts`, are run side by side as J*H neurons, so
that the same code simulates them as simulates a network.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.quantum import density, trajectory
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.control import Fixed
from sqsnn.quantum.noise import Noise
from sqsnn.quantum.shift_rules import Shifts


def sample(
    circuit: Circuit,
    angles: Float[Tensor, "H parameters"],
    encoding: Float[Tensor, "W B H rotations"],
    shifts: Sequence[Shifts],
    uniforms: Float[Tensor, "W shots B JH"],
    *,
    driven: Bool[Tensor, "W B H rotations"],
    noise: Noise | None = None,
) -> Bool[Tensor, "J shots W B H N"]:
    """Draw (with noise: recorded) spikes of W steps, shot by shot; see `density.run`."""
    shots = uniforms.shape[1]
    numbers = uniforms.flatten(1, 2)  # (W, shots * B, J * H)
    turned, by_gate, by_rotation, placed = turn(circuit, angles, encoding, driven, shifts)
    bits, memory = [], None
    for step in range(len(numbers)):
        now = slice(step, step + 1)
        each_shot = by_rotation[step].expand(shots, -1, -1, -1).flatten(0, 1)
        rotations = [angle.contiguous()[None] for angle in each_shot.unbind(-1)]
        if noise is None:
            instrument = quantum.prepare(turned, by_gate[step])
            start = quantum.ground_state(instrument, len(each_shot)) if memory is None else memory
            result = trajectory.run(instrument, start, Fixed(rotations), uniforms=numbers[now])
        else:
            noisy = density.prepare(turned, by_gate[step], noise)
            start = density.ground_state(noisy, len(each_shot)) if memory is None else memory
            each_placed = placed[now].repeat(1, shots, 1, 1)
            control = Fixed(rotations, each_placed)
            result = density.run(noisy, start, control, uniforms=numbers[now])
        memory = result.memory
        bits.append(result.bits[0] > 0)
    spikes = torch.stack(bits).unflatten(1, (shots, -1)).unflatten(3, (len(shifts), -1))
    return spikes.permute(3, 1, 0, 2, 4, 5)


def turn(
    circuit: Circuit,
    angles: Float[Tensor, "H parameters"],
    encoding: Float[Tensor, "W B H rotations"],
    driven: Bool[Tensor, "W B H rotations"],
    shifts: Sequence[Shifts],
) -> tuple[Circuit, Tensor, Tensor, Tensor]:
    """The circuit with an angle per gate, so that one can turn alone; its angles and rotations."""
    number = count()
    gates = tuple(
        gate if gate.parameter is None else gate._replace(parameter=next(number))
        for gate in circuit.gates
    )
    parameters = [gate.parameter for gate in circuit.gates if gate.parameter is not None]
    steps, copies = len(encoding), len(shifts)
    by_gate = angles[:, parameters].repeat(steps, copies, 1, 1)  # (W, J, H, gates)
    by_rotation, placed = (  # (W, B, J, H, E)
        values[:, :, None].repeat(1, 1, copies, 1, 1) for values in (encoding, driven)
    )
    for j, turns in enumerate(shifts):
        for step, place, index, angle in turns:
            if place == "gate":
                by_gate[step, j, :, gates[index].parameter] += angle
            else:
                by_rotation[step, :, j, :, index] += angle
                placed[step, :, j, :, index] = True  # even where its current is 0 or below
    # One population of J * H neurons, circuit by circuit.
    own = replace(circuit, gates=gates)
    return own, by_gate.flatten(1, 2), by_rotation.flatten(2, 3), placed.flatten(2, 3)
