"""What stands beside the figures of a network: chance, a ridge on the same split, each class."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.metrics import classification_report, r2_score, roc_auc_score
from tools import seeded

from sqsnn.data.dataset import Dataset, Samples
from sqsnn.data.preparation import Preparation
from sqsnn.training import baselines
from sqsnn.training.baselines import PENALTIES, WINDOW
from sqsnn.training.evaluate import Scores

NAMES = ("ant", "bee", "cat")


def dataset_of(
    train: Samples, validation: Samples, test: Samples, labels: tuple[str, ...] = ()
) -> Dataset:
    values = () if labels else tuple(f"y{place}" for place in range(train.targets.shape[-1]))
    return Dataset(
        name="made",
        preparation=Preparation(labels, values, train.values.shape[-1]),
        channels=1,
        steps=None,
        report_steps=None,
        source="made",
        train=train,
        validation=validation,
        test_samples=len(test.targets),
        load_test=lambda: test,
    )


def clusters(samples: int, seed: int) -> Samples:
    labels = torch.arange(samples) % 3
    values = labels[:, None] * torch.tensor([1.0, -0.3, 0.0]) + torch.randn(
        samples, 3, generator=seeded(seed)
    )
    return Samples(values * torch.tensor([1.0, 100.0, 1e-3]), labels)


def linear(samples: int, seed: int, lengths: bool = False) -> Samples:
    """Series whose target at a step is a sum of two inputs, now and 3 steps ago, and noise."""
    X = torch.rand(samples, 30, 2, generator=seeded(seed))
    delayed = torch.cat([torch.zeros(samples, 3, 2), X[:, :-3]], dim=1)
    y = torch.stack([X[..., 0] + delayed[..., 1], 5 - 2 * delayed[..., 0]], dim=2)
    y = y + 0.05 * torch.randn(y.shape, generator=seeded(seed + 1))
    ends = torch.randint(12, 31, (samples,), generator=seeded(seed)) if lengths else None
    return Samples(X, y, ends)


# Chance


def test_chance_names_the_most_frequent_class_of_the_training():
    def labelled(*labels: int) -> Samples:
        return Samples(torch.zeros(len(labels), 1), torch.tensor(labels))

    # In the test another class is the most frequent one.
    test = labelled(2, 2, 2, 1, 0)
    data = dataset_of(labelled(0, 1, 1, 2), labelled(2, 2, 2), test, NAMES)
    assert baselines.chance(data, test) == 1 / 5


def test_chance_of_values_is_the_mean_of_the_training_targets():
    def valued(*values: float) -> Samples:
        return Samples(torch.zeros(len(values), 1), torch.tensor(values)[:, None])

    test = valued(1, 3)  # mean 2, variance 1
    data = dataset_of(valued(4, 6), valued(9), test)
    assert baselines.chance(data, test) == 1 + (5 - 2) ** 2
    still = valued(1, 1)
    assert baselines.chance(dataset_of(test, test, still), still) is None


def test_chance_of_series_counts_the_steps_that_count():
    data = [Samples(torch.zeros(2, 4, 1), torch.zeros(2, 4, 1), torch.tensor([3, 2]))] * 2
    train, test = (part._replace(targets=part.targets.clone()) for part in data)
    train.targets[:, :, 0] = torch.tensor([[99.0, 5, 5, 99], [5, 5, 99, 99]])
    test.targets[:, :, 0] = torch.tensor([[99.0, 1, 3, 99], [1, 3, 99, 99]])
    made = dataset_of(train, train, test)
    assert baselines.chance(made, test, report_steps=2) == 10


# Ridge


def test_the_ridge_of_classes_is_that_of_scikit_learn_on_values_of_one_scale():
    parts = clusters(60, 0), clusters(30, 1), clusters(45, 2)
    mean, deviation = parts[0].values.mean(0), parts[0].values.std(0, correction=0)
    (X, y), (V, v), (T, t) = (
        (((part.values - mean) / deviation).numpy(), part.targets.numpy()) for part in parts
    )
    models = [RidgeClassifier(alpha=penalty * 60).fit(X, y) for penalty in PENALTIES]
    best = max(models, key=lambda model: model.score(V, v))
    found = baselines.ridge(dataset_of(*parts, labels=NAMES), parts[2])
    assert found.model == "ridge classifier on all values"
    assert found.figures == {"accuracy": pytest.approx(best.score(T, t))}
    assert 0.5 < found.figures["accuracy"] < 1


def test_nothing_of_the_test_part_enters_the_ridge():
    """One test sample far away changes its own answer only."""
    parts = clusters(60, 0), clusters(30, 1), clusters(45, 2)
    data = dataset_of(*parts, labels=NAMES)
    accuracy = baselines.ridge(data, parts[2]).figures["accuracy"]
    far = Samples(torch.full((1, 3), 1e6), torch.tensor([0]))
    more = Samples(*(torch.cat(pair) for pair in zip(parts[2][:2], far[:2], strict=True)))
    alone = baselines.ridge(data, far).figures["accuracy"]
    together = baselines.ridge(data, more).figures["accuracy"]
    assert together == pytest.approx((45 * accuracy + alone) / 46)


def test_validation_chooses_the_penalty():
    """With a penalty of 1 the slope is halved; a validation part with half the slope wants it."""
    X = torch.linspace(-1, 1, 50)[:, None]
    test = Samples(X, X.clone())
    for slope, expected in ((1.0, 1.0), (0.5, 0.5)):
        data = dataset_of(test, Samples(X, slope * X), test)
        figures = baselines.ridge(data, test).figures
        # R2 of slope b against slope 1 is 1 - (1 - b)^2; the smallest penalty leaves 1e-4 of it.
        assert figures["r2"] == pytest.approx(1 - (1 - expected) ** 2, abs=1e-3)
        assert figures["nmse"] == pytest.approx(1 - figures["r2"])


@pytest.mark.parametrize("report_steps", [None, 10])
@pytest.mark.parametrize("lengths", [False, True])
def test_the_ridge_of_series_sees_the_last_steps_of_those_that_count(report_steps, lengths):
    parts = linear(20, 0, lengths), linear(6, 10, lengths), linear(9, 20, lengths)
    found = baselines.ridge(dataset_of(*parts), parts[2], report_steps)
    assert found.model == f"ridge on the last {WINDOW} steps"

    def rows(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        windows, targets = [], []
        for place, X in enumerate(samples.values.numpy()):
            end = 30 if samples.lengths is None else int(samples.lengths[place])
            for step in range(0 if report_steps is None else end - report_steps, end):
                seen = X[max(step - WINDOW + 1, 0) : step + 1]
                blank = np.zeros((WINDOW - len(seen), 2))
                windows.append(np.concatenate([blank, seen]).T.ravel())
                targets.append(samples.targets[place, step].numpy())
        return np.array(windows), np.array(targets)

    (X, y), (V, v), (T, t) = map(rows, parts)
    mean, scale = X.mean(0), X.std(0)
    models = [Ridge(alpha=p * len(X)).fit((X - mean) / scale, y) for p in PENALTIES]
    best = max(models, key=lambda model: r2_score(v, model.predict((V - mean) / scale)))
    # float32 inputs: sums of some hundred products, each right to 6e-8.
    expected = r2_score(t, best.predict((T - mean) / scale))
    assert found.figures["r2"] == pytest.approx(expected, abs=1e-4)
    assert found.figures["r2"] > 0.95


def test_series_and_spike_trains_of_classes_are_flattened():
    labels = torch.arange(40) % 2
    spikes = (torch.rand(40, 5, 3, 2, generator=seeded(0)) < 0.5).float()
    spikes[:, 4, 2, 1] = labels.float()
    part = Samples(spikes, labels)
    data = dataset_of(part, part, part, NAMES[:2])
    assert baselines.ridge(data, part).figures == {"accuracy": 1.0}


def test_constant_features_are_no_trouble():
    parts = [part._replace(values=part.values.clone()) for part in (clusters(60, 0),) * 3]
    for part in parts:
        part.values[:, 1] = 7.0
    assert baselines.ridge(dataset_of(*parts, labels=NAMES), parts[2]).figures["accuracy"] > 0.4


def test_a_problem_that_would_take_long_has_no_ridge(monkeypatch):
    parts = clusters(60, 0), clusters(30, 1), clusters(45, 2)
    data = dataset_of(*parts, labels=NAMES)
    for name, limit in (("LARGEST_FEATURES", 3), ("LARGEST_VALUES", 180)):
        with monkeypatch.context() as patched:
            patched.setattr(baselines, name, limit)
            assert baselines.ridge(data, parts[2]) is not None
            patched.setattr(baselines, name, limit - 1)
            assert baselines.ridge(data, parts[2]) is None


# Class by class


def scores_of(samples: int, classes: int, seed: int = 0) -> tuple[Scores, torch.Tensor]:
    probabilities = 3 * torch.rand(samples, classes, generator=seeded(seed))
    labels = torch.arange(samples) % classes
    probabilities[torch.arange(samples), labels] += 1
    return Scores(probabilities.round(), probabilities, probabilities.argmax(1), (0.0,)), labels


@pytest.mark.parametrize("classes", [2, 3])
def test_the_figures_of_the_classes_are_those_of_scikit_learn(classes):
    scores, labels = scores_of(60, classes)
    found = baselines.class_report(scores, labels, NAMES[:classes])
    report = classification_report(
        labels, scores.predicted, target_names=NAMES[:classes], output_dict=True
    )
    for row in found["classes"]:
        expected = report[row["class"]]
        assert row["precision"] == pytest.approx(expected["precision"])
        assert row["recall"] == pytest.approx(expected["recall"])
        assert row["f1"] == pytest.approx(expected["f1-score"])
        assert row["samples"] == expected["support"]
    shares = torch.softmax(scores.probabilities.double(), dim=1).numpy()
    given = shares[:, 1] if classes == 2 else shares
    assert found["test_roc_auc"] == pytest.approx(roc_auc_score(labels, given, multi_class="ovr"))


def test_the_area_is_unknown_of_measured_spikes_and_without_all_classes():
    scores, labels = scores_of(60, 3)
    measured = scores._replace(measured=True)
    assert baselines.class_report(measured, labels, NAMES)["test_roc_auc"] is None
    without = baselines.class_report(scores, labels % 2, NAMES)
    assert without["test_roc_auc"] is None
    assert without["classes"][2] | {"precision": 0} == {
        "class": "cat",
        "precision": 0,
        "recall": 0,
        "f1": 0,
        "samples": 0,
    }


def test_shares_do_not_grow_with_the_shots():
    scores, _ = scores_of(10, 3)
    twice = scores._replace(probabilities=2 * scores.probabilities, shots=2)
    torch.testing.assert_close(twice.shares(), scores.shares())
    torch.testing.assert_close(scores.shares().sum(1), torch.ones(10, dtype=torch.float64))
