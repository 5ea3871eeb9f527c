"""Noise: channels are channels, have their textbook forms, and stand where the model says."""

import math
from dataclasses import fields

import numpy as np
import pytest
import reference
import torch
from numpy.testing import assert_allclose
from tools import seeded
from torch.testing import assert_close

from sqsnn.quantum import circuits, density, noise, sampled_noise
from sqsnn.quantum.circuit import Circuit, Encoded, Normal
from sqsnn.quantum.noise import Noise

pytestmark = pytest.mark.usefixtures("device")

RATES = {field.name: 0.02 * place for place, field in enumerate(fields(Noise), start=1)}

CHANNELS = {
    "depolarising, 1 qubit": lambda rate: noise.depolarising(rate, 1),
    "depolarising, 2 qubits": lambda rate: noise.depolarising(rate, 2),
    "amplitude damping": noise.amplitude_damping,
    "phase damping": noise.phase_damping,
}


def random_state(qubits: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    real, imaginary = generator.normal(size=(2, 2**qubits, 2**qubits))
    root = real + 1j * imaginary
    rho = root @ root.conj().T
    return rho / np.trace(rho)


def through(kraus: np.ndarray, rho: np.ndarray) -> np.ndarray:
    return np.einsum("kab,bc,kdc->ad", kraus, rho, kraus.conj())


def pauli_products(qubits: int) -> list[np.ndarray]:
    single = [reference.PAULI[axis] for axis in "IXYZ"]
    products = [np.eye(1)]
    for _ in range(qubits):
        products = [np.kron(product, pauli) for product in products for pauli in single]
    return products


def choi(transfer: np.ndarray) -> np.ndarray:
    """sum_PQ R_PQ P (x) Q^T / (d_in d_out): a state if and only if R is a channel."""
    rows, columns = transfer.shape
    after, before = (pauli_products(int(math.log2(n)) // 2) for n in (rows, columns))
    terms = [
        transfer[i, j] * np.kron(P, Q.T) for i, P in enumerate(after) for j, Q in enumerate(before)
    ]
    # rho = sum_Q r_Q Q / d_in goes to sum_P (R r)_P P / d_out.
    return np.sum(terms, axis=0) / math.sqrt(rows * columns)


# Channels


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.3, 1.0])
def test_channels_are_completely_positive_and_keep_the_trace(name, rate):
    kraus = CHANNELS[name](rate)
    assert_close((kraus.conj().swapaxes(1, 2) @ kraus).sum(0), np.eye(kraus.shape[-1]) + 0j)
    transfer = density.transfer_matrix(torch.as_tensor(kraus)).cpu().numpy()
    assert np.linalg.eigvalsh(choi(transfer)).min() > -1e-14
    assert_close(transfer[0], np.eye(len(transfer))[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", CHANNELS)
def test_a_row_of_a_kraus_operator_has_one_element_as_the_sampler_needs(name):
    assert np.count_nonzero(CHANNELS[name](0.3), axis=-1).max() == 1


@pytest.mark.parametrize("qubits", [1, 2])
def test_depolarising_mixes_in_the_identity(qubits):
    rho, dim = random_state(qubits), 2**qubits
    for rate in (0.0, 0.3, 1.0):
        expected = (1 - rate) * rho + rate * np.eye(dim) / dim
        assert_close(through(noise.depolarising(rate, qubits), rho), expected)


def test_amplitude_damping_moves_the_excited_population_to_the_ground():
    rho = random_state(1)
    for rate in (0.0, 0.3, 1.0):
        after = through(noise.amplitude_damping(rate), rho)
        assert_close(after[1, 1], (1 - rate) * rho[1, 1])
        assert_close(after[0, 1], math.sqrt(1 - rate) * rho[0, 1])
    assert_close(after, np.diag([1.0 + 0j, 0]))


def test_phase_damping_shrinks_coherence_alone():
    rho = random_state(1)
    for rate in (0.0, 0.3, 1.0):
        after = through(noise.phase_damping(rate), rho)
        assert_close(after.diagonal().copy(), rho.diagonal().copy())
        assert_close(after[0, 1], math.sqrt(1 - rate) * rho[0, 1])


# Relaxation


@pytest.mark.parametrize(("t1", "t2"), [(2.0, 1.0), (2.0, 4.0), (np.inf, 3.0)])
def test_populations_relax_with_t1_and_coherence_with_t2(t1, t2):
    rho, time = np.array([[0.4, 0.3 - 0.2j], [0.3 + 0.2j, 0.6]]), 0.7
    after = rho
    for site in noise.relaxation(0, time, t1, t2):
        after = through(site.kraus, after)
    assert_allclose(after[1, 1], 0.6 * np.exp(-time / t1))
    assert_allclose(after[0, 1], (0.3 - 0.2j) * np.exp(-time / t2))


def test_a_t2_that_no_qubit_can_have_counts_as_twice_t1():
    assert noise.damping_rates(0.7, 2.0, 9.0) == noise.damping_rates(0.7, 2.0, 4.0)
    assert noise.damping_rates(0.7, 2.0, 9.0)[1] < 1e-15


def test_no_time_and_no_relaxation_leave_no_channel():
    assert noise.relaxation(0, 0.0, 2.0, 1.0) == noise.relaxation(0, 5.0, np.inf, np.inf) == ()


@pytest.mark.parametrize("times", [(-1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, -2.0)])
def test_times_out_of_range_are_refused(times):
    with pytest.raises(ValueError, match="must be at least 0, the others positive"):
        noise.relaxation(0, *times)


# The model


def test_a_model_without_rates_has_no_channels_and_reads_without_error():
    assert Noise().after_gate((0,)) == Noise().after_gate((0, 1)) == Noise().while_idle(3) == ()
    assert_close(Noise().readout(), np.eye(2))


def test_scaled_rates_are_multiples_that_stop_at_1():
    model = Noise(depolarising_2q=0.2, idle_phase_damping=0.05, missed_spike=0.4)
    assert model.scaled(3.0) == Noise(
        depolarising_2q=0.2 * 3, idle_phase_damping=0.05 * 3, missed_spike=1.0
    )
    assert model.scaled(0.0) == Noise()


def test_each_place_has_its_own_rates():
    model = Noise(**RATES)
    first, second, idle = (
        model.after_gate((2,)),
        model.after_gate((2, 0)),
        model.while_idle(2),
    )
    expected = [
        ((2,), noise.depolarising(RATES["depolarising_1q"], 1)),
        ((2,), noise.amplitude_damping(RATES["amplitude_damping_1q"])),
        ((2,), noise.phase_damping(RATES["phase_damping_1q"])),
        ((2, 0), noise.depolarising(RATES["depolarising_2q"], 2)),
        ((2,), noise.amplitude_damping(RATES["amplitude_damping_2q"])),
        ((0,), noise.amplitude_damping(RATES["amplitude_damping_2q"])),
        ((2,), noise.phase_damping(RATES["phase_damping_2q"])),
        ((0,), noise.phase_damping(RATES["phase_damping_2q"])),
        ((0,), noise.depolarising(RATES["idle_depolarising"], 1)),
        ((0,), noise.amplitude_damping(RATES["idle_amplitude_damping"])),
        ((0,), noise.phase_damping(RATES["idle_phase_damping"])),
        ((1,), noise.depolarising(RATES["idle_depolarising"], 1)),
        ((1,), noise.amplitude_damping(RATES["idle_amplitude_damping"])),
        ((1,), noise.phase_damping(RATES["idle_phase_damping"])),
    ]
    for site, (qubits, kraus) in zip([*first, *second, *idle], expected, strict=True):
        assert site.qubits == qubits
        assert_close(site.kraus, kraus)
    false, missed = RATES["false_spike"], RATES["missed_spike"]
    assert_close(model.readout(), np.array([[1 - false, missed], [false, 1 - missed]]))


@pytest.mark.parametrize("name", RATES)
def test_a_rate_that_is_no_probability_is_refused_by_its_name(name):
    for wrong in (-0.1, 1.5, math.nan, True, "0.5", None):
        with pytest.raises(ValueError, match=rf"Noise: {name}: .*, but is {wrong!r}"):
            Noise(**{name: wrong})
    for right in (0, 0.5, np.float64(0.5), 1):
        assert getattr(Noise(**{name: right}), name) == right


# The step


@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits"),
    [("bidirectional", 1, 1), ("hardware_efficient", 2, 1), ("crx", 1, 0), ("crx", 1, 2)],
)
def test_a_noisy_step_is_a_channel_from_memory_to_record_and_memory(name, channels, memory_qubits):
    circuit = circuits.get(name, channels, memory_qubits)
    generator = seeded(0)
    angles = torch.randn((2, circuit.parameters), generator=generator, dtype=torch.float64)
    step = density.prepare(circuit, angles, Noise(**RATES))
    outcomes, size = 2**channels, 4**memory_qubits
    for neuron in step.evolution.unflatten(1, (outcomes, size)).cpu().numpy():
        for branch in neuron:
            assert np.linalg.eigvalsh(choi(branch)).min() > -1e-14
        total = neuron[:, 0].sum(0)
        assert_close(total, np.eye(len(total))[0], rtol=0, atol=1e-14)


def test_density_matrices_and_pauli_vectors_are_the_same_states():
    circuit = circuits.get("crx", 1, 2)
    step = density.prepare(circuit, torch.zeros(1, 5, dtype=torch.float64), Noise())
    rho = random_state(2)
    pauli = density.to_pauli(step, torch.as_tensor(rho[None]))
    expected = [[np.trace(P @ rho).real for P in pauli_products(2)]]
    assert_close(pauli, torch.tensor(expected, dtype=torch.float64))
    assert_close(density.to_density(step, pauli), torch.as_tensor(rho[None]))


def test_a_sampled_step_takes_a_number_for_the_outcome_each_readout_and_each_site():
    placements = [("RX", (0,), Normal()), ("H", (1,), None), ("CZ", (0, 1), None)]
    encoding = [Encoded(0, 0, 0.0, trainable=True), Encoded(2, 1)]  # channel 1: no gate
    circuit = Circuit.build(2, 1, placements, encoding)
    for model, sites in {
        Noise(false_spike=0.1): 0,
        Noise(depolarising_1q=0.1): 4,
        Noise(amplitude_damping_1q=0.1, phase_damping_1q=0.1): 8,
        Noise(depolarising_2q=0.1): 1,
        Noise(amplitude_damping_2q=0.1): 2,
        Noise(idle_depolarising=0.1, idle_phase_damping=0.1): 2,
    }.items():
        assert sampled_noise.uniforms_per_step(circuit, model) == 1 + 2 + sites


def test_five_qubits_are_too_many_for_density_matrices():
    circuit = circuits.get("crx", 2, 3)
    with pytest.raises(ValueError, match=r"channels \+ memory_qubits is 5; .* up to 4 qubits"):
        density.prepare(circuit, torch.zeros(1, circuit.parameters), Noise())
