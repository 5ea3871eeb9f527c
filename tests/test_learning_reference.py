"""The reference of the learning rules against the laws of design section 3.3 and against sampling.

`learning_reference.gradient` promises 1e-9; what it is compared with here is known to 1e-12.
"""

import itertools

import learning_reference
import numpy as np
import pytest
import reference
from learning_reference import Floats

CIRCUITS = ["crx", "bidirectional", "integrate_and_fire", "hardware_efficient"]
CASES = list(itertools.product(CIRCUITS, (1, 2), (1, 2)))
STEPS = 3

Circuit = tuple[str, int, int, Floats, Floats]  # name, channels, memory qubits, angles, gains


def circuit(name: str, channels: int, memory_qubits: int, seed: int = 0) -> Circuit:
    """A named circuit with angles (K,) and gains (G,) far from any special value."""
    generator = np.random.default_rng(seed)
    placed = reference.placements(name, channels, memory_qubits)
    rotations = sum(placement.parameter is not None for placement in placed)
    angles = generator.choice([-1, 1], rotations) * generator.uniform(0.5, 1.6, rotations)
    driven = channels + memory_qubits if name == "integrate_and_fire" else 0
    return name, channels, memory_qubits, angles, generator.uniform(0.4, 1.1, driven)


def record(channels: int, steps: int = STEPS) -> tuple[Floats, Floats]:
    """Currents and spikes (T, N) with both outcomes, and a current below 0 on every channel."""
    generator = np.random.default_rng(1)
    currents = generator.uniform(0.2, 0.8, (steps, channels))
    currents[range(channels), range(channels)] *= -1
    spikes = np.arange(steps * channels).reshape(steps, channels) % 2
    return currents, 1.0 - spikes


def neuron_of(which: Circuit) -> reference.Neuron:
    """The circuit as a neuron."""
    return reference.named(*which)


def by_shifts(which: Circuit, currents: Floats, spikes: Floats, terms: int = 4) -> list[Floats]:
    """dP(s_1..s_T) to angles (K,), gains (G,), currents (T, N): `terms` on controlled rotations."""
    name, channels, memory_qubits, angles, gains = which

    def turned(*shift) -> float:
        return learning_reference.joint_probability(*which, currents, spikes, [shift])

    def two(*gate) -> float:
        return (turned(*gate, np.pi / 2) - turned(*gate, -np.pi / 2)) / 2

    def four(*gate) -> float:
        far = (turned(*gate, 1.5 * np.pi) - turned(*gate, -1.5 * np.pi)) / 2
        plus, minus = [(np.sqrt(2) + sign) / (2 * np.sqrt(2)) for sign in (1, -1)]
        return plus * two(*gate) - minus * far

    by_angle, by_gain = np.zeros_like(angles), np.zeros_like(gains)
    by_current = np.zeros_like(currents)
    for step in range(len(currents)):
        for index, placed in enumerate(reference.placements(name, channels, memory_qubits)):
            if placed.parameter is not None:
                rule = four if placed.name.startswith("C") and terms == 4 else two
                by_angle[placed.parameter] += rule(step, "gate", index)
        for index in range(max(channels, len(gains))):  # one encoding gate a gain, or a channel
            channel = index if index < channels else (index - channels) % channels
            if currents[step, channel] > 0:
                slope = np.pi * two(step, "encoding", index)
                by_current[step, channel] += slope * (gains[index] if len(gains) else 1)
                if len(gains):
                    by_gain[index] += currents[step, channel] * slope
    return [by_angle, by_gain, by_current]


def scores(which: Circuit, currents: Floats, spikes: Floats, on_steps: Floats, window=None):
    """The gradient of sum_t on_steps[t] log p(s_t | past), a list of three arrays."""
    no_probability = np.zeros_like(spikes)
    given = (*which, currents, spikes, no_probability, on_steps)
    return list(learning_reference.gradient(*given, window=window))


def assert_close(found: list[Floats], expected: list[Floats], tolerance: float) -> None:
    """Angles, gains and currents agree to tolerance (1 + size)."""
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_the_conditionals_are_those_of_the_neuron_and_multiply_to_the_joint(
    name: str, channels: int, memory_qubits: int
) -> None:
    which = circuit(name, channels, memory_qubits)
    currents, spikes = record(channels)
    neuron = neuron_of(which)
    marginals, logs = learning_reference.conditional(neuron, currents, spikes)
    laws = reference.step_probabilities(neuron, currents, spikes)
    expected = [reference.marginals(law, channels) for law in laws]
    np.testing.assert_allclose(marginals, expected, atol=1e-14)
    np.testing.assert_allclose(logs, reference.log_likelihood(neuron, currents, spikes), atol=1e-13)
    joint = learning_reference.joint_probability(*which, currents, spikes)
    assert joint == pytest.approx(np.exp(logs.sum()), rel=1e-12)


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_probabilities_of_all_sequences_sum_to_one(name: str, channels: int) -> None:
    which = circuit(name, channels, 1)
    currents, _ = record(channels, steps=2)
    shifts = [(1, "gate", 0, 0.4), (0, "encoding", 0, 0.7)]  # a shifted circuit is a circuit
    for moved in ([], shifts):
        total = sum(
            learning_reference.joint_probability(
                *which, currents, np.reshape(bits, (2, channels)), moved
            )
            for bits in itertools.product((0.0, 1.0), repeat=2 * channels)
        )
        assert total == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("name", CIRCUITS)
