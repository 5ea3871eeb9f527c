"""Generated series as datasets: the same every time, training and test apart."""

import pytest
import torch

from sqsnn.data import load
from sqsnn.data.specs import find_spec

NAMES = ("narma5", "narma10", "mackey-glass", "memory-capacity", "parity", "sines")


@pytest.mark.parametrize("name", NAMES)
def test_a_generated_series_repeats_and_fits_its_description(name):
    one, other, spec = load(name), load(name), find_spec(name)
    assert torch.equal(one.train.values, other.train.values)
    assert torch.equal(one.train.targets, other.train.targets)
    test = one.load_test()
    assert len(one.train.targets) + len(one.validation.targets) == spec.train_size
    assert len(test.targets) == one.test_samples == spec.size("test")
    assert one.train.values.shape[1:] == (spec.length, 1)
    assert one.train.values.amin() >= 0
    assert one.train.values.amax() <= 1
    first, last = ({row.numpy().tobytes() for row in it.values} for it in (one.train, test))
    assert first.isdisjoint(last) or name == "parity"
    if spec.predicts_values:
        outputs = len(spec.series.target_names)
        assert one.train.targets.shape[1:] == (spec.length, outputs)
        assert one.outputs == outputs
        assert one.class_names == ()
    else:
        assert test.targets.unique().tolist() == list(range(one.outputs))


def test_memory_targets_are_the_earlier_inputs():
    train = load("memory-capacity").train
    for k in (1, 4, 10):
        assert torch.equal(train.targets[:, k:, k - 1], train.values[:, :-k, 0])


def test_a_part_is_the_first_series():
    whole, part = load("narma5"), load("narma5", train_samples=20, test_samples=5)
    assert len(part.train.targets) + len(part.validation.targets) == 20
    assert torch.equal(part.load_test().values, whole.load_test().values[:5])


def test_values_have_no_classes_to_choose():
    with pytest.raises(ValueError, match="has real values to predict"):
        load("narma5", classes=(0, 1))
