"""Rare outcomes, down to the smallest normal number: likelihoods and gradients stay right.

With all gate angles 0 the channel flips by its encoding alone, p = sin^2(pi z / 2), whatever the
circuit: log p = 2 log(pi z / 2), with derivative 2 / z for small z.
"""

import math

import pytest
import torch
from tools import CIRCUITS, needs_kernel, seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.placing import LARGEST_GRADIENT, bounded
from sqsnn.quantum import instrument as quantum
from sqsnn.quantum.noise import Noise

# Currents of probabilities from about 2.5e-2 down to just above the smallest normal number.
SMALL = {torch.float32: (1e-1, 1e-8, 1e-15, 7e-20), torch.float64: (1e-1, 1e-50, 1e-100, 1e-154)}
# And below it.
TOO_SMALL = {torch.float32: (6e-20, 1e-23, 1e-40), torch.float64: (9e-155, 1e-160, 1e-310)}

backends = pytest.mark.parametrize("backend", ["torch", pytest.param("fused", marks=needs_kernel)])
precisions = pytest.mark.parametrize("dtype", SMALL)


def still(backend: str, dtype: torch.dtype, size: int, **options) -> SQSNeurons:
    """Neurons whose gates do nothing, and whose currents turn the channels alone."""
    options = {"drive": Rectified(), **options}
    neurons = SQSNeurons(size, backend=backend, dtype=dtype, generator=seeded(0), **options)
    with torch.no_grad():
        neurons.angles.zero_()
        on_channel = [r.qubit == 0 for r in neurons.circuit.encoding if r.trainable]
        neurons.gains.copy_(torch.tensor(on_channel).to(dtype).expand_as(neurons.gains))
    return neurons


def currents_of(values: tuple[float, ...], dtype: torch.dtype, steps: int = 1) -> Tensor:
    row = torch.tensor(values, dtype=dtype)
    return row.expand(steps, 1, -1)[..., None].clone().requires_grad_()


@precisions
@backends
@pytest.mark.parametrize("through_collapse", [False, True])
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_rare_spikes_have_the_likelihood_and_gradient_of_their_law(
    circuit, through_collapse, backend, dtype
):
    small = SMALL[dtype]
    neurons = still(backend, dtype, len(small), circuit=circuit, through_collapse=through_collapse)
    currents = currents_of(small, dtype)
    record, state = neurons(currents, observed=torch.ones_like(currents))
    (by_current,) = torch.autograd.grad(record.log_likelihood.sum(), currents)
    half = math.pi / 2 * currents.detach().double()
    law = 2 * half.sin().log(), math.pi / half.tan()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert_close(record.log_likelihood.double(), law[0][..., 0], rtol=tolerance, atol=0)
    assert_close(by_current.double(), law[1], rtol=tolerance, atol=0)
    norms = quantum.squared_norm(state.memory)
    assert_close(norms, torch.ones_like(norms), rtol=0, atol=tolerance)


@precisions
@backends
@pytest.mark.parametrize("memory_qubits", [0, 1])
def test_a_probability_below_the_smallest_normal_number_counts_as_0(memory_qubits, backend, dtype):
    small = TOO_SMALL[dtype]
    neurons = still(backend, dtype, len(small), circuit="crx", memory_qubits=memory_qubits)
    currents = currents_of(small, dtype, steps=2)
    record, state = neurons(currents, observed=torch.ones_like(currents))
    assert bool((record.log_likelihood == -math.inf).all())
    assert not bool(state.memory.any())
    record.log_likelihood.sum().backward()
    assert not bool(currents.grad.any())
    # Nor is it drawn, not even by the number 0.
    record, _ = neurons(currents, uniforms=torch.zeros_like(currents[..., 0]))
    assert not bool(record.spikes.any())


@precisions
@backends
@pytest.mark.parametrize("memory_qubits", [0, 1])
def test_the_number_0_draws_the_rarest_spike_that_counts(memory_qubits, backend, dtype):
    small = 4 * SMALL[dtype][-1]
    neurons = still(backend, dtype, 1, circuit="crx", memory_qubits=memory_qubits)
    record, _ = neurons(currents_of((small,), dtype), uniforms=torch.zeros(1, 1, 1, dtype=dtype))
    assert record.spikes.item() == 1
    assert math.isfinite(record.log_likelihood.item())


@precisions
@backends
def test_no_number_draws_an_outcome_without_weight(backend, dtype):
    # Channel 0 is flipped for sure: outcomes 00 and 01 have no weight, however the others round.
    neurons = still(backend, dtype, 999, circuit="crx", channels=2, memory_qubits=0)
    currents = torch.rand(1, 1, 999, 2, dtype=dtype, generator=seeded(1))
    currents[..., 0] = 1
    top = torch.full((1, 1, 999), 1 - torch.finfo(dtype).eps / 2, dtype=dtype)
    record, _ = neurons(currents, uniforms=top)
    assert bool(record.spikes[..., 0].all())


