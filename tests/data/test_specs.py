"""The descriptions of the datasets: complete, in agreement with each other, and cheap to read."""

import dataclasses
import re
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from sqsnn.data import catalog
from sqsnn.data.specs import SPECS, find_spec, is_own, names, own_spec

PUBLISHED = dict(SPECS)  # before the tests take the mirrors away
TASKS = [name for name, spec in SPECS.items() if spec.task]
EVENTS = [name for name, spec in SPECS.items() if spec.events]
SERIES = [name for name, spec in SPECS.items() if spec.series]
IMAGES = [name for name, spec in SPECS.items() if spec.image_shape]


def test_every_dataset_is_of_one_kind_and_known_by_its_name():
    assert sorted(TASKS + EVENTS + IMAGES + SERIES) == sorted(names()) == sorted(catalog.names())
    assert all(find_spec(name).name == name for name in names())
    assert find_spec("mnits") is None
    assert find_spec("tonic") is None


def test_presets_are_those_of_the_specification():
    assert find_spec("digits").preset == {
        "hidden": [64],
        "encoding": {"kind": "rate", "steps": 10},
        "training": {"epochs": 30, "batch_size": 64, "learning_rate": 0.01},
        "neurons": {"drive": {"reset_steps": 3}},
    }
    assert find_spec("mnist").preset == {
        "hidden": [256],
        "encoding": {"kind": "rate", "steps": 5},
        "training": {"epochs": 10, "batch_size": 128, "learning_rate": 0.003},
    }
    assert find_spec("recall").preset == {
        "hidden": [32],
        "encoding": {"kind": "spikes", "steps": 7},
        "report_steps": 1,
        "training": {"epochs": 30, "batch_size": 64, "learning_rate": 0.01},
        "data": {"cue_delay": 5},
    }
    assert find_spec("nmnist").preset["data"] == {"duration": 0.31, "pool": 2}
    assert find_spec("tonic:DVSGesture").preset["data"] == {"pool": 2}


def test_drives_reset_for_three_steps_where_a_device_shall_run_them():
    drives = {name: find_spec(name).preset.get("neurons", {}).get("drive", {}) for name in names()}
    assert {name for name in drives if "reset_steps" in drives[name]} == {"digits", "usps"}
    assert find_spec("usps").preset["neurons"] == {"drive": {"reset_steps": 3}}


@pytest.mark.parametrize("name", SERIES)
def test_series_are_presented_step_by_step_to_slow_membranes(name):
    spec = find_spec(name)
    assert spec.preset["encoding"]["steps"] == spec.length
    assert spec.preset["encoding"]["kind"] == ("spikes" if name == "parity" else "current")
    assert spec.preset["neurons"] == {"drive": {"beta": 0.9}}
    assert spec.preset.get("report_steps") == spec.report_steps
    if spec.predicts_values:
        readout = {"kind": "traces", "every_step": True, "trace_decay": spec.series.trace_decay}
        assert spec.preset["readout"] == readout


@pytest.mark.parametrize(
    ("given", "preset"),
    [
        (
            {"length": None, "predicts_values": False},
            {"encoding": {"kind": "current", "steps": 10}},
        ),
        ({"length": 5, "predicts_values": False}, {"encoding": {"kind": "current", "steps": 5}}),
        (
            {"length": None, "predicts_values": True},
            {
                "encoding": {"kind": "current", "steps": 10},
                "readout": {"kind": "traces", "every_step": False},
                "report_steps": 1,
            },
        ),
        (
            {"length": 12, "predicts_values": True, "every_step": True},
            {
                "encoding": {"kind": "current", "steps": 12},
                "readout": {"kind": "traces", "every_step": True},
                "neurons": {"drive": {"beta": 0.9}},
            },
        ),
    ],
)
def test_files_of_ones_own_get_what_suits_their_samples(given, preset):
    found = own_spec("my.csv", **given).preset
    training = {"epochs": 30, "batch_size": 32, "learning_rate": 0.01}
    assert found == {"hidden": [64], "training": training, **preset}


