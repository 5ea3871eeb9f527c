"""Learning signals: losses that telescope, horizons, baselines, feedback, and what is refused."""

import math
from functools import partial

import pytest
import torch
from tools import seeded
from torch import Tensor
from torch.nn import functional

from sqsnn.learning import memory, signals
from sqsnn.learning.memory import Memory
from sqsnn.learning.signals import Both, Feedback, NoSignal, Reinforce
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.readout import Targets, last_steps

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, CLASSES = 5, 8, 3


def some_labels() -> Tensor:
    return torch.arange(BATCH) % CLASSES


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def outputs(channels: int = 2) -> Tensor:
    """Probabilities, (T, B, classes, N)."""
    shape = (STEPS, BATCH, CLASSES, channels)
    return torch.rand(shape, generator=seeded(1), dtype=torch.float64)


def network_of(*sizes: int, channels: int = 1) -> SpikingNetwork:
    neurons = partial(SQSNeurons, channels=channels)
    return SpikingNetwork(sizes, neurons=neurons, generator=seeded(0), dtype=torch.float64)


# The loss


@pytest.mark.parametrize("report_steps", [None, 1, 3, STEPS])
def test_increments_telescope_to_the_loss_minus_that_of_no_spike(report_steps):
    p = outputs()
    scores = signals.running_scores(p, last_steps(STEPS, BATCH, report_steps))
    increments = signals.increments(scores, some_labels())
    first = 0 if report_steps is None else STEPS - report_steps
    total = functional.cross_entropy(p[first:].sum(dim=(0, 3)), some_labels(), reduction="none")
    expected = total - math.log(CLASSES)
    torch.testing.assert_close(increments.sum(0), expected, rtol=0, atol=1e-13)
    assert not increments[:first].any()  # what is not reported costs nothing
    for t in range(STEPS):  # and so does every partial sum
        seen = p[first : t + 1].sum(dim=(0, 3))
        so_far = functional.cross_entropy(seen, some_labels(), reduction="none") - math.log(CLASSES)
        torch.testing.assert_close(increments[: t + 1].sum(0), so_far, rtol=0, atol=1e-13)


@pytest.mark.parametrize("report_steps", [None, 2])
def test_the_error_is_the_losss_derivative_by_each_probability(report_steps):
    p = outputs().requires_grad_()
    mask = last_steps(STEPS, BATCH, report_steps)
    scores = signals.running_scores(p, mask)
    loss = functional.cross_entropy(scores[-1], some_labels())
    (expected,) = torch.autograd.grad(loss, p)
    error = signals.error_per_step(scores[-1].detach(), Targets(some_labels(), mask), STEPS)
    torch.testing.assert_close(error[..., None].expand_as(expected), expected, rtol=0, atol=1e-15)


def test_the_error_of_running_scores_is_that_of_each_step():
    scores = signals.running_scores(outputs(), None)
    running = signals.error(scores, Targets(some_labels()))
    for t in range(STEPS):
        assert torch.equal(running[t], signals.error(scores[t], Targets(some_labels())))


# Horizons


@pytest.mark.parametrize("horizon", ["to_go", "same_step", "discounted", "episodic"])
def test_a_spike_answers_for_the_losses_of_its_horizon(horizon):
    discount = 0.7
    options = {"discount": discount} if horizon == "discounted" else {}
    signal = Reinforce(horizon=horizon, baseline="none", **options)
    steps = normal(STEPS, BATCH)
    found = signals.advantages(steps, some_labels(), signal, Memory(), seeded())
    factor = {"to_go": 1.0, "same_step": 0.0, "discounted": discount, "episodic": 1.0}[horizon]
    for t in range(STEPS):
        hidden = torch.zeros(BATCH, dtype=torch.float64)
        output = torch.zeros(BATCH, dtype=torch.float64)
        for later in range(STEPS):
            if horizon == "episodic" or later >= t:
                hidden += factor ** abs(later - t) * steps[later]
            # The loss of a step is of probabilities that its own output spikes have not changed.
            if horizon == "episodic" or later > t:
                output += factor ** abs(later - t) * steps[later]
        torch.testing.assert_close(found.hidden[t], hidden, rtol=0, atol=1e-13)
        torch.testing.assert_close(found.output[t], output, rtol=0, atol=1e-13)


# Baselines


@pytest.mark.parametrize("horizon", ["to_go", "same_step", "discounted", "episodic"])
@pytest.mark.parametrize("samples", [2, 4])
def test_leave_one_out_is_the_deviation_from_the_mean_of_the_others(samples, horizon):
    # The batch holds all samples once, then once more, and so on.
    steps, labels = normal(STEPS, samples * BATCH), some_labels().repeat(samples)
    options = {"horizon": horizon, "samples": samples}
    plain = signals.advantages(
        steps, labels, Reinforce(baseline="none", **options), Memory(), seeded()
    )
    found = signals.advantages(steps, labels, Reinforce(**options), Memory(), seeded())
    for losses, advantage in zip(plain, found, strict=True):
        for b in range(BATCH):
            own = losses[:, b::BATCH]  # (T, S): the runs of sample b
            expected = (own - own.mean(1, keepdim=True)) * samples / (samples - 1)
            torch.testing.assert_close(advantage[:, b::BATCH], expected, rtol=0, atol=1e-13)


