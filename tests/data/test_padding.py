"""Series of unequal lengths are laid side by side, and nothing is lost."""

import numpy as np
import pytest

from sqsnn.data.padding import is_ragged, padded, stacked


def test_padded_series_are_the_series_and_zeros_behind_them():
    series = [np.arange(1.0, 7).reshape(3, 2), np.full((1, 2), 9.0)]
    values, lengths = padded(series)
    assert lengths is not None
    assert lengths.tolist() == [3, 1]
    assert values.shape == (2, 3, 2)
    for one, row, end in zip(series, values, lengths, strict=True):
        assert np.array_equal(row[:end], one)
        assert not row[end:].any()


def test_series_of_one_length_have_no_lengths():
    assert padded([np.ones((2, 1)), np.zeros((2, 1))])[1] is None
    assert not is_ragged([np.ones((2, 1)), np.zeros((2, 1))])
    assert is_ragged([np.ones(2), np.ones(3)])
    assert not is_ragged(np.ones((2, 3)))


@pytest.mark.parametrize("second", [np.ones((2, 3)), np.ones((0, 2)), np.ones((1, 2, 1))])
def test_series_of_other_features_are_refused_by_number(second):
    with pytest.raises(ValueError, match="series 1 has the shape"):
        stacked([np.ones((2, 2)), second])
