"""LIF: its equation by hand, and neuron for neuron the Leaky of snnTorch."""

import pytest
import snntorch
import torch
from tools import seeded
from torch import Tensor
from torch.testing import assert_close

from sqsnn.neurons.lif import LIF

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, SIZE = 12, 5, 4


def neurons_of(channels: int = 1, dtype: torch.dtype = torch.float64) -> LIF:
    """Every neuron and channel with values of its own."""
    neurons = LIF(SIZE, channels=channels, dtype=dtype, generator=seeded(0))
    generator = seeded(1)
    with torch.no_grad():
        neurons.beta.uniform_(0.2, 0.95, generator=generator)
        neurons.threshold.uniform_(0.5, 1.5, generator=generator)
        neurons.bias.uniform_(-0.2, 0.2, generator=generator)
    return neurons


def currents_of(channels: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    drawn = torch.randn((STEPS, BATCH, SIZE, channels), generator=seeded(2), dtype=dtype)
    return 0.3 + 0.8 * drawn


def run(neurons: LIF, currents: Tensor):
    return neurons(
        currents, uniforms=currents.new_zeros(*currents.shape[:2], *neurons.uniforms_shape)
    )


def one_neuron(currents: list[float], beta: float, threshold: float, bias: float):
    """Spikes and membranes of one neuron, in plain Python."""
    membrane, spike, spikes, membranes = 0.0, 0.0, [], []
    for current in currents:
        membrane = beta * membrane + current + bias - threshold * spike
        spike = 1.0 if membrane > threshold else 0.0
        spikes.append(spike)
        membranes.append(membrane)
    return spikes, membranes


def test_six_steps_by_hand():
    # u: 0.75; 0.375 + 0.75 = 1.125 fires; 0.5625 + 0.75 - 1 = 0.3125; 0.15625 - 0.40625 = -0.25;
    # -0.125 + 2.125 = 2 fires; 1 + 0 - 1 = 0. Binary fractions, so that nothing is rounded.
    neurons = LIF(1, beta=0.5, threshold=1.0, dtype=torch.float64, generator=seeded(0))
    currents = torch.tensor([0.75, 0.75, 0.75, -0.40625, 2.125, 0.0], dtype=torch.float64)
    state, membranes, spikes = None, [], []
    for current in currents:
        record, state = neurons.step(current.reshape(1, 1, 1), state, current.new_zeros(1, 1))
        membranes.append(state.membrane.item())
        spikes.append(record.spikes.item())
        assert state.spikes.item() == spikes[-1]
    assert membranes == [0.75, 1.125, 0.3125, -0.25, 2.0, 0.0]
    assert spikes == [0, 1, 0, 0, 1, 0]


def test_a_membrane_at_its_threshold_does_not_fire():
    neurons = LIF(1, threshold=0.5, dtype=torch.float64, generator=seeded(0))
    currents = torch.tensor([0.5, 0.5 + 2**-50], dtype=torch.float64).reshape(1, 2, 1, 1)
    record, _ = run(neurons, currents)
    assert record.spikes.flatten().tolist() == [0, 1]


@pytest.mark.parametrize("channels", [1, 2])
def test_every_neuron_and_channel_follows_the_equation(channels):
    neurons, currents = neurons_of(channels), currents_of(channels)
    record, state = run(neurons, currents)
    assert 0.1 < record.spikes.mean() < 0.6
    for sample in range(BATCH):
        for neuron in range(SIZE):
            for channel in range(channels):
                place = neuron, channel
                spikes, membranes = one_neuron(
                    currents[:, sample, neuron, channel].tolist(),
                    *(p[place].item() for p in (neurons.beta, neurons.threshold, neurons.bias)),
                )
                assert record.spikes[:, sample, neuron, channel].tolist() == spikes
                last = state.membrane[sample, neuron, channel].item()
                assert last == pytest.approx(membranes[-1], abs=1e-12)


def test_the_probability_is_the_spike_and_what_happened_was_certain():
    record, _ = run(neurons_of(2), currents_of(2))
    assert torch.equal(record.probability, record.spikes)
    assert torch.equal(record.log_likelihood, torch.zeros(STEPS, BATCH, SIZE, dtype=torch.float64))


@pytest.mark.parametrize(("written", "counts_as"), [(1.7, 1.0), (-0.3, 0.0)])
def test_beta_counts_as_clamped(written, counts_as):
    neurons, currents = neurons_of(), currents_of()
    with torch.no_grad():
        neurons.beta.fill_(written)
    beyond, state = run(neurons, currents)
    with torch.no_grad():
        neurons.beta.fill_(counts_as)
    at_the_edge, edge_state = run(neurons, currents)
    assert torch.equal(beyond.spikes, at_the_edge.spikes)
    assert torch.equal(state.membrane, edge_state.membrane)


def test_the_bias_is_a_constant_current():
    neurons, currents = neurons_of(), currents_of()
    with torch.no_grad():
        neurons.bias.fill_(0.25)
    with_bias, state = run(neurons, currents)
    with torch.no_grad():
        neurons.bias.zero_()
    driven, other_state = run(neurons, currents + 0.25)
    assert torch.equal(with_bias.spikes, driven.spikes)
    assert torch.equal(state.membrane, other_state.membrane)


# Beside snnTorch


def leaky_of(neurons: LIF) -> snntorch.Leaky:
    """Their neuron with our values; its default surrogate, the arctangent's."""
    return snntorch.Leaky(
        beta=neurons.beta.detach().clone(),
        threshold=neurons.threshold.detach().clone(),
        learn_beta=True,
        learn_threshold=True,
        reset_mechanism="subtract",
    )


def run_leaky(leaky: snntorch.Leaky, currents: Tensor) -> tuple[Tensor, Tensor]:
    membrane, spikes, membranes = torch.zeros_like(currents[0]), [], []
    for current in currents:
        spike, membrane = leaky(current, membrane)
        spikes.append(spike)
        membranes.append(membrane)
    return torch.stack(spikes).to(currents.dtype), torch.stack(membranes)


def without_bias(channels: int, dtype: torch.dtype) -> LIF:
    neurons = neurons_of(channels, dtype)
    with torch.no_grad():
        neurons.bias.zero_()
    return neurons


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 2])
def test_spikes_and_membranes_are_snntorchs(channels, dtype):
    neurons, currents = without_bias(channels, dtype), currents_of(channels, dtype)
    spikes, membranes = run_leaky(leaky_of(neurons), currents)
    state = None
    for t, current in enumerate(currents):
        record, state = (
            run(neurons, current[None])
            if state is None
            else neurons.step(current, state, current.new_zeros(BATCH, *neurons.uniforms_shape))
        )
        assert torch.equal(record.spikes.reshape_as(current), spikes[t])
        assert_close(state.membrane, membranes[t], rtol=0, atol=4 * torch.finfo(dtype).eps)
    assert 0.1 < spikes.mean() < 0.6


