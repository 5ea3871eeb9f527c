"""The loop: what it draws, steps, keeps and refuses, whatever the rule is."""

import itertools
import math

import pytest
import torch

from sqsnn.data.catalog import Samples
from sqsnn.errors import ConfigError, TrainingError
from sqsnn.training import trainer
from sqsnn.training.config import ReadoutConfig
from sqsnn.training.rule_config import RuleConfig

FEATURES, CLASSES = 6, 3


def samples(number: int) -> Samples:
    """Samples whose first value, times 1000, is their index."""
    generator = torch.Generator().manual_seed(5)
    values = torch.rand(number, FEATURES, generator=generator)
    values[:, 0] = torch.arange(number) / 1000
    return Samples(values, torch.arange(number) % CLASSES)


class SpyRule:
    """Remembers what it was given; gives the losses and gradients that it was told to."""

    def __init__(self, losses=None, gradients=None):
        self.losses = iter(losses or itertools.repeat(1.0))
        self.gradients = iter(gradients or itertools.repeat(0.0))
        self.spikes, self.labels, self.drawn = [], [], []

    def step(self, network, spikes, labels, generator):
        self.spikes.append(spikes)
        self.labels.append(labels)
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


@pytest.fixture
def spy(monkeypatch):
    """Put a spy in the place of the rule."""

    def put(**answers):
        rule = SpyRule(**answers)
        monkeypatch.setattr(trainer, "build_rule", lambda recipe, source: rule)
        return rule

    return put


def train(recipe, train, validation=None, watch=lambda step: None):
    progress = trainer.start(recipe, FEATURES, CLASSES, len(train.labels))
    return progress, list(trainer.epochs(progress, recipe, train, validation, watch))


def test_training_learns(recipe):
    data = samples(90)
    data.values[:, 1:] = torch.nn.functional.one_hot(data.labels, FEATURES - 1)
    _, epochs = train(recipe(epochs=15, batch_size=90, learning_rate=0.1), data)
    assert epochs[-1].metrics["train_loss"] < 0.5 * epochs[0].metrics["train_loss"]
    assert epochs[-1].metrics["train_accuracy"] > 0.8


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(recipe):
    data = samples(50)
    runs = [train(recipe(seed=seed, epochs=2), data, data) for seed in (1, 1, 2)]
    first, same, other = [[epoch.metrics for epoch in epochs] for _, epochs in runs]
    assert first == same
    assert first != other
    weights = [progress.network.state_dict() for progress, _ in runs]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_every_epoch_sees_every_sample_once_in_an_order_of_its_own(recipe, spy):
    rule = spy()
    # Directly encoded, the first value tells which sample it is.
    settings = recipe(epochs=2, batch_size=16)
    settings = settings.model_copy(
        update={"encoding": settings.encoding.model_copy(update={"encoding": "direct"})}
    )
    train(settings, samples(50))
    assert [len(labels) for labels in rule.labels] == [16, 16, 16, 2] * 2
    seen = [(spikes[0, :, 0, 0] * 1000).round().long() for spikes in rule.spikes]
    for indices, labels in zip(seen, rule.labels, strict=True):
        assert torch.equal(indices % CLASSES, labels)
    orders = torch.cat(seen[:4]), torch.cat(seen[4:])
    for order in orders:
        assert sorted(order.tolist()) == list(range(50))
        assert order.tolist() != sorted(order.tolist())
    assert not torch.equal(*orders)


def test_validation_looks_at_the_last_steps_alone(recipe, spy, monkeypatch):
    spy()
    asked = []
    score = trainer.evaluate.score

    def told(*args, **options):
        asked.append(options["report_steps"])
        return score(*args, **options)

    monkeypatch.setattr(trainer.evaluate, "score", told)
    settings = recipe(epochs=1).model_copy(update={"readout": ReadoutConfig(report_steps=2)})
    train(settings, samples(40), samples(40))
    assert asked == [2]


def test_every_batch_and_epoch_draws_afresh(recipe, spy):
    rule = spy()
    train(recipe(epochs=2, batch_size=16), samples(50))
    assert len(set(rule.drawn)) == 8


def test_compiling_drops_the_ragged_batch(recipe, spy):
    rule = spy()
    settings = recipe(epochs=1, batch_size=16, compile=True)
    train(settings, samples(50))
    assert [len(labels) for labels in rule.labels] == [16, 16, 16]


def test_compiling_refuses_to_drop_everything(recipe):
    with pytest.raises(ConfigError, match=r"batch_size must be at most .* 50, but is 64"):
        trainer.start(recipe(batch_size=64, compile=True), FEATURES, CLASSES, 50)


