"""Many channels: registers of up to ten qubits, and registers that are cut between channels."""

import math

import numpy as np
import pytest
import reference
import torch
from tools import CIRCUITS, DRIVES, p_value, quantum_neurons, seeded
from torch.testing import assert_close

import sqsnn
from sqsnn.learning.bit_source import SimulatedBits
from sqsnn.learning.estimators import Laplace, measure
from sqsnn.learning.scores import Exact
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuits
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.noise import Noise

pytestmark = pytest.mark.usefixtures("device")

WIDE = [
    ("crx", 5, 1),
    ("bidirectional", 6, 1),
    ("integrate_and_fire", 5, 2),
    ("hardware_efficient", 7, 0),
    ("crx", 8, 0),
]


def positive(*shape: int) -> torch.Tensor:
    """Currents that place every gate of the encoding."""
    return 0.1 + torch.rand(shape, generator=seeded(1), dtype=torch.float64)


# Wide registers


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), WIDE)
def test_a_wide_register_follows_the_reference_step_by_step(name, channels, memory_qubits):
    neurons = quantum_neurons(name, channels, memory_qubits, size=1)
    assert not neurons.runs_fused
    twin = reference.named(
        name, channels, memory_qubits, neurons.angles[0].tolist(), neurons.gains[0].tolist()
    )
    currents = positive(2, 3, 1, channels)
    uniforms = torch.rand((2, 3, 1), generator=seeded(3), dtype=torch.float64)
    record, _ = neurons(currents, uniforms=uniforms)
    for b in range(3):
        spikes = record.spikes[:, b, 0].tolist()
        state = np.zeros(2**memory_qubits, complex)
        state[0] = 1
        for t in range(2):
            branches = reference.kraus_operators(twin, currents[t, b, 0].tolist()) @ state
            law = (np.abs(branches) ** 2).sum(1)
            s = reference.outcome_index(spikes[t])
            assert s == reference.draw(law, float(uniforms[t, b, 0]))
            assert abs(record.log_likelihood[t, b, 0].exp() - law[s]) < 1e-12
            marginals = torch.as_tensor(reference.marginals(law, channels))
            assert_close(record.probability[t, b, 0], marginals, rtol=0, atol=1e-12)
            state = branches[s] / np.sqrt(law[s])


def test_samples_of_a_wide_register_follow_its_exact_law():
    neurons = quantum_neurons("bidirectional", 5, 1, size=1)
    currents = positive(1, 1, 1, 5)
    record, _ = neurons(currents.expand(-1, 20_000, -1, -1), generator=seeded(11))
    index = (record.spikes[0, :, 0].long() * 2 ** torch.arange(4, -1, -1)).sum(1)
    counts = torch.bincount(index, minlength=32).cpu().numpy()
    law = neurons.sequence_probabilities(currents)[0, 0].detach().cpu().numpy()
    assert abs(law.sum() - 1) < 1e-12
    assert p_value(counts, law) > 1e-4
    assert p_value(counts, np.roll(law, 1)) < 1e-4


def test_ten_qubits_have_exact_gradients_and_eleven_are_refused():
    # Few gates, since each is a matrix of 1024 x 1024 here: two write, three are read.
    pairs = [(5, 8), (0, 9), (8, 5), (9, 5), (8, 7)]
    circuit = Circuit.build(8, 2, [("CRX", pair, circuits.Normal(1.0)) for pair in pairs])
    neurons = SQSNeurons(
        1, circuit=circuit, channels=8, memory_qubits=2, generator=seeded(0), dtype=torch.float64
    )
    currents = positive(2, 1, 1, 8).requires_grad_()
    record, state = neurons(currents, generator=seeded(1))
    assert state.memory.shape == (1, 1, 4)
    spikes = record.spikes.detach()
    scored, _ = neurons(currents, observed=spikes)
    assert torch.equal(scored.probability, record.probability)
    (exact,) = torch.autograd.grad(scored.log_likelihood.sum(), currents)
    moved = torch.zeros_like(currents)
    moved[0, 0, 0, 5] = 1e-6
    with torch.no_grad():
        high, low = (
            neurons(currents + sign * moved, observed=spikes)[0].log_likelihood.sum()
            for sign in (1, -1)
        )
    assert abs(exact[0, 0, 0, 5] - (high - low) / 2e-6) < 1e-7
    with pytest.raises(ValueError, match=r"8 \+ 3; together they may be up to 10"):
        SQSNeurons(1, channels=8, memory_qubits=3, generator=seeded(0))
    with pytest.raises(ValueError, match=r"channels must be an integer in 1\.\.8, but is 9"):
        SQSNeurons(1, channels=9, memory_qubits=0, generator=seeded(0))


def test_the_kernel_refuses_more_than_four_channels_by_name():
    with pytest.raises(ValueError, match="channels is 5, and the kernel takes at most 4"):
        SQSNeurons(1, channels=5, memory_qubits=0, backend="fused", generator=seeded(0))