@pytest.mark.parametrize("channels", [1, 2])
def test_gradients_are_snntorchs(channels):
    neurons = without_bias(channels, torch.float64)
    leaky = leaky_of(neurons)
    ours = currents_of(channels).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    # Their spikes are float32 whatever the membrane is: weights that float32 holds exactly.
    weight = torch.randn(ours.shape, generator=seeded(3), dtype=torch.float32).double()
    record, _ = run(neurons, ours)
    record.spikes.backward(weight)
    spikes, _ = run_leaky(leaky, theirs)
    spikes.backward(weight)
    pairs = [
        (ours.grad, theirs.grad),
        (neurons.beta.grad, leaky.beta.grad),
        (neurons.threshold.grad, leaky.threshold.grad),
        (neurons.bias.grad, theirs.grad.sum(dim=(0, 1))),  # a constant current
    ]
    for found, expected in pairs:
        assert expected.abs().max() > 1e-3
        # Sums of at most 60 terms of order 1; their surrogate rounds pi / 2 * 2 x as pi x does.
        assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_probability_carries_the_same_gradient_as_the_spike():
    neurons = neurons_of()
    weight = torch.randn((STEPS, BATCH, SIZE, 1), generator=seeded(3), dtype=torch.float64)
    found = []
    for name in ("spikes", "probability"):
        record, _ = run(neurons, currents_of())
        values = getattr(record, name)
        found.append(torch.autograd.grad(values, list(neurons.parameters()), weight))
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": -0.1}, r"beta is -0.1; it must be in \[0, 1\]"),
        ({"beta": 1.01}, "beta is 1.01"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"dtype": torch.float16}, "dtype is torch.float16; it may be torch.float32"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LIF(1, **options, generator=seeded(0))


def test_values_at_the_edges_are_taken():
    assert [LIF(1, beta=beta, generator=seeded(0)).beta.item() for beta in (0.0, 1.0)] == [0, 1]
