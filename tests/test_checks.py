"""Checks at the door: what is right passes, what is wrong is named."""

from typing import Literal

import numpy as np
import pytest
import torch

from sqsnn.checks import (
    check_choice,
    check_finite,
    check_magnitude,
    check_positive_int,
    check_same_device,
    check_shape,
    checked_shape,
)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 2, 10, 1), ("T", "B", 10, 1)),
        ((0, 2), ("T", "B")),
        ((4, 4), ("D", "D")),
        ((), ()),
    ],
)
def test_the_expected_shape_passes(shape, expected):
    check_shape("currents", torch.zeros(shape), expected)


@pytest.mark.parametrize(
    ("shape", "expected", "message"),
    [
        (
            (3, 2, 9, 1),
            ("T", "B", 10, 1),
            r"currents must have shape \(T, B, 10, 1\), but has \(3, 2, 9, 1\)",
        ),
        ((3, 2), ("T", "B", 10), r"\(T, B, 10\), but has \(3, 2\)"),
        ((3, 4), ("D", "D"), r"\(D, D\), but has \(3, 4\)"),
        ((2,), (3,), r"\(3,\), but has \(2,\)"),
    ],
)
def test_another_shape_is_refused_with_both_shapes_named(shape, expected, message):
    with pytest.raises(ValueError, match=message):
        check_shape("currents", torch.zeros(shape), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_found(dtype, wrong):
    currents = torch.zeros(2, 3, dtype=dtype)
    currents[1, 2] = wrong
    with pytest.raises(ValueError, match=r"currents must be finite, but 1 of 6 .* at index \(1, 2"):
        check_finite("currents", currents)


def test_values_up_to_a_magnitude_pass_and_larger_ones_are_named():
    check_magnitude("currents", torch.tensor([-1e6, 1e6]), 1e6)
    check_magnitude("currents", torch.zeros(0), 1e6)
    for value, named in ((1.5e6, "1.5e\\+06"), (-2e6, "-2e\\+06")):
        with pytest.raises(ValueError, match=rf"currents holds {named}; .* between -1e\+06 and"):
            check_magnitude("currents", torch.tensor([0.0, value]), 1e6)
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match="currents must be finite, but 1 of 2"):
            check_magnitude("currents", torch.tensor([0.0, value]), 1e6)


def test_opposite_infinities_do_not_cancel():
    with pytest.raises(ValueError, match="2 of 3"):
        check_finite("currents", torch.tensor([float("inf"), 0.0, -float("inf")]))


def test_finite_values_whose_sum_overflows_pass():
    check_finite("currents", torch.full((4,), torch.finfo(torch.float32).max))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float32])
def test_integers_and_empty_tensors_are_finite(dtype):
    check_finite("spikes", torch.ones(2, dtype=dtype))
    check_finite("spikes", torch.ones(0, dtype=dtype))


def test_a_check_leaves_no_trace_in_the_graph():
    weights = torch.ones(3, requires_grad=True)
    check_finite("weights", weights)
    assert weights.grad_fn is None


def test_one_device_passes_and_an_argument_left_out_is_skipped():
    check_same_device(currents=torch.zeros(1), observed=None, weights=torch.ones(2))


def test_two_devices_are_refused_with_both_named():
    with pytest.raises(ValueError, match=r"currents, weights .* currents on cpu, weights on meta"):
        check_same_device(currents=torch.zeros(1), weights=torch.ones(2, device="meta"))


@pytest.mark.parametrize("value", [1, 4, np.int64(2)])
def test_an_integer_in_range_passes(value):
    check_positive_int("channels", value, high=4)


@pytest.mark.parametrize("value", [0, -1, 5])
def test_an_integer_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=rf"channels must be an integer in 1\.\.4, but is {value}"):
        check_positive_int("channels", value, high=4)


def test_an_integer_below_the_lower_end_is_refused():
    with pytest.raises(ValueError, match="memory_qubits must be an integer of at least 0"):
        check_positive_int("memory_qubits", -1, low=0)


@pytest.mark.parametrize("value", [1.0, "1", None, True, torch.tensor(1)])
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(TypeError, match="channels must be an integer of at least 1, but is"):
        check_positive_int("channels", value)


@pytest.mark.parametrize(
    ("size", "shape"), [(3, (3,)), (np.int64(3), (3,)), ([2, 5], (2, 5)), (torch.Size([4]), (4,))]
)
def test_a_size_stands_for_a_shape(size, shape):
    assert checked_shape("size", size) == shape


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, ValueError, "size must be an integer of at least 1, but is 0"),
        ("12", TypeError, "size must be an integer of at least 1, but is '12'"),
        ((), ValueError, "size is empty; it may be a number of neurons, or the shape of a grid"),
        ((2, 0), ValueError, r"size\[1\] must be an integer of at least 1, but is 0"),
        ((2.0, 3), TypeError, r"size\[0\] must be an integer of at least 1, but is 2\.0"),
    ],
)
def test_what_is_no_size_is_refused(size, error, message):
    with pytest.raises(error, match=message):
        checked_shape("size", size)


@pytest.mark.parametrize("value", [[0.0], np.zeros(1), 0.0])
def test_what_is_no_tensor_is_refused(value):
    for check in (
        lambda: check_shape("currents", value, (1,)),
        lambda: check_finite("currents", value),
        lambda: check_same_device(currents=value),
    ):
        with pytest.raises(TypeError, match=r"currents must be a torch\.Tensor, but is a"):
            check()


def test_an_unknown_choice_is_refused_and_the_known_ones_are_named():
    choices = Literal["one", "other"]
    check_choice("option", "one", choices)
    with pytest.raises(ValueError, match="option is 'third'; it may be one of one, other"):
        check_choice("option", "third", choices)
