"""The noisy quantum neuron against noisy density matrices, and sampled noise against its law."""

import itertools
import math
from functools import partial

import noisy_reference
import numpy as np
import pytest
import reference
import torch
from tools import assert_equal_states, for_drives, p_value, populations_of, seeded
from torch import Tensor
from torch.func import functional_call
from torch.testing import assert_close

from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Rectified
from sqsnn.neurons.sqs import SQSNeurons, SQSState
from sqsnn.quantum.circuit import Circuit, Encoded, Normal
from sqsnn.quantum.noise import Noise

pytestmark = pytest.mark.usefixtures("device")

NAMED = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
CASES = [
    (name, channels, memory_qubits)
    for name, channels, memory_qubits in itertools.product(NAMED, (1, 2), (0, 1, 2))
    if name != "integrate_and_fire" or memory_qubits > 0
]
# All different, none small: a rate in the wrong place changes every probability.
RATES = {
    "depolarising_1q": 0.05,
    "depolarising_2q": 0.11,
    "amplitude_damping_1q": 0.07,
    "amplitude_damping_2q": 0.13,
    "phase_damping_1q": 0.19,
    "phase_damping_2q": 0.23,
    "idle_depolarising": 0.09,
    "idle_amplitude_damping": 0.17,
    "idle_phase_damping": 0.29,
    "false_spike": 0.08,
    "missed_spike": 0.21,
}
NOISE = Noise(**RATES)


def random_neurons(
    name: str | Circuit,
    channels: int,
    memory_qubits: int,
    noise: Noise | None = NOISE,
    *,
    size: int = 2,
    seed: int = 0,
    **options,
) -> SQSNeurons:
    """The paper's neurons in double precision, with random angles and gains of order 2 and 1."""
    defaults = {"drive": Rectified(), "dtype": torch.float64, "encoding_slope": "exact"}
    options = {**defaults, **options}
    neurons = SQSNeurons(
        size,
        channels=channels,
        memory_qubits=memory_qubits,
        circuit=name,
        noise=noise,
        **options,
        generator=seeded(0),
    )
    generator = seeded(seed)
    with torch.no_grad():
        neurons.angles.normal_(0, 2, generator=generator)
        neurons.gains.normal_(0, 1, generator=generator)
    return neurons


sampled_neurons = partial(random_neurons, noise_simulation="trajectories")


def random_currents(*shape: int, seed: int = 1, dtype=torch.float64) -> Tensor:
    """Of both signs; 0.1 away from 0, where gates and their noise appear."""
    z = torch.randn(shape, generator=seeded(seed), dtype=dtype)
    return z + 0.1 * z.sign()


def twin(neurons: SQSNeurons, neuron: int, rates: dict[str, float] = RATES) -> reference.Neuron:
    channels, memory_qubits = neurons.channels, neurons.memory_qubits
    ideal = reference.named(
        neurons.circuit.name,
        channels,
        memory_qubits,
        neurons.angles[neuron].tolist(),
        neurons.gains[neuron].tolist(),
    )
    noise = noisy_reference.noise(channels, memory_qubits, **rates)
    return reference.Neuron(channels, memory_qubits, ideal.encoding, ideal.gates, noise)


