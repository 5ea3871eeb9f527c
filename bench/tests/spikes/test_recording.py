"""The recording of a grasshopper's receptor: what is in it, and how it is split."""

import numpy as np
import pytest

from sqsnn.errors import DataError
from sqsnn_bench.spikes import recording


@pytest.fixture(scope="module")
def stretch():
    return recording.read(200)


@pytest.mark.parametrize(("cut_off", "spikes"), [(200, 929), (800, 868)])
def test_every_spike_has_a_bin_of_its_own(cut_off, spikes):
    found = recording.read(cut_off)
    assert (found.trains.count, found.trains.merged) == (spikes, 0)
    assert (found.trains.bins, found.trains.bin_width) == (10_000, 0.001)
    assert found.level.shape == (10_000,)
    assert np.isfinite(found.level).all()


def test_louder_sounds_bring_spikes_a_few_milliseconds_later(stretch):
    spikes = stretch.trains[0][:, 0].astype(float)
    lags = range(-10, 16)
    found = [np.corrcoef(np.roll(stretch.level, lag)[20:-20], spikes[20:-20])[0, 1] for lag in lags]
    # The error of a correlation of 10,000 bins is about 0.01 for smooth sounds.
    assert 3 <= lags[int(np.argmax(found))] <= 10
    assert max(found) > 0.1


def test_every_spike_is_held_out_once(stretch):
    warm_up = 64
    folds = [recording.fold(stretch, number, warm_up, False) for number in range(recording.FOLDS)]
    scored = 0
    for number, (train, held_out) in enumerate(folds):
        assert held_out.trains.bins == 4 * (250 + warm_up) - warm_up * (number == 0)
        assert train.trains.bins == 9000
        heads = held_out.heads(warm_up).trains.count
        scored += held_out.trains.count - heads
        # The warm-up is seen, but not scored, so that it may be from the training part.
        assert train.trains.count + held_out.trains.count - heads <= stretch.trains.count
    # The first bins of all have nothing before them.
    assert scored == stretch.trains[0][warm_up:].sum()


def test_models_see_sounds_up_to_their_bin_alone(stretch):
    changed = stretch.level.copy()
    changed[2000] += 1.0
    seen, other = recording._lagged(stretch.level), recording._lagged(changed)
    differing = np.flatnonzero((seen != other).any(1))
    assert differing.tolist() == list(range(2000, 2000 + recording.LAGS))
    assert np.array_equal(seen[:, 0], stretch.level)


def test_a_stimulus_has_components_of_variance_one_over_the_training_bins(stretch):
    train, held_out = recording.fold(stretch, 3, 64, True)
    shown = np.concatenate(train.stimulus)
    np.testing.assert_allclose(shown.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cov(shown.T), np.eye(train.features), atol=1e-9)
    assert [len(it) for it in held_out.stimulus] == [len(it) for it in held_out.trains]


def test_a_stretch_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"cut_off must be one of \[200, 800\] Hz, but is 400"):
        recording.read(400)


def test_without_nitime_the_way_to_it_is_said(monkeypatch):
    def missing(name):
        raise recording.PackageNotFoundError(name)

    monkeypatch.setattr(recording, "distribution", missing)
    with pytest.raises(DataError, match="nitime is not installed"):
        recording.read(200)
