"""Parameter-shift rules: exact for joint probabilities, occurrence by occurrence."""

import itertools
import math

import learning_reference
import numpy as np
import pytest
import torch
from tools import (
    CIRCUITS,
    currents_of_both_signs,
    encoded,
    quantum_neurons,
    replayed_law,
    seeded,
)
from torch import Tensor

from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import gates, shift_rules
from sqsnn.quantum.circuit import Circuit, Encoded, Gate, Normal
from sqsnn.quantum.shift_rules import Combination, Occurrence

pytestmark = pytest.mark.usefixtures("device")

# name, N, M, T: at most 2**6 sequences
CASES = [
    *((name, 1, memory, steps) for name in CIRCUITS for memory, steps in ((1, 1), (1, 3), (2, 2))),
    *((name, 2, 1, 2) for name in CIRCUITS),
    *((name, 2, 1, 3) for name in ("bidirectional", "integrate_and_fire")),
    *((name, 1, 3, 1) for name in CIRCUITS),
    *((name, 1, 0, 2) for name in ("crx", "bidirectional", "hardware_efficient")),
]


def by_rule(neurons: SQSNeurons, currents: Tensor, rule: Combination) -> Tensor:
    """The rule applied to the exact law: (O, B, H, sequences)."""
    angles = neurons.angles.detach()
    law = replayed_law(neurons.circuit, angles, encoded(neurons, currents), rule.shifts)
    coefficients = rule.coefficients.expand(-1, -1, neurons.size)
    return torch.einsum("ojh,jbhs->obhs", coefficients, law)


# The terms


@pytest.mark.parametrize("name", sorted(gates.GATES))
def test_every_gate_has_the_terms_of_its_frequencies(name):
    controlled = name.startswith("C")
    if name in ("CX", "CZ", "H"):
        with pytest.raises(ValueError, match=f"gate {name} has no angle.*RX"):
            shift_rules.terms(name)
        return
    terms = shift_rules.terms(name)
    plus, minus = ((math.sqrt(2) + sign) / (4 * math.sqrt(2)) for sign in (1, -1))
    half = math.pi / 2
    expected = {half: 0.5, -half: -0.5}
    if controlled:
        expected = {half: plus, -half: -plus, 3 * half: -minus, -3 * half: minus}
    assert {angle: c for c, angle in terms} == pytest.approx(expected, abs=1e-15)
    # The derivative at 0 of each function that such a gate can make of its angle.
    for frequency in (0.5, 1.0) if controlled else (1.0,):
        for function, derivative in ((math.sin, frequency), (math.cos, 0.0)):
            found = sum(c * function(frequency * angle) for c, angle in terms)
            assert found == pytest.approx(derivative, abs=1e-14)
    assert sum(c for c, _ in terms) == pytest.approx(0, abs=1e-15)


def test_an_unknown_gate_is_refused():
    with pytest.raises(KeyError, match="SWAP"):
        shift_rules.terms("SWAP")


# Where parameters act


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", CIRCUITS)
def test_occurrences_are_all_rotations_of_all_steps(name, steps):
    circuit = quantum_neurons(name, 2, 2).circuit
    found = shift_rules.occurrences(circuit, steps)
    expected = {
        Occurrence(step, place, index)
        for step in range(steps)
        for place, there in (("gate", circuit.gates), ("encoding", circuit.encoding))
        for index, gate in enumerate(there)
        if place == "encoding" or gate.name != "CZ"
    }
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_a_rotation_at_a_fixed_gain_of_0_is_no_occurrence():
    encoding = [Encoded(0, 0, 0.0), Encoded(1, 0, 0.0, trainable=True)]
    circuit = Circuit.build(1, 1, [("RX", (0,), Normal())], encoding)
    found = shift_rules.occurrences(circuit, 1)
    assert set(found) == {Occurrence(0, "encoding", 1), Occurrence(0, "gate", 0)}


# The exact rule


