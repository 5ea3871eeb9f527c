"""Drives: the law of a membrane before the circuit, likelihoods, samples and streams.

Gradients stand in `test_drive_gradients.py`, values and refusals in `test_drive_values.py`.
"""

import itertools
import math

import noisy_reference
import numpy as np
import pytest
import reference
import reference_drive
import torch
from tools import (
    assert_equal_states,
    circuit_cases,
    for_drives,
    p_value,
    quantum_neurons,
    seeded,
    twin,
)
from torch import Tensor
from torch.testing import assert_close

from sqsnn.neurons.drive import Leaky, Saturating
from sqsnn.neurons.sqs import SQSNeurons, SQSState
from sqsnn.quantum.noise import Noise

pytestmark = pytest.mark.usefixtures("device")

FEW = ("saturating", "leaky", "leaky, K = 2")
# All different, none small: a rate in the wrong place changes every probability.
RATES = {
    "depolarising_1q": 0.05,
    "depolarising_2q": 0.11,
    "amplitude_damping_1q": 0.07,
    "phase_damping_2q": 0.23,
    "idle_amplitude_damping": 0.17,
    "false_spike": 0.15,
    "missed_spike": 0.21,
}
NOISE = Noise(**RATES)
# Each chi-square test at a fixed seed raises a false alarm for one seed in ten thousand.
FALSE_ALARM = 1e-4


def strong_currents(steps: int, neurons: SQSNeurons, batch: int = 2) -> Tensor:
    """Currents `(T, B, H, N)`; those of sample 1 reach below the floor and then beyond the clip."""
    shape = (steps, batch, neurons.size, neurons.channels)
    currents = 0.8 * torch.randn(shape, generator=seeded(2), dtype=torch.float64) + 0.3
    currents[0, 1] -= 2.5
    currents[1, 1] += 1.0
    currents[2:3, 1] += 1.5
    return currents


def every_sequence(steps: int, channels: int) -> Tensor:
    """All spike sequences as one batch, `(T, 2**(N T), 1, N)`, in the order of their index."""
    rows = list(itertools.product((0.0, 1.0), repeat=steps * channels))
    spikes = torch.tensor(rows, dtype=torch.float64).unflatten(-1, (steps, 1, channels))
    return spikes.movedim(0, 1)


# The law


@for_drives()
@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits", "steps"),
    # Five steps, so that the last of four thetas acts.
    [(*case, 5) for case in circuit_cases(channels=(1,))]
    + [(*case, 3) for case in circuit_cases(channels=(2,))],
)
def test_the_law_is_the_references(name, channels, memory_qubits, steps, drive):
    neurons = quantum_neurons(name, channels, memory_qubits, drive=drive)
    currents = strong_currents(steps, neurons)
    law = neurons.sequence_probabilities(currents)
    expected = reference_drive.joint_law(*twin(neurons, 1), currents[:, 1, 1].tolist())
    assert_close(law[1, 1], torch.tensor(expected), rtol=0, atol=1e-12)


