"""Convolutions: windows over grids, weighed by hand; odd sizes keep the bits of the halves."""

from itertools import product
from math import prod, sqrt

import pytest
import torch
from tools import seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.synapses import Convolution, ConvolutionSynapses

pytestmark = pytest.mark.usefixtures("device")

# source, maps, kernel, stride, padding, target
GRIDS = [
    ((2, 5, 6), 3, 2, 1, 0, (3, 4, 5)),
    ((1, 7, 4), 2, 3, 2, 1, (2, 4, 2)),
    ((2, 3, 3), 2, 3, 1, 2, (2, 5, 5)),
    ((3, 9), 2, 4, 3, 0, (2, 2)),
    ((1, 5), 2, 3, 1, 1, (2, 5)),
]


def by_hand(grid: Tensor, weight: Tensor, target: tuple[int, ...], stride: int, padding: int):
    """Weigh each window of a padded grid, place by place."""
    sides = grid.dim() - 1
    padded = torch.nn.functional.pad(grid, [padding] * (2 * sides))
    currents = torch.empty(target, dtype=grid.dtype)
    for place in product(*map(range, target[1:])):
        window = padded
        for axis, index in enumerate(place):
            window = window.narrow(axis + 1, stride * index, weight.shape[-1])
        currents[(slice(None), *place)] = (weight * window).flatten(1).sum(1)
    return currents


@pytest.mark.parametrize(("source", "maps", "kernel", "stride", "padding", "target"), GRIDS)
def test_currents_are_windows_weighed_by_hand(source, maps, kernel, stride, padding, target):
    synapses = ConvolutionSynapses(
        source,
        maps,
        kernel,
        stride=stride,
        padding=padding,
        channels=2,
        bias=True,
        generator=seeded(),
        dtype=torch.float64,
    )
    assert synapses.target == target
    assert not synapses.bias.any()  # at the start
    with torch.no_grad():
        synapses.bias.copy_(torch.arange(2 * maps).view(2, maps))
    spikes = torch.randint(0, 2, (2, 3, prod(source), 2), generator=seeded(1)).double()
    currents = synapses(spikes)
    for t, b, n in product(range(2), range(3), range(2)):
        grid = spikes[t, b, :, n].view(source)
        expected = by_hand(grid, synapses.weight[n], target, stride, padding).flatten(1)
        expected = (expected + synapses.bias[n, :, None]).flatten()
        assert_close(currents[t, b, :, n], expected, rtol=0, atol=1e-13)


def test_weights_are_uniform_within_one_over_the_root_of_the_window():
    synapses = ConvolutionSynapses((6, 9, 9), 40, 5, channels=2, generator=seeded())
    uniform = torch.rand(2, 40, 6, 5, 5, generator=seeded(), dtype=torch.float64)
    assert torch.equal(synapses.weight, ((2 * uniform - 1) / sqrt(6 * 25)).float())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("source", "kernel"),
    # One call for all steps rounds the last by how many there are.
    [((2, 11, 11), 5), ((2, 34, 34), 5), ((3, 131), 7), ((3, 1, 1), 1)],
)
def test_odd_sizes_in_two_halves_have_the_same_bits(source, kernel, channels):
    synapses = ConvolutionSynapses(source, 11, kernel, channels=channels, generator=seeded())
    spikes = torch.rand(7, 3, prod(source), channels, generator=seeded(1))
    whole = synapses(spikes)
    room = torch.empty(1 + spikes.numel())
    moved = room[1:].view_as(spikes).copy_(spikes)  # no step starts at a whole cache line
    for cut in (1, 2, 4):
        assert torch.equal(torch.cat([synapses(moved[:cut]), synapses(moved[cut:])]), whole)


@pytest.mark.parametrize("of_spikes", [False, True])
def test_a_gradient_is_computed_only_where_it_is_needed(of_spikes):
    synapses = ConvolutionSynapses((1, 4, 4), 2, 3, generator=seeded())
    synapses.weight.requires_grad_(not of_spikes)
    spikes = torch.ones(2, 2, 16, 1, requires_grad=of_spikes)
    synapses(spikes).sum().backward()
    assert (spikes.grad is not None) == of_spikes
    assert (synapses.weight.grad is None) == of_spikes


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ((64,), (10,), r"needs a source on a grid, .*, but the source has shape \(64,\)"),
        ((2, 34, 34), (10,), r"turns \(2, 34, 34\) into \(12, 30, 30\), but the target .* \(10,\)"),
        ((2, 4, 34), (10,), r"finds no place for its window in a source of shape \(2, 4, 34\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(source, target, said):
    with pytest.raises(ValueError, match=rf"Convolution\(maps=12, kernel=5, .*\) {said}"):
        Convolution(12, 5).build(source, target, generator=seeded())


def test_synapses_of_no_grid_are_refused():
    with pytest.raises(ValueError, match="it must be a grid"):
        ConvolutionSynapses((64,), 3, 2, generator=seeded())
    with pytest.raises(ValueError, match=r"a window of 5 finds no place in a source of \(1, 4\)"):
        ConvolutionSynapses((1, 4), 3, 5, generator=seeded())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"maps": 0, "kernel": 5}, "maps: .*greater than or equal to 1"),
        ({"maps": 2, "kernel": 0}, "kernel: .*greater than or equal to 1"),
        ({"maps": 2, "kernel": 2, "stride": 0}, "stride: .*greater than or equal to 1"),
        ({"maps": 2, "kernel": 2, "padding": -1}, "padding: .*greater than or equal to 0"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(ValueError, match=f"^Convolution: {said}"):
        Convolution(**options)
