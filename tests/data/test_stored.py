"""The cache of spike trains: whole, of the right things, read in small parts, and like a tensor."""

import copy
import multiprocessing
import os
import pickle
import tracemalloc
from dataclasses import replace
from functools import partial

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from sqsnn.data import stored
from sqsnn.data.dataset_spec import Sensor
from sqsnn.data.events import Binning, Events, Recording, Recordings, bin_events
from sqsnn.errors import ConfigError, DataError

SENSOR = Sensor(6, 2, 2)
BINNING = Binning(4, 1e-3, polarity="channels")


def recording(number):
    """Events that differ from recording to recording."""
    draw = np.random.default_rng(number)
    times, x, y, on = (draw.integers(0, high, 20) for high in (1200, 6, 2, 2))
    times[0] = 0
    return Recording(f"number {number}", number % 3, Events(times, x, y, on.astype(bool)))


@pytest.fixture
def read():
    """How often the recordings were read."""
    return []


@pytest.fixture
def recordings(tmp_path, read):
    """Ten recordings which say that they come from a file."""
    file = tmp_path / "events.bin"
    file.write_bytes(b"1234")

    def give():
        read.append(file.name)
        return map(recording, range(10))

    return Recordings(file, (file,), SENSOR, None, 10, give)


@pytest.fixture
def expected():
    """The spike trains of the recordings, as a tensor in memory."""
    trains = [bin_events(recording(number).events, SENSOR, BINNING) for number in range(10)]
    return torch.from_numpy(np.stack(trains)).float()


def test_what_is_stored_is_what_was_binned(recordings, expected):
    part = stored.store("tiny-train", recordings, BINNING)
    assert torch.equal(part.values[:], expected)
    assert part.targets.tolist() == [number % 3 for number in range(10)]
    assert part.values.path.parent == stored.cache_folder()
    assert [file.suffix for file in stored.cache_folder().iterdir()] == [".h5"]


def test_stored_spikes_stand_where_a_tensor_would(recordings, expected):
    spikes = stored.store("tiny-train", recordings, BINNING).values
    which = torch.tensor([7, 0, 7, 3])
    assert len(spikes) == 10
    assert spikes.shape == expected.shape
    assert torch.equal(spikes[which], expected[which])
    assert torch.equal(spikes[2:9:3], expected[2:9:3])
    for part, other in zip(spikes.split(4), expected.split(4), strict=True):
        assert torch.equal(part, other)
    exact = spikes.to("cpu", torch.float64)
    assert exact[:1].dtype == torch.float64
    assert (spikes.device, spikes[:1].dtype) == (torch.device("cpu"), torch.float32)
    chosen = exact.select(np.array([4, 4, 1]))
    assert torch.equal(chosen[:], expected[[4, 4, 1]].double())
    assert torch.equal(chosen.select(np.array([2]))[:], expected[[1]].double())


@pytest.mark.parametrize(
    "which",
    [3, -1, np.int64(4), torch.tensor(5), [2, 2, 7], np.array([9, 0]), torch.arange(10) > 6, []],
    ids=str,
)
def test_stored_spikes_are_indexed_as_a_tensor_is(recordings, expected, which):
    spikes = stored.store("tiny-train", recordings, BINNING).values
    assert torch.equal(spikes[which], expected[which])


def test_stored_spikes_are_iterated_sample_by_sample(recordings, expected):
    spikes = stored.store("tiny-train", recordings, BINNING).values
    assert torch.equal(torch.stack(list(spikes)), expected)
    assert spikes.size(0) == len(spikes) == 10


