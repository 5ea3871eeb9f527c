"""Surrogates: exact values forward, the stated slopes backward."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from sqsnn.neurons import surrogates
from sqsnn.neurons.sqs import SQSNeurons


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0, 1)), min_size=1, max_size=6),
    st.sampled_from([("straight_through", False), ("sigmoid", True)]),
)
def test_a_spike_is_its_bit_and_its_slope_is_the_surrogates(pairs, choice):
    surrogate, is_sigmoid = choice
    bits, p = torch.tensor(pairs, dtype=torch.float64).unbind(1)
    bits.requires_grad_()
    p = p.clone().requires_grad_()
    spikes = surrogates.spike(bits, p, surrogate)
    assert torch.equal(spikes.detach(), bits.detach())
    weight = torch.arange(1.0, len(pairs) + 1, dtype=torch.float64)
    found, of_bits = torch.autograd.grad(spikes, (p, bits), weight, allow_unused=True)
    expected = weight * p.detach() * (1 - p.detach()) if is_sigmoid else weight
    assert_close(found, expected)
    assert of_bits is None


def test_the_encoding_angle_is_pi_times_the_positive_part():
    z = torch.tensor([-3.0, -0.0, 0.0, 0.25, 1.0, 2.5])
    expected = torch.tensor([0.0, 0.0, 0.0, 0.25, 1.0, 2.5]) * math.pi
    for slope in ("exact", "exponential"):
        assert torch.equal(surrogates.encoding_angle(z, slope), expected)


def slope_at(z: list[float], slope: str, *, saturate: bool = False) -> torch.Tensor:
    currents = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    angles = surrogates.encoding_angle(currents, slope, saturate=saturate)
    weight = torch.arange(1.0, len(z) + 1, dtype=torch.float64)
    return torch.autograd.grad(angles, currents, weight)[0] / weight


def test_the_exponential_slope_falls_off_below_zero_and_is_exact_above():
    z = [-3.0, -0.3, -0.05, 0.0, 0.2, 5.0]
    expected = [math.pi * math.exp(min(value, 0.0) / 0.3) for value in z]
    assert_close(slope_at(z, "exponential"), torch.tensor(expected, dtype=torch.float64))


def test_the_exact_slope_is_0_where_no_gate_is_placed():
    z = [-3.0, -0.05, 0.0, 0.2, 5.0]
    expected = torch.tensor([0.0, 0.0, 0.0, math.pi, math.pi], dtype=torch.float64)
    assert_close(slope_at(z, "exact"), expected)


def test_the_exact_slope_is_the_derivative():
    currents = torch.tensor([-1.0, -0.2, 0.3, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: surrogates.encoding_angle(z, "exact"), currents)


def test_a_very_negative_current_has_slope_0_and_no_overflow():
    assert slope_at([-1e30], "exponential").tolist() == [0.0]
    assert slope_at([1e30], "exponential").tolist() == [math.pi]


def test_a_saturated_angle_is_at_most_a_full_flip():
    z = torch.tensor([-3.0, 0.0, 0.25, 1.0, 1.0001, 7.0])
    expected = torch.tensor([0.0, 0.0, 0.25, 1.0, 1.0, 1.0]) * math.pi
    for slope in ("exact", "exponential"):
        found = surrogates.encoding_angle(z, slope, saturate=True)
        assert_close(found, expected, rtol=1e-6, atol=0)  # exact: two float32 terms are subtracted
    exponential = surrogates.encoding_angle(z, "exponential", saturate=True)
    assert torch.equal(exponential, expected)


def test_a_saturated_slope_falls_off_on_both_sides():
    z = [-0.6, 0.0, 0.5, 1.0, 1.3, 4.0]
    outside = [0.6, 0.0, 0.0, 0.0, 0.3, 3.0]
    expected = [math.pi * math.exp(-value / 0.3) for value in outside]
    found = slope_at(z, "exponential", saturate=True)
    assert_close(found, torch.tensor(expected, dtype=torch.float64))
    exact = slope_at([-0.6, 0.5, 1.3], "exact", saturate=True)
    assert_close(exact, torch.tensor([0.0, math.pi, 0.0], dtype=torch.float64))


@pytest.mark.parametrize("option", ["surrogate", "encoding_slope"])
def test_neurons_refuse_an_unknown_choice(option):
    # Whichever comes first names the argument: the checked annotation or the check at the door.
    with pytest.raises(Exception, match=option):
        SQSNeurons(1, **{option: "other"})


# The threshold of neurons without luck


def test_a_threshold_is_passed_above_0_and_not_at_0():
    excess = torch.tensor([-torch.inf, -1.0, -1e-30, -0.0, 0.0, 1e-30, 2.0, torch.inf])
    assert surrogates.threshold(excess).tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    for dtype in (torch.float32, torch.float64):
        assert surrogates.threshold(excess.to(dtype)).dtype == dtype


def test_the_slope_of_the_threshold_is_that_of_an_arctangent():
    # Central differences with h = 1e-5: truncation h^2 f'''/6 with f''' at most 2 pi^2.
    x, h = [-2.0, -0.3, -1e-3, 0.0, 0.05, 0.7, 4.0], 1e-5
    excess = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    weight = torch.arange(1.0, len(x) + 1, dtype=torch.float64)
    (found,) = torch.autograd.grad(surrogates.threshold(excess), excess, weight)

    def smooth(value: float) -> float:
        return math.atan(math.pi * value) / math.pi

    expected = [(smooth(value + h) - smooth(value - h)) / (2 * h) for value in x]
    assert (found / weight).tolist() == pytest.approx(expected, abs=1e-9)


def test_far_from_the_threshold_the_slope_is_0_without_overflow():
    for dtype, far in ((torch.float32, 1e30), (torch.float64, 1e200)):
        excess = torch.tensor([-far, far], dtype=dtype, requires_grad=True)
        surrogates.threshold(excess).sum().backward()
        assert excess.grad.tolist() == [0, 0]


def test_a_held_value_is_clamped_and_led_back_inside():
    values = torch.tensor([-0.5, -0.5, 0.3, 1.7, 1.7], requires_grad=True)
    held = surrogates.held(values, 0.0, 1.0)
    assert_close(held.detach(), torch.tensor([0.0, 0.0, 0.3, 1.0, 1.0]))
    # A descent step goes against the gradient.
    (found,) = torch.autograd.grad(held, values, torch.tensor([2.0, -2.0, 5.0, 3.0, -3.0]))
    assert found.tolist() == [0.0, -2.0, 5.0, 3.0, 0.0]
