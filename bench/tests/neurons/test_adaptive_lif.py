"""AdaptiveLIF: LIF where nothing adapts, and slower and slower where it does."""

import pytest
import torch
from torch import Tensor

from sqsnn.learning import Backprop, Feedback, Local
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.lif import LIF
from sqsnn_bench.neurons.adaptive_lif import AdaptiveLIF

STEPS, BATCH, SIZE = 30, 5, 4


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def varied(neurons: LIF | AdaptiveLIF) -> LIF | AdaptiveLIF:
    """Give every neuron and channel values of its own, the same for both classes."""
    generator = seeded(1)
    with torch.no_grad():
        neurons.beta.uniform_(0.2, 0.95, generator=generator)
        neurons.threshold.uniform_(0.5, 1.5, generator=generator)
        neurons.bias.uniform_(-0.2, 0.2, generator=generator)
    return neurons


def adaptive(**options) -> AdaptiveLIF:
    return varied(AdaptiveLIF(SIZE, generator=seeded(0), **options))


def currents_of(channels: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    drawn = torch.randn((STEPS, BATCH, SIZE, channels), generator=seeded(2), dtype=dtype)
    return 0.3 + 0.8 * drawn


@pytest.mark.parametrize("through_reset", [False, True])
@pytest.mark.parametrize("floor", [None, -0.5])
@pytest.mark.parametrize(("channels", "dtype"), [(1, torch.float32), (2, torch.float64)])
def test_without_kappa_it_is_our_lif_bit_for_bit(channels, dtype, floor, through_reset):
    options = {"channels": channels, "dtype": dtype, "floor": floor, "through_reset": through_reset}
    plain = varied(LIF(SIZE, backend="torch", generator=seeded(0), **options))
    found = []
    for neurons in (adaptive(kappa=0.0, **options), plain):
        currents = currents_of(channels, dtype).requires_grad_()
        record, state = neurons(currents, generator=seeded(4))
        weight = torch.randn(currents.shape, generator=seeded(3), dtype=dtype)
        record.spikes.backward(weight)
        found.append((record.spikes, state.membrane, currents.grad))
    assert 0.1 < found[0][0].mean() < 0.6
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_spikes_are_those_of_the_equation():
    neurons, currents = adaptive(kappa=0.3, rho=0.8, floor=-0.5, dtype=torch.float64), currents_of()
    record, state = neurons(currents.double(), generator=seeded(4))
    beta, threshold, bias = (
        getattr(neurons, name).detach() for name in ("beta", "threshold", "bias")
    )
    a = u = s = torch.zeros(BATCH, SIZE, 1, dtype=torch.float64)
    for t, current in enumerate(currents.double()):
        a = 0.8 * a + s
        u = (beta * u + current + bias - threshold * s).clamp_min(-0.5)
        s = (u > threshold + 0.3 * a).double()
        assert torch.equal(record.spikes[t], s)
    torch.testing.assert_close(state.adaptation, a, rtol=1e-12, atol=1e-12)
    assert record.spikes.sum() > 20


@pytest.mark.parametrize(("kappa", "rho"), [(0.2, 0.99), (0.4, 0.99), (0.4, 0.95)])
def test_intervals_lengthen_under_a_constant_current(kappa, rho):
    constant = torch.full((400, 1, 1, 1), 0.5)
    found = []
    for adapts in (kappa, 0.0):
        neurons = AdaptiveLIF(1, beta=0.8, kappa=adapts, rho=rho, generator=seeded(0))
        record, _ = neurons(constant, generator=seeded(0))
        found.append(record.spikes.flatten().nonzero().flatten().diff())
    intervals, regular = found
    assert (regular == regular[0]).all()
    assert intervals[-4:].float().mean() > 1.5 * intervals[0]
    # They rise to their last value, up to the step in which a spike falls.
    longest = torch.cummax(intervals, 0).values
    assert (longest - intervals <= 1).all()


def test_a_silent_time_lets_the_threshold_sink_again():
    neurons = AdaptiveLIF(1, beta=0.0, kappa=1.0, rho=0.5, generator=seeded(0))
    currents = torch.zeros(12, 1, 1, 1)
    currents[[0, 1, 11]] = 1.8  # the second comes too early
    currents[1] += 1.0  # what the reset takes
    record, _ = neurons(currents, generator=seeded(0))
    assert record.spikes.flatten().nonzero().flatten().tolist() == [0, 11]


def test_all_parameters_learn():
    neurons = adaptive(kappa=0.3)
    record, _ = neurons(currents_of(), generator=seeded(4))
    record.spikes.sum().backward()
    for name in ("beta", "threshold", "bias", "kappa", "rho"):
        assert getattr(neurons, name).grad.any(), name


def test_kappa_never_lowers_the_threshold():
    lowered, none = adaptive(kappa=0.0), adaptive(kappa=0.0)
    with torch.no_grad():
        lowered.kappa.fill_(-1.0)
    found = [it(currents_of(), generator=seeded(4))[0].spikes for it in (lowered, none)]
    assert torch.equal(*found)


@pytest.mark.parametrize("rule", [Backprop(), Local(Feedback("symmetric"))], ids=["bp", "local"])
def test_a_network_learns_by_either_rule(rule):
    network = SpikingNetwork([6, 5, 3], neurons=AdaptiveLIF, generator=seeded(0))
    spikes = torch.randint(0, 2, (20, 4, 6, 1), generator=seeded(1)).float()
    figures = rule.step(network, spikes, torch.tensor([0, 1, 2, 0]), generator=seeded(2))
    assert figures["loss"] > 0
    assert network.population("hidden").kappa.grad.any()


def test_a_sequence_in_pieces_fires_the_same_spikes():
    neurons, currents = adaptive(kappa=0.3), currents_of()
    whole, _ = neurons(currents, generator=seeded(4))
    first, state = neurons(currents[:7], generator=seeded(4))
    second, _ = neurons(currents[7:], state, generator=seeded(4))
    assert torch.equal(whole.spikes, torch.cat([first.spikes, second.spikes]))


def test_neurons_of_a_map_can_share_what_they_learn():
    neurons = AdaptiveLIF((2, 3, 3), share="map", generator=seeded(0))
    assert [p.numel() for p in neurons.parameters()] == [2] * 5
    record, _ = neurons(torch.rand(5, 1, 18, 1, generator=seeded(1)), generator=seeded(2))
    assert record.spikes.shape == (5, 1, 18, 1)


def test_observed_spikes_are_certain_or_impossible():
    neurons, currents = adaptive(kappa=0.3), currents_of()
    spikes = neurons(currents, generator=seeded(4))[0].spikes.detach()
    record, _ = neurons(currents, observed=spikes)
    assert (record.log_likelihood == 0).all()
    record, _ = neurons(currents, observed=1 - spikes)
    assert torch.isneginf(record.log_likelihood[0]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kappa": -0.1}, "kappa is -0.1; it must be finite and at least 0"),
        ({"kappa": float("inf")}, "kappa is inf"),
        ({"rho": 1.1}, "rho is 1.1; it must be in"),
        ({"beta": -1.0}, "beta is -1.0"),
    ],
)
def test_wrong_values_are_refused_by_name(options, said):
    with pytest.raises(ValueError, match=said):
        AdaptiveLIF(SIZE, generator=seeded(0), **options)
