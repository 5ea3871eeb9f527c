"""Surrogates: exact values forward, the stated slopes backward."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import seeded
from torch.testing import assert_close

from sqsnn.learning.backprop import Backprop
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.scores import Measured
from sqsnn.learning.signals import Feedback
from sqsnn.network import SpikingNetwork
from sqsnn.neurons import surrogates
from sqsnn.neurons.drive import Rectified
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.sqs import SQSNeurons

pytestmark = pytest.mark.usefixtures("device")


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


def slope_at(z: list[float], slope, *, saturate: bool = False) -> torch.Tensor:
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
        SQSNeurons(1, **{option: "other"}, generator=seeded(0))


# Functions beside the names


def bump(p: torch.Tensor) -> torch.Tensor:
    """A slope of a spike that is none of the named ones."""
    return 3 * p * (1 - p) + 0.1


def hat(z: torch.Tensor) -> torch.Tensor:
    """A slope of the encoding, over pi, that is none of the named ones."""
    return 1 / (1 + z.square())


def test_a_function_of_the_probability_is_the_slope_of_a_spike():
    p = torch.tensor([0.0, 0.2, 0.7, 1.0], dtype=torch.float64, requires_grad=True)
    bits = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    weight = torch.arange(1.0, 5.0, dtype=torch.float64)
    spikes = surrogates.spike(bits, p, bump)
    assert torch.equal(spikes.detach(), bits)
    assert_close(torch.autograd.grad(spikes, p, weight)[0], weight * bump(p.detach()))
    assert torch.equal(surrogates.spike_slope(p.detach(), bump), bump(p.detach()))


@pytest.mark.parametrize("saturate", [False, True])
def test_a_function_of_the_current_is_the_slope_of_the_encoding(saturate):
    z = [-2.0, -0.1, 0.0, 0.4, 3.0]
    found = slope_at(z, hat, saturate=saturate)
    assert_close(found, math.pi * hat(torch.tensor(z, dtype=torch.float64)))
    currents = torch.tensor(z)
    for name in ("exact", "exponential"):
        expected = surrogates.encoding_angle(currents, name, saturate=saturate)
        assert_close(surrogates.encoding_angle(currents, hat, saturate=saturate), expected)


@pytest.mark.parametrize(
    ("surrogate", "named"), [(lambda p: p * (1 - p), "sigmoid"), (torch.ones_like, None)]
)
@pytest.mark.parametrize(
    "rule",
    [
        Backprop(),
        Local(Feedback("symmetric")),
        Local(Feedback("symmetric"), score=Online()),
    ],
    ids=["backprop", "exact", "online"],
)
def test_every_rule_uses_a_function_as_it_uses_the_name(rule, surrogate, named):
    def slope(z):
        return (z.clamp_max(0.0) / 0.3).exp()

    found = []
    options = {"surrogate": surrogate, "encoding_slope": slope}
    for each in (options, {"surrogate": named or "straight_through"}):
        network = SpikingNetwork(
            [3, 4, 2],
            neurons=partial(SQSNeurons, drive=Rectified(), **each),
            generator=seeded(),
            dtype=torch.float64,
        )
        spikes = torch.rand((4, 5, 3, 1), generator=seeded(1)).round().double()
        rule.step(network, spikes, torch.arange(5) % 2, seeded(2))
        found.append([p.grad for p in network.parameters() if p.numel()])
    for one, other in zip(*found, strict=True):
        assert_close(one, other, rtol=1e-12, atol=1e-15)
    assert all(gradient.abs().max() > 1e-6 for gradient in found[0])


def test_measured_bits_refuse_a_function_of_the_probability():
    neurons = partial(SQSNeurons, surrogate=bump)
    network = SpikingNetwork([3, 4, 2], neurons=neurons, generator=seeded())
    with pytest.raises(ValueError, match="needs probabilities, but score 'measured'"):
        Local(score=Measured()).step(
            network, torch.ones(2, 2, 3, 1), torch.tensor([0, 1]), seeded()
        )


@pytest.mark.parametrize("kind", [SQSNeurons, PublishedSQS])
def test_neurons_name_what_a_surrogate_may_be(kind):
    # The annotation, which beartype checks first here, allows any callable, too.
    kind(1, surrogate=bump, encoding_slope=hat, generator=seeded())
    with pytest.raises(Exception, match="surrogate"):
        kind(1, surrogate=3, generator=seeded())


# The threshold of neurons that draw nothing


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


# The floor of a membrane


def test_a_membrane_stays_at_or_above_its_floor():
    values = torch.tensor([-torch.inf, -3.0, -1.0, -0.5, 0.0, 7.0])
    for exact in (True, False):
        floored = surrogates.floored(values, -1.0, exact=exact)
        assert floored.tolist() == [-1.0, -1.0, -1.0, -0.5, 0.0, 7.0]
        assert surrogates.floored(values.double(), -1.0, exact=exact).dtype == torch.float64


@pytest.mark.parametrize(("exact", "below"), [(True, 0.0), (False, 0.3)])
def test_below_its_floor_a_membrane_has_the_stated_slope(exact, below):
    values = torch.tensor([-9.0, -1.01, -0.99, 0.4], dtype=torch.float64, requires_grad=True)
    weight = torch.arange(1.0, 5.0, dtype=torch.float64)
    floored = surrogates.floored(values, -1.0, exact=exact)
    (found,) = torch.autograd.grad(floored, values, weight)
    assert_close(found / weight, torch.tensor([below, below, 1.0, 1.0], dtype=torch.float64))


def test_the_exact_slope_of_the_floor_is_the_derivative():
    values = torch.tensor([-2.0, -1.1, -0.9, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: surrogates.floored(v, -1.0, exact=True), values)
