"""Generated tasks are what they say, always the same, and told apart by memory alone."""

import hashlib
from collections import Counter
from itertools import product

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from sqsnn.data import temporal
from sqsnn.data.temporal import NOISE, TEMPORAL_TASKS, best_accuracy, generate

PARTS = ("train", "test")
every_task = pytest.mark.parametrize("name", TEMPORAL_TASKS)
every_part = pytest.mark.parametrize("part", PARTS)


def shown(name):
    """The windows of a task as text: a line a class, a word a variant, the cue lines one a step."""
    fires = [".", "0", "1"]  # what a step shows: no line fires, or which one does
    return [
        " ".join("".join(fires[step.argmax() + 1 if step.any() else 0] for step in v) for v in w)
        for w in TEMPORAL_TASKS[name].windows
    ]


def clean(task, part, delay):
    """The samples of a task without the flips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(temporal, "NOISE", 0.0)
        return generate(task, part, delay)


def test_the_windows_are_the_ones_of_the_tasks():
    assert shown("recall") == ["0", "1"]
    assert shown("order") == [
        "01.. 0.1. 0..1 .01. .0.1 ..01",
        "10.. 1.0. 1..0 .10. .1.0 ..10",
    ]
    assert shown("xor") == ["0.0 1.1", "0.1 1.0"]
    assert shown("duration") == [
        "00.... .00... ..00.. ...00. ....00",
        "0000.. .0000. ..0000",
    ]


@every_task
def test_a_sample_is_a_window_blank_steps_and_go(name):
    task = TEMPORAL_TASKS[name]
    window = task.windows[0].shape[1]
    for delay in (1, 4):
        values, labels = clean(task, "test", delay)
        assert not values[:, :window, -1].any()  # go
        after = np.zeros((delay + 1, task.lines), int)
        after[-1, -1] = 1
        assert (values[:, window:] == after).all()
        for label, variants in enumerate(task.windows):
            found = values[labels == label, :window, :-1]
            assert {v.tobytes() for v in found} == {v.tobytes() for v in variants}


@every_part
@every_task
def test_samples_have_the_shape_and_the_counts_that_were_announced(name, part):
    task = TEMPORAL_TASKS[name]
    counts = task.train_counts if part == "train" else task.test_counts
    assert len(set(counts)) == 1, "best_accuracy takes the classes for equally likely"
    for delay in (1, 5):
        values, labels = generate(task, part, delay)
        assert values.shape == (sum(counts), task.steps(delay), task.lines)
        assert (values.dtype, labels.dtype) == (np.uint8, np.int64)
        assert set(np.unique(values)) == {0, 1}
        assert tuple(np.bincount(labels)) == counts
        assert len(task.class_names) == len(task.windows) == len(counts)


@pytest.mark.parametrize(
    ("name", "part", "delay", "expected"),
    [
        ("recall", "train", 2, "db83a99eb4c05cf7"),
        ("recall", "test", 2, "f085fe9fc00b38de"),
        ("recall", "train", 5, "4e3afe076cf53c01"),
        ("recall", "test", 5, "7d11e3e67107f141"),
        ("order", "test", 3, "663437015eb5c48c"),
        ("xor", "test", 3, "e94b14057ca49993"),
        ("duration", "test", 3, "f9fdef72e5538313"),
    ],
)
def test_the_samples_are_the_same_always_and_everywhere(name, part, delay, expected):
    values, labels = generate(TEMPORAL_TASKS[name], part, delay)
    content = np.ascontiguousarray(values).tobytes() + labels.astype("<i8").tobytes()
    assert hashlib.sha256(content).hexdigest()[:16] == expected


def test_tasks_parts_and_delays_share_no_random_numbers():
    flips = {
        (name, part, delay): (
            generate(task, part, delay).values ^ clean(task, part, delay).values
        ).ravel()[:3000]
        for (name, task), part, delay in product(TEMPORAL_TASKS.items(), PARTS, (1, 5, 6))
    }
    # The same numbers would flip the same bits, whatever the shape; each flips about 30 of 3,000.
    assert len({flipped.tobytes() for flipped in flips.values()}) == len(flips)


@every_part
@every_task
def test_lines_are_flipped_as_often_as_the_noise_says_at_every_step(name, part):
    task = TEMPORAL_TASKS[name]
    values, labels = generate(task, part, 5)
    flipped = (values ^ clean(task, part, 5).values).mean(axis=0)  # (T, lines)
    # 5 standard errors: of fair noise one of the tasks' 102 rates is beyond them in 1 of 600 seeds,
    # and one is 0 in 1 of 200 (binomial, 1000 samples; with 4000 far less often).
    assert np.abs(flipped - NOISE).max() < 5 * np.sqrt(NOISE * (1 - NOISE) / len(labels))
    assert flipped.min() > 0


@every_part
@pytest.mark.parametrize("name", ["order", "xor", "duration"])
def test_the_variants_of_a_class_are_equally_likely(name, part):
    task = TEMPORAL_TASKS[name]
    values, labels = clean(task, part, 3)
    for label, variants in enumerate(task.windows):
        mine = values[labels == label, : variants.shape[1], :-1]
        counts = Counter(window.tobytes() for window in mine)
        # One of these 12 is below in 1 of 800 seeds.
        assert chisquare(list(counts.values())).pvalue > 1e-4


def law(windows, noise):
    """Every train of so many bits, with its probability under each class; one by one."""
    bits = windows[0][0].size
    for train in product((0, 1), repeat=bits):
        chances = []
        for variants in windows:
            flips = (variants != np.reshape(train, variants[0].shape)).sum(axis=(1, 2))
            chances.append((noise**flips * (1 - noise) ** (bits - flips)).mean())
        yield train, np.array(chances)


def whole_trains(name, delay):
    """The different clean samples of each class, blank steps, report and go line included."""
    values, labels = clean(TEMPORAL_TASKS[name], "test", delay)
    return [np.unique(values[labels == label], axis=0) for label in (0, 1)]


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.2, 0.5])
@pytest.mark.parametrize("name", ["recall", "xor"])
def test_the_best_accuracy_is_that_of_the_best_observer_of_the_whole_train(name, noise):
    laws = [chances for _, chances in law(whole_trains(name, 1), noise)]
    assert sum(laws) == pytest.approx([1, 1])
    best = sum(chances.max() for chances in laws) / 2
    assert best_accuracy(TEMPORAL_TASKS[name], noise) == pytest.approx(best)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.2, 0.5])
def test_the_best_accuracies_of_recall_and_xor_are_known_in_closed_form(noise):
    # A bit on one of two lines is seen rightly with probability 1 - noise: both lines are as they
    # should be, or one is flipped and a coin is right. Of two bits, both are right or both wrong.
    assert best_accuracy(TEMPORAL_TASKS["recall"], noise) == pytest.approx(1 - noise)
    both = (1 - noise) ** 2 + noise**2
    assert best_accuracy(TEMPORAL_TASKS["xor"], noise) == pytest.approx(both)


@every_task
def test_the_best_accuracy_falls_from_certainty_to_a_coin_as_the_noise_grows(name):
    accuracies = [best_accuracy(TEMPORAL_TASKS[name], noise) for noise in (0.0, 0.01, 0.1, 0.5)]
    assert accuracies[0] == pytest.approx(1)
    assert accuracies[-1] == pytest.approx(0.5)
    assert accuracies == sorted(accuracies, reverse=True)
    assert best_accuracy(TEMPORAL_TASKS[name]) == accuracies[1]


@every_task
def test_an_observer_who_weighs_every_variant_is_right_as_often_as_the_best(name):
    task = TEMPORAL_TASKS[name]
    window = task.windows[0].shape[1]
    trains = [generate(task, part, delay) for part, delay in product(PARTS, (1, 2, 3, 4, 5))]
    seen = np.concatenate([values[:, :window, :-1] for values, _ in trains])
    labels = np.concatenate([labels for _, labels in trains])
    likelihoods = []
    for variants in task.windows:
        said = np.stack([(seen == variant).sum(axis=(1, 2)) for variant in variants])
        likelihoods.append(np.mean(((1 - NOISE) / NOISE) ** said.astype(float), axis=0))
    # Rounding must not decide where the classes are equally likely: half a point then.
    tie = np.isclose(*likelihoods, rtol=1e-9, atol=0)
    right = np.where(tie, 0.5, np.argmax(likelihoods, axis=0) == labels)
    best = best_accuracy(task)
    # 4 standard errors of 25,000 guesses: 1 of 15,000 seeds fails, each of the four tasks.
    assert abs(right.mean() - best) < 4 * np.sqrt(best * (1 - best) / len(labels))


@pytest.mark.parametrize("noise", [-0.1, 0.6, float("nan")])
def test_a_noise_that_is_none_is_refused(noise):
    with pytest.raises(ValueError, match=r"from 0 to 0\.5, but is"):
        best_accuracy(TEMPORAL_TASKS["recall"], noise)


@pytest.mark.parametrize("name", ["recall", "xor"])
def test_the_report_and_the_delay_say_nothing_about_the_class(name):
    later = {}
    window = TEMPORAL_TASKS[name].windows[0].shape[1] * TEMPORAL_TASKS[name].lines
    for train, chances in law(whole_trains(name, 1), NOISE):
        later[train[window:]] = later.get(train[window:], 0) + chances
    assert len(later) == 2 ** (2 * TEMPORAL_TASKS[name].lines)
    assert all(np.isclose(*chances) for chances in later.values())


@every_part
@every_task
def test_the_samples_cannot_be_told_apart_by_their_last_step(name, part):
    values, labels = generate(TEMPORAL_TASKS[name], part, 3)
    powers = 2 ** np.arange(values.shape[2])
    last = values[:, -1] @ powers
    table = np.array([np.bincount(last[labels == label], minlength=8) for label in (0, 1)])
    # One of these 8 is below in 1 of 1,000 seeds.
    assert chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue > 1e-4


def best_guess(laws):
    """How often the likelier of two classes is the right one, from a Counter for each."""
    sizes = [sum(counts.values()) for counts in laws]
    keys = laws[0].keys() | laws[1].keys()
    return sum(max(laws[0][key] / sizes[0], laws[1][key] / sizes[1]) for key in keys) / 2


def guess_from(name, feature):
    """The best accuracy, without noise, of who knows one feature of the window alone."""
    return best_guess([Counter(map(feature, w)) for w in TEMPORAL_TASKS[name].windows])


def test_in_order_the_number_of_spikes_a_line_tells_nothing():
    assert guess_from("order", lambda window: tuple(window.sum(axis=0))) == 0.5
    # And the classes mirror each other: to swap the lines is to swap the answer.
    one, other = TEMPORAL_TASKS["order"].windows
    assert {w[:, ::-1].tobytes() for w in one} == {w.tobytes() for w in other}


def test_in_xor_neither_a_bit_nor_the_number_of_spikes_tells_anything():
    for step in range(3):
        assert guess_from("xor", lambda window, step=step: tuple(window[step])) == 0.5
    assert guess_from("xor", lambda window: window.sum()) == 0.5
    # No weights of steps and lines have another mean under one of the answers.
    one, other = TEMPORAL_TASKS["xor"].windows
    assert np.array_equal(one.mean(axis=0), other.mean(axis=0))


@pytest.mark.parametrize(("name", "best"), [("order", 3 / 4), ("duration", 4 / 5)])
def test_one_step_alone_tells_less_than_the_window(name, best):
    steps = range(TEMPORAL_TASKS[name].windows[0].shape[1])
    alone = [guess_from(name, lambda window, step=step: tuple(window[step])) for step in steps]
    assert max(alone) == pytest.approx(best)


@pytest.mark.parametrize(("delay", "error"), [(0, ValueError), (True, TypeError)])
def test_a_delay_that_is_none_is_refused(delay, error):
    for refuse in (
        TEMPORAL_TASKS["xor"].steps,
        lambda d: generate(TEMPORAL_TASKS["xor"], "test", d),
    ):
        with pytest.raises(error, match="delay must be an integer of at least 1"):
            refuse(delay)


def test_no_two_tasks_share_their_random_numbers():
    numbers = [task.number for task in TEMPORAL_TASKS.values()]
    assert len(set(numbers)) == len(numbers)
