"""Synapses: currents are weighted sums of spikes, channel by channel and step by step."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import needs_kernel, seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.native import library
from sqsnn.native.library import Library
from sqsnn.synapses import DenseSynapses

pytestmark = pytest.mark.usefixtures("device")

ON_CPU = pytest.mark.cpu_only("events run in the compiled kernel")
METHODS = ("dense", pytest.param("events", marks=[needs_kernel, ON_CPU]))


def random_spikes(*shape: int, seed: int = 1, dtype=torch.float64) -> Tensor:
    return torch.randint(0, 2, shape, generator=seeded(seed)).to(dtype)


def by_definition(spikes: Tensor, weight: Tensor) -> Tensor:
    """z[n, h] = sum_p w[n, h, p] x[p, n]; one presynaptic channel feeds all."""
    channels = weight.shape[0]
    spikes = spikes.expand(*spikes.shape[:-1], channels)
    return torch.einsum("nhp,tbpn->tbhn", weight, spikes)


@pytest.mark.parametrize("method", METHODS)
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
    method, steps, batch, presynaptic, neurons, channels, shared, seed
):
    synapses = DenseSynapses(
        presynaptic,
        neurons,
        channels=channels,
        method=method,
        generator=seeded(seed),
        dtype=torch.float64,
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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("of_spikes", [False, True])
def test_a_gradient_is_computed_only_where_it_is_needed(of_spikes, method):
    synapses = DenseSynapses(3, 2, method=method, generator=seeded())
    synapses.weight.requires_grad_(not of_spikes)
    spikes = torch.ones(2, 2, 3, 1, requires_grad=of_spikes)
    synapses(spikes).sum().backward()
    assert (spikes.grad is not None) == of_spikes
    assert (synapses.weight.grad is None) == of_spikes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cut", [1, 4, 6])
def test_a_sequence_in_two_halves_is_the_sequence_bit_for_bit(channels, cut, method):
    synapses = DenseSynapses(131, 67, channels=channels, method=method, generator=seeded())
    spikes = torch.rand((7, 5, 131, channels), generator=seeded(2))
    whole = synapses(spikes)
    halves = torch.cat([synapses(spikes[:cut]), synapses(spikes[cut:].clone())])
    assert torch.equal(whole, halves)


# Events


@ON_CPU
@needs_kernel
@pytest.mark.parametrize("channels", [1, 2])
def test_events_in_two_batches_are_the_batch_bit_for_bit(channels):
    synapses = DenseSynapses(131, 67, channels=channels, method="events", generator=seeded())
    spikes = random_spikes(7, 9, 131, 1, dtype=torch.float32)
    whole = synapses(spikes)
    for cut in (1, 4, 8):
        parts = synapses(spikes[:, :cut]), synapses(spikes[:, cut:])
        assert torch.equal(torch.cat(parts, dim=1), whole)


@ON_CPU
@needs_kernel
@pytest.mark.parametrize("given_channels", [1, 2])
def test_the_gradients_of_events_are_those_of_their_values(given_channels):
    synapses = DenseSynapses(
        5, 4, channels=2, method="events", generator=seeded(), dtype=torch.float64
    )
    # Away from 0, where an event begins.
    spikes = 1 + torch.rand((2, 3, 5, given_channels), generator=seeded(1), dtype=torch.float64)
    spikes[0, 1] = 0

    def currents(spikes: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(synapses, {"weight": weight}, spikes)

    leaves = spikes.requires_grad_(), synapses.weight
    assert torch.autograd.gradcheck(currents, leaves)


@ON_CPU
@needs_kernel
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -2.5])
def test_values_of_any_kind_give_what_the_dense_product_gives(value):
    dense, sparse = (
        DenseSynapses(6, 5, method=method, generator=seeded()) for method in ("dense", "events")
    )
    spikes = random_spikes(2, 4, 6, 1, dtype=torch.float32)
    spikes[1, 2, 3] = value
    assert_close(sparse(spikes), dense(spikes), rtol=1e-5, atol=1e-6, equal_nan=True)
    for synapses in (dense, sparse):
        synapses(spikes).square().sum().backward()
    made, wanted = sparse.weight.grad, dense.weight.grad
    # Dense sums meet 0 * NaN in the weights of other inputs, too.
    finite = wanted.isfinite()
    assert_close(made[finite], wanted[finite], rtol=1e-5, atol=1e-5)
    assert made[..., 3].isfinite().all() == (value == -2.5)


@ON_CPU
@needs_kernel
def test_a_graph_can_be_walked_twice():
    synapses = DenseSynapses(6, 5, method="events", generator=seeded())
    currents = synapses(random_spikes(2, 4, 6, 1, dtype=torch.float32))
    first, second = (
        torch.autograd.grad(currents.sum(), synapses.weight, retain_graph=True)[0] for _ in range(2)
    )
    assert torch.equal(first, second)


@ON_CPU
def test_events_that_cannot_run_are_refused_with_the_reason(monkeypatch):
    with pytest.raises(ValueError, match="synapses is 'events', but the weights are on meta"):
        DenseSynapses(3, 2, method="events", generator=seeded(), device="meta")
    monkeypatch.setattr(library, "current", lambda: Library(None, "there is no kernel here"))
    with pytest.raises(ValueError, match="but there is no kernel here; use 'dense'"):
        DenseSynapses(3, 2, method="events", generator=seeded())


@ON_CPU
@needs_kernel
def test_events_that_moved_to_another_device_are_refused():
    synapses = DenseSynapses(3, 2, method="events", generator=seeded()).to("meta")
    with pytest.raises(ValueError, match="the weights are on meta, and the compiled kernel runs"):
        synapses(torch.zeros(1, 1, 3, 1, device="meta"))


@ON_CPU
@needs_kernel
def test_events_of_another_precision_are_refused():
    synapses = DenseSynapses(3, 2, method="events", generator=seeded()).half()
    with pytest.raises(ValueError, match=r"the weights are torch\.float16, and the"):
        synapses(torch.zeros(1, 1, 3, 1, dtype=torch.float16))


def test_initial_weights_are_uniform_within_one_over_the_root_of_the_inputs():
    # 6 standard errors of the first two moments of a uniform law.
    presynaptic = 400
    weight = (
        DenseSynapses(presynaptic, 200, channels=2, generator=seeded()).weight.detach().double()
    )
    bound = 1 / math.sqrt(presynaptic)
    assert weight.shape == (2, 200, presynaptic)
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.999 * bound
    count = weight.numel()
    assert abs(weight.mean()) < 6 * bound / math.sqrt(3 * count)
    assert abs(weight.square().mean() / bound**2 - 1 / 3) < 6 * math.sqrt(4 / 45 / count)


def test_initial_weights_are_the_generators_whatever_the_precision():
    single = DenseSynapses(5, 4, generator=seeded(1))
    double = DenseSynapses(5, 4, generator=seeded(1), dtype=torch.float64)
    assert torch.equal(double.weight.float(), single.weight)
    assert not torch.equal(single.weight, DenseSynapses(5, 4, generator=seeded(2)).weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: torch.zeros(2, 3, 5),
            r"spikes must have shape \(steps, batch, 5, 1\), but has \(2, 3, 5",
        ),
        (lambda: torch.zeros(2, 3, 4, 2), r"\(steps, batch, 5, 2\), but has \(2, 3, 4, 2\)"),
        (lambda: torch.zeros(2, 3, 4, 1), r"\(steps, batch, 5, 1\), but has"),
        (lambda: torch.zeros(2, 3, 5, 3), r"\(steps, batch, 5, 2\), but has \(2, 3, 5, 3\)"),
        (lambda: torch.zeros(2, 3, 5, 2).double(), "spikes has dtype torch.float64"),
        (lambda: torch.zeros(2, 3, 5, 2).bool(), "spikes has dtype torch.bool"),
        (lambda: torch.zeros(2, 3, 5, 2, device="meta"), "spikes on meta, weight on "),
    ],
)
def test_spikes_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        DenseSynapses(5, 4, channels=2, generator=seeded())(make())


@pytest.mark.parametrize("argument", ["presynaptic", "neurons", "channels"])
def test_synapses_from_or_to_nothing_are_refused(argument):
    sizes = {"presynaptic": 1, "neurons": 1, "channels": 1, argument: 0}
    with pytest.raises(ValueError, match=argument):
        DenseSynapses(**sizes, generator=seeded())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("presynaptic", [7, 19, 65])
def test_currents_do_not_depend_on_where_the_spikes_lie_in_memory(presynaptic, dtype):
    generator = seeded(0)
    synapses = DenseSynapses(presynaptic, 11, generator=generator, dtype=dtype)
    spikes = torch.rand(6, 3, presynaptic, 1, generator=generator, dtype=dtype)
    whole = synapses(spikes)
    for first in range(1, 6):
        assert torch.equal(synapses(spikes[first:].clone()), whole[first:])


# Bias, masks and wiring


def test_weights_are_drawn_first_whatever_else_is():
    uniform = torch.rand(2, 4, 5, generator=seeded(1), dtype=torch.float64)
    plain = DenseSynapses(5, 4, channels=2, generator=seeded(1), dtype=torch.float64)
    assert torch.equal(plain.weight, (2 * uniform - 1) / math.sqrt(5))
    sparse = DenseSynapses(
        5, 4, channels=2, bias=True, sparsity=0.4, generator=seeded(1), dtype=torch.float64
    )
    assert not sparse.bias.any()
    expected = (2 * uniform - 1) / math.sqrt(3) * sparse.mask  # three of five are heard
    assert torch.equal(sparse.weight, expected)


@pytest.mark.parametrize(("sparsity", "heard"), [(0.0, 10), (0.25, 8), (0.9, 1), (0.99, 1)])
def test_every_neuron_hears_its_share_of_the_presynaptic_ones(sparsity, heard):
    synapses = DenseSynapses(10, 7, channels=2, sparsity=sparsity, generator=seeded())
    assert torch.equal((synapses.weight != 0).sum(-1), torch.full((2, 7), heard))
    assert synapses.parameter_count() == 2 * 7 * heard
    assert ("mask" in synapses.state_dict()) == (sparsity > 0)


def test_each_presynaptic_neuron_is_as_likely_to_be_heard_as_another():
    # 6 standard deviations of a binomial law, 4000 neurons hearing 4 of 8.
    heard = DenseSynapses(8, 4000, sparsity=0.5, generator=seeded()).mask.sum(0)
    assert (heard - 2000).abs().max() < 6 * math.sqrt(4000 / 4)


@pytest.mark.parametrize("method", METHODS)
def test_masked_weights_stay_silent_and_get_no_gradient(method):
    mask = torch.tensor([[True, False, True], [False, False, False]])
    synapses = DenseSynapses(3, 2, channels=2, mask=mask, method=method, generator=seeded())
    mask.fill_(True)  # the synapses keep their own
    with torch.no_grad():
        synapses.weight.fill_(1)  # as careless code might
    spikes = torch.ones(1, 1, 3, 1)
    currents = synapses(spikes)
    assert currents[0, 0].tolist() == [[2, 2], [0, 0]]
    currents.sum().backward()
    assert synapses.weight.grad[0].tolist() == [[1, 0, 1], [0, 0, 0]]
    assert synapses.parameter_count() == 4
    assert synapses.fan_out_counts().tolist() == [1, 0, 1]


def test_the_wiring_all_joins_every_channel_to_every_channel():
    synapses = DenseSynapses(
        3, 4, channels=2, wiring="all", source_channels=5, generator=seeded(), dtype=torch.float64
    )
    spikes = random_spikes(2, 3, 3, 5)
    expected = torch.einsum("nhpc,tbpc->tbhn", synapses.weight.unflatten(2, (3, 5)), spikes)
    assert_close(synapses(spikes), expected, rtol=0, atol=1e-13)
    assert synapses.fan_in == 15
    assert synapses.weight.abs().max() <= 1 / math.sqrt(15)
    with pytest.raises(ValueError, match=r"spikes must have shape \(steps, batch, 3, 5\)"):
        synapses(spikes[..., :1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mask": torch.ones(3, 2).bool()}, r"mask must have shape \(2, 3\), but has \(3, 2\)"),
        ({"mask": torch.ones(2, 3)}, r"mask has dtype torch\.float32; it must be torch\.bool"),
        ({"mask": torch.ones(2, 3).bool(), "sparsity": 0.5}, "mask is given, and sparsity is 0.5"),
        ({"sparsity": 1.0}, r"sparsity must lie in \[0, 1\), but is 1.0"),
        ({"wiring": "some"}, "wiring is 'some'; it may be one of matching, all"),
    ],
)
@pytest.mark.usefixtures("own_checks")
def test_options_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        DenseSynapses(3, 2, generator=seeded(), **options)
