"""Strictly online: the same scores, in memory that does not grow, and what is given up for it."""

from functools import partial

import pytest
import torch
from tools import layer_of, seeded, synapses_of

from sqsnn.learning import Both, Exact, Feedback, Local, Online, Reinforce, Rule
from sqsnn.learning.feedback import paths
from sqsnn.learning.memory import Memory
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.noise import Noise
from sqsnn.readout import Targets, last_steps

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, SIZES = 5, 6, [4, 3, 3, 2]


def network(**options) -> SpikingNetwork:
    neurons = partial(SQSNeurons, **{"encoding_slope": "exact", **options})
    generator = seeded(0)
    return SpikingNetwork(SIZES, neurons=neurons, generator=generator, dtype=torch.float64)


def batch(steps: int = STEPS):
    generator = seeded(1)
    spikes = torch.rand(steps, BATCH, SIZES[0], 1, generator=generator).round().double()
    return spikes, torch.arange(BATCH) % SIZES[-1]


def online(signal, **options) -> Local:
    return Local(signal, score=Online(**options))


def gradients(rule: Rule, trained: SpikingNetwork, steps: int = STEPS, times: int = 1, report=None):
    trained.zero_grad()
    for time in range(times):
        spikes, labels = batch(steps)
        targets = Targets(labels, last_steps(steps, BATCH, report))
        figures = rule.step(trained, spikes, targets, seeded(2 + time))
    found = {n: p.grad for n, p in trained.named_parameters() if p.grad is not None and p.numel()}
    return figures, found


@pytest.mark.parametrize(
    ("horizon", "baseline"),
    [
        ("to_go", "leave_one_out"),
        ("to_go", "running"),
        ("same_step", "none"),
        ("discounted", "running"),
    ],
)
@pytest.mark.parametrize(
    ("circuit", "channels", "memory"),
    [("bidirectional", 2, 1), ("hardware_efficient", 1, 2), ("crx", 1, 0)],
)
def test_rewards_reach_hidden_neurons_as_if_time_could_run_back(
    circuit, channels, memory, horizon, baseline
):
    signal = Reinforce(samples=3, horizon=horizon, baseline=baseline)
    trained = network(circuit=circuit, channels=channels, memory_qubits=memory)
    # Twice, so that a running baseline of the first step is taken off in the second.
    figures, found = gradients(online(signal), trained, times=2)
    expected_figures, expected = gradients(Local(signal), trained, times=2)
    hidden = [name for name in expected if layer_of(trained, name) < len(SIZES) - 2]
    assert {name.split(".")[-1] for name in hidden} >= {"weight", "angles", "beta", "reset", "bias"}
    for name in hidden:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-10, atol=1e-12)
    assert figures["loss"] == pytest.approx(expected_figures["loss"], abs=1e-12)
    assert figures["correct"] == expected_figures["correct"]


@pytest.mark.parametrize("path", ["chained", "direct"])
def test_with_one_step_nothing_is_given_up(path):
    feedback = Feedback(feedback_path=path)
    for signal in (feedback, Both(feedback, Reinforce(samples=2))):
        trained, memory = network(), Memory()
        ways = paths(trained, feedback, memory, seeded(5))
        assert len(ways.direct or ways.chained) == len(SIZES) - 2
        rules = online(signal), Local(signal)
        for rule in rules:
            rule.load_state_dict(memory.tensors)
        (_, found), (_, expected) = (gradients(rule, trained, steps=1) for rule in rules)
        assert found.keys() == expected.keys()
        for parameter, gradient in expected.items():
            torch.testing.assert_close(found[parameter], gradient, rtol=1e-10, atol=1e-12)


def test_feedback_of_the_same_step_is_not_that_of_all_steps():
    signal = Feedback("symmetric")
    _, found = gradients(online(signal), network())
    _, expected = gradients(Local(signal), network())
    weights = [name for name in expected if "weight" in name]
    cosines = [
        torch.cosine_similarity(found[name].flatten(), expected[name].flatten(), dim=0)
        for name in weights
    ]
    assert all(cosine < 1 - 1e-4 for cosine in cosines)
    # Yet it points the same way where it matters most, at the outputs.
    assert cosines[-1] > 0.5


def test_a_step_knows_nothing_of_later_steps():
    """The gradients that are there after three steps are those of a sequence of three."""
    found = []

    def keep() -> None:
        found.append({n: p.grad.clone() for n, p in trained.named_parameters() if p.numel()})

    trained, shorter = network(), network()
    signal = Both(reward=Reinforce(samples=2))
    spikes, labels = batch()
    rule = online(signal, update_every_step=True)
    assert rule.updates_every_step
    rule.step(trained, spikes, labels, seeded(3), update=keep)
    assert len(found) == STEPS
    online(signal).step(shorter, spikes[:3], labels, seeded(3))
    for name, parameter in shorter.named_parameters():
        if parameter.numel():
            assert torch.equal(parameter.grad, found[2][name])


def test_weights_may_change_between_time_steps():
    trained = network(encoding_slope="exponential")
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    calls = []

    def update() -> None:
        calls.append(float(synapses_of(trained)[0].weight.grad.abs().sum()))
        optimizer.step()
        optimizer.zero_grad()

    before = [parameter.clone() for parameter in trained.parameters()]
    rule = online(Feedback("symmetric"), update_every_step=True)
    rule.step(trained, *batch(), seeded(3), update=update)
    assert len(calls) == STEPS
    assert all(total > 0 for total in calls)
    changed = [
        not torch.equal(a, b)
        for a, b in zip(before, trained.parameters(), strict=True)
        if a.numel()
    ]
    assert all(changed)


def test_nothing_changes_at_steps_that_do_not_count():
    trained, calls = network(encoding_slope="exponential"), []
    rule = online(Both(reward=Reinforce(samples=2)), update_every_step=True)
    generator = seeded(3)
    spikes, labels = batch()
    targets = Targets(labels, last_steps(STEPS, BATCH, 2))
    rule.step(trained, spikes, targets, generator, update=lambda: calls.append(None))
    assert len(calls) == 2


def test_only_the_reported_steps_count():
    rule = online(Reinforce(samples=2, horizon="same_step"))
    figures, whole = gradients(rule, network())
    last, counted = gradients(rule, network(), report=1)
    expected, _ = gradients(Local(rule.signal), network(), report=1)
    assert last["loss"] == pytest.approx(expected["loss"], abs=1e-12)
    assert last["loss"] != figures["loss"]
    assert any(not torch.equal(whole[name], counted[name]) for name in whole)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match="horizon is 'episodic', which is known at the last step"):
        online(Both(reward=Reinforce(horizon="episodic")))
    noisy = network(noise=Noise(missed_spike=0.1))
    with pytest.raises(ValueError, match="score 'online' works without noise only"):
        gradients(online(Feedback()), noisy)


@pytest.mark.parametrize("score", [Exact(), Online()])
def test_an_update_goes_with_weights_that_change_every_step(score):
    with pytest.raises(ValueError, match="update is given and score is"):
        Local(score=score).step(network(), *batch(), seeded(0), update=lambda: None)
    with pytest.raises(ValueError, match="update is missing and score is Online"):
        Local(score=Online(True)).step(network(), *batch(), seeded(0))