def test_figures_are_means_over_samples_not_batches(recipe, spy):
    spy(losses=[1.0, 1.0, 1.0, 51.0])
    steps = []
    _, (epoch,) = train(recipe(epochs=1, batch_size=16), samples(50), watch=steps.append)
    assert epoch.metrics["epoch"] == 1
    assert epoch.metrics["train_loss"] == pytest.approx((48 * 1.0 + 2 * 51.0) / 50)
    assert epoch.metrics["train_accuracy"] == pytest.approx(4 / 50)
    assert epoch.metrics["train_extra"] == 2.0  # a rule's own figures come along
    assert epoch.metrics["train_shots"] == 4 * 3  # what is counted is summed
    assert [(step.batch, step.batches, step.loss) for step in steps][-1] == (4, 4, 51.0)
    assert steps[0].correct == 1 / 16
    assert epoch.timing.first_step == steps[0].seconds
    assert epoch.timing.seconds >= sum(step.seconds for step in steps)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_training_with_its_place(recipe, spy, loss):
    spy(losses=[1.0] * 6 + [loss])
    with pytest.raises(TrainingError, match=f"the loss is {loss} in epoch 2, batch 3 of 4"):
        train(recipe(batch_size=16), samples(50))


def test_a_gradient_that_is_not_finite_ends_training_with_its_place(recipe, spy):
    spy(gradients=[0.0, math.inf])
    with pytest.raises(TrainingError, match="the gradient has norm inf in epoch 1, batch 2 of 4"):
        train(recipe(batch_size=16), samples(50))


def test_gradients_are_clipped_and_their_norm_is_told_as_it_was(recipe, spy):
    spy(gradients=itertools.repeat(100.0))
    progress, (epoch,) = train(recipe(epochs=1, batch_size=50), samples(50))
    gradients = [parameter.grad for parameter in progress.network.parameters()]
    number = sum(gradient.numel() for gradient in gradients)
    assert epoch.metrics["gradient_norm"] == pytest.approx(100 * math.sqrt(number))
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    assert norm == pytest.approx(5, rel=1e-3)


def test_the_schedule_rises_to_one_rate_and_ends_at_the_other(recipe, spy):
    spy()
    settings = recipe(epochs=20, batch_size=25, learning_rate=0.02, final_learning_rate=3e-5)
    _, epochs = train(settings, samples(50))
    rates = [epoch.metrics["learning_rate"] for epoch in epochs]
    assert max(rates) == pytest.approx(0.02, rel=0.01)
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] == pytest.approx(3e-5)


def test_the_shortest_training_has_a_schedule(recipe, spy):
    spy()
    _, (epoch,) = train(recipe(epochs=1, batch_size=50), samples(50))
    assert math.isfinite(epoch.metrics["learning_rate"])


def test_online_weights_may_change_after_every_time_step(recipe, monkeypatch):
    steps = []
    monkeypatch.setattr(trainer.Adam, "step", lambda self, *args: steps.append(self))
    settings = recipe(epochs=1, batch_size=16)
    for every_step, expected in ((True, 4 * settings.encoding.steps), (False, 4)):
        steps.clear()
        rule = RuleConfig(rule="local", score="online", update_every_step=every_step)
        _, (epoch,) = train(settings.model_copy(update={"rule": rule}), samples(50))
        assert len(steps) == expected
        assert math.isfinite(epoch.metrics["gradient_norm"])


def given_accuracies(monkeypatch, accuracies, losses=()):
    answers, said = iter(accuracies), iter(losses or itertools.repeat(1.0))
    monkeypatch.setattr(trainer.evaluate, "loss", lambda scores, labels: next(said))
    monkeypatch.setattr(
        trainer.evaluate,
        "accuracy",
        lambda scores, labels: trainer.evaluate.Accuracy(*next(answers)),
    )


def test_the_best_is_by_count_then_by_probability_then_by_loss(recipe, monkeypatch):
    given_accuracies(
        monkeypatch,
        [(0.5, 0.9), (0.6, 0.7), (0.6, 0.8), (0.6, 0.8), (0.6, 0.8), (0.4, 1.0)],
        [0.1, 0.2, 0.5, 0.4, 0.4, 0.1],
    )
    settings, data = recipe(epochs=6), samples(40)
    progress = trainer.start(settings, FEATURES, CLASSES, 40)
    kept = {}
    for epoch in trainer.epochs(progress, settings, data, data):
        state = progress.network.state_dict()
        kept[epoch.metrics["epoch"]] = {name: value.clone() for name, value in state.items()}
    assert progress.best is not None
    assert progress.best.epoch == 4  # of equals the earliest
    assert progress.best[1:3] == ((0.6, 0.8), 0.4)
    for name, value in progress.best.weights.items():
        assert torch.equal(value, kept[4][name])  # and not what training made of it later


def test_patience_ends_training(recipe, monkeypatch):
    given_accuracies(monkeypatch, [(0.5, 0.5), (0.6, 0.5), (0.6, 0.4), (0.6, 0.5), (0.9, 0.9)])
    data = samples(40)
    progress, epochs = train(recipe(epochs=9, patience=2), data, data)
    assert len(epochs) == 4
    assert trainer.is_done(progress, recipe(epochs=9, patience=2).training)
    assert progress.best is not None
    assert progress.best.epoch == 2


def test_samples_are_put_in_the_precision_of_the_network(recipe, spy):
    rule = spy()
    train(recipe(epochs=1, dtype="float64"), samples(40))
    assert {spikes.dtype for spikes in rule.spikes} == {torch.float64}
