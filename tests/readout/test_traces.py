"""The readout of real values: its law, its state, its way back, and what it refuses."""

import pytest
import torch
from tools import seeded

from sqsnn.readout import TraceReadout, Traces

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, NEURONS, CHANNELS, VALUES = 7, 3, 5, 2, 2


def readout_of(**options) -> TraceReadout:
    made = TraceReadout(
        NEURONS,
        VALUES,
        channels=CHANNELS,
        options=Traces(**options),
        generator=seeded(0),
        dtype=torch.float64,
    )
    made.fit_scale(torch.tensor([[1.0, -2.0], [3.0, 5.0], [8.0, 0.0]], dtype=torch.float64))
    with torch.no_grad():
        made.bias.copy_(torch.linspace(-1, 1, len(made.bias)))
    return made


@pytest.fixture
def spikes():
    shape = (STEPS, BATCH, NEURONS, CHANNELS)
    return torch.randint(0, 2, shape, generator=seeded(1)).double()


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.95])
def test_values_are_linear_in_exponential_traces(spikes, decay):
    read = readout_of(trace_decay=decay)
    found, _ = read(spikes)
    trace = torch.zeros(BATCH, NEURONS, CHANNELS, dtype=torch.float64)
    for t in range(STEPS):
        trace = decay * trace + (1 - decay) * spikes[t]
        rows = torch.einsum("bhn,khn->bk", trace, read.weight) + read.bias
        expected = read.target_mean + read.target_scale * rows
        torch.testing.assert_close(found.mean[t], expected, rtol=0, atol=1e-12)
    assert found.variance is None


def test_mean_and_scale_are_those_of_the_training_targets():
    read = readout_of()
    assert read.target_mean.tolist() == pytest.approx([4.0, 1.0])
    assert read.target_scale.tolist() == pytest.approx([(26 / 3) ** 0.5] * 2)
    read.fit_scale(torch.tensor([[7.0, 1.0], [7.0, 2.0]]))
    assert read.target_scale.tolist() == [1.0, 0.5]  # a constant keeps scale 1


def test_two_halves_equal_one_pass(spikes):
    read = readout_of(value_loss="gaussian")
    whole, end = read(spikes)
    first, state = read(spikes[:3])
    later, last = read(spikes[3:], state)
    for name in ("mean", "variance"):
        parts = torch.cat([getattr(first, name), getattr(later, name)])
        torch.testing.assert_close(parts, getattr(whole, name), rtol=0, atol=1e-13)
    torch.testing.assert_close(end, last, rtol=0, atol=1e-13)


@pytest.mark.parametrize("value_loss", ["squared", "gaussian"])
def test_errors_reach_the_spikes_as_the_derivative_does(spikes, value_loss):
    read = readout_of(value_loss=value_loss, trace_decay=0.8)
    rows, _ = read.rows(spikes.requires_grad_())
    errors = torch.randn(rows.shape, generator=seeded(2), dtype=torch.float64)
    (expected,) = torch.autograd.grad(rows, [spikes], errors)
    torch.testing.assert_close(read.pull_back(errors), expected, rtol=0, atol=1e-13)
    other = torch.randn(read.weight.shape, generator=seeded(3), dtype=torch.float64)
    with torch.no_grad():
        read.weight.copy_(other)
    assert torch.equal(
        readout_of(value_loss=value_loss, trace_decay=0.8).pull_back(errors, other),
        read.pull_back(errors),
    )


def test_a_gaussian_readout_has_a_variance_above_zero(spikes):
    read = readout_of(value_loss="gaussian")
    with torch.no_grad():
        read.bias.fill_(-1e4)
    variance = read(spikes)[0].variance
    assert variance.shape == (STEPS, BATCH, VALUES)
    assert (variance > 0).all()


def test_spikes_of_another_layer_are_refused(spikes):
    with pytest.raises(ValueError, match=r"spikes must have shape \(T, B, 5, 2\)"):
        readout_of()(spikes[..., :1])


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match="trace_decay"):
        Traces(trace_decay=decay)
