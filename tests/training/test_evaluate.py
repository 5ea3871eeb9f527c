"""Scores do not depend on batches, shots add up, and shares are shares."""

import math

import numpy as np
import pytest
import torch
from tools import small_run

from sqsnn import readout
from sqsnn.encoding import Spikes
from sqsnn.training import evaluate
from sqsnn.training.build import Purpose, build_network, seeded
from sqsnn.training.evaluate import Accuracy, Scores

FEATURES, CLASSES = 20, 4
RECIPE = small_run()


@pytest.fixture
def network():
    return build_network(RECIPE, FEATURES, CLASSES)


@pytest.fixture
def values():
    return torch.rand(50, FEATURES, generator=torch.Generator().manual_seed(3))


def score(network, values, recipe=RECIPE, **options):
    generator = seeded(0, Purpose.TEST)
    return evaluate.score(
        network, recipe, values, generator=generator, **{"batch_size": 16} | options
    )


def test_scores_are_the_readouts_of_a_run(network, values):
    scores = score(network, values, batch_size=50)
    _, run = evaluate.draw(network, RECIPE, values, generator=seeded(0, Purpose.TEST))
    assert torch.equal(scores.counts, readout.count(run.layers[-1]))
    assert torch.equal(scores.probabilities, readout.probability(run.layers[-1]))
    assert torch.equal(scores.predicted, readout.predict(run.layers[-1]))
    emitted = [float(record.spikes.sum()) / 50 for record in run.layers]
    assert scores.spikes == pytest.approx(emitted)


def test_the_filling_of_the_last_batch_counts_nowhere(network, values):
    whole = score(network, values, batch_size=32)
    by_hand = []
    generator = seeded(0, Purpose.TEST)
    for batch in (values[:32], torch.cat([values[32:], values[-1:].expand(14, -1)])):
        by_hand.append(evaluate.draw(network, RECIPE, batch, generator=generator)[1])
    hidden = by_hand[0].layers[0].spikes.sum() + by_hand[1].layers[0].spikes[:, :18].sum()
    assert len(whole.predicted) == 50
    assert whole.spikes[0] == pytest.approx(float(hidden) / 50)


def test_shared_numbers_make_a_sample_independent_of_the_others(network, values):
    whole = score(network, values, shared=True)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    shuffled = score(network, values[order], shared=True)
    part = score(network, values[17:20], shared=True)
    assert torch.equal(shuffled.probabilities, whole.probabilities[order])
    assert torch.equal(part.probabilities, whole.probabilities[17:20])
    twins = score(network, values[:1].expand(20, -1), shared=True)
    assert torch.equal(twins.counts, twins.counts[:1].expand(20, -1))


def test_shots_are_summed(network, values):
    generator = seeded(0, Purpose.TEST)
    runs = [
        evaluate.draw(network, RECIPE, values, generator=generator)[1].layers[-1] for _ in range(3)
    ]
    scores = score(network, values, batch_size=50, shots=3)
    assert torch.equal(scores.counts, sum(readout.count(run) for run in runs))
    torch.testing.assert_close(scores.probabilities, sum(readout.probability(run) for run in runs))
    assert not torch.equal(readout.count(runs[0]), readout.count(runs[1]))
    assert scores.spikes[1] == pytest.approx(float(scores.counts.sum()) / (3 * 50))


def test_ties_of_summed_counts_are_broken_by_probability(network, values):
    scores = score(network, values, shots=2)
    tied = 0
    for counts, probabilities, predicted in zip(
        scores.counts, scores.probabilities, scores.predicted, strict=True
    ):
        best = counts == counts.max()
        assert best[predicted]
        assert probabilities[predicted] == probabilities[best].max()
        tied += int(best.sum() > 1)
    assert tied > 0


@pytest.mark.parametrize("shots", [1, 3])
def test_only_the_last_steps_of_each_shot_count(network, values, shots):
    generator = seeded(0, Purpose.TEST)
    runs = [evaluate.draw(network, RECIPE, values, generator=generator)[1] for _ in range(shots)]
    recipe = small_run(report_steps=2)
    scores = score(network, values, recipe, batch_size=50, shots=shots)
    counts = sum(run.layers[-1].spikes[-2:].sum(dim=(0, 3)) for run in runs)
    assert torch.equal(scores.counts, counts)
    probabilities = sum(run.layers[-1].probability[-2:].sum(dim=(0, 3)) for run in runs)
    torch.testing.assert_close(scores.probabilities, probabilities)
    tied_best = scores.counts == scores.counts.amax(dim=1, keepdim=True)
    by_hand = torch.where(tied_best, scores.probabilities, -1).argmax(dim=1)
    assert torch.equal(scores.predicted, by_hand)
    # Energy is of all steps, whichever of them count.
    assert scores.spikes == score(network, values, batch_size=50, shots=shots).spikes


