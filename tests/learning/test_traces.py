"""Traces carried forward in time are the derivatives that autograd finds backward in time."""

import itertools

import pytest
import torch
from tools import seeded
from torch.testing import assert_close

from sqsnn.learning.eligibility import Gradient
from sqsnn.learning.traces import Traced
from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.synapses import DenseSynapses

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, INPUTS, SIZE = 6, 3, 4, 2
DRIVES = [
    Rectified(),
    Saturating(),
    Leaky(beta=0.7),
    Leaky(beta=0.7, through_reset=False),
    *(Leaky(beta=0.7, reset_steps=k) for k in range(5)),
]
CASES = [
    ("crx", 1, 0),
    ("bidirectional", 1, 2),
    ("bidirectional", 2, 1),
    ("integrate_and_fire", 2, 2),
    ("hardware_efficient", 2, 1),
]


def population(name: str, channels: int, memory_qubits: int, **options) -> SQSNeurons:
    neurons = SQSNeurons(
        SIZE,
        circuit=name,
        channels=channels,
        memory_qubits=memory_qubits,
        dtype=torch.float64,
        generator=seeded(0),
        **options,
    )
    with torch.no_grad():
        neurons.angles.normal_(0, 1, generator=seeded(1))
        neurons.gains.normal_(1, 0.3, generator=seeded(2))
        if isinstance(neurons.drive, Leaky):
            for parameter in (neurons.beta, neurons.reset, neurons.bias):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=seeded(3)))
    return neurons


@pytest.mark.parametrize(
    ("drive", "case", "surrogate", "slope"),
    [
        *itertools.product(DRIVES, CASES, ["straight_through"], ["exponential"]),
        (Leaky(beta=0.7), CASES[2], "sigmoid", "exact"),
        (Leaky(beta=0.7, reset_steps=2), CASES[3], "sigmoid", "exact"),
    ],
    ids=str,
)
def test_traces_are_the_derivatives_of_autograd(drive, case, surrogate, slope):
    # The currents reach below the floor and beyond the clip, so that every slope takes part.
    neurons = population(*case, drive=drive, surrogate=surrogate, encoding_slope=slope)
    channels = neurons.channels
    synapses = DenseSynapses(
        INPUTS, SIZE, channels=channels, generator=seeded(4), dtype=torch.float64
    )
    with torch.no_grad():
        synapses.weight.mul_(3)
    spikes = torch.rand(STEPS, BATCH, INPUTS, channels, generator=seeded(5)).round().double()
    uniforms = neurons.draw_uniforms(STEPS, BATCH, seeded(6))
    shape = STEPS, BATCH, SIZE
    on_probability = torch.randn(*shape, channels, generator=seeded(7), dtype=torch.float64)
    on_likelihood = torch.randn(shape, generator=seeded(8), dtype=torch.float64)

    currents = synapses(spikes)
    record, _ = neurons(currents, uniforms=uniforms)
    scored, _ = neurons(currents, observed=record.spikes.detach())
    parameters = [*neurons.parameters(), synapses.weight]
    expected = torch.autograd.grad(
        (on_probability * record.probability).sum(),
        parameters,
        materialize_grads=True,
        retain_graph=True,
    )
    expected_score = torch.autograd.grad(
        (on_likelihood * scored.log_likelihood).sum(), parameters, materialize_grads=True
    )
    if isinstance(drive, Leaky):
        charge = neurons.potentials(currents, record.spikes).detach()
        assert (charge <= drive.floor).any() or drive.reset_steps is not None
        assert (charge > 1).any()

    with torch.no_grad():
        traced = Traced(neurons, INPUTS, BATCH, scored=True)
        found, found_score = [], []
        for t in range(STEPS):
            seen = traced.observe(spikes[t], currents[t], uniforms[t])
            assert torch.equal(seen.spikes, record.spikes[t])
            assert_close(seen.probability, record.probability[t], rtol=0, atol=1e-12)
            by_probability = traced.slope_of_probability(seen, on_probability[t])
            found.append(traced.traces.gradient(seen, by_probability))
            scores = traced.of_score.scores(seen, traced.slope_of_likelihood(seen))
            weight = on_likelihood[t].T[..., None]  # (H, B, 1)
            found_score.append(Gradient(*(weight * part for part in scores)))
            traced.carry(seen)
    for parts, wanted in ((found, expected), (found_score, expected_score)):
        own = sum(part.own if part.own.dim() == 2 else part.own.sum(1) for part in parts)
        synaptic = sum(
            part.synaptic if part.synaptic.dim() == 2 else part.synaptic.sum(1) for part in parts
        )
        flat = torch.cat([gradient.flatten(1) for gradient in wanted[:-1]], dim=1)
        assert_close(own, flat, rtol=1e-12, atol=1e-11)
        weights = wanted[-1].movedim(0, 1).flatten(1)
        assert_close(synaptic, weights, rtol=1e-12, atol=1e-11)
