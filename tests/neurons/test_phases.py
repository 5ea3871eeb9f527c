"""Angles of large currents: whole turns are left out before rounding can touch what remains."""

from fractions import Fraction
from functools import partial
from math import cos, pi

import pytest
import torch
from tools import needs_kernel, seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.neurons import surrogates
from sqsnn.neurons.drive import Rectified
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons

SIZE = 205
backends = pytest.mark.parametrize("backend", ["torch", pytest.param("fused", marks=needs_kernel)])
precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def large(dtype: torch.dtype) -> Tensor:
    """Currents of all sizes up to 1e6, and some that are whole turns."""
    sizes = 10.0 ** torch.linspace(-3, 6, SIZE - 5, dtype=torch.float64)
    whole = torch.tensor([0, 1, 2, 4, 1e6], dtype=torch.float64)
    return torch.cat([sizes, whole]).to(dtype)


def probabilities(currents: Tensor, gain: float = 1.0) -> Tensor:
    """sin^2(pi gain z / 2) with the product exact, as a fraction."""
    turns = [float(Fraction(z) * Fraction(gain) % 4) for z in currents.tolist()]
    return torch.tensor([(1 - cos(pi * turn)) / 2 for turn in turns], dtype=torch.float64)


@precisions
@backends
def test_probabilities_of_large_currents_are_exact_to_rounding(backend, dtype):
    neurons = SQSNeurons(
        SIZE,
        memory_qubits=0,
        circuit="crx",
        drive=Rectified(),
        backend=backend,
        dtype=dtype,
        generator=seeded(0),
    )
    with torch.no_grad():
        neurons.angles.zero_()
    currents = large(dtype)
    record, _ = neurons(currents.view(1, 1, -1, 1), generator=seeded(1))
    tolerance = 4 * torch.finfo(dtype).eps
    assert_close(
        record.probability.flatten().double(), probabilities(currents), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("gain", [0.7, -1.3, 3.0, 1e3])
@precisions
@backends
def test_a_gain_is_multiplied_before_anything_is_rounded(backend, dtype, gain):
    neurons = SQSNeurons(
        SIZE,
        circuit="integrate_and_fire",
        drive=Rectified(),
        backend=backend,
        dtype=dtype,
        generator=seeded(0),
    )
    with torch.no_grad():
        neurons.angles.zero_()
        on_channel = [r.qubit == 0 for r in neurons.circuit.encoding if r.trainable]
        neurons.gains.copy_(gain * torch.tensor(on_channel).to(dtype))
    currents = large(dtype)
    record, _ = neurons(currents.view(1, 1, -1, 1), generator=seeded(1))
    exact = probabilities(currents, torch.tensor(gain, dtype=dtype).item())
    # In float64 the product is rounded, to 1e-7 at 1e9.
    tolerance = 1e-6 if dtype == torch.float32 else max(1e-9, gain * 1e-9)
    assert_close(record.probability.flatten().double(), exact, rtol=0, atol=tolerance)


def test_the_slope_by_a_gain_counts_the_turns_that_are_left_out():
    currents = torch.tensor([0.3, 5.7, 1e6], dtype=torch.float64, requires_grad=True)
    gain = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    angles = surrogates.encoding_angle(currents, "exact", gain=gain)
    angles.sum().backward()
    assert_close(currents.grad, torch.full_like(currents, 0.7 * pi))
    assert_close(gain.grad, pi * currents.detach().sum())


@precisions
@pytest.mark.parametrize("make", [PublishedSQS, partial(QLIF, threshold=0.5)])
def test_classical_rotations_leave_out_whole_turns(make, dtype):
    neurons = make(SIZE, dtype=dtype, generator=seeded(0))
    currents, tolerance = large(dtype), 4 * torch.finfo(dtype).eps
    with torch.no_grad():
        for name, parameter in neurons.named_parameters():
            if "angle" in name:
                parameter.zero_()
    record, _ = neurons(currents.view(1, 1, -1, 1), generator=seeded(1))
    exact = probabilities(currents)
    if isinstance(neurons, QLIF):
        sure = (exact - 0.5).abs() > tolerance
        assert torch.equal(record.spikes.flatten()[sure] > 0, exact[sure] > 0.5)
    else:
        assert_close(record.probability.flatten().double(), exact, rtol=0, atol=tolerance)


def test_a_whole_turn_drives_a_qubit_and_keeps_it_from_relaxing():
    neurons = QLIF(1, dtype=torch.float64, decay=0.5, generator=seeded(0))
    currents = torch.tensor([0.5, 4.0, 0.0], dtype=torch.float64).view(3, 1, 1, 1)
    _, state = neurons(currents[:2], generator=seeded(0))
    assert_close(state.angle.item(), pi / 2)
    _, relaxed = neurons(currents[2:], state, generator=seeded(0))
    assert relaxed.angle.item() < pi / 2
