"""Feedback: weights that are random, symmetric, mirrored or direct, and what they carry down."""

from functools import partial

import pytest
import torch
from tools import seeded, synapses_of
from torch import Tensor

from sqsnn.learning import memory
from sqsnn.learning.feedback import check_paths, fed_back, paths
from sqsnn.learning.memory import Memory
from sqsnn.learning.signals import Feedback
from sqsnn.network import Connection, SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.synapses import Convolution, Dense, DenseSynapses

pytestmark = pytest.mark.usefixtures("device")

CLASSES = 3


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def network_of(*sizes: int, channels: int = 1) -> SpikingNetwork:
    neurons = partial(SQSNeurons, channels=channels)
    return SpikingNetwork(sizes, neurons=neurons, generator=seeded(3), dtype=torch.float64)


def weights_of(
    state: Memory, network: SpikingNetwork, feedback: Feedback, generator: torch.Generator
) -> list[Tensor]:
    """The weights of all ways down."""
    ways = paths(network, feedback, state, generator)
    return [*ways.direct.values(), *(parts["weight"] for parts in ways.chained.values())]


def test_random_weights_are_drawn_once_and_kept_in_the_state():
    network, state = network_of(2, 4, 5, CLASSES, channels=2), Memory()
    first = weights_of(state, network, Feedback(), seeded(0))
    assert [tuple(weight.shape) for weight in first] == [(2, 5, 4), (2, CLASSES, 5)]
    with torch.no_grad():
        for parameter in network.parameters():  # learning goes on, the weights stay
            parameter.add_(1.0)
    again = weights_of(state, network, Feedback(), seeded(1))
    assert all(map(torch.equal, first, again))
    loaded = Memory()
    loaded.tensors = dict(state.tensors)
    assert all(map(torch.equal, first, weights_of(loaded, network, Feedback(), seeded(2))))
    other = weights_of(Memory(), network, Feedback(), seeded(1))
    assert not any(map(torch.equal, first, other))
    for weight in first:
        assert weight.dtype == torch.float64
        assert not weight.requires_grad


def test_random_weights_are_uniform_like_the_synapses():
    network = network_of(1, 400, 50, 2)
    for weight, below in zip(
        weights_of(Memory(), network, Feedback(), seeded(0)), (400, 50), strict=True
    ):
        bound = below**-0.5
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.95 * bound
        # Uniform: mean 0 and variance bound**2 / 3; 5 standard errors of the mean, and 20 % of the
        # variance, which 100 numbers miss at one seed in 40 and 20,000 never. The seed is fixed.
        assert weight.mean().abs() < 5 * bound / (3 * weight.numel()) ** 0.5
        assert weight.var().item() == pytest.approx(bound**2 / 3, rel=0.2)


def test_symmetric_weights_are_the_synapses_as_they_are_now():
    network, state = network_of(2, 4, 5, CLASSES), Memory()
    ways = paths(network, Feedback(feedback="symmetric"), state, seeded(0))
    delta = normal(2, 3, CLASSES, 1, seed=1)
    for _ in range(2):
        own = synapses_of(network)[2].weight.detach()
        found = ways.received("hidden_2", {"output": delta})
        expected = torch.einsum("tbon,nop->tbpn", delta, own)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
        assert not found.requires_grad
        with torch.no_grad():
            own.add_(1.0)
    assert state.tensors == {}


@pytest.mark.parametrize("channels", [1, 2])
def test_mirrored_weights_are_the_synapses_up_to_the_noise_of_the_spontaneous_spikes(channels):
    # An estimate adds what the other P - 1 inputs of its neuron happened to do: the variance is
    # |w|^2 / S. Errors of one neuron share its spikes, so the mean square is loose.
    below, above = 60, 9
    synapses = DenseSynapses(
        below, above, channels=channels, generator=seeded(0), dtype=torch.float64
    )
    found = memory.mirror(synapses, seeded(1))
    weight = synapses.weight.detach()
    others = weight.square().sum(-1, keepdim=True) - weight.square()
    scaled = (found - weight) / (others / memory.SPONTANEOUS).sqrt()
    assert scaled.square().mean().item() == pytest.approx(1.0, abs=0.4)
    assert scaled.mean().abs() < 5 / scaled.numel() ** 0.5
    assert not torch.equal(found, memory.mirror(synapses, seeded(2)))


