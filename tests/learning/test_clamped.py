"""Outputs clamped to target spikes: maximum likelihood, local or by backpropagation."""

import math
from functools import partial
from itertools import product
from typing import Any

import pytest
import reference_drive
import torch
from reference_drive import follow
from tools import populations_of, seeded, synapses_of, twin
from torch import Tensor

from sqsnn.learning.backprop import Backprop
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.rule import Rule
from sqsnn.learning.scores import Measured
from sqsnn.learning.signals import Feedback, NoSignal, Reinforce
from sqsnn.network import Connection, SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.readout import Targets, TraceReadout

STEPS, BATCH, CLASSES = 4, 6, 2
CHANGE = 1e-5  # of a parameter, for central differences
LABELS = torch.arange(BATCH) % CLASSES
SYMMETRIC = Local(Feedback("symmetric"), loss_on="likelihood")


def network_of(*sizes: int, **options: Any) -> SpikingNetwork:
    options = {"memory_qubits": 1, "encoding_slope": "exact", **options}
    neurons = partial(SQSNeurons, **options)
    network = SpikingNetwork(sizes, neurons=neurons, generator=seeded(0), dtype=torch.float64)
    with torch.no_grad():
        for population in populations_of(network):
            # No spike is rare.
            population.get_parameter("angles").uniform_(0.4, 1.4, generator=seeded(1))
    return network


def inputs_of(presynaptic: int, batch: int = BATCH) -> Tensor:
    drawn = torch.rand((STEPS, batch, presynaptic, 1), generator=seeded(7))
    return (drawn < 0.6).double()


def some_spikes() -> Tensor:
    return (torch.rand((STEPS, BATCH, CLASSES, 1), generator=seeded(8)) < 0.5).double()


def gradient(
    rule: Rule, network: SpikingNetwork, spikes: Tensor, targets: Targets, seed: int = 5
) -> Tensor:
    """Of all parameters in one row."""
    network.zero_grad()
    rule.step(network, spikes, targets, seeded(seed))
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
    return torch.cat([each.flatten() for each in grads])


def expected_loss(network: SpikingNetwork, spikes: Tensor, target: Tensor) -> Tensor:
    """E[-log p(target)] of one sample over all spike sequences of two hidden neurons."""
    below, above = synapses_of(network)
    hidden, output = populations_of(network)
    one = torch.tensor(list(product((0.0, 1.0), repeat=2 * STEPS)), dtype=torch.float64)
    sequences = one.reshape(-1, STEPS, 2, 1).movedim(0, 1)  # (T, 4**T, 2, 1)
    count = sequences.shape[1]
    lower, _ = hidden(below(spikes.expand(-1, count, -1, -1)), observed=sequences)
    upper, _ = output(above(sequences), observed=target.expand(-1, count, -1, -1))
    law = lower.log_likelihood.sum((0, 2)).exp()
    assert law.sum().item() == pytest.approx(1.0, abs=1e-12)
    return -(law * upper.log_likelihood.sum((0, 2))).sum()


@pytest.mark.parametrize("rule", [SYMMETRIC, Backprop(loss_on="likelihood")])
def test_without_hidden_neurons_the_gradient_is_that_of_the_likelihood(rule):
    network, spikes, target = network_of(3, CLASSES), inputs_of(3), some_spikes()
    (synapses,), (output,) = synapses_of(network), populations_of(network)
    mask = torch.ones(STEPS, BATCH)
    mask[1, :3] = 0
    weights = torch.linspace(0.5, 2, BATCH, dtype=torch.float64)
    found = gradient(rule, network, spikes, Targets(target, mask, weights))
    record, _ = output(synapses(spikes), observed=target)
    loss = -(record.log_likelihood.sum(-1) * mask * weights).sum() / BATCH
    wanted = torch.autograd.grad(loss, list(network.parameters()), materialize_grads=True)
    torch.testing.assert_close(found, torch.cat([g.flatten() for g in wanted]))


def reference_loss(network: SpikingNetwork, spikes: Tensor, target: Tensor) -> float:
    """-log p(target), mean over the samples, by the density matrices of tests/reference.py."""
    (synapses,), (output,) = synapses_of(network), populations_of(network)
    assert isinstance(output, SQSNeurons)
    currents, loss = synapses(spikes).detach(), 0.0
    for sample, index in product(range(BATCH), range(CLASSES)):
        z, observed = (rows[:, sample, index].tolist() for rows in (currents, target))
        neuron, drive = twin(output, index)
        assert reference_drive.distance_to_kinks(drive, z, observed) > 10 * CHANGE
        for (law, _), now in zip(follow(neuron, drive, z, observed), observed, strict=True):
            loss -= math.log(law[int(now[0])]) / BATCH
    return loss


@pytest.mark.parametrize(
    ("circuit", "drive"),
    [
        ("crx", Rectified()),
        ("crx", Leaky(beta=0.7, reset=0.4, bias=0.1)),
        ("bidirectional", Saturating()),
        ("bidirectional", Leaky(beta=0.7, reset=0.4, bias=0.1, reset_steps=2)),
    ],
)
@pytest.mark.parametrize("rule", [SYMMETRIC, Backprop(loss_on="likelihood")])
def test_clamped_outputs_follow_the_likelihood_of_density_matrices(rule, circuit, drive):
    network = network_of(3, CLASSES, circuit=circuit, drive=drive)
    target = some_spikes()
    # No spikes, but values: without a spike the current would be 0, where the encoding has a kink.
    spikes = torch.rand((STEPS, BATCH, 3, 1), generator=seeded(7), dtype=torch.float64)
    network.zero_grad()
    loss = rule.step(network, spikes, Targets(target), seeded(5))["loss"]
    assert loss == pytest.approx(reference_loss(network, spikes, target), rel=1e-10)
    for name, parameter in network.named_parameters():
        grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        values = parameter.detach().view(-1)
        for place, found in enumerate(grad.view(-1).tolist()):
            losses, value = [], values[place].item()
            for change in (CHANGE, -CHANGE):
                values[place] = value + change
                losses.append(reference_loss(network, spikes, target))
            values[place] = value
            slope = (losses[0] - losses[1]) / (2 * CHANGE)
            # Central differences: rounding / CHANGE = 1e-10, and a third derivative x CHANGE^2.
            assert found == pytest.approx(slope, abs=1e-8), (name, place)


