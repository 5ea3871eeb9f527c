"""Replayed circuits: turned as settings say, and samples that follow their law."""

import itertools
import math

import learning_reference
import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tools import (
    CIRCUITS,
    circuit_cases,
    currents_of_both_signs,
    encoded,
    quantum_neurons,
    replayed_law,
    seeded,
)
from torch import Tensor

from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import replay
from sqsnn.quantum.circuit import Circuit, Normal
from sqsnn.quantum.noise import Noise
from sqsnn.quantum.shift_rules import Shift, Shifts

pytestmark = pytest.mark.usefixtures("device")

CASES = circuit_cases(CIRCUITS, channels=(1, 2))
NOISE = Noise(
    depolarising_1q=0.1,
    depolarising_2q=0.05,
    amplitude_damping_1q=0.08,
    phase_damping_2q=0.1,
    idle_amplitude_damping=0.1,
    false_spike=0.05,
    missed_spike=0.1,
)


def law_of(neurons: SQSNeurons, currents: Tensor, settings: list[Shifts]) -> Tensor:
    angles = neurons.angles.detach()
    return replayed_law(neurons.circuit, angles, encoded(neurons, currents), settings)


def some_settings(circuit: Circuit, steps: int) -> list[Shifts]:
    """Nothing, one gate, one rotation of the encoding, several at several steps, one twice."""
    turnable = [g for g, gate in enumerate(circuit.gates) if gate.parameter is not None]
    first, last = turnable[0], turnable[-1]
    return [
        (),
        (Shift(steps - 1, "gate", first, 0.8),),
        (Shift(steps - 1, "encoding", 0, -1.1),),
        (
            Shift(0, "encoding", len(circuit.encoding) - 1, 0.6),
            Shift(steps - 1, "gate", last, 2.5),
            Shift(0, "gate", first, -0.4),
            Shift(0, "gate", first, 1.1),
        ),
    ]


def sequences(steps: int, channels: int) -> np.ndarray:
    """All spike sequences, (2**(N T), T, N), the first step in the most significant digits."""
    rows = list(itertools.product((0, 1), repeat=steps * channels))
    return np.array(rows).reshape(-1, steps, channels)


# The law


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_the_law_without_shifts_is_the_neurons(name, channels, memory_qubits):
    neurons = quantum_neurons(name, channels, memory_qubits)
    currents = currents_of_both_signs(neurons, 3)
    law = law_of(neurons, currents, [(), ()])
    assert law.shape == (2, 2, 2, 2 ** (3 * channels))
    expected = neurons.sequence_probabilities(currents).detach()
    torch.testing.assert_close(law[0], expected, rtol=0, atol=1e-13)
    assert torch.equal(law[0], law[1])