def test_stored_spikes_are_pickled_by_their_place_on_disk(recordings, expected):
    spikes = stored.store("tiny-train", recordings, BINNING).values
    chosen = spikes.to("cpu", torch.float64).select(np.array([4, 1]))
    chosen[0]
    for twin in (pickle.loads(pickle.dumps(chosen)), copy.deepcopy(chosen)):
        assert torch.equal(twin[:], expected[[4, 1]].double())
    assert len(pickle.dumps(spikes)) < 1000


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_data_loader_read_what_is_stored(recordings, expected, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    part = stored.store("tiny-train", recordings, BINNING)
    labels = torch.from_numpy(part.targets)
    loader = DataLoader(
        TensorDataset(part.values, labels),
        batch_size=4,
        num_workers=2,
        multiprocessing_context=method,
        generator=torch.Generator().manual_seed(0),
    )
    part.values[0]  # what the parent has read does not disturb its children
    read, found = (torch.cat(parts) for parts in zip(*loader, strict=True))
    assert torch.equal(read, expected)
    assert torch.equal(found, labels)


@pytest.mark.parametrize("which", [10, -11, torch.tensor([10]), torch.tensor([-11])])
def test_a_sample_that_is_not_there_is_no_sample(recordings, which):
    with pytest.raises(IndexError):
        stored.store("tiny-train", recordings, BINNING).values[which]


def test_recordings_are_read_once_for_all_runs(recordings, read):
    for _ in range(3):
        stored.store("tiny-train", recordings, BINNING)
    assert len(read) == 1


@pytest.mark.parametrize(
    "other",
    [
        Binning(5, 1e-3, polarity="channels"),
        Binning(4, 2e-3, polarity="channels"),
        Binning(4, 1e-3, pool=2, polarity="channels"),
        Binning(4, 1e-3),
    ],
)
def test_another_binning_is_another_file(recordings, read, other):
    first = stored.store("tiny-train", recordings, BINNING)
    second = stored.store("tiny-train", recordings, other)
    assert len(read) == 2
    assert first.values.path != second.values.path
    assert second.values.shape[1:] == other.shape(SENSOR)


def test_other_sources_are_another_file(recordings, read):
    stored.store("tiny-train", recordings, BINNING)
    stored.store("tiny-test", recordings, BINNING)
    assert len(read) == 2
    os.utime(recordings.path, ns=(1, 1))
    stored.store("tiny-train", recordings, BINNING)
    assert len(read) == 3
    recordings.path.write_bytes(b"12345")
    os.utime(recordings.path, ns=(1, 1))
    stored.store("tiny-train", recordings, BINNING)
    assert len(read) == 4


def test_a_file_of_other_things_under_the_same_name_is_made_again(recordings, read, expected):
    path = stored.store("tiny-train", recordings, BINNING).values.path
    other = stored.store("tiny-test", recordings, BINNING).values.path
    path.write_bytes(other.read_bytes())
    assert torch.equal(stored.store("tiny-train", recordings, BINNING).values[:], expected)
    assert len(read) == 3


def _flip(file):
    file["spikes"][3, 1] = 1 - file["spikes"][3, 1]


def _replace(file, name, shape, kind):
    del file[name]
    file.create_dataset(name, shape, kind, chunks=(1,) * len(shape))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_flip, id="spikes"),
        pytest.param(lambda file: file["labels"].write_direct(np.zeros(10, int)), id="labels"),
        pytest.param(lambda file: file.pop("labels"), id="no labels"),
        pytest.param(lambda file: file.pop("spikes"), id="no spikes"),
        pytest.param(lambda file: file.attrs.pop("key"), id="no key"),
        pytest.param(lambda file: file.attrs.pop("checksum"), id="no checksum"),
        # HDF5 keeps such a text in a heap, without a checksum and perhaps without an end.
        pytest.param(lambda file: file.attrs.update(key=file.attrs["key"].decode()), id="heap"),
        pytest.param(lambda file: _replace(file, "spikes", (10**6, 10**6), "u1"), id="huge"),
        pytest.param(lambda file: _replace(file, "labels", (10**12,), "i8"), id="huge labels"),
        pytest.param(lambda file: _replace(file, "spikes", (10, 4, 12, 2), "f8"), id="fractions"),
    ],
)
def test_a_changed_file_is_made_again(recordings, read, expected, change):
    with h5py.File(stored.store("tiny-train", recordings, BINNING).values.path, "r+") as file:
        change(file)
    part = stored.store("tiny-train", recordings, BINNING)
    assert torch.equal(part.values[:], expected)
    assert part.targets.tolist() == [number % 3 for number in range(10)]
    assert len(read) == 2


