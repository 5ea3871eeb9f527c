"""The loop: what it draws, steps, keeps and refuses, whatever the rule is."""

import itertools
import math

import pytest
import torch
from tools import populations_of, small_run

from sqsnn.data.dataset import Samples
from sqsnn.errors import TrainingError
from sqsnn.learning.bit_source import SimulatedBits
from sqsnn.settings.neurons import POPULATIONS
from sqsnn.training import trainer
from sqsnn.training.callback import Callback
from sqsnn.training.evaluate import Accuracy

FEATURES, CLASSES = 6, 3


def samples(number: int) -> Samples:
    """Samples whose first value, times 1000, is their index."""
    generator = torch.Generator().manual_seed(5)
    values = torch.rand(number, FEATURES, generator=generator)
    values[:, 0] = torch.arange(number) / 1000
    return Samples(values, torch.arange(number) % CLASSES)


class SpyRule:
    """Remembers what it was given; gives losses and gradients from a list."""

    def __init__(self, losses=None, gradients=None):
        self.losses = iter(losses or itertools.repeat(1.0))
        self.gradients = iter(gradients or itertools.repeat(0.0))
        self.spikes, self.targets, self.drawn, self.masks = [], [], [], []

    def check(self, network):
        """Accept every network."""

    def step(self, network, spikes, targets, generator):
        self.masks.append(targets.mask)
        self.spikes.append(spikes)
        self.targets.append(targets.values)
        self.drawn.append(float(torch.rand((), generator=generator)))
        gradient = next(self.gradients)
        for parameter in network.parameters():
            assert parameter.grad is None  # a rule adds to what is there
            parameter.grad = torch.full_like(parameter, gradient)
        return {"loss": next(self.losses), "correct": 1.0, "extra": 2.0, "shots": 3}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        assert not state

    def fresh(self):
        return self


@pytest.fixture
def spy(monkeypatch):
    """Put a spy in the place of the rule."""

    def put(**answers):
        rule = SpyRule(**answers)
        monkeypatch.setattr(trainer, "fresh_rule", lambda recipe, source: rule)
        return rule

    return put


class Steps(Callback):
    """Keeps every step."""

    def __init__(self):
        self.seen = []

    def step(self, step):
        self.seen.append(step)


def train(recipe, train, validation=None, callbacks=()):
    progress = trainer.start(recipe, FEATURES, CLASSES, len(train.targets))
    return progress, list(trainer.epochs(progress, recipe, train, validation, callbacks))


def test_training_learns():
    data = samples(90)
    data.values[:, 1:] = torch.nn.functional.one_hot(data.targets, FEATURES - 1)
    _, epochs = train(small_run(epochs=15, batch_size=90, learning_rate=0.1), data)
    assert epochs[-1].metrics["train_loss"] < 0.5 * epochs[0].metrics["train_loss"]
    assert epochs[-1].metrics["train_accuracy"] > 0.8


def test_the_same_seed_gives_the_same_figures_and_another_seed_others():
    data = samples(50)
    runs = [train(small_run(seed=seed, epochs=2), data, data) for seed in (1, 1, 2)]
    first, same, other = [[epoch.metrics for epoch in epochs] for _, epochs in runs]
    assert first == same
    assert first != other
    weights = [progress.network.state_dict() for progress, _ in runs]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_every_epoch_sees_every_sample_once_in_an_order_of_its_own(spy):
    rule = spy()
    # Directly encoded, the first value tells which sample it is.
    train(small_run(epochs=2, batch_size=16, encoding="current"), samples(50))
    assert [len(labels) for labels in rule.targets] == [16, 16, 16, 2] * 2
    seen = [(spikes[0, :, 0, 0] * 1000).round().long() for spikes in rule.spikes]
    for indices, labels in zip(seen, rule.targets, strict=True):
        assert torch.equal(indices % CLASSES, labels)
    orders = torch.cat(seen[:4]), torch.cat(seen[4:])
    for order in orders:
        assert sorted(order.tolist()) == list(range(50))
        assert order.tolist() != sorted(order.tolist())
    assert not torch.equal(*orders)


def test_the_rule_gets_the_report_window(spy):
    rule = spy()
    train(small_run(epochs=1, batch_size=40, report_steps=2), samples(40))
    train(small_run(epochs=1, batch_size=40), samples(40))
    assert rule.masks[0].T.tolist() == [[0, 0, 1, 1]] * 40
    assert rule.masks[1] is None


def test_validation_scores_the_last_steps_alone(spy):
    spy()
    data = samples(40)
    spikes = []
    for report_steps in (1, None):
        progress, _ = train(small_run(epochs=1, report_steps=report_steps), data, data)
        assert progress.best is not None
        spikes.append(progress.best.figures["validation_loss"])
    assert spikes[0] != spikes[1]