@pytest.mark.parametrize(("name", "channels", "memory_qubits", "steps"), CASES)
def test_shifts_of_the_exact_law_are_its_derivatives(name, channels, memory_qubits, steps):
    neurons = quantum_neurons(name, channels, memory_qubits)
    currents = currents_of_both_signs(neurons, steps)
    circuit = neurons.circuit
    rule = shift_rules.parameter_shift(circuit, steps, neurons.angles)
    found = by_rule(neurons, currents, rule)
    # By autograd, sequence by sequence, for one angle a gate and step.
    encoding = encoded(neurons, currents).requires_grad_()
    angles = neurons.angles.detach().clone().requires_grad_()
    law = replayed_law(circuit, angles, encoding, [()])[0]  # (B, H, sequences)
    by_angle, by_rotation = shift_rules.sum_by_parameter(circuit, rule.occurrences, found)
    for s in range(law.shape[-1]):
        wanted = torch.autograd.grad(law[..., s].sum(), [angles, encoding], retain_graph=True)
        torch.testing.assert_close(by_angle[..., s, :].sum(0), wanted[0], rtol=0, atol=1e-10)
        torch.testing.assert_close(by_rotation[..., s, :], wanted[1], rtol=0, atol=1e-10)
    assert found.abs().max() > 1e-2
    # Probabilities of all sequences sum to 1 whatever is turned.
    torch.testing.assert_close(found.sum(-1), torch.zeros_like(found[..., 0]), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "channels", "steps"),
    [*((name, 1, 2) for name in CIRCUITS), ("bidirectional", 2, 2)],
)
def test_each_occurrence_alone_is_the_references_derivative(name, channels, steps):
    neurons = quantum_neurons(name, channels, 1, size=1)
    currents = currents_of_both_signs(neurons, steps, batch=1)
    rule = shift_rules.parameter_shift(neurons.circuit, steps, neurons.angles)
    found = by_rule(neurons, currents, rule)[:, 0, 0]
    which = (name, channels, 1, neurons.angles[0].tolist(), neurons.gains[0].tolist())
    sequence = (np.arange(steps * channels) % 2).reshape(steps, channels)
    index = int("".join(map(str, sequence.flatten())), 2)
    for place, value in zip(rule.occurrences, found[:, index], strict=True):
        joint = learning_reference.derivative(
            lambda h, place=place: learning_reference.joint_probability(
                *which, currents[:, 0, 0].tolist(), sequence, [(*place, h)]
            )
        )
        assert value.item() == pytest.approx(joint, abs=1e-9)


def test_a_parameter_of_two_gates_is_the_sum_of_its_occurrences():
    # RXX and CRZ share an angle, and RY and RZZ another.
    placed = (
        Gate("RXX", (0, 1), 0),
        Gate("RY", (1,), 1),
        Gate("H", (0,), None),
        Gate("CRZ", (1, 0), 0),
        Gate("RZZ", (0, 1), 1),
        Gate("CRY", (0, 1), 2),
        Gate("CRX", (1, 0), None, 0.9),  # fixed: nothing shifts it
        Gate("RX", (0,), 1),
        Gate("CX", (0, 1), None),
        Gate("RZ", (1,), 2),
    )
    circuit = Circuit(1, 1, (Encoded(0, 0), Encoded(1, 0, 0.7)), placed, (Normal(),) * 3, "shared")
    neurons = quantum_neurons(circuit)
    steps, currents = 3, currents_of_both_signs(neurons, 3)
    rule = shift_rules.parameter_shift(circuit, steps, neurons.angles)
    found = by_rule(neurons, currents, rule)
    by_angle, _ = shift_rules.sum_by_parameter(circuit, rule.occurrences, found)
    law = neurons.sequence_probabilities(currents)
    for s in range(law.shape[-1]):
        (wanted,) = torch.autograd.grad(law[..., s].sum(), [neurons.angles], retain_graph=True)
        torch.testing.assert_close(by_angle[..., s, :].sum(0), wanted, rtol=0, atol=1e-10)
    # Shifting both gates of the shared angle at once is not the derivative.
    both = [place for place in rule.occurrences if place[1:] in (("gate", 0), ("gate", 3))]
    angles, encoding = neurons.angles.detach(), encoded(neurons, currents)
    far, near = (
        replayed_law(circuit, angles, encoding, [tuple(p.shifted(a) for p in both)])
        for a in (math.pi / 2, -math.pi / 2)
    )
    rows = [row for row, place in enumerate(rule.occurrences) if place in both]
    assert ((far - near)[0] / 2 - found[rows].sum(0)).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["crx", "bidirectional", "integrate_and_fire"])
