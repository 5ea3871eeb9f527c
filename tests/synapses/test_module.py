"""Modules of torch as synapses: what is not linear is refused, the rest is trained as it is."""

from functools import partial

import pytest
import torch
from tools import seeded
from torch import Tensor, nn

from sqsnn.synapses import Module

pytestmark = pytest.mark.usefixtures("device")


class Centred(nn.Module):
    """Linear in the whole batch, but each sample depends on the others."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class Pair(nn.Module):
    """Gives two tensors, as recurrent layers of torch do."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Square(nn.Module):
    """Linear in training alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x if self.training else x.square()


@pytest.mark.parametrize(
    ("make", "said"),  # made within the test, on its device
    [
        (nn.ReLU, r"ReLU\(\) is not: while training, f\(x - 2 y\) is not f\(x\) - 2 f\(y\)"),
        (partial(nn.Softmax, -1), "while training"),
        (partial(nn.BatchNorm1d, 4), "while training"),
        (nn.Dropout, "while training"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Tanh()), "while training"),
        (Square, "while evaluating"),
        (Centred, "a sample alone gives other values than a batch"),
    ],
)
def test_modules_that_are_not_linear_are_refused(make, said):
    with pytest.raises(ValueError, match=f"synapses must be linear up to a bias, but .*{said}"):
        Module(make()).build((4,), (4,), generator=seeded())


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Identity(), r"turns \(4,\) into \(4,\), but the target has shape \(3,\)"),
        (nn.utils.skip_init(nn.Linear, 5, 3), r"takes no source of shape \(4,\): "),
        (
            nn.utils.skip_init(nn.Linear, 4, 3).double(),
            r"weight of Linear.* is torch\.float64 on cpu, but the network .*32",
        ),
        (
            nn.utils.skip_init(nn.Linear, 4, 3, device="meta"),
            r"weight of Linear.* is .* on meta, but the network .* on ",
        ),
        (Pair(), r"Pair\(\) gives a tuple; synapses give a tensor"),
    ],
)
def test_modules_that_do_not_fit_are_refused(module, said):
    with pytest.raises(ValueError, match=said):
        Module(module).build((4,), (3,), generator=seeded())


def test_the_given_module_is_the_one_that_learns(device):
    module = nn.utils.skip_init(nn.Linear, 4, 3, device=device)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    synapses = Module(module).build((4,), (3,), channels=2, generator=seeded())
    spikes = torch.ones(2, 5, 4, 2)
    currents = synapses(spikes)
    assert torch.equal(currents[1, ..., 1], module(spikes[1, ..., 1]))
    currents.sum().backward()
    assert torch.equal(module.bias.grad, torch.full((3,), 2.0 * 5 * 2))  # each step and channel


def test_trying_a_module_leaves_it_as_it_is():
    module = nn.Sequential(nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match="must be linear"):
        Module(module).build((4,), (4,), generator=seeded())
    assert module.training
    assert not module[0].running_mean.any()
    assert module[0].weight.dtype == torch.float32