def test_a_window_is_a_record_that_starts_late(name: str) -> None:
    currents, spikes = record(2, steps=4)
    neuron = neuron_of(circuit(name, 2, 1))
    whole = learning_reference.conditional(neuron, currents, spikes)
    for window in (4, 7):
        found = learning_reference.windowed(neuron, currents, spikes, window)
        assert_close(list(found), list(whole), 1e-14)
    marginals, logs = learning_reference.windowed(neuron, currents, spikes, 2)
    assert abs(logs - whole[1])[2:].max() > 1e-3  # forgetting shows
    for end in range(4):
        first = max(0, end - 1)
        part = learning_reference.conditional(
            neuron, currents[first : end + 1], spikes[first : end + 1]
        )
        assert_close([marginals[end], logs[end]], [part[0][-1], part[1][-1]], 1e-14)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), CASES)
def test_shift_rules_give_the_gradient_of_the_joint_probability(
    name: str, channels: int, memory_qubits: int
) -> None:
    which = circuit(name, channels, memory_qubits)
    currents, spikes = record(channels)
    joint = learning_reference.joint_probability(*which, currents, spikes)
    found = scores(which, currents, spikes, np.ones(STEPS))  # d log P = dP / P
    expected = [part / joint for part in by_shifts(which, currents, spikes)]
    assert_close(found, expected, 1e-9)
    assert abs(found[0]).max() > 0.1 and not found[2][currents <= 0].any()


@pytest.mark.parametrize("name", ["crx", "bidirectional", "integrate_and_fire"])
def test_two_terms_on_a_controlled_rotation_are_wrong(name: str) -> None:
    which = circuit(name, 1, 1)
    currents, spikes = record(1)
    joint = learning_reference.joint_probability(*which, currents, spikes)
    right, wrong = (by_shifts(which, currents, spikes, terms)[0] for terms in (4, 2))
    assert abs(right - wrong).max() / joint > 1e-3
    placed = reference.placements(name, 1, 1)
    plain = [p.parameter for p in placed if not p.name.startswith("C")]
    assert (right[plain] == wrong[plain]).all()


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_windowed_score_is_the_difference_of_two_joint_rules(name: str, window: int) -> None:
    which = circuit(name, 1, 1)
    currents, spikes = record(1)
    first, last = STEPS - window, STEPS - 1
    expected = [np.zeros_like(which[3]), np.zeros_like(which[4]), np.zeros_like(currents)]
    for end, sign in ((STEPS, 1), (last, -1)):
        event = currents[first:end], spikes[first:end]
        probability = learning_reference.joint_probability(*which, *event)
        angles, gains, driven = by_shifts(which, *event)
        expected[0] += sign * angles / probability
        expected[1] += sign * gains / probability
        expected[2][first:end] += sign * driven / probability
    found = scores(which, currents, spikes, np.eye(STEPS)[last], window)
    assert_close(found, expected, 1e-9)


def test_a_window_of_one_step_gives_the_memory_gates_of_crx_no_gradient() -> None:
    for name in CIRCUITS:
        which = circuit(name, 1, 2)
        currents, spikes = record(1)
        ones = np.ones_like(spikes)
        given = (*which, currents, spikes, ones, ones[:, 0])
        by_angle = learning_reference.gradient(*given, window=1)[0]
        placed = reference.placements(name, 1, 2)
        on_memory = [p.parameter for p in placed if max(p.qubits) >= 1 and p.parameter is not None]
        largest = abs(by_angle[on_memory]).max()
        assert largest < 1e-12 if name == "crx" else largest > 1e-2
        assert abs(np.delete(by_angle, on_memory)).min() > 1e-2


