"""Whatever runs a forward pass twice, or bends it, gets the right numbers or an error."""

import copy
import pickle

import pytest
import torch
from tools import seeded
from torch.utils.checkpoint import checkpoint

from sqsnn.network import SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.processes import ALONE, SharedGenerator
from sqsnn.uniforms import draw_uniforms


def checkpointed(network: SpikingNetwork, spikes: torch.Tensor, reentrant: bool, **given) -> None:
    """Go forward and back with what the backward pass needs computed a second time."""

    def loss(spikes: torch.Tensor) -> torch.Tensor:
        return network(spikes, **given).layers[-1].probability.square().sum()

    checkpoint(loss, spikes.clone().requires_grad_(), use_reentrant=reentrant).backward()


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("circuit", ["bidirectional", "hardware_efficient"])
def test_a_checkpoint_takes_uniforms_and_refuses_a_generator(circuit, backend, reentrant):
    network = SpikingNetwork([4, 5, 3], circuit=circuit, backend=backend, generator=seeded(0))
    spikes = torch.ones(3, 2, 4, 1)
    network(spikes, generator=seeded(1)).layers[-1].probability.square().sum().backward()
    expected = [parameter.grad for parameter in network.parameters()]
    network.zero_grad()
    checkpointed(network, spikes, reentrant, uniforms=network.draw_uniforms(3, 2, seeded(1)))
    assert all(map(torch.equal, expected, [p.grad for p in network.parameters()]))
    with pytest.raises(RuntimeError, match=r"draw_uniforms\(.*give uniforms in place of the gen"):
        checkpointed(network, spikes, reentrant, generator=seeded(1))


def test_other_backward_passes_may_draw():
    # A hook runs without gradients, and uses its numbers once.
    drawn = []
    leaf = torch.zeros(3, requires_grad=True)

    def draw(gradient: torch.Tensor) -> None:
        drawn.append(draw_uniforms(1, 1, 2, seeded(0), torch.float32, "cpu"))

    leaf.register_hook(draw)
    leaf.sum().backward()
    assert len(drawn) == 1


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_transforms_and_second_derivatives_are_refused(backend):
    neurons = SQSNeurons(2, backend=backend, generator=seeded(0))
    uniforms = neurons.draw_uniforms(2, 1, seeded(1))

    def total(currents: torch.Tensor) -> torch.Tensor:
        return neurons(currents, uniforms=uniforms)[0].probability.sum()

    currents = torch.rand(2, 1, 2, 1, generator=seeded(2)).requires_grad_()
    for transform in (torch.func.grad, torch.func.vmap, torch.func.jacrev):
        with pytest.raises(RuntimeError, match=r"SQSNeurons cannot run under torch\.func"):
            transform(total)(currents[None] if transform is torch.func.vmap else currents)
    # torch itself would give 0 for all of them.
    with pytest.raises(RuntimeError, match="leave out create_graph=True"):
        torch.autograd.grad(total(currents), currents, create_graph=True)


def test_a_shared_generator_is_not_copied():
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="make one in each process"):
            copied(SharedGenerator(ALONE))