def test_spike_trains_are_scored_in_filled_batches(network):
    recipe = RECIPE.model_copy(update={"encoding": Spikes(4), "report_steps": 1})
    trains = torch.rand(50, 4, FEATURES, generator=torch.Generator().manual_seed(3)).round()
    scores = score(network, trains, recipe, batch_size=32)
    generator = seeded(0, Purpose.TEST)
    filled = torch.cat([trains, trains[-1:].expand(14, -1, -1)])
    for first, last in ((0, 32), (32, 50)):
        batch = filled[first : first + 32]
        spikes, run = evaluate.draw(network, recipe, batch, generator=generator)
        assert torch.equal(spikes[..., 0], batch.movedim(1, 0))
        report = readout.masked(run.layers[-1], readout.last_steps(4, 32, 1))
        assert torch.equal(scores.counts[first:last], readout.count(report)[: last - first])


def test_a_report_window_longer_than_the_run_is_refused(network, values):
    with pytest.raises(ValueError, match=r"report_steps must be an integer in 1\.\.4, but is 5"):
        score(network, values, RECIPE.model_copy(update={"report_steps": 5}))


@pytest.mark.parametrize("wrong", [{"shots": 0}, {"batch_size": 0}])
def test_less_than_one_is_refused(network, values, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be an integer of at least 1"):
        score(network, values, **wrong)


def some_scores() -> Scores:
    probabilities = torch.tensor([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0], [2.0, 1.0]])
    return Scores(torch.zeros(4, 2), probabilities, torch.tensor([0, 1, 1, 1]), (0.0,))


def test_the_recipe_gives_the_batch_size(network, values):
    by_recipe = score(network, values, small_run(batch_size=16), batch_size=None)
    assert torch.equal(by_recipe.counts, score(network, values).counts)


def test_accuracy_is_the_share_of_right_answers_by_each_readout():
    # Without a spike all classes are tied.
    reached = evaluate.accuracy(some_scores(), torch.tensor([0, 1, 1, 0]))
    assert reached == Accuracy(spikes=0.5, ties_by_probability=0.75, probability=0.75)
    reached = evaluate.accuracy(some_scores(), torch.tensor([0, 0, 0, 0]))
    assert reached == (0.5, 0.25, 0.75)


def test_measured_spikes_have_no_accuracy_by_probability():
    scores = some_scores()._replace(measured=True)
    assert evaluate.accuracy(scores, torch.tensor([0, 1, 1, 0])) == (0.5, None, None)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_figures_have_names_in_files(part):
    assert Accuracy(0.1, 0.2, None).named(part) == {
        f"{part}_accuracy": 0.1,
        f"{part}_accuracy_ties_by_probability": 0.2,
        f"{part}_accuracy_probability": None,
    }


def scores_of(counts: list[list[float]]) -> Scores:
    """Counts, beside probabilities and predictions that point elsewhere: to the last class."""
    table = torch.tensor(counts)
    probabilities = torch.zeros_like(table)
    probabilities[:, -1] = 1
    predicted = torch.full((len(counts),), table.shape[1] - 1)
    return Scores(table, probabilities, predicted, (0.0,))


def test_of_classes_tied_in_spikes_each_is_named_in_its_share():
    # Right alone, one of two, wrong although one of two, one of all (no spike at all), wrong.
    counts = [[5.0, 0, 4], [3, 3, 1], [0, 2, 2], [0, 0, 0], [1, 2, 3]]
    labels = torch.tensor([0, 1, 0, 2, 1])
    found = evaluate.accuracy(scores_of(counts), labels).spikes
    assert found == pytest.approx((1 + 1 / 2 + 0 + 1 / 3 + 0) / 5, abs=1e-15)


def test_the_accuracy_of_spikes_is_that_of_ties_broken_at_random():
    # Breaking ties in every possible way, each as often as any other: lcm(1, 2, 3, 4) = 12 ways.
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(3, (40, 4), generator=generator).float()
    labels = torch.randint(4, (40,), generator=generator)
    right = 0
    for row, label in zip(counts.tolist(), labels.tolist(), strict=True):
        best = [index for index, count in enumerate(row) if count == max(row)]
        right += sum(best[way % len(best)] == label for way in range(12))
    found = evaluate.accuracy(scores_of(counts.tolist()), labels).spikes
    assert found == pytest.approx(right / (12 * 40), abs=1e-12)


def test_without_ties_the_accuracy_of_spikes_is_that_by_count():
    counts = torch.tensor([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0], [3.0, 1.0]])
    scores = some_scores()._replace(counts=counts, predicted=counts.argmax(1))
    labels = torch.tensor([0, 0, 1, 0])
    found = evaluate.accuracy(scores, labels)
    assert found.spikes == found.ties_by_probability == 0.5


def test_the_loss_is_the_cross_entropy_of_summed_probabilities():
    # Two right by a difference of 1, two wrong.
    expected = math.log1p(math.e) - 0.5
    found = evaluate.loss(some_scores(), torch.tensor([0, 1, 1, 1]))
    assert found == pytest.approx(expected, abs=1e-12)


def test_confusion_has_the_truth_in_rows():
    counts = evaluate.confusion(some_scores(), torch.tensor([0, 0, 0, 1]))
    assert np.array_equal(counts, [[1, 2], [0, 1]])