def test_every_batch_and_epoch_draws_afresh(spy):
    rule = spy()
    train(small_run(epochs=2, batch_size=16), samples(50))
    assert len(set(rule.drawn)) == 8


def test_figures_are_means_over_samples_not_batches(spy):
    spy(losses=[1.0, 1.0, 1.0, 51.0])
    steps = Steps()
    _, (epoch,) = train(small_run(epochs=1, batch_size=16), samples(50), callbacks=[steps])
    assert epoch.metrics["epoch"] == 1
    assert epoch.metrics["train_loss"] == pytest.approx((48 * 1.0 + 2 * 51.0) / 50)
    assert epoch.metrics["train_accuracy"] == pytest.approx(4 / 50)
    assert epoch.metrics["train_extra"] == 2.0  # a rule's own figures come along
    assert epoch.metrics["train_shots"] == 4 * 3  # what is counted is summed
    assert steps.seen[-1][1:4] == (4, 4, 51.0)
    assert steps.seen[0].accuracy == 1 / 16
    assert epoch.seconds > 0


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_training_with_its_place(spy, loss):
    spy(losses=[1.0] * 6 + [loss])
    with pytest.raises(TrainingError, match=f"the loss is {loss} in epoch 2, batch 3 of 4"):
        train(small_run(batch_size=16), samples(50))


def test_a_gradient_that_is_not_finite_ends_training_with_its_place(spy):
    spy(gradients=[0.0, math.inf])
    with pytest.raises(TrainingError, match="the gradient has norm inf in epoch 1, batch 2 of 4"):
        train(small_run(batch_size=16), samples(50))


def test_gradients_are_clipped_and_their_norm_before_is_recorded(spy, monkeypatch):
    spy(gradients=itertools.repeat(100.0))
    clipped = []

    def step(self):
        gradients = [it.grad for group in self.param_groups for it in group["params"]]
        clipped.append(math.sqrt(sum(float(it.square().sum()) for it in gradients)))

    monkeypatch.setattr(trainer.Adam, "step", step)
    progress, (epoch,) = train(small_run(epochs=1, batch_size=50), samples(50))
    number = sum(parameter.numel() for parameter in progress.network.parameters())
    assert epoch.metrics["gradient_norm"] == pytest.approx(100 * math.sqrt(number))
    assert clipped == pytest.approx([5], rel=1e-3)


def test_the_schedule_rises_to_one_rate_and_ends_at_the_other(spy):
    spy()
    settings = small_run(epochs=20, batch_size=25, learning_rate=0.02, final_learning_rate=3e-5)
    _, epochs = train(settings, samples(50))
    rates = [epoch.metrics["learning_rate"] for epoch in epochs]
    assert max(rates) == pytest.approx(0.02, rel=0.01)
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] == pytest.approx(3e-5)


def test_the_shortest_training_has_a_schedule(spy):
    spy()
    _, (epoch,) = train(small_run(epochs=1, batch_size=50), samples(50))
    assert math.isfinite(epoch.metrics["learning_rate"])


def test_online_weights_may_change_after_every_time_step(monkeypatch):
    steps = []
    monkeypatch.setattr(trainer.Adam, "step", lambda self, *args: steps.append(self))
    for every_step, expected in ((True, 4 * 4), (False, 4)):
        steps.clear()
        online = {"rule": "local", "score": "online", "update_every_step": every_step}
        _, (epoch,) = train(small_run(epochs=1, batch_size=16, **online), samples(50))
        assert len(steps) == expected
        assert math.isfinite(epoch.metrics["gradient_norm"])


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"rule": "local", "signal": "both", "baseline": "running"},
        {"rule": "local", "score": "measured"},
    ],
    ids=str,
)
def test_training_that_stops_and_goes_on_is_training_that_never_stopped(chosen):
    recipe, data = small_run(epochs=3, **chosen), samples(50)
    whole, figures = train(recipe, data, data)
    parts = trainer.start(recipe, FEATURES, CLASSES, 50)
    first = next(trainer.epochs(parts, recipe, data, data))
    later = list(trainer.epochs(parts, recipe, data, data))
    assert [it.metrics for it in (first, *later)] == [it.metrics for it in figures]
    state = parts.network.state_dict()
    assert all(torch.equal(state[name], it) for name, it in whole.network.state_dict().items())
    assert list(trainer.epochs(parts, recipe, data, data)) == []


