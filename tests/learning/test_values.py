"""Learning to predict real values: feedback against backpropagation, rewards against the law."""

from functools import partial
from itertools import product

import pytest
import torch
from tools import populations_of, seeded, synapses_of

from sqsnn.learning import Backprop, Both, Feedback, Local, NoSignal, Online, Reinforce
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.readout import Targets, TraceReadout, Traces

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, INPUTS, VALUES = 5, 6, 3, 2


def network_of(*sizes: int, channels: int = 1, outputs: int = VALUES, **options) -> SpikingNetwork:
    neurons = partial(SQSNeurons, channels=channels, memory_qubits=1, encoding_slope="exact")
    read = TraceReadout(
        sizes[-1],
        outputs,
        channels=channels,
        options=Traces(**options),
        generator=seeded(7),
        dtype=torch.float64,
    )
    return SpikingNetwork(
        sizes, neurons=neurons, readout=read, generator=seeded(0), dtype=torch.float64
    )


def batch(channels: int = 1, every_step: bool = True) -> tuple[torch.Tensor, Targets]:
    shape = (STEPS, BATCH, INPUTS, channels)
    spikes = torch.randint(0, 2, shape, generator=seeded(1)).double()
    steps = (STEPS,) if every_step else ()
    values = torch.randn(*steps, BATCH, VALUES, generator=seeded(2), dtype=torch.float64)
    mask = torch.ones(STEPS, BATCH, dtype=torch.float64)
    mask[:2, 1] = mask[3:, 2] = 0
    weights = torch.linspace(0.5, 2.0, BATCH, dtype=torch.float64)
    return spikes, Targets(values, mask, weights)


def gradients(rule, network, spikes, targets, seed=5):
    network.zero_grad()
    figures = rule.step(network, spikes, targets, seeded(seed))
    named = network.named_parameters()
    return figures, {name: p.grad for name, p in named if p.numel()}


@pytest.mark.parametrize("every_step", [True, False])
@pytest.mark.parametrize("value_loss", ["squared", "gaussian"])
@pytest.mark.parametrize(("sizes", "channels"), [((INPUTS, 4), 1), ((INPUTS, 4), 2)])
def test_symmetric_feedback_is_backpropagation(sizes, channels, value_loss, every_step):
    network = network_of(*sizes, channels=channels, value_loss=value_loss)
    spikes, targets = batch(channels, every_step)
    found, local = gradients(Local(Feedback("symmetric")), network, spikes, targets)
    expected, backprop = gradients(Backprop(), network, spikes, targets)
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-14)
    assert "correct" not in found
    for name, gradient in backprop.items():
        torch.testing.assert_close(local[name], gradient, rtol=0, atol=1e-12, msg=name)


def test_without_a_signal_only_the_readout_learns():
    network = network_of(INPUTS, 4)
    spikes, targets = batch()
    _, found = gradients(Local(NoSignal()), network, spikes, targets)
    _, expected = gradients(Backprop(), network, spikes, targets)
    for name, gradient in found.items():
        if name.startswith("readout"):
            torch.testing.assert_close(gradient, expected[name], rtol=0, atol=1e-12)
        else:
            assert gradient is None


def test_random_feedback_is_fixed_and_not_the_readouts_weight():
    network, rule = network_of(INPUTS, 4, 4), Local(Feedback("random"))
    spikes, targets = batch()
    gradients(rule, network, spikes, targets)
    drawn = {name: tensor.clone() for name, tensor in rule.state_dict().items()}
    assert {"feedback/1/weight", "feedback/readout"} == set(drawn)
    assert not torch.equal(drawn["feedback/readout"], network.readout.weight)
    gradients(rule, network, spikes, targets, seed=6)
    assert all(torch.equal(rule.state_dict()[name], tensor) for name, tensor in drawn.items())


@pytest.mark.parametrize("signal", [Reinforce(samples=2), Both(reward=Reinforce(samples=2))])
def test_rewards_follow_the_expected_loss(signal):
    """Error rate: each of 4 parameters beyond 4.5 standard errors has a chance below 1e-5."""
    if isinstance(signal, Both):  # the sum has the bias of feedback: it only has to run
        network = network_of(INPUTS, 4)
        figures, found = gradients(Local(signal), network, *batch())
        assert figures["loss"] > 0
        assert all(gradient is not None for gradient in found.values())
        return
    steps, copies, repeats = 3, 400, 40
    network = network_of(1, 1, outputs=1, trace_decay=0.5)
    inputs = torch.tensor([0.8, 0.3, 0.6], dtype=torch.float64).reshape(steps, 1, 1, 1)
    wanted = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64).reshape(steps, 1, 1)
    population, read = populations_of(network)[0], network.readout
    expected_loss = torch.zeros((), dtype=torch.float64)
    for bits in product((0.0, 1.0), repeat=steps):
        spikes = torch.tensor(bits, dtype=torch.float64).reshape(steps, 1, 1, 1)
        record, _ = population(synapses_of(network)[0](inputs), observed=spikes)
        squared = (read(spikes)[0].mean.detach() - wanted).square().mean()
        expected_loss = expected_loss + record.log_likelihood.sum().exp() * squared
    parameters = dict(network.named_parameters())
    names = [name for name in parameters if not name.startswith("readout")]
    names = [name for name in names if parameters[name].numel()]
    exact = torch.autograd.grad(expected_loss, [parameters[name] for name in names])
    found = {name: [] for name in names}
    many = inputs.expand(-1, copies, -1, -1), Targets(wanted.expand(-1, copies, -1))
    for seed in range(repeats):
        _, gradient = gradients(Local(signal), network, *many, seed=seed)
        for name in names:
            found[name].append(gradient[name])
    for name, truth in zip(names, exact, strict=True):
        drawn = torch.stack(found[name])
        error = drawn.std(0) / repeats**0.5
        assert ((drawn.mean(0) - truth).abs() <= 4.5 * error + 1e-9).all(), name


def test_online_scores_are_refused_by_name():
    spikes, targets = batch()
    with pytest.raises(ValueError, match=r"'online'.*readout of values; use score 'exact'"):
        Local(score=Online()).step(network_of(INPUTS, 4), spikes, targets, seeded(0))
