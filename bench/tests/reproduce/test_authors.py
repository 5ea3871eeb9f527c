"""The authors' rule: neuron and gradients are those of their script, and it learns."""

import numpy as np
import torch

from sqsnn import PublishedSQS
from sqsnn_bench.reproduce import authors
from sqsnn_bench.reproduce.authors import AuthorsRule, Network, Neurons

STEPS, INPUTS = 6, 8


def a_network(seed: int = 0) -> tuple[Network, np.random.Generator]:
    generator = np.random.default_rng(seed)
    return authors.begin([generator], INPUTS), generator


def some_inputs(generator: np.random.Generator) -> np.ndarray:
    return (generator.random((1, STEPS, INPUTS)) < 0.5).astype(float)


def test_its_neuron_is_the_published_one():
    generator = np.random.default_rng(0)
    neurons = Neurons(*generator.uniform(-3, 3, (3, 1, 2)))
    currents = generator.normal(0, 0.5, (1, STEPS, 2))
    uniforms = generator.random((1, STEPS, 2))
    spikes, law = neurons.run(currents, uniforms)
    published = PublishedSQS(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        for name, angles in (
            ("memory_angle", neurons.memory),
            ("input_angle", neurons.channel),
            ("entangling_angle", neurons.coupling),
        ):
            published.get_parameter(name).copy_(torch.as_tensor(angles[0])[:, None])
        record, _ = published(
            torch.as_tensor(currents).movedim(1, 0)[..., None],
            uniforms=torch.as_tensor(uniforms).movedim(1, 0),
        )
    np.testing.assert_allclose(record.probability[..., 0].movedim(0, 1), law, atol=1e-12)
    np.testing.assert_array_equal(record.spikes[..., 0].movedim(0, 1), spikes)
    assert 0 < spikes.sum() < spikes.size


def test_its_neuron_is_the_circuit_with_both_rotations_on_the_measured_qubit():
    # As SQS.py computes it: density matrices, the memory before the measured qubit; after a
    # measurement the state of the measured qubit stands for the memory.
    def rx(angle: float) -> np.ndarray:
        half = angle / 2
        turned = [[np.cos(half), -1j * np.sin(half)], [-1j * np.sin(half), np.cos(half)]]
        return np.kron(np.eye(2), np.array(turned))

    generator = np.random.default_rng(1)
    mem, channel, coupling = generator.uniform(-3, 3, 3)
    neurons = Neurons(*(np.full((1, 1), angle) for angle in (mem, channel, coupling)))
    currents = generator.uniform(0, 1, (1, STEPS, 1))
    spikes, law = neurons.run(currents, generator.random((1, STEPS, 1)))
    memory = np.diag([1.0, 0.0]).astype(complex)
    for t in range(STEPS):
        controlled = np.eye(4, dtype=complex)
        controlled[2:, 2:] = rx(coupling)[2:, 2:]
        gate = rx(channel) @ rx(mem) @ controlled @ rx(np.pi * currents[0, t, 0])
        state = gate @ np.kron(memory, np.diag([1.0, 0.0])) @ gate.conj().T
        measured = np.einsum("kikj->ij", state.reshape(2, 2, 2, 2))
        np.testing.assert_allclose(measured[1, 1].real, law[0, t, 0], atol=1e-12)
        fired = spikes[0, t, 0]
        memory = np.diag([1 - fired, fired]).astype(complex)


def moved(seeds: int, rule: AuthorsRule) -> tuple[Network, Network, np.ndarray]:
    """The parameters before and after a step of one sample of class 1, alike for all seeds."""
    start, generator = a_network()
    inputs = some_inputs(generator)
    one = Network(
        Neurons(*(angles[0] for angles in start.hidden)),
        Neurons(*(angles[0] for angles in start.output)),
        start.to_hidden[0],
        start.skip[0],
        start.to_output[0],
    )
    many = authors.together([one] * seeds)
    generators = [np.random.default_rng(seed) for seed in range(seeds)]
    spikes = np.repeat(inputs, seeds, 0)
    authors.learn(many, spikes, np.ones(seeds, np.int64), rule, generators)
    return start, many, inputs


def test_on_average_the_skip_learns_the_likelihood_as_if_no_spike_came_before(monkeypatch):
    monkeypatch.setattr(authors, "_LIMIT", np.inf)  # clipping would bias the mean
    monkeypatch.setattr(authors, "_SIZE", 1e-3)
    start, after, inputs = moved(4000, AuthorsRule(learning_rate=1.0))
    change = after.skip - start.skip
    angle, target = start.output.angle[0], np.array([0.0, 1.0])
    wanted = np.zeros((2, INPUTS))
    for place in np.ndindex(wanted.shape):
        ends = []
        for way in (1e-6, -1e-6):
            weight = start.skip[0].copy()
            weight[place] += way
            law = authors.spike_law(inputs[0] @ weight.T, angle)
            ends.append(authors.log_law(law, target).sum())
        wanted[place] = (ends[0] - ends[1]) / 2e-6
    # The size of a direction multiplies the gradient once more.
    error = change.std(0) / len(change) ** 0.5
    assert (np.abs(change.mean(0) - 1e-3 * wanted) < 4 * error + 1e-6).all()
    assert error.max() < 0.03 * 1e-3 * np.abs(wanted).max()


def test_both_rotations_learn_alike_the_coupling_never_and_steps_are_bounded():
    start, after, _ = moved(3, AuthorsRule(learning_rate=0.02))
    for before, now in ((start.hidden, after.hidden), (start.output, after.output)):
        np.testing.assert_array_equal(now.coupling, np.repeat(before.coupling, 3, 0))
        learned = now.channel - before.channel
        assert (learned != 0).all()
        np.testing.assert_allclose(now.memory - before.memory, learned, atol=1e-12)
    assert np.abs(after.skip - start.skip).max() <= 0.02 * 0.05 + 1e-15
    assert np.abs(after.to_hidden - start.to_hidden).max() <= 0.01 * 0.025 + 1e-15


def test_each_of_two_seeds_is_as_if_alone():
    generator = np.random.default_rng(3)
    data = generator.random((10, INPUTS)), np.arange(10) % 2
    rule = AuthorsRule(epochs=2)
    both, alone = (authors.train(data, data, seeds, rule, print) for seeds in ((0, 1), (1,)))
    assert both[1] == alone[0]


def test_repeated_steps_make_the_target_likelier():
    network, generator = a_network()
    inputs, target = some_inputs(generator), np.array([1.0, 0.0])

    def likelihood() -> float:
        law = authors.spike_law(inputs[0] @ network.skip[0].T, network.output.angle[0])
        return float(authors.log_law(law, target).sum())

    before, rule = likelihood(), AuthorsRule(learning_rate=0.2)
    for _ in range(100):
        authors.learn(network, inputs, np.zeros(1, np.int64), rule, [generator])
    assert likelihood() > before + 1