def test_the_running_baseline_is_the_one_before_the_batch_of_each_class_and_step():
    signal = Reinforce(baseline="running", samples=1, horizon="same_step")
    state, rate = Memory(), memory.BASELINE_RATE
    mean: dict[tuple[int, int], float] = {}  # what should be remembered
    batches = [
        torch.tensor([0, 0, 1]),
        torch.tensor([2, 1, 1, 0]),
        torch.tensor([1]),
        torch.tensor([0, 2, 2, 2, 1]),
    ]
    for seed, labels in enumerate(batches):
        steps = normal(STEPS, len(labels), seed=seed)
        found = signals.advantages(steps, labels, signal, state, seeded()).hidden
        for t in range(STEPS):
            for b, label in enumerate(labels.tolist()):
                known = mean.get((t, label), 0.0)  # none yet: nothing is taken off
                assert found[t, b].item() == pytest.approx(steps[t, b].item() - known, abs=1e-13)
            for label in set(labels.tolist()):
                newest = steps[t, labels == label].mean().item()
                before = mean.get((t, label), newest)
                mean[t, label] = before + rate * (newest - before)
    remembered = state.tensors["baseline"]
    assert remembered.shape == (STEPS, CLASSES)
    for (t, label), value in mean.items():
        assert remembered[t, label].item() == pytest.approx(value, abs=1e-13)


def test_the_running_baseline_of_the_outputs_is_their_later_losses_own():
    # An output answers for the losses after its step, and its baseline must be of those too.
    signal = Reinforce(baseline="running", samples=1)
    state, labels = Memory(), torch.zeros(BATCH, dtype=torch.int64)
    steps = normal(STEPS, BATCH)
    signals.advantages(steps, labels, signal, state, seeded())
    again = signals.advantages(steps, labels, signal, state, seeded())
    to_go = torch.stack([steps[t:].sum(0) for t in range(STEPS)])
    later = torch.stack([steps[t + 1 :].sum(0) for t in range(STEPS)])
    for found, losses in ((again.hidden, to_go), (again.output, later)):
        expected = losses - losses.mean(1, keepdim=True)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_running_baselines_of_other_names_are_others():
    signal, state = Reinforce(baseline="running", samples=1), Memory()
    one, other = normal(STEPS, BATCH, seed=1), normal(STEPS, BATCH, seed=2)
    assert torch.equal(
        signals.without_baseline(one, some_labels(), signal, state, seeded(), "one"), one
    )
    assert torch.equal(
        signals.without_baseline(other, some_labels(), signal, state, seeded(), "other"), other
    )
    assert not torch.equal(
        signals.without_baseline(one, some_labels(), signal, state, seeded(), "one"), one
    )
    assert state.tensors.keys() == {"one", "other"}


def test_a_running_baseline_of_other_steps_is_refused():
    signal, state = Reinforce(baseline="running", samples=1), Memory()
    signals.without_baseline(normal(4, BATCH), some_labels(), signal, state, seeded())
    with pytest.raises(ValueError, match="baseline has 4 steps, but these samples have 3"):
        signals.without_baseline(normal(3, BATCH), some_labels(), signal, state, seeded())


# Refusals


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Feedback, {"feedback": "unknown"}, "feedback: .*'unknown'"),
        (Feedback, {"feedback_path": "unknown"}, "feedback_path: .*'unknown'"),
        (Reinforce, {"baseline": "unknown"}, "baseline: .*'unknown'"),
        (Reinforce, {"horizon": "unknown"}, "horizon: .*'unknown'"),
        (Reinforce, {"samples": 0}, "samples: .*greater than or equal to 1, but is 0"),
        (
            Feedback,
            {"feedback": "symmetric", "feedback_path": "direct"},
            "'direct' needs feedback 'random'",
        ),
        (Reinforce, {"samples": 1}, "samples is 1.*'leave_one_out'"),
        (Reinforce, {"horizon": "discounted", "discount": -0.1}, r"discount: .*but is -0\.1"),
        (Reinforce, {"horizon": "discounted", "discount": 1.1}, r"discount: .*but is 1\.1"),
        (Reinforce, {"horizon": "discounted", "discount": math.nan}, "discount: .*but is nan"),
        (Reinforce, {"discount": 0.5}, "discount is 0.5, but only horizon 'discounted' uses it"),
        (Both, {"reward_weight": 0}, "reward_weight: .*greater than 0"),
        (Both, {"reward_weight": math.inf}, "reward_weight: .*finite"),
        (NoSignal, {"samples": 2}, "samples"),
    ],
)
def test_options_that_do_not_fit_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_one_run_is_enough_without_a_comparison():
    assert Feedback().runs == NoSignal().runs == 1
    assert Reinforce(samples=1, baseline="running").runs == 1
    assert Reinforce(samples=1, baseline="none").runs == 1
    assert Reinforce().runs == Both().runs == 4
    assert Both(reward=Reinforce(samples=2)).runs == 2


def test_a_signal_names_its_parts():
    assert (Feedback().by_feedback, Feedback().by_score) == (Feedback(), None)
    assert (Reinforce().by_feedback, Reinforce().by_score) == (None, Reinforce())
    assert (NoSignal().by_feedback, NoSignal().by_score) == (None, None)
    both = Both(Feedback("symmetric"), Reinforce(samples=2), 0.3)
    assert (both.by_feedback, both.by_score) == (Feedback("symmetric"), Reinforce(samples=2))
    assert both.score_weight == 0.3
    assert Reinforce().score_weight == 1