def test_the_gradient_is_that_of_a_neuron_without_memory_in_closed_form() -> None:
    # Without memory in use, p = sin^2((pi z + a)/2) whatever came before.
    currents, spikes = np.array([[0.3], [0.05], [-0.4]]), np.array([[1.0], [0.0], [1.0]])
    on_probability, on_likelihood = np.array([[0.7], [-1.1], [0.4]]), np.array([1.3, -0.6, 0.9])
    turn = 0.5
    given = ("crx", 1, 1, [0.0, 0.0, turn], [], currents, spikes, on_probability, on_likelihood)
    phi = np.pi * np.maximum(currents, 0) + turn
    p, slope = np.sin(phi / 2) ** 2, np.sin(phi) / 2
    logs = np.where(spikes == 1, np.log(p), np.log(1 - p))[:, 0]
    value = np.sum(on_probability * p) + on_likelihood @ logs
    assert learning_reference.objective(*given) == pytest.approx(value, abs=1e-13)
    by_phi = on_probability * slope
    by_phi += on_likelihood[:, None] * slope * np.where(spikes == 1, 1 / p, -1 / (1 - p))
    found = learning_reference.gradient(*given)
    expected = [np.array([0, 0, by_phi.sum()]), np.zeros(0), np.pi * by_phi * (currents > 0)]
    assert_close(list(found), expected, 1e-10)


@pytest.mark.parametrize("window", [None, 2])
def test_current_derivatives_are_those_of_moving_the_currents(window: int | None) -> None:
    which = circuit("integrate_and_fire", 2, 1)
    currents, spikes = record(2)
    weights = np.random.default_rng(2).normal(size=(STEPS, 3))
    scored = (spikes, weights[:, :2], weights[:, 2], window)
    by_current = learning_reference.gradient(*which, currents, *scored)[2]
    for index in np.ndindex(currents.shape):

        def moved(by: float, index: tuple[int, ...] = index) -> float:
            there = currents.copy()
            there[index] += by
            return learning_reference.objective(*which, there, *scored)

        found = learning_reference.derivative(moved, scale=1 / np.pi)
        assert found == pytest.approx(by_current[index], abs=1e-9)


def test_an_unsettled_derivative_is_refused() -> None:
    assert learning_reference.derivative(np.exp) == pytest.approx(1, abs=1e-12)
    with pytest.raises(ArithmeticError, match="settle"):
        learning_reference.derivative(lambda h: max(h - 1e-5, 0.0))


def test_impossible_spikes_and_shifts_are_refused() -> None:
    resting = reference.named("crx", 1, 1, [0.0, 0.0, 0.0])
    _, logs = learning_reference.conditional(resting, [[-1.0], [-1.0]], [[0.0], [1.0]])
    assert logs[0] == 0 and logs[1] == -np.inf
    with pytest.raises(ValueError, match="step 0"):
        learning_reference.conditional(resting, [[-1.0], [-1.0]], [[1.0], [0.0]])
    which = circuit("hardware_efficient", 1, 1)
    currents, spikes = record(1)
    for shift, error in (
        ((0, "gate", 4, 0.1), ValueError),  # the CZ
        ((0, "gate", 6, 0.1), IndexError),
        ((0, "encoding", 1, 0.1), IndexError),
        ((STEPS, "gate", 0, 0.1), IndexError),
    ):
        with pytest.raises(error):
            learning_reference.joint_probability(*which, currents, spikes, [shift])


# The expected loss of a network


@pytest.mark.parametrize("name", CIRCUITS)
def test_histories_are_all_sequences_with_their_conditionals(name: str) -> None:
    neuron = neuron_of(circuit(name, 2, 1))
    currents, _ = record(2, steps=2)
    found = learning_reference.histories(neuron, currents)
    law = reference.joint_law(neuron, currents)
    np.testing.assert_allclose([history.probability for history in found], law, atol=1e-14)
    for history in found:
        marginals, logs = learning_reference.conditional(neuron, currents, history.spikes)
        np.testing.assert_allclose(history.marginals, marginals, atol=1e-13)
        assert np.exp(logs.sum()) == pytest.approx(history.probability, rel=1e-12)


def network(parameters: Floats) -> tuple[list[Floats], list[list[reference.Neuron]]]:
    """Two inputs, two hidden, two outputs, N = M = 1, from 8 weights and 4 x 5 angles."""
    weights = parameters[:8].reshape(2, 1, 2, 2)
    angles = parameters[8:].reshape(2, 2, -1)
    neurons = [
        [reference.named("bidirectional", 1, 1, each.tolist()) for each in layer]
        for layer in angles
    ]
    return list(weights), neurons


def parameters_of(seed: int) -> Floats:
    """Parameters (24,) for `network`: weights whose partial sums stay away from 0."""
    generator = np.random.default_rng(seed)
    weights = generator.uniform(0.15, 0.35, 8) * [1, 2, 1, -2, 2, 1, -1, 2]
    return np.concatenate([weights, generator.uniform(0.4, 1.4, 16)])