def test_files_of_ones_own_are_told_by_their_suffix():
    assert is_own("my.csv") and is_own("/data/A_TRAIN.TS") and is_own("x.npz")
    assert not any(map(is_own, (*names(), "tonic:NMNIST", "csv", "my.txt")))


@pytest.mark.parametrize("name", TASKS)
def test_the_membranes_of_long_delays_start_slow(name):
    spec = find_spec(name)
    assert "neurons" not in spec.preset_for(9)
    assert spec.preset_for(10)["neurons"] == {"drive": {"beta": 0.9}}
    assert spec.preset_for(10)["encoding"]["steps"] == spec.steps(10)


@pytest.mark.parametrize("name", TASKS)
def test_the_preset_of_a_task_in_time_fits_its_samples(name):
    spec, data = find_spec(name), catalog.load(name)
    preset = spec.preset
    assert (preset["encoding"]["steps"], preset["report_steps"]) == (data.steps, data.report_steps)
    assert preset["encoding"]["kind"] == "spikes"
    assert (spec.steps(), spec.features) == (data.steps, data.features)
    assert spec.steps(9) - spec.steps() == 9 - spec.delay


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_values_without_delay_and_events(name):
    spec = find_spec(name)
    assert (spec.is_spike_trains, spec.delay, spec.events, spec.report_steps) == (
        False,
        *[None] * 3,
    )
    assert spec.preset["encoding"]["kind"] == "rate"
    assert len(spec.test_counts) == len(spec.class_names) == 10
    # The last source is chosen where no files are present: it must be downloadable, or need none.
    assert all(file.mirrors for file in PUBLISHED[name].sources[-1].files)


@pytest.mark.parametrize("name", EVENTS)
def test_the_presets_of_events_fit_their_sensors(name):
    spec = find_spec(name)
    assert spec.is_spike_trains and spec.delay is None
    assert spec.events.polarities == spec.events.sensor.polarities
    assert spec.preset["encoding"]["kind"] == "spikes"
    assert spec.features > spec.events.sensor.rows


def test_what_tonic_reads_is_unknown_before_it_is_read():
    spec = find_spec("tonic:DVSGesture")
    assert spec.is_spike_trains
    assert (spec.events.duration, spec.events.polarities, spec.features) == (None, None, None)
    with pytest.raises(ValueError, match="binning must be given for tonic:DVSGesture"):
        catalog.load("tonic:DVSGesture")


def test_specifications_cannot_be_changed_for_others():
    with pytest.raises(dataclasses.FrozenInstanceError):
        find_spec("digits").epochs = 1
    find_spec("digits").preset["hidden"].append(1)
    assert find_spec("digits").preset["hidden"] == [64]


def test_every_description_is_one_line():
    assert all(spec.text and "\n" not in spec.text for spec in SPECS.values())


def test_every_file_that_can_be_downloaded_has_a_checksum_of_its_own():
    files = [
        file
        for spec in PUBLISHED.values()
        for source in spec.sources
        for file in source.files
        if file.mirrors
    ]
    assert len(files) == 3 * 4 + 2 + 2 + 2  # three sets of IDX files, USPS, N-MNIST and SHD
    for file in files:
        assert re.fullmatch("[0-9a-f]{32}", file.md5)
        for mirror, address in zip(file.mirrors, file.addresses, strict=True):
            assert urlsplit(address).scheme in ("http", "https")
            assert address == (mirror + file.packed if mirror.endswith("/") else mirror)
            assert not address.endswith("/")
    assert len({file.md5 for file in files}) == len(files)


@pytest.mark.parametrize("name", names())
def test_every_reader_can_be_imported(name):
    assert all(callable(source.load_reader()) for source in find_spec(name).sources)


def test_specifications_are_read_without_heavy_libraries():
    heavy = ("torch", "numpy", "h5py", "sklearn", "pooch", "rich")
    code = f"import sys, sqsnn.data.specs; sys.exit(bool(set({heavy}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
