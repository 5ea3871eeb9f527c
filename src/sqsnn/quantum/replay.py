"""Circuits of several steps, run from fresh memory with single gates turned: laws and samples.

J settings (`shift_rules.Setting`) of H neurons are run side by side as J*H neurons, so that the
same code simulates them as simulates a network. With `noise` the law is that of recorded spikes.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.quantum import instrument as quantum
from sqsnn.quantum import noisy_instrument, noisy_trajectory, trajectory
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.noise import Noise
from sqsnn.quantum.shift_rules import Setting


def law(
    circuit: Circuit,
    angles: Float[Tensor, "H parameters"],
    encoding: Float[Tensor, "W B H rotations"],
    settings: Sequence[Setting],
) -> Float[Tensor, "J B H sequences"]:
    """The exact joint law of all 2**(N W) spike sequences, noiseless, step 1 the first digit.

    Args:
        circuit: The circuit of one step.
        angles: Its angles in radians.
        encoding: The angle of every rotation of the encoding.
        settings: What is turned in each of the J circuits.

    Raises:
        ValueError: More than 2**20 sequences.
    """
    quantum.check_sequences(circuit, len(encoding))
    turned = _turned_encoding(encoding, settings)
    memory: Tensor | None = None
    for step, step_angles in enumerate(turned):
        instrument = quantum.prepare(_unshared(circuit), _turned(circuit, angles, settings, step))
        if memory is None:
            memory = quantum.ground_state(instrument, encoding.shape[1])[None]
        psi = quantum.branches(instrument, memory, step_angles.expand(len(memory), -1, -1, -1))
        memory = psi.movedim(-2, 1).flatten(0, 1)  # (sequences, B, J * H, 2**M)
    if memory is None:
        raise ValueError("encoding has 0 steps; it needs at least 1")
    probabilities = quantum.squared_norm(memory).movedim(0, -1)
    return probabilities.unflatten(1, (len(settings), -1)).movedim(1, 0)


def sample(
    circuit: Circuit,
    angles: Float[Tensor, "H parameters"],
    encoding: Float[Tensor, "W B H rotations"],
    settings: Sequence[Setting],
    uniforms: Float[Tensor, "W shots B JH"],
    *,
    noise: Noise | None = None,
    driven: Bool[Tensor, "W B H rotations"] | None = None,
) -> Bool[Tensor, "J shots W B H N"]:
    """Spikes of W steps, shot by shot.

    Args:
        circuit: The circuit of one step.
        angles: Its angles in radians.
        encoding: The angle of every rotation of the encoding.
        settings: What is turned in each of the J circuits.
        uniforms: In [0, 1), one a shot, step, sample and turned neuron (setting by setting).
        noise: The rates of imperfect gates; None for none.
        driven: With noise: whether a rotation is placed, its current being positive.

    Raises:
        ValueError: More qubits than density matrices take, with noise.
    """
    shots = uniforms.shape[1]
    numbers = uniforms.flatten(1, 2)  # (W, shots * B, J * H)
    turned = _turned_encoding(encoding, settings)
    bits, memory = [], None
    for step, step_angles in enumerate(turned):
        repeated = step_angles.expand(shots, -1, -1, -1).flatten(0, 1)  # (shots * B, J * H, E)
        rotations = [angle.contiguous()[None] for angle in repeated.unbind(-1)]
        parameters = _turned(circuit, angles, settings, step)
        if noise is None:
            instrument = quantum.prepare(_unshared(circuit), parameters)
            if memory is None:
                memory = quantum.ground_state(instrument, numbers.shape[1])
            result = trajectory.run(
                instrument, memory, rotations, uniforms=numbers[step : step + 1]
            )
        elif driven is None:
            raise ValueError("driven is None; with noise it must say which rotations are placed")
        else:
            noisy = noisy_instrument.prepare(_unshared(circuit), parameters, noise)
            if memory is None:
                memory = noisy_instrument.ground_state(noisy, numbers.shape[1])
            placed = _placed(driven[step], settings, step).expand(shots, -1, -1, -1).flatten(0, 1)
            result = noisy_trajectory.run_density(
                noisy, memory, rotations, placed[None], uniforms=numbers[step : step + 1]
            )
        memory = result.memory
        bits.append(result.bits[0] > 0)
    spikes = torch.stack(bits)  # (W, shots * B, J * H, N)
    return (
        spikes.unflatten(1, (shots, -1)).unflatten(3, (len(settings), -1)).permute(3, 1, 0, 2, 4, 5)
    )


def _unshared(circuit: Circuit) -> Circuit:
    """The circuit with an angle of its own for every gate, so that one gate can be turned alone."""
    number = count()
    gates = tuple(
        gate if gate.parameter is None else gate._replace(parameter=next(number))
        for gate in circuit.gates
    )
    return replace(circuit, gates=gates)


def _turned(
    circuit: Circuit, angles: Tensor, settings: Sequence[Setting], step: int
) -> Float[Tensor, "JH gates"]:
    """The angle of every gate of one step, setting by setting."""
    placed = [g for g, gate in enumerate(circuit.gates) if gate.parameter is not None]
    parameters = [circuit.gates[g].parameter for g in placed]
    turned = angles[:, parameters].repeat(len(settings), 1, 1)  # (J, H, gates)
    for j, setting in enumerate(settings):
        for shift in setting:
            if shift.place == "gate" and shift.step == step:
                turned[j, :, placed.index(shift.index)] += shift.angle
    return turned.flatten(0, 1)


def _turned_encoding(
    encoding: Tensor, settings: Sequence[Setting]
) -> Float[Tensor, "W B JH rotations"]:
    turned = encoding[:, :, None].repeat(1, 1, len(settings), 1, 1)  # (W, B, J, H, E)
    for j, setting in enumerate(settings):
        for shift in setting:
            if shift.place == "encoding":
                turned[shift.step, :, j, :, shift.index] += shift.angle
    return turned.flatten(2, 3)


def _placed(
    driven: Tensor, settings: Sequence[Setting], step: int
) -> Bool[Tensor, "B JH rotations"]:
    placed = driven[:, None].repeat(1, len(settings), 1, 1)  # (B, J, H, E)
    for j, setting in enumerate(settings):
        for shift in setting:
            if shift.place == "encoding" and shift.step == step:
                placed[:, j, :, shift.index] = True
    return placed.flatten(1, 2)