def test_spike_trains_that_fit_no_memory_are_refused_before_any_is_made(recordings, read):
    large = Binning(10**6, 1.0, polarity="channels")
    vast = replace(recordings, sensor=Sensor(2000, 2000, 2))
    with pytest.raises(ConfigError, match=r"steps is 1000000 and pool is 1, .* fewer steps"):
        stored.store("tiny-train", vast, large)
    assert not read


@pytest.mark.parametrize("raw", [b"", b"no HDF5"])
def test_a_file_of_another_kind_is_made_again(recordings, read, expected, raw):
    stored.store("tiny-train", recordings, BINNING).values.path.write_bytes(raw)
    assert torch.equal(stored.store("tiny-train", recordings, BINNING).values[:], expected)
    assert len(read) == 2


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_to_the_file_the_spikes_are_right(recordings, expected, place, bit, cut):
    path = stored.store("tiny-train", recordings, BINNING).values.path
    raw = bytearray(path.read_bytes())
    byte = int(place * len(raw))
    raw[byte] ^= 1 << bit
    path.write_bytes(raw[:byte] if cut else raw)
    part = stored.store("tiny-train", recordings, BINNING)
    assert torch.equal(part.values[:], expected)
    assert part.targets.tolist() == [number % 3 for number in range(10)]


def test_a_damaged_recording_leaves_no_file(recordings):
    def give():
        yield recording(0)
        raise DataError("number 1 is broken")

    broken = Recordings(recordings.path, recordings.files, SENSOR, None, 10, give)
    with pytest.raises(DataError, match="number 1 is broken"):
        stored.store("tiny-train", broken, BINNING)
    assert not list(stored.cache_folder().iterdir())


def test_a_recording_without_events_in_time_is_refused(recordings):
    late = Recording("number 0", 0, Events(*(np.array([value]) for value in (2000, 0, 0, True))))
    few = Recordings(recordings.path, recordings.files, SENSOR, None, 1, lambda: iter([late]))
    with pytest.raises(
        DataError, match=r"events\.bin, number 0: the first event is at 0\.002 s.* 0\.001 s"
    ):
        stored.store("tiny-train", few, BINNING)


def test_a_cache_that_cannot_be_written_is_named(recordings, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SQSNN_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be kept in .*file.*\$SQSNN_CACHE"):
        stored.store("tiny-train", recordings, BINNING)


def test_a_file_that_breaks_while_it_is_read_is_an_error(recordings):
    spikes = stored.store("tiny-train", recordings, BINNING).values
    with pytest.raises(DataError, match=r"tiny-train-.*\.h5.* can no longer be read"):
        spikes.path.unlink()
        spikes.select(np.array([1]))


def test_the_cache_lies_where_it_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("SQSNN_CACHE", str(tmp_path / "mine"))
    assert stored.cache_folder() == tmp_path / "mine" / "events"
    monkeypatch.delenv("SQSNN_CACHE")
    assert stored.cache_folder().parts[-2:] == ("sqsnn", "events")


def test_memory_stays_flat(tmp_path):
    """A store of 24 MB is made, checked and gone through with less than 2 MB of arrays at once."""
    sensor, binning, count = Sensor(3000), Binning(20, 1e-3), 400
    file = tmp_path / "events.bin"
    file.write_bytes(b"1234")

    def one(number):
        units = np.arange(number % 7, 3000, 7)
        zeros = np.zeros_like(units)
        return Recording(f"{number}", 0, Events(zeros + number, units, zeros, zeros == 0))

    give = partial(map, one, range(count))
    large = Recordings(file, (file,), sensor, None, count, lambda: iter(give()))
    size = count * 3000 * 20
    limit = size // 12
    tracemalloc.start()
    try:
        spikes = stored.store("large-train", large, binning).values
        seen = sum(batch.sum().item() for batch in spikes.split(4))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == sum(len(range(number % 7, 3000, 7)) for number in range(count))
    assert peak < limit