# Density matrices: the law


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_without_rates_it_is_the_noiseless_neuron(name, channels, memory_qubits):
    ideal = random_neurons(name, channels, memory_qubits, None)
    noisy = random_neurons(name, channels, memory_qubits, Noise())
    currents = random_currents(4, 3, 2, channels)
    uniforms = ideal.draw_uniforms(4, 3, seeded(2))
    expected, _ = ideal(currents, uniforms=uniforms, keep_memory=True)
    record, noisy_state = noisy(currents, uniforms=uniforms, keep_memory=True)
    assert_close(record[:3], expected[:3], rtol=0, atol=1e-12)
    pure = expected.memory[..., :, None] * expected.memory[..., None, :].conj()
    assert_close(record.memory, pure, rtol=0, atol=1e-12)
    assert torch.equal(noisy_state.memory, record.memory[-1])
    law = ideal.sequence_probabilities(currents)
    assert_close(noisy.sequence_probabilities(currents), law, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_every_step_of_a_trajectory_is_the_references(name, channels, memory_qubits):
    steps, batch = 4, 1
    neurons = random_neurons(name, channels, memory_qubits, seed=10 * channels + memory_qubits)
    currents = random_currents(steps, batch, 2, channels)
    uniforms = neurons.draw_uniforms(steps, batch, seeded(3))
    record, _ = neurons(currents, uniforms=uniforms, keep_memory=True)
    for b, h in np.ndindex(batch, 2):
        spikes = record.spikes[:, b, h].tolist()
        followed = reference.follow(twin(neurons, h), currents[:, b, h].tolist(), spikes)
        for t, (law, memory) in enumerate(followed):
            s = reference.outcome_index(spikes[t])
            assert s == reference.draw(law, float(uniforms[t, b, h]))
            marginals = torch.tensor(reference.marginals(law, channels))
            assert_close(record.probability[t, b, h], marginals, rtol=0, atol=1e-10)
            assert record.log_likelihood[t, b, h].item() == pytest.approx(math.log(law[s]), 1e-10)
            assert_close(record.memory[t, b, h], torch.tensor(memory), rtol=0, atol=1e-10)


@pytest.mark.parametrize("rate", RATES)
def test_each_rate_alone_is_the_references(rate):
    one = {rate: 0.3}
    neurons = random_neurons("bidirectional", 1, 2, Noise(**one), size=1)
    currents = random_currents(3, 2, 1, 1)
    law = neurons.sequence_probabilities(currents)
    for b in range(2):
        expected = reference.joint_law(twin(neurons, 0, one), currents[:, b, 0].tolist())
        assert_close(law[b, 0], torch.tensor(expected), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_the_law_of_recorded_sequences_is_the_references_and_sums_to_1(
    name, channels, memory_qubits
):
    neurons = random_neurons(name, channels, memory_qubits, size=1)
    sampled = sampled_neurons(name, channels, memory_qubits, size=1)
    currents = random_currents(4 - channels, 1, 1, channels)
    law = neurons.sequence_probabilities(currents)
    assert torch.equal(sampled.sequence_probabilities(currents), law)
    assert law.sum().item() == pytest.approx(1.0, abs=1e-12)
    expected = reference.joint_law(twin(neurons, 0), currents[:, 0, 0].tolist())
    assert_close(law[0, 0], torch.tensor(expected), rtol=0, atol=1e-10)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_scores_of_observed_spikes_are_the_law(channels):
    neurons, steps = random_neurons("hardware_efficient", channels, 1), 4 // channels
    currents = random_currents(steps, 1, 2, channels)
    law = neurons.sequence_probabilities(currents)[0]
    sequences = list(itertools.product((0.0, 1.0), repeat=4))
    spikes = torch.tensor(sequences, dtype=torch.float64).reshape(16, steps, 1, channels)
    spikes = spikes.movedim(0, 1).expand(steps, 16, 2, channels)
    record, _ = neurons(currents.expand(steps, 16, 2, channels), observed=spikes)
    assert torch.equal(record.spikes, spikes)
    assert_close(record.log_likelihood.sum(0).exp().T, law, rtol=0, atol=1e-12)


def test_full_depolarising_leaves_chance_and_full_damping_silence():
    currents = random_currents(5, 3, 2, 2)
    for noise, chance in (
        (Noise(depolarising_1q=1.0), 0.5),
        (Noise(depolarising_1q=1.0, false_spike=0.1, missed_spike=0.4), 0.35),
        (Noise(amplitude_damping_1q=1.0), 0.0),
        (Noise(amplitude_damping_1q=1.0, false_spike=0.1), 0.1),
    ):
        neurons = random_neurons("crx", 2, 1, noise)  # its last gates are RX on the channels
        record, _ = neurons(currents, generator=seeded())
        assert_close(record.probability, torch.full_like(record.probability, chance))
        if not chance:
            assert not record.spikes.any()


def test_an_idle_memory_decays_whatever_is_recorded():
    neurons = random_neurons("bidirectional", 1, 2, Noise(idle_amplitude_damping=1.0))
    record, _ = neurons(random_currents(4, 2, 2, 1), generator=seeded(), keep_memory=True)
    ground = torch.zeros(4, 4, dtype=torch.complex128)
    ground[0, 0] = 1
    assert_close(record.memory, ground.expand_as(record.memory), rtol=0, atol=1e-12)


@for_drives("rectified", "saturating", "leaky")
@pytest.mark.parametrize("simulation", ["density_matrix", "trajectories"])
def test_a_rotation_of_the_encoding_is_a_noisy_gate_only_where_its_current_is_positive(
    simulation, drive
):
    def chance(current: float, rotation: Encoded) -> float:
        circuit = Circuit.build(1, 0, [], [rotation])
        noise = Noise(depolarising_1q=1.0)
        neurons = SQSNeurons(
            1,
            memory_qubits=0,
            circuit=circuit,
            drive=drive,
            noise=noise,
            noise_simulation=simulation,
            generator=seeded(0),
        )
        with torch.no_grad():
            record, _ = neurons(torch.full((1, 4000, 1, 1), current), generator=seeded())
        return float(record.spikes.mean())

    plain, trained = Encoded(0, 0), Encoded(0, 0, 0.0, trainable=True)
    assert chance(-1.0, plain) == chance(0.0, plain) == chance(-1.0, trained) == 0.0
    assert chance(1.0, Encoded(0, 0, 0.0)) == 0.0  # a fixed gain of 0 is no gate
    for rotation in (plain, trained):  # a trainable gain is one, also where it is 0
        assert chance(1.0, rotation) == pytest.approx(0.5, abs=0.04)


def test_impossible_spikes_score_minus_infinity_and_never_nan():
    neurons = SQSNeurons(
        1, noise=Noise(amplitude_damping_1q=1.0), dtype=torch.float64, generator=seeded(0)
    )
    currents = torch.ones(3, 1, 1, 1, dtype=torch.float64, requires_grad=True)
    spikes = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).reshape(3, 1, 1, 1)
    record, state = neurons(currents, observed=spikes)
    expected = [pytest.approx(0.0, abs=1e-14), -math.inf, -math.inf]
    assert record.log_likelihood.flatten().tolist() == expected
    assert record.probability.isfinite().all()
    assert not state.memory.isnan().any()
    (record.probability.sum() + record.log_likelihood[0].sum()).backward()
    for gradient in (currents.grad, neurons.angles.grad):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_makes_no_probability_negative(dtype):
    circuit = Circuit.build(1, 1, [("RX", (0,), Normal())])
    neurons = SQSNeurons(200, circuit=circuit, noise=Noise(), dtype=dtype, generator=seeded(0))
    currents = torch.rand((1, 1, 200, 1), generator=seeded(), dtype=dtype)
    with torch.no_grad():
        neurons.angles.copy_(2 * math.pi - math.pi * currents[0, 0])  # a full turn: no spike
        record, state = neurons(currents, observed=torch.ones_like(currents))
    assert (record.probability >= 0).all()
    assert (record.log_likelihood < -10).all()
    assert not torch.view_as_real(state.memory).isnan().any()


def test_many_steps_in_single_precision_keep_a_state_a_state():
    neurons = SQSNeurons(64, drive=Rectified(), noise=Noise(), generator=seeded(0))
    with torch.no_grad():
        neurons.angles.mul_(0.05)  # rare spikes, which amplify rounding, and nothing that mixes
        currents = 0.05 * random_currents(1000, 8, 64, 1, dtype=torch.float32)
        record, _ = neurons(currents, generator=seeded(), keep_memory=True)
    trace = torch.einsum("...ii", record.memory)
    purity = torch.einsum("...ij,...ji", record.memory, record.memory).real
    assert_close(trace, torch.ones_like(trace), rtol=0, atol=1e-5)
    assert purity.max() < 1 + 1e-5
    assert ((record.probability >= 0) & (record.probability <= 1)).all()
    assert record.log_likelihood.isfinite().all()
    assert record.spikes.any()


# Density matrices: gradients


@pytest.mark.parametrize(
    ("name", "channels"), [("integrate_and_fire", 1), ("hardware_efficient", 2)]
)
def test_the_gradient_of_the_likelihood_is_its_derivative(name, channels):
    neurons = random_neurons(name, channels, 1, size=1)
    currents = random_currents(2, 2, 1, channels).requires_grad_()
    spikes = torch.randint(0, 2, currents.shape, generator=seeded(), dtype=torch.float64)

    def scores(currents: Tensor, angles: Tensor, gains: Tensor) -> tuple[Tensor, Tensor]:
        parameters = {"angles": angles, "gains": gains}
        record, state = functional_call(
            neurons, parameters, (currents,), {"observed": spikes, "keep_memory": True}
        )
        return record.log_likelihood, torch.view_as_real(state.memory)

    inputs = (currents, neurons.angles.detach().requires_grad_(), neurons.gains)
    assert torch.autograd.gradcheck(scores, inputs)


def test_a_silent_neuron_keeps_its_surrogate_slope():
    neurons = random_neurons("bidirectional", 1, 1, encoding_slope="exponential")
    currents = torch.full((2, 1, 2, 1), -0.1, dtype=torch.float64, requires_grad=True)
    record, _ = neurons(currents, generator=seeded())
    record.spikes.sum().backward()
    assert (currents.grad != 0).all()


# Samples


def counts_of(spikes: Tensor) -> np.ndarray:
    """How often each sequence came, step 1 the most significant; spikes `(T, B, 1, N)`."""
    digits = spikes.movedim(0, 1).flatten(1).long()  # (B, T * N)
    places = 2 ** torch.arange(digits.shape[1] - 1, -1, -1)
    return np.bincount((digits * places).sum(1).cpu().numpy(), minlength=2 ** digits.shape[1])


# Each chi-square test at a fixed seed raises a false alarm for one seed in ten thousand.
FALSE_ALARM = 1e-4


@pytest.mark.parametrize("simulation", ["density_matrix", "trajectories"])
@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits", "steps"),
    [
        ("crx", 1, 0, 3),
        ("bidirectional", 1, 1, 4),
        ("integrate_and_fire", 1, 2, 4),
        ("hardware_efficient", 2, 1, 2),
        ("bidirectional", 2, 2, 2),
    ],
)
def test_sampled_sequences_follow_the_exact_law(simulation, name, channels, memory_qubits, steps):
    neurons = random_neurons(name, channels, memory_qubits, size=1, noise_simulation=simulation)
    ideal = random_neurons(name, channels, memory_qubits, None, size=1)
    currents = random_currents(steps, 1, 1, channels)
    with torch.no_grad():
        law, wrong = (
            n.sequence_probabilities(currents)[0, 0].cpu().numpy() for n in (neurons, ideal)
        )
        many = currents.expand(-1, 20_000, -1, -1)
        counts = counts_of(neurons(many, generator=seeded(7))[0].spikes)
    assert p_value(counts, law) > FALSE_ALARM
    assert p_value(counts, wrong) < FALSE_ALARM


