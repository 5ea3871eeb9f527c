"""One step as a quantum instrument: Kraus operators, the draw of outcomes, the law of sequences."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import CIRCUITS, circuit_cases, frame_change, seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.quantum import circuits
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuit import Circuit, Encoded, Normal, unitary
from sqsnn.quantum.control import Fixed
from sqsnn.quantum.instrument import Instrument

pytestmark = pytest.mark.usefixtures("device")

REAL = CIRCUITS[:3]
HIGHEST_UNIFORM = {torch.float32: 1 - 2.0**-24, torch.float64: 1 - 2.0**-53}


class Example(NamedTuple):
    """Two neurons with random angles and gains, and random currents of three samples."""

    circuit: Circuit
    parameters: Tensor  # (2, parameters)
    instrument: Instrument
    currents: Tensor  # (T, 3, 2, N)
    encoding: Tensor  # (T, 3, 2, E)
    neurons: list[reference.Neuron]


def example(name: str, channels: int, memory_qubits: int, steps: int = 1, seed: int = 0) -> Example:
    generator = seeded(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    circuit = circuits.get(name, channels, memory_qubits)
    parameters = 2 * normal(2, circuit.parameters)
    currents = normal(steps, 3, 2, channels)  # of both signs
    gains = normal(2, circuit.qubits)
    phi = math.pi * currents.clamp_min(0)
    encoding = [
        phi[..., r.channel] * (gains[:, r.qubit] if r.trainable else r.gain)
        for r in circuit.encoding
    ]
    neurons = [
        reference.named(name, channels, memory_qubits, angles, gain)
        for angles, gain in zip(parameters.tolist(), gains.tolist(), strict=True)
    ]
    return Example(
        circuit,
        parameters,
        quantum.prepare(circuit, parameters),
        currents,
        torch.stack(encoding, -1),
        neurons,
    )


def in_the_laboratory(example: Example) -> Instrument:
    """The same numbers, but calculated with complex matrices in the laboratory frame."""
    circuit = example.circuit
    body, tail = circuit.split_memory_tail()
    return Instrument(
        circuit,
        unitary(body, example.parameters, circuit.qubits, real_frame=False),
        unitary(tail, example.parameters, circuit.memory_qubits, real_frame=False),
    )


def sequence_law(instrument: Instrument, encoding: Tensor) -> Tensor:
    """The law of sequences at angles that no spike changes, `(T, B, H, E)`."""
    control = Fixed(encoding.unbind(-1))
    return quantum.sequence_probabilities(instrument, control, *encoding.shape[:2])


# Kraus operators


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), circuit_cases())
def test_kraus_operators_are_the_references_and_complete(name, channels, memory_qubits):
    it = example(name, channels, memory_qubits)
    kraus = quantum.kraus_operators(it.instrument, it.encoding[0])
    assert kraus.dtype == torch.complex128
    for b, h in np.ndindex(3, 2):
        expected = reference.kraus_operators(it.neurons[h], it.currents[0, b, h].tolist())
        assert_close(kraus[b, h], torch.as_tensor(expected), rtol=0, atol=1e-12)
    total = (kraus.mH @ kraus).sum(2)
    identity = torch.eye(2**memory_qubits, dtype=total.dtype).expand_as(total)
    assert_close(total, identity, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), circuit_cases(REAL))
def test_the_real_frame_gives_what_complex_numbers_give(name, channels, memory_qubits):
    it = example(name, channels, memory_qubits, steps=2)
    complex_instrument = in_the_laboratory(it)
    assert it.instrument.real and not complex_instrument.real
    for law, encoding in (
        (quantum.kraus_operators, it.encoding[0]),
        (sequence_law, it.encoding),
    ):
        real, other = law(it.instrument, encoding), law(complex_instrument, encoding)
        assert_close(real, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), circuit_cases(REAL, (1, 2), (1, 2)))
def test_the_working_frame_is_the_local_change_of_basis(name, channels, memory_qubits):
    it = example(name, channels, memory_qubits)
    D = frame_change(memory_qubits).cpu().numpy()
    basis = torch.eye(2**memory_qubits, dtype=torch.float64)
    for h, neuron in enumerate(it.neurons):
        current = it.currents[0, 0, h].tolist()
        for s, K in enumerate(reference.kraus_operators(neuron, current)):
            turned = 1j ** sum(reference.outcome_bits(s, channels)) * D.conj().T @ K @ D
            assert np.abs(turned.imag).max() < 1e-12
            for column, state in enumerate(basis):
                memory = state.expand(2, -1)
                made = quantum.branches(it.instrument, memory, it.encoding[0, 0])[h, s]
                assert_close(made, torch.as_tensor(turned.real[:, column]), rtol=0, atol=1e-12)


def test_kraus_operators_at_precision_and_gradient_of_the_parameters():
    circuit = circuits.get("bidirectional", 1, 1)
    angles = torch.ones(2, circuit.parameters, requires_grad=True)
    kraus = quantum.kraus_operators(quantum.prepare(circuit, angles), torch.ones(3, 2, 1))
    assert kraus.dtype == torch.complex64
    kraus.abs().sum().backward()
    assert angles.grad is not None
    assert angles.grad.isfinite().all()


def test_a_channel_at_a_fixed_gain_and_a_rotated_memory():
    # Gains that no named circuit has: channel 1 by half of current 0, memory by twice current 1.
    encoding = [Encoded(1, 0, 0.5), Encoded(3, 1, 2.0)]
    gates = [("CRY", (3, 0), Normal()), ("RXX", (1, 2), Normal()), ("H", (2,), None)]
    circuit = Circuit.build(2, 2, gates, encoding)
    parameters = torch.tensor([[0.7, -1.1]], dtype=torch.float64)
    z = [0.3, 0.8]
    angles = torch.tensor([[0, 0.5 * z[0], 2.0 * z[1]]], dtype=torch.float64) * math.pi
    kraus = quantum.kraus_operators(quantum.prepare(circuit, parameters), angles)
    neuron = reference.Neuron(
        2,
        2,
        (reference.Drive(1, 0, 0.5), reference.Drive(3, 1, 2.0)),
        (
            reference.Gate("CRY", (3, 0), 0.7),
            reference.Gate("RXX", (1, 2), -1.1),
            reference.Gate("H", (2,)),
        ),
    )
    expected = torch.as_tensor(reference.kraus_operators(neuron, z))
    assert_close(kraus[0], expected, rtol=0, atol=1e-12)


# The law of sequences


@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits", "steps"),
    [(*case, 4) for case in circuit_cases(channels=(1,))]
    + [(*case, 2) for case in circuit_cases(channels=(2,), memory_qubits=(0, 1, 2))],
)
def test_the_joint_law_is_the_references(name, channels, memory_qubits, steps):
    it = example(name, channels, memory_qubits, steps)
    law = sequence_law(it.instrument, it.encoding)
    assert law.shape == (3, 2, 2 ** (channels * steps))
    for h in range(2):
        expected = reference.joint_law(it.neurons[h], it.currents[:, 1, h].tolist())
        assert_close(law[1, h], torch.as_tensor(expected), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("train", "index"),
    [
        ([[1], [0], [0]], 0b100),
        ([[0], [0], [1]], 0b001),
        ([[1], [1], [0]], 0b110),
        ([[1, 0], [0, 0]], 0b1000),
        ([[0, 1], [1, 0]], 0b0110),
    ],
)
def test_step_1_and_channel_0_are_most_significant(train, index):
    # A circuit without gates copies its input: angle pi is a spike, angle 0 none.
    channels = len(train[0])
    instrument = quantum.prepare(Circuit.build(channels, 1, []), torch.zeros(1, 0).double())
    angles = math.pi * torch.tensor(train, dtype=torch.float64)[:, None, None]
    law = sequence_law(instrument, angles)[0, 0]
    assert law.argmax() == index
    assert_close(law[index], law.new_tensor(1.0))
    neuron = reference.Neuron(
        channels, 1, tuple(reference.Drive(n, n) for n in range(channels)), ()
    )
    assert reference.joint_law(neuron, train).argmax() == index


@settings(max_examples=25)
@given(st.sampled_from(circuit_cases(memory_qubits=(0, 1, 2))), st.integers(0, 10_000))
def test_a_shorter_law_is_the_sum_of_the_longer_one(case, seed):
    it = example(*case, steps=3, seed=seed)
    longer = sequence_law(it.instrument, it.encoding)
    shorter = sequence_law(it.instrument, it.encoding[:2])
    summed = longer.unflatten(-1, (-1, 2**it.circuit.channels)).sum(-1)
    assert_close(summed, shorter, rtol=0, atol=1e-12)
    assert_close(shorter.sum(-1), torch.ones(3, 2, dtype=torch.float64), rtol=0, atol=1e-12)


def test_more_than_2_to_the_20_sequences_are_refused():
    instrument = quantum.prepare(Circuit.build(3, 0, []), torch.zeros(1, 0))
    with pytest.raises(ValueError, match=r"7 steps of 3 channels, 2\*\*21 .* = 20"):
        sequence_law(instrument, torch.zeros(7, 1, 1, 3))


# Drawing an outcome


def test_outcomes_count_channel_0_as_most_significant():
    bits = quantum.outcome_bits(2, torch.device("cpu"))
    assert bits.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert quantum.outcome_index(bits.float()).tolist() == [0, 1, 2, 3]


def test_one_channel_spikes_where_the_uniform_lies_below_its_probability():
    weights = torch.tensor([0.75, 0.25])
    uniforms = torch.tensor([0.0, 0.2499, 0.25, 0.9])
    assert quantum.choose(weights.expand(4, 2), uniforms).tolist() == [1, 1, 0, 0]


@settings(max_examples=80)
@given(
    st.lists(st.sampled_from([0.0, 1e-30, 0.1, 0.25, 1.0]), min_size=4, max_size=4).filter(sum),
    st.sampled_from([0.0, 0.3, 0.5, 0.75, 0.999, None]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_outcomes_lie_from_the_highest_downward_and_the_impossible_never_comes(
    values, uniform, dtype
):
    uniform = HIGHEST_UNIFORM[dtype] if uniform is None else uniform
    weights = torch.tensor(values, dtype=dtype)
    weights = weights / weights.sum()
    drawn = int(quantum.choose(weights, torch.tensor(uniform, dtype=dtype)))
    assert values[drawn] > 0
    law = weights.double().cpu().numpy()
    edges = np.cumsum(law[::-1])
    if np.abs(edges - uniform).min() > 1e-6:
        assert drawn == reference.draw(law, uniform)


def test_a_norm_below_one_by_rounding_still_leaves_an_outcome_for_every_uniform():
    weights = torch.tensor([0.5, 0.5]) * (1 - 2**-20)
    assert quantum.choose(weights, torch.tensor(1 - 2.0**-24)) == 0
    weights = torch.tensor([0.0, 1.0]) * (1 - 2**-20)
    assert quantum.choose(weights, torch.tensor(1 - 2.0**-24)) == 1


def test_an_event_of_probability_0_is_normalised_to_0_with_gradient_0():
    psi = torch.tensor([[0.6, 0.0], [0.0, 0.0]], requires_grad=True)
    states, logarithms = quantum.collapsed(psi)
    assert_close(states.detach(), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert_close(logarithms.detach(), torch.tensor([2 * math.log(0.6), -math.inf]))
    (states * torch.tensor([1.0, 3.0])).sum().backward()
    assert_close(psi.grad, torch.tensor([[0.0, 5.0], [0.0, 0.0]]))


# Frames


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("memory_qubits", [0, 1, 3])
def test_to_the_laboratory_and_back_gives_the_same_bits(memory_qubits, dtype):
    instrument = quantum.prepare(Circuit.build(1, memory_qubits, []), torch.zeros(2, 0).to(dtype))
    generator = seeded(1)
    memory = torch.randn(3, 2, 2**memory_qubits, generator=generator, dtype=dtype)
    outside = quantum.to_laboratory(instrument, memory)
    assert outside.dtype == dtype.to_complex()
    phases = frame_change(memory_qubits).diagonal().to(outside.dtype)
    assert_close(outside, memory * phases, rtol=0, atol=0)
    assert torch.equal(quantum.from_laboratory(instrument, outside), memory)


def test_a_state_that_a_real_circuit_cannot_reach_is_refused():
    circuit = circuits.get("crx", 1, 1)
    plus = torch.full((1, 1, 2), 0.5**0.5, dtype=torch.complex64)  # |0> + |1>: not in the frame
    with pytest.raises(ValueError, match=r"state\.memory is not real .* 'crx'"):
        quantum.check_memory(circuit, plus)
    complex_circuit = circuits.get("hardware_efficient", 1, 1)
    quantum.check_memory(complex_circuit, plus)
    instrument = quantum.prepare(complex_circuit, torch.zeros(1, complex_circuit.parameters))
    assert torch.equal(quantum.from_laboratory(instrument, plus), plus)
