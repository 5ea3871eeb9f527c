"""Promises of the encodings: when a value spikes, with which law, and what is refused."""

import math

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sqsnn import encoding
from sqsnn.encoding import Direct, Latency, Rate, Spikes
from sqsnn.uniforms import draw_uniforms


def seeded(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


@pytest.fixture
def own_checks():
    """Let wrong arguments through to our own checks, which users meet without the type checker."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


# Uniforms


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_uniforms_in_two_halves_equal_one_pass(device):
    whole = draw_uniforms(7, 3, 5, seeded(device=device), torch.float64, device)
    generator = seeded(device=device)
    halves = [draw_uniforms(steps, 3, 5, generator, torch.float64, device) for steps in (3, 4)]
    assert whole.shape == (7, 3, 5)
    assert torch.equal(torch.cat(halves), whole)


def test_uniforms_come_from_the_generator_alone():
    before = torch.get_rng_state()
    draw_uniforms(2, 3, 4, seeded(), torch.float32, "cpu")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be an integer of at least 1"),
        ({"neurons": 0}, ValueError, "neurons must be"),
        ({"batch": -1}, ValueError, "batch must be"),
        ({"generator": 7}, TypeError, "generator must be a torch.Generator, but is 7"),
        ({"dtype": torch.int64}, ValueError, "dtype must be torch.float32 or torch.float64"),
        ({"device": "meta"}, ValueError, "generator must be on the device .* meta, but is on cpu"),
    ],
)
def test_uniforms_refuse(own_checks, change, error, message):
    arguments = {
        "steps": 2,
        "batch": 3,
        "neurons": 4,
        "generator": seeded(),
        "dtype": torch.float32,
        "device": "cpu",
    }
    with pytest.raises(error, match=message):
        draw_uniforms(**arguments | change)


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
    values = torch.rand(5, 6, generator=seeded(1))
    whole = encoding.rate(values, 9, generator=seeded())
    generator = seeded()
    halves = [encoding.rate(values, steps, generator=generator) for steps in (4, 5)]
    assert torch.equal(torch.cat(halves), whole)


def test_rate_replays_from_its_uniforms():
    values = torch.rand(5, 6, generator=seeded(1))
    uniforms = draw_uniforms(8, 5, 6, seeded(), torch.float32, "cpu")
    kept = uniforms.clone()
    replayed = encoding.rate(values, 8, max_rate=0.7, uniforms=uniforms)
    assert torch.equal(replayed, encoding.rate(values, 8, max_rate=0.7, generator=seeded()))
    assert torch.equal(uniforms, kept), "the caller's numbers must not be written over"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"values": torch.tensor([0.5])}, ValueError, r"values must have shape \(B, P\)"),
        ({"values": torch.tensor([[1.5, 0.0]])}, ValueError, "values must lie .* from 0 to 1.5"),
        ({"values": torch.tensor([[-0.1, 0.0]])}, ValueError, "values must lie .* from -0.1 to 0"),
        ({"values": torch.tensor([[math.nan, 0.0]])}, ValueError, "values must lie .* 1 of 2 are"),
        ({"values": torch.tensor([[0, 1]])}, TypeError, "values must have dtype .* torch.int64"),
        ({"steps": 0}, ValueError, "steps must be an integer of at least 1, but is 0"),
        ({"steps": 2.5}, TypeError, "steps must be an integer of at least 1, but is 2.5"),
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
    ("uniforms", "error", "message"),
    [
        (torch.zeros(3, 1, 2), ValueError, r"uniforms must have shape \(2, 1, 2\)"),
        (torch.zeros(2, 1, 2).double(), TypeError, "uniforms must have the dtype of values"),
        (torch.zeros(2, 1, 2, device="meta"), ValueError, "must lie on one device"),
        (torch.ones(2, 1, 2), ValueError, r"uniforms must lie in \[0, 1\), but .* from 1 to 1"),
    ],
)
def test_rate_refuses_uniforms(own_checks, uniforms, error, message):
    with pytest.raises(error, match=message):
        encoding.rate(torch.tensor([[0.2, 0.8]]), 2, uniforms=uniforms)


# Latency


def test_latency_at_hand_computed_steps():
    values = torch.tensor([[1.0, 0.75, 0.4, 0.01, 0.0]])
    spikes = encoding.latency(values, 5)[:, 0, :, 0]
    # (1 - v) * 4 = 0, 1, 2.4, 3.96 and never
    assert spikes.argmax(dim=0)[:4].tolist() == [0, 1, 2, 4]
    assert spikes.sum(dim=0).tolist() == [1, 1, 1, 1, 0]


@given(steps=st.integers(1, 20), seed=st.integers(0, 2**20))
@settings(max_examples=30, deadline=None)
def test_latency_puts_the_brighter_never_later(steps, seed):
    values = torch.rand(4, 6, generator=seeded(seed), dtype=torch.float64)
    spikes = encoding.latency(values, steps)[..., 0]
    assert torch.equal(spikes.sum(dim=0), torch.ones(4, 6, dtype=torch.float64))
    when = spikes.argmax(dim=0)
    order = values.argsort(dim=1, descending=True)
    assert torch.all(when.gather(1, order).diff(dim=1) >= 0)


# Delta


def test_delta_of_a_hand_made_series():
    series = torch.tensor([0.0, 0.5, 1.0, 3.0, 3.0, 3.0, 2.5, 1.0, 1.0])[:, None, None]
    on, off = encoding.delta(series, 1.0)[:, 0, 0].T
    # A jump by two thresholds takes two steps; a fall by half a threshold gives no spike.
    assert on.tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert off.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1]


@given(threshold=st.floats(0.05, 2.0), seed=st.integers(0, 2**20))
@settings(max_examples=30, deadline=None)
def test_delta_lets_the_receiver_follow_within_one_threshold(threshold, seed):
    moves = 2 * torch.rand(50, 2, 3, generator=seeded(seed), dtype=torch.float64) - 1
    series = (moves * threshold).cumsum(dim=0)
    on, off = encoding.delta(series, threshold).unbind(dim=-1)
    followed = series[0] + threshold * (on - off).cumsum(dim=0)
    assert on.sum() > 0
    assert torch.all((followed - series).abs() <= threshold * (1 + 1e-9))


def test_delta_never_spikes_on_both_channels_nor_at_the_first_step():
    series = torch.randn(40, 3, 4, generator=seeded())
    spikes = encoding.delta(series, 0.1)
    assert spikes[0].sum() == 0
    assert spikes.sum(dim=-1).max() == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"series": torch.zeros(3, 2)}, ValueError, r"series must have shape \(T, B, P\)"),
        ({"series": torch.zeros(0, 1, 2)}, ValueError, "series must have at least 1 step"),
        ({"series": torch.full((3, 1, 2), math.inf)}, ValueError, "series must be finite"),
        ({"series": torch.zeros(3, 1, 2).int()}, TypeError, "series must have dtype"),
        ({"threshold": 0.0}, ValueError, "threshold must be a finite number above 0, but is 0.0"),
        ({"threshold": math.nan}, ValueError, "threshold must be a finite number above 0"),
    ],
)
def test_delta_refuses(own_checks, change, error, message):
    arguments = {"series": torch.zeros(3, 1, 2), "threshold": 0.5}
    with pytest.raises(error, match=message):
        encoding.delta(**arguments | change)


# Direct, and what all have in common


def test_direct_repeats_the_value_and_passes_the_gradient():
    values = torch.rand(3, 4, generator=seeded()).requires_grad_()
    spikes = encoding.direct(values, 6)
    assert torch.equal(spikes, values.detach()[None, :, :, None].expand(6, 3, 4, 1))
    spikes.sum().backward()
    assert torch.equal(values.grad, torch.full((3, 4), 6.0))


@pytest.mark.parametrize("encode", [encoding.latency, encoding.direct])
@pytest.mark.parametrize(
    ("values", "steps", "message"),
    [
        (torch.tensor([[1.5]]), 3, "values must lie"),
        (torch.tensor([[math.nan]]), 3, "values must lie"),
        (torch.tensor([0.5]), 3, "values must have shape"),
        (torch.tensor([[0.5]]), 0, "steps must be"),
    ],
)
def test_latency_and_direct_refuse(own_checks, encode, values, steps, message):
    with pytest.raises(ValueError, match=message):
        encode(values, steps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_follow_the_values(dtype):
    values = torch.rand(3, 4, generator=seeded(), dtype=dtype)
    encoded = {
        "rate": encoding.rate(values, 5, generator=seeded()),
        "latency": encoding.latency(values, 5),
        "direct": encoding.direct(values, 5),
        "delta": encoding.delta(values.expand(5, 3, 4), 0.1),
    }
    for name, spikes in encoded.items():
        assert spikes.dtype == dtype, name
        assert spikes.shape == (5, 3, 4, 2 if name == "delta" else 1), name


# Encodings as objects


def uniform_values(*shape):
    return torch.rand(*shape, generator=seeded())


def test_objects_encode_as_the_functions_do():
    values, generator = uniform_values(6, 5), seeded(1)
    start = generator.get_state()
    spikes = Rate(7, max_rate=0.5).encode(values, generator=generator)
    generator.set_state(start)
    assert torch.equal(spikes, encoding.rate(values, 7, max_rate=0.5, generator=generator))
    for made, function in ((Latency(7), encoding.latency), (Direct(7), encoding.direct)):
        start = generator.get_state()
        assert torch.equal(made.encode(values, generator=generator), function(values, 7))
        assert torch.equal(generator.get_state(), start)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("channels", [(), (2,)])
def test_spike_trains_keep_their_spikes(shared, channels):
    trains, generator = uniform_values(6, 7, 5, *channels).round(), torch.Generator()
    start = generator.get_state()
    spikes = Spikes(7).encode(trains, generator=generator, shared=shared)
    assert spikes.shape == (7, 6, 5, *(channels or (1,)))
    for step in range(7):
        assert torch.equal(spikes[step].reshape(trains[:, step].shape), trains[:, step])
    assert torch.equal(generator.get_state(), start)


@pytest.mark.parametrize("shape", [(6, 8, 5), (6, 6, 5, 2)])
def test_spike_trains_of_other_steps_are_refused(shape):
    with pytest.raises(ValueError, match=r"'spikes'\) must have shape \(B, 7, P.*\), but has"):
        Spikes(7).encode(torch.zeros(shape), generator=torch.Generator())


def test_shared_numbers_give_equal_samples_equal_spikes():
    values, generator = torch.full((8, 20), 0.5), seeded()
    start = generator.get_state()
    shared = Rate(6).encode(values, generator=generator, shared=True)
    after = generator.get_state()
    generator.set_state(start)
    Rate(6).encode(values[:1], generator=generator)
    # The generator moved on by one sample.
    assert torch.equal(generator.get_state(), after)
    own = Rate(6).encode(values, generator=generator)
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    assert 0 < shared.mean() < 1
    assert not torch.equal(own, own[:, :1].expand_as(own))