@pytest.mark.parametrize("rate", RATES)
def test_trajectories_of_each_rate_alone_follow_the_exact_law(rate):
    neurons = sampled_neurons("bidirectional", 1, 1, Noise(**{rate: 0.5}), size=1, seed=4)
    ideal = random_neurons("bidirectional", 1, 1, None, size=1, seed=4)
    currents = random_currents(4, 1, 1, 1)
    with torch.no_grad():
        law, wrong = (
            n.sequence_probabilities(currents)[0, 0].cpu().numpy() for n in (neurons, ideal)
        )
        many = currents.expand(-1, 20_000, -1, -1)
        counts = counts_of(neurons(many, generator=seeded(8))[0].spikes)
    assert p_value(counts, law) > FALSE_ALARM
    assert p_value(counts, wrong) < FALSE_ALARM


def test_trajectories_of_more_qubits_than_density_matrices_take_follow_the_reference():
    neurons = sampled_neurons("bidirectional", 1, 4, size=1)
    currents = random_currents(2, 1, 1, 1)
    law = reference.joint_law(twin(neurons, 0), currents[:, 0, 0].tolist())
    with torch.no_grad():
        record, _ = neurons(currents.expand(-1, 10_000, -1, -1), generator=seeded(9))
    assert p_value(counts_of(record.spikes), law) > FALSE_ALARM