@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits"), [case for case in CASES if sum(case[1:]) <= 3]
)
def test_the_law_with_shifts_is_the_references(name, channels, memory_qubits):
    steps = 2
    neurons = quantum_neurons(name, channels, memory_qubits)
    currents = currents_of_both_signs(neurons, steps)
    settings = some_settings(neurons.circuit, steps)
    law = law_of(neurons, currents, settings)
    for j, h in itertools.product(range(len(settings)), (0, 1)):
        which = (
            name,
            channels,
            memory_qubits,
            neurons.angles[h].tolist(),
            neurons.gains[h].tolist(),
        )
        for s, spikes in enumerate(sequences(steps, channels)):
            expected = learning_reference.joint_probability(
                *which, currents[:, 1, h].tolist(), spikes, [tuple(shift) for shift in settings[j]]
            )
            assert law[j, 1, h, s].item() == pytest.approx(expected, abs=1e-12)
    assert (law[1:] - law[0]).abs().amax((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("place", ["gate", "encoding"])
def test_every_neuron_can_have_a_shift_of_its_own(place):
    neurons = quantum_neurons("integrate_and_fire", size=3)
    currents = currents_of_both_signs(neurons, 2)
    angles = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    together = law_of(neurons, currents, [(Shift(1, place, 1, angles),)])[0]
    for h, angle in enumerate(angles.tolist()):
        alone = law_of(neurons, currents, [(Shift(1, place, 1, angle),)])[0]
        torch.testing.assert_close(together[:, h], alone[:, h], rtol=0, atol=1e-14)


def test_a_shift_of_the_encoding_acts_where_no_current_flows():
    neurons = quantum_neurons("crx")
    currents = currents_of_both_signs(neurons, 2).abs().neg()
    shift = Shift(0, "encoding", 0, 0.9)
    law = law_of(neurons, currents, [(), (shift,)])
    driven = currents.clone()
    driven[0] = 0.9 / math.pi
    expected = neurons.sequence_probabilities(driven).detach()
    torch.testing.assert_close(law[1], expected, rtol=0, atol=1e-13)
    assert (law[0] - law[1]).abs().max() > 1e-2


def test_a_fixed_gate_before_a_turned_one_does_not_move_the_index():
    placements = [
        ("H", (0,), None),
        ("CZ", (0, 1), None),
        ("RY", (1,), Normal()),
        ("H", (1,), None),
    ]
    placements += [("CRY", (1, 0), Normal())]
    neurons = quantum_neurons(Circuit.build(1, 1, placements))
    currents = currents_of_both_signs(neurons, 2)
    for index, parameter in ((2, 0), (4, 1)):
        every = (Shift(0, "gate", index, 0.7), Shift(1, "gate", index, 0.7))
        found = law_of(neurons, currents, [every])[0]
        moved = neurons.angles.detach().clone()
        moved[:, parameter] += 0.7
        circuit = neurons.circuit
        expected = replayed_law(circuit, moved, encoded(neurons, currents), [()])[0]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
        assert (found - law_of(neurons, currents, [()])[0]).abs().max() > 1e-3


# Samples

SHOTS = 4000


def drawn(
    neurons: SQSNeurons,
    currents: Tensor,
    settings: list[Shifts],
    shots: int = SHOTS,
    seed: int = 3,
) -> Tensor:
    """(J, shots, W, B, H, N)."""
    steps, batch = currents.shape[:2]
    shape = (steps, shots, batch, len(settings) * neurons.size)
    uniforms = torch.rand(shape, generator=seeded(seed), dtype=torch.float64)
    return replay.sample(
        neurons.circuit,
        neurons.angles.detach(),
        encoded(neurons, currents),
        settings,
        uniforms,
        noise=neurons.noise,
        driven=neurons.driven(currents),
    )


def counts(bits: Tensor) -> Tensor:
    """How often each sequence came, (J, B, H, sequences)."""
    steps, channels = bits.shape[2], bits.shape[-1]
    order = bits.permute(0, 3, 4, 1, 2, 5).flatten(-2).long()  # (J, B, H, shots, digits)
    digits = steps * channels
    index = (order << torch.arange(digits - 1, -1, -1)).sum(-1)
    return torch.nn.functional.one_hot(index, 2**digits).sum(-2)


def p_values(found: Tensor, law: Tensor) -> list[float]:
    """Of chi-square tests, rare sequences (below 5 expected) counted together."""
    values = []
    for seen, chance in zip(
        found.flatten(0, -2).cpu().numpy(), law.flatten(0, -2).cpu().numpy(), strict=True
    ):
        expected = chance * seen.sum()
        rare = expected < 5
        if rare.any():
            seen = np.append(seen[~rare], seen[rare].sum())
            expected = np.append(expected[~rare], expected[rare].sum())
        if expected[-1] < 1e-3:  # impossible: chi-square has nothing to say
            assert seen[-1] == 0
            seen, expected = seen[:-1], expected[:-1]
        values.append(chisquare(seen, expected, sum_check=False).pvalue)
    return values


def assert_follows(found: Tensor, law: Tensor) -> None:
    """All chi-square p-values exceed 1e-6, which 16 tests of a right sampler fail at one seed in
    60,000; and the samples do not follow the neighbour's law: the test can tell."""
    values = p_values(found, law)
    assert len(values) <= 16
    assert min(values) > 1e-6
    assert min(p_values(found, law.roll(1, dims=-1))) < 1e-6


@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits"),
    [(name, 1, 1) for name in CIRCUITS] + [("bidirectional", 2, 1), ("crx", 1, 3), ("crx", 2, 0)],
)
def test_samples_follow_the_law(name, channels, memory_qubits):
    neurons = quantum_neurons(name, channels, memory_qubits)
    currents = currents_of_both_signs(neurons, 2)
    settings = some_settings(neurons.circuit, 2)
    bits = drawn(neurons, currents, settings)
    assert bits.shape == (4, SHOTS, 2, 2, 2, channels)
    assert bits.dtype == torch.bool
    assert_follows(counts(bits), law_of(neurons, currents, settings))


@pytest.mark.parametrize("name", CIRCUITS)
def test_noisy_samples_follow_the_noisy_neurons_law(name):
    neurons = quantum_neurons(name, noise=NOISE)
    currents = currents_of_both_signs(neurons, 2)
    law = neurons.sequence_probabilities(currents).detach()[None]
    assert_follows(counts(drawn(neurons, currents, [()])), law)


def test_a_shifted_rotation_brings_its_noise_where_no_current_flows():
    # A rotation by a shift and one by a current are the same gate, with the same noise after it.
    noise = Noise(depolarising_1q=0.6)
    neurons = quantum_neurons("crx", noise=noise)
    silent = currents_of_both_signs(neurons, 2).abs().neg()
    turn = 1.3
    driven = silent.clone()
    driven[1] = turn / math.pi
    settings: list[Shifts] = [(Shift(1, "encoding", 0, turn),)]
    found = counts(drawn(neurons, silent, settings))
    law = neurons.sequence_probabilities(driven).detach()[None]
    assert min(p_values(found, law)) > 1e-6
    # Without the noise of that gate the law is another one: a placed gate of a vanishing angle.
    faint = silent.clone()
    faint[1] = 1e-12
    placed, absent = (neurons.sequence_probabilities(z).detach() for z in (faint, silent))
    none: list[Shifts] = [(Shift(1, "encoding", 0, 0.0),), (Shift(0, "gate", 0, 0.0),)]
    found = counts(drawn(neurons, silent, none))
    assert min(p_values(found, torch.stack([placed, absent]))) > 1e-6
    assert min(p_values(found, torch.stack([absent, placed]))) < 1e-6


def test_noisy_shifted_samples_follow_the_law_of_other_angles():
    # Shifted at every step, a gate has another angle: the noisy law of other neurons.
    neurons = quantum_neurons("integrate_and_fire", noise=NOISE)
    currents = currents_of_both_signs(neurons, 2)
    settings: list[Shifts] = [
        tuple(Shift(step, "gate", index, 1.9) for step in (0, 1)) for index in (0, 3)
    ]
    found = counts(drawn(neurons, currents, settings))
    for j, parameter in enumerate((0, 3)):
        moved = quantum_neurons("integrate_and_fire", noise=NOISE)
        with torch.no_grad():
            moved.angles[:, parameter] += 1.9
            law = moved.sequence_probabilities(currents)[None]
        assert_follows(found[j : j + 1], law)


@pytest.mark.parametrize("noise", [None, NOISE])
def test_neurons_sample_with_shifts_of_their_own(noise):
    neurons = quantum_neurons("bidirectional", size=2, noise=noise)
    currents = currents_of_both_signs(neurons, 2)
    angles = torch.tensor([0.0, 2.2], dtype=torch.float64)
    place = (1, "gate", len(neurons.circuit.gates) - 1)
    plain, own, same = (
        drawn(neurons, currents, [setting], shots=200)
        for setting in ((), (Shift(*place, angles),), (Shift(*place, 2.2),))
    )
    # The uniforms are the same ones, so equal circuits give equal bits.
    assert torch.equal(own[..., 0, :], plain[..., 0, :])
    assert torch.equal(own[..., 1, :], same[..., 1, :])
    assert not torch.equal(own[..., 1, :], plain[..., 1, :])


@pytest.mark.parametrize("noise", [None, NOISE])
def test_the_same_uniforms_give_the_same_spikes(noise):
    neurons = quantum_neurons("hardware_efficient", noise=noise)
    currents = currents_of_both_signs(neurons, 3)
    settings = some_settings(neurons.circuit, 3)
    one, same, other = (
        drawn(neurons, currents, settings, shots=50, seed=seed) for seed in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_unshifted_shots_are_runs_of_the_neurons_bit_for_bit():
    neurons = quantum_neurons("bidirectional", channels=2)
    currents, shots = currents_of_both_signs(neurons, 4, batch=3), 7
    uniforms = torch.rand((4, shots, 3, 2), generator=seeded(3), dtype=torch.float64)
    bits = replay.sample(
        neurons.circuit,
        neurons.angles.detach(),
        encoded(neurons, currents),
        [()],
        uniforms,
        driven=neurons.driven(currents),
    )
    for shot in range(shots):
        record, _ = neurons(currents, uniforms=uniforms[:, shot].contiguous())
        assert torch.equal(bits[0, shot].double(), record.spikes)
