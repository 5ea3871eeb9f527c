"""Exact laws of intervals against sums over all sequences, renewal theory and long samples."""

import itertools

import numpy as np
import pytest
import reference

from sqsnn.spike_trains import laws


def kraus_of(name: str, channels: int, memory_qubits: int, seed: int) -> np.ndarray:
    """Kraus operators without input, by the reference, at random angles."""
    gates = reference.placements(name, channels, memory_qubits)
    count = sum(gate.parameter is not None for gate in gates)
    angles = np.random.default_rng(seed).normal(0, 1.5, count).tolist()
    gains = [1.0] * (channels + memory_qubits)
    neuron = reference.named(name, channels, memory_qubits, angles, gains)
    return reference.kraus_operators(neuron, [0.0] * channels)


CASES = [("clock", 1, 1), ("clock", 1, 2), ("universal", 2, 1), ("crx", 2, 2)]


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_the_mean_memory_is_a_state_that_one_more_step_leaves_as_it_is(
    name, channels, memory_qubits
):
    kraus = kraus_of(name, channels, memory_qubits, seed=1)
    mean = laws.stationary(kraus)
    assert abs(mean.trace() - 1) < 1e-12
    assert np.linalg.eigvalsh(mean).min() > -1e-12
    after = sum(K @ mean @ K.conj().T for K in kraus)
    np.testing.assert_allclose(after, mean, atol=1e-10)


def test_the_mean_memory_of_a_cycle_is_that_over_its_steps():
    # A memory that a flip turns over at every step: no power of the channel converges.
    flip = np.array([[0, 1], [1, 0]], complex)
    kraus = np.stack([np.sqrt(0.5) * flip, np.sqrt(0.5) * flip])
    np.testing.assert_allclose(laws.stationary(kraus), np.eye(2) / 2, atol=1e-12)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_intervals_and_autocorrelation_are_sums_over_all_sequences(name, channels, memory_qubits):
    kraus = kraus_of(name, channels, memory_qubits, seed=2)
    longest, outcomes = 4, range(len(kraus))
    for unit in range(channels):
        fires = [s >> (channels - 1 - unit) & 1 for s in outcomes]
        mean = laws.stationary(kraus)
        pairs, first, interval = np.zeros(longest), 0.0, np.zeros(longest)
        for sequence in itertools.product(outcomes, repeat=longest + 1):
            if not fires[sequence[0]]:
                continue
            rho = mean
            for s in sequence:
                rho = kraus[s] @ rho @ kraus[s].conj().T
            chance, later = rho.trace().real, [fires[s] for s in sequence[1:]]
            first += chance
            pairs += chance * np.array(later)
            if any(later):
                interval[later.index(1)] += chance
        found = laws.after_a_spike(kraus, channels, unit)
        np.testing.assert_allclose(laws.interval_law(found, longest), interval / first, atol=1e-12)
        np.testing.assert_allclose(laws.rate_after_spike(found, longest), pairs / first, atol=1e-12)


def test_intervals_of_a_stationary_train_have_the_mean_of_one_over_its_rate():
    # Kac's lemma, for any stationary process.
    kraus = kraus_of("clock", 1, 2, seed=3)
    mean = laws.stationary(kraus)
    rate = (kraus[1] @ mean @ kraus[1].conj().T).trace().real
    law = laws.interval_law(laws.after_a_spike(kraus, 1, 0), 3000)
    assert abs(law.sum() - 1) < 1e-9
    assert abs((law * np.arange(1, 3001)).sum() * rate - 1) < 1e-6


def test_without_memory_intervals_are_geometric():
    kraus = np.sqrt(np.array([0.7, 0.3])).reshape(2, 1, 1).astype(complex)
    found = laws.after_a_spike(kraus, 1, 0)
    expected = 0.3 * 0.7 ** np.arange(5)
    np.testing.assert_allclose(laws.interval_law(found, 5), expected, rtol=1e-12)
    np.testing.assert_allclose(laws.rate_after_spike(found, 5), np.full(5, 0.3), rtol=1e-12)


def test_a_unit_that_never_fires_is_refused():
    silent = np.array([np.eye(2), np.zeros((2, 2))], complex)
    with pytest.raises(ValueError, match="unit 0 never fires"):
        laws.after_a_spike(silent, 1, 0)
