"""Estimators: unbiased where they say so, biased as much as they say, with the shots they say."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from tools import replayed_law, seeded
from torch import Tensor

from sqsnn.learning import estimators
from sqsnn.learning.bit_source import SimulatedBits
from sqsnn.learning.estimators import Cost, Derivatives, Geometric, Laplace, measure
from sqsnn.neurons.drive import Rectified
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import shift_rules

pytestmark = pytest.mark.usefixtures("device")

NAMED = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
DRAWS = 20_000

# What is one neuron at one sample is repeated along the batch, which gives independent draws. A
# test compares about 10 means, each beyond 4 standard errors by chance once in 15,000: one seed in
# 1500 would fail it, and the seeds are fixed.
LIMIT = 4.0


def made(
    name: str, channels: int = 1, memory_qubits: int = 1, size: int = 1, **options: Any
) -> SQSNeurons:
    """Equal neurons, angles and gains far from any special value."""
    options = {"dtype": torch.float64, "encoding_slope": "exact", "drive": Rectified(), **options}
    options = {"circuit": name, "channels": channels, "memory_qubits": memory_qubits, **options}
    neurons = SQSNeurons(size, generator=seeded(0), **options)
    random = np.random.default_rng(channels)
    with torch.no_grad():
        for values in (neurons.angles, neurons.gains):
            values[:] = torch.as_tensor(random.uniform(0.5, 1.2, values.shape[1]))
    return neurons


def given(neurons: SQSNeurons, window: int) -> tuple[Tensor, Tensor]:
    """Currents of both signs and the likeliest spikes, both (W, 1, 1, N)."""
    random = np.random.default_rng(5)
    currents = torch.as_tensor(random.uniform(0.15, 0.5, (window, 1, 1, neurons.channels)))
    currents[-1, ..., -1] *= 1 if window == 1 else -1
    one = made(neurons.circuit.name, neurons.channels, neurons.memory_qubits)
    index = int(one.sequence_probabilities(currents)[0, 0].argmax())
    digits = window * neurons.channels
    bits = [index >> place & 1 for place in reversed(range(digits))]
    return currents, torch.tensor(bits, dtype=torch.float64).reshape(currents.shape)


def drawn(
    estimator: Geometric | Laplace,
    neurons: SQSNeurons,
    window: int,
    draws: int = DRAWS,
    seed: int = 0,
) -> Derivatives:
    currents, spikes = (
        values.expand(-1, draws, -1, -1).contiguous() for values in given(neurons, window)
    )
    return measure(
        "shift", estimator, SimulatedBits(), neurons, currents, spikes, seeded(seed),
        probability=True, score=True,
    )  # fmt: skip


def by_parameter(neurons: SQSNeurons, found: Derivatives, values: Tensor, z: Tensor) -> Tensor:
    """Derivatives to angles, currents and gains, (B, values), from those of the occurrences.

    phi = gain pi max(z, 0) is written out once more, draw by draw.
    """
    angles, rotations = shift_rules.sum_by_parameter(neurons.circuit, found.occurrences, values)
    rotations = rotations[:, :, 0]  # (W, B, E)
    by_current = torch.zeros_like(z[:, :, 0]).repeat(1, rotations.shape[1], 1)  # (W, B, N)
    by_gain, gains = [], iter(neurons.gains[0].detach())
    for e, rotation in enumerate(neurons.circuit.encoding):
        gain = next(gains) if rotation.trainable else rotation.gain
        current = z[:, :, 0, rotation.channel]
        by_current[..., rotation.channel] += torch.pi * gain * rotations[..., e] * (current > 0)
        if rotation.trainable:
            by_gain.append((torch.pi * current.relu() * rotations[..., e]).sum(0))
    flat = by_current.movedim(0, 1).flatten(1)
    return torch.cat([angles[:, 0], flat, *(column[:, None] for column in by_gain)], dim=1)


def truth(neurons: SQSNeurons, window: int, channel: int | None) -> Tensor:
    """d p(channel | past), or for None d log p(s | past), of the last step of a window."""
    currents, spikes = given(neurons, window)
    currents.requires_grad_()
    record, _ = neurons(currents, observed=spikes)
    if channel is None:
        value = record.log_likelihood[-1].sum()
    else:
        value = record.probability[-1, ..., channel].sum()
    wanted = [p for p in (neurons.angles, currents, neurons.gains) if p.requires_grad]
    return torch.cat(
        [g.flatten() for g in torch.autograd.grad(value, wanted, materialize_grads=True)]
    )


def assert_unbiased(values: Tensor, expected: Tensor, what: str) -> None:
    """The mean over draws, (B, values), is the expected one; and the error is small beside it."""
    error = values.std(0) / len(values) ** 0.5
    off = values.mean(0) - expected
    assert (off.abs() <= LIMIT * error + 1e-10).all(), (what, off / error)
    assert error.max() < 0.2 * expected.abs().max(), what


# Unbiased


@pytest.mark.parametrize(
    ("name", "window"),
    [*itertools.product(NAMED, (1,)), ("bidirectional", 2), *itertools.product(NAMED[:3], (3,))],
)
def test_geometric_estimates_of_one_channel_are_unbiased(name, window):
    neurons = made(name)
    found = drawn(Geometric(max_trials=60), neurons, window)
    currents, _ = given(neurons, window)
    assert found.cost.truncations < 1e-3 * found.cost.events
    assert found.probability.shape == (len(found.occurrences), DRAWS, 1, 1)
    assert found.score.shape == (len(found.occurrences), DRAWS, 1)
    score = by_parameter(neurons, found, found.score, currents)
    assert_unbiased(score, truth(neurons, window, None), "score")
    probability = by_parameter(neurons, found, found.probability[..., 0], currents)
    assert_unbiased(probability, truth(neurons, window, 0), "probability")


@pytest.mark.parametrize(
    ("name", "window", "draws"),
    [
        ("bidirectional", 1, DRAWS),
        ("bidirectional", 2, 5000),
        ("bidirectional", 3, 3000),
        ("integrate_and_fire", 1, DRAWS),
        ("crx", 2, 5000),
    ],
)
def test_geometric_estimates_of_two_channels_are_unbiased(name, window, draws):
    neurons = made(name, channels=2)
    found = drawn(Geometric(max_trials=120), neurons, window, draws)
    currents, _ = given(neurons, window)
    assert found.cost.truncations < 1e-3 * found.cost.events
    score = by_parameter(neurons, found, found.score, currents)
    assert_unbiased(score, truth(neurons, window, None), "score")
    for channel in (0, 1):
        probability = by_parameter(neurons, found, found.probability[..., channel], currents)
        assert_unbiased(probability, truth(neurons, window, channel), f"channel {channel}")


@pytest.mark.parametrize("memory_qubits", [0, 2, 3])
def test_geometric_estimates_are_unbiased_for_any_memory(memory_qubits):
    neurons = made("bidirectional", memory_qubits=memory_qubits)
    found = drawn(Geometric(max_trials=100), neurons, 2, draws=5000)
    currents, _ = given(neurons, 2)
    score = by_parameter(neurons, found, found.score, currents)
    assert_unbiased(score, truth(neurons, 2, None), "score")


@pytest.mark.parametrize("window", [1, 2, 3])
def test_averages_of_repeats_are_unbiased_and_have_less_noise(window):
    neurons = made("bidirectional")
    currents, _ = given(neurons, window)
    spread = []
    for repeats in (1, 8):
        found = drawn(Geometric(repeats=repeats, max_trials=60), neurons, window, draws=2000)
        score = by_parameter(neurons, found, found.score, currents)
        assert_unbiased(score, truth(neurons, window, None), "score")
        spread.append(score.var(0).sum())
    # R repeats have at most 1/R of the variance, since averages of G and of bits are multiplied.
    assert spread[1] < 1.2 * spread[0] / 8


@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_log_likelihood_is_unbiased(window):
    neurons = made("integrate_and_fire")
    found = drawn(Geometric(max_trials=60), neurons, window)
    currents, spikes = given(neurons, window)
    with torch.no_grad():
        record, _ = neurons(currents, observed=spikes)
    expected = record.log_likelihood[-1].flatten()
    error = found.log_likelihood.std() / DRAWS**0.5
    assert (found.log_likelihood.mean() - expected).abs() < LIMIT * error
    assert error < 0.05 * expected.abs()


# Biased as they say


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_truncated_event_scales_the_score_by_the_chance_that_it_comes(most):
    neurons = made("crx", memory_qubits=0)
    with torch.no_grad():
        neurons.angles.fill_(0.9)
    currents = torch.full((1, DRAWS, 1, 1), 0.1, dtype=torch.float64)
    spikes = torch.ones_like(currents)
    turn = 0.9 + np.pi * 0.1
    p, slope = np.sin(turn / 2) ** 2, 0.5 / np.tan(turn / 2) * 2
    found = measure(
        "shift",
        Geometric(max_trials=most),
        SimulatedBits(),
        neurons,
        currents,
        spikes,
        seeded(2),
        probability=False,
        score=True,
    )
    lost = (1 - p) ** most
    for score in found.score[..., 0]:  # of the encoding and of the gate: the same angle
        error = score.std() / DRAWS**0.5
        assert (score.mean() - slope * (1 - lost)).abs() < LIMIT * error
        assert abs(slope * lost) > 6 * error  # so that a factor of 1 would not pass
    assert found.cost.events == DRAWS
    spread = (DRAWS * lost * (1 - lost)) ** 0.5
    assert abs(found.cost.truncations - DRAWS * lost) < LIMIT * spread


def test_an_impossible_event_is_given_up_and_counted():
    neurons = made("crx", memory_qubits=0)
    with torch.no_grad():
        neurons.angles.zero_()
    currents = torch.full((1, 7, 1, 1), -1.0, dtype=torch.float64)
    estimator, ones = Geometric(repeats=3, max_trials=4), torch.ones_like(currents)
    found = measure(
        "shift", estimator, SimulatedBits(), neurons, currents, ones, seeded(0),
        probability=True, score=True,
    )  # fmt: skip
    assert found.cost.events == found.cost.truncations == 21
    harmonic = 1 + 1 / 2 + 1 / 3  # all that is known after four failures
    torch.testing.assert_close(
        found.log_likelihood, torch.full_like(currents[0, ..., 0], -harmonic)
    )
    assert found.score.isfinite().all()


@pytest.mark.parametrize(("name", "window"), [*((name, 1) for name in NAMED), ("crx", 2)])
def test_laplace_estimates_converge_with_the_shots(name, window):
    neurons = made(name)
    currents, _ = given(neurons, window)
    expected = {None: truth(neurons, window, None), 0: truth(neurons, window, 0)}
    errors = []
    for shots in (100, 8000):
        found = drawn(Laplace(shots=shots), neurons, window, draws=20)
        measured = {None: found.score, 0: found.probability[..., 0]}
        errors.append(
            [
                (by_parameter(neurons, found, values, currents) - expected[what]).square().mean()
                for what, values in measured.items()
            ]
        )
        assert found.cost.events == found.cost.truncations == 0
    # Eighty times the shots, an eightieth of the squared error: a twentieth is tested.
    for few, many in zip(*errors, strict=True):
        assert many < few / 20
        assert many**0.5 < 0.06


def test_laplace_counts_agreements_by_the_rule_of_succession():
    # Of 8 shots of every circuit 3 agree: 1/P = 10/4, and so log P.
    @dataclass
    class Fixed(SimulatedBits):
        def sample(self, neurons, potentials, shifts, shots, generator):
            bits = torch.zeros(len(shifts), shots, 1, 1, 1, 1, dtype=torch.bool)
            bits[:, [1, 2, 6]] = True
            return bits

    neurons = made("crx", memory_qubits=0)
    ones = torch.ones((1, 1, 1, 1), dtype=torch.float64)
    found = measure(
        "shift",
        Laplace(shots=8),
        Fixed(),
        neurons,
        ones,
        ones,
        seeded(0),
        probability=False,
        score=True,
    )
    assert found.log_likelihood.item() == pytest.approx(np.log(0.4), abs=1e-15)
    assert found.score.abs().max() < 1e-15


def test_geometric_counts_the_trials_up_to_the_first_that_agrees():
    # The event comes at the third trial of a block; of the shifted circuits the second of a pair
    # never fires, so that d log p is 3 (1 - 0) / 2 for every rule of two terms.
    @dataclass
    class Fixed(SimulatedBits):
        def sample(self, neurons, potentials, shifts, shots, generator):
            bits = torch.zeros(len(shifts), shots, 1, 1, 1, 1, dtype=torch.bool)
            if shifts == [()]:
                bits[:, [2, 3]] = True
            else:
                bits[::2] = True
            return bits

    neurons = made("crx", memory_qubits=0)
    ones = torch.ones((1, 1, 1, 1), dtype=torch.float64)
    found = measure(
        "shift",
        Geometric(max_trials=5),
        Fixed(),
        neurons,
        ones,
        ones,
        seeded(0),
        probability=True,
        score=True,
    )
    assert found.score.flatten().tolist() == [1.5, 1.5]
    assert found.probability.flatten().tolist() == [0.5, 0.5]
    assert found.log_likelihood.item() == pytest.approx(-1.5, abs=1e-15)
    assert (found.cost.events, found.cost.truncations) == (1, 0)


def test_a_shift_of_the_last_step_is_not_in_the_past():
    # The second circuit of every pair loses the spike of the first step and keeps that of the last.
    # Were the past's terms of the last step's own shifts kept, they would add noise of mean 0.
    @dataclass
    class Fixed(SimulatedBits):
        def sample(self, neurons, potentials, shifts, shots, generator):
            bits = torch.ones(len(shifts), shots, 2, 1, 1, 1, dtype=torch.bool)
            if shifts != [()]:
                bits[1::2, :, 0] = False
            return bits

    neurons = made("crx", memory_qubits=0)
    ones = torch.ones((2, 1, 1, 1), dtype=torch.float64)
    found = measure(
        "shift", Geometric(), Fixed(), neurons, ones, ones, seeded(0), probability=True, score=True
    )
    expected = [0.5 * (place.step == 1) for place in found.occurrences]
    assert found.score.flatten().tolist() == expected
    assert found.probability.flatten().tolist() == expected


# SPSA


@pytest.mark.parametrize("name", ["bidirectional", "integrate_and_fire"])
def test_spsa_is_on_average_the_derivative_up_to_the_square_of_its_size(name, monkeypatch):
    neurons = made(name, size=8000)  # one direction per neuron
    currents, spikes = given(neurons, 1)
    one = made(name)
    encoding = torch.stack(one.encoding_angles(currents), dim=-1).detach()
    outcome = int(spikes.item())
    places = shift_rules.occurrences(one.circuit, 1)

    def share(shifts) -> Tensor:
        return replayed_law(one.circuit, one.angles.detach(), encoding, shifts)[:, 0, 0, outcome]

    def exact() -> Tensor:
        rule = shift_rules.parameter_shift(one.circuit, 1, one.angles)
        return rule.coefficients[..., 0] @ share(rule.shifts) / share([()])

    def expected(size: float) -> Tensor:
        """The mean over all sign vectors."""
        mean = torch.zeros(len(places), dtype=torch.float64)
        every = list(itertools.product((1.0, -1.0), repeat=len(places)))
        moved = [
            tuple(p.shifted(size * s) for p, s in zip(places, signs, strict=True))
            for signs in every
        ]
        f = dict(zip(every, share(moved), strict=True))
        for signs in every:
            opposite = tuple(-s for s in signs)
            mean += (f[signs] - f[opposite]) / (2 * size) * torch.tensor(signs).double()
        return mean / len(every) / share([()])

    # The error falls with the square of the size: to a quarter, nearly, at half of it.
    off = [(expected(size) - exact()).abs().max() for size in (0.2, 0.1)]
    assert 3.5 < off[0] / off[1] < 4.5
    for size in (estimators.SPSA_SIZE, 0.2):
        monkeypatch.setattr(estimators, "SPSA_SIZE", size)
        found = measure(
            "spsa",
            Geometric(repeats=4),
            SimulatedBits(),
            neurons,
            currents.expand(-1, -1, 8000, -1).contiguous(),
            spikes.expand(-1, -1, 8000, -1).contiguous(),
            seeded(3),
            probability=False,
            score=True,
        )
        score = found.score[:, 0]  # (O, H)
        error = score.std(1) / score.shape[1] ** 0.5
        assert ((score.mean(1) - expected(size)).abs() < LIMIT * error).all()
    assert expected(0.2).sub(exact()).abs().max() < 5 * 0.2**2 * exact().abs().max()


# Calls to the source


@dataclass
class Counting(SimulatedBits):
    """A source that remembers its calls."""

    calls: list[tuple[int, int, int, int]] = field(default_factory=list)

    def sample(self, neurons, potentials, shifts, shots, generator):
        self.calls.append((len(shifts), shots, potentials.shape[1], neurons.size))
        return super().sample(neurons, potentials, shifts, shots, generator)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize(("probability", "score"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize(
    ("derivative", "estimator"),
    [
        ("shift", Geometric(repeats=2, max_trials=7)),
        ("shift", Laplace(shots=9)),
        ("spsa", Geometric(repeats=4, max_trials=7)),
        ("spsa", Laplace(shots=9)),
    ],
)
def test_the_cost_is_that_of_the_calls_to_the_source(
    derivative, estimator, probability, score, window
):
    if derivative == "spsa" and window > 1:
        return
    batch, size = 5, 3
    neurons = made("integrate_and_fire", size=size)
    currents = torch.full((window, batch, size, 1), 0.3, dtype=torch.float64)
    source = Counting()
    found = measure(
        derivative, estimator, source, neurons, currents, torch.ones_like(currents), seeded(0),
        probability=probability, score=score,
    )  # fmt: skip
    each = batch * size
    assert found.cost.circuits == sum(circuits * each for circuits, *_ in source.calls)
    assert found.cost.shots == sum(circuits * shots * each for circuits, shots, *_ in source.calls)
    assert all(call[2:] == (batch, size) for call in source.calls)
    # 2 encoding rotations and 2 RX in two circuits each, 2 CRX in four each, at every step.
    geometric = isinstance(estimator, Geometric)
    per_setting = estimator.repeats if geometric else estimator.shots
    shifted = (16 * window, per_setting) if derivative == "shift" else (2 * per_setting, 1)
    trials = estimator.repeats * estimator.max_trials if geometric else estimator.shots
    wanted = [shifted]
    if score or window > 1:
        wanted.append((1, trials))
    assert [call[:2] for call in source.calls] == wanted
    conditions = (window > 1) + score
    assert found.cost.events == (conditions * estimator.repeats * each if geometric else 0)
    assert found.cost.truncations <= found.cost.events
    assert (found.probability is None) == (not probability)
    assert (found.score is None) == (found.log_likelihood is None) == (not score)


def test_costs_add_up():
    assert Cost(1, 2, 3, 4).plus(Cost(10, 20, 30, 40)) == Cost(11, 22, 33, 44)


# One step of memory


def test_a_window_of_one_step_tells_the_memory_gates_of_crx_nothing():
    neurons = made("crx", memory_qubits=2)
    currents, _ = given(neurons, 1)
    memory = [
        row
        for row, place in enumerate(shift_rules.occurrences(neurons.circuit, 1))
        if place.place == "gate" and max(neurons.circuit.gates[place.index].qubits) > 0
    ]
    assert len(memory) == 4
    encoding = torch.stack(neurons.encoding_angles(currents), dim=-1).detach()
    rule = shift_rules.parameter_shift(neurons.circuit, 1, neurons.angles)
    law = replayed_law(neurons.circuit, neurons.angles.detach(), encoding, rule.shifts)
    by_place = rule.coefficients[..., 0] @ law[:, 0, 0]  # (O, outcomes)
    assert by_place[memory].abs().max() < 1e-15
    assert by_place.abs().max() > 0.1
    found = drawn(Geometric(), neurons, 1)
    for values in (found.score, found.probability[..., 0]):
        measured = values[memory][..., 0]
        error = measured.std(1) / DRAWS**0.5
        assert (measured.mean(1).abs() < LIMIT * error).all()


# Refusals


@pytest.mark.parametrize(
    ("make", "argument"), [(Geometric, "repeats"), (Geometric, "max_trials"), (Laplace, "shots")]
)
@pytest.mark.parametrize("value", [0, -3])
def test_numbers_below_one_are_refused(make, argument, value):
    with pytest.raises(
        ValueError, match=f"{argument}: .*greater than or equal to 1, but is {value}"
    ):
        make(**{argument: value})