def test_trajectories_take_any_circuit_in_single_precision():
    neurons = SQSNeurons(
        1,
        channels=4,
        memory_qubits=6,
        noise=NOISE,
        noise_simulation="trajectories",
        generator=seeded(0),
    )
    with torch.no_grad():
        record, state = neurons(torch.ones(2, 3, 1, 4), generator=seeded(), keep_memory=True)
    assert record.memory.shape == (2, 3, 1, 64)
    norm = state.memory.norm(dim=-1)
    assert_close(norm, torch.ones_like(norm), rtol=0, atol=1e-5)


def test_the_probabilities_of_trajectories_average_to_the_exact_ones():
    exact, sampled = (
        make("bidirectional", 2, 1, size=1) for make in (random_neurons, sampled_neurons)
    )
    currents = random_currents(2, 1, 1, 2)
    law = exact.sequence_probabilities(currents)[0, 0].detach().reshape((2,) * 4)
    with torch.no_grad():
        record, _ = sampled(currents.expand(-1, 20_000, -1, -1), generator=seeded(5))
    for t, n in np.ndindex(2, 2):
        chance = law.movedim(2 * t + n, 0)[1].sum()
        values = record.probability[:, :, 0][t, :, n]
        error = float(values.std()) / math.sqrt(len(values))
        assert abs(float(values.mean() - chance)) < 4 * error  # one seed in 4,000 a value
    assert record.log_likelihood.isnan().all()  # refused in numbers: it is not known


