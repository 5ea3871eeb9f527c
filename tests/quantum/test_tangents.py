"""Derivatives carried forward in time are those of autograd and of the reference."""

import pytest
import torch
from tools import CIRCUITS, DRIVES, circuit_cases, for_drives, seeded
from torch import Tensor

from sqsnn.learning.traces import Traced
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuit as circuits
from sqsnn.quantum.circuit import Circuit, Encoded, Gate, Normal

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, SIZE, PRESYNAPTIC = 3, 2, 2, 3
# One angle turns two gates, and the current of a channel two qubits.
SHARED = Circuit(
    1,
    1,
    (Encoded(0, 0, 0.5), Encoded(1, 0, 1.0, trainable=True)),
    (
        Gate("CRX", (0, 1), 0),
        Gate("RY", (1,), 1),
        Gate("CRX", (1, 0), 0),
        Gate("RX", (0,), None, 0.7),
        Gate("H", (0,)),
    ),
    (Normal(1.0, 0.3), Normal(0.5, 0.3)),
    "shared",
)
CASES = [*circuit_cases(CIRCUITS, channels=(1, 2)), (SHARED, 1, 1)]


def made(circuit, channels, memory, drive=DRIVES["rectified"]) -> SQSNeurons:
    return SQSNeurons(
        SIZE,
        channels=channels,
        memory_qubits=memory,
        circuit=circuit,
        drive=drive,
        encoding_slope="exact",
        generator=seeded(7),
        dtype=torch.float64,
    )


@pytest.mark.parametrize(("circuit", "channels", "memory"), [c for c in CASES if sum(c[1:]) < 4])
def test_the_derivatives_of_v_are_autograds(circuit, channels, memory):
    neurons = made(circuit, channels, memory)
    built = neurons.circuit
    for real in {built.is_real, False}:

        def unitary(angles: Tensor, real: bool = real) -> Tensor:
            whole = circuits.unitary(built.gates, angles, built.qubits, real_frame=real)
            return whole if real else torch.view_as_real(whole)

        one = neurons.angles[:1].detach()
        expected = torch.autograd.functional.jacobian(unitary, one)[..., 0, :].movedim(-1, 0)
        slopes = circuits.unitary_derivatives(built.gates, one, built.qubits, real_frame=real)
        slopes = slopes if real else torch.view_as_real(slopes)
        torch.testing.assert_close(slopes, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("circuit", "channels", "memory"), CASES)
def test_traces_give_the_derivatives_of_autograd_at_every_step(circuit, channels, memory):
    neurons = made(circuit, channels, memory)
    generator = seeded(8)
    weight = torch.randn(channels, SIZE, PRESYNAPTIC, generator=generator, dtype=torch.float64)
    weight.requires_grad_()
    sources = torch.rand(STEPS, BATCH, PRESYNAPTIC, channels, generator=generator).round().double()
    uniforms = torch.rand(STEPS, BATCH, SIZE, generator=generator, dtype=torch.float64)
    signal = torch.randn(STEPS, BATCH, SIZE, channels, generator=generator, dtype=torch.float64)
    currents = torch.einsum("nhp,tbpn->tbhn", weight, sources)
    record, _ = neurons(currents, uniforms=uniforms)
    parameters = [p for p in (neurons.angles, neurons.gains, weight) if p.requires_grad]
    by_step = [(record.probability * signal).sum((1, 2, 3)), record.log_likelihood.sum((1, 2))]

    traced = Traced(neurons, PRESYNAPTIC, BATCH, scored=True)
    with torch.no_grad():
        for t in range(STEPS):
            seen = traced.observe(sources[t], currents[t], uniforms[t])
            assert torch.equal(seen.spikes, record.spikes[t])
            torch.testing.assert_close(seen.probability, record.probability[t], atol=1e-12, rtol=0)
            slopes = traced.slope_of_probability(seen, signal[t]), traced.slope_of_likelihood(seen)
            for slope, values in zip(slopes, by_step, strict=True):
                one = torch.eye(STEPS, dtype=torch.float64)[t]
                *expected, weights = torch.autograd.grad(
                    values, parameters, one, retain_graph=True, materialize_grads=True
                )
                wanted = torch.cat(expected, dim=1), weights
                whole = traced.traces.gradient(seen, slope)
                each = traced.of_score.scores(seen, slope)
                for got in (whole, type(whole)(each.own.sum(1), each.synaptic.sum(1))):
                    found = got.own, traced.by_weight(got)
                    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
            traced.carry(seen)


@for_drives("rectified", "leaky", "leaky, K = 2")
def test_traces_do_not_grow_with_time(drive):
    neurons = made("bidirectional", 1, 2, drive)
    traced = Traced(neurons, PRESYNAPTIC, BATCH, scored=True)
    generator = seeded(9)
    sizes = set()
    with torch.no_grad():
        for _ in range(50):
            sources = torch.rand(BATCH, PRESYNAPTIC, 1, generator=generator).round().double()
            currents = torch.rand(BATCH, SIZE, 1, generator=generator, dtype=torch.float64)
            uniforms = torch.rand(BATCH, SIZE, generator=generator, dtype=torch.float64)
            traced.carry(traced.observe(sources, currents, uniforms))
            for traces in (traced.traces, traced.of_score):
                sizes.add((traces.own.shape, traces.synaptic.shape))
                assert traces.own.isfinite().all()
            norms = traced.memory.square().sum(-1)
            torch.testing.assert_close(norms, torch.ones_like(norms), rtol=0, atol=1e-12)
    assert len(sizes) == 1
