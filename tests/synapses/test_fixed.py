"""Pools and identities: means over windows, and spikes handed on."""

import pytest
import torch
from tools import seeded

from sqsnn.synapses import Identity, IdentitySynapses, Pool, PoolSynapses

pytestmark = pytest.mark.usefixtures("device")


def test_a_pool_gives_the_mean_of_each_window_and_drops_the_rest():
    grid = torch.arange(2 * 5 * 4, dtype=torch.float64).view(2, 5, 4)
    means = PoolSynapses((2, 5, 4), 2)(grid.view(1, 1, 40, 1)).view(2, 2, 2)
    for m, i, j in torch.cartesian_prod(*[torch.arange(2)] * 3).tolist():
        assert means[m, i, j] == grid[m, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean()


def test_a_pool_in_time_gives_the_mean_of_each_window():
    values = torch.tensor([3.0, 0, 3, 1, 1, 1, 7]).view(1, 1, 7, 1)
    assert PoolSynapses((1, 7), 3)(values).flatten().tolist() == [2, 1]


def test_the_identity_hands_spikes_on():
    spikes = torch.rand(2, 3, 6, 2, generator=seeded())
    assert torch.equal(IdentitySynapses((2, 3), channels=2)(spikes), spikes)


@pytest.mark.parametrize(
    ("options", "source", "target", "said"),
    [
        (Pool(2), (8,), (4,), r"Pool\(window=2\) needs a source on a grid"),
        (Pool(4), (2, 3, 8), (2, 1, 2), r"Pool\(window=4\) finds no place for its window in"),
        (Pool(2), (2, 8), (2, 5), r"turns \(2, 8\) into \(2, 4\), but the target has shape"),
        (Identity(), (4,), (2, 2), r"Identity\(\) turns \(4,\) into \(4,\), but the target has"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(options, source, target, said):
    with pytest.raises(ValueError, match=said):
        options.build(source, target, generator=seeded())


def test_pools_of_no_grid_are_refused():
    with pytest.raises(ValueError, match="it must be a grid"):
        PoolSynapses((64,), 2)
    with pytest.raises(ValueError, match=r"a window of 5 finds no place in a source of \(1, 4\)"):
        PoolSynapses((1, 4), 5)
