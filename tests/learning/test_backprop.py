"""Backpropagation: which steps its loss, its prediction and its penalty are of."""

import pytest
import torch
from tools import seeded

from sqsnn import readout
from sqsnn.learning.backprop import Backprop, firing_rates, rate_excess
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.population import Record
from sqsnn.readout import Targets

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, CLASSES = 5, 16, 3


@pytest.fixture
def network():
    generator = seeded(0)
    return SpikingNetwork([4, 6, CLASSES], generator=generator, dtype=torch.float64)


@pytest.fixture
def spikes():
    generator = seeded(1)
    return torch.rand(STEPS, BATCH, 4, 1, generator=generator, dtype=torch.float64).round()


def some_labels():
    return torch.arange(BATCH) % CLASSES


def gradients(network):
    # A circuit without trainable gains has them as an empty parameter, which gets no gradient.
    return [parameter.grad for parameter in network.parameters() if parameter.numel()]


@pytest.mark.parametrize("loss_on", ["probability", "count"])
@pytest.mark.parametrize("report_steps", [None, 1, 2, STEPS])
def test_loss_prediction_and_gradient_are_those_of_the_report(
    network, spikes, loss_on, report_steps
):
    rule = Backprop(loss_on=loss_on)
    targets = Targets(some_labels(), readout.last_steps(STEPS, BATCH, report_steps))
    figures = rule.step(network, spikes, targets, seeded(2))
    found = gradients(network)
    network.zero_grad()
    record = network(spikes, generator=seeded(2))
    first = 0 if report_steps is None else STEPS - report_steps
    kept = record.layers[-1]._replace(
        spikes=record.layers[-1].spikes[first:], probability=record.layers[-1].probability[first:]
    )
    loss = readout.cross_entropy(kept, some_labels(), on=loss_on)
    loss.backward()
    assert figures["loss"] == loss.item()
    assert figures["correct"] == int((readout.predict(kept) == some_labels()).sum())
    assert all(map(torch.equal, found, gradients(network)))


def test_the_penalty_is_on_the_rates_of_all_steps(network, spikes):
    rule = Backprop(rate_penalty=3.0, rate_bounds=(0.9, 1.0))
    rule.step(
        network, spikes, Targets(some_labels(), readout.last_steps(STEPS, BATCH, 1)), seeded(2)
    )
    found = gradients(network)
    network.zero_grad()
    record = network(spikes, generator=seeded(2))
    penalty = rate_excess(firing_rates(record.layers[:-1]), 0.9, 1.0)
    mask = readout.last_steps(STEPS, BATCH, 1)
    loss = readout.cross_entropy(readout.masked(record.layers[-1], mask), some_labels())
    (loss + 3.0 * penalty).backward()
    assert penalty > 0
    for one, other in zip(found, gradients(network), strict=True):
        torch.testing.assert_close(one, other)


def record_of(spikes) -> Record:
    return Record(spikes, spikes, spikes.new_zeros(spikes.shape[:3]))


def test_the_excess_of_hand_made_rates():
    # Rates 2/3, 2/3, 1/3 and 0: the first two exceed by 1/6, the last falls short by 1/4.
    spikes = torch.tensor([[0, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]], dtype=torch.float64)
    layer = record_of(spikes[:, None, :, None])
    assert rate_excess(firing_rates([layer]), 0.25, 0.5).item() == pytest.approx(
        (2 / 36 + 1 / 16) / 4
    )
    # Every neuron weighs the same, whichever layer it is in.
    other = record_of(torch.ones(3, 1, 2, 1, dtype=torch.float64))
    both = rate_excess(firing_rates([layer, other]), 0.25, 0.5).item()
    assert both == pytest.approx((2 / 36 + 1 / 16 + 2 / 4) / 6)
    assert rate_excess(firing_rates([layer, other]), 0.0, 1.0).item() == 0.0


def test_the_excess_has_no_gradient_inside_the_bounds_and_pulls_back_outside():
    spikes = torch.rand((6, 4, 2, 2), generator=seeded(0), dtype=torch.float64).round()
    layer = record_of(spikes.requires_grad_())
    rates = spikes.detach().mean(dim=(0, 1, 3))
    low, high = rates.min().item(), rates.max().item()
    inside = rate_excess(firing_rates([layer]), low, high)
    inside.backward()
    assert inside.item() == 0.0
    assert torch.count_nonzero(spikes.grad) == 0
    middle = (low + high) / 2
    assert low < middle < high
    rate_excess(firing_rates([layer]), middle, middle).backward()
    assert torch.all(spikes.grad[:, :, rates > middle] > 0)
    assert torch.all(spikes.grad[:, :, rates < middle] < 0)


def test_a_mask_that_leaves_out_a_sample_is_refused(network, spikes):
    mask = torch.ones(STEPS, BATCH)
    mask[:, 1] = 0
    with pytest.raises(ValueError, match="mask leaves out every step of a sample"):
        Backprop().step(network, spikes, Targets(some_labels(), mask), seeded(0))


@pytest.mark.parametrize("bounds", [(0.5, 0.1), (-0.1, 0.5), (0.1, 1.5)])
def test_bounds_that_are_no_rates_are_refused(bounds):
    with pytest.raises(ValueError, match=r"rate_bounds is .* must be 0 <= lower <= upper <= 1"):
        Backprop(rate_bounds=bounds)


@pytest.mark.parametrize("penalty", [-1.0, float("nan"), float("inf")])
def test_a_penalty_below_0_or_not_finite_is_refused(penalty):
    with pytest.raises(ValueError, match="rate_penalty: "):
        Backprop(rate_penalty=penalty)
