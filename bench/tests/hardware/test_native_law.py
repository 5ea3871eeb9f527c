"""The law of what a device records: against the slow reference, and by hand."""

from dataclasses import replace

import noisy_reference
import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose

from sqsnn.quantum.noise import Noise, relaxation
from sqsnn_bench.native_law import Applied, Idle, Measured, Operation, Reset, recorded_law

X = reference.PAULI["X"]
RIGHT = np.eye(2)
RATES = {
    "depolarising_1q": 0.03,
    "depolarising_2q": 0.08,
    "amplitude_damping_1q": 0.02,
    "amplitude_damping_2q": 0.05,
    "phase_damping_1q": 0.04,
    "phase_damping_2q": 0.06,
    "idle_depolarising": 0.01,
    "idle_amplitude_damping": 0.07,
    "idle_phase_damping": 0.09,
    "false_spike": 0.02,
    "missed_spike": 0.11,
}


def steps_of(neuron: reference.Neuron, currents: np.ndarray, noise: Noise) -> list[Operation]:
    """The steps of the reference's neuron, gate by gate, with a noise model's channels."""
    operations: list[Operation] = []
    for step, current in enumerate(currents):
        for gate in [*reference.encoding_gates(neuron, current), *neuron.gates]:
            local = gate._replace(qubits=tuple(range(len(gate.qubits))))
            unitary = reference.gate_matrix(local, len(gate.qubits))
            operations.append(Applied(unitary, gate.qubits, noise.after_gate(gate.qubits)))
        for n in range(neuron.channels):
            operations += [Measured(n, step * neuron.channels + n, noise.readout()), Reset(n)]
        idle = noise.while_idle(neuron.memory_qubits)
        shifted = [site._replace(qubits=(site.qubits[0] + neuron.channels,)) for site in idle]
        operations.append(Idle(tuple(shifted)))
    return operations


def random_neuron(
    name: str, channels: int, memory_qubits: int, steps: int
) -> tuple[reference.Neuron, np.ndarray]:
    random = np.random.default_rng(0)
    angles, gains = random.normal(0, 1.5, 20), random.normal(1, 0.3, 5)
    currents = random.uniform(-0.3, 1, (steps, channels))
    return reference.named(name, channels, memory_qubits, angles, gains), currents


SIZES = [
    ("crx", 1, 1, 5),
    ("bidirectional", 2, 1, 2),
    ("integrate_and_fire", 1, 2, 3),
    ("hardware_efficient", 1, 1, 4),
]


@pytest.mark.parametrize(("name", "channels", "memory_qubits", "steps"), SIZES)
def test_without_noise_it_is_the_law_of_the_neuron(name, channels, memory_qubits, steps):
    neuron, currents = random_neuron(name, channels, memory_qubits, steps)
    law = recorded_law(steps_of(neuron, currents, Noise()), neuron.qubits, steps * channels)
    assert_allclose(law, reference.joint_law(neuron, currents), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("name", "channels", "memory_qubits", "steps"), SIZES)
def test_with_noise_it_is_the_law_of_the_noisy_neuron(name, channels, memory_qubits, steps):
    neuron, currents = random_neuron(name, channels, memory_qubits, steps)
    law = recorded_law(steps_of(neuron, currents, Noise(**RATES)), neuron.qubits, steps * channels)
    noisy = replace(neuron, noise=noisy_reference.noise(channels, memory_qubits, **RATES))
    assert_allclose(law, reference.joint_law(noisy, currents), rtol=0, atol=1e-13)


# By hand


def test_the_true_outcome_collapses_and_a_wrong_record_does_not():
    # A sure 1 is read twice, each time missed with probability 0.2, apart from each other.
    often_missed = np.array([[1, 0.2], [0, 0.8]])
    law = recorded_law(
        [Applied(X, (0,)), Measured(0, 0, often_missed), Measured(0, 1, often_missed)], 1, 2
    )
    assert_allclose(law, [0.04, 0.16, 0.16, 0.64])


def test_a_half_is_read_the_same_twice_and_reset_forgets_it():
    turned = Applied(reference.gate_matrix(reference.Gate("RX", (0,), np.pi / 2), 1), (0,))
    twice = [turned, Measured(0, 0, RIGHT), Measured(0, 1, RIGHT), Reset(0), Measured(0, 2, RIGHT)]
    assert_allclose(recorded_law(twice, 1, 3), [0.5, 0, 0, 0, 0, 0, 0.5, 0], atol=1e-15)


def test_a_waiting_excited_qubit_decays_with_t1():
    law = recorded_law(
        [Applied(X, (1,)), Idle(relaxation(1, 3.0, 2.0, 1.0)), Measured(1, 0, RIGHT)], 2, 1
    )
    assert_allclose(law, [1 - np.exp(-1.5), np.exp(-1.5)])


def test_bit_0_comes_first_whenever_it_was_measured():
    late = [Applied(X, (0,)), Measured(1, 1, RIGHT), Measured(0, 0, RIGHT)]
    assert_allclose(recorded_law(late, 2, 2), [0, 0, 1, 0])


def test_the_first_of_a_gates_qubits_is_its_most_significant():
    controlled = Applied(reference.gate_matrix(reference.Gate("CX", (0, 1)), 2), (2, 0))
    measured = [Measured(q, q, RIGHT) for q in range(3)]
    law = recorded_law([Applied(X, (2,)), controlled, *measured], 3, 3)
    assert law.argmax() == 0b101


# Refusals


@pytest.mark.parametrize(
    ("operations", "qubits", "bits", "message"),
    [
        ([], 6, 1, r"qubits is 6; .* 1\.\.5"),
        ([], 1, 11, r"bits is 11; .* 1\.\.10: take fewer steps"),
        ([], 1, 1, r"record the bits \[\]; each of 0\.\.0 must be recorded once"),
        ([Measured(0, 0, RIGHT)] * 2, 1, 1, r"record the bits \[0, 0\]"),
        ([Reset(1), Measured(0, 0, RIGHT)], 1, 1, r"Reset acts on qubit 1; there are 0\.\.0"),
        (
            [Idle(relaxation(3, 1.0, 1.0, 1.0)), Measured(0, 0, RIGHT)],
            2,
            1,
            r"Idle acts on qubit 3; there are 0\.\.1",
        ),
    ],
)
def test_what_cannot_be_computed_is_refused(operations, qubits, bits, message):
    with pytest.raises(ValueError, match=message):
        recorded_law(operations, qubits, bits)
