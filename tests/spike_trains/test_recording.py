"""A recording is split without losing a bin, and its stimulus is read with it."""

import re

import numpy as np
import pytest

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import ConfigError, DataError
from sqsnn.spike_trains.recording import Recording, hold_out, whole
from sqsnn.spike_trains.stimulus import read_stimulus_file


def recording(lengths: list[int], stimulated: bool = True) -> Recording:
    """Trains of these lengths with a spike in every second bin, and bins that are numbered."""
    trains = SpikeTrains.from_bins([np.arange(length) % 2 for length in lengths], 0.001)
    stimulus = [100.0 * n + np.arange(length) for n, length in enumerate(lengths)]
    return Recording(trains, stimulus if stimulated else None)


def joined(*parts: Recording) -> list[np.ndarray]:
    return [values for part in parts for values in part.stimulus or ()]


def test_of_five_trains_the_last_ones_are_held_out_whole():
    given = recording([10, 12, 14, 16, 18])
    training, test = hold_out(given, 0.4)
    assert test is not None
    assert [len(train) for train in training.trains] == [10, 12, 14]
    assert [len(train) for train in test.trains] == [16, 18]
    for found, expected in zip(joined(training, test), joined(given), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_fewer_trains_are_cut_in_time_and_their_stimulus_with_them():
    both = recording([10, 40])
    training, test = hold_out(both, 0.2)
    assert test is not None
    assert [len(train) for train in training.trains] == [8, 32]
    for number, (early, late) in enumerate(zip(joined(training), joined(test), strict=True)):
        np.testing.assert_array_equal(np.concatenate([early, late]), joined(both)[number])
        assert len(early) == len(training.trains[number])
    assert test.before is training
    for found, expected in zip(whole(test).trains, both.trains, strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(joined(whole(test)), joined(both), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("lengths", "warm_up"), [([40, 1], 0), ([40, 10], 8)])
def test_a_train_that_is_too_short_to_be_cut_is_refused(lengths, warm_up):
    with pytest.raises(ConfigError, match=r"is too short to be cut in two: .*--held-out"):
        hold_out(recording(lengths), 0.2, warm_up)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_both_parts_hold_a_train_whatever_the_share(share):
    training, test = hold_out(recording([10] * 5, stimulated=False), share)
    assert test is not None
    assert len(training.trains) + len(test.trains) == 5
    assert min(len(training.trains), len(test.trains)) == 1
    assert (training.stimulus, test.stimulus) == (None, None)


def test_a_share_of_zero_holds_nothing_out():
    given = recording([10])
    assert hold_out(given, 0.0) == (given, None)


def test_a_part_without_spikes_after_the_warm_up_is_refused_before_the_fit():
    silent = SpikeTrains.from_bins([[1, 0, 1, 0, 0, 0, 0, 0, 0, 0]])
    with pytest.raises(ConfigError, match="the held-out part holds no spikes"):
        hold_out(Recording(silent), 0.2)
    with pytest.raises(ConfigError, match="the recording holds no spikes after a warm-up of 3"):
        hold_out(Recording(silent), 0.0, warm_up=3)


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(
        ValueError, match=f"held_out must be at least 0 and below 1, but is {share}"
    ):
        hold_out(recording([10]), share)


def test_a_stimulus_is_cut_to_its_trains(tmp_path):
    values = np.arange(24.0).reshape(2, 6, 2)
    np.savez(tmp_path / "a.npz", stimulus=values)
    first, second = read_stimulus_file(tmp_path / "a.npz", [6, 4])
    np.testing.assert_array_equal(first, values[0])
    np.testing.assert_array_equal(second, values[1, :4])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"stimulus": np.zeros((3, 6))}, "n = 2 and T at least 6, found float64 of shape (3, 6)"),
        ({"stimulus": np.zeros((2, 5))}, "found float64 of shape (2, 5)"),
        ({"stimulus": np.zeros(6)}, "found float64 of shape (6,)"),
        ({"stimulus": np.array([["a"] * 6] * 2)}, "found <U1"),
        ({"stimulus": np.array([[None] * 6] * 2)}, "Python objects, which only pickle could read"),
        ({"spikes": np.zeros((2, 6))}, "expected arrays named stimulus"),
        ({"stimulus": np.full((2, 6), np.nan)}, "stimulus 0 holds nan in bin 0"),
    ],
)
def test_a_stimulus_that_does_not_fit_is_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"a\.npz.*{re.escape(said)}"):
        read_stimulus_file(tmp_path / "a.npz", [6, 4])


def test_a_stimulus_without_trains_tells_their_number_and_length(tmp_path):
    np.savez(tmp_path / "a.npz", stimulus=np.zeros((2, 6)))
    assert [len(values) for values in read_stimulus_file(tmp_path / "a.npz")] == [6, 6]
    (tmp_path / "a.csv").write_text("1\n")
    with pytest.raises(DataError, match=r"a\.csv .* a \.npz file is needed"):
        read_stimulus_file(tmp_path / "a.csv")


def test_a_damaged_or_missing_stimulus_is_named(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match=r"a\.npz does not exist"):
        read_stimulus_file(path, [6])
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"a\.npz: expected a whole file"):
        read_stimulus_file(path, [6])
