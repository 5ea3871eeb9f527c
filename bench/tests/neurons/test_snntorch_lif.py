"""SnnTorchLIF: bit for bit what `snntorch.Leaky` does, and spike for spike what our LIF does."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from sqsnn.learning import Backprop
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.lif import LIF
from sqsnn.training.build import count_trained

snntorch = pytest.importorskip("snntorch", reason="the extra neuron is not installed")

from sqsnn_bench.neurons.snntorch_lif import SnnTorchLIF  # noqa: E402

STEPS, BATCH, SIZE = 30, 5, 4
CASES = pytest.mark.parametrize(
    ("channels", "dtype"), [(1, torch.float32), (2, torch.float32), (1, torch.float64)]
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def neurons_of(channels: int = 1, dtype: torch.dtype = torch.float32) -> SnnTorchLIF:
    """Every neuron and channel with values of its own."""
    neurons = SnnTorchLIF(SIZE, channels=channels, dtype=dtype, generator=seeded(0))
    generator = seeded(1)
    with torch.no_grad():
        neurons.leaky.beta.uniform_(0.2, 0.95, generator=generator)
        neurons.leaky.threshold.uniform_(0.5, 1.5, generator=generator)
        neurons.bias.uniform_(-0.2, 0.2, generator=generator)
    return neurons


def ours(neurons: SnnTorchLIF, backend: str = "torch") -> LIF:
    """Our LIF with the same parameters."""
    dtype = neurons.bias.dtype
    made = LIF(SIZE, channels=neurons.channels, backend=backend, dtype=dtype, generator=seeded(0))
    with torch.no_grad():
        made.beta.copy_(neurons.leaky.beta)
        made.threshold.copy_(neurons.leaky.threshold)
        made.bias.copy_(neurons.bias)
    return made


def currents_of(channels: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    drawn = torch.randn((STEPS, BATCH, SIZE, channels), generator=seeded(2), dtype=dtype)
    return 0.3 + 0.8 * drawn


@CASES
def test_spikes_and_gradients_are_those_of_a_plain_loop_bit_for_bit(channels, dtype):
    neurons, currents = neurons_of(channels, dtype), currents_of(channels, dtype).requires_grad_()
    weight = torch.randn(currents.shape, generator=seeded(3), dtype=dtype)
    record, state = neurons(currents, generator=seeded(4))
    record.spikes.backward(weight)

    leaky = snntorch.Leaky(
        beta=neurons.leaky.beta.detach().clone(),
        threshold=neurons.leaky.threshold.detach().clone(),
        learn_beta=True,
        learn_threshold=True,
        reset_mechanism="subtract",
    )
    bias = neurons.bias.detach().clone().requires_grad_()
    theirs = currents.detach().clone().requires_grad_()
    membrane, spikes = torch.zeros(BATCH, SIZE, channels, dtype=dtype), []
    for current in theirs + bias:
        spike, membrane = leaky(current, membrane)
        spikes.append(spike.to(dtype))
    torch.stack(spikes).backward(weight)

    assert torch.equal(record.spikes, torch.stack(spikes))
    assert torch.equal(state.membrane, membrane)
    assert 0.1 < record.spikes.mean() < 0.6
    for found, expected in [
        (currents.grad, theirs.grad),
        (neurons.leaky.beta.grad, leaky.beta.grad),
        (neurons.leaky.threshold.grad, leaky.threshold.grad),
        (neurons.bias.grad, bias.grad),
    ]:
        assert expected.abs().max() > 1e-3
        assert torch.equal(found, expected)


@CASES
@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_spikes_and_gradients_are_those_of_our_lif(channels, dtype, backend):
    theirs = neurons_of(channels, dtype)
    mine = ours(theirs, backend)
    # Their surrogate multiplies the gradient in float32, which holds these weights exactly.
    weight = torch.randint(-2, 3, (STEPS, BATCH, SIZE, channels), generator=seeded(3)).to(dtype)
    found = []
    for neurons in (theirs, mine):
        record, _ = neurons(currents_of(channels, dtype), generator=seeded(4))
        record.spikes.backward(weight)
        found.append(record.spikes)
    assert torch.equal(*found)
    # Sums of 150 terms of order 1, added in another order.
    tolerance = 500 * torch.finfo(dtype).eps
    assert_close(theirs.leaky.beta.grad, mine.beta.grad, rtol=tolerance, atol=tolerance)
    assert_close(theirs.leaky.threshold.grad, mine.threshold.grad, rtol=tolerance, atol=tolerance)
    assert_close(theirs.bias.grad, mine.bias.grad, rtol=tolerance, atol=tolerance)


def test_a_beta_outside_its_interval_returns_in_our_lif_alone():
    theirs = neurons_of()
    with torch.no_grad():
        theirs.leaky.beta.fill_(1.2)
    mine = ours(theirs)
    for neurons in (theirs, mine):
        record, _ = neurons(currents_of(), generator=seeded(4))
        record.spikes.sum().backward()
    assert (theirs.leaky.beta.grad == 0).all()
    assert (mine.beta.grad >= 0).all()  # a step down leads back
    assert mine.beta.grad.any()


def test_a_sequence_in_pieces_fires_the_same_spikes():
    neurons, currents = neurons_of(), currents_of()
    whole, _ = neurons(currents, generator=seeded(4))
    first, state = neurons(currents[:7], generator=seeded(4))
    second, _ = neurons(currents[7:], state, generator=seeded(4))
    assert torch.equal(whole.spikes, torch.cat([first.spikes, second.spikes]))


def test_a_network_has_as_many_parameters_as_with_our_lif_and_learns():
    network = SpikingNetwork([6, 5, 3], neurons=SnnTorchLIF, generator=seeded(0))
    same = SpikingNetwork([6, 5, 3], neurons=LIF, generator=seeded(0))
    assert count_trained(network) == count_trained(same)
    spikes = torch.randint(0, 2, (8, 4, 6, 1), generator=seeded(1)).float()
    before = deepcopy(network.state_dict())
    Backprop().step(network, spikes, torch.tensor([0, 1, 2, 0]), generator=seeded(2))
    gradients = {name: it.grad for name, it in network.named_parameters() if it.grad is not None}
    assert gradients.keys() == dict(network.named_parameters()).keys()
    assert before.keys() == deepcopy(network).state_dict().keys()  # no membrane is left behind


def test_snntorch_keeps_none_of_them():
    before = len(snntorch.SpikingNeuron.instances)
    neurons_of()
    assert len(snntorch.SpikingNeuron.instances) == before


def test_a_wrong_beta_is_refused():
    with pytest.raises(ValueError, match=r"beta is 1.5; it must be in \[0, 1\]"):
        SnnTorchLIF(SIZE, beta=1.5, generator=seeded(0))
