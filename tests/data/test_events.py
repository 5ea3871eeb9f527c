"""Binning: the law in exact whole numbers, against a loop that states it event by event."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqsnn.data.dataset_spec import Sensor
from sqsnn.data.events import Binning, Events, bin_events


def events_of(*rows):
    """Events from rows of (time, x, y, on)."""
    times, x, y, on = (np.array(column) for column in zip(*rows, strict=True))
    return Events(times.astype(np.int64), x, y, on.astype(bool))


def slowly(rows, sensor, binning):
    """One event after the other, in fractions."""
    groups = [[], []]
    for axis, size in enumerate((sensor.rows, sensor.columns)):
        for start in range(0, size, binning.pool):
            groups[axis].append(range(start, min(start + binning.pool, size)))
    trains = np.zeros((binning.steps, len(groups[0]) * len(groups[1]), 2), int)
    width = Fraction(binning.microseconds, binning.steps)
    for time, x, y, on in rows:
        for step in range(binning.steps):
            if step * width <= time < (step + 1) * width:
                row = next(n for n, group in enumerate(groups[0]) if y in group)
                column = next(n for n, group in enumerate(groups[1]) if x in group)
                trains[step, row * len(groups[1]) + column, 0 if on else 1] = 1
    if binning.polarity == "maps":
        return np.concatenate([trains[:, :, 0], trains[:, :, 1]], axis=1)
    return trains if binning.polarity == "channels" else trains.max(axis=2)


@st.composite
def cases(draw):
    sensor = Sensor(draw(st.integers(1, 7)), draw(st.integers(1, 5)), 2)
    binning = Binning(
        steps=draw(st.integers(1, 9)),
        duration=draw(st.integers(1, 50)) / 1e6,
        pool=draw(st.integers(1, 8)),
        polarity=draw(st.sampled_from(["channels", "maps", "sum"])),
    )
    event = st.tuples(
        st.integers(0, 60),
        st.integers(0, sensor.columns - 1),
        st.integers(0, sensor.rows - 1),
        st.booleans(),
    )
    return draw(st.lists(event, min_size=1, max_size=30)), sensor, binning


@given(cases())
def test_events_are_binned_as_a_slow_loop_would(case):
    rows, sensor, binning = case
    found = bin_events(events_of(*rows), sensor, binning)
    expected = slowly(rows, sensor, binning)
    assert found.dtype == np.uint8
    assert found.shape == binning.shape(sensor) == expected.shape
    np.testing.assert_array_equal(found, expected)


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_and_the_number_of_equal_events_do_not_matter(case, random):
    rows, sensor, binning = case
    mixed = rows + rows
    random.shuffle(mixed)
    np.testing.assert_array_equal(
        bin_events(events_of(*rows), sensor, binning),
        bin_events(events_of(*mixed), sensor, binning),
    )


@pytest.mark.parametrize("duration", [0.31, 1.3, 1.4, 0.1, 0.7])
def test_a_bin_holds_its_start_and_not_its_end(duration):
    """In floating point, 0.7 * 3 / 0.7 and its like fall to either side of a whole number."""
    steps = 10
    width = round(duration * 1e6) // steps
    rows = [(width * step, step, 0, True) for step in range(steps)]
    rows += [(width * (step + 1) - 1, step, 1, True) for step in range(steps)]
    trains = bin_events(events_of(*rows), Sensor(steps, 2), Binning(steps, duration))
    expected = np.tile(np.eye(steps, dtype=np.uint8), 2)
    np.testing.assert_array_equal(trains, expected)


def test_events_after_the_duration_are_not_used():
    trains = bin_events(events_of((99, 0, 0, True), (100, 1, 0, True)), Sensor(2), Binning(2, 1e-4))
    assert trains.tolist() == [[0, 0], [1, 0]]


def test_the_last_group_may_be_smaller():
    binning = Binning(1, 1e-3, pool=5)
    assert binning.units(Sensor(34, 34, 2)) == 7 * 7
    trains = bin_events(events_of((0, 33, 33, True), (0, 4, 5, True)), Sensor(34, 34, 2), binning)
    assert np.flatnonzero(trains).tolist() == [7, 48]


def test_on_and_off_events_are_channels_0_and_1():
    rows = events_of((0, 0, 0, True), (0, 1, 0, False))
    apart = bin_events(rows, Sensor(2, 1, 2), Binning(1, 1.0, polarity="channels"))
    assert apart.tolist() == [[[1, 0], [0, 1]]]
    assert bin_events(rows, Sensor(2, 1, 2), Binning(1, 1.0)).tolist() == [[1, 1]]
    maps = bin_events(rows, Sensor(2, 1, 2), Binning(1, 1.0, polarity="maps"))
    assert maps.tolist() == [[1, 0, 0, 1]]


@pytest.mark.parametrize(
    ("sensor", "polarity", "grid"),
    [
        (Sensor(34, 34, 2), "maps", (2, 17, 17)),
        (Sensor(34, 34, 2), "sum", (1, 17, 17)),
        (Sensor(7, 3, 2), "channels", (1, 2, 4)),
        (Sensor(700), "sum", (1, 350)),
    ],
)
def test_units_lie_on_a_grid_with_the_maps_first(sensor, polarity, grid):
    binning = Binning(1, 1.0, pool=2, polarity=polarity)
    assert binning.grid(sensor) == grid
    assert binning.shape(sensor)[1] == binning.units(sensor) == np.prod(grid)


@pytest.mark.parametrize("polarity", ["channels", "maps"])
def test_events_without_polarity_are_not_kept_apart(polarity):
    with pytest.raises(ValueError, match=f"{polarity}', .* neither ON nor OFF; it may be 'sum'"):
        bin_events(events_of((0, 0, 0, True)), Sensor(1), Binning(1, 1.0, polarity=polarity))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be an integer in 1..1000000, but is 0"),
        ({"steps": 2.0}, TypeError, "steps"),
        ({"pool": 0}, ValueError, "pool must be an integer of at least 1, but is 0"),
        (
            {"polarity": "both"},
            ValueError,
            "polarity is 'both'; it may be one of channels, maps, sum",
        ),
        ({"duration": 0.0}, ValueError, "duration must be from 1e-6 to 1e.06 seconds, but is 0"),
        ({"duration": float("nan")}, ValueError, "duration .* nan"),
        ({"duration": float("inf")}, ValueError, "duration .* inf"),
    ],
)
def test_impossible_binnings_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Binning(**({"steps": 2, "duration": 1.0} | options))