@backends
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_gradients_of_several_rare_events_stay_numbers(circuit, backend):
    # Each multiplies what runs through the memory by up to 1e19: in float32, three overflow.
    neurons = still(backend, torch.float32, 2, circuit=circuit, drive=Leaky(reset=1e6))
    with torch.no_grad():
        neurons.angles.add_(1e-19)
    currents = torch.full((6, 1, 2, 1), 1e-19, requires_grad=True)
    currents.data[1:] += 1e6  # what the reset takes away
    record, state = neurons(currents, observed=torch.ones_like(currents))
    (
        record.log_likelihood.clamp_min(-1e3).sum() + torch.view_as_real(state.memory).sum()
    ).backward()
    found = [currents.grad, *(p.grad for p in neurons.parameters() if p.grad is not None)]
    assert all(bool(gradient.isfinite().all()) for gradient in found)


@precisions
def test_a_step_passes_on_gradients_up_to_the_largest(dtype):
    largest = LARGEST_GRADIENT[dtype]
    small = 2 * SMALL[dtype][-1]
    psi = torch.tensor([[small, 0.0]] * 3, dtype=dtype, requires_grad=True)
    wanted = torch.tensor([0.5, 2.0, -2.0], dtype=dtype) * largest * small
    states, _ = quantum.collapsed(psi)
    (states[:, 1] * wanted).sum().backward()
    held = torch.tensor([0.5, 1.0, -1.0], dtype=dtype) * largest
    assert_close(psi.grad, torch.stack([torch.zeros_like(held), held], dim=-1))


def test_a_gradient_that_is_no_number_is_not_held():
    found = bounded(torch.tensor([math.nan, math.inf, -math.inf], dtype=torch.float64)).tolist()
    assert math.isnan(found[0])
    assert found[1:] == [1e200, -1e200]


@needs_kernel
def test_the_kernel_holds_gradients_as_torch_does():
    found = []
    for backend in ("torch", "fused"):
        # Other circuits turn the memory once more, which torch does after it holds the gradients.
        neurons = still(backend, torch.float32, 1, circuit="bidirectional")
        with torch.no_grad():  # the memory is turned, but not coupled
            for gate in neurons.circuit.gates:
                if min(gate.qubits) >= neurons.channels and gate.parameter is not None:
                    neurons.angles[:, gate.parameter] = 1.0
        currents = torch.tensor([0.3, 1e-17]).view(2, 1, 1, 1).requires_grad_()
        observed = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
        _, state = neurons(currents, observed=observed)
        # By one amplitude of the memory: r = 6e16 times 1e9 is beyond 1e25.
        weight = torch.zeros_like(torch.view_as_real(state.memory))
        weight[..., 1, :] = 1e9
        (torch.view_as_real(state.memory) * weight).sum().backward()
        found.append([currents.grad, *(p.grad for p in neurons.parameters())])
    assert_close(found[0], found[1])
    assert max(float(gradient.abs().max()) for gradient in found[0]) > 1e24


@precisions
def test_rare_spikes_of_the_published_formula_have_the_likelihood_of_their_law(dtype):
    neurons = PublishedSQS(4, dtype=dtype, generator=seeded(0))
    with torch.no_grad():
        for parameter in neurons.parameters():
            parameter.zero_()
    currents = currents_of(SMALL[dtype], dtype)
    for spikes, z in (
        (torch.ones, currents),
        (torch.zeros, (1 - currents.detach()).requires_grad_()),
    ):
        record, _ = neurons(z, observed=spikes(z.shape, dtype=dtype))
        record.log_likelihood.sum().backward()
        assert bool(z.grad.isfinite().all())
    half = math.pi / 2 * currents.detach().double()
    record, _ = neurons(currents, observed=torch.ones_like(currents))
    assert_close(record.log_likelihood.double(), 2 * half.sin().log()[..., 0], rtol=1e-6, atol=0)


@precisions
def test_density_matrices_keep_rare_events_numbers(dtype):
    neurons = still("torch", dtype, 4, circuit="bidirectional", noise=Noise())
    currents = currents_of(SMALL[dtype], dtype, steps=3)
    record, state = neurons(currents, observed=torch.ones_like(currents))
    finite = torch.where(record.log_likelihood.isfinite(), record.log_likelihood, 0.0)
    (finite.sum() + torch.view_as_real(state.memory).sum()).backward()
    assert not bool(record.log_likelihood.isnan().any())
    found = [currents.grad, neurons.angles.grad]
    assert all(bool(gradient.isfinite().all()) for gradient in found)