@pytest.mark.parametrize("drive", [None, Leaky(beta=0.7, reset=0.4, bias=0.1)])
def test_symmetric_feedback_is_backpropagation(drive):
    options = {} if drive is None else {"drive": drive}
    network, spikes, targets = network_of(3, 4, CLASSES, **options), inputs_of(3), Targets(LABELS)
    rules = SYMMETRIC, Backprop(loss_on="likelihood")
    local, backprop = (gradient(rule, network, spikes, targets) for rule in rules)
    torch.testing.assert_close(local, backprop)
    assert backprop.abs().max() > 0.01


def test_reinforce_is_unbiased():
    # Each of 22 values is beyond 4 standard errors by chance once in 4000 (Student's t of 40
    # draws): one seed in 180 would fail, and the seed is fixed.
    network, spikes, target = network_of(2, 2, CLASSES), inputs_of(2, 1), some_spikes()[:, :1]
    truth = torch.autograd.grad(
        expected_loss(network, spikes, target), list(network.parameters()), materialize_grads=True
    )
    wanted = torch.cat([g.flatten() for g in truth])
    rule = Local(Reinforce(), loss_on="likelihood")
    batch, draws = 200, []
    many = spikes.expand(-1, batch, -1, -1)
    targets = Targets(target.expand(-1, batch, -1, -1))
    for seed in range(40):
        draws.append(gradient(rule, network, many, targets, seed))
    drawn = torch.stack(draws)
    error = drawn.std(0) / len(draws) ** 0.5
    off = (drawn.mean(0) - wanted).abs()
    assert (off < 4 * error + 1e-12).all()
    assert error.max() < 0.1 * wanted.abs().max()


@pytest.mark.parametrize("rule", [SYMMETRIC, Backprop(loss_on="likelihood")])
def test_a_class_stands_for_the_output_that_fires_in_every_step(rule):
    network, spikes = network_of(3, 4, CLASSES), inputs_of(3)
    fired = torch.zeros(STEPS, BATCH, CLASSES, 1, dtype=torch.float64)
    fired[:, torch.arange(BATCH), LABELS] = 1
    by_class = rule.step(network, spikes, LABELS, seeded(5))
    by_spikes = rule.step(network, spikes, Targets(fired), seeded(5))
    assert by_class.pop("correct") >= 0  # of the outputs' free spikes
    assert by_class == by_spikes


def test_clamped_outputs_learn_to_fire_the_target():
    network, spikes, target = (
        network_of(6, CLASSES, memory_qubits=0),
        inputs_of(6, 1),
        some_spikes(),
    )
    rule, adam = Local(NoSignal(), loss_on="likelihood"), torch.optim.Adam
    optimizer = adam(network.parameters(), lr=0.1)
    losses = []
    for seed in range(60):
        optimizer.zero_grad()
        losses.append(rule.step(network, spikes, target[:, :1], seeded(seed))["loss"])
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (some_spikes()[:-1], r"targets must have shape \(4, 6, 2, N\)"),
        (some_spikes() / 2, "targets must be spikes, 0 or 1"),
        (LABELS + 1, r"labels must lie in 0..1"),
    ],
)
def test_targets_that_are_no_spikes_of_the_outputs_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        SYMMETRIC.step(network_of(3, CLASSES), inputs_of(3), Targets(values), seeded(0))


@pytest.mark.parametrize("score", [Online(), Measured()])
def test_scores_that_cannot_follow_clamped_outputs_are_refused(score):
    with pytest.raises(ValueError, match="loss_on is 'likelihood', which goes with score 'exact'"):
        Local(score=score, loss_on="likelihood")


@pytest.mark.parametrize("rule", [SYMMETRIC, Backprop(loss_on="likelihood")])
def test_outputs_that_draw_nothing_or_feed_others_are_refused(rule):
    network = SpikingNetwork((3, CLASSES), neurons=LIF, generator=seeded(0))
    with pytest.raises(ValueError, match="the outputs are LIF, which draw no spikes"):
        rule.step(network, inputs_of(3).float(), LABELS, seeded(0))
    graph = SpikingNetwork(
        inputs=3,
        populations={"output": CLASSES},
        connections=[Connection("input", "output"), Connection("output", "output", delay=1)],
        generator=seeded(0),
    )
    with pytest.raises(ValueError, match="'output' feeds other populations or itself"):
        rule.step(graph, inputs_of(3).float(), LABELS, seeded(0))


@pytest.mark.parametrize("rule", [SYMMETRIC, Backprop(loss_on="likelihood")])
def test_a_readout_of_values_is_refused_and_not_trained_by_another_loss(rule):
    read = TraceReadout(CLASSES, 1, generator=seeded(0))
    network = SpikingNetwork((3, CLASSES), readout=read, generator=seeded(0))
    with pytest.raises(ValueError, match="the network has a readout of values"):
        rule.step(network, inputs_of(3).float(), torch.zeros(BATCH, 1), seeded(0))