def test_mirrored_weights_are_estimated_anew_and_not_remembered():
    network = SpikingNetwork([2, 3, 4], generator=seeded(0), dtype=torch.float64)
    memory = Memory()
    (before,) = weights_of(memory, network, Feedback("mirrored"), seeded(1))
    with torch.no_grad():
        synapses_of(network)[1].weight.neg_()
    (after,) = weights_of(memory, network, Feedback("mirrored"), seeded(1))
    torch.testing.assert_close(after, -before, rtol=0, atol=1e-12)
    assert not memory.tensors


def graph_of(forward: Dense | Convolution, back: Dense | Convolution) -> SpikingNetwork:
    """A population on a grid that feeds itself."""
    return SpikingNetwork(
        inputs=3,
        populations={"hidden": (2, 4), "output": (1, 4)},
        connections=[
            Connection("input", "hidden"),
            Connection("hidden", "hidden", back, delay=1),
            Connection("hidden", "output", forward),
        ],
        generator=seeded(0),
    )


@pytest.mark.parametrize(
    ("forward", "named"),
    [
        (Convolution(1, 3, padding=1), "ConvolutionSynapses"),
        (Dense(wiring="all"), "DenseSynapses, wired 'all'"),
    ],
    ids=str,
)
def test_weights_that_no_mirror_learns_are_refused_by_name(forward, named):
    network = graph_of(forward, Dense())
    with pytest.raises(ValueError, match=f"hidden -> output has {named}; use 'random'"):
        check_paths(network, Feedback("mirrored"))
    check_paths(network, Feedback("random"))


def test_what_leads_back_needs_no_mirror():
    network = graph_of(Dense(), Convolution(2, 3, padding=1))
    check_paths(network, Feedback("mirrored"))
    assert len(weights_of(Memory(), network, Feedback("mirrored"), seeded(0))) == 1


def test_direct_weights_lead_from_the_outputs_to_every_hidden_layer():
    network = network_of(2, 4, 5, CLASSES, channels=2)
    found = weights_of(Memory(), network, Feedback(feedback_path="direct"), seeded(0))
    assert [tuple(weight.shape) for weight in found] == [(2, CLASSES, 4), (2, CLASSES, 5)]


@pytest.mark.parametrize("path", ["chained", "direct"])
def test_random_weights_of_another_network_are_refused(path):
    state, signal = Memory(), Feedback(feedback_path=path)
    weights_of(state, network_of(2, 4, CLASSES), signal, seeded(0))
    with pytest.raises(ValueError, match=r"\(1, 3, 4\).*\(1, 3, 6\).*fresh\(\) rule"):
        weights_of(state, network_of(2, 6, CLASSES), signal, seeded(0))
    weights_of(state, network_of(7, 4, CLASSES), signal, seeded(0))  # fits


@pytest.mark.parametrize(("above", "below"), [(1, 1), (2, 2), (3, 3), (3, 1)])
def test_feedback_is_the_sum_over_the_neurons_above(above, below):
    # Channel n hears channel n; one channel below hears all above.
    delta, weights = normal(2, 3, CLASSES, above, seed=1), normal(above, CLASSES, 4, seed=2)
    found = fed_back(delta, weights, below)
    assert found.shape == (2, 3, 4, below)
    for t in range(2):
        for b in range(3):
            for h in range(4):
                for m in range(below):
                    expected = 0.0
                    for o in range(CLASSES):
                        for n in range(above):
                            if n == m or below == 1:
                                expected += (weights[n, o, h] * delta[t, b, o, n]).item()
                    assert found[t, b, h, m].item() == pytest.approx(expected, abs=1e-13)