def sampled_losses(weights, neurons, inputs: Floats, label: int, samples: int, seed: int) -> Floats:
    """Cross-entropies (samples,) of sampled runs, with pure states and one spike at a time."""
    generator = np.random.default_rng(seed)
    operators: dict = {}
    losses = []
    for _ in range(samples):
        states = {
            (a, b): np.eye(2**neuron.memory_qubits)[0]
            for a, layer in enumerate(neurons)
            for b, neuron in enumerate(layer)
        }
        logits = np.zeros(len(neurons[-1]))
        for received in inputs:  # (P, 1)
            for a, layer in enumerate(neurons):
                sent = []
                for b, neuron in enumerate(layer):
                    current = tuple(
                        sum(
                            w * x[n % len(x)]
                            for w, x in zip(weights[a][n][b], received, strict=True)
                        )
                        for n in range(neuron.channels)
                    )
                    if (a, b, current) not in operators:
                        K = reference.kraus_operators(neuron, current)
                        operators[a, b, current] = K
                    after = operators[a, b, current] @ states[a, b]  # (2^N, 2^M)
                    law = np.sum(abs(after) ** 2, axis=1)
                    s = int(np.searchsorted(np.cumsum(law), generator.uniform() * law.sum()))
                    states[a, b] = after[s] / np.sqrt(law[s])
                    sent.append(reference.outcome_bits(s, neuron.channels))
                    if a + 1 == len(neurons):
                        logits[b] += reference.marginals(law, neuron.channels).sum()
                received = sent
        losses.append(np.log(np.sum(np.exp(logits))) - logits[label])
    return np.array(losses)


def pair_of_layers_in_depth() -> tuple[list[Floats], list[list[reference.Neuron]]]:
    """One input, two hidden layers of one neuron, two outputs, two channels each."""
    generator = np.random.default_rng(5)
    weights = [generator.uniform(0.2, 0.9, (2, h, 1)) for h in (1, 1, 2)]
    neurons = [
        [reference.named(*circuit("integrate_and_fire", 2, 1, seed=10 * a + b)) for b in range(h)]
        for a, h in enumerate((1, 1, 2))
    ]
    return weights, neurons


INPUTS = np.array([[[1.0], [1.0]], [[1.0], [0.0]]])  # (T, P, 1)


@pytest.mark.parametrize("deep", [False, True])
def test_the_expected_loss_is_what_sampled_runs_cost_on_average(deep: bool) -> None:
    """Four standard errors: one seed in 16000 would fail by chance; the seed is fixed."""
    weights, neurons = pair_of_layers_in_depth() if deep else network(parameters_of(3))
    inputs = INPUTS[:, :1] if deep else INPUTS
    exact = learning_reference.expected_loss(weights, neurons, inputs, 1)
    losses = sampled_losses(weights, neurons, inputs, 1, samples=3000, seed=4)
    error = losses.std(ddof=1) / np.sqrt(len(losses))
    assert 0 < error < 0.01 * exact
    assert abs(exact - losses.mean()) < 4 * error


def test_the_expected_loss_and_its_gradient_in_closed_form() -> None:
    # One step, one hidden neuron, no memory in use: p = sin^2((pi z + a)/2) for every neuron.
    def build(parameters: Floats) -> tuple[list[Floats], list[list[reference.Neuron]]]:
        neurons = [reference.named("crx", 1, 1, [0.0, 0.0, a]) for a in parameters[3:].tolist()]
        weights = parameters[:3].reshape(1, 3, 1)
        return [weights[:, :1], weights[:, 1:]], [neurons[:1], neurons[1:]]

    parameters = np.array([0.4, 0.3, -0.2, 0.5, -0.3, 0.8])
    (fire, *on), (turn, *rest) = parameters[:3], parameters[3:]
    loss, slopes = 0.0, np.zeros(6)
    values = []
    hidden = np.sin((np.pi * fire + turn) / 2) ** 2
    for spike, weight in ((1, hidden), (0, 1 - hidden)):
        phi = np.pi * np.maximum(spike * np.array(on), 0) + rest
        p = np.sin(phi / 2) ** 2
        guess = np.exp(p) / np.exp(p).sum()
        values.append(-np.log(guess[0]))
        loss += weight * values[-1]
        by_phi = weight * (guess - [1, 0]) * np.sin(phi) / 2
        slopes[4:] += by_phi
        slopes[1:3] += np.pi * by_phi * spike * (np.array(on) > 0)
    slopes[3] = np.sin(np.pi * fire + turn) / 2 * (values[0] - values[1])
    slopes[0] = np.pi * slopes[3]
    inputs = np.ones((1, 1, 1))
    assert learning_reference.expected_loss(*build(parameters), inputs, 0) == pytest.approx(loss)
    found = learning_reference.expected_loss_gradient(build, parameters, inputs, 0)
    np.testing.assert_allclose(found, slopes, rtol=0, atol=1e-11)
