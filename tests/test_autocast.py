"""Autocast lowers the products of synapses, and no state, probability or gradient of a neuron."""

from functools import partial

import pytest
import torch
from tools import seeded
from torch import nn
from torch.testing import assert_close

from sqsnn.learning.backprop import Backprop
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.nn import SQS
from sqsnn.synapses import DenseSynapses

pytestmark = pytest.mark.usefixtures("device")

KINDS = {
    "sqs": SQSNeurons,
    "sqs, torch": partial(SQSNeurons, backend="torch"),
    "complex": partial(SQSNeurons, circuit="hardware_efficient", backend="torch"),
    "lif": LIF,
    "lif, torch": partial(LIF, backend="torch"),
    "stochastic lif": StochasticLIF,
    "qlif": QLIF,
    "published": PublishedSQS,
}
LOW = [torch.bfloat16, torch.float16]


@pytest.fixture
def autocast(device):
    """Autocast to a dtype on the device of a test."""
    if not torch.amp.is_autocast_available(device.type):
        pytest.skip(f"torch has no autocast on {device.type}")
    return partial(torch.autocast, device.type)


@pytest.mark.parametrize("low", LOW)
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
def test_neurons_do_the_same_under_autocast(autocast, make, low):
    neurons = make(4, generator=seeded(0))
    given = torch.randn((5, 3, 4, 1), generator=seeded(1)).to(low)
    uniforms = neurons.draw_uniforms(5, 3, seeded(2))

    def run(currents):
        neurons.zero_grad()
        record, state = neurons(currents, uniforms=uniforms)
        return record, state

    plain, state = run(given.float())
    plain.probability.sum().backward()
    expected = [p.grad for p in neurons.parameters()]
    with autocast(low):
        lowered, other_state = run(given)
    lowered.probability.sum().backward()
    assert all(map(torch.equal, plain[:3], lowered[:3]))
    assert all(map(torch.equal, *([x for x in s if x is not None] for s in (state, other_state))))
    found = [p.grad for p in neurons.parameters()]
    pairs = [pair for pair in zip(found, expected, strict=True) if pair[1] is not None]
    assert all(map(torch.equal, *zip(*pairs, strict=True)))


def test_synapses_multiply_in_the_precision_of_autocast(autocast):
    synapses = DenseSynapses(50, 7, generator=seeded(0))
    spikes = (torch.rand((2, 3, 50, 1), generator=seeded(1)) < 0.4).float()
    with autocast(torch.bfloat16):
        currents = synapses(spikes)
    rounded = spikes.bfloat16()[..., 0] @ synapses.weight[0].bfloat16().T
    assert currents.dtype == torch.float32
    assert_close(currents[..., 0], rounded.float(), rtol=0.01, atol=0.01)
    assert not torch.equal(currents, synapses(spikes))


@pytest.mark.parametrize("rule", [Backprop(), Local(), Local(score=Online())])
def test_rules_learn_under_bfloat16_and_refuse_float16(autocast, rule):
    network = SpikingNetwork([20, 16, 3], generator=seeded(0))
    spikes = (torch.rand((6, 8, 20, 1), generator=seeded(1)) < 0.4).float()
    found = []
    for on in (False, True):
        network.zero_grad()
        with autocast(torch.bfloat16, enabled=on):
            rule.fresh().step(network, spikes, torch.arange(8) % 3, seeded(3))
        found.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.numel()]))
    assert 0 < (found[0] - found[1]).norm() < 0.05 * found[0].norm()
    refused = pytest.raises(ValueError, match=r"autocast is on with torch.float16.*bfloat16")
    with autocast(torch.float16), refused:
        rule.step(network, spikes, torch.arange(8) % 3, seeded(3))


def test_a_scaled_loss_trains_a_model_with_a_quantum_layer(autocast, device):
    with torch.random.fork_rng():
        model = nn.Sequential(nn.Linear(6, 12), SQS(12, generator=0), nn.Linear(12, 3))
    optimizer, scaler = (
        torch.optim.SGD(model.parameters(), lr=0.1),
        torch.amp.GradScaler(device.type),
    )
    before = [p.detach().clone() for p in model.parameters() if p.numel()]
    with autocast(torch.float16):
        loss = model(torch.rand((5, 4, 6), generator=seeded(1))).float().square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    after = [p for p in model.parameters() if p.numel()]
    assert all(p.isfinite().all() for p in after)
    assert sum(not torch.equal(a, b) for a, b in zip(after, before, strict=True)) > 3


@pytest.mark.cpu_only("it is about the compiled kernel")
def test_the_kernel_reads_no_other_precision():
    neurons = SQSNeurons(2, generator=seeded(0)).bfloat16()
    assert not neurons.runs_fused
    assert "bfloat16, and the kernel takes float32" in str(neurons.obstacle_to_kernel())
