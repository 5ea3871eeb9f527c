"""Promises of the encodings: when a value spikes, with which law, and what is refused."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import seeded

from sqsnn import encoding
from sqsnn.uniforms import draw_uniforms

pytestmark = pytest.mark.usefixtures("device")

# What each encoding does with values and steps, its options left out.
ENCODINGS = {
    "rate": lambda values, steps: encoding.rate(values, steps, generator=seeded()),
    "latency": encoding.latency,
    "delta": encoding.delta,
    "current": encoding.current,
    "population": partial(encoding.population, fields=5),
    "phase": partial(encoding.phase, bits=3),
}
WITHOUT_CHANGE = [name for name in ENCODINGS if name != "delta"]


def uniform(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=seeded(seed), dtype=dtype)


# What all have in common


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ENCODINGS)
def test_shape_and_dtype_follow_the_values(name, dtype):
    shapes = [(3, 4, 2)] if name == "delta" else [(3, 2), (3, 4, 2)]
    for shape in shapes:
        encoded = ENCODINGS[name](uniform(*shape, dtype=dtype), 12)
        inputs, channels = (10 if name == "population" else 2), (2 if name == "delta" else 1)
        assert encoded.dtype == dtype
        assert encoded.shape == (12, 3, inputs, channels)


@pytest.mark.parametrize("name", WITHOUT_CHANGE)
def test_a_series_is_its_values_one_after_the_other(name):
    series = uniform(3, 4, 2)
    generator = seeded(7)
    by_rate = partial(encoding.rate, generator=generator)
    encode = by_rate if name == "rate" else ENCODINGS[name]
    each = torch.cat([encode(series[:, step], 6) for step in range(4)])
    generator.manual_seed(7)
    assert torch.equal(encode(series, 24), each)


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize(
    ("values", "steps", "error", "message"),
    [
        (torch.zeros(2), 6, ValueError, r"values must have shape \(B, P\), or \(B, T, P\) for"),
        (torch.zeros(2, 3, 4, 1), 6, ValueError, r"values must have shape .* \(2, 3, 4, 1\)"),
        ([[0.5]], 6, TypeError, "values must be a torch.Tensor, but is a list"),
        (torch.zeros(2, 3, 4).int(), 6, TypeError, "values must have dtype .* torch.int32"),
        (torch.full((2, 3, 4), math.nan), 6, ValueError, "values must"),
        (torch.zeros(2, 3, 4), 0, ValueError, "steps must be an integer of at least 1, but is 0"),
        (torch.zeros(2, 3, 4), 2.5, TypeError, "steps must be an integer of .*, but is 2.5"),
        (torch.zeros(2, 3, 4), 13, ValueError, "steps must be a multiple of 3, .* but is 13"),
        (torch.zeros(2, 0, 4), 6, ValueError, "the length of a series must be .*, but is 0"),
    ],
)
def test_all_refuse_what_they_cannot_encode(own_checks, name, values, steps, error, message):
    with pytest.raises(error, match=message):
        ENCODINGS[name](values, steps)


@pytest.mark.parametrize("name", ["rate", "latency", "population", "phase"])
@pytest.mark.parametrize(
    ("values", "found"),
    [([1.5, 0.0], "from 0 to 1.5"), ([-0.1, 0.0], "from -0.1 to 0"), ([math.nan, 0.0], "1 of 2")],
)
def test_intensities_lie_between_0_and_1(own_checks, name, values, found):
    with pytest.raises(ValueError, match=rf"values must lie in \[0, 1\], but .*{found}"):
        ENCODINGS[name](torch.tensor([values]), 6)


# Rate


@pytest.mark.parametrize("max_rate", [1.0, 0.4])
def test_rate_fires_with_the_probability_of_the_value(max_rate):
    steps = 4000
    values = torch.linspace(0, 1, 21, dtype=torch.float64).reshape(3, 7)
    spikes = encoding.rate(values, steps, max_rate=max_rate, generator=seeded())
    expected = values * max_rate
    # 4.5 standard deviations of a binomial mean: 21 values pass by chance alone but once in 7000.
    bound = 4.5 * (expected * (1 - expected) / steps).sqrt()
    assert torch.all((spikes[..., 0].mean(dim=0) - expected).abs() <= bound)


def test_rate_is_certain_at_zero_and_one():
    values = torch.tensor([[0.0, 1.0]])
    spikes = encoding.rate(values, 1000, generator=seeded())
    assert torch.equal(spikes[..., 0].mean(dim=0), values)
    # The largest uniform number there is must still fire a value of 1, and 0 must not fire 0.
    edges = torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)
    uniforms = edges[:, None, None].expand(2, 1, 2)
    spikes = encoding.rate(values.double(), 2, uniforms=uniforms)
    assert torch.equal(spikes[..., 0], values.double().expand(2, 1, 2))


def test_rate_in_two_halves_equals_one_pass():
    values, series = uniform(5, 6), uniform(5, 9, 6)
    whole = encoding.rate(values, 9, generator=seeded())
    generator = seeded()
    halves = [encoding.rate(values, steps, generator=generator) for steps in (4, 5)]
    assert torch.equal(torch.cat(halves), whole)
    whole = encoding.rate(series, 18, generator=seeded())
    generator = seeded()
    parts = (series[:, :4], 8), (series[:, 4:], 10)
    halves = [encoding.rate(part, steps, generator=generator) for part, steps in parts]
    assert torch.equal(torch.cat(halves), whole)


def test_rate_replays_from_its_uniforms(device):
    values = torch.rand(5, 6, generator=seeded(1))
    uniforms = draw_uniforms(8, 5, 6, seeded(), torch.float32, device)
    kept = uniforms.clone()
    replayed = encoding.rate(values, 8, max_rate=0.7, uniforms=uniforms)
    assert torch.equal(replayed, encoding.rate(values, 8, max_rate=0.7, generator=seeded()))
    assert torch.equal(uniforms, kept), "the caller's numbers must not be written over"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"max_rate": 0.0}, ValueError, "max_rate must be above 0 and at most 1, but is 0.0"),
        ({"max_rate": math.nan}, ValueError, "max_rate must be above 0 and at most 1"),
        ({"generator": None}, TypeError, "exactly one of generator and uniforms, but got neither"),
        ({"uniforms": torch.zeros(2, 1, 2)}, TypeError, "exactly one of .* but got both"),
    ],
)
def test_rate_refuses(own_checks, change, error, message):
    arguments = {"values": torch.tensor([[0.2, 0.8]]), "steps": 2, "generator": seeded()}
    with pytest.raises(error, match=message):
        encoding.rate(**arguments | change)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: torch.zeros(3, 1, 2), ValueError, r"uniforms must have shape \(2, 1, 2\)"),
        (
            lambda: torch.zeros(2, 1, 2).double(),
            TypeError,
            "uniforms must have the dtype of values",
        ),
        (lambda: torch.zeros(2, 1, 2, device="meta"), ValueError, "must lie on one device"),
        (
            lambda: torch.ones(2, 1, 2),
            ValueError,
            r"uniforms must lie in \[0, 1\), but .* from 1 to 1",
        ),
    ],
)
def test_rate_refuses_uniforms(own_checks, make, error, message):
    with pytest.raises(error, match=message):
        encoding.rate(torch.tensor([[0.2, 0.8]]), 2, uniforms=make())


# Latency


def test_latency_at_hand_computed_steps():
    values = torch.tensor([[1.0, 0.75, 0.4, 0.01, 0.0]])
    spikes = encoding.latency(values, 5)[:, 0, :, 0]
    # (1 - v) * 4 = 0, 1, 2.4, 3.96 and never
    assert spikes.argmax(dim=0)[:4].tolist() == [0, 1, 2, 4]
    assert spikes.sum(dim=0).tolist() == [1, 1, 1, 1, 0]


@given(steps=st.integers(2, 20), seed=st.integers(0, 2**20))
@settings(max_examples=30, deadline=None)
def test_latency_puts_the_brighter_never_later(steps, seed):
    values = torch.rand(4, 6, generator=seeded(seed), dtype=torch.float64)
    spikes = encoding.latency(values, steps)[..., 0]
    assert torch.equal(spikes.sum(dim=0), torch.ones(4, 6, dtype=torch.float64))
    when = spikes.argmax(dim=0)
    order = values.argsort(dim=1, descending=True)
    assert torch.all(when.gather(1, order).diff(dim=1) >= 0)


def test_a_latency_decodes_to_its_value():
    series = uniform(3, 5, 4)
    spikes = encoding.latency(series, 5 * 11).unflatten(0, (5, 11))[..., 0]  # (T0, K, B, P)
    decoded = 1 - spikes.argmax(dim=1) / 10
    assert torch.all((decoded - series.movedim(1, 0)).abs() <= 0.05 + 1e-12)


@pytest.mark.parametrize(("shape", "steps"), [((2, 3), 1), ((2, 5, 3), 5)])
def test_latency_needs_time_to_be_late(shape, steps):
    with pytest.raises(ValueError, match=f"steps must be at least 2 per value .*, but is {steps}"):
        encoding.latency(uniform(*shape), steps)


# Delta


def test_delta_of_a_hand_made_series():
    series = torch.tensor([0.0, 0.5, 1.0, 3.0, 3.0, 3.0, 2.5, 1.0, 1.0])[None, :, None]
    on, off = encoding.delta(series, 9, threshold=1.0)[:, 0, 0].T
    # A jump by two thresholds takes two steps; a fall by half a threshold gives no spike.
    assert on.tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert off.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1]


@given(
    threshold=st.floats(0.05, 2.0),
    per_value=st.integers(1, 3),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=30, deadline=None)
def test_delta_lets_the_receiver_follow_within_one_threshold(threshold, per_value, seed):
    # With K steps per value the reference keeps up with jumps of K thresholds.
    moves = (2 * uniform(2, 50, 3, seed=seed) - 1) * per_value
    series = (moves * threshold).cumsum(dim=1)
    on, off = encoding.delta(series, 50 * per_value, threshold=threshold).unbind(dim=-1)
    followed = series[:, 0] + threshold * (on - off).cumsum(dim=0)
    last = followed[per_value - 1 :: per_value].movedim(0, 1)  # when the next value comes
    assert on.sum() > 0
    assert torch.all((last - series).abs() <= threshold * (1 + 1e-9))


def test_delta_never_spikes_on_both_channels_nor_at_the_first_step():
    series = torch.randn(3, 40, 4, generator=seeded())
    spikes = encoding.delta(series, 40, threshold=0.1)
    assert spikes[0].sum() == 0
    assert spikes.sum(dim=-1).max() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"values": torch.zeros(3, 2)},
            r"needs series, .* \(3, 2\): what is constant never spikes",
        ),
        ({"values": torch.full((1, 3, 2), math.inf)}, "values must be finite"),
        ({"threshold": 0.0}, "threshold must be a finite number above 0, but is 0.0"),
        ({"threshold": math.nan}, "threshold must be a finite number above 0"),
    ],
)
def test_delta_refuses(own_checks, change, message):
    arguments = {"values": torch.zeros(1, 3, 2), "steps": 3, "threshold": 0.5}
    with pytest.raises(ValueError, match=message):
        encoding.delta(**arguments | change)


# Current


def test_current_repeats_any_number_and_passes_the_gradient():
    series = torch.randn(3, 2, 4, generator=seeded()).mul(100).requires_grad_()
    currents = encoding.current(series, 6)
    for step in range(6):
        assert torch.equal(currents[step, ..., 0], series[:, step // 3])
    currents.sum().backward()
    assert torch.equal(series.grad, torch.full((3, 2, 4), 3.0))


def test_current_refuses_what_is_no_number():
    with pytest.raises(ValueError, match=r"values must be finite, but 1 of 2 .* \(inf\)"):
        encoding.current(torch.tensor([[math.inf, 1.0]]), 2)


# Population


def test_fields_lie_as_bohte_places_them():
    # i = 1..6 of m = 6: centres (2 i - 3) / (2 (m - 2)), widths 1 / (1.5 (m - 2)).
    centres = torch.tensor([(2 * i - 3) / 8 for i in range(1, 7)], dtype=torch.float64)
    values = uniform(3, 2)
    expected = torch.exp(-((values[..., None] - centres) ** 2) / (2 * (1 / 6) ** 2)).flatten(1)
    currents = encoding.population(values, 4, fields=6)
    for step in currents:
        torch.testing.assert_close(step[..., 0], expected, rtol=1e-12, atol=0)
    inside = centres[(centres >= 0) & (centres <= 1)]
    own = encoding.population(inside[:, None], 1, fields=6)[0, :, :, 0]
    assert torch.equal(own.amax(dim=1), torch.ones_like(inside))  # a field is 1 at its centre


@given(fields=st.integers(3, 12), width=st.floats(0.3, 2), seed=st.integers(0, 2**20))
@settings(max_examples=30, deadline=None)
def test_two_fields_tell_the_value(fields, width, seed):
    # log(a / b) of two neighbours is linear in the value, whatever their common height.
    values = uniform(4, 3, seed=seed)
    currents = encoding.population(values, 1, fields=fields, width=width)[0, ..., 0]
    first, second = currents.unflatten(1, (3, fields))[..., :2].log().unbind(dim=-1)
    decoded = width**2 * (second - first) / (fields - 2)
    assert torch.allclose(decoded, values, rtol=0, atol=1e-9)


def test_the_gradient_reaches_the_values_through_their_fields():
    values = uniform(2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: encoding.population(x, 6, fields=4), values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": 2}, "fields must be an integer of at least 3, but is 2"),
        ({"width": 0.0}, "width must be a finite number above 0, but is 0.0"),
        ({"width": math.inf}, "width must be a finite number above 0, but is inf"),
    ],
)
def test_population_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        encoding.population(uniform(2, 3), 4, **options)


# Phase


def test_phase_at_hand_computed_digits():
    values = torch.tensor([[0.0, 0.5, 0.625, 0.99, 1.0]])
    currents = encoding.phase(values, 4, bits=3)[:, 0, :, 0]
    # 0.000, 0.100, 0.101, 0.111 and as much as three digits hold; then from the first again.
    digits = torch.tensor([[0, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [0, 1, 1, 1, 1]])
    assert torch.equal(currents, digits * torch.tensor([0.5, 0.25, 0.125, 0.5])[:, None])


@given(bits=st.integers(1, 24), seed=st.integers(0, 2**20), exact=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_period_of_phases_sums_to_its_value(bits, seed, exact):
    series = uniform(3, 2, 4, seed=seed, dtype=torch.float64 if exact else torch.float32)
    currents = encoding.phase(series, 2 * bits, bits=bits).unflatten(0, (2, bits))
    missing = series.movedim(1, 0) - currents[..., 0].sum(dim=1)
    assert torch.all((missing >= 0) & (missing < 2.0**-bits))


def test_eight_phases_hold_the_pixels_of_an_image():
    pixels = torch.arange(256)
    currents = encoding.phase((pixels / 255)[None], 8)[:, 0, :, 0]
    assert torch.equal((currents.sum(dim=0) * 256).long(), pixels)


@pytest.mark.parametrize(
    ("shape", "steps", "bits", "message"),
    [
        ((2, 3), 7, 8, r"at least 8 per value \(one per bit\), but is 7$"),
        ((2, 5, 3), 20, 8, "at least 8 per value .*, but is 20 for 5 values in time"),
        ((2, 3), 8, 0, "bits must be an integer in 1..24, but is 0"),
        ((2, 3), 40, 25, "bits must be an integer in 1..24, but is 25"),
    ],
)
def test_phase_refuses(shape, steps, bits, message):
    with pytest.raises(ValueError, match=message):
        encoding.phase(uniform(*shape), steps, bits=bits)