def test_every_score_of_one_step_is_the_same_for_a_wide_register():
    gradients = []
    for score in (Exact(), sqsnn.Online()):
        network = sqsnn.SpikingNetwork(
            [3, 2], channels=5, memory_qubits=1, generator=seeded(2), dtype=torch.float64
        )
        spikes = torch.ones(1, 4, 3, 5, dtype=torch.float64)
        sqsnn.Local(score=score).step(network, spikes, torch.arange(4) % 2, seeded(3))
        gradients.append([p.grad for p in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_measured_shifts_of_a_wide_register_are_its_derivatives():
    neurons = SQSNeurons(
        2, channels=5, memory_qubits=0, generator=seeded(0), dtype=torch.float64
    )  # one RX per channel
    potentials = 0.9 * torch.rand(1, 3, 2, 5, generator=seeded(1), dtype=torch.float64)
    measured = measure(
        "shift",
        Laplace(shots=3000),
        SimulatedBits(),
        neurons,
        potentials,
        torch.ones_like(potentials),
        seeded(2),
        probability=True,
        score=False,
    )
    of_gates = [o for o, place in enumerate(measured.occurrences) if place.place == "gate"]
    # p_n = sin^2((phi_n + theta_n) / 2), and no other channel depends on theta_n.
    slope = (math.pi * potentials[0] + neurons.angles.detach()).sin() / 2  # (B, H, N)
    assert_close(
        measured.probability[of_gates], slope.diag_embed().permute(2, 0, 1, 3), rtol=0, atol=0.05
    )


def test_sampled_noise_takes_wide_registers():
    noise = Noise(missed_spike=0.25)
    neurons = SQSNeurons(
        1,
        channels=6,
        memory_qubits=0,
        noise=noise,
        noise_simulation="trajectories",
        drive=DRIVES["rectified"],
        generator=seeded(0),
    )
    with torch.no_grad():
        neurons.angles.zero_()
        record, _ = neurons(torch.ones(1, 4000, 1, 6), generator=seeded(1))
    # Every channel flips for sure, and a quarter of the spikes is missed: deviation 0.007 each.
    assert_close(record.spikes.mean((0, 1, 2)), torch.full((6,), 0.75), rtol=0, atol=0.03)


# Cut registers


def law_by_channel(neurons: SQSNeurons, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The joint law of all spikes, and the product of the laws of each channel's own spikes."""
    channels = neurons.channels
    currents = positive(steps, 1, 1, channels)
    law = neurons.sequence_probabilities(currents).detach().reshape((2,) * (steps * channels))
    axes = range(steps * channels)
    product = torch.ones((), dtype=law.dtype)
    for n in range(channels):
        others = [axis for axis in axes if axis % channels != n]
        product = product * law.sum(others, keepdim=True)
    return law, product


@pytest.mark.parametrize("drive", ["rectified", "leaky"])
@pytest.mark.parametrize(("channels", "memory_qubits"), [(2, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("name", CIRCUITS)
def test_the_law_of_a_cut_circuit_is_a_product_over_channels(name, channels, memory_qubits, drive):
    whole = quantum_neurons(name, channels, memory_qubits, size=1, drive=DRIVES[drive])
    law, product = law_by_channel(whole, 2)
    assert (law - product).abs().max() > 1e-6
    cut = SQSNeurons(
        1,
        channels=channels,
        memory_qubits=memory_qubits,
        circuit=name,
        entangled=False,
        drive=DRIVES[drive],
        generator=seeded(0),
        dtype=torch.float64,
    )
    with torch.no_grad():
        cut.angles.normal_(0, 1.5, generator=seeded(0))
        cut.gains.normal_(0, 1, generator=seeded(1))
    law, product = law_by_channel(cut, 2)
    assert_close(law, product, rtol=0, atol=1e-12)
    if name != "hardware_efficient":  # whose ring need not join a channel with its own memory
        assert any(max(gate.qubits) >= channels > min(gate.qubits) for gate in cut.circuit.gates)


@pytest.mark.parametrize("memory_qubits", [1, 3])
@pytest.mark.parametrize("name", CIRCUITS)
def test_for_one_channel_a_cut_changes_nothing(name, memory_qubits):
    circuit = circuits.get(name, 1, memory_qubits)
    assert circuit.cut() == circuit


def test_gates_and_parameters_that_couple_channels_go():
    # Left of 4 + 4 couplings: one write and one read per channel; the chain is gone.
    cut = circuits.get("bidirectional", 2, 2).cut()
    assert cut.gate_counts() == {"CRX": 4, "RX": 6}
    assert cut.parameters == 8
    neurons = SQSNeurons(3, channels=2, memory_qubits=2, entangled=False, generator=seeded(0))
    assert (
        neurons.angles.shape == (3, 8)
        and neurons.circuit == circuits.get("bidirectional", 2, 2, coupling=0.0).cut()
    )
    # A parameter that a gate which stays shares with one that goes is kept.
    shared = Circuit.build(
        2, 0, [("RXX", (0, 1), circuits.Normal(1.0)), ("RX", (1,), 0), ("CZ", (0, 1))]
    )
    assert shared.cut().gates == (shared.gates[1],) and shared.cut().parameters == 1
