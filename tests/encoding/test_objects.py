"""Encodings as objects do what the functions do, tell their shape, and leave padding silent."""

import math

import pytest
import torch
from tools import seeded

from sqsnn import encoding
from sqsnn.encoding import Current, Delta, Latency, Phase, PopulationCode, Rate, Spikes, step_mask

pytestmark = pytest.mark.usefixtures("device")

OBJECTS = (
    Rate(12, 0.5),
    Latency(12),
    Delta(12, 0.2),
    Current(12),
    PopulationCode(12, 5, 1.0),
    Phase(12, 3),
)
IDS = [made.kind for made in OBJECTS]


def uniform_values(*shape):
    return torch.rand(*shape, generator=seeded())


def by_function(made, values, generator):
    """What the function of an object's kind gives."""
    options = {
        "rate": {"max_rate": 0.5, "generator": generator},
        "delta": {"threshold": 0.2},
        "population": {"fields": 5, "width": 1.0},
        "phase": {"bits": 3},
    }
    encoded = getattr(encoding, made.kind)(values, 12, **options.get(made.kind, {}))
    # The object gives both signs of delta an input of their own.
    return encoded.flatten(2).unsqueeze(-1) if made.kind == "delta" else encoded


@pytest.mark.parametrize("made", OBJECTS, ids=IDS)
def test_objects_encode_as_the_functions_do(made):
    shapes = [(6, 4, 5), (6, 5)] if made.takes_values else [(6, 4, 5)]
    for shape in shapes:
        values, ours, theirs = uniform_values(*shape), seeded(1), seeded(1)
        encoded = made.encode(values, generator=ours)
        assert torch.equal(encoded, by_function(made, values, theirs))
        assert torch.equal(ours.get_state(), theirs.get_state())
        assert encoded.shape == (12, 6, made.features(5), 1)


@pytest.mark.parametrize("made", OBJECTS, ids=IDS)
def test_objects_say_what_they_take(own_checks, made):
    assert made.takes_series
    beyond = 3 * uniform_values(6, 4, 5) - 1
    if made.bounded:
        with pytest.raises(ValueError, match=r"values must lie in \[0, 1\]"):
            made.encode(beyond, generator=seeded())
    else:
        made.encode(beyond, generator=seeded())
    if not made.takes_values:
        with pytest.raises(ValueError, match="needs series"):
            made.encode(uniform_values(6, 5), generator=seeded())


@pytest.mark.parametrize("made", OBJECTS, ids=IDS)
def test_padding_is_silent_and_does_not_count(made):
    values, lengths = uniform_values(6, 4, 5), torch.tensor([4, 1, 2, 3, 4, 2])
    whole = made.encode(values, generator=seeded())
    for filler in (0.0, 1.0, math.nan, -7.0):
        padded = values.clone()
        for sample, length in zip(padded, lengths.tolist(), strict=True):
            sample[length:] = filler
        encoded = made.encode(padded, lengths=lengths, generator=seeded())
        mask = step_mask(lengths, 4, 12)
        assert torch.equal(encoded, whole * mask[:, :, None, None])
        assert encoded.dtype == values.dtype


def test_lengths_go_with_series():
    lengths = torch.tensor([1, 1])
    with pytest.raises(ValueError, match=r"lengths goes with series, .* \(2, 3\): leave lengths"):
        Current(4).encode(uniform_values(2, 3), lengths=lengths, generator=seeded())
    with pytest.raises(ValueError, match=r"lengths must have shape \(3,\), but has \(2,\)"):
        Current(4).encode(uniform_values(3, 2, 1), lengths=lengths, generator=seeded())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Latency(1), "Latency: steps must be at least 2 per value"),
        (lambda: Phase(5), r"Phase: steps must be at least 8 per value \(one per bit\), but is 5"),
        (lambda: Phase(40, 25), "Phase: bits: .*less than or equal to 24, but is 25"),
        (lambda: PopulationCode(fields=2), "PopulationCode: fields: .*equal to 3, but is 2"),
        (lambda: PopulationCode(field_width=0), "field_width: .*greater than 0, but is 0"),
        (lambda: Delta(delta_threshold=0), "delta_threshold: .*greater than 0, but is 0"),
        (lambda: Phase(20).steps_per_value(5), "at least 8 per value .* is 20 for 5 values"),
        (lambda: Rate(20).steps_per_value(6), "steps must be a multiple of 6, .* but is 20"),
    ],
)
def test_steps_and_options_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(8, 20), (8, 3, 20)])
def test_shared_numbers_give_equal_samples_equal_spikes(shape):
    values, generator = torch.full(shape, 0.5), seeded()
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


# Spike trains


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("channels", [(), (2,)])
def test_spike_trains_keep_their_spikes(shared, channels):
    trains, generator = uniform_values(6, 7, 5, *channels).round(), seeded()
    start = generator.get_state()
    spikes = Spikes(7).encode(trains, generator=generator, shared=shared)
    assert spikes.shape == (7, 6, 5, *(channels or (1,)))
    for step in range(7):
        assert torch.equal(spikes[step].reshape(trains[:, step].shape), trains[:, step])
    assert torch.equal(generator.get_state(), start)
    lengths = torch.tensor([7, 1, 2, 3, 4, 5])
    cut = Spikes(7).encode(trains, lengths=lengths, generator=generator)
    assert torch.equal(cut, spikes * step_mask(lengths, 7, 7)[:, :, None, None])


@pytest.mark.parametrize("shape", [(6, 8, 5), (6, 6, 5, 2)])
def test_spike_trains_of_other_steps_are_refused(shape):
    with pytest.raises(ValueError, match=r"'spikes'\) must have shape \(B, 7, P.*\), but has"):
        Spikes(7).encode(torch.zeros(shape), generator=seeded())
