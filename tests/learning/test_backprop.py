"""Backpropagation: which steps its loss, its prediction and its penalty are of."""

import pytest
import torch

from sqsnn import readout
from sqsnn.learning.backprop import BackpropRule
from sqsnn.network import SpikingNetwork

STEPS, BATCH, CLASSES = 5, 16, 3


@pytest.fixture
def network():
    generator = torch.Generator().manual_seed(0)
    return SpikingNetwork([4, 6, CLASSES], generator=generator, dtype=torch.float64)


@pytest.fixture
def spikes():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(STEPS, BATCH, 4, 1, generator=generator, dtype=torch.float64).round()


LABELS = torch.arange(BATCH) % CLASSES


def gradients(network):
    # A circuit without trainable gains has them as an empty parameter, which gets no gradient.
    return [parameter.grad for parameter in network.parameters() if parameter.numel()]


@pytest.mark.parametrize("loss_on", ["probability", "count"])
@pytest.mark.parametrize("report_steps", [None, 1, 2, STEPS])
def test_loss_prediction_and_gradient_are_those_of_the_report(
    network, spikes, loss_on, report_steps
):
    rule = BackpropRule(loss_on=loss_on, report_steps=report_steps)
    figures = rule.step(network, spikes, LABELS, torch.Generator().manual_seed(2))
    found = gradients(network)
    network.zero_grad()
    run = network(spikes, generator=torch.Generator().manual_seed(2))
    first = 0 if report_steps is None else STEPS - report_steps
    kept = run.layers[-1]._replace(
        spikes=run.layers[-1].spikes[first:], probability=run.layers[-1].probability[first:]
    )
    loss = readout.cross_entropy(kept, LABELS, on=loss_on)
    loss.backward()
    assert figures["loss"] == loss.item()
    assert figures["correct"] == int((readout.predict(kept) == LABELS).sum())
    assert all(map(torch.equal, found, gradients(network)))


def test_the_penalty_is_on_the_rates_of_all_steps(network, spikes):
    rule = BackpropRule(report_steps=1, rate_penalty=3.0, rate_bounds=(0.9, 1.0))
    rule.step(network, spikes, LABELS, torch.Generator().manual_seed(2))
    found = gradients(network)
    network.zero_grad()
    run = network(spikes, generator=torch.Generator().manual_seed(2))
    penalty = readout.spike_rate_penalty(run.layers[:-1], lower=0.9, upper=1.0)
    loss = readout.cross_entropy(readout.last(run.layers[-1], 1), LABELS)
    (loss + 3.0 * penalty).backward()
    assert penalty > 0
    for one, other in zip(found, gradients(network), strict=True):
        torch.testing.assert_close(one, other)


def test_a_window_of_no_steps_is_refused():
    with pytest.raises(ValueError, match="report_steps must be an integer of at least 1, but is 0"):
        BackpropRule(report_steps=0)