def test_two_terms_on_a_controlled_rotation_are_wrong(name, monkeypatch):
    # In `crx` its frequency 1/2 shows only two steps later, the memory being what controls.
    neurons = quantum_neurons(name)
    currents = currents_of_both_signs(neurons, 3)
    right = shift_rules.parameter_shift(neurons.circuit, 3, neurons.angles)
    four = by_rule(neurons, currents, right)
    monkeypatch.setattr(shift_rules, "FOUR_TERMS", shift_rules.TWO_TERMS)
    wrong = shift_rules.parameter_shift(neurons.circuit, 3, neurons.angles)
    two = by_rule(neurons, currents, wrong)
    off = (four - two).abs().amax((1, 2, 3))
    for place, difference in zip(right.occurrences, off, strict=True):
        controlled = place.place == "gate" and neurons.circuit.gates[place.index].name == "CRX"
        if not controlled:
            assert difference < 1e-14
    assert off.max() > 1e-2


def test_the_number_of_circuits_is_two_or_four_an_occurrence():
    circuit = quantum_neurons("bidirectional", 2, 2).circuit
    rule = shift_rules.parameter_shift(circuit, 2, torch.zeros(1, dtype=torch.float32))
    # A step: 2 encoding rotations, 4 + 1 + 4 CRX, 2 + 2 RX.
    assert len(rule.occurrences) == 2 * (2 + 9 + 4)
    assert len(rule.shifts) == 2 * (2 * 2 + 4 * 9 + 2 * 4)
    assert rule.coefficients.shape == (len(rule.occurrences), len(rule.shifts), 1)
    assert rule.coefficients.dtype == torch.float32
    assert all(len(setting) == 1 for setting in rule.shifts)
    assert ((rule.coefficients != 0).sum(0) == 1).all()  # no circuit serves two occurrences


# SPSA


