"""Many steps: both ways of computing them, their gradients, and outcomes that are certain."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import CIRCUITS, circuit_cases, seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.neurons import surrogates
from sqsnn.quantum import circuits, trajectory, unrolled
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.circuit import Circuit, Gate, Normal
from sqsnn.quantum.control import Fixed
from sqsnn.quantum.trajectory import Trajectory

pytestmark = pytest.mark.usefixtures("device")

CASES = circuit_cases()
UNROLLED = [case for case in CASES if unrolled.layout(circuits.get(*case)) is not None]


class Inputs(NamedTuple):
    """Random numbers for two neurons, three samples and some steps."""

    parameters: Tensor  # (2, parameters)
    memory: Tensor  # (3, 2, 2**M), real, of norm 1
    encoding: list[Tensor]  # E times (T, 3, 2)
    uniforms: Tensor  # (T, 3, 2)


def inputs(circuit: Circuit, steps: int, seed: int, dtype=torch.float64) -> Inputs:
    generator = seeded(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    memory = normal(3, 2, 2**circuit.memory_qubits)
    encoding = 2 * normal(len(circuit.encoding), steps, 3, 2)
    uniforms = torch.rand((steps, 3, 2), generator=generator, dtype=torch.float64)
    return Inputs(
        (2 * normal(2, circuit.parameters)).to(dtype),
        (memory / memory.norm(dim=-1, keepdim=True)).to(dtype),
        [angles.to(dtype) for angles in encoding],
        uniforms.to(dtype),
    )


def run(circuit: Circuit, given: Inputs, **options) -> Trajectory:
    """Run from the given memory, a real-frame state, whatever frame the circuit works in."""
    instrument = quantum.prepare(circuit, given.parameters)
    memory = given.memory
    if not instrument.real:
        real = quantum.Instrument(circuit, memory.new_zeros(1), None)
        memory = quantum.to_laboratory(real, memory)
    if "observed" not in options:
        options["uniforms"] = given.uniforms
    return trajectory.run(instrument, memory, Fixed(given.encoding), **options)


def forced_dense(monkeypatch) -> None:
    monkeypatch.setattr(unrolled, "layout", lambda circuit: None)


def forced_complex(circuit: Circuit) -> Circuit:
    """The same circuit with one more gate, RZ at angle 0, which is not real at other angles."""
    extra = Gate("RZ", (0,), circuit.parameters)
    return replace(
        circuit, gates=(*circuit.gates, extra), initial=(*circuit.initial, Normal()), name="longer"
    )


def loss(result: Trajectory, seed: int = 5) -> Tensor:
    """A random linear function of all that a trajectory leaves and that has a gradient."""
    generator = seeded(seed)
    total = torch.zeros((), dtype=result.marginals.dtype)
    for output in (result.marginals, result.log_likelihood, result.memory, result.history):
        if output is not None:
            parts = torch.view_as_real(output) if output.is_complex() else output
            total = total + (parts * torch.randn(parts.shape, generator=generator)).sum()
    return total


def gradients(circuit: Circuit, given: Inputs, **options) -> list[Tensor]:
    """Of the loss: in the parameters, the memory and the encoding angles."""
    leaves = [given.parameters, given.memory, *given.encoding]
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    watched = Inputs(leaves[0], leaves[1], leaves[2:], given.uniforms)
    found = torch.autograd.grad(loss(run(circuit, watched, **options)), leaves, allow_unused=True)
    return [
        torch.zeros_like(leaf) if slope is None else slope
        for slope, leaf in zip(found, leaves, strict=True)
    ]


def assert_same(first: Trajectory, second: Trajectory, atol: float) -> None:
    assert torch.equal(first.bits, second.bits)
    for name in ("marginals", "log_likelihood", "memory", "history"):
        one, other = getattr(first, name), getattr(second, name)
        assert_close(one, other, rtol=0, atol=atol, msg=lambda text, name=name: f"{name}: {text}")


def projector(states: Tensor) -> Tensor:
    """|m><m|: a state without its phase, which the real frame turns by i at every spike."""
    return states[..., :, None] * states[..., None, :].conj()


# Two ways, one law


def test_small_real_circuits_are_unrolled_and_others_are_not():
    sizes = {name: [case[1:] for case in UNROLLED if case[0] == name] for name in CIRCUITS}
    assert sizes["hardware_efficient"] == []
    assert all((1, 1) in sizes[name] for name in CIRCUITS[:3])
    assert len(UNROLLED) < len(CASES)  # so that the other tests of this file meet both


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), UNROLLED)
def test_unrolled_and_dense_agree_in_values_and_gradients(
    name, channels, memory_qubits, monkeypatch
):
    circuit = circuits.get(name, channels, memory_qubits)
    given = inputs(circuit, steps=5, seed=memory_qubits)
    fast = run(circuit, given, keep_history=True)
    fast_slopes = gradients(circuit, given, keep_history=True)
    forced_dense(monkeypatch)
    slow = run(circuit, given, keep_history=True)
    assert_same(fast, slow, 1e-12)
    for one, other in zip(fast_slopes, gradients(circuit, given, keep_history=True), strict=True):
        assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), UNROLLED[::3])
def test_unrolled_and_dense_agree_on_observed_spikes(name, channels, memory_qubits, monkeypatch):
    circuit = circuits.get(name, channels, memory_qubits)
    given = inputs(circuit, steps=3, seed=9)
    generator = seeded(1)
    shape = (3, 3, 2, channels)
    spikes = torch.randint(0, 2, shape, generator=generator).double()
    fast = run(circuit, given, observed=spikes, keep_history=True)
    fast_slopes = gradients(circuit, given, observed=spikes)
    assert torch.equal(fast.bits, spikes)
    forced_dense(monkeypatch)
    assert_same(fast, run(circuit, given, observed=spikes, keep_history=True), 1e-12)
    for one, other in zip(fast_slopes, gradients(circuit, given, observed=spikes), strict=True):
        assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits"), [case for case in CASES if case[0] in CIRCUITS[:3]]
)
def test_the_real_frame_gives_what_complex_numbers_give(name, channels, memory_qubits):
    circuit = circuits.get(name, channels, memory_qubits)
    given = inputs(circuit, steps=4, seed=2)
    zero = given.parameters.new_zeros(2, 1)
    longer = given._replace(parameters=torch.cat([given.parameters, zero], dim=1))
    real = run(circuit, given, keep_history=True)
    instrument = quantum.prepare(circuit, given.parameters)
    real = real._replace(
        memory=projector(quantum.to_laboratory(instrument, real.memory)),
        history=projector(quantum.to_laboratory(instrument, real.history)),
    )
    other = run(forced_complex(circuit), longer, keep_history=True)
    other = other._replace(memory=projector(other.memory), history=projector(other.history))
    assert_same(real, other, 1e-12)


@settings(max_examples=30)
@given(st.sampled_from(CASES), st.integers(1, 4), st.integers(0, 4), st.integers(0, 10_000))
def test_two_halves_are_the_whole_bit_for_bit(case, first, second, seed):
    circuit = circuits.get(*case)
    given = inputs(circuit, first + second, seed, torch.float32)
    instrument = quantum.prepare(circuit, given.parameters)
    memory = quantum.ground_state(instrument, 3)
    whole = trajectory.run(
        instrument, memory, Fixed(given.encoding), uniforms=given.uniforms, keep_history=True
    )
    pieces = []
    for part in filter(len, (torch.arange(first), first + torch.arange(second))):
        angles = [angle[part] for angle in given.encoding]
        piece = trajectory.run(
            instrument, memory, Fixed(angles), uniforms=given.uniforms[part], keep_history=True
        )
        memory = piece.memory
        pieces.append(piece)
    for name in ("bits", "marginals", "log_likelihood", "history"):
        joined = torch.cat([getattr(piece, name) for piece in pieces])
        assert torch.equal(getattr(whole, name), joined), name
    assert torch.equal(whole.memory, memory)
    assert torch.equal(whole.memory, whole.history[-1])


def check_edge_of_a_spike(circuit: Circuit, dtype: torch.dtype) -> None:
    given = inputs(circuit, 1, 3, dtype)
    probability = run(circuit, given).marginals[..., 0]
    below = torch.nextafter(probability, torch.zeros_like(probability))
    assert run(circuit, given._replace(uniforms=probability)).bits.eq(0).all()
    assert run(circuit, given._replace(uniforms=below)).bits.eq(1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CIRCUITS)
def test_one_channel_spikes_iff_the_uniform_is_below_its_probability_to_the_last_bit(
    name, dtype, monkeypatch
):
    check_edge_of_a_spike(circuits.get(name, 1, 2), dtype)
    forced_dense(monkeypatch)
    check_edge_of_a_spike(circuits.get(name, 1, 2), dtype)


@pytest.mark.parametrize(("name", "channels", "memory_qubits"), UNROLLED[::2])
def test_gradients_are_derivatives(name, channels, memory_qubits):
    # Of the unrolled steps; the dense ones are autograd's, and agree with them (above).
    circuit = circuits.get(name, channels, memory_qubits)
    given = inputs(circuit, steps=2, seed=4)
    given = given._replace(uniforms=given.uniforms[:, :1], memory=given.memory[:1])
    encoding = torch.stack(given.encoding)[:, :, :1]

    def outputs(parameters: Tensor, memory: Tensor, encoding: Tensor) -> Sequence[Tensor]:
        unit = memory / memory.norm(dim=-1, keepdim=True)
        result = run(circuit, Inputs(parameters, unit, list(encoding), given.uniforms))
        return result.marginals, result.log_likelihood, result.memory

    leaves = [leaf.clone().requires_grad_() for leaf in (given.parameters, given.memory, encoding)]
    assert torch.autograd.gradcheck(outputs, leaves, fast_mode=True)


# Through the collapse


def differentiable_matrix(name: str, qubits: tuple[int, ...], angle: Tensor, total: int) -> Tensor:
    """exp(-i angle G/2) = 1 + (cos(angle/2) - 1) G^2 - i sin(angle/2) G for G^3 = G."""
    if name == "CZ":
        return torch.tensor(reference.gate_matrix(reference.Gate(name, qubits), total))
    factors = {qubits[-1]: reference.PAULI[name[-1]]}
    if name.startswith("C"):
        factors[qubits[0]] = reference.PROJECTOR[1]
    G = torch.tensor(reference.on(factors, total))
    half = angle / 2
    return torch.eye(2**total) + (half.cos() - 1) * (G @ G) - 1j * half.sin() * G


def collapse_by_formula(
    circuit: Circuit, parameters: Tensor, encoding: list[Tensor], bits: Tensor, surrogate
) -> tuple[Tensor, Tensor, Tensor]:
    """One neuron and sample by full matrices: marginals (T, N), log-likelihood (T,), memory.

    With a surrogate: m' = sum over s' of prod_n [s_n if s'_n = 1 else 1 - s_n] psi_s' / sqrt(p_s').
    """
    N, total = circuit.channels, circuit.qubits
    frame = reference.on({q: np.diag([1, -1j]) for q in range(total)}, total).diagonal()
    frame = torch.tensor(frame if circuit.is_real else np.ones(2**total, complex)).conj()
    table = torch.tensor([reference.outcome_bits(s, N) for s in range(2**N)], dtype=torch.float64)
    ground = torch.zeros(2**N, dtype=torch.complex128)
    ground[0] = 1
    memory = torch.zeros(2**circuit.memory_qubits, dtype=torch.complex128)
    memory[0] = 1
    V = torch.eye(2**total, dtype=torch.complex128)
    for name, qubits, p, _ in circuit.gates:
        angle = torch.zeros(()) if p is None else parameters[p]
        V = differentiable_matrix(name, qubits, angle, total) @ V
    records = []
    for t, bit in enumerate(bits):
        psi = torch.kron(ground, memory)
        for rotation, angles in zip(circuit.encoding, encoding, strict=True):
            psi = differentiable_matrix("RX", (rotation.qubit,), angles[t], total) @ psi
        branches = ((V @ psi) * frame).reshape(2**N, -1)
        law = branches.abs().square().sum(-1)
        marginals = law @ table
        measured = reference.outcome_index(bit.tolist())
        records.append((marginals, law[measured].log()))
        states = branches / law.sqrt()[:, None]
        if surrogate is None:
            memory = states[measured]
        else:
            spikes = surrogate(bit, marginals)
            share = torch.where(table > 0, spikes, 1 - spikes).prod(-1)
            memory = (share[:, None] * states).sum(0)
        working = memory
        memory = memory * frame[: len(memory)].conj()
    return *(torch.stack(each) for each in zip(*records, strict=True)), working


def straight_through(bits: Tensor, probability: Tensor) -> Tensor:
    return bits + probability - probability.detach()


def sigmoid(bits: Tensor, probability: Tensor) -> Tensor:
    slope = (probability * (1 - probability)).detach()
    return bits + slope * (probability - probability.detach())


SURROGATES = {"straight_through": straight_through, "sigmoid": sigmoid}


@pytest.mark.parametrize("surrogate", [None, *SURROGATES])
@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits"),
    [
        ("crx", 1, 1),
        ("bidirectional", 1, 2),
        ("bidirectional", 2, 1),
        ("integrate_and_fire", 2, 1),
        ("hardware_efficient", 2, 1),
    ],
)
def test_own_spikes_pass_a_gradient_to_the_memory_as_the_formula_says(
    name, channels, memory_qubits, surrogate
):
    circuit = circuits.get(name, channels, memory_qubits)
    drawn = inputs(circuit, steps=3, seed=6)
    leaves = [leaf.clone().requires_grad_() for leaf in (drawn.parameters, *drawn.encoding)]
    instrument = quantum.prepare(circuit, leaves[0])
    through = surrogate and partial(surrogates.spike, surrogate=surrogate)
    ground = quantum.ground_state(instrument, 3)
    result = trajectory.run(
        instrument, ground, Fixed(leaves[1:]), uniforms=drawn.uniforms, through_collapse=through
    )
    plain = trajectory.run(instrument, ground, Fixed(leaves[1:]), uniforms=drawn.uniforms)
    assert_same(result, plain, 1e-13)  # the value is unchanged

    outputs = [result.marginals[:, 1, 0], result.log_likelihood[:, 1, 0], result.memory[1, 0]]
    expected = collapse_by_formula(
        circuit,
        leaves[0][0],
        [angle[:, 1, 0] for angle in leaves[1:]],
        result.bits[:, 1, 0],
        SURROGATES.get(surrogate),
    )
    generator = seeded(0)
    totals = [torch.zeros((), dtype=torch.float64)] * 2
    for one, other in zip(outputs, expected, strict=True):
        weight = torch.randn(one.shape, generator=generator, dtype=one.dtype)
        assert_close(one.to(other.dtype), other, rtol=0, atol=1e-12)
        totals[0] = totals[0] + (one * weight).real.sum()
        totals[1] = totals[1] + (other * weight).real.sum()
    for one, other in zip(*(torch.autograd.grad(x, leaves) for x in totals), strict=True):
        assert_close(one, other, rtol=0, atol=1e-10)


def test_without_it_a_later_probability_does_not_feel_the_surrogate_of_an_earlier_spike():
    circuit = circuits.get("bidirectional", 1, 1)
    drawn = inputs(circuit, steps=2, seed=0)
    parameters = drawn.parameters.clone().requires_grad_()
    instrument = quantum.prepare(circuit, parameters)
    slopes = []
    for surrogate in (None, *SURROGATES):
        through = surrogate and partial(surrogates.spike, surrogate=surrogate)
        result = trajectory.run(
            instrument,
            quantum.ground_state(instrument, 3),
            Fixed(drawn.encoding),
            uniforms=drawn.uniforms,
            through_collapse=through,
        )
        late = result.marginals[-1].sum()
        slopes.append(torch.autograd.grad(late, parameters, retain_graph=True)[0])
    assert not any(torch.allclose(one, other) for one, other in itertools.combinations(slopes, 2))


# Certain and impossible outcomes


def certain(circuit: Circuit, angles: list[float], steps: int, dtype: torch.dtype) -> Inputs:
    """Parameters 0, each channel's encoding angle as given, the memory in |0>."""
    memory = torch.zeros(3, 2, 2**circuit.memory_qubits, dtype=dtype)
    memory[..., 0] = 1
    encoding = [torch.full((steps, 3, 2), angle, dtype=dtype) for angle in angles]
    encoding += [torch.zeros(steps, 3, 2, dtype=dtype)] * (len(circuit.encoding) - len(angles))
    parameters = torch.zeros(2, circuit.parameters, dtype=dtype)
    return Inputs(parameters, memory, encoding, torch.zeros(steps, 3, 2, dtype=dtype))


PATHS = pytest.mark.parametrize("path", ["unrolled", "dense", "through_collapse", "complex"])


def prepared_path(path: str, name: str, channels: int, memory_qubits: int, monkeypatch):
    """A circuit and options such that the given way of computing it is taken."""
    options = {}
    circuit = circuits.get(name, channels, memory_qubits)
    if path == "dense":
        forced_dense(monkeypatch)
    elif path == "through_collapse":
        options["through_collapse"] = partial(surrogates.spike, surrogate="straight_through")
    elif path == "complex":
        circuit = forced_complex(circuit)
    return circuit, options


@PATHS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("angles", "expected"), [([0.0], [0]), ([math.pi], [1]), ([0.0, math.pi], [0, 1])]
)
def test_what_is_certain_is_drawn_whatever_the_uniform(path, dtype, angles, expected, monkeypatch):
    circuit, options = prepared_path(path, "bidirectional", len(angles), 1, monkeypatch)
    given = certain(circuit, angles, 2, dtype)
    for uniform in (0.0, 0.5, 1 - torch.finfo(dtype).eps / 2):
        drawn = given._replace(uniforms=torch.full_like(given.uniforms, uniform))
        result = run(circuit, drawn, **options)
        assert (result.bits == torch.tensor(expected, dtype=dtype)).all()
        assert_close(result.marginals, result.bits)
        assert_close(result.log_likelihood, torch.zeros_like(result.log_likelihood))
        slopes = gradients(circuit, drawn, **options)
        assert all(slope.isfinite().all() for slope in slopes)


@PATHS
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("name", "channels"), [("crx", 1), ("bidirectional", 2)])
def test_an_impossible_observed_spike_has_log_likelihood_minus_infinity_and_no_nan(
    path, name, channels, steps, monkeypatch
):
    circuit, options = prepared_path(path, name, channels, 1, monkeypatch)
    given = certain(circuit, [0.0] * channels, steps, torch.float64)
    spikes = torch.zeros(steps, 3, 2, channels, dtype=torch.float64)
    spikes[0, 0, 0, -1] = 1  # sample 0 of neuron 0 alone
    result = run(circuit, given, observed=spikes, keep_history=True, **options)
    assert result.log_likelihood[0, 0, 0] == -math.inf
    assert_close(result.log_likelihood[:, 1:], torch.zeros(steps, 2, 2, dtype=torch.float64))
    for name, output in result._asdict().items():
        assert output is None or not output.isnan().any(), name
    for slope in gradients(circuit, given, observed=spikes, **options):
        assert not slope.isnan().any()


@pytest.mark.parametrize("path", ["unrolled", "dense"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_probability_is_never_above_one(path, channels, monkeypatch):
    # The last channel fires for certain, the others do not: rounding must not lift it above 1.
    circuit, _ = prepared_path(path, "crx", channels, 0, monkeypatch)
    instrument = quantum.prepare(circuit, torch.zeros(500, circuit.parameters))
    generator = seeded(0)
    encoding = [4 * torch.rand((1, 20, 500), generator=generator) for _ in range(channels - 1)]
    encoding.append(torch.full((1, 20, 500), math.pi))
    result = trajectory.run(
        instrument,
        quantum.ground_state(instrument, 20),
        Fixed(encoding),
        uniforms=torch.full((1, 20, 500), 0.5),
    )
    assert result.marginals.max() <= 1
    assert result.marginals.min() >= 0
