"""Scaling takes the range of the training data, feature by feature, and leaves padding at 0."""

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler

from sqsnn.data.scaling import Scaling


def series(n: int = 4, T: int = 5, features: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, T, features)) * [1, 100, 1e-6]


def test_values_are_scaled_as_scikit_learn_scales_them():
    train, new = series().reshape(-1, 3), 2 * series(n=2).reshape(-1, 3)
    for clip in (True, False):
        theirs = MinMaxScaler(clip=clip).fit(train).transform(new)
        np.testing.assert_allclose(Scaling.fit(train).apply(new, clip=clip), theirs, atol=1e-12)


def test_series_are_scaled_over_samples_and_steps():
    X = series()
    scaled = Scaling.fit(X).apply(X, clip=False)
    rows = X.reshape(-1, 3)
    expected = Scaling.fit(rows).apply(rows, clip=False)
    assert np.array_equal(scaled.reshape(-1, 3), expected)
    assert scaled.min() == 0
    assert scaled.max() == 1


def test_padding_counts_for_nothing_and_becomes_0():
    X, lengths = series(), np.array([5, 1, 3, 2])
    padded = X.copy()
    for row, length in zip(padded, lengths, strict=True):
        row[length:] = 1e9
    scaling = Scaling.fit(padded, lengths)
    real = np.concatenate([row[:length] for row, length in zip(X, lengths, strict=True)])
    assert np.array_equal(scaling.low, real.min(axis=0))
    assert np.array_equal(scaling.high, real.max(axis=0))
    scaled = scaling.apply(padded, clip=False, lengths=lengths)
    for row, length in zip(scaled, lengths, strict=True):
        assert np.array_equal(row[length:], np.zeros_like(row[length:]))
        assert ((row[:length] >= 0) & (row[:length] <= 1)).all()


def test_clipping_is_a_choice():
    scaling = Scaling.fit([[0.0], [2.0]])
    assert scaling.apply([[-1.0], [3.0]], clip=True).tolist() == [[0.0], [1.0]]
    assert scaling.apply([[-1.0], [3.0]], clip=False).tolist() == [[-0.5], [1.5]]


def test_a_constant_becomes_0_whatever_comes_later():
    scaling = Scaling.fit([[7.0, 1.0], [7.0, 2.0]])
    assert scaling.apply([[7.0, 1.0], [9.0, 2.0]], clip=False).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_the_widest_range_of_numbers_is_scaled():
    largest = np.finfo(np.float64).max
    X = [[-largest], [0.0], [largest]]
    assert Scaling.fit(X).apply(X, clip=False).tolist() == [[0.0], [0.5], [1.0]]


@pytest.mark.parametrize(
    ("X", "lengths", "said"),
    [
        ([1.0, 2.0], None, r"X must have shape \(n, features\).* has shape \(2,\)"),
        (np.zeros((0, 3)), None, "at least one value"),
        (np.zeros((2, 3)), [1, 1], r"one entry per series, .* and X \(2, 3\)"),
        (np.zeros((2, 3, 1)), [1], r"one entry per series, but has shape \(1,\)"),
        (np.zeros((2, 3, 1)), [0, 3], r"lie in 1\.\.3, .* run from 0 to 3"),
        (np.zeros((2, 3, 1)), [1, 4], r"lie in 1\.\.3, .* run from 1 to 4"),
    ],
)
def test_what_does_not_fit_is_refused(X, lengths, said):
    with pytest.raises(ValueError, match=said):
        Scaling.fit(X, lengths)


def test_other_features_are_refused():
    with pytest.raises(ValueError, match=r"X must have 2 features, .* has shape \(1, 3\)"):
        Scaling.fit(np.zeros((2, 2))).apply(np.zeros((1, 3)), clip=True)
