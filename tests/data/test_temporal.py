"""Generated tasks are what they say, always the same, and told apart by memory alone."""

import hashlib
from itertools import product

import numpy as np
import pytest

from sqsnn.data import temporal
from sqsnn.data.temporal import NOISE, TEMPORAL_TASKS, best_accuracy, generate, recall

TASK = TEMPORAL_TASKS["recall"]
PARTS = ("train", "test")


def test_recall_is_a_cue_blank_steps_and_go():
    trains = recall(np.array([0, 1]), 3)
    assert trains.tolist() == [
        [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]],
        [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]],
    ]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", TEMPORAL_TASKS)
def test_samples_have_the_shape_and_the_counts_that_were_announced(name, part):
    task = TEMPORAL_TASKS[name]
    counts = task.train_counts if part == "train" else task.test_counts
    for delay in (1, 5):
        values, labels = generate(task, part, delay)
        assert values.shape == (sum(counts), task.steps(delay), task.lines)
        assert (values.dtype, labels.dtype) == (np.uint8, np.int64)
        assert set(np.unique(values)) == {0, 1}
        assert tuple(np.bincount(labels)) == counts
        assert len(task.class_names) == len(counts)


def test_the_samples_are_the_same_always_and_everywhere():
    values, labels = generate(TASK, "test", 5)
    content = np.ascontiguousarray(values).tobytes() + labels.astype("<i8").tobytes()
    assert hashlib.sha256(content).hexdigest()[:16] == "7d11e3e67107f141"


def test_parts_and_delays_share_no_random_numbers():
    noise = {
        (part, delay): (values ^ recall(labels, delay))[:1000, :3].tobytes()
        for part, delay in product(PARTS, (1, 5, 6))
        for values, labels in [generate(TASK, part, delay)]
    }
    assert len(set(noise.values())) == len(noise)


@pytest.mark.parametrize("part", PARTS)
def test_lines_are_flipped_as_often_as_the_noise_says_at_every_step(part):
    values, labels = generate(TASK, part, 5)
    flipped = (values ^ recall(labels, 5)).mean(axis=0)  # (T, lines)
    # 5 standard errors: of fair noise one of the 21 rates is beyond them in 1 of 3,000 seeds, and
    # one is 0 in 1 of 1,000 (binomial, 1000 samples).
    assert np.abs(flipped - NOISE).max() < 5 * np.sqrt(NOISE * (1 - NOISE) / len(labels))
    assert flipped.min() > 0


def law(delay, noise):
    """Each spike train of so many steps, with its probability under each class."""
    clean = recall(np.array([0, 1]), delay)
    for bits in product((0, 1), repeat=clean[0].size):
        flips = (clean != np.reshape(bits, clean[0].shape)).sum(axis=(1, 2))
        yield bits, noise**flips * (1 - noise) ** (clean[0].size - flips)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.2, 0.5])
def test_the_best_accuracy_is_that_of_the_best_observer_of_the_whole_train(noise):
    laws = list(law(1, noise))
    assert sum(chances for _, chances in laws) == pytest.approx([1, 1])
    best = sum(chances.max() for _, chances in laws) / 2
    assert best_accuracy(noise) == pytest.approx(best) == pytest.approx(1 - noise)


@pytest.mark.parametrize("noise", [-0.1, 0.6, float("nan")])
def test_a_noise_that_is_none_is_refused(noise):
    with pytest.raises(ValueError, match=r"from 0 to 0\.5, but is"):
        best_accuracy(noise)


def test_the_report_and_the_delay_say_nothing_about_the_class():
    later = {}
    for bits, chances in law(1, NOISE):
        later[bits[3:]] = later.get(bits[3:], 0) + chances
    assert len(later) == 64
    assert all(np.isclose(*chances) for chances in later.values())


@pytest.mark.parametrize("part", PARTS)
def test_the_samples_cannot_be_told_apart_by_their_last_step(part):
    values, labels = generate(TASK, part, 5)
    last = values[:, -1] @ (1, 2, 4)
    table = np.array([np.bincount(last[labels == label], minlength=8) for label in (0, 1)])
    table = table[:, table.sum(axis=0) > 0]
    halves = table.sum(axis=0) / 2
    statistic = ((table - halves) ** 2 / halves).sum()
    # chi-squared with at most 7 degrees of freedom: beyond 29.9 in 1 of 10,000 seeds.
    assert statistic < 29.9


def test_the_label_can_be_told_from_the_cue():
    values, labels = generate(TASK, "test", 5)
    cues = values[:, 0, :2]
    guess = cues.argmax(axis=1)  # ties go to class 0
    # 4 standard errors of 1000 guesses, each right with probability 0.99: 1 of 3,000 seeds fails.
    assert (guess == labels).mean() > best_accuracy(NOISE) - 0.0126


@pytest.mark.parametrize(("delay", "error"), [(0, ValueError), (True, TypeError)])
def test_a_delay_that_is_none_is_refused(delay, error):
    with pytest.raises(error, match="delay must be an integer of at least 1"):
        TASK.steps(delay)


def test_no_two_tasks_share_their_random_numbers():
    numbers = [task.number for task in temporal.TEMPORAL_TASKS.values()]
    assert len(set(numbers)) == len(numbers)