def all_signs(places: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the next draw of signs be every sign vector once, the same for all neurons."""
    every = torch.tensor(list(itertools.product((0, 1), repeat=places)))  # (directions, O)

    def drawn(low, high, shape, **_):
        assert (low, high) == (0, 2) and shape[:2] == (places, len(every))
        return every.T[:, :, None].expand(shape).clone()

    monkeypatch.setattr(torch, "randint", drawn)
    return len(every)


@pytest.mark.parametrize("name", CIRCUITS)
def test_spsa_over_all_signs_is_the_derivative_up_to_the_square_of_its_size(name, monkeypatch):
    neurons = quantum_neurons(name)
    currents = currents_of_both_signs(neurons, 1).abs()
    circuit, like = neurons.circuit, neurons.angles.detach()
    places = shift_rules.occurrences(circuit, 1)
    assert any(place.place == "encoding" for place in places)  # gains and weights included
    exact = by_rule(neurons, currents, shift_rules.parameter_shift(circuit, 1, like))
    directions = all_signs(len(places), monkeypatch)
    off = []
    for size in (0.1, 0.05):
        rule = shift_rules.simultaneous_perturbation(
            circuit, neurons.size, directions, size, seeded(0), like
        )
        assert rule.occurrences == places
        off.append((by_rule(neurons, currents, rule) - exact).abs().max())
    assert off[1] < 0.05**2 * len(places)
    assert 3.8 < off[0] / off[1] < 4.2  # a quarter at half the size: the next order is the fourth


def test_spsa_takes_two_circuits_a_direction_and_signs_of_every_neuron():
    neurons = quantum_neurons("bidirectional", size=40)
    circuit, directions, size = neurons.circuit, 3, 0.2
    places = shift_rules.occurrences(circuit, 1)
    draws = [
        shift_rules.simultaneous_perturbation(
            circuit, neurons.size, directions, size, seeded(seed), neurons.angles.detach()
        )
        for seed in (0, 0, 1)
    ]
    rule = draws[0]
    assert len(rule.shifts) == 2 * directions
    assert rule.coefficients.shape == (len(places), 2 * directions, 40)
    size_of_each = torch.full_like(rule.coefficients, 1 / (2 * size * directions))
    torch.testing.assert_close(rule.coefficients.abs(), size_of_each, rtol=1e-14, atol=0)
    for j, setting in enumerate(rule.shifts):
        assert [shift[:3] for shift in setting] == list(places)
        moved = torch.stack([shift.angle for shift in setting])  # (O, H)
        torch.testing.assert_close(moved.abs(), torch.full_like(moved, size))
        # df/d(angle o) has the sign of f at a positive shift of o, and the opposite one's else.
        assert torch.equal(moved.sign(), rule.coefficients[:, j].sign())
    pairs = rule.coefficients.unflatten(1, (-1, 2))
    assert torch.equal(pairs[:, :, 0], -pairs[:, :, 1])
    signs = rule.coefficients[:, ::2].sign()
    assert not (signs == signs[..., :1]).all()  # neurons have signs of their own
    assert torch.equal(draws[0].coefficients, draws[1].coefficients)
    assert not torch.equal(draws[0].coefficients, draws[2].coefficients)


def test_values_are_summed_over_the_gates_of_an_angle_and_kept_by_rotation_and_step():
    circuit = Circuit(
        1,
        1,
        (Encoded(0, 0, 0.0), Encoded(1, 0, 0.5)),
        (Gate("RX", (0,), 1), Gate("CZ", (0, 1), None), Gate("RX", (1,), 1), Gate("RY", (0,), 0)),
        (Normal(), Normal()),
    )
    places = shift_rules.occurrences(circuit, 2)
    values = 2.0 ** torch.arange(len(places), dtype=torch.float64)
    of = dict(zip(places, values.tolist(), strict=True))
    by_angle, by_rotation = shift_rules.sum_by_parameter(circuit, places, values)
    expected = [
        sum(of[Occurrence(step, "gate", index)] for step in (0, 1) for index in indices)
        for indices in ((3,), (0, 2))
    ]
    assert by_angle.tolist() == expected
    rows = [[0.0, of[Occurrence(step, "encoding", 1)]] for step in (0, 1)]
    assert by_rotation.tolist() == rows


def test_a_controlled_rotation_has_period_4_pi():
    # At 2 pi CRX is Z on the control, which the next step's RX makes visible.
    neurons = quantum_neurons("crx", size=1)
    currents = currents_of_both_signs(neurons, 3, batch=1)
    place = Occurrence(1, "gate", 0)
    assert neurons.circuit.gates[0].name == "CRX"
    settings = [(), (place.shifted(4 * math.pi),), (place.shifted(2 * math.pi),)]
    law = replayed_law(
        neurons.circuit, neurons.angles.detach(), encoded(neurons, currents), settings
    )[:, 0, 0]
    torch.testing.assert_close(law[1], law[0], rtol=0, atol=1e-13)
    assert (law[2] - law[0]).abs().max() > 1e-2
    which = ("crx", 1, 1, neurons.angles[0].tolist(), [])
    shifts = [(1, "gate", 0, 2 * math.pi)]
    for bits in itertools.product((0, 1), repeat=3):
        expected = learning_reference.joint_probability(
            *which, currents[:, 0, 0].tolist(), np.array(bits)[:, None], shifts
        )
        assert law[2, int("".join(map(str, bits)), 2)].item() == pytest.approx(expected, abs=1e-12)
