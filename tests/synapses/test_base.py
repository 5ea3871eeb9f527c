"""What all synapses promise: linear maps, their transposes, and the same bits in two halves."""

from math import prod

import pytest
import torch
from tools import seeded
from torch import Tensor, nn
from torch.testing import assert_close

import sqsnn
from sqsnn.synapses import Synapses, options_of

pytestmark = pytest.mark.usefixtures("device")


def linear_module() -> nn.Module:
    """A strided convolution of torch, with biases, whose weights come from a seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(2, 3, 3, stride=2, bias=True))


GRID = (2, 5, 7)
CASES = {
    "dense": (lambda: sqsnn.Dense(bias=True), (6,), (5,)),
    "dense of grids": (lambda: sqsnn.Dense(), GRID, (3, 2)),
    "sparse": (lambda: sqsnn.Dense(bias=True, sparsity=0.4), (9,), (5,)),
    "all": (lambda: sqsnn.Dense(bias=True, wiring="all", sparsity=0.5), (6,), (5,)),
    "convolution": (lambda: sqsnn.Convolution(3, 2, bias=True), GRID, (3, 4, 6)),
    "strided": (lambda: sqsnn.Convolution(3, 3, stride=2, padding=1), GRID, (3, 3, 4)),
    "in time": (lambda: sqsnn.Convolution(4, 3, padding=1, bias=True), (3, 7), (4, 7)),
    "pool": (lambda: sqsnn.Pool(2), GRID, (2, 2, 3)),
    "pool in time": (lambda: sqsnn.Pool(3), (2, 7), (2, 2)),
    "identity": (lambda: sqsnn.Identity(), (2, 3), (2, 3)),
    "module": (linear_module, GRID, (3, 3, 4)),
    "chain": (lambda: (sqsnn.Pool(2), sqsnn.Convolution(3, 2, bias=True)), GRID, (3, 1, 2)),
    "pools": (lambda: (sqsnn.Pool(2), sqsnn.Identity()), GRID, (2, 2, 3)),
}
PRECISIONS = (torch.float32, torch.float64)


def built(name: str, channels: int = 1, dtype: torch.dtype = torch.float64) -> Synapses:
    """Synapses of a case; biases are set away from the 0 that they start at."""
    make, source, target = CASES[name]
    made = make()
    given = made.to(dtype) if isinstance(made, nn.Module) else made
    synapses = options_of(given).build(
        source,
        target,
        source_channels=channels,
        channels=channels,
        generator=seeded(3),
        dtype=dtype,
    )
    with torch.no_grad():
        for label, parameter in synapses.named_parameters():
            if label.endswith("bias"):
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    return synapses


def some_spikes(synapses: Synapses, channels: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Real values, which a linear map takes as well: (4, 3, P, channels)."""
    shape = 4, 3, prod(synapses.source), channels
    return torch.randn(shape, generator=seeded(1), dtype=dtype)


