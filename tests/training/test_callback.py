"""Callbacks hear of every step and epoch in order, and may end a training."""

import pytest
import torch
from tools import small_run, synapses_of

from sqsnn.data.catalog import Samples
from sqsnn.training import trainer
from sqsnn.training.callback import Callback, following
from sqsnn.training.progress import Progress

FEATURES, CLASSES, NUMBER = 4, 3, 20


def samples() -> Samples:
    values = torch.rand(NUMBER, FEATURES, generator=torch.Generator().manual_seed(0))
    return Samples(values, torch.arange(NUMBER) % CLASSES)


def start(recipe) -> Progress:
    return trainer.start(recipe, FEATURES, CLASSES, NUMBER)


class Diary(Callback):
    """Writes down what it hears; ends the training after an epoch."""

    def __init__(self, end: int | None = None) -> None:
        self.end, self.lines = end, []

    def begin(self, progress, recipe):
        self.lines.append(("begin", progress.epoch, recipe.training.epochs))

    def step(self, step):
        self.lines.append(("step", step.epoch, step.batch))

    def epoch(self, epoch, progress):
        self.lines.append(("epoch", epoch.metrics["epoch"], progress.epoch))
        return progress.epoch == self.end

    def finish(self, progress):
        self.lines.append(("finish", progress.epoch))


def test_a_callback_hears_of_everything_in_order():
    diary, recipe = Diary(), small_run(epochs=2, batch_size=10)
    list(trainer.epochs(start(recipe), recipe, samples(), None, [diary]))
    assert diary.lines == [
        ("begin", 0, 2),
        *[("step", 1, 1), ("step", 1, 2), ("epoch", 1, 1)],
        *[("step", 2, 1), ("step", 2, 2), ("epoch", 2, 2)],
        ("finish", 2),
    ]


def test_a_callback_that_overrides_nothing_changes_nothing():
    recipe = small_run(epochs=2)
    plain, followed = (
        [e.metrics for e in trainer.epochs(start(recipe), recipe, samples(), None, callbacks)]
        for callbacks in ((), [Callback()])
    )
    assert plain == followed


def test_a_callback_ends_a_training_and_all_others_hear_of_it():
    first, second, recipe = Diary(end=2), Diary(), small_run(epochs=9, batch_size=NUMBER)
    progress = start(recipe)
    assert len(list(trainer.epochs(progress, recipe, samples(), None, [first, second]))) == 2
    assert progress.epoch == 2
    assert first.lines == second.lines
    assert second.lines[-2:] == [("epoch", 2, 2), ("finish", 2)]


def test_an_epoch_is_heard_of_once_the_caller_has_saved_it():
    diary, recipe = Diary(), small_run(epochs=1)
    running = trainer.epochs(start(recipe), recipe, samples(), None, [diary])
    next(running)
    assert diary.lines[-1][0] == "step"
    assert next(running, None) is None
    assert diary.lines[-2:] == [("epoch", 1, 1), ("finish", 1)]


def test_the_weights_are_in_reach():
    class Freeze(Callback):
        def begin(self, progress, recipe):
            for parameter in progress.network.parameters():
                parameter.requires_grad_(False)
            self.first = synapses_of(progress.network)[0].weight
            self.first.requires_grad_(True)
            self.before = {n: t.clone() for n, t in progress.network.state_dict().items()}

        def finish(self, progress):
            after = progress.network.state_dict()
            self.changed = {n for n, t in self.before.items() if not torch.equal(t, after[n])}

    freeze, recipe = Freeze(), small_run(epochs=1)
    list(trainer.epochs(start(recipe), recipe, samples(), None, [freeze]))
    assert freeze.changed == {"pathways.0.synapses.weight"}


@pytest.mark.parametrize(
    ("callbacks", "said"),
    [
        (Diary(), "callbacks must be a sequence of sqsnn.Callback, but is <"),
        ([Diary(), print], "each of callbacks must be a sqsnn.Callback, but one is <built-in"),
    ],
)
@pytest.mark.usefixtures("own_checks")
def test_what_is_no_callback_is_refused(callbacks, said):
    recipe = small_run(epochs=1)
    with pytest.raises(TypeError, match=said):
        list(trainer.epochs(start(recipe), recipe, samples(), None, callbacks))


def test_what_closed_returns_swallows_no_error():
    class Talkative(Callback):
        def closed(self, error):
            return True

    with pytest.raises(KeyError), following([Talkative()]):
        raise KeyError