@for_drives(*FEW)
@pytest.mark.parametrize(
    ("name", "channels", "steps"),
    [("bidirectional", 2, 4), ("bidirectional", 3, 3), ("integrate_and_fire", 3, 3)],
)
def test_the_law_of_several_channels_is_the_references(name, channels, steps, drive):
    neurons = quantum_neurons(name, channels, 1, size=1, drive=drive)
    currents = strong_currents(steps, neurons)
    law = neurons.sequence_probabilities(currents)
    expected = reference_drive.joint_law(*twin(neurons, 0), currents[:, 1, 0].tolist())
    assert_close(law[1, 0], torch.tensor(expected), rtol=0, atol=1e-12)
    assert_close(law.sum(-1), torch.ones(2, 1, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_currents_of_these_tests_meet_the_floor_and_the_clip(channels):
    neurons = quantum_neurons("crx", channels, drive=Leaky())
    currents = strong_currents(3, neurons)[:, 1, 1].tolist()
    _, drive = twin(neurons, 1)
    for n in range(channels):
        silent = [[0.0] * channels] * 3
        charge = reference_drive.charges(drive, currents, silent, n)
        assert charge[0] < -1.1 and 0.1 < charge[1] < 0.95 and charge[2] > 1.1


@for_drives("leaky", "leaky, K = 2")
@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits"),
    circuit_cases(channels=(1,), memory_qubits=(0, 1, 2))
    + circuit_cases(channels=(2,), memory_qubits=(1,)),
)
def test_the_noisy_law_is_the_references(name, channels, memory_qubits, drive):
    # The drive sees the recorded spike, and a gate with its noise stands where u > 0 in that step.
    neurons = quantum_neurons(name, channels, memory_qubits, size=1, noise=NOISE, drive=drive)
    currents = strong_currents(4 - channels, neurons)
    law = neurons.sequence_probabilities(currents)
    noise = noisy_reference.noise(channels, memory_qubits, **RATES)
    expected = reference_drive.joint_law(*twin(neurons, 0, noise), currents[:, 1, 0].tolist())
    assert_close(law[1, 0], torch.tensor(expected), rtol=0, atol=1e-12)


@for_drives()
@pytest.mark.parametrize("noise", [None, NOISE])
def test_every_drawn_step_is_the_references(drive, noise):
    steps, channels = 6, 2
    neurons = quantum_neurons("bidirectional", channels, 1, noise=noise, drive=drive)
    currents = strong_currents(steps, neurons)
    uniforms = torch.rand((steps, 2, 2), generator=seeded(3), dtype=torch.float64)
    record, state = neurons(currents, uniforms=uniforms, keep_memory=True)
    noisy = noise and noisy_reference.noise(channels, 1, **RATES)
    for b, h in np.ndindex(2, 2):
        z, spikes = currents[:, b, h].tolist(), record.spikes[:, b, h].tolist()
        neuron, same = twin(neurons, h, noisy)
        for t, (law, memory) in enumerate(reference_drive.follow(neuron, same, z, spikes)):
            s = reference.outcome_index(spikes[t])
            assert s == reference.draw(law, float(uniforms[t, b, h]))
            marginals = torch.tensor(reference.marginals(law, channels))
            assert_close(record.probability[t, b, h], marginals, rtol=0, atol=1e-12)
            assert abs(record.log_likelihood[t, b, h].exp().item() - law[s]) < 1e-12
            found = record.memory[t, b, h]
            density = torch.outer(found, found.conj()) if noise is None else found
            assert_close(density, torch.tensor(memory), rtol=0, atol=1e-12)
        if isinstance(drive, Leaky):
            expected = torch.tensor(reference_drive.membrane(same, z, spikes), dtype=torch.float64)
            assert_close(state.membrane[b, h], expected, rtol=0, atol=1e-12)
            last = record.spikes[:, b, h].flip(0)[: drive.remembered_spikes].T
            assert torch.equal(state.spikes[b, h], last)


@for_drives()
def test_given_spikes_fix_what_is_encoded(drive):
    neurons = quantum_neurons("bidirectional", 2, 1, drive=drive)
    currents = strong_currents(6, neurons)
    spikes = torch.randint(0, 2, currents.shape, generator=seeded(4)).double()
    found = neurons.potentials(currents, spikes)
    for b, h in np.ndindex(2, 2):
        z, own = currents[:, b, h].tolist(), spikes[:, b, h].tolist()
        _, same = twin(neurons, h)
        expected = [reference_drive.potential(same, z[: t + 1], own) for t in range(6)]
        assert_close(
            found[:, b, h], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12
        )


# Likelihoods and Kraus operators


@for_drives()
@pytest.mark.parametrize(("channels", "steps"), [(1, 5), (2, 2)])
@pytest.mark.parametrize("noise", [None, NOISE])
def test_likelihoods_are_ratios_of_sequence_probabilities(drive, channels, steps, noise):
    neurons = quantum_neurons("bidirectional", channels, 1, size=1, noise=noise, drive=drive)
    currents = strong_currents(steps, neurons)[:, 1:]
    spikes = every_sequence(steps, channels)
    record, _ = neurons(currents.expand(-1, spikes.shape[1], -1, -1), observed=spikes)
    assert torch.equal(record.spikes, spikes)
    before = torch.ones(1, dtype=torch.float64)
    for t in range(steps):
        law = neurons.sequence_probabilities(currents[: t + 1])[0, 0]
        ratio = law / before.repeat_interleave(2**channels)
        found = record.log_likelihood[t, :, 0].exp()
        same = ratio.repeat_interleave(2 ** (channels * (steps - 1 - t)))
        assert_close(found, same, rtol=0, atol=1e-11)
        before = law


@for_drives()
@pytest.mark.parametrize(("channels", "steps"), [(1, 4), (2, 2)])
def test_kraus_operators_chained_with_the_state_are_the_law_and_complete(drive, channels, steps):
    neurons = quantum_neurons("hardware_efficient", channels, 2, size=1, drive=drive)
    currents = strong_currents(steps, neurons)[:, 1:]
    spikes = every_sequence(steps, channels)
    law = neurons.sequence_probabilities(currents)[0, 0]
    currents = currents.expand(-1, len(law), -1, -1)
    outcomes = (spikes[:, :, 0] @ 2 ** torch.arange(channels - 1, -1, -1).double()).long()
    state, memory = None, torch.eye(4, dtype=torch.complex128)[0].expand(len(law), 4)
    for t in range(steps):
        kraus = neurons.kraus_operators(currents[t], state)
        total = (kraus.mH @ kraus).sum(2)
        identity = torch.eye(4, dtype=total.dtype).expand_as(total)
        assert_close(total, identity, rtol=0, atol=1e-12)
        chosen = kraus[torch.arange(len(law)), 0, outcomes[t]]
        memory = (chosen @ memory[..., None])[..., 0]
        _, state = neurons(currents[t : t + 1], state, observed=spikes[t : t + 1])
    assert_close(memory.abs().square().sum(-1), law, rtol=0, atol=1e-12)


@pytest.mark.parametrize("drive", [Leaky(), Leaky(reset_steps=3)])
@pytest.mark.parametrize("current", [-0.4, 0.3, 0.9])
def test_without_memory_it_is_a_classical_membrane_whose_coin_is_a_qubit(drive, current):
    # A formula of its own, so that an error shared with the reference would show.
    neurons = SQSNeurons(1, memory_qubits=0, drive=drive, dtype=torch.float64, generator=seeded(0))
    assert neurons.angles.item() == pytest.approx(0.1)  # RX(channel)
    currents = torch.full((8, 1, 1, 1), current, dtype=torch.float64)
    record, _ = neurons(currents, generator=seeded(5))
    u, fired = 0.0, 0.0
    past: list[float] = []
    for t, spike in enumerate(record.spikes.flatten().tolist()):
        if drive.reset_steps is None:
            u = max(0.5 * u + current - fired, -1.0)
            seen = u
        else:
            u = max(0.5 * u + current, -1.0)
            seen = u - sum(0.5**k * s for k, s in enumerate(past[::-1][:3]))
        chance = math.sin((math.pi * min(max(seen, 0.0), 1.0) + 0.1) / 2) ** 2
        assert record.probability[t].item() == pytest.approx(chance, abs=1e-14)
        fired = spike
        past.append(spike)
    assert current < 0 or record.spikes.any()


def test_a_current_too_weak_to_fire_is_remembered():
    first, second = 0.4, 0.3
    currents = torch.tensor([first, second], dtype=torch.float64).reshape(2, 1, 1, 1)
    chances = {}
    for drive in (Saturating(), Leaky(beta=1.0)):
        neurons = SQSNeurons(
            1, memory_qubits=0, drive=drive, circuit="crx", dtype=torch.float64,
            generator=seeded(0),
        )  # fmt: skip
        with torch.no_grad():
            neurons.angles.zero_()
            record, _ = neurons(currents, observed=torch.zeros_like(currents))
        chances[drive.kind] = record.probability[1].item()
    assert chances["saturating"] == pytest.approx(math.sin(math.pi * second / 2) ** 2, abs=1e-14)
    summed = math.sin(math.pi * (first + second) / 2) ** 2
    assert chances["leaky"] == pytest.approx(summed, abs=1e-14)


# Samples


@for_drives(*FEW, "leaky, K = 0", "leaky, K = 4")
@pytest.mark.parametrize("simulation", ["none", "density_matrix", "trajectories"])
@pytest.mark.parametrize(("channels", "steps"), [(1, 4), (2, 2)])
def test_sampled_sequences_follow_the_law(channels, steps, simulation, drive):
    noise = None if simulation == "none" else NOISE
    neurons = quantum_neurons("bidirectional", channels, 1, size=1, noise=noise, drive=drive)
    if noise is not None:
        neurons.noise_simulation = simulation
    currents = strong_currents(steps, neurons)[:, 1:]
    with torch.no_grad():
        law = neurons.sequence_probabilities(currents)[0, 0].cpu().numpy()
        record, _ = neurons(currents.expand(-1, 8_000, -1, -1), generator=seeded(11))
    digits = record.spikes.movedim(0, 1).flatten(1).long()  # (B, T * N)
    index = (digits << torch.arange(digits.shape[1] - 1, -1, -1)).sum(1)
    counts = np.bincount(index.cpu().numpy(), minlength=len(law))
    assert p_value(counts, law) > FALSE_ALARM
    assert p_value(counts, np.roll(law, 1)) < FALSE_ALARM  # the test can tell


# Streams


def check_streams(neurons: SQSNeurons) -> SQSState:
    """Two halves give the bits of the whole."""
    currents = strong_currents(4, neurons).to(neurons.angles.dtype)
    uniforms = neurons.draw_uniforms(4, 2, seeded(1))
    with torch.no_grad():
        whole, after = neurons(currents, uniforms=uniforms)
        first, state = neurons(currents[:2], uniforms=uniforms[:2])
        second, state = neurons(currents[2:], state, uniforms=uniforms[2:])
    likelihood = [] if neurons.noise_simulation == "trajectories" else ["log_likelihood"]
    for field in ("spikes", "probability", *likelihood):
        expected = getattr(whole, field)
        assert expected.dtype == currents.dtype
        joined = torch.cat([getattr(first, field), getattr(second, field)])
        assert torch.equal(joined, expected), field
    assert_equal_states(state, after)
    return after


@for_drives("rectified", "saturating", "leaky", "leaky, K = 0", "leaky, K = 2", "leaky, K = 4")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("memory_qubits", [0, 1, 2])
@pytest.mark.parametrize("name", ["bidirectional", "hardware_efficient"])  # unrolled, dense
def test_two_halves_are_the_whole_bit_for_bit(name, memory_qubits, dtype, drive):
    sizes = {"channels": 2, "memory_qubits": memory_qubits}
    neurons = SQSNeurons(3, circuit=name, drive=drive, dtype=dtype, generator=seeded(0), **sizes)
    state = check_streams(neurons)
    if isinstance(drive, Leaky):
        assert state.membrane.dtype == state.spikes.dtype == dtype
        assert state.membrane.shape == (2, 3, 2)
        assert state.spikes.shape == (2, 3, 2, drive.remembered_spikes)
    else:
        assert state.membrane is state.spikes is None


@for_drives(*FEW)
@pytest.mark.parametrize("memory_qubits", [0, 2])  # test_noisy_sqs.py has 1
@pytest.mark.parametrize("simulation", ["density_matrix", "trajectories"])
def test_two_noisy_halves_are_the_whole_bit_for_bit(simulation, memory_qubits, drive):
    noise = {"noise": NOISE, "noise_simulation": simulation}
    sizes = {"memory_qubits": memory_qubits}
    check_streams(SQSNeurons(2, drive=drive, generator=seeded(0), **sizes, **noise))


@for_drives("leaky", "leaky, K = 0", "leaky, K = 3")
def test_a_copy_by_state_dict_is_the_neuron(drive):
    neurons = quantum_neurons("crx", drive=drive)
    copy = SQSNeurons(2, circuit="crx", drive=drive, dtype=torch.float64, generator=seeded(9))
    copy.load_state_dict(neurons.state_dict())
    currents = strong_currents(4, neurons)
    one, other = (each(currents, generator=seeded(1))[0] for each in (neurons, copy))
    assert torch.equal(one.probability, other.probability)
