"""Each value lasts its share of the steps, and masks tell exactly where a padded series ends."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sqsnn.encoding import step_mask, steps_per_value
from sqsnn.encoding.duration import hold

pytestmark = pytest.mark.usefixtures("device")


@given(length=st.integers(1, 9), lasting=st.integers(1, 5), data=st.data())
def test_a_series_of_a_length_has_its_steps_per_value_of_ones(length, lasting, data):
    lengths = data.draw(st.lists(st.integers(1, length), max_size=5))
    steps = length * lasting
    mask = step_mask(torch.tensor(lengths, dtype=torch.int64), length, steps)
    assert mask.shape == (steps, len(lengths))
    for column, own in zip(mask.T.tolist(), lengths, strict=True):
        assert column == [1.0] * own * lasting + [0.0] * (steps - own * lasting)
    assert steps_per_value(steps, length) == lasting


def test_a_mask_has_the_precision_asked_for():
    lengths = torch.tensor([2, 3])
    assert step_mask(lengths, 3, 6).dtype == torch.float32
    assert step_mask(lengths, 3, 6, dtype=torch.float64).dtype == torch.float64


def test_values_are_held_without_copies_where_nothing_is_repeated_between_them():
    once, constant = torch.arange(24.0).view(4, 2, 3), torch.arange(6.0).view(1, 2, 3)
    assert hold(once, 1).data_ptr() == once.data_ptr()
    assert hold(constant, 7).untyped_storage().nbytes() == constant.numel() * 4
    assert torch.equal(hold(once, 3), once.repeat_interleave(3, dim=0))


@pytest.mark.parametrize(
    ("lengths", "length", "steps", "error", "message"),
    [
        ([2, 4], 3, 6, ValueError, r"lengths must lie in 1\.\.3, .* but one is 4"),
        ([0, 1], 3, 6, ValueError, r"lengths must lie in 1\.\.3, .* but one is 0"),
        ([2.0], 3, 6, TypeError, "lengths must have dtype torch.int64, but has torch.float32"),
        ([[2]], 3, 6, ValueError, r"lengths must have shape \(B,\), but has \(1, 1\)"),
        ([2], 3, 7, ValueError, "steps must be a multiple of 3, the length .*, but is 7"),
        ([2], 3, 2, ValueError, "steps must be a multiple of 3, the length .*, but is 2"),
    ],
)
def test_masks_that_cannot_be_are_refused(own_checks, lengths, length, steps, error, message):
    with pytest.raises(error, match=message):
        step_mask(torch.tensor(lengths), length, steps)