@pytest.mark.parametrize(
    ("kind", "signal"),
    [
        *((kind, "feedback") for kind in POPULATIONS),
        ("stochastic_lif", "reinforce"),
        ("published_sqs", "both"),
    ],
)
def test_the_local_rule_trains_every_kind_of_neurons(kind, signal):
    data = samples(80)
    recipe = small_run(neurons=kind, rule="local", signal=signal, epochs=1)
    progress, (epoch,) = train(recipe, data, data)
    is_stochastic = populations_of(progress.network)[0].is_stochastic
    assert epoch.metrics["gradient_norm"] > 0
    # What is certain to happen has likelihood 1.
    assert (epoch.metrics["train_log_likelihood"] == 0) == (not is_stochastic)
    if not is_stochastic:
        # The probability is the spike: summed, both say the same.
        figures = epoch.metrics
        by_count = figures["validation_accuracy_ties_by_probability"]
        assert by_count == figures["validation_accuracy_probability"]


def test_every_training_starts_with_a_fresh_rule():
    recipe = small_run(epochs=1, rule="local")
    one, two = (train(recipe, samples(40))[0].rule for _ in range(2))
    assert one is not two
    assert one is not recipe.rule
    assert not recipe.rule.state_dict()
    assert one.state_dict()


def test_a_source_measures_all_spikes():
    source, data = SimulatedBits(), samples(40)
    recipe = small_run(epochs=1, rule="local", score="measured")
    progress = trainer.start(recipe, FEATURES, CLASSES, 40, source)
    assert progress.rule.score.source is source
    (epoch,) = trainer.epochs(progress, recipe, data, data)
    assert epoch.metrics["validation_accuracy_probability"] is None
    assert recipe.rule.score.source is None


def given_accuracies(monkeypatch, accuracies, losses=None):
    """Let validation find these accuracies, by spikes alone and by probability, and losses."""
    found, lost = iter(accuracies), iter(losses or itertools.repeat(1.0))
    # With ties by probability the last epoch would always be the best.
    better = itertools.count(1)

    def accuracy(scores, labels):
        by_spikes, by_probability = next(found)
        return Accuracy(by_spikes, next(better) / 10, by_probability)

    monkeypatch.setattr(trainer.evaluate, "loss", lambda scores, labels: next(lost))
    monkeypatch.setattr(trainer.evaluate, "accuracy", accuracy)


def test_the_best_is_by_spikes_alone_then_by_probability_then_by_loss(monkeypatch):
    given_accuracies(
        monkeypatch,
        [(0.5, 0.9), (0.6, 0.7), (0.6, 0.8), (0.6, 0.8), (0.6, 0.8), (0.4, 1.0)],
        [0.1, 0.2, 0.5, 0.4, 0.4, 0.1],
    )
    settings, data = small_run(epochs=6), samples(40)
    progress = trainer.start(settings, FEATURES, CLASSES, 40)
    kept = {}
    for epoch in trainer.epochs(progress, settings, data, data):
        state = progress.network.state_dict()
        kept[epoch.metrics["epoch"]] = {name: value.clone() for name, value in state.items()}
    assert progress.best is not None
    assert progress.best.epoch == 4  # of equals the earliest
    assert progress.best.figures == {
        "validation_loss": 0.4,
        "validation_accuracy": 0.6,
        "validation_accuracy_ties_by_probability": 0.4,
        "validation_accuracy_probability": 0.8,
    }
    for name, value in progress.best.weights.items():
        assert torch.equal(value, kept[4][name])  # and not what training made of it later


def test_measured_spikes_rank_without_a_probability(monkeypatch):
    given_accuracies(monkeypatch, [(0.5, None), (0.6, None), (0.6, None)], [0.3, 0.3, 0.2])
    progress, _ = train(small_run(epochs=3), samples(40), samples(40))
    assert progress.best is not None
    assert progress.best.epoch == 3


def test_without_validation_there_is_no_best_and_no_early_end(spy):
    spy()
    progress, epochs = train(small_run(epochs=4, patience=1), samples(40))
    assert progress.best is None
    assert len(epochs) == 4
    assert not any(name.startswith("validation") for name in epochs[0].metrics)


def test_patience_ends_training(monkeypatch):
    given_accuracies(monkeypatch, [(0.5, 0.5), (0.6, 0.5), (0.6, 0.4), (0.6, 0.5), (0.9, 0.9)])
    data = samples(40)
    progress, epochs = train(small_run(epochs=9, patience=2), data, data)
    assert len(epochs) == 4
    assert trainer.is_done(progress, small_run(epochs=9, patience=2).training)
    assert progress.best is not None
    assert progress.best.epoch == 2


def test_validation_reports_its_figures_by_name():
    data = samples(40)
    _, (epoch,) = train(small_run(epochs=1), data, data)
    figures = {"loss", "accuracy", "accuracy_ties_by_probability", "accuracy_probability"}
    assert {f"validation_{name}" for name in figures} < epoch.metrics.keys()
    assert len(epoch.metrics["spikes_per_sample"]) == 2


def test_samples_are_put_in_the_precision_of_the_network(spy):
    rule = spy()
    train(small_run(epochs=1, dtype="float64"), samples(40))
    assert {spikes.dtype for spikes in rule.spikes} == {torch.float64}