def explicit(synapses: Synapses, channels: int) -> tuple[Tensor, Tensor]:
    """The matrix (P, channels, H, N) and the bias (H, N), from spikes of one neuron each."""
    size = prod(synapses.source)
    units = torch.eye(size * channels, dtype=torch.float64).view(1, -1, size, channels)
    with torch.no_grad():
        bias = synapses(torch.zeros_like(units[:, :1]))[0, 0]
        return (synapses(units)[0] - bias).unflatten(0, (size, channels)), bias


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_currents_are_a_matrix_times_the_spikes_and_a_bias(name, channels):
    synapses = built(name, channels)
    matrix, bias = explicit(synapses, channels)
    spikes = some_spikes(synapses, channels)
    currents = synapses(spikes)
    assert currents.shape == (4, 3, prod(synapses.target), channels)
    expected = torch.einsum("pchn,tbpc->tbhn", matrix, spikes) + bias
    assert_close(currents, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_channels_meet_only_in_the_wiring_all(name):
    matrix, _ = explicit(built(name, 2), 2)
    crossing = matrix[:, 0, :, 1].any() or matrix[:, 1, :, 0].any()
    assert crossing == (name == "all")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_spike_gradients_are_the_transposed_matrix(name, channels):
    synapses = built(name, channels)
    matrix, _ = explicit(synapses, channels)
    spikes = some_spikes(synapses, channels).requires_grad_()
    currents = synapses(spikes)
    signal = torch.randn(currents.shape, generator=seeded(2), dtype=torch.float64)
    (found,) = torch.autograd.grad(currents, spikes, signal)
    assert_close(found, torch.einsum("pchn,tbhn->tbpc", matrix, signal), rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_pulling_back_applies_the_transposed_matrix(name, channels):
    synapses = built(name, channels)
    matrix, _ = explicit(synapses, channels)
    signal = torch.randn(2, 3, prod(synapses.target), channels, generator=seeded(2)).double()
    found = synapses.pull_back(signal, channels)
    assert_close(found, torch.einsum("pchn,tbhn->tbpc", matrix, signal), rtol=0, atol=1e-12)
    assert all(parameter.grad is None for parameter in synapses.parameters())


@pytest.mark.parametrize("name", [name for name in CASES if name != "all"])
def test_a_source_of_one_channel_gets_the_sum_over_all(name):
    synapses = built(name, 2)
    signal = torch.randn(2, 3, prod(synapses.target), 2, generator=seeded(2)).double()
    both = synapses.pull_back(signal, 2).sum(-1, keepdim=True)
    assert_close(synapses.pull_back(signal, 1), both, rtol=0, atol=1e-12)


LEARNED = [name for name in CASES if list(built(name).parameters())]


@pytest.mark.parametrize("name", LEARNED)
def test_other_weights_can_pull_back(name):
    synapses = built(name, 2)
    signal = torch.randn(2, 3, prod(synapses.target), 2, generator=seeded(2)).double()
    doubled = {label: 2 * value.detach() for label, value in synapses.named_parameters()}
    found = synapses.pull_back(signal, 2, doubled)
    assert_close(found, 2 * synapses.pull_back(signal, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("given", [1, 2])
@pytest.mark.parametrize("name", LEARNED)
def test_gradients_are_those_of_finite_differences(name, given):
    channels = given if name == "all" else 2
    synapses = built(name, channels)
    spikes = some_spikes(synapses, given)[:2, :2].requires_grad_()
    names = [label for label, _ in synapses.named_parameters()]

    def currents(spikes: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(synapses, dict(zip(names, values, strict=True)), spikes)

    leaves = spikes, *synapses.parameters()
    assert torch.autograd.gradcheck(currents, leaves, fast_mode=True)


@pytest.mark.parametrize("name", [name for name in CASES if name != "all"])
def test_spikes_of_one_channel_feed_all(name):
    synapses = built(name, 2)
    spikes = some_spikes(synapses, 1)
    both = synapses(spikes.expand(-1, -1, -1, 2))
    assert_close(synapses(spikes), both, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_a_sequence_in_two_halves_is_the_sequence_bit_for_bit(name, channels, dtype):
    synapses = built(name, channels, dtype)
    spikes = some_spikes(synapses, channels, dtype)
    whole = synapses(spikes)
    for cut in (1, 2, 3):
        halves = torch.cat([synapses(spikes[:cut]), synapses(spikes[cut:])])
        assert torch.equal(halves, whole)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", CASES)
def test_currents_do_not_depend_on_where_the_spikes_lie_in_memory(name, dtype):
    synapses = built(name, dtype=dtype)
    spikes = some_spikes(synapses, 1, dtype)
    whole = synapses(spikes)
    for offset in (1, 3, 8):
        room = spikes.new_empty(offset + spikes.numel())
        moved = room[offset:].view_as(spikes).copy_(spikes)
        assert torch.equal(synapses(moved), whole)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_fans_count_what_is_not_zero_in_the_matrix(name, channels):
    synapses = built(name, channels)
    reached = explicit(synapses, channels)[0] != 0  # (P, C, H, N)
    assert torch.equal(synapses.fan_out_counts(), reached[:, 0, :, 0].sum(1))
    assert synapses.fan_in == reached[..., 0].sum((0, 1)).max()


@pytest.mark.parametrize("name", LEARNED)
def test_parameters_that_act_are_those_with_a_gradient(name):
    synapses = built(name, 2)
    synapses(some_spikes(synapses, 2)).square().sum().backward()
    acting = sum(int((parameter.grad != 0).sum()) for parameter in synapses.parameters())
    assert synapses.parameter_count() == acting


@pytest.mark.parametrize("name", [name for name in CASES if name != "module"])
def test_weights_are_the_generators_whatever_the_precision(name):
    single, double = (built(name, 2, dtype) for dtype in PRECISIONS)
    for one, other in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(one, other.float())


@pytest.mark.parametrize("name", CASES)
def test_a_state_dict_holds_all_that_acts(name):
    one, other = built(name), built(name)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    other.load_state_dict(one.state_dict())
    spikes = some_spikes(one, 1)
    assert torch.equal(other(spikes), one(spikes))


@pytest.mark.parametrize("name", CASES)
def test_spikes_of_another_shape_or_kind_are_refused(name):
    synapses = built(name, 2)
    size = prod(synapses.source)
    with pytest.raises(ValueError, match=rf"spikes must have shape \(steps, batch, {size}, 2\)"):
        synapses(torch.zeros(2, 3, size, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match=rf"batch, {size}, 2\), but has \(2, 3, {size + 1}, 2\)"):
        synapses(torch.zeros(2, 3, size + 1, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"spikes has dtype torch\.bool"):
        synapses(torch.zeros(2, 3, size, 2, dtype=torch.bool))


@pytest.mark.parametrize("name", LEARNED)
def test_spikes_elsewhere_or_of_another_precision_are_refused(name):
    synapses = built(name)
    spikes = some_spikes(synapses, 1)
    with pytest.raises(ValueError, match=r"spikes has dtype torch\.float32"):
        synapses(spikes.float())
    with pytest.raises(ValueError, match="spikes on meta"):
        synapses(spikes.to("meta"))
