"""Synapses: currents are weighted sums of spikes, channel by channel and step by step."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.synapses import Synapses


def random_spikes(*shape: int, seed: int = 1, dtype=torch.float64) -> Tensor:
    return torch.randint(0, 2, shape, generator=seeded(seed)).to(dtype)


def by_definition(spikes: Tensor, weight: Tensor) -> Tensor:
    """z[n, h] = sum_p w[n, h, p] x[p, n]; one presynaptic channel feeds all."""
    channels = weight.shape[0]
    spikes = spikes.expand(*spikes.shape[:-1], channels)
    return torch.einsum("nhp,tbpn->tbhn", weight, spikes)


@settings(max_examples=40)
@given(
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 1000),
)
def test_currents_and_gradients_are_those_of_the_definition(
    steps, batch, presynaptic, neurons, channels, shared, seed
):
    synapses = Synapses(
        presynaptic, neurons, channels=channels, generator=seeded(seed), dtype=torch.float64
    )
    shape = (steps, batch, presynaptic, 1 if shared else channels)
    spikes = random_spikes(*shape, seed=seed).requires_grad_()
    currents = synapses(spikes)
    expected = by_definition(spikes, synapses.weight)
    assert currents.shape == (steps, batch, neurons, channels)
    assert_close(currents, expected, rtol=0, atol=1e-13)
    weight = torch.randn(currents.shape, generator=seeded(seed), dtype=torch.float64)
    leaves = (spikes, synapses.weight)
    made = torch.autograd.grad(currents, leaves, weight)
    wanted = torch.autograd.grad(expected, leaves, weight)
    for one, other in zip(made, wanted, strict=True):
        assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("of_spikes", [False, True])
def test_a_gradient_is_computed_only_where_it_is_needed(of_spikes):
    synapses = Synapses(3, 2, generator=seeded())
    synapses.weight.requires_grad_(not of_spikes)
    spikes = torch.ones(2, 2, 3, 1, requires_grad=of_spikes)
    synapses(spikes).sum().backward()
    assert (spikes.grad is not None) == of_spikes
    assert (synapses.weight.grad is None) == of_spikes


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cut", [1, 4, 6])
def test_a_sequence_in_two_halves_is_the_sequence_bit_for_bit(channels, cut):
    synapses = Synapses(131, 67, channels=channels, generator=seeded())
    spikes = torch.rand((7, 5, 131, channels), generator=seeded(2))
    whole = synapses(spikes)
    halves = torch.cat([synapses(spikes[:cut]), synapses(spikes[cut:].clone())])
    assert torch.equal(whole, halves)


def test_initial_weights_are_uniform_within_one_over_the_root_of_the_inputs():
    # 6 standard errors of the first two moments of a uniform law.
    presynaptic = 400
    weight = Synapses(presynaptic, 200, channels=2, generator=seeded()).weight.detach().double()
    bound = 1 / math.sqrt(presynaptic)
    assert weight.shape == (2, 200, presynaptic)
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.999 * bound
    count = weight.numel()
    assert abs(weight.mean()) < 6 * bound / math.sqrt(3 * count)
    assert abs(weight.square().mean() / bound**2 - 1 / 3) < 6 * math.sqrt(4 / 45 / count)


def test_initial_weights_are_the_generators_whatever_the_precision():
    single = Synapses(5, 4, generator=seeded(1))
    double = Synapses(5, 4, generator=seeded(1), dtype=torch.float64)
    assert torch.equal(double.weight.float(), single.weight)
    assert not torch.equal(single.weight, Synapses(5, 4, generator=seeded(2)).weight)


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (torch.zeros(2, 3, 5), r"spikes must have shape \(steps, batch, 5, 1\), but has \(2, 3, 5"),
        (torch.zeros(2, 3, 4, 2), r"\(steps, batch, 5, 2\), but has \(2, 3, 4, 2\)"),
        (torch.zeros(2, 3, 4, 1), r"\(steps, batch, 5, 1\), but has"),
        (torch.zeros(2, 3, 5, 3), r"\(steps, batch, 5, 2\), but has \(2, 3, 5, 3\)"),
        (torch.zeros(2, 3, 5, 2).double(), "spikes has dtype torch.float64"),
        (torch.zeros(2, 3, 5, 2).bool(), "spikes has dtype torch.bool"),
        (torch.zeros(2, 3, 5, 2, device="meta"), "spikes on meta, weight on cpu"),
    ],
)
def test_spikes_that_do_not_fit_are_refused(spikes, message):
    with pytest.raises(ValueError, match=message):
        Synapses(5, 4, channels=2, generator=seeded())(spikes)


@pytest.mark.parametrize("argument", ["presynaptic", "neurons", "channels"])
def test_synapses_from_or_to_nothing_are_refused(argument):
    sizes = {"presynaptic": 1, "neurons": 1, "channels": 1, argument: 0}
    with pytest.raises(ValueError, match=argument):
        Synapses(**sizes, generator=seeded())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("presynaptic", [7, 19, 65])
def test_currents_do_not_depend_on_where_the_spikes_lie_in_memory(presynaptic, dtype):
    generator = torch.Generator().manual_seed(0)
    synapses = Synapses(presynaptic, 11, generator=generator, dtype=dtype)
    spikes = torch.rand(6, 3, presynaptic, 1, generator=generator, dtype=dtype)
    whole = synapses(spikes)
    for first in range(1, 6):
        assert torch.equal(synapses(spikes[first:].clone()), whole[first:])
