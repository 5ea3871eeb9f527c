"""Chains and what stands for options: parts fit each other, or the error says which does not."""

import pytest
import torch
from tools import seeded
from torch import nn

from sqsnn.synapses import Chain, Convolution, Dense, Identity, Pool, options_of

pytestmark = pytest.mark.usefixtures("device")


def test_a_chain_is_its_parts_one_after_the_other():
    chain = Chain((Pool(2), Convolution(3, 2), Dense())).build(
        (2, 6, 8), (5,), channels=2, generator=seeded()
    )
    spikes = torch.rand(3, 2, 96, 1, generator=seeded(1))
    generator = seeded()  # draws for each part in turn
    pool = Pool(2).build((2, 6, 8), (2, 3, 4), generator=generator)
    convolution = Convolution(3, 2).build((2, 3, 4), (3, 2, 3), channels=2, generator=generator)
    dense = Dense().build((3, 2, 3), (5,), source_channels=2, channels=2, generator=generator)
    assert torch.equal(chain(spikes), dense(convolution(pool(spikes))))
    assert chain.parameter_count() == 2 * (3 * 2 * 4) + 2 * (5 * 18)


def test_channels_pass_a_pool_to_a_dense_part_that_joins_all():
    chain = options_of((Pool(2), Dense(wiring="all"))).build(
        (1, 4), (3,), source_channels=3, channels=2, generator=seeded()
    )
    assert chain.joins_all_channels
    assert chain.parts[1].weight.shape == (2, 3, 2 * 3)
    assert chain(torch.ones(1, 1, 4, 3)).shape == (1, 1, 3, 2)


def test_the_fan_out_of_a_chain_counts_all_ways():
    # Two convolutions of two by two: the middle neuron of five reaches 3 places by 1 + 2 + 1 ways.
    chain = options_of((Convolution(1, 2), Convolution(1, 2))).build(
        (1, 5), (1, 3), generator=seeded()
    )
    assert chain.fan_out_counts().tolist() == [1, 3, 4, 3, 1]
    assert chain.fan_in == 4


def test_modules_and_tuples_stand_for_options():
    linear = nn.utils.skip_init(nn.Linear, 3, 3)
    dense = Dense(bias=True)
    assert options_of(dense) is dense
    assert options_of(linear).module is linear
    assert options_of((Pool(2), (Pool(3), dense))) == Chain((Pool(2), Pool(3), dense))
    assert options_of([Pool(2), linear]).parts[1].module is linear


@pytest.mark.parametrize("given", ["dense", 3, None, Dense])
def test_what_stands_for_no_synapses_is_refused(given):
    for wrong in (given, (Pool(2), given)):
        with pytest.raises(TypeError, match=r"synapses is .*; it may be Dense\(\), Convolution\("):
            options_of(wrong)


def test_an_empty_chain_is_refused():
    with pytest.raises(ValueError, match="a chain needs at least one part"):
        options_of(())


@pytest.mark.parametrize(
    ("parts", "source", "target", "said"),
    [
        ((Dense(), Pool(2)), (2, 4), (2, 2), r"Dense\(.*\) gives no shape of its own, so it may"),
        ((Pool(2), Convolution(3, 5)), (2, 8), (3, 1), r"Convolution\(.*no place .* \(2, 4\)"),
        ((Pool(2), Identity()), (2, 8), (2, 8), r"turns \(2, 8\) into \(2, 4\), but the target"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, source, target, said):
    with pytest.raises(ValueError, match=said):
        options_of(parts).build(source, target, generator=seeded())


@pytest.mark.parametrize("given", [Dense(), Convolution(2, 1), Pool(1), (Pool(1), Identity())])
def test_a_source_of_other_channels_is_refused(given):
    with pytest.raises(ValueError, match=r"the source has 3 channels and the target 2, but .*all"):
        options_of(given).build((2, 4), (2, 4), source_channels=3, channels=2, generator=seeded())