# Streams and replays


@pytest.mark.parametrize("simulation", ["density_matrix", "trajectories"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@for_drives("rectified", "saturating", "leaky", "leaky, K = 0", "leaky, K = 2")
def test_streams_replays_and_steps_are_the_same_bits(simulation, dtype, drive):
    neurons = random_neurons(
        "integrate_and_fire", 2, 1, size=3, drive=drive, dtype=dtype, noise_simulation=simulation
    )
    currents = random_currents(6, 4, 3, 2, dtype=dtype)
    with torch.no_grad():
        whole, final = neurons(currents, generator=seeded(1))
        uniforms = neurons.draw_uniforms(6, 4, seeded(1))
        assert uniforms.shape == (6, 4, *neurons.uniforms_shape)
        replay, _ = neurons(currents, uniforms=uniforms)

        generator, state, halves = seeded(1), None, []
        for half in currents.split((2, 4)):
            record, state = neurons(half, state, generator=generator)
            halves.append(record)
        stepped, each = None, []
        for z, u in zip(currents, uniforms, strict=True):
            record, stepped = neurons.step(z, stepped, u)
            each.append(record)
    fields = ("spikes", "probability", "log_likelihood")
    for field in fields[: 3 if simulation == "density_matrix" else 2]:
        expected = getattr(whole, field)
        assert torch.equal(getattr(replay, field), expected)
        assert torch.equal(torch.cat([getattr(half, field) for half in halves]), expected)
        assert torch.equal(torch.stack([getattr(record, field) for record in each]), expected)
    assert_equal_states(state, final)
    assert_equal_states(stepped, final)
    shape = (4, 3, 2, 2) if simulation == "density_matrix" else (4, 3, 2)
    assert final.memory.shape == shape
    assert whole.spikes.any()


def test_a_network_draws_what_each_of_its_layers_takes():
    noisy = partial(SQSNeurons, noise=NOISE, noise_simulation="trajectories")
    network = SpikingNetwork([4, 3, 2], neurons=[noisy, SQSNeurons], generator=seeded())
    hidden, output = network.draw_uniforms(6, 5, seeded(1))
    assert hidden.shape == (6, 5, *populations_of(network)[0].uniforms_shape)
    assert hidden.shape[2:] == (3, 1 + 1 + 3 + 5 + 3 + 5 + 3 + 3)
    assert output.shape == (6, 5, 2)
    spikes = torch.randint(0, 2, (6, 5, 4, 1), generator=seeded(2)).float()
    with torch.no_grad():
        run = network(spikes, generator=seeded(1))
        again = network(spikes, uniforms=(hidden, output))
        generator = seeded(1)
        first = network(spikes[:2], generator=generator)
        second = network(spikes[2:], first.state, generator=generator)
    assert torch.equal(run.layers[-1].probability, again.layers[-1].probability)
    streamed = [first.layers[-1].probability, second.layers[-1].probability]
    assert torch.equal(run.layers[-1].probability, torch.cat(streamed))


# Refusals


def test_what_noise_cannot_do_is_refused_by_name():
    with pytest.raises(TypeError, match="noise"):
        SQSNeurons(2, noise=0.1, generator=seeded(0))
    with pytest.raises((ValueError, TypeError), match="noise_simulation"):
        SQSNeurons(2, noise=NOISE, noise_simulation="sampled", generator=seeded(0))
    with pytest.raises(ValueError, match=r"memory_qubits is 5; density matrices .* up to 4"):
        SQSNeurons(2, channels=2, memory_qubits=3, noise=NOISE, generator=seeded(0))
    with pytest.raises(ValueError, match="through_collapse is True, which works without noise"):
        SQSNeurons(2, noise=NOISE, through_collapse=True, generator=seeded(0))
    with pytest.raises(ValueError, match="no single Kraus operator"):
        SQSNeurons(2, noise=NOISE, generator=seeded(0)).kraus_operators(torch.ones(1, 2, 1))
    with pytest.raises(ValueError, match="the exact law is built up to"):
        SQSNeurons(2, noise=NOISE, generator=seeded(0)).sequence_probabilities(
            torch.ones(21, 1, 2, 1)
        )
    with pytest.raises(ValueError, match=r"state.memory must have shape \(1, 2, 2, 2\)"):
        state = SQSState(torch.ones(1, 2, 2, dtype=torch.complex64))
        SQSNeurons(2, drive=Rectified(), noise=NOISE, generator=seeded(0))(
            torch.ones(1, 1, 2, 1), state, generator=seeded()
        )


def test_what_trajectories_cannot_do_is_refused_by_name():
    neurons = SQSNeurons(2, noise=NOISE, noise_simulation="trajectories", generator=seeded(0))
    currents = torch.ones(3, 1, 2, 1)
    with pytest.raises(ValueError, match=r"no gradient is defined: run under torch.no_grad"):
        neurons(currents, generator=seeded())
    neurons.requires_grad_(False)
    neurons(currents, generator=seeded())  # nothing asks for a gradient
    with pytest.raises(ValueError, match="no gradient is defined"):
        neurons(currents.requires_grad_(), generator=seeded())
    with pytest.raises(ValueError, match=r"observed spikes cannot be scored .*density_matrix"):
        neurons(currents.detach(), observed=torch.ones(3, 1, 2, 1))
    with pytest.raises(ValueError, match=r"uniforms must have shape \(3, 1, 2, 24\)"):
        neurons(currents.detach(), uniforms=torch.rand(3, 1, 2, generator=seeded()))
    large = SQSNeurons(
        1, memory_qubits=4, noise=NOISE, noise_simulation="trajectories", generator=seeded(0)
    )
    with pytest.raises(ValueError, match="up to 4 qubits"):
        large.sequence_probabilities(torch.ones(1, 1, 1, 1))
